"""Rows that only were pushed stay until the source has shown their keys, whatever happens in between."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.errors import SchemaError, SourceError
from penstock.lake.ingest import Ingested, Intake, ingest
from penstock.lake.kept import newest_versions, shown_tables
from penstock.lake.streams import Message, Stream, open_writer
from penstock.lake.versioned import Lake, Roles, open_lake
from tests.lake.corrections import Record, seen
from tests.lake.ingest.awaiting import Pushed, awaited
from tests.lake.ingest.history import SCHEMA, Row, current, taken
from tests.lake.ingest.test_corrections import taken as records
from tests.lake.streams.streaming import log

KEYS, VALUES = st.integers(1, 5), st.sampled_from(["a", "b"])
FIRST = -1


class Model:
    """Each key's versions (known, value or None for gone), the keys awaited, and the pushes that are in the tail."""

    def __init__(self) -> None:
        self.log: dict[int, list[tuple[int, str | None]]] = defaultdict(list)
        self.awaited, self.tail, self.empty = set[int](), list[tuple[int, int, str | None]](), True

    def holds(self) -> dict[int, str]:
        newest = {key: max(log, key=lambda version: version[0])[1] for key, log in self.log.items() if log}
        return {key: value for key, value in newest.items() if value is not None}

    def flush(self) -> None:
        for known, key, value in self.tail:
            self.log[key].append((known, value))
            self.awaited.add(key)
            self.empty = False
        self.tail = []

    def run(self, source: dict[int, str], now: int) -> None:
        held = self.holds()
        for key, value in source.items():
            if held.get(key) != value:
                self.log[key].append((FIRST if self.empty else now, value))
        spared = self.awaited | {key for _, key, _ in self.tail}
        for key in held.keys() - source.keys() - spared:
            self.log[key].append((now, None))
        self.awaited -= source.keys()
        self.empty = False


class Awaited(RuleBasedStateMachine):
    """A source whose rows come, change and go, pushes beside it, and runs at any time."""

    @initialize()
    def begin(self):
        self.folder = TemporaryDirectory()
        place = Path(self.folder.name)
        self.lake, self.quarantine = open_lake(place / "lake"), place / "quarantine"
        self.model, self.source, self.now = Model(), dict[int, str](), 1_000
        self.pushed = Pushed(self.lake)

    def teardown(self):
        if hasattr(self, "folder"):
            self.pushed.end("close")
            self.folder.cleanup()

    @property
    def tick(self) -> int:
        self.now += 10
        return self.now

    @rule(key=KEYS, value=VALUES)
    def written_at_the_source(self, key, value):
        self.source[key] = value

    @precondition(lambda self: self.source)
    @rule(data=st.data())
    def deleted_at_the_source(self, data):
        del self.source[data.draw(st.sampled_from(sorted(self.source)))]

    @rule(key=KEYS, value=VALUES)
    def push(self, key, value):
        self.pushed.push(self.tick, id=key, at=key, v=value)
        self.model.tail.append((self.now, key, value))

    @rule(key=KEYS)
    def push_a_deletion(self, key):
        self.pushed.push(self.tick, id=key, at=key, v="-", _deleted=True)
        self.model.tail.append((self.now, key, None))

    @rule(how=st.sampled_from(["flush", "close", "abandon"]))
    def end(self, how):
        """What has come becomes a version; or waits in the tail for another writer, as after a kill."""
        opened = self.pushed.writer is not None
        self.pushed.end(how)
        if opened and how != "abandon":
            self.model.flush()

    @rule()
    def run(self):
        rows = [(key, key, value) for key, value in self.source.items()]
        taken(self.lake, rows, self.tick, self.quarantine, mode="compare", key=("id",))
        self.model.run(self.source, self.now)
        assert awaited(self.lake) == self.model.awaited if not self.model.empty else True

    @rule(expires=st.booleans())
    def tidy(self, expires):
        for name in self.lake.names():
            self.lake.table(name).compact()
        if expires:
            self.lake.expire(1, grace=timedelta(0))

    @invariant()
    def holds_what_the_model_says(self):
        there = hasattr(self, "model") and "t" in self.lake and self.lake.table("t").newest() is not None
        if there:
            assert {row["id"]: row["v"] for row in current(self.lake)} == self.model.holds()


TestAwaited = Awaited.TestCase
TestAwaited.settings = settings(max_examples=15, stateful_step_count=25, deadline=None)


# ---------------------------------------------------------------- one by one


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


def run(lake: Lake, rows: list[Row], now: int, **how: object) -> Ingested:
    return taken(lake, rows, now, Path(lake.place).parent / "quarantine", **({"mode": "compare", "key": ("id",)} | how))


