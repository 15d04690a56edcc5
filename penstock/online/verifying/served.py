"""The log of served values: what was answered about whom and when, without anybody's key."""

from __future__ import annotations

import math
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path

import msgspec

from penstock.lake.streams.log import framed, frames, sync_folder, write_whole

_FILE_BYTES = 8 << 20
_SUFFIX = ".served"


class Entry(msgspec.Struct, frozen=True, array_like=True):
    """What one request was answered about one view.

    ``at`` is when it was asked and ``kept`` until when the store had followed the lake, in microseconds. ``version`` is
    the view's. ``keys`` are the entities' hashes; ``values[i][j]`` and ``statuses[i][j]`` are those of feature i of
    entity j, instants as microseconds.
    """

    at: int
    kept: int
    view: str
    version: str
    features: tuple[str, ...]
    keys: tuple[bytes, ...]
    values: tuple[tuple[object, ...], ...]
    statuses: tuple[tuple[int, ...], ...]


@dataclass(frozen=True)
class ServedLog:
    """A folder of logged answers; the oldest files go when it takes more than ``most`` bytes.

    As many as ``rate`` requests a second are logged: all of them while few come, and when many do some at even
    distances, so that no moment is burdened. Several processes may write: each has a file of its own. ``clock`` is in
    seconds.
    """

    folder: Path
    rate: int = 100
    most: int = 256 << 20
    clock: Callable[[], float] = field(default=time.monotonic, repr=False, compare=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False, compare=False)
    _left: list[float] = field(default_factory=lambda: [-math.inf, 0.0], repr=False, compare=False)

    @cached_property
    def salt(self) -> bytes:
        """What keys are hashed with, made once for a folder: without it hashes tell nobody's key."""
        path = self.folder / "salt"
        if not path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            _made_once(path)
        return path.read_bytes()

    def hashed(self, keys: Sequence[bytes]) -> tuple[bytes, ...]:
        """Packed keys as they are logged."""
        return tuple([blake2b(key, digest_size=12, key=self.salt).digest() for key in keys])

    def wants(self) -> bool:
        """Whether a request that comes now is one of those to be logged."""
        then, left = self._left
        now = self.clock()
        left = min(self.rate, left + (now - then) * self.rate) if self.rate else 0
        self._left[:] = now, left - 1 if left >= 1 else left
        return left >= 1

    def add(self, entries: Sequence[Entry]) -> None:
        """Log answers; they are in the file when this returns, though a power cut may lose the last moments."""
        data = b"".join(framed(msgspec.msgpack.encode(entry)) for entry in entries)
        with self._lock:
            path = self._current()
            with path.open("ab", buffering=0) as file:
                file.write(data)

    def _current(self) -> Path:
        """The file of this process that has room; old files make room for a new one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        mine = sorted(self.folder.glob(f"*-{os.getpid()}{_SUFFIX}"))
        if mine and mine[-1].stat().st_size < _FILE_BYTES:
            return mine[-1]
        self._trim()
        return self.folder / f"{self._next():012d}-{os.getpid()}{_SUFFIX}"

    def _next(self) -> int:
        return max((int(path.name.partition("-")[0]) for path in self.files()), default=0) + 1

    def _trim(self) -> None:
        files = self.files()
        sizes = [path.stat().st_size for path in files]
        for path, kept in zip(files, (sum(sizes[n:]) for n in range(len(files))), strict=True):
            if kept > self.most - _FILE_BYTES:
                path.unlink(missing_ok=True)

    def files(self) -> list[Path]:
        """The log's files, oldest first."""
        return sorted(self.folder.glob(f"*{_SUFFIX}"))

    def entries(self) -> Iterator[Entry]:
        """All that is logged, file by file; a torn end of a file is left out.

        Raises ``SourceError`` (``TAIL_DAMAGED``) for a file that is not what was written.
        """
        for path in self.files():
            for body, _ in frames(path.read_bytes(), path.name):
                yield msgspec.msgpack.decode(body, type=Entry)

    def clear(self) -> None:
        """Forget what was served."""
        for path in self.files():
            path.unlink(missing_ok=True)


def _made_once(path: Path) -> None:
    """Write a new salt, unless another process has by then: linking a finished file fails where there is one."""
    draft = path.with_name(f"salt-{os.getpid()}")
    write_whole(draft, os.urandom(32))
    try:
        os.link(draft, path)
        sync_folder(path.parent)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
