"""Versions by number, tag and instant, their differences, and commits that happen once."""

from __future__ import annotations

import re
from collections import Counter
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RequestError, SchemaError, SourceError
from penstock.lake.sql import Sql
from penstock.lake.versioned import Lake, Roles, Scan, VersionedTable, open_lake
from tests.lake.versioned.model import KEYED, SCHEMA, Model, Row, batches, current_of, read, rows_of

NAMES = Model().names
BEGAN = datetime(2030, 1, 1, tzinfo=UTC)


class Days:
    """A clock that a day passes on between any two looks."""

    def __init__(self) -> None:
        self.days = -1

    def __call__(self) -> int:
        self.days += 1
        return int((BEGAN + timedelta(days=self.days)).timestamp()) * 1_000_000


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path, now=Days())


@pytest.fixture
def table(lake: Lake) -> VersionedTable:
    return filled(lake, rows_of((1, 1)), rows_of((2, 2)), rows_of((1, 10), known=1))


def filled(lake: Lake, *versions: list[Row], name: str = "t", roles: Roles = KEYED) -> VersionedTable:
    table = lake.create(name, SCHEMA, roles)
    for at, rows in enumerate(versions):
        table.commit(table.stage(batches(table, rows, NAMES)), batch=f"b{at}")
    return table


@pytest.mark.parametrize(
    ("which", "number"),
    [
        (None, 3), (2, 2), ("2", 2), ("model", 1),
        ("2030-01-01", 1), ("2030-01-01T23:59:59.999", 1), ("2030-01-02T00:00:00Z", 2), ("2030-01-02T00:30+01:00", 1),
        (BEGAN + timedelta(days=1), 2), (datetime(2031, 1, 1), 3),  # noqa: DTZ001  (without a zone it is UTC)
        (datetime(2030, 1, 2, 5, tzinfo=timezone(timedelta(hours=6))), 1),
    ],
)  # fmt: skip
def test_a_version_is_named_by_number_tag_or_instant(table: VersionedTable, which: object, number: int):
    table.tag("model", 1)
    assert table.version(which).number == number
    assert table.scan(which).files == table.scan(number).files


@pytest.mark.parametrize("which", [4, 0, -1, "4", "modle", "2029-12-31", datetime(1970, 1, 1, tzinfo=UTC)], ids=str)
def test_what_is_no_version_is_named_with_what_there_is(table: VersionedTable, which: int | str | datetime):
    table.tag("model", 1)
    with pytest.raises(SourceError, match=re.escape(f"t has no version '{which}'")) as caught:
        table.scan(which)
    assert caught.value.code == "LAKE_UNKNOWN_VERSION"
    assert caught.value.candidates == ("1", "2", "3", "model")


def test_a_table_without_rows_has_no_version(lake: Lake):
    table = lake.create("t", SCHEMA, KEYED)
    assert table.newest() is None and table.versions() == ()
    assert read(table.scan(), "current", NAMES) == Counter()
    with pytest.raises(SourceError, match="LAKE_UNKNOWN_VERSION: t has no version yet"):
        table.version()


def test_tags(table: VersionedTable, lake: Lake):
    table.tag("b", 2)
    table.tag("a")
    assert lake.table("t").tags() == {"a": 3, "b": 2}
    table.tag("a", 3)
    with pytest.raises(RequestError, match="LAKE_TAG_TAKEN: t has a tag 'a' on version 3"):
        table.tag("a", 1)
    table.tag("a", 1, replace=True)
    table.untag("b")
    assert lake.table("t").tags() == {"a": 1}
    with pytest.raises(SourceError, match="LAKE_UNKNOWN_TAG: t has no tag 'b'"):
        table.untag("b")
    with pytest.raises(SourceError, match="LAKE_UNKNOWN_VERSION"):
        table.tag("c", 9)
    for name in ("main", "7", " "):
        with pytest.raises(RequestError, match="LAKE_BAD_TAG"):
            table.tag(name, 1)


def test_instants_grow_even_when_the_clock_does_not(tmp_path: Path):
    table = filled(open_lake(tmp_path, now=lambda: 0), rows_of((1, 1)), rows_of((2, 2)))
    one, two = (version.instant for version in table.versions())
    assert one < two


def test_a_batch_is_committed_once(table: VersionedTable):
    staged = table.stage(batches(table, rows_of((9, 9)), NAMES))
    assert table.commit(staged, batch="b1").number == 2
    assert not staged.files[0].exists()
    assert table.replace(table.stage([]), batch="b0").number == 1
    assert table.committed("b2") == table.version(3)
    assert table.committed("never") is None and table.committed("") is None


def test_what_is_committed_is_not_thrown_away(table: VersionedTable):
    staged = table.stage(batches(table, rows_of((9, 9)), NAMES))
    table.commit(staged, batch="x")
    table.discard(staged)
    assert table.commit(staged, batch="x").number == 4
    assert read(table.scan(), "current", NAMES)[9, 9] == 1
    with pytest.raises(SourceError, match="LAKE_STAGED_TWICE: t: these staged rows are committed already"):
        table.commit(staged, batch="y")


