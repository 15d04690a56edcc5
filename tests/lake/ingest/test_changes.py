"""A source whose columns change: what goes through, what is refused by name, and that nothing is committed then."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import SchemaError
from penstock.lake.ingest import Ingested, Intake, ingest
from penstock.lake.versioned import Lake, open_lake
from tests.lake.ingest.history import current, log


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


def take(lake: Lake, rows: dict[str, object] | None, *, now: int = 5_000, allow_drops=frozenset(), **how) -> Ingested:
    tables = {"other": pa.table({"x": [1]})} if rows is None else {"t": pa.table(rows)}
    intake = Intake("t", tables, "t", **{"key": ("id",), "mode": "compare", **how})
    place = Path(lake.place).parent / "quarantine"
    return ingest(intake, lake, quarantine=place, now=lambda: now, allow_drops=allow_drops)


def must_refuse(lake: Lake, code: str, told: str, rows: dict[str, object] | None, **how: object) -> SchemaError:
    before = (lake.table("t").schema, lake.table("t").newest(), log(lake)) if "t" in lake else None
    with pytest.raises(SchemaError, match=told) as caught:
        take(lake, rows, **how)
    assert caught.value.code == code
    assert before == ((lake.table("t").schema, lake.table("t").newest(), log(lake)) if "t" in lake else None)
    return caught.value


def test_a_new_column_is_null_in_earlier_rows(lake: Lake):
    take(lake, {"id": [1, 2]})
    done = take(lake, {"id": [1, 2], "more": ["a", None]})
    assert (done.changed, done.added) == (1, 0)
    assert sorted(current(lake), key=lambda r: r["id"]) == [{"id": 1, "more": "a"}, {"id": 2, "more": None}]


def test_a_wider_type_goes_through(lake: Lake):
    first = {"id": pa.array([1], pa.int32()), "x": pa.array([0.5], pa.float32()), "d": pa.array([Decimal("1.25")])}
    take(lake, first)
    second = {"id": [1, 2**40], "x": [0.5, 0.1], "d": pa.array([Decimal("1.25"), Decimal("99999.75")])}
    assert take(lake, second).added == 1
    kinds = {f.name: str(f.type) for f in lake.table("t").schema}
    assert (kinds["id"], kinds["x"], kinds["d"]) == ("int64", "double", "decimal128(7, 2)")
    assert [row["x"] for row in sorted(current(lake), key=lambda r: r["id"])] == [0.5, 0.1]


def test_a_narrower_type_is_refused(lake: Lake):
    take(lake, {"id": [1], "n": [2**40]})
    must_refuse(lake, "INGEST_COLUMN_NARROWED", "'n' from int64 to int32", {"id": [1], "n": pa.array([1], pa.int32())})


def test_another_type_is_refused(lake: Lake):
    take(lake, {"id": [1], "n": [1]})
    must_refuse(lake, "INGEST_COLUMN_RETYPED", "'n' from int64 to string", {"id": [1], "n": ["1"]})


def test_nothing_but_null_has_any_type(lake: Lake):
    take(lake, {"id": [1], "n": [1]})
    assert take(lake, {"id": [1], "n": pa.nulls(1)}).changed == 1


def test_a_dropped_column_is_refused_unless_allowed(lake: Lake):
    take(lake, {"id": [1, 2], "v": ["a", "b"]})
    found = must_refuse(lake, "INGEST_COLUMN_DROPPED", "no longer has the column 'v'", {"id": [1, 3], "w": ["a", "c"]})
    assert found.candidates == ("w",)
    assert "Was it renamed?" in str(found)
    done = take(lake, {"id": [1, 3]}, allow_drops={"v"})
    assert (done.added, done.changed, done.deleted) == (1, 0, 1)
    assert {(row["id"], row["v"]) for row in current(lake)} == {(1, "a"), (3, None)}


def test_a_rename_is_one_line(lake: Lake):
    take(lake, {"id": [1], "amount": [5.0]})
    done = take(lake, {"id": [1, 2], "payment_amount": [5.0, 6.0]}, renames={"amount": "payment_amount"})
    assert (done.added, done.changed, done.deleted) == (1, 0, 0)
    assert {(row["id"], row["amount"]) for row in current(lake)} == {(1, 5.0), (2, 6.0)}
    before = take(lake, {"id": [1, 2], "amount": [5.0, 6.0]}, renames={"amount": "payment_amount"})
    assert before.batch == ""


def test_a_rename_may_not_meet_another_column(lake: Lake):
    rows = {"id": [1], "amount": [5.0], "payment_amount": [6.0]}
    must_refuse(lake, "INGEST_REPEATED_COLUMN", "two columns that are called 'amount'", rows,
                renames={"amount": "payment_amount"})  # fmt: skip


@pytest.mark.parametrize("name", ["_known", "_deleted", "_KNOWN", "_penstock_row", " "])
def test_the_lakes_own_names_are_reserved(lake: Lake, name: str):
    must_refuse(lake, "INGEST_RESERVED_COLUMN", "may not be called", {"id": [1], name: [1]})
    assert take(lake, {"id": [1], name: [1]}, renames={"plain": name}).added == 1


def test_names_differ_by_more_than_capital_letters(lake: Lake):
    must_refuse(lake, "INGEST_REPEATED_COLUMN", "'V' and 'v' differ only", {"id": [1], "V": [1], "v": [2]})


def test_a_vanished_table_is_refused(lake: Lake):
    take(lake, {"id": [1]})
    found = must_refuse(lake, "INGEST_TABLE_VANISHED", "no longer has the table 't'", None)
    assert found.candidates == ("other",)


def test_the_key_stays(lake: Lake):
    take(lake, {"id": [1], "v": [1]})
    must_refuse(lake, "INGEST_KEY_CHANGED", "was id and is to be v", {"id": [1], "v": [1]}, key=("v",))


def test_columns_that_are_named_must_be_there(lake: Lake):
    rows = {"id": [1], "v": [1]}
    for how in ({"key": ("no",)}, {"happened": "no"}, {"known": "no"}, {"watermark": "no"}, {"columns": ("id", "no")}):
        must_refuse(lake, "INGEST_UNKNOWN_COLUMN", "no column 'no'", rows, **how)
    must_refuse(lake, "INGEST_NO_WATERMARK", "name a column that grows", rows, mode="incremental", key=())
    must_refuse(lake, "INGEST_MODE", "'often' is no way to ingest", rows, mode="often")


def test_clocks_hold_instants_or_nothing_yet(lake: Lake):
    rows = {"id": [1], "text": ["2024-01-01"], "seconds": [1_700_000_000], "nothing": [None]}
    for how in ({"happened": "text"}, {"known": "text"}, {"happened": "seconds"}):
        must_refuse(lake, "INGEST_TIME", "is to say when rows happened or were known", rows, **how)
    assert take(lake, rows, happened="nothing").added == 1


def test_only_the_named_columns_are_read(lake: Lake):
    assert take(lake, {"id": [1], "v": [1], "secret": ["x"]}, columns=("id", "v")).added == 1
    assert current(lake) == [{"id": 1, "v": 1}]


def test_lists_of_lists_are_refused(lake: Lake):
    must_refuse(lake, "INGEST_COLUMN_TYPE", "'m' holds lists of lists", {"id": [1], "m": [[[1]]]})
