"""Rows that only were pushed stay until the source has shown their keys, whatever happens in between."""

from __future__ import annotations

import json
from collections import defaultdict
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.lake.reserved import AWAITED
from penstock.lake.streams import Message, Stream, open_writer, read_now
from penstock.lake.streams.positions import AT
from penstock.lake.versioned import Lake, open_lake
from tests.lake.ingest.history import SCHEMA, current, taken
from tests.plainsql import plain_sql

KEYS, VALUES = st.integers(1, 5), st.sampled_from(["a", "b"])
FIRST = -1


class Pushed:
    """Pushes into table ``t``: rows with the key ``id``, by a writer that lives until it is told otherwise."""

    def __init__(self, lake: Lake, now: int = 0) -> None:
        self.lake, self.now, self.writer = lake, now, None

    def open(self):
        stream = Stream("s", "push:", "t", ("id",), schema=SCHEMA)
        self.writer = self.writer or open_writer(stream, self.lake, lambda: self.now)
        return self.writer

    def push(self, now: int, **row: object) -> None:
        self.now, writer = now, self.open()
        place = writer.positions.get(f"{AT}p", 0) + 1
        assert writer.write([Message("p", place, json.dumps(row).encode())])[0].dead == 0

    def end(self, how: str) -> None:
        if self.writer is not None:
            getattr(self.writer, how)()
            self.writer = None if how != "flush" else self.writer


def awaited(lake: Lake, name: str = "t") -> set[object]:
    """The keys of a table that its source has yet to show."""
    if name + AWAITED not in lake:
        return set()
    with plain_sql({"rows": lake.table(name + AWAITED).scan()}, "log") as sql:
        return set(sql.arrow("SELECT key_1 FROM rows").column("key_1").to_pylist())


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
