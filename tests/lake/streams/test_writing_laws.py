"""Whatever happens between messages and versions, each row version is readable exactly once."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from penstock.lake.streams import Limits, Message, Stream, TailedTable, open_writer
from penstock.lake.streams.positions import AT
from penstock.lake.streams.tail import tail_folder
from penstock.lake.versioned import KNOWN, open_lake
from tests.lake.streams.streaming import log
from tests.plainsql import plain_sql

STEPS = st.one_of(
    st.tuples(
        st.just("send"), st.lists(st.tuples(st.integers(0, 1), st.integers(0, 3), st.integers(0, 2)), max_size=6)
    ),
    st.tuples(st.just("read"), st.integers(1, 5)),
    st.tuples(st.just("again"), st.integers(1, 4)),
    st.tuples(st.just("flush"), st.just(0)),
    st.tuples(st.just("crash"), st.just(0)),
    st.tuples(st.just("crash in flush"), st.sampled_from(["nothing", "ledger", "segments", "both"])),
    st.tuples(st.just("torn"), st.integers(1, 40)),
)


@dataclass
class World:
    """A broker of two partitions, a lake, and what ought to be readable."""

    place: Path
    key: tuple[str, ...]
    sent: tuple[list[bytes], list[bytes]] = field(default_factory=lambda: ([], []))
    read: list[int] = field(default_factory=lambda: [0, 0])
    expected: list[tuple[int, int]] = field(default_factory=list)
    newest: dict[int, int] = field(default_factory=dict)
    dead: int = 0
    clock: int = 1_700_000_000_000_000

    def __post_init__(self) -> None:
        self.lake = open_lake(self.place)
        self.stream = Stream("s", "redis://nowhere/s", "t", self.key, limits=Limits(segment_seconds=1e9))
        self.reader = TailedTable(self.lake, "t")
        self.writer = self.opened()

    def opened(self):
        self.writer = open_writer(self.stream, self.lake, lambda: self.clock)
        for partition in (0, 1):
            assert self.writer.positions.get(f"{AT}p{partition}", 0) == self.read[partition]
        return self.writer

    def send(self, rows) -> None:
        for partition, key, value in rows:
            broken = key == 3 and value == 2
            self.sent[partition].append(b"broken" if broken else json.dumps({"k": key, "v": value}).encode())

    def deliver(self, partition: int, first: int, last: int) -> None:
        payloads = self.sent[partition][first:last]
        self.writer.write([Message(f"p{partition}", first + at + 1, body) for at, body in enumerate(payloads)])
        for body in payloads[max(self.read[partition] - first, 0) :]:
            self.model(body)
        self.read[partition] = max(self.read[partition], first + len(payloads))
        self.writer._last = 0.0
        self.writer.write([])  # a place without rows is written as well

    def model(self, body: bytes) -> None:
        if body == b"broken":
            self.dead += 1
            return
        row = json.loads(body)
        if self.key and self.newest.get(row["k"]) == row["v"]:
            return
        self.newest[row["k"]] = row["v"]
        self.expected.append((row["k"], row["v"]))

    def step(self, what: str, how) -> None:
        folder = tail_folder(self.lake, "t")
        if what == "send":
            self.send(how)
        elif what == "read":
            for partition in (0, 1):
                self.deliver(partition, self.read[partition], self.read[partition] + how)
        elif what == "again":
            for partition in (0, 1):
                self.deliver(partition, max(self.read[partition] - how, 0), self.read[partition])
        elif what == "flush":
            self.writer.flush()
        elif what == "crash":
            self.writer.abandon()
            self.opened()
        elif what == "torn":
            self.writer.abandon()
            for segment in sorted(folder.glob("*.segment"))[-1:]:
                with segment.open("ab") as file:
                    file.write((99).to_bytes(4, "little")[:how] + b"\1" * max(how - 4, 0))
            if how < 16:
                self.opened()
            else:  # a head that was never written whole cannot be: take it away again
                for segment in sorted(folder.glob("*.segment"))[-1:]:
                    segment.write_bytes(segment.read_bytes()[:-how])
                self.opened()
        else:
            self.crash_in_flush(folder, how)

    def crash_in_flush(self, folder: Path, how: str) -> None:
        """The version is committed, but the ledger, the segments or both are as they were before."""
        before = self.place / "before"
        shutil.copytree(folder, before)
        self.writer.flush()
        self.writer.abandon()
        if how in ("ledger", "both"):
            shutil.copy(before / "ledger", folder / "ledger")
        if how in ("segments", "both"):
            for segment in before.glob("*.segment"):
                shutil.copy(segment, folder / segment.name)
        shutil.rmtree(before)
        if how != "ledger":  # a ledger older than a removed segment does not happen
            self.check()
        self.opened()

    def check(self) -> None:
        if "t" not in self.lake:
            assert self.expected == []
            return
        found = log(self.lake, "t")
        assert [(row["k"], row["v"]) for row in found] == self.expected
        known = [row[KNOWN] for row in found]
        assert all(a < b for a, b in pairwise(known))
        with self.reader.now().scan() as scan, plain_sql({"rows": scan}, "log") as sql:
            again = sql.arrow("FROM rows ORDER BY _known").to_pylist()
        assert again == found

    def finish(self) -> None:
        for partition in (0, 1):
            self.deliver(partition, self.read[partition], len(self.sent[partition]))
        self.writer.close()
        self.check()
        assert (len(log(self.lake, "t__dead")) if "t__dead" in self.lake else 0) == self.dead


@given(steps=st.lists(STEPS, max_size=14), keyed=st.booleans())
def test_rows_are_readable_once_whatever_happens(steps, keyed: bool):
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place), ("k",) if keyed else ())
        for what, how in steps:
            world.clock += 1_000
            world.step(what, how)
            if what != "send":
                world.check()
        world.finish()