def test_a_commit_whose_answer_was_lost_is_found_again(table: VersionedTable, monkeypatch: pytest.MonkeyPatch):
    from penstock.lake.versioned.catalogue import Catalogue

    swap = Catalogue.swap

    def arrives_but_says_nothing(*given):
        swap(*given)
        raise SourceError("LAKE_CATALOGUE", "the connection is gone")

    staged = table.stage(batches(table, rows_of((9, 9)), NAMES))
    with monkeypatch.context() as patched:
        patched.setattr(Catalogue, "swap", arrives_but_says_nothing)
        with pytest.raises(SourceError, match="the connection is gone"):
            table.commit(staged, batch="x")
    assert table.commit(staged, batch="x").number == 4
    table.discard(staged)
    assert read(table.scan(), "current", NAMES)[9, 9] == 1


def test_facts_come_with_their_rows(table: VersionedTable):
    table.commit(table.stage([]), batch="x", facts={"kind": "mine", "batch": "too", "mark": "1"})
    table.commit(table.stage([]), batch="y", facts={"mark": "2"})
    assert table.version(4).facts == {"kind": "mine", "batch": "too", "mark": "1"}
    assert (table.version(4).kind, table.version(4).batch, table.version(4).rows) == ("append", "x", 3)
    assert table.facts() == {"kind": "mine", "batch": "too", "mark": "2"}


def test_a_writer_that_saw_an_older_version_is_refused(table: VersionedTable, lake: Lake):
    stale = lake.table("t")
    table.commit(table.stage([]), batch="x", after=3)
    with pytest.raises(SourceError, match="LAKE_CONFLICT: t is at version 4, no longer at 3"):
        stale.commit(stale.stage([]), batch="y", after=3)


def test_staged_rows_are_seen_beside_the_others_only(table: VersionedTable):
    staged = table.stage(batches(table, rows_of((2, 20), known=5), NAMES))
    assert read(table.scan(beside=staged), "current", NAMES) == Counter([(1, 10), (2, 20)])
    assert read(table.scan(), "current", NAMES) == Counter([(1, 10), (2, 2)])
    table.discard(staged)
    assert not staged.files[0].exists()


def test_a_failure_while_rows_are_written_leaves_no_file(table: VersionedTable):
    def broken():
        yield from batches(table, rows_of((1, 1)), NAMES)
        raise OSError("the network is gone")

    before = set(table.scan().files[0].parent.iterdir())
    with pytest.raises(OSError, match="the network is gone"):
        table.stage(broken())
    assert set(table.scan().files[0].parent.iterdir()) == before


def test_unknown_tables_are_named(lake: Lake, table: VersionedTable):
    with pytest.raises(SourceError, match="LAKE_UNKNOWN_TABLE: the lake has no table 'T'"):
        lake.table("T")
    assert "t" in lake and "T" not in lake and lake.names() == ("t",)
    lake.drop("t")
    with pytest.raises(SourceError, match="LAKE_UNKNOWN_TABLE: the table 't' was dropped"):
        table.refresh()


def test_other_readers_of_iceberg_see_the_same(table: VersionedTable, lake: Lake):
    from pyiceberg.catalog.sql import SqlCatalog

    catalogue = SqlCatalog("penstock", uri=lake.catalogue_url)
    table.evolve(rename={"amount": "sum"})
    read_by_others = catalogue.load_table("main.t")
    assert sorted(read_by_others.scan().to_arrow()["sum"].to_pylist()) == [1, 2, 10]
    older = read_by_others.scan(snapshot_id=table.version(2).snapshot).to_arrow()
    assert sorted(older["amount"].to_pylist()) == [1, 2]
    catalogue.engine.dispose()


# ------------------------------------------------------------------------------------------------- differences


def test_differences_by_key(table: VersionedTable):
    table.commit(table.stage(batches(table, rows_of((2, None), known=9, deleted=True), NAMES)), batch="x")
    told = table.diff(1)
    assert (told.added.to_pylist(), told.removed.to_pylist()) == ([], [])
    assert told.changed.to_pylist() == [{"id": 1, "column": "amount", "before": "1", "after": "10"}]
    assert table.diff(2, 4).removed.to_pylist() == [{"id": 2, "amount": 2}]
    assert table.diff(4, 2).added.to_pylist() == [{"id": 2, "amount": 2}]
    assert table.diff(1) and not table.diff(3, 3)


