"""Newest rows as bytes: what goes in comes out, one key or many."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import StoreError
from penstock.online.heads import from_bytes, many, to_bytes

VALUE = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text()
    | st.lists(st.text() | st.integers(-9, 9))
)


@given(st.lists(st.lists(VALUE, max_size=5), max_size=3))
def test_rows_come_back_as_they_were(rows: list[list[object]]):
    found = from_bytes(to_bytes(rows))
    assert found == rows
    assert [list(map(type, row)) for row in found] == [list(map(type, row)) for row in rows]


def test_floats_that_are_no_numbers_come_back():
    ((nan, high, low, zero),) = from_bytes(to_bytes([[math.nan, math.inf, -math.inf, -0.0]]))
    assert math.isnan(nan) and (high, low) == (math.inf, -math.inf) and math.copysign(1, zero) == -1


@given(st.lists(st.integers(0, 3), max_size=6))
def test_many_keys_are_written_as_each_of_them_is(counts: list[int]):
    starts = np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])
    size = int(starts[-1])
    clock = np.arange(size) * 10
    columns = [
        pa.array([None if n % 3 else n / 7 for n in range(size)], pa.float64()),
        pa.array([str(n) for n in range(size)], pa.string()),
        pa.chunked_array([pa.array([n * 1_000_000 for n in range(size)], pa.timestamp("us"))]),
    ]
    rows = [[n * 10, n * 10 + 1, n * 10 + 2, None if n % 3 else n / 7, str(n), n * 1_000_000] for n in range(size)]
    found = many(starts, clock, clock + 1, clock + 2, columns)
    assert [from_bytes(one) for one in found] == [rows[a:b] for a, b in pairwise(starts)]


@pytest.mark.parametrize("data", [b"", b"\xc1", b"\x91", to_bytes([[1]]) + b"\0", b"\x01", b"\x91\x91\xa1\xff"])
def test_other_bytes_are_an_error(data: bytes):
    with pytest.raises(StoreError) as caught:
        from_bytes(data)
    assert caught.value.code == "STORE_DAMAGED"


@given(st.lists(st.tuples(*[st.one_of(st.none(), st.integers(-(2**63), 2**63 - 1), st.just(2**40))] * 2), max_size=5))
def test_numbers_of_single_rows_come_back_whatever_is_missing(values: list[tuple[int | None, int | None]]):
    clock = np.arange(len(values)) - 2
    columns = [
        pa.array([one for one, _ in values], pa.int64()),
        pa.chunked_array([pa.array([other for _, other in values], pa.timestamp("us"))]),
        pa.array([n / 3 for n in range(len(values))], pa.float64()),
    ]
    found = many(np.arange(len(values) + 1), clock, clock, clock, columns)
    wanted = [[[n - 2, n - 2, n - 2, one, other, n / 3]] for n, (one, other) in enumerate(values)]
    assert [from_bytes(data) for data in found] == wanted
