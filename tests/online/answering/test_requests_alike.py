"""A request's value is the same one whether the past is asked or the store, wherever both take it."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal
from typing import Any
from uuid import UUID

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from penstock.errors import PenstockError, RequestError
from penstock.features.historical.keys import coerced as of_the_past
from penstock.features.historical.spine import to_table
from penstock.online.coercing import coerced as of_now
from penstock.schema import Dtype

DTYPES = [Dtype.INT, Dtype.FLOAT, Dtype.BOOL, Dtype.STRING, Dtype.TIMESTAMP]
WRITTEN = st.one_of(
    st.from_regex(r"[-+]?[0-9]{1,3}([.][0-9]{1,2})?(e[-+]?[0-9]{1,3})?", fullmatch=True),
    st.sampled_from(["NaN", "nan", "inf", "Infinity", "-Infinity", "1e400", "01", " 1", "1_0", "0x1", "٣", "", "true"]),
    st.text(max_size=3),
)
VALUES = st.one_of(
    WRITTEN, st.integers(-(2**70), 2**70), st.floats(), st.booleans(), st.none(), st.uuids(),
    st.decimals(-(10**6), 10**6, places=2), st.datetimes(timezones=st.none() | st.just(dt.UTC)), st.dates(),
)  # fmt: skip
REFUSED = object()


def past(value: Any, dtype: Dtype) -> object:
    """The value as a spine's column, in a dtype; instants as microseconds."""
    try:
        column = of_the_past(to_table({"x": [value]})["x"], dtype, "x")
    except PenstockError as error:
        assert error.code in ("SPINE_VALUE", "SOURCE_UNREADABLE")
        return REFUSED
    return (column.cast(pa.int64()) if dtype is Dtype.TIMESTAMP else column)[0].as_py()


def now(value: Any, dtype: Dtype) -> object:
    """The value as a request's; what is not finite is NULL by the time anything is worked out with it."""
    try:
        [found] = of_now([value], dtype, "x")
    except RequestError:
        return REFUSED
    return None if isinstance(found, float) and not math.isfinite(found) else found


@given(VALUES, st.sampled_from(DTYPES))
@example("NaN", Dtype.FLOAT)
@example("1e400", Dtype.FLOAT)
@example(2**53 + 1, Dtype.FLOAT)
@example(2**63, Dtype.INT)
@example(Decimal(7), Dtype.INT)
@example(Decimal("17.49"), Dtype.FLOAT)
@example(UUID(int=7), Dtype.STRING)
def test_what_both_take_is_one_value(value: Any, dtype: Dtype) -> None:
    one, other = past(value, dtype), now(value, dtype)
    assert REFUSED in (one, other) or (type(one), one) == (type(other), other)


@given(WRITTEN, st.sampled_from([Dtype.INT, Dtype.FLOAT, Dtype.STRING]))
def test_texts_are_taken_by_both_or_by_neither(text: str, dtype: Dtype) -> None:
    assert (past(text, dtype) is REFUSED) is (now(text, dtype) is REFUSED)


@pytest.mark.parametrize(("value", "dtype"), [(Decimal(7), Dtype.INT), (Decimal("1.5"), Dtype.FLOAT)])
def test_decimals_and_uuids_are_taken_as_drivers_give_them(value: Any, dtype: Dtype) -> None:
    assert now(value, dtype) == past(value, dtype) == value
    assert now(UUID(int=7), Dtype.STRING) == past(UUID(int=7), Dtype.STRING) == str(UUID(int=7))


@pytest.mark.parametrize("value", [2**63 - 1, -(2**62), Decimal(2**62)])
def test_instants_beyond_what_a_date_can_say_are_refused(value: Any) -> None:
    with pytest.raises(RequestError, match="no instant"):
        of_now([value], Dtype.TIMESTAMP, "x")