def ids(lake: Lake) -> set[object]:
    return {row["id"] for row in current(lake)}


def test_a_row_that_waits_in_the_tail_is_not_deleted_after_it_came(lake: Lake):
    run(lake, [(1, 1, "a"), (2, 2, "b")], 1_000)
    pushed = Pushed(lake)
    pushed.push(2_000, id=2, at=2, v="c")
    pushed.end("abandon")
    assert run(lake, [(1, 1, "a")], 3_000).deleted == 0
    pushed.open()
    pushed.end("close")
    assert {row["id"]: row["v"] for row in current(lake)} == {1: "a", 2: "c"}


def test_a_row_that_is_pushed_again_after_the_source_deleted_it_is_there_again(lake: Lake):
    run(lake, [(1, 1, "a")], 1_000)
    pushed = Pushed(lake)
    for now in (2_000, 6_000):
        pushed.push(now, id=2, at=2, v="b")  # by one writer, which remembers what it wrote
        pushed.end("flush")
        run(lake, [(1, 1, "a")], now + 1_000)
        assert ids(lake) == {1, 2}
        run(lake, [(1, 1, "a"), (2, 2, "b")], now + 2_000)
        run(lake, [(1, 1, "a")], now + 3_000)
        assert ids(lake) == {1}
    pushed.end("close")


def test_a_table_that_nobody_compares_has_no_companion(lake: Lake):
    pushed = Pushed(lake)
    pushed.push(1_000, id=1, at=1, v="a")
    pushed.end("flush")
    run(lake, [(2, 2, "b")], 2_000, mode="incremental", watermark="at")
    pushed.push(3_000, id=3, at=3, v="c")
    pushed.end("close")
    assert lake.names() == ("t",)
    assert "compared" not in lake.table("t").facts()


def test_a_table_that_is_read_by_watermark_before_it_is_compared(lake: Lake):
    """What the source has shown and lost meanwhile is gone with the first comparison, what only streamed in is not."""
    run(lake, [(1, 1, "a"), (2, 2, "b")], 1_000, mode="incremental", watermark="at")
    pushed = Pushed(lake)
    pushed.push(2_000, id=3, at=3, v="c")
    pushed.end("close")
    run(lake, [(1, 1, "a")], 3_000)
    assert ids(lake) == {1, 3}
    assert awaited(lake) == {3}
    run(lake, [(1, 1, "a"), (3, 3, "c")], 4_000, mode="incremental", watermark="at")
    pushed.push(5_000, id=4, at=4, v="d")  # nobody compares now, so nothing is noted
    pushed.end("close")
    assert awaited(lake) == set()
    run(lake, [(1, 1, "a")], 6_000)
    assert ids(lake) == {1, 3, 4}  # 3 came by a stream, and whether the source had shown it is not known any more
    run(lake, [(1, 1, "a"), (3, 3, "c"), (4, 4, "d")], 7_000)
    run(lake, [(1, 1, "a")], 8_000)
    assert ids(lake) == {1}


def test_a_row_that_was_rejected_shows_nothing(lake: Lake):
    run(lake, [(1, 1, "a")], 1_000)
    pushed = Pushed(lake)
    pushed.push(2_000, id=2, at=2, v="b")
    pushed.end("close")
    twice = [(1, 1, "a"), (2, 2, "x"), (2, 2, "y")]
    assert run(lake, twice, 3_000).rejected == 1
    assert awaited(lake) == set()  # of a key that is there twice the first row counts
    pushed.push(4_000, id=5, at=5, v="e")
    pushed.end("close")
    assert run(lake, [(1, 1, "a")], 5_000).deleted == 1
    assert ids(lake) == {1, 5}


def test_without_a_key_streams_and_comparisons_keep_each_other_out(lake: Lake):
    run(lake, [(1, 1, "a")], 1_000, key=())
    stream = Stream("s", "push:", "t", schema=SCHEMA)
    with pytest.raises(SourceError, match=r'STREAM_COMPARED: table t has no key(.|\n)*"incremental"'):
        open_writer(stream, lake, lambda: 2_000)
    run(lake, [(1, 1, "a"), (9, 9, "b")], 3_000, key=(), mode="incremental", watermark="at")
    writer = open_writer(stream, lake, lambda: 4_000)
    writer.write([Message("p", 1, b'{"id": 2, "at": 2, "v": "b"}')])
    writer.close()
    with pytest.raises(SchemaError, match=r"INGEST_STREAMED: t: rows streamed in(.|\n)*another name"):
        run(lake, [(1, 1, "a")], 5_000, key=())
    assert ids(lake) == {1, 2, 9}