def test_differences_across_a_rename(table: VersionedTable):
    table.evolve(rename={"amount": "sum", "id": "number"}, widen={"amount": pa.int64()}, add={"more": pa.string()})
    table.commit(
        table.stage([pa.RecordBatch.from_pylist([{"number": 3, "more": "x"}], schema=table.schema)]), batch="x"
    )
    told = table.diff(2, None)
    assert told.added.to_pylist() == [{"number": 3, "sum": None, "more": "x"}]
    assert told.changed.to_pylist() == [{"number": 1, "column": "sum", "before": "1", "after": "10"}]


drawn = st.lists(st.tuples(st.integers(0, 4) | st.none(), st.integers(0, 2)), max_size=6)


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Lake:
    """A lake for many tables: to make one costs more than to fill a table."""
    return open_lake(tmp_path_factory.mktemp("many"))


@given(before=drawn, after=drawn)
def test_differences_by_a_double_loop(many: Lake, before, after):
    for roles in (KEYED, Roles()):
        table = many.create(f"t{len(many.names())}", SCHEMA, roles)
        old = [Row({1: key, 2: amount}, at) for at, (key, amount) in enumerate(before)]
        new = [Row({1: key, 2: amount}, at) for at, (key, amount) in enumerate(after)]
        pairs = ((old, before), (new, after))
        for at, (rows, _) in enumerate(pairs):
            table.replace(table.stage(batches(table, rows, NAMES)), batch=f"b{at}")
        told = table.diff(1, 2)
        was, now = (current_of(rows, NAMES) if roles.key else Counter(drawn) for rows, drawn in pairs)
        if roles.key:
            kept = {key for key, _ in was} & {key for key, _ in now}
            assert bag(told.added) == Counter(row for row in now if row[0] not in kept)
            assert bag(told.removed) == Counter(row for row in was if row[0] not in kept)
            moved = {(k, str(b), str(a)) for k, b in was for other, a in now if other == k and a != b}
            assert {(r["id"], r["before"], r["after"]) for r in told.changed.to_pylist()} == moved
        else:
            assert (bag(told.added), bag(told.removed)) == (now - was, was - now)


def bag(table: pa.Table) -> Counter[tuple[object, ...]]:
    return Counter(zip(table["id"].to_pylist(), table["amount"].to_pylist(), strict=True))


# ------------------------------------------------------------------------------------------------- rows that are true


def plain(scan: Scan) -> bool:
    """Whether no row is sorted by time."""
    return "row_number" not in scan.current_sql()


def test_new_keys_are_not_sorted_by_time(lake: Lake):
    table = filled(lake, rows_of((1, 1), (5, 5)), rows_of((6, 6)), rows_of((-3, 1), (0, 0)))
    assert plain(table.scan()) and table.scan().several == ()
    assert not plain(table.scan(beside=table.stage(batches(table, rows_of((9, 9)), NAMES))))
    table.commit(table.stage(batches(table, rows_of((5, 50), known=1), NAMES)), batch="again")
    assert not plain(table.scan()) and len(table.scan().several or ()) == 1
    assert plain(table.scan(3))
    assert read(table.scan(), "current", NAMES) == Counter([(1, 1), (5, 50), (6, 6), (-3, 1), (0, 0)])


@pytest.mark.parametrize("rows", [rows_of((1, 1), (1, 2)), rows_of((None, 1)), rows_of((2, 1), (1, 2), (2, 2))])
def test_keys_that_repeat_or_are_absent_are_not_taken_for_new(lake: Lake, rows: list[Row]):
    table = filled(lake, rows)
    assert table.scan().several == table.scan().files


def test_a_writers_word_is_taken(lake: Lake):
    table = filled(lake, rows_of((1, 1), (9, 9)))
    table.commit(table.stage(batches(table, rows_of((5, 5)), NAMES)), batch="within", fresh=True)
    assert plain(table.scan())


def test_equally_new_rows_give_the_same_one_whatever_the_files(lake: Lake):
    rows = rows_of(*((1, amount) for amount in range(50)))
    one = filled(lake, rows, name="one")
    many = filled(lake, *([row] for row in reversed(rows)), name="many")
    kept = read(one.scan(), "current", NAMES)
    assert sum(kept.values()) == 1
    assert read(many.scan(), "current", NAMES) == kept


def test_a_key_of_two_columns(lake: Lake):
    table = filled(lake, rows_of((1, 1), (1, 2)), name="two", roles=Roles(key=("id", "amount")))
    assert plain(table.scan())
    table.commit(table.stage(batches(table, rows_of((1, 2), known=3, deleted=True), NAMES)), batch="gone")
    with Sql({"t": table.scan()}) as sql:
        assert sql.arrow("FROM t").to_pylist() == [{"id": 1, "amount": 1}]


@pytest.mark.parametrize("name", ["", "..", ".hidden", "a/b", "a\\b", "a\0b"])
def test_a_tables_name_can_be_a_folders(tmp_path: Path, name: str) -> None:
    with pytest.raises(SchemaError, match="LAKE_NAME"):
        open_lake(tmp_path).create(name, pa.schema([("id", pa.int64())]), Roles())
