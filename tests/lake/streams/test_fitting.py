"""Messages as rows: what becomes a column of which type, what fits, and what is told of the rest."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.lake.reading import read_number
from penstock.lake.streams.fitting import Columns
from penstock.lake.streams.parsing import UnreadableError, json_rows
from penstock.lake.streams.values import MisfitError, fitting, instant

EMPTY = Columns({}, ("id",), "at")


def fitted(columns: Columns, *rows: dict, typed: bool = False):
    draft = columns.draft()
    found = []
    for row in rows:
        try:
            found.append(draft.fit(row, typed=typed))
        except MisfitError as misfit:
            found.append(str(misfit))
    return draft.columns(), found


def test_first_values_decide_the_columns():
    columns, found = fitted(
        EMPTY,
        {
            "id": 1,
            "at": "2024-01-02T03:04:05Z",
            "ok": True,
            "amount": 5,
            "count": 5,
            "big": 2**60,
            "tags": ["a"],
            "no": None,
        },
        {"id": 2, "mixed": [1, "a"], "amount": 5.5},
    )
    assert {name: str(kind) for name, kind in columns.types.items()} == {
        "id": "int64", "at": "timestamp[us]", "ok": "bool", "amount": "double", "count": "int64", "big": "int64",
        "tags": "list<item: string>", "mixed": "string",
    }  # fmt: skip
    assert found[1] == {"id": 2, "mixed": '[1, "a"]', "amount": 5.5}
    batch = columns.batch(found, [10, 11])
    assert batch["at"].to_pylist() == [datetime(2024, 1, 2, 3, 4, 5), None]  # noqa: DTZ001
    assert batch["_known"].cast(pa.int64()).to_pylist() == [10, 11]


def test_typed_rows_keep_whole_numbers():
    columns, _ = fitted(EMPTY, {"id": 1, "amount": 5, "day": date(2024, 1, 2), "price": Decimal("1.5")}, typed=True)
    assert [str(kind) for kind in columns.types.values()] == ["int64", "int64", "date32[day]", "double"]


@pytest.mark.parametrize(
    ("row", "reason"),
    [
        ({"at": 1_700_000_000}, "the key column 'id' is missing"),
        ({"id": None}, "the key column 'id' is missing"),
        ({"id": "one"}, "column 'id': 'one' is no whole number"),
        ({"id": True}, "column 'id': True is no whole number"),
        ({"id": 1.5}, "column 'id': 1.5 is no whole number"),
        ({"id": 2**63}, "column 'id': 9223372036854775808 does not fit 64 bits"),
        ({"id": 1, "at": "yesterday"}, "column 'at': 'yesterday' is no instant"),
        ({"id": 1, "at": "2024-02-30"}, "column 'at': '2024-02-30' is no instant"),
        ({"id": 1, "at": 12}, "column 'at': 12 is no instant"),
        ({"id": 1, "at": True}, "column 'at': True is no instant"),
        ({"id": 1, "text": 5}, "column 'text': 5 is no text"),
        ({"id": 1, "text": "\ud800"}, "column 'text': '\\ud800' holds half a character"),
        ({"id": 1, "amount": "5"}, "column 'amount': '5' is no number"),
        (
            {"id": 1, "amount": 2**53 + 1},
            "column 'amount': 9007199254740993 does not fit a floating-point number exactly",
        ),
        ({"id": 1, "amount": 1e400}, "column 'amount': inf is no number"),
        ({"id": 1, "Text": "a"}, "column 'Text': another column's name differs from this one only in case"),
        ({"id": 1, "new": 1, "NEW": 2}, "column 'NEW': another column's name differs from this one only in case"),
        ({"id": 1, "_known": 5}, "column '_known': this name is the lake's own"),
        ({"id": 1, "_deleted": "yes"}, "column '_deleted': this name is the lake's own"),
        ({"id": 1, " ": 5}, "column ' ': this is no name for a column"),
        ({"id": 1, "fixed": 5}, "column 'fixed': the table has no such column, and it cannot be added"),
        ({"id": 1, "a": 1, "b": 2, "c": 3}, "column 'c': the table would have more than 6 columns"),
    ],
)
def test_what_does_not_fit_is_told_and_leaves_the_columns_alone(row: dict, reason: str):
    types = {"id": pa.int64(), "at": pa.timestamp("us"), "text": pa.string(), "amount": pa.float64()}
    columns = Columns(types, ("id",), "at", most=6, fixed=frozenset({"fixed"}))
    after, found = fitted(columns, row)
    assert found == [reason]
    assert after.types == types


@given(st.integers(1, 5 * 10**15))
def test_instants_of_numbers_are_those_of_whole_columns(number: int):
    read = read_number("", pa.chunked_array([[number]]), timely=True)
    if read is None:
        with pytest.raises(MisfitError, match="is no instant"):
            instant(number)
    else:
        assert instant(number) == read.values.cast(pa.int64())[0].as_py()


@given(st.datetimes(datetime(1900, 1, 1), datetime(2100, 1, 1)), st.integers(-14 * 60, 14 * 60))  # noqa: DTZ001
def test_instants_of_texts_know_their_zone(when: datetime, minutes: int):
    zoned = when.replace(tzinfo=timezone(timedelta(minutes=minutes)))
    expected = (zoned - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)
    assert instant(zoned.isoformat()) == expected
    assert instant(when.isoformat(sep=" ")) == (when - datetime(1970, 1, 1)) // timedelta(microseconds=1)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("kind", "value", "kept"),
    [
        (pa.int32(), 7, 7),
        (pa.int64(), 3.0, 3),
        (pa.float32(), 0.1, 0.10000000149011612),
        (pa.decimal128(9, 2), "1.5", Decimal("1.50")),
        (pa.decimal128(9, 2), 0.1, Decimal("0.10")),
        (pa.date32(), "1970-01-03", 2),
        (pa.time64("us"), "00:00:01", 1_000_000),
        (pa.binary(), b"a", b"a"),
        (pa.list_(pa.int64()), [1, None], [1, None]),
        (pa.string(), [1], "[1]"),
    ],
)
def test_values_of_declared_types(kind: pa.DataType, value: object, kept: object):
    assert fitting(kind)(value) == kept


@pytest.mark.parametrize(
    ("kind", "value", "reason"),
    [
        (pa.int32(), 2**40, "does not fit 32 bits"),
        (pa.decimal128(3, 2), "12.345", "does not fit decimal"),
        (pa.date32(), "1970-01-03T01:00:00", "is no date"),
        (pa.time64("us"), "25:00", "is no time of day"),
        (pa.binary(), "a", "is no bytes"),
        (pa.list_(pa.string()), "a", "is no list"),
        (pa.struct([("a", pa.int64())]), 1, "cannot be put into a column of type"),
    ],
)
def test_values_that_no_declared_type_holds(kind: pa.DataType, value: object, reason: str):
    with pytest.raises(MisfitError, match=reason):
        fitting(kind)(value)


@given(st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "surrogatepass")))
def test_any_payload_gives_rows_or_a_reason(payload: bytes):
    try:
        rows = json_rows(payload)
    except UnreadableError as error:
        assert str(error).startswith("this is")
    else:
        fitted(EMPTY, *rows)