def test_a_comparison_that_begins_while_rows_without_a_key_wait_in_the_tail_leaves_them_there(lake: Lake):
    lake.create("t", SCHEMA, Roles())
    stream = Stream("s", "push:", "t", schema=SCHEMA)
    writer = open_writer(stream, lake, lambda: 1_000)
    writer.write([Message("p", 1, b'{"id": 2, "at": 2, "v": "b"}')])
    run(lake, [(1, 1, "a")], 2_000, key=())
    with pytest.raises(SourceError, match="STREAM_COMPARED"):
        writer.flush()
    writer.abandon()
    assert {row["id"] for row in log(lake, "t")} == {1, 2}


def test_the_companion_follows_the_key_through_names_and_types(lake: Lake):
    run(lake, [(1, 1, "a")], 1_000)
    pushed = Pushed(lake)
    pushed.push(2_000, id=2, at=2, v="b")
    pushed.end("close")
    lake.table("t").evolve(rename={"id": "number"}, drop=["v"])
    renamed = {"t": pa.table({"number": pa.array([1], pa.int64()), "at": pa.array([1], pa.int64())})}
    quarantine = Path(lake.place).parent / "quarantine"
    how: dict[str, Any] = {"mode": "compare", "key": ("number",)}
    assert ingest(Intake("t", renamed, **how), lake, quarantine=quarantine, now=lambda: 3_000).deleted == 0
    assert {row["number"] for row in current(lake)} == {1, 2}
    lake.drop("t")
    pushed = Pushed(lake)
    pushed.push(4_000, id=7, at=7, v="of another table")
    pushed.end("close")
    run(lake, [(1, 1, "a")], 5_000)
    assert awaited(lake) == {7}
    assert ids(lake) == {1, 7}


def test_narrow_keys_that_are_widened(lake: Lake):
    def of(kind: pa.DataType, *values: int) -> Intake:
        return Intake("t", {"t": pa.table({"id": pa.array(values, kind)})}, mode="compare", key=("id",))

    quarantine = Path(lake.place).parent / "quarantine"
    ingest(of(pa.int32(), 1), lake, quarantine=quarantine, now=lambda: 1_000)
    for number, key in enumerate((2, 3_000_000_000)):
        writer = open_writer(Stream("s", "push:", "t", ("id",)), lake, lambda at=2_000 + number: at)  # type: ignore[misc]
        writer.write([Message("p", number, b'{"id": %d}' % key)])
        writer.close()
        ingest(of(pa.int64(), 1), lake, quarantine=quarantine, now=lambda at=3_000 + number: at)  # type: ignore[misc]
    assert awaited(lake) == {2, 3_000_000_000}
    assert ids(lake) == {1, 2, 3_000_000_000}


def test_what_waits_is_shown_to_nobody(lake: Lake):
    run(lake, [(1, 1, "a")], 1_000)
    pushed = Pushed(lake)
    pushed.push(2_000, id=2, at=2, v="b")
    pushed.end("close")
    assert lake.names() == ("t", "t__awaited")
    assert list(shown_tables(lake)) == list(newest_versions(lake)) == ["t"]


# ---------------------------------------------------------------- sources that keep corrections


def corrected(lake: Lake, rows: Sequence[Record], now: int) -> dict[tuple[int, int], str | None]:
    """A comparison with records of keys (id, at), and what is true after it."""
    records(lake, rows, now=now)
    return seen(lake, 10 * now)


@pytest.mark.parametrize("shown", [(1, 10, 25, "pushed"), (1, 10, 35, "later")], ids=["itself", "a later one"])
def test_a_pushed_correction_stays_until_the_source_shows_it_or_a_later_one(lake: Lake, shown: Record):
    first, key = (1, 10, 15, "first"), (1, 10)
    corrected(lake, [first], 1_000)
    writer = open_writer(Stream("s", "push:", "t", ("id", "at"), "at", known="created"), lake, lambda: 2_000)
    at, created = (f"1970-01-01T00:00:00.{micros:06}" for micros in (10, 25))
    row = {"id": 1, "at": at, "created": created, "v": "pushed"}
    writer.write([Message("p", 1, json.dumps(row).encode())])
    writer.close()
    assert seen(lake, 20) == {key: "first"}
    for now in (3_000, 4_000):
        assert corrected(lake, [first], now) == {key: "pushed"}  # not withdrawn: the source has not had it yet
    assert corrected(lake, [], 5_000) == {key: "pushed"}
    assert corrected(lake, [first, shown], 6_000) == {key: shown[3]}
    assert awaited(lake) == set()
    assert corrected(lake, [first], 7_000) == {key: "first"}  # now it is withdrawn
    assert corrected(lake, [], 8_000) == {}
