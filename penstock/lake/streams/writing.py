"""The one writer of a streamed table: messages become rows of its tail, each once, and segments become versions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.awaited import is_compared
from penstock.lake.reserved import DEAD
from penstock.lake.source import printable
from penstock.lake.streams.columns import columns_for, grown
from penstock.lake.streams.fitting import Columns, Draft, Fitted
from penstock.lake.streams.flushing import Flusher
from penstock.lake.streams.message import DeadLetter, Message, Tally
from penstock.lake.streams.parsing import Row, UnreadableError, raw_text, rows_of
from penstock.lake.streams.positions import AT, CAME, KNOWN, ONCE, Ledger, advanced, restored
from penstock.lake.streams.seen import Seen
from penstock.lake.streams.stream import Stream
from penstock.lake.streams.tail import Entry, Tail, open_tail, tail_folder
from penstock.lake.streams.values import MisfitError
from penstock.lake.versioned import Lake, VersionedTable

Landed = Callable[[str, pa.RecordBatch], None]
"""Told of a table's rows, with the lake's own two columns, once they are durable and readable.

Where the source says when rows were known, they have `CAME`, too.
"""

_RATIO = 20
_IDLE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class _Parsed:
    """A message and its rows; or why it has none, or that its place was read before."""

    message: Message
    rows: Sequence[Row] = ()
    reason: str | None = None
    repeated: bool = False


@dataclass
class _News:
    """Rows that say something new, when each was known, and by which numbers they came: from ``first`` to ``next``."""

    first: int
    rows: list[Fitted] = field(default_factory=list)
    known: list[int] = field(default_factory=list)

    @property
    def next(self) -> int:
        """The number by which the next one comes: an instant, and greater than any before."""
        return self.first + len(self.rows)

    def add(self, row: Fitted, seen: Seen) -> bool:
        """Take a row if it is news; whether it is."""
        known = seen.taken(row, self.next)
        if known is None:
            return False
        self.rows.append(row)
        self.known.append(known)
        return True

    def numbered(self, rows: pa.RecordBatch) -> pa.RecordBatch:
        """The rows, made of these, with the numbers by which they came."""
        return rows.append_column(CAME, pa.array(np.arange(self.first, self.next)))


@dataclass
class TableWriter:
    """A table's tail, positions and columns while one process streams into it.

    `write` belongs to one thread, `flush` to another (or the same). After any error of `write` throw the writer away
    and open another one: what is on disk is right.
    """

    stream: Stream
    now: Callable[[], int]
    _lake: Lake
    _tail: Tail
    _flusher: Flusher
    _seen: Seen
    _columns: Columns
    _positions: dict[str, int]
    landed: Landed | None = None
    _appended: int = 0
    _flushed: int = 0
    flushed: int = 0
    _flush_took: float = 0.0
    _waiting: bool = False
    _unwritten: dict[str, int] = field(default_factory=dict)
    _last: float = 0.0

    @property
    def positions(self) -> Mapping[str, int]:
        """How far each partition has been read, receipts included."""
        return self._positions

    @property
    def tail_rows(self) -> int:
        """The rows that are readable but in no version yet."""
        return self._appended - self._flushed

    # ------------------------------------------------------------ writing

    def write(self, messages: Sequence[Message]) -> list[Tally]:
        """Make messages durable and readable, each once; what became of each."""
        if messages and not self._tail.age():
            self._look()
        change: dict[str, int] = {}
        parsed = [self._parsed(message, change) for message in messages]
        letters: list[DeadLetter] = []
        news = _News(max(self.now(), self._positions.get(KNOWN, 0) + 1))
        tallies = []
        for one, fitted in zip(parsed, self._fit(parsed), strict=True):
            rows = [row for row in fitted if not isinstance(row, str)]
            dead = _letters(one, fitted) if one.reason is not None or len(rows) < len(fitted) else []
            fresh = sum(news.add(row, self._seen) for row in rows)
            tallies.append(Tally(fresh, len(rows) - fresh + one.repeated, len(dead)))
            letters += dead
        self._append(news, letters, change)
        return tallies

    def _look(self) -> None:
        """See whether the table is compared with a source, too, as rows that were written here may be deleted then."""
        try:
            known = self.stream.table in self._lake
            self._seen.shared = known and is_compared(self._lake.table(self.stream.table))
        except (SourceError, OSError):  # writing needs no catalogue, and a repeat too many does no harm
            self._seen.shared = True

    def _parsed(self, message: Message, change: dict[str, int]) -> _Parsed:
        """A message's rows, and its place among the positions."""
        place = AT + message.partition
        if message.offset <= max(self._positions.get(place, -1), change.get(place, -1)):
            return _Parsed(message, repeated=True)
        change[place] = message.offset
        if message.mark is not None:
            change[message.mark[0]] = message.mark[1]
        if message.fault is not None:
            return _Parsed(message, reason=message.fault)
        try:
            return _Parsed(message, rows_of(message, self.stream.format))
        except UnreadableError as unreadable:
            return _Parsed(message, reason=str(unreadable))

    def _fit(self, parsed: Sequence[_Parsed]) -> list[list[Fitted | str]]:
        """The rows' values, or why one does not fit, with columns that grow as far as the table lets them."""
        while True:
            draft = self._columns.draft()
            found = [[_fit(draft, row, self._typed(one)) for row in one.rows] for one in parsed]
            wanted = draft.columns()
            if wanted.types == self._columns.types:
                return found
            self._columns = grown(self._lake, self.stream, self._columns, wanted)

    def _typed(self, one: _Parsed) -> bool:
        return one.message.typed or (self.stream.format == "arrow" and isinstance(one.message.payload, bytes))

    def _append(self, news: _News, letters: Sequence[DeadLetter], change: Mapping[str, int]) -> None:
        """One entry of the tail; positions alone wait a little for company, as repeating them does no harm."""
        self._positions = advanced(self._positions, change)
        self._unwritten.update(change)
        receipt = any(name.startswith(ONCE) for name in change)
        quiet = time.monotonic() - self._last < _IDLE_SECONDS
        if not self._unwritten or (quiet and not news.rows and not letters and not receipt):
            return
        last = {KNOWN: max(news.next - 1, news.first)}
        rows = self._columns.batch(news.rows, news.known) if news.rows else None
        self._tail.append(Entry(rows, {**self._unwritten, **last}, tuple(letters)))
        self._positions |= last
        self._unwritten = {}
        self._appended += len(news.rows)
        self._last = time.monotonic()
        if rows is not None and self.landed is not None:
            self.landed(self.stream.table, rows if self._columns.known is None else news.numbered(rows))

    def recover(self) -> None:
        """Go on from what an earlier writer left: newest contents, and the segments it did not commit."""
        if self.stream.table in self._lake:
            self._seen.learn_newest(self._lake.table(self.stream.table).scan())
        for segment in self._tail.sealed():
            self._waiting = True
            for entry in segment.entries():
                self._positions = advanced(self._positions, entry.positions)
                if entry.rows is not None:
                    self._seen.learn(entry.rows)
                    self._appended += entry.rows.num_rows

    # ------------------------------------------------------------ flushing

    def due(self) -> bool:
        """Whether a segment that was ended waits, or the current one is full or old enough to become a version."""
        if self._waiting:
            return True
        limits = self.stream.limits
        patience = max(limits.segment_seconds, _RATIO * self._flush_took)
        return self._tail.open_rows >= limits.segment_rows or self._tail.age() >= patience

    def flush(self) -> int:
        """End the current segment and commit all that are ended; how many."""
        self._tail.seal()
        self._waiting = True
        sealed = self._tail.sealed()
        for segment in sealed:
            began = time.monotonic()
            self._flushed += self._flusher.flush(segment).rows
            self._flush_took = time.monotonic() - began
            self.flushed += 1
        self._waiting = False
        return len(sealed)

    def close(self) -> None:
        """Commit everything, and let another writer have the table."""
        try:
            self._last = 0.0
            self._append(_News(self._positions.get(KNOWN, 0) + 1), (), {})
            self.flush()
        finally:
            self._tail.close()

    def abandon(self) -> None:
        """Let another writer have the table, with its tail as it is."""
        self._tail.close()


