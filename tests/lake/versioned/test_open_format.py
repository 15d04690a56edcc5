"""The tables are Iceberg: its own library reads them, at every version and after every change of columns."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from pyiceberg.catalog.sql import SqlCatalog

from penstock.errors import SourceError
from penstock.lake.versioned import Roles, VersionedTable, open_lake


def committed(table: VersionedTable, batch: str, *rows: dict[str, object]) -> None:
    whole = [{**dict.fromkeys(table.schema.names), **row} for row in rows]
    table.commit(table.stage([pa.RecordBatch.from_pylist(whole, schema=table.schema)]), batch=batch)


def read_by_iceberg(place: Path, snapshot: int | None = None) -> list[dict[str, object]]:
    """The rows as a program reads them that knows nothing of Penstock."""
    catalogue = SqlCatalog("penstock", uri=f"sqlite:///{place / 'catalogue.db'}", warehouse=place.as_uri())
    try:
        rows = catalogue.load_table(("main", "orders")).scan(snapshot_id=snapshot).to_arrow()
    finally:
        catalogue.engine.dispose()
    return sorted(rows.to_pylist(), key=lambda row: row["id"])


def test_any_reader_of_iceberg_reads_every_version(tmp_path: Path) -> None:
    lake = open_lake(tmp_path)
    table = lake.create("orders", pa.schema([("id", pa.int64()), ("amount", pa.int32())]), Roles(key=("id",)))
    committed(table, "a", {"id": 1, "amount": 5}, {"id": 2, "amount": 6})
    table.evolve(add={"city": pa.string()}, widen={"amount": pa.int64()}, rename={"amount": "paid"})
    committed(table, "b", {"id": 3, "paid": 2**40, "city": "Oslo"})
    table.compact()
    own = {"_known": None, "_deleted": None}
    assert read_by_iceberg(tmp_path) == [
        {"id": 1, "paid": 5, **own, "city": None},
        {"id": 2, "paid": 6, **own, "city": None},
        {"id": 3, "paid": 2**40, **own, "city": "Oslo"},
    ]
    first = table.version(1).snapshot
    assert read_by_iceberg(tmp_path, first) == [{"id": n, "amount": n + 4, **own} for n in (1, 2)]


def test_a_lake_that_was_moved_is_refused_until_its_old_place_leads_to_it(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    table = open_lake(before).create("orders", pa.schema([("id", pa.int64())]), Roles(key=("id",)))
    committed(table, "a", {"id": 1})
    before.rename(after)
    with pytest.raises(SourceError, match=rf"was moved or copied: its tables say that they are in {before}\n.*ln -s"):
        open_lake(after).table("orders")
    before.symlink_to(after)
    committed(open_lake(after).table("orders"), "b", {"id": 2})
    assert [one.rows for one in open_lake(before).table("orders").versions()] == [1, 2]
