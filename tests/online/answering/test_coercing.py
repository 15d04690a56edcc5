"""Values of requests are taken exactly, or refused with their place."""

from __future__ import annotations

import datetime as dt
import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RequestError
from penstock.features.views.bound import BoundEntity
from penstock.features.views.entities import composed
from penstock.online.coercing import MOST, asked_rows, coerced, composed_keys, entity_keys
from penstock.schema import Dtype

DRIVER = BoundEntity("driver", ("driver_id",), (Dtype.INT,), "drivers", "driver_id")
PAIR = BoundEntity("pair", ("a", "b"), (Dtype.STRING, Dtype.INT), "pairs", "key", virtual=True)


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (1, Dtype.INT, 1),
        ("1", Dtype.INT, 1),
        ("-9223372036854775808", Dtype.INT, -(2**63)),
        (1.0, Dtype.INT, 1),
        (np.int32(7), Dtype.INT, 7),
        (np.float64(7), Dtype.INT, 7),
        (7, Dtype.FLOAT, 7.0),
        (2**53, Dtype.FLOAT, 2.0**53),
        ("-Infinity", Dtype.FLOAT, -math.inf),
        ("1.5e3", Dtype.FLOAT, 1500.0),
        (True, Dtype.BOOL, True),
        ("é", Dtype.STRING, "é"),
        ("e\u0301", Dtype.STRING, "e\u0301"),
        ("1970-01-01T01:00:00+01:00", Dtype.TIMESTAMP, 0),
        ("1970-01-02", Dtype.TIMESTAMP, 86_400_000_000),
        (dt.datetime(1970, 1, 1, tzinfo=dt.UTC), Dtype.TIMESTAMP, 0),
        (5, Dtype.TIMESTAMP, 5),
        (("a",), Dtype.LIST, ["a"]),
        (None, Dtype.INT, None),
    ],
)
def test_values_become_what_was_declared(value: object, dtype: Dtype, expected: object) -> None:
    [found] = coerced([value], dtype, "x")
    assert (type(found), found) == (type(expected), expected)


@pytest.mark.parametrize(
    ("value", "dtype", "noun"),
    [
        *[(value, Dtype.INT, "whole number") for value in
          ("1.0", "x", "", " 1", "01", "+1", "-0", "１", True, 1.5, math.nan, math.inf, 2**63, -(2**63) - 1, 2.0**60,
           2.0**53,
           "9223372036854775808", [1], {}, b"1", np.True_)],
        *[(value, Dtype.FLOAT, "number") for value in ("x", True, "nan", "1e", ".5", [1.0], 10**400, 2**53 + 1)],
        *[(value, Dtype.BOOL, "truth value") for value in (1, 0, "true", None.__class__)],
        *[(value, Dtype.STRING, "text") for value in (1, b"a", "\ud800", "a\udfffb", ["a"])],
        *[(value, Dtype.TIMESTAMP, "instant") for value in ("soon", 1.5, True, "2024-13-01", [])],
    ],
)  # fmt: skip
def test_everything_else_is_refused_with_its_place(value: object, dtype: Dtype, noun: str) -> None:
    with pytest.raises(RequestError, match=rf"x\[1\] is .* no {noun}") as caught:
        coerced([None, value], dtype, "x")
    assert caught.value.code == "ENTITY_VALUE"
    str(caught.value).encode()


@given(
    st.lists(st.none() | st.integers() | st.text() | st.floats() | st.booleans(), max_size=5), st.sampled_from(Dtype)
)
def test_no_value_does_anything_else(values: list[Any], dtype: Dtype) -> None:
    try:
        found = coerced(values, dtype, "x")
    except RequestError as error:
        assert error.code == "ENTITY_VALUE"
    else:
        assert [one is None for one in found] == [one is None for one in values]
        kinds = {Dtype.INT: int, Dtype.TIMESTAMP: int, Dtype.FLOAT: float, Dtype.BOOL: bool, Dtype.LIST: list}
        assert {type(one) for one in found} <= {kinds.get(dtype, str), type(None)}


TEXTS = st.text(alphabet="a|\\é", max_size=5)


@given(st.lists(st.tuples(st.none() | TEXTS, st.none() | st.integers(-5, 5)), min_size=1, max_size=5))
def test_keys_of_several_columns_are_composed_as_tables_compose_them(rows: list[tuple[Any, Any]]) -> None:
    parts = [list(part) for part in zip(*rows, strict=True)]
    theirs = composed([pa.array(parts[0], pa.string()), pa.array(parts[1], pa.int64())])
    assert composed_keys(parts, PAIR.dtypes) == theirs.to_pylist()


def test_instants_and_truth_values_in_keys_are_composed_as_tables_compose_them() -> None:
    dtypes = (Dtype.TIMESTAMP, Dtype.BOOL, Dtype.FLOAT)
    theirs = composed([pa.array([5], pa.timestamp("us")), pa.array([True]), pa.array([0.5])])
    assert composed_keys([[5], [True], [0.5]], dtypes) == theirs.to_pylist()


def test_columns_have_one_length_and_are_there() -> None:
    with pytest.raises(RequestError, match="a has 1, b has 2") as caught:
        asked_rows({"a": [1], "b": [1, 2]})
    assert caught.value.code == "ENTITY_LENGTHS"
    with pytest.raises(RequestError, match="100,001 entities") as caught:
        asked_rows({"a": range(MOST + 1)})
    assert caught.value.code == "REQUEST_TOO_MANY"
    with pytest.raises(RequestError, match="no driver_id, which driver is known by") as caught:
        entity_keys(DRIVER, {"id": [1]}, 1)
    assert caught.value.code == "ENTITY_MISSING"


@pytest.mark.parametrize("column", ["12", b"12", 12, None])
def test_a_single_value_is_no_column(column: Any) -> None:
    with pytest.raises(RequestError, match="a is a single value") as caught:
        asked_rows({"a": column})
    assert caught.value.code == "ENTITY_COLUMN"


def test_arrays_are_columns_too() -> None:
    moment = np.array(["1970-01-02"], "datetime64[ns]")
    assert coerced(moment, Dtype.TIMESTAMP, "x") == [86_400_000_000]
    assert coerced(np.array([1, 2]), Dtype.INT, "x") == [1, 2]
    assert coerced(pa.array(["a", None]), Dtype.STRING, "x") == ["a", None]  # type: ignore[arg-type]


def test_a_missing_part_of_a_key_is_nothing_and_a_missing_key_is_where_that_is_asked_for() -> None:
    assert entity_keys(PAIR, {"a": ["x", "y"]}, 2) == [None, None]
    assert entity_keys(PAIR, {"c": ["x", "y"]}, 2, lenient=True) == [None, None]
    with pytest.raises(RequestError, match="no a and no b, which pair is known by") as caught:
        entity_keys(PAIR, {"c": [1]}, 1)
    assert caught.value.code == "ENTITY_MISSING"
    assert entity_keys(PAIR, {"b": [1, None], "a": ["x", "y"]}, 2) == ["x|1", None]
