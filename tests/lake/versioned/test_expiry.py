"""Old versions are forgotten, what is pinned is kept, and no file stays that nothing needs."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.lake.versioned import Expired, Lake, Roles, VersionedTable, carried, open_lake
from tests.conftest import ROOT
from tests.lake.versioned.model import KEYED, SCHEMA, Model, Row, batches, current_of, log_of, read, rows_of

NAMES = Model().names
DAY = 86_400_000_000
NO_TIME = timedelta(0)


class Clock:
    """A clock that is set; it begins now, as files are as old as they are."""

    def __init__(self) -> None:
        self.now = time.time_ns() // 1000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def lake(tmp_path: Path, clock: Clock) -> Lake:
    return open_lake(tmp_path / "lake", now=clock)


@pytest.fixture
def table(lake: Lake, clock: Clock) -> VersionedTable:
    table = lake.create("t", SCHEMA, KEYED)
    for day in range(1, 6):
        clock.now += DAY
        write(table, f"day {day}", rows_of((day, day)), offset=str(day))
    return table


def write(table: VersionedTable, batch: str, rows: list[Row], **facts: str) -> int:
    return table.commit(table.stage(batches(table, rows, NAMES)), batch=batch, facts=facts).number


def numbers(table: VersionedTable) -> list[int]:
    return [version.number for version in table.refresh().versions()]


def files(lake: Lake, ending: str) -> int:
    return len(list(Path(lake.place).rglob(f"*{ending}")))


def test_by_number(lake: Lake, table: VersionedTable):
    assert lake.expire(2).versions == 3
    assert numbers(table) == [4, 5]
    assert lake.expire(1).versions == 1
    assert lake.expire(1) == Expired(0, 0, 0)


def test_by_time_what_was_true_when_it_began_stays(lake: Lake, table: VersionedTable, clock: Clock):
    clock.now += DAY // 2
    assert lake.expire(timedelta(days=2)).versions == 2
    assert numbers(table) == [3, 4, 5]


def test_tags_and_pins_hold(lake: Lake, table: VersionedTable):
    table.tag("model", 2)
    lake.expire(1, pinned={"t": [3]})
    assert numbers(table) == [2, 3, 5]
    assert read(table.scan("model"), "log", NAMES) == log_of(rows_of((1, 1), (2, 2)), NAMES)
    table.untag("model")
    lake.expire(1)
    assert numbers(table) == [5]


def test_files_that_no_version_needs_are_deleted(lake: Lake, table: VersionedTable):
    table.replace(table.stage(batches(table, rows_of((9, 9)), NAMES)), batch="new")
    assert (files(lake, ".parquet"), files(lake, ".avro")) == (6, 13)
    done = lake.expire(1)
    assert (files(lake, ".parquet"), done.versions) == (1, 5)
    assert files(lake, ".avro") <= 3
    assert lake.verify() == ()
    assert read(table.refresh().scan(), "log", NAMES) == log_of(rows_of((9, 9)), NAMES)


def test_a_version_that_expired_is_named(lake: Lake, table: VersionedTable):
    lake.expire(2)
    with pytest.raises(SourceError, match=r"LAKE_UNKNOWN_VERSION: t has no version '1'.*\n.*exists: 4, 5"):
        table.refresh().scan(1)


def test_a_version_that_expires_while_it_is_read_is_named(lake: Lake, table: VersionedTable):
    before = open_lake(lake.place).table("t")
    table.replace(table.stage(batches(table, rows_of((9, 9)), NAMES)), batch="new")
    lake.expire(1)
    with pytest.raises(SourceError, match=r"version 5 of t expired while it was read|LAKE_DAMAGED.*version 5"):
        before.scan()


def test_batches_and_facts_outlive_their_versions(lake: Lake, table: VersionedTable):
    table.tag("old", 2)
    lake.expire(1)
    table = open_lake(lake.place).table("t")
    assert table.facts() == {"offset": "5"}
    before = table.committed("day 3")
    assert before is not None and (before.number, before.added, before.rows) == (3, 1, 3)
    assert write(table, "day 3", rows_of((7, 7))) == 3
    assert numbers(table) == [2, 5]


def test_only_the_last_batch_names_outlive_their_versions(lake: Lake, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(carried, "BATCHES", 2)
    table = lake.create("t", SCHEMA, KEYED)
    for at in range(1, 6):
        write(table, f"b{at}", rows_of((at, at)))
    lake.expire(1)
    assert [table.refresh().committed(f"b{at}") is None for at in range(1, 6)] == [True, True, False, False, False]


def test_what_is_staged_by_a_living_writer_stays(lake: Lake, table: VersionedTable, clock: Clock):
    staged = table.stage(batches(table, rows_of((8, 8)), NAMES))
    clock.now += 30 * DAY
    lake.expire(1, grace=NO_TIME)
    table.commit(staged, batch="late")
    assert read(table.scan(), "log", NAMES) == log_of(rows_of(*((n, n) for n in (1, 2, 3, 4, 5, 8))), NAMES)


STAGES_AND_DIES = """
import sys
from tests.lake.versioned.model import Model, batches, rows_of
from penstock.lake.versioned import open_lake
table = open_lake(sys.argv[1]).table("t")
table.stage(batches(table, rows_of((8, 8)), Model().names))
print("staged", flush=True)
sys.stdin.read()
"""


def test_what_a_killed_writer_left_is_swept(lake: Lake, table: VersionedTable, clock: Clock):
    command = [sys.executable, "-c", STAGES_AND_DIES, lake.place]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None and writer.stdout.readline() == b"staged\n"
        clock.now += 30 * DAY
        assert lake.expire(9, grace=NO_TIME).orphans == 0
        assert files(lake, ".parquet") == 6
        writer.kill()
    assert lake.expire(9, grace=timedelta(days=60)).orphans == 0
    assert lake.expire(9, grace=NO_TIME).orphans == 2  # the rows, and the writer's lock
    assert files(lake, ".parquet") == 5


def test_dropped_tables_are_swept(lake: Lake, table: VersionedTable, clock: Clock):
    lake.drop(table.name)
    clock.now -= 5 * DAY  # the files are of now, whatever the versions say
    lake.expire(1)
    assert files(lake, ".parquet") == 5
    clock.now += 2 * DAY
    lake.expire(1)
    assert files(lake, ".parquet") + files(lake, ".avro") + files(lake, ".json") == 0


# ------------------------------------------------------------------------------------------------- compaction

MIXED = [
    rows_of((1, 1), (2, 2), (3, 3)),
    rows_of((2, 20), (None, 0), known=1),
    rows_of((None, 1), known=2),
    rows_of((1, 0), known=3, deleted=True) + rows_of((7, 7)),
]


@pytest.fixture
def mixed(lake: Lake) -> VersionedTable:
    table = lake.create("t", SCHEMA, KEYED)
    for at, rows in enumerate(MIXED):
        write(table, f"b{at}", rows, at=str(at))
    return table


def test_compaction_keeps_every_row(mixed: VersionedTable):
    whole = [row for rows in MIXED for row in rows]
    done = mixed.compact()
    assert done is not None and (done.kind, done.number) == ("compact", 5)
    scan = mixed.scan()
    assert (len(scan.files), len(scan.several or ()), scan.later) == (2, 1, True)
    assert read(scan, "log", NAMES) == log_of(whole, NAMES)
    assert read(scan, "current", NAMES) == current_of(whole, NAMES) == Counter([(2, 20), (3, 3), (7, 7), (None, 1)])
    assert read(mixed.scan(2), "log", NAMES) == log_of([*MIXED[0], *MIXED[1]], NAMES)
    assert mixed.compact() is None


def test_rows_after_a_compaction_are_compared_with_it(mixed: VersionedTable, lake: Lake):
    whole = [row for rows in MIXED for row in rows]
    mixed.compact()
    late = [rows_of((3, 30), known=-5), rows_of((2, 200), known=9), rows_of((8, 8))]  # one that is older than it looks
    for at, rows in enumerate(late):
        write(mixed, f"late {at}", rows)
        whole += rows
        assert read(mixed.scan(), "current", NAMES) == current_of(whole, NAMES)
    lake.expire(1)
    assert read(mixed.refresh().scan(), "current", NAMES) == current_of(whole, NAMES)
    mixed.say(Roles(key=("amount",)))
    assert not mixed.scan().later
    mixed.say(KEYED)
    mixed.compact()
    assert read(mixed.scan(), "current", NAMES) == current_of(whole, NAMES)


def test_compaction_sorts_by_key_and_then_by_time(mixed: VersionedTable):
    import pyarrow.parquet as pq

    mixed.compact()
    single, several = (pq.read_table(file)["id"].to_pylist() for file in sorted(mixed.scan().files, key=_rows))
    assert (single, several) == ([3, 7], [1, 1, 2, 2, None, None])


def _rows(path: Path) -> int:
    import pyarrow.parquet as pq

    return pq.read_metadata(path).num_rows


def test_large_files_are_left_alone(lake: Lake):
    table = lake.create("t", SCHEMA, KEYED)
    write(table, "large", rows_of(*((n, n) for n in range(10))))
    for at in range(3):
        write(table, f"b{at}", rows_of((at, at * 10)))
    table.compact(target_rows=10)
    assert sorted(_rows(file) for file in table.scan().files) == [3, 10]
    table.compact(target_rows=4)
    assert read(table.scan(), "log", NAMES) == log_of(
        rows_of(*((n, n) for n in range(10)), *((n, n * 10) for n in range(3))), NAMES
    )


def test_batches_are_known_after_compaction(mixed: VersionedTable, lake: Lake):
    mixed.compact()
    lake.expire(1)
    assert write(mixed, "b2", rows_of((5, 5))) == 3
    assert mixed.refresh().facts() == {"at": "3"}
    assert mixed.version().number == 5


def test_compaction_is_no_conflict(mixed: VersionedTable, lake: Lake):
    mixed.compact()
    assert mixed.commit(mixed.stage([]), batch="x", after=4).number == 6
    mixed.compact(1_000_000)
    with pytest.raises(SourceError, match="LAKE_CONFLICT: t is at version"):
        mixed.commit(mixed.stage([]), batch="y", after=4)
    mixed.replace(mixed.stage(batches(mixed, rows_of((1, 1)), NAMES)), batch="z")
    lake.expire(1)
    with pytest.raises(SourceError, match="LAKE_CONFLICT: t is at version"):
        mixed.commit(mixed.stage([]), batch="w", after=0)


def test_inputs_that_were_replaced_meanwhile_are_not_brought_back(mixed: VersionedTable, monkeypatch):
    from penstock.lake.versioned import compaction

    place = compaction._put_in_place

    def replaced_first(*given, **more):
        other = open_lake(mixed_place).table("t")
        other.replace(other.stage(batches(other, rows_of((4, 4)), NAMES)), batch="first")
        return place(*given, **more)

    mixed_place = next(parent for parent in mixed.scan().files[0].parents if parent.name == "lake")
    monkeypatch.setattr(compaction, "_put_in_place", replaced_first)
    assert mixed.compact() is None
    assert read(mixed.refresh().scan(), "log", NAMES) == log_of(rows_of((4, 4)), NAMES)
    assert len(list((mixed_place / "main" / "t" / "data").glob("*.parquet"))) == 5


def test_without_a_key_rows_keep_their_order(lake: Lake):
    from penstock.lake.sql import Sql

    table = lake.create("events", pa.schema([("n", pa.int64())]), Roles())
    for at in range(5):
        table.commit(table.stage([pa.RecordBatch.from_pylist([{"n": -at}], schema=table.schema)]), batch=str(at))
    table.compact()
    assert len(table.scan().files) == 1
    with Sql({"t": table.scan()}) as sql:
        assert sql.arrow("FROM t")["n"].to_pylist() == [0, -1, -2, -3, -4]
