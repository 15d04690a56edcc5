"""A table's tail: rows that are durable and readable but in no version yet, in small append-only segments beside it."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from struct import Struct
from typing import IO
from urllib.parse import quote
from uuid import uuid4

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.streams.log import framed, frames, sync_folder, write_whole
from penstock.lake.streams.message import DeadLetter
from penstock.lake.versioned import Lake

_META = Struct("<I")
_SUFFIX = ".segment"


@dataclass(frozen=True)
class Entry:
    """What one append holds: rows, letters that could not become rows, and how far this has brought the table."""

    rows: pa.RecordBatch | None
    positions: Mapping[str, int]
    dead: tuple[DeadLetter, ...] = ()

    def to_bytes(self) -> bytes:
        """Its frame's body: the length of a JSON text, that text, rows as an Arrow stream."""
        letters = [[d.partition, d.position, d.reason, d.raw] for d in self.dead]
        told = json.dumps([self.positions, letters], separators=(",", ":")).encode()
        return _META.pack(len(told)) + told + (b"" if self.rows is None else _written(self.rows))

    @classmethod
    def from_bytes(cls, body: bytes) -> Entry:
        """The entry that `to_bytes` wrote."""
        (length,) = _META.unpack_from(body)
        end = _META.size + length
        positions, letters = json.loads(body[_META.size : end])
        rows = None if end == len(body) else pa.ipc.open_stream(pa.py_buffer(body)[end:]).read_next_batch()
        return cls(rows, positions, tuple(DeadLetter(*letter) for letter in letters))


def _written(rows: pa.RecordBatch) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_batch(rows)
    return bytes(sink.getvalue())


@dataclass(frozen=True, order=True)
class Segment:
    """A file of entries; its number is greater than that of every segment before it."""

    number: int
    path: Path

    def entries(self) -> Iterator[Entry]:
        """Its whole entries. Raises ``FileNotFoundError`` once it is in a version and gone."""
        yield from (entry for entry, _ in self.entries_after(0))

    def entries_after(self, start: int) -> Iterator[tuple[Entry, int]]:
        """The whole entries from a byte on, and where each ends."""
        with self.path.open("rb") as file:
            file.seek(start)
            data = file.read()
        for body, end in frames(data, self.path.name):
            yield Entry.from_bytes(body), start + end


def tail_folder(lake: Lake, table: str) -> Path:
    """Where a table's tail is: below the lake's place, or below ``PENSTOCK_TAILS`` where that is no local folder."""
    place = os.environ.get("PENSTOCK_TAILS") or lake.place
    if "://" in place:
        raise SourceError(
            "TAIL_NEEDS_FOLDER",
            "what streams in is kept in a local folder until it is committed, and this lake has none",
            hint="Set PENSTOCK_TAILS to a durable local folder.",
        )
    return Path(place) / "tails" / quote(table, safe="")


def segments(folder: Path) -> list[Segment]:
    """The segments there now, oldest first."""
    found = folder.glob(f"*{_SUFFIX}") if folder.is_dir() else ()
    return sorted(Segment(int(path.stem), path) for path in found)


@dataclass
class Tail:
    """The one writer of a table's tail. Appending and sealing may happen in two threads.

    ``open_rows`` are the rows of the current segment, ``opened`` is when it began (by the monotonic clock).
    """

    folder: Path
    name: str
    _lock_file: IO[str]
    open_rows: int = 0
    opened: float = 0.0
    _next: int = 1
    _file: IO[bytes] | None = None
    _current: Segment | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def append(self, entry: Entry) -> None:
        """Add an entry: durable, and seen by readers, when this returns."""
        data = framed(entry.to_bytes())
        with self._lock:
            file = self._file or self._begun()
            try:
                _write_all(file.fileno(), data)
                os.fdatasync(file.fileno())
            except OSError:
                self._end()  # nothing may follow what is half written
                raise
            self.open_rows += 0 if entry.rows is None else entry.rows.num_rows

    def _begun(self) -> IO[bytes]:
        self._current = Segment(self._next, self.folder / f"{self._next:012d}{_SUFFIX}")
        self._file = self._current.path.open("xb", buffering=0)
        self._next, self.open_rows, self.opened = self._next + 1, 0, time.monotonic()
        sync_folder(self.folder)
        return self._file

    def seal(self) -> None:
        """End the current segment; the next append begins another."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._file is not None:
            self._file.close()
        self._file = self._current = None

    def age(self) -> float:
        """For how many seconds the current segment has been written; 0 where there is none."""
        return 0.0 if self._current is None else time.monotonic() - self.opened

    def sealed(self) -> list[Segment]:
        """The segments that nothing is added to any more, oldest first."""
        with self._lock:
            return [segment for segment in segments(self.folder) if segment != self._current]

    def drop(self, segment: Segment) -> None:
        """Remove a segment whose rows are in a version."""
        segment.path.unlink(missing_ok=True)
        sync_folder(self.folder)

    def go_on_after(self, number: int) -> None:
        """Number the next segments from above ``number`` and above all that are there."""
        there = [segment.number for segment in segments(self.folder)]
        self._next = max([number, *there], default=0) + 1

    def close(self) -> None:
        """End the current segment and let another writer have the tail."""
        self.seal()
        self._lock_file.close()


def _write_all(handle: int, data: bytes) -> None:
    left = memoryview(data)
    while left:
        left = left[os.write(handle, left) :]


def open_tail(folder: Path) -> Tail:
    """The tail in a folder, to be written. Raises ``SourceError`` (``TAIL_BUSY``) while another writer has it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = (folder / "lock").open("a", encoding="utf-8")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        hint = "A table has one stream, in one process; stop the other."
        raise SourceError("TAIL_BUSY", f"another process streams into {folder.name}", hint=hint) from None
    identity = folder / "identity"
    if not identity.exists():
        write_whole(identity, uuid4().hex[:12].encode())
    return Tail(folder, identity.read_text(encoding="ascii"), lock)
