"""Whatever happens at the source, the lake's log is what a plain model of it says."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import ClassVar

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.lake.versioned import open_lake
from tests.lake.ingest.history import Model, Row, current, lake_log, taken

KEYS, VALUES = st.integers(1, 6), st.sampled_from([None, "a", "b", "é'\""])
STEP = 100


class Histories(RuleBasedStateMachine):
    """Rows come, change, go and come late; the clock runs, stands and goes back; tables are ingested at any time."""

    mode: ClassVar[str]
    key: ClassVar[tuple[str, ...]] = ("id",)
    overlap: ClassVar[int] = 3

    @initialize()
    def begin(self):
        self.folder = TemporaryDirectory()
        place = Path(self.folder.name)
        self.lake, self.quarantine = open_lake(place / "lake"), place / "quarantine"
        self.model = Model(bool(self.key), self.mode, self.overlap)
        self.rows: list[Row] = []
        self.now, self.at, self.same = 1_000, 10, True

    def teardown(self):
        if hasattr(self, "folder"):
            self.folder.cleanup()

    @rule(key=KEYS, value=VALUES, grows=st.integers(0, 2))
    def insert_or_update(self, key, value, grows):
        self.at += grows
        self.put((key, self.at, value))

    @rule(key=KEYS, value=VALUES, late=st.integers(0, 3))
    def commit_late(self, key, value, late):
        """A row whose watermark is below the greatest, as of a transaction that took long."""
        self.put((key, self.at - late, value))

    @rule(key=KEYS, value=VALUES)
    def without_a_watermark(self, key, value):
        self.put((key, None, value))

    def put(self, row):
        if self.key:
            self.rows = [r for r in self.rows if r[0] != row[0]]
        self.rows.append(row)

    @precondition(lambda self: self.rows)
    @rule(data=st.data())
    def delete(self, data):
        self.rows.remove(data.draw(st.sampled_from(self.rows)))

    @rule(by=st.sampled_from([-5, 0, 1, STEP]))
    def let_time_pass(self, by):
        self.now += by

    @rule(again=st.booleans())
    def ingest(self, again):
        how = {"mode": self.mode, "key": self.key, "watermark": "at", "overlap": self.overlap}
        done = taken(self.lake, self.rows, self.now, self.quarantine, **how)
        before, held = len(self.model.log), self.model.first
        self.model.take(self.rows, self.now)
        assert lake_log(self.lake) == Counter(self.model.log)
        assert done.rejected == 0
        if self.key or self.mode == "incremental":
            assert done.added + done.changed + done.deleted == len(self.model.log) - (0 if held else before)
        self.must_hold_the_source()
        if again:
            repeated = taken(self.lake, self.rows, self.now + 7, self.quarantine, **how)
            assert (repeated.added, repeated.changed, repeated.deleted, repeated.batch) == (0, 0, 0, "")

    def must_hold_the_source(self):
        found = Counter((r["id"], r["at"], r["v"]) for r in current(self.lake))
        assert found == Counter(self.model.holds())
        if self.mode != "incremental":
            assert found == Counter(self.rows)
        elif self.key:
            assert set(self.rows) <= set(found)
        else:
            assert Counter(self.rows) <= found

    @invariant()
    def versions_of_a_key_grow(self):
        if not hasattr(self, "model") or not self.key:
            return
        for key in {row[0] for row, _, _ in self.model.log}:
            known = [k for row, k, _ in self.model.log if row[0] == key]
            assert known == sorted(set(known), key=lambda k: -1 if k is None else k)


class Compare(Histories):
    mode = "compare"


class FullByKey(Histories):
    mode = "full"


class FullWithoutKey(Histories):
    mode, key = "full", ()


class Incremental(Histories):
    mode = "incremental"


class IncrementalWithoutKey(Histories):
    mode, key = "incremental", ()


EXAMPLES = max(4, settings().max_examples // 10)
FEW = settings(max_examples=EXAMPLES, stateful_step_count=14, deadline=None)
TestCompare, TestFullByKey, TestFullWithoutKey = Compare.TestCase, FullByKey.TestCase, FullWithoutKey.TestCase
TestIncremental, TestIncrementalWithoutKey = Incremental.TestCase, IncrementalWithoutKey.TestCase
for case in (TestCompare, TestFullByKey, TestFullWithoutKey, TestIncremental, TestIncrementalWithoutKey):
    case.settings = FEW
del case
