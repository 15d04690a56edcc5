"""Rows as numbers of one width: what goes in comes out, by the bit, and kernels take what training gives them."""

from __future__ import annotations

import math
import struct
from datetime import datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.errors import StoreError
from penstock.online.records import (
    NULL,
    Records,
    appended,
    as_floats,
    from_bytes,
    joined,
    restored,
    split,
    split_keys,
    stored,
    to_bytes,
)
from penstock.online.texts import decoded
from penstock.schema import Dtype

SMALLEST_BUT_ONE = -(2**63) + 1
VALUES = {
    Dtype.INT: (pa.int64(), st.integers(SMALLEST_BUT_ONE, 2**63 - 1)),
    Dtype.FLOAT: (pa.float64(), st.floats(allow_nan=False)),
    Dtype.BOOL: (pa.bool_(), st.booleans()),
    Dtype.TIMESTAMP: (
        pa.timestamp("us"),
        st.datetimes(datetime.fromisoformat("1700-01-01"), datetime.fromisoformat("2250-01-01")),
    ),
    Dtype.STRING: (pa.string(), st.text(max_size=6)),
    Dtype.LIST: (pa.list_(pa.string()), st.lists(st.text(max_size=3), max_size=3)),
}
COLUMNS = st.sampled_from(list(VALUES)).flatmap(
    lambda dtype: st.tuples(st.just(dtype), st.lists(st.none() | VALUES[dtype][1], max_size=8))
)
ROWS = st.lists(st.tuples(st.integers(0, 2), st.integers(-50, 50), st.integers(), st.integers()), max_size=12)


def again(column: pa.Array, dtype: Dtype) -> pa.Array:
    values, texts = stored(column, dtype)
    assert values.dtype == np.int64
    return restored(values, dtype, {one: decoded(data) for one, data in texts.items()})


@given(COLUMNS)
def test_a_column_comes_back_as_it_was(told: tuple[Dtype, list[object]]):
    dtype, values = told
    column = pa.array(values, VALUES[dtype][0])
    assert again(column, dtype).equals(column)
    assert again(pa.chunked_array([column[:2], column[2:]]), dtype).equals(column)


@given(st.lists(st.none() | st.floats()))
@example([math.nan, None, -0.0, math.inf, struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_0001))[0]])
def test_floats_come_back_by_the_bit_and_nan_is_not_null(values: list[float | None]):
    found = again(pa.array(values, pa.float64()), Dtype.FLOAT).to_pylist()
    assert [one is None for one in found] == [one is None for one in values]
    pairs = [(a, b) for a, b in zip(values, found, strict=True) if a is not None and b is not None]
    assert all(struct.pack("<d", a) == struct.pack("<d", b) or (math.isnan(a) and math.isnan(b)) for a, b in pairs)


@given(st.sampled_from([Dtype.INT, Dtype.FLOAT, Dtype.TIMESTAMP]), st.data())
def test_kernels_are_given_what_training_gives_them(dtype: Dtype, data: st.DataObject):
    kind, one = VALUES[dtype]
    column = pa.array(data.draw(st.lists(st.none() | one)), kind)
    plain = column.cast(pa.int64()) if dtype is Dtype.TIMESTAMP else column
    expected = np.ascontiguousarray(plain.to_numpy(zero_copy_only=False), np.float64)
    np.testing.assert_array_equal(as_floats(stored(column, dtype)[0], dtype), expected)


def test_booleans_and_texts_say_whether_they_are_there():
    flags = as_floats(stored(pa.array([True, False, None]), Dtype.BOOL)[0], Dtype.BOOL)
    np.testing.assert_array_equal(flags, [1.0, 0.0, math.nan])
    there = as_floats(stored(pa.array(["a", None]), Dtype.STRING)[0], Dtype.STRING)
    np.testing.assert_array_equal(there, [1.0, math.nan])


def test_the_least_number_is_kept_as_the_next_one():
    values, _ = stored(pa.array([-(2**63), None]), Dtype.INT)
    assert restored(values, Dtype.INT).to_pylist() == [SMALLEST_BUT_ONE, None]
    assert as_floats(values, Dtype.INT)[0] == float(-(2**63))


def test_a_text_that_is_missing_is_an_error():
    values, _ = stored(pa.array(["a"]), Dtype.STRING)
    with pytest.raises(StoreError) as caught:
        restored(values, Dtype.STRING, {})
    assert caught.value.code == "STORE_DAMAGED"


def test_lists_of_nothing_are_lists_of_texts():
    for values in ([None], [[]], []):
        column = pa.array(values, pa.list_(pa.string()))
        assert again(column, Dtype.LIST).equals(column)


@given(ROWS, st.integers(1, 30))
def test_parts_hold_each_row_once_in_order(rows: list[tuple[int, int, int, int]], span: int):
    rows = [(key, happened, hash(a) % 100, hash(b) % 100) for key, happened, a, b in sorted(rows)]
    matrix = np.array([row[1:] for row in rows], np.int64).reshape(-1, 3)
    codes = np.array([row[0] for row in rows], np.int64)
    found = list(split_keys(codes, matrix, span))
    expected: dict[tuple[int, int], list[list[int]]] = {}
    for key, *row in rows:
        expected.setdefault((key, row[0] // span), []).append(row)
    assert {(key, number): from_bytes(data, 0).tolist() for key, number, data in found} == expected
    assert len(found) == len(expected)
    one = matrix[codes == 0]
    np.testing.assert_array_equal(joined([data for _, data in split(one, span)], 0), one)


def test_rows_are_appended_and_joined_as_bytes():
    clocks = [np.array([1, 2]), np.array([1, 2]), np.array([9, 9])]
    records = Records(*clocks, values=(np.array([5, NULL]),))
    data = to_bytes(records)
    whole = appended(data, np.array([[3, 3, 9, 7]]))
    assert from_bytes(whole, 1).tolist() == [[1, 1, 9, 5], [2, 2, 9, NULL], [3, 3, 9, 7]]
    assert joined([data, whole[len(data) :]], 1).tolist() == from_bytes(whole, 1).tolist()
    assert joined([], 1).shape == (0, 4)


def test_bytes_that_are_no_rows_are_an_error():
    with pytest.raises(StoreError) as caught:
        from_bytes(b"\0" * 33, 1)
    assert caught.value.code == "STORE_DAMAGED"
