"""Streams of corrections: of one key the row known last counts, at every instant, in whatever order rows came."""

from __future__ import annotations

import json
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pyarrow as pa
import pytest
from hypothesis import example, given, settings

from penstock.lake.streams import Limits, Message, Stream, TableWriter, open_writer, read_now
from penstock.lake.versioned import Lake, open_lake
from tests.lake.corrections import CUTOFFS, NOW, RECORDS, Record, seen, told

FEW = settings(max_examples=max(6, settings().max_examples // 10), deadline=None)


class Streamed:
    """A table that rows of corrections stream into."""

    def __init__(self, folder: Path, kind: pa.DataType | None = None, limits: Limits = Limits()) -> None:  # noqa: B008
        self.lake = open_lake(folder / "lake")
        self.stream = Stream("s", "redis://h/s", "t", ("id", "at"), "at", known="created", limits=limits)
        self.clock, self.offset = NOW, 0
        self.writer = self.opened()

    def now(self) -> int:
        self.clock += 1
        return self.clock

    def opened(self) -> TableWriter:
        return open_writer(self.stream, self.lake, self.now)

    def send(self, *rows: Record) -> list[tuple[int, int, int]]:
        messages = []
        for id_, at, created, value in rows:
            self.offset += 1
            told_ = {"id": id_, "at": _iso(at), "created": None if created is None else _iso(created), "v": value}
            messages.append(Message("p", self.offset, json.dumps(told_).encode()))
        return [tuple(tally) for tally in self.writer.write(messages)]

    def again(self) -> None:
        """Commit what came, and go on as another process would."""
        self.writer.close()
        self.writer = self.opened()


def _iso(micros: int) -> str:
    return f"1970-01-01T00:00:00.{micros:06d}"


@given(
    RECORDS.map(lambda rows: [row for row in rows if row[2] is not None]).filter(bool),
    st.lists(st.sampled_from(["", "", "flush", "again"]), min_size=12, max_size=12),
    st.booleans(),
)
@example([(1, 10, 35, "new"), (1, 10, 25, "old")], ["", "again"] * 6, True)
@FEW
def test_the_order_in_which_records_stream_decides_nothing(rows: list[Record], then: list[str], few: bool) -> None:
    with TemporaryDirectory() as folder:
        table = Streamed(Path(folder), limits=Limits(keys=1) if few else Limits())
        for row, what in zip(rows, then, strict=False):
            assert table.send(row) == [(1, 0, 0)]
            if what == "flush":
                table.writer.flush()
            elif what:
                table.again()
        table.writer.close()
        assert all(seen(table.lake, cutoff) == told(rows, cutoff) for cutoff in CUTOFFS)
        assert list(read_now(table.lake, "t").came) == []


@pytest.fixture
def table(tmp_path: Path) -> Streamed:
    return Streamed(tmp_path)


def newest(lake: Lake, cutoff: int = 10**9) -> dict[tuple[int, int], str | None]:
    return seen(lake, cutoff)


def test_a_row_that_says_no_instant_is_known_when_it_comes(table: Streamed) -> None:
    table.send((1, 10, None, "a"))
    table.send((1, 10, 500, "b"))  # known before
    table.send((1, 10, None, "c"))
    table.send((1, 10, None, "c"))  # said already
    table.writer.close()
    assert (newest(table.lake), newest(table.lake, 600), newest(table.lake, 400)) == (
        {(1, 10): "c"}, {(1, 10): "b"}, {},
    )  # fmt: skip


def test_of_one_instant_what_comes_later_counts(table: Streamed) -> None:
    assert table.send((1, 10, 20, "a"), (1, 10, 20, "a"), (1, 10, 20, "b")) == [(1, 0, 0), (0, 1, 0), (1, 0, 0)]
    table.again()
    assert table.send((1, 10, 20, "b")) == [(0, 1, 0)]
    table.send((1, 10, 20, "c"))
    table.send((1, 10, 30, "d"))  # known after the others, though before they came
    table.writer.close()
    assert (newest(table.lake), newest(table.lake, 25)) == ({(1, 10): "d"}, {(1, 10): "a"})


def test_the_tail_tells_by_which_numbers_its_rows_came(table: Streamed) -> None:
    table.send((1, 10, 500, "a"), (1, 10, 20, "b"))
    table.send((2, 10, 3, "c"))
    now = read_now(table.lake, "t")
    assert list(now.came) == sorted(set(now.came)) and min(now.came) > NOW
    assert now.tail["_known"].cast(pa.int64()).to_pylist() == [500, 20, 3]
    table.writer.close()


def test_a_key_that_is_gone_is_gone_since_then(table: Streamed) -> None:
    table.send((1, 10, 20, "a"))
    gone = {"id": 1, "at": _iso(10), "created": _iso(40), "_deleted": True}
    table.writer.write([Message("p", 99, json.dumps(gone).encode())])
    table.writer.close()
    assert (newest(table.lake, 30), newest(table.lake, 50)) == ({(1, 10): "a"}, {})
