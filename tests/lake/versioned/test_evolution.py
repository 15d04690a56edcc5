"""Columns change by field id: history before and after reads as one column, and old versions keep their names."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import SchemaError
from penstock.lake.sql import Sql
from penstock.lake.versioned import Roles, Scan, VersionedTable, open_lake

SCHEMA = pa.schema([("id", pa.int32()), ("price", pa.float32()), ("cost", pa.decimal128(6, 2)), ("note", pa.string())])
ROLES = Roles(key=("id",), happened=None, links={"note": "notes"})


@pytest.fixture
def table(tmp_path: Path) -> VersionedTable:
    table = open_lake(tmp_path).create("items", SCHEMA, ROLES)
    write(table, "first", {"id": 1, "price": 1.5, "cost": None, "note": "a"}, {"id": 2, "price": 2.5, "note": "b"})
    return table


def write(table: VersionedTable, batch: str, *rows: dict[str, object]) -> int:
    staged = table.stage([pa.RecordBatch.from_pylist(list(rows), schema=table.schema)])
    return table.commit(staged, batch=batch).number


def read(scan: Scan) -> list[dict[str, object]]:
    with Sql({"t": scan}) as sql:
        return sql.arrow("FROM t ORDER BY 1").to_pylist()


def test_a_renamed_column_reads_as_one(table: VersionedTable):
    table.evolve(rename={"note": "remark", "id": "number"})
    write(table, "second", {"number": 3, "remark": "c"})
    assert [(row["number"], row["remark"]) for row in read(table.scan())] == [(1, "a"), (2, "b"), (3, "c")]
    assert [(row["id"], row["note"]) for row in read(table.scan(1))] == [(1, "a"), (2, "b")]
    assert table.roles == Roles(key=("number",), links={"remark": "notes"})
    assert table.scan(1).key == ("id",)


def test_names_may_be_swapped(table: VersionedTable):
    table.evolve(rename={"note": "price", "price": "note"})
    assert read(table.scan())[0] == {"id": 1, "note": 1.5, "cost": None, "price": "a"}


def test_a_dropped_and_added_name_is_another_column(table: VersionedTable):
    table.evolve(drop=["note"]).evolve(add={"note": pa.string()})
    assert [row["note"] for row in read(table.scan())] == [None, None]
    assert [row["note"] for row in read(table.scan(1))] == ["a", "b"]


def test_types_widen(table: VersionedTable):
    table.evolve(widen={"id": pa.int64(), "price": pa.float64(), "cost": pa.decimal128(12, 2)})
    write(table, "second", {"id": 2**40, "price": 1e300, "cost": None})
    assert [row["id"] for row in read(table.scan())] == [1, 2, 2**40]
    assert [row["price"] for row in read(table.scan())] == [1.5, 2.5, 1e300]
    assert table.schema.field("cost").type == pa.decimal128(12, 2)


@pytest.mark.parametrize(
    ("column", "to"),
    [
        ("id", pa.float64()),
        ("price", pa.int64()),
        ("note", pa.int64()),
        ("note", pa.binary()),
        ("cost", pa.decimal128(12, 3)),
        ("cost", pa.decimal128(5, 2)),
    ],
    ids=str,
)
def test_types_do_not_narrow(table: VersionedTable, column: str, to: pa.DataType):
    with pytest.raises(SchemaError, match=f"LAKE_NARROWING: '{column}' is .* and cannot become"):
        table.evolve(widen={column: to})
    assert table.schema.field(column).type == SCHEMA.field(column).type


def test_what_does_not_exist_is_named(table: VersionedTable):
    with pytest.raises(SchemaError, match="Did you mean 'price'"):
        table.evolve(rename={"prise": "amount"})
    with pytest.raises(SchemaError, match="LAKE_UNKNOWN_COLUMN: there is no column '_known'"):
        table.evolve(drop=["_known"])
    with pytest.raises(SchemaError, match="LAKE_UNKNOWN_COLUMN: items has no column 'key'"):
        table.say(Roles(key=("key",)))


def test_two_columns_of_one_name_are_refused(table: VersionedTable):
    with pytest.raises(SchemaError, match="LAKE_COLUMN_EXISTS: there would be two columns called 'price'"):
        table.evolve(add={"price": pa.int64()})
    with pytest.raises(SchemaError, match="LAKE_COLUMN_EXISTS: there would be two columns called 'note'"):
        table.evolve(rename={"price": "note"})


def test_the_key_is_not_dropped(table: VersionedTable):
    with pytest.raises(SchemaError, match="LAKE_COLUMN_IN_USE: 'id' is part of the table's key"):
        table.evolve(drop=["id"])


def test_a_list_is_added_with_ids_of_its_own(table: VersionedTable):
    table.evolve(add={"tags": pa.list_(pa.string()), "after": pa.int32()})
    write(table, "second", {"id": 3, "tags": ["x", None], "after": 7})
    assert [(row["tags"], row["after"]) for row in read(table.scan())] == [(None, None), (None, None), (["x", None], 7)]


def test_rows_staged_before_a_change_are_read_after_it(table: VersionedTable):
    staged = table.stage([pa.RecordBatch.from_pylist([{"id": 3, "price": 9.5, "note": "c"}], schema=table.schema)])
    table.evolve(rename={"note": "price", "price": "was"}, widen={"price": pa.float64()}, add={"more": pa.int32()})
    table.commit(staged, batch="late")
    assert read(table.scan())[2] == {"id": 3, "was": 9.5, "cost": None, "price": "c", "more": None}


def test_another_key_asks_all_files_again(table: VersionedTable):
    table.say(Roles(key=("note",)))
    write(table, "second", {"id": 3, "note": "zz"}, {"id": 4, "note": "zzz"})
    assert [row["id"] for row in read(table.scan())] == [1, 2, 3, 4]
    table.say(Roles(key=("price",)))
    assert len(read(table.scan())) == 3  # two rows have no price
