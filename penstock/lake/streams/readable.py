"""What is readable now: a table's newest version and the rows of its tail that are not in it yet, each row once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.streams.aligning import aligned
from penstock.lake.streams.positions import KNOWN, last_segment
from penstock.lake.streams.tail import Entry, Segment, segments, tail_folder
from penstock.lake.versioned import Lake, Scan, VersionedTable

_TRIES = 100
_SMALL_BATCHES = 64


@dataclass(frozen=True)
class Now:
    """A table at its newest version, and the row versions (in its columns) that came after it, in order.

    ``came`` are the numbers by which these came (`penstock.lake.streams.positions.Positions`).
    """

    table: VersionedTable
    tail: pa.Table
    came: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))

    @contextmanager
    def scan(self) -> Iterator[Scan]:
        """All rows as one scan, to be read while the context lasts: the tail is staged beside the version's files."""
        if not self.tail.num_rows:
            yield self.table.scan()
            return
        staged = self.table.stage(self.tail.combine_chunks().to_batches())
        try:
            yield self.table.scan(beside=staged)
        finally:
            self.table.discard(staged)


@dataclass
class _Read:
    """The rows of a segment that were read already, and up to which byte."""

    end: int = 0
    rows: list[pa.RecordBatch] = field(default_factory=list)
    came: list[np.ndarray] = field(default_factory=list)

    def add(self, entry: Entry, end: int, schema: pa.Schema) -> None:
        """Take the rows of an entry that ends at a byte."""
        if entry.rows is not None:
            self.rows.append(aligned(entry.rows, schema))
            self.came.append(numbers(entry))
        self.end = end


@dataclass
class TailedTable:
    """A streamed table for one that reads it again and again: only what is new is read each time.

    A newer version is loaded when the stream has committed one, and by ``refresh``, which also shows what came other
    ways than by the stream. Not for two threads at once.
    """

    lake: Lake
    name: str
    _loaded: _Loaded | None = None
    _read: dict[int, _Read] = field(default_factory=dict)

    def now(self, *, refresh: bool = False) -> Now:
        """What is readable now. Raises ``SourceError`` where there is no such table."""
        loaded = None if refresh else self._loaded
        for _ in range(_TRIES):
            loaded = loaded or self._load()
            read = self._tail(loaded)
            if read is not None:
                batches = [rows for one in read for rows in one.rows]
                came = [np.empty(0, np.int64), *(some for one in read for some in one.came)]
                return Now(loaded.table, pa.Table.from_batches(batches, loaded.schema), np.concatenate(came))
            loaded = None
        raise SourceError("TAIL_RESTLESS", f"{self.name}: its tail changes faster than it can be read")

    def _load(self) -> _Loaded:
        loaded = _load(self.lake, self.name)
        if self._loaded is None or self._loaded.schema != loaded.schema:
            self._read.clear()
        self._loaded = loaded
        return loaded

    def _tail(self, loaded: _Loaded) -> list[_Read] | None:
        """The rows that the loaded version does not hold; None where it is too old to tell."""
        wanted = [segment for segment in segments(loaded.folder) if segment.number > loaded.flushed]
        for number in self._read.keys() - {segment.number for segment in wanted}:
            del self._read[number]
        try:
            read = [self._rows(segment, loaded.schema) for segment in wanted]
        except FileNotFoundError:
            return None
        whole = [one for one in read if one is not None]
        return whole if _stamp(loaded.folder) == loaded.stamp and len(whole) == len(read) else None

    def _rows(self, segment: Segment, schema: pa.Schema) -> _Read | None:
        """A segment's rows in the table's columns; None where they have a column that the loaded version has not."""
        known = self._read.setdefault(segment.number, _Read())
        if segment.path.stat().st_size == known.end:
            return known
        for entry, end in segment.entries_after(known.end):
            if entry.rows is not None and not set(entry.rows.schema.names) <= set(schema.names):
                return None
            known.add(entry, end, schema)
        if len(known.rows) > _SMALL_BATCHES:
            known.rows = pa.Table.from_batches(known.rows).combine_chunks().to_batches()
            known.came = [np.concatenate(known.came)]
        return known


def numbers(entry: Entry) -> np.ndarray:
    """The numbers by which the rows of an entry came."""
    last, count = entry.positions[KNOWN], 0 if entry.rows is None else entry.rows.num_rows
    return np.arange(last + 1 - count, last + 1)


@dataclass(frozen=True)
class _Loaded:
    """A version, the newest segment that it holds, and the ledger's state before it was loaded.

    The ledger is written after a version is committed and before its segment is removed: while it is as it was, the
    segments that are there and this version together hold every row.
    """

    table: VersionedTable
    schema: pa.Schema
    folder: Path
    flushed: int
    stamp: tuple[int, ...]


def _load(lake: Lake, name: str) -> _Loaded:
    folder = tail_folder(lake, name)
    stamp = _stamp(folder)
    table = lake.table(name)
    identity = folder / "identity"
    tail = identity.read_text(encoding="ascii") if identity.exists() else ""
    schema = pa.schema([(field.name, field.type) for field in table.schema])
    return _Loaded(table, schema, folder, last_segment(table, tail), stamp)


def _stamp(folder: Path) -> tuple[int, ...]:
    try:
        stat = (folder / "ledger").stat()
    except FileNotFoundError:
        return ()
    return stat.st_ino, stat.st_size, stat.st_mtime_ns


def read_now(lake: Lake, name: str) -> Now:
    """A table with all that is readable of it now; for reading again and again keep a `TailedTable`."""
    return TailedTable(lake, name).now()
