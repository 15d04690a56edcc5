"""A torn, missing or changed file is noticed and named, with what can be read instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from penstock.errors import SourceError
from penstock.lake.sql import Sql
from penstock.lake.versioned import Lake, Scan, VersionedTable, open_lake
from penstock.lake.versioned.storage import local_path
from tests.lake.versioned.model import KEYED, SCHEMA, Model, batches, rows_of

NAMES = Model().names


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    lake = open_lake(tmp_path / "lake")
    table = lake.create("orders", SCHEMA, KEYED)
    for at in range(3):
        table.commit(table.stage(batches(table, rows_of((at, at)), NAMES)), batch=f"b{at}")
    return lake


def again(lake: Lake) -> VersionedTable:
    """The table as another process would open it."""
    return open_lake(lake.place).table("orders")


def read(scan: Scan) -> list[dict[str, object]]:
    with Sql({"t": scan}) as sql:
        return sql.arrow("FROM t").to_pylist()


def torn(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-7])


def changed(path: Path) -> None:
    """One bit, and nothing else to be seen: the same size and the same time of change is no defence of a writer's."""
    content = bytearray(path.read_bytes())
    content[len(content) // 3] ^= 1
    path.write_bytes(bytes(content))


def missing(path: Path) -> None:
    path.unlink()


def lying(path: Path) -> None:
    """A file of another table's rows with a right footer of its own, filled up to the size that was noted."""
    size = path.stat().st_size
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    path.write_bytes(path.read_bytes().rjust(size, b"\0")[-size:])


@pytest.mark.parametrize(
    ("damage", "reason"),
    [
        (torn, "it has [0-9]+ bytes instead of [0-9]+"),
        (changed, "its content is not what was written"),
        (missing, "it is missing"),
        (lying, "it has [0-9]+ bytes instead|its content is not what was written"),
    ],
)
def test_a_damaged_file_is_named(lake: Lake, damage: Callable[[Path], None], reason: str):
    path = again(lake).scan(3).files[1]
    assert path not in again(lake).scan(1).files
    damage(path)
    with pytest.raises(SourceError, match=f"LAKE_DAMAGED: orders: .*{path.name}: ({reason})") as caught:
        read(again(lake).scan())
    assert "Version 1 is whole: read that, or restore the file from a backup." in str(caught.value)
    assert read(again(lake).scan(1)) == [{"id": 0, "amount": 0}]
    (found,) = lake.verify()
    assert (found.table, found.file, found.version) == ("orders", path.as_uri(), 2)


def test_a_change_after_the_first_reading_is_noticed(lake: Lake):
    table = again(lake)
    assert len(read(table.scan())) == 3
    changed(table.scan().files[0])
    with pytest.raises(SourceError, match="its content is not what was written"):
        read(table.scan())


def test_tables_that_are_not_asked_are_not_read(lake: Lake):
    table = again(lake)
    scan, good = table.scan(), table.scan(1)
    changed(scan.files[2])
    with Sql({"bad": scan, "good": good}) as sql:
        assert sql.arrow("FROM good").num_rows == 1
        with pytest.raises(SourceError, match="LAKE_DAMAGED"):
            sql.arrow('FROM good, "BAD"')


def test_a_damaged_first_file_leaves_no_version_whole(lake: Lake):
    missing(again(lake).scan(1).files[0])
    with pytest.raises(SourceError, match="Restore the file from a backup; no older version is whole"):
        again(lake).scan()


@pytest.mark.parametrize("damage", [torn, changed])
def test_torn_metadata_is_named(lake: Lake, damage: Callable[[Path], None]):
    folder = again(lake).scan().files[0].parent.parent / "metadata"
    newest = max(folder.glob("*.metadata.json"), key=lambda path: path.name)
    damage(newest)
    with pytest.raises(SourceError, match=f"LAKE_DAMAGED: orders: .*{newest.name}") as caught:
        again(lake)
    assert "The metadata before it is whole and ends at version 2" in str(caught.value)
    (found,) = open_lake(lake.place).verify()
    assert (found.table, found.version) == ("orders", 0)
    missing(newest)
    with pytest.raises(SourceError, match=f"LAKE_DAMAGED: orders: .*{newest.name}: it is missing"):
        again(lake)


@pytest.mark.parametrize("damage", [torn, changed, missing])
def test_torn_lists_of_files_are_named(lake: Lake, damage: Callable[[Path], None]):
    folder = Path(lake.place) / "main" / "orders" / "metadata"
    (path,) = folder.glob(f"snap-{again(lake).version(3).snapshot}-*.avro")
    damage(path)
    with pytest.raises(SourceError, match=r"LAKE_DAMAGED: orders: .*the list of files of version 3"):
        again(lake).scan()
    assert len(read(again(lake).scan(2))) == 2
    assert [(found.table, local_path(found.file).name, found.version) for found in open_lake(lake.place).verify()] == [
        ("orders", path.name, 3)
    ]


def test_staged_rows_that_were_changed_are_not_committed(lake: Lake):
    table = again(lake)
    staged = table.stage(batches(table, rows_of((9, 9)), NAMES))
    changed(staged.files[0])
    with pytest.raises(SourceError, match=r"LAKE_DAMAGED: orders: the staged file .*its content is not what was"):
        table.commit(staged, batch="b9")
    assert table.refresh().version().number == 3


def test_a_whole_lake_has_no_damage(lake: Lake):
    assert lake.verify() == ()
