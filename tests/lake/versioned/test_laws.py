"""Whatever several users of one lake do, in any order, the tables hold what plain lists would."""

from __future__ import annotations

import shutil
import tempfile
import time
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from penstock.errors import PenstockError, SourceError
from penstock.lake.versioned import Lake, Staged, VersionedTable, open_lake
from tests.lake.versioned.model import (
    AMOUNT,
    KEY,
    KEYED,
    SCHEMA,
    Kept,
    Model,
    Row,
    batches,
    current_of,
    log_of,
    read_both,
)

HANDLES = 3
TWO_DAYS = 2 * 86_400 * 1_000_000
handles = st.integers(0, HANDLES - 1)
drawn_rows = st.lists(
    st.tuples(st.one_of(st.none(), st.integers(0, 6)), st.integers(0, 9), st.booleans()), min_size=1, max_size=4
)


def later() -> int:
    """A clock two days ahead: whatever is not in use is old enough to be swept."""
    return time.time_ns() // 1000 + TWO_DAYS


class SeveralUsers(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.model = Model()
        self.clock = 0
        self.waiting: list[tuple[Staged, list[Row]]] = []
        self.lakes: list[Lake] = []
        self.tables: list[VersionedTable] = []

    @initialize(first=st.lists(drawn_rows, max_size=4))
    def opened(self, first: list[list[tuple[int | None, int, bool]]]) -> None:
        self.lakes = [open_lake(self.folder, now=later) for _ in range(HANDLES)]
        self.tables = [lake.create("t", SCHEMA, KEYED) for lake in self.lakes]
        for drawn in first:
            self.commit(0, drawn, "append", 0)

    def teardown(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def rows(self, drawn: list[tuple[int | None, int, bool]]) -> list[Row]:
        """Rows that are known at instants of their own, not in order; those of new keys as they happened."""
        there = {row.values.get(KEY) for row in self.model.log}
        made = []
        for key, amount, deleted in drawn:
            self.clock += 1
            new = key is not None and key not in there
            there.add(key)
            known = None if new and amount % 2 else self.clock * (-1) ** self.clock
            values = {number: amount for number in self.model.names if number != KEY}
            made.append(Row({KEY: key, **values}, known, deleted or None))
        return made

    def staged(self, at: int, rows: list[Row]) -> Staged:
        self.tables[at].refresh()
        return self.tables[at].stage(batches(self.tables[at], rows, self.model.names))

    # ------------------------------------------------------------ writing

    @rule(
        at=handles,
        drawn=drawn_rows,
        kind=st.sampled_from(["append", "append", "append", "replace"]),
        fact=st.integers(0, 9),
    )
    def commit(self, at: int, drawn: list[tuple[int | None, int, bool]], kind: str, fact: int) -> None:
        rows, batch = self.rows(drawn), f"batch {self.clock} {self.model.last}"
        facts = {f"fact {fact}": str(self.clock)}
        write = self.tables[at].commit if kind == "append" else self.tables[at].replace
        done = write(self.staged(at, rows), batch=batch, facts=facts, after=self.at())
        assert done.number == self.model.commit(kind, rows, batch, facts)
        assert (done.kind, done.added, done.batch) == (kind, len(rows), batch)

    def at(self) -> int:
        return self.model.last

    @rule(at=handles, drawn=drawn_rows)
    def stage(self, at: int, drawn: list[tuple[int | None, int, bool]]) -> None:
        rows = self.rows(drawn)
        self.waiting.append((self.staged(at, rows), rows))

    @precondition(lambda self: self.waiting)
    @rule(at=handles)
    def commit_what_waited(self, at: int) -> None:
        staged, rows = self.waiting.pop(0)
        done = self.tables[at].commit(staged, batch="")
        assert done.number == self.model.commit("append", rows, "", {})

    @precondition(lambda self: self.model.batches)
    @rule(at=handles, drawn=drawn_rows, data=st.data())
    def repeat(self, at: int, drawn: list[tuple[int | None, int, bool]], data: st.DataObject) -> None:
        batch = data.draw(st.sampled_from(sorted(self.model.batches)))
        done = self.tables[at].commit(self.staged(at, self.rows(drawn)), batch=batch, facts={"fact 0": "lost"})
        assert (done.number, done.batch) == (self.model.batches[batch], batch)

    @precondition(lambda self: self.model.last)
    @rule(at=handles, drawn=drawn_rows, back=st.integers(1, 3))
    def conflict(self, at: int, drawn: list[tuple[int | None, int, bool]], back: int) -> None:
        after = max(self.model.last - back, 0)
        newer = [v for number, v in self.model.versions.items() if number > after]
        staged = self.staged(at, self.rows(drawn))
        if all(version.kind == "compact" for version in newer):
            self.tables[at].discard(staged)
            return
        with pytest.raises(SourceError, match="LAKE_CONFLICT: t is at version"):
            self.tables[at].commit(staged, batch="too late", after=after)
        self.tables[at].discard(staged)

    # ------------------------------------------------------------ keeping house

    @rule(at=handles, rows_a_file=st.sampled_from([4, 100]))
    def compact(self, at: int, rows_a_file: int) -> None:
        done = self.tables[at].compact(rows_a_file)
        if done is not None:
            assert done.number == self.model.commit("compact", (), "", {})

    @precondition(lambda self: self.model.last)
    @rule(at=handles, name=st.sampled_from(["a", "b"]), data=st.data(), replace=st.booleans())
    def tag(self, at: int, name: str, data: st.DataObject, replace: bool) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.versions)))
        if self.model.tags.get(name, number) != number and not replace:
            with pytest.raises(PenstockError, match="LAKE_TAG_TAKEN"):
                self.tables[at].tag(name, number)
            return
        self.tables[at].tag(name, number, replace=replace)
        self.model.tags[name] = number

    @precondition(lambda self: self.model.tags)
    @rule(at=handles)
    def untag(self, at: int) -> None:
        name, _ = self.model.tags.popitem()
        self.tables[at].untag(name)

    @rule(at=handles, keep=st.integers(1, 4), pinned=st.sets(st.integers(1, 12), max_size=2))
    def expire(self, at: int, keep: int, pinned: set[int]) -> None:
        done = self.lakes[at].expire(keep, {"t": pinned}, grace=timedelta(0))
        stay = {*sorted(self.model.versions)[-keep:], *self.model.tags.values(), *pinned}
        gone = [number for number in self.model.versions if number not in stay]
        assert done.versions == len(gone)
        for number in gone:
            del self.model.versions[number]

    @rule(at=handles, how=st.sampled_from(["rename", "add", "widen", "drop"]))
    def evolve(self, at: int, how: str) -> None:
        table, names, amount = self.tables[at], self.model.names, self.model.names[AMOUNT]
        last = max(names)
        if how == "rename":
            table.evolve(rename={amount: f"{amount}x"[-20:]})
            names[AMOUNT] = f"{amount}x"[-20:]
        elif how == "widen":
            table.evolve(widen={amount: pa.int64()})
        elif how == "add" and len(names) < 5:
            self.clock += 1
            table.evolve(add={f"more {self.clock}": pa.int32()})
            field = {f.name: f.metadata for f in table.schema}
            assert f"more {self.clock}" in field
            names[self.next_field()] = f"more {self.clock}"
        elif how == "drop" and last > AMOUNT + 2:
            table.evolve(drop=[names.pop(last)])

    def next_field(self) -> int:
        """Field ids are given out in order: two for the columns, two for the lake's own."""
        self.fields = getattr(self, "fields", 4) + 1
        return self.fields

    @rule(at=handles)
    def reopen(self, at: int) -> None:
        self.lakes[at] = open_lake(self.folder, now=later)
        self.tables[at] = self.lakes[at].table("t")

    # ------------------------------------------------------------ reading

    @invariant()
    def the_newest_is_right(self) -> None:
        if not self.tables:
            return
        table = self.tables[self.clock % HANDLES].refresh()
        newest = Kept(self.model.log, self.model.names, "", "")
        self.is_right(table, None, newest)
        assert [v.number for v in table.versions()] == sorted(self.model.versions)
        assert table.tags() == self.model.tags
        assert dict(table.facts()) == self.model.facts

    def is_right(self, table: VersionedTable, which: int | str | None, kept: Kept) -> None:
        scan = table.scan(which)
        shown = read_both(scan, kept.names)
        assert shown["log"] == log_of(kept.log, kept.names)
        assert shown["current"] == current_of(kept.log, kept.names)

    @precondition(lambda self: self.model.versions)
    @rule(at=handles, data=st.data())
    def look_back(self, at: int, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.model.versions)))
        self.is_right(self.tables[at].refresh(), number, self.model.versions[number])
        for tag, tagged in self.model.tags.items():
            self.is_right(self.tables[at], tag, self.model.versions[tagged])

    @rule(at=handles)
    def verify(self, at: int) -> None:
        assert self.lakes[at].verify() == ()


SeveralUsers.TestCase.settings = settings(stateful_step_count=15)
TestSeveralUsers = SeveralUsers.TestCase
