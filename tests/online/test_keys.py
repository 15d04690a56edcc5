"""Keys as bytes: equal for equal values, different for different ones, by one way or the other."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta, timezone

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.errors import RequestError
from penstock.online.keys import LONGEST, packed, packed_one
from penstock.schema import Dtype

ARROW = {
    Dtype.INT: pa.int64(),
    Dtype.FLOAT: pa.float64(),
    Dtype.BOOL: pa.bool_(),
    Dtype.STRING: pa.string(),
    Dtype.TIMESTAMP: pa.timestamp("us"),
}
TEXTS = st.text(max_size=8) | st.sampled_from(["é", "e\u0301", "a\0b", "a:b", "", "x" * 5_000, "x" * 5_001])
VALUES = {
    Dtype.INT: st.integers(-(2**63), 2**63 - 1),
    Dtype.FLOAT: st.floats(),
    Dtype.BOOL: st.booleans(),
    Dtype.STRING: TEXTS,
    Dtype.TIMESTAMP: st.datetimes(datetime.fromisoformat("1700-01-01"), datetime.fromisoformat("2250-01-01")),
}
ONE = st.sampled_from(list(VALUES)).flatmap(lambda dtype: st.tuples(st.just(dtype), VALUES[dtype]))
COLUMNS = st.sampled_from(list(VALUES)).flatmap(
    lambda dtype: st.tuples(st.just(dtype), st.lists(st.none() | VALUES[dtype], max_size=8))
)


def same(left: object, right: object) -> bool:
    both = isinstance(left, float) and isinstance(right, float) and math.isnan(left) and math.isnan(right)
    return both or left == right


@given(COLUMNS)
def test_a_column_of_keys_is_packed_as_each_of_them_is(told: tuple[Dtype, list[object]]):
    dtype, values = told
    alone = [packed_one(value, dtype) for value in values]
    column = pa.array(values, ARROW[dtype])
    assert packed(column) == alone
    assert packed(pa.chunked_array([column[:1], column[1:]])) == alone
    assert packed(column.dictionary_encode()) == alone if dtype is not Dtype.FLOAT else True


@given(ONE, ONE)
@example((Dtype.STRING, "é"), (Dtype.STRING, "e\u0301"))
@example((Dtype.FLOAT, 0.0), (Dtype.FLOAT, -0.0))
@example((Dtype.INT, 1), (Dtype.FLOAT, 1.0))
def test_keys_are_equal_exactly_where_kind_and_value_are(left: tuple[Dtype, object], right: tuple[Dtype, object]):
    equal = left[0] is right[0] and same(left[1], right[1])
    assert (packed_one(left[1], left[0]) == packed_one(right[1], right[0])) == equal


@given(st.sampled_from([Dtype.INT, Dtype.FLOAT, Dtype.BOOL, Dtype.TIMESTAMP]), st.data())
def test_numbers_and_instants_sort_as_their_bytes_do(dtype: Dtype, data: st.DataObject):
    values = data.draw(st.lists(VALUES[dtype].filter(lambda value: value == value), max_size=6))
    assert sorted(values) == sorted(values, key=lambda value: packed_one(value, dtype))


def test_no_key_is_longer_than_a_store_takes():
    lengths = [len(packed_one("x" * count, Dtype.STRING)) for count in (LONGEST - 1, LONGEST, 5_000)]
    assert lengths == [LONGEST, 33, 33]
    zeros = [len(packed_one("\0" * count, Dtype.STRING)) for count in (LONGEST // 2 - 1, LONGEST // 2)]
    assert zeros == [LONGEST // 2, 33]


def test_an_instant_is_one_key_in_whatever_zone_it_is_said():
    instant = datetime(2026, 1, 2, 3, tzinfo=UTC)
    elsewhere = instant.astimezone(timezone(timedelta(hours=-5)))
    micros = int(instant.timestamp()) * 1_000_000
    said = (instant, elsewhere, instant.replace(tzinfo=None), micros)
    assert len({packed_one(one, Dtype.TIMESTAMP) for one in said}) == 1
    zoned = pa.array([instant], pa.timestamp("ms", "America/New_York"))
    assert packed(zoned) == [packed_one(instant, Dtype.TIMESTAMP)]


def test_null_is_no_bytes_and_no_value_is():
    assert packed(pa.nulls(2)) == [b"", b""] == packed(pa.array([None, None], pa.int64()))
    assert packed(pa.chunked_array([], pa.string())) == []
    assert packed_one("", Dtype.STRING) != packed_one(None, Dtype.STRING) == b""


@pytest.mark.parametrize(
    ("value", "dtype"),
    [("1", Dtype.INT), (True, Dtype.INT), (2**63, Dtype.INT), (1, Dtype.STRING), (1, Dtype.BOOL), (True, Dtype.FLOAT),
     ("\ud800", Dtype.STRING), (10**5_000, Dtype.FLOAT), ([1], Dtype.LIST), (datetime.now(UTC), Dtype.INT)],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_what_is_no_value_of_the_dtype_is_refused(value: object, dtype: Dtype):
    with pytest.raises(RequestError) as caught:
        packed_one(value, dtype)
    assert caught.value.code == "KEY_TYPE"


def test_lists_are_no_keys():
    with pytest.raises(RequestError, match="a key cannot be list"):
        packed(pa.array([[1]]))