def _fit(draft: Draft, row: Row, typed: bool) -> Fitted | str:
    try:
        return draft.fit(row, typed=typed)
    except MisfitError as misfit:
        return str(misfit)


def _letters(one: _Parsed, fitted: Sequence[Fitted | str]) -> list[DeadLetter]:
    """The dead letters of a message: itself, or those of its rows that do not fit."""
    message = one.message
    if one.reason is not None:
        return [DeadLetter(message.partition, message.place, one.reason, raw_text(message.payload))]
    alone = len(fitted) == 1
    return [
        DeadLetter(
            message.partition,
            message.place if alone else f"{message.place}/{at}",
            reason,
            raw_text(message.payload if alone else one.rows[at]),
        )
        for at, reason in enumerate(fitted)
        if isinstance(reason, str)
    ]


def open_writer(stream: Stream, lake: Lake, now: Callable[[], int], landed: Landed | None = None) -> TableWriter:
    """The writer of a stream's table, gone on from what the last one left: its tail, its positions, what it knew.

    ``landed`` is called in the thread that writes, and not for what an earlier writer left.
    Raises ``SourceError`` (``TAIL_BUSY``) while another one writes, ``SchemaError`` where the table is another.
    """
    folder = tail_folder(lake, stream.table)
    tail = open_tail(folder)
    try:
        columns = columns_for(lake, stream)
        ledger = Ledger(folder / "ledger")
        number, positions = restored(ledger, _tables(lake, stream.table))
        ledger.begin(number, positions)
        tail.go_on_after(number)
        flusher = Flusher(lake, stream.table, stream.name, printable(stream.url), tail, ledger)
        daily = columns.known is not None and pa.types.is_date(columns.types.get(columns.known, pa.null()))
        seen = Seen(columns.key, stream.limits.keys, columns.known, daily)
        writer = TableWriter(stream, now, lake, tail, flusher, seen, columns, positions, landed)
        writer.recover()
    except BaseException:
        tail.close()
        raise
    return writer


def _tables(lake: Lake, table: str) -> list[VersionedTable]:
    return [lake.table(name) for name in (table, table + DEAD) if name in lake]
