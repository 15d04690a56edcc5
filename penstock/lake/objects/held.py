"""Copies of objects in a local folder, bounded in size: those that were not used for longest go first."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from hashlib import blake2b
from pathlib import Path

from penstock.errors import SourceError

_DRAFT = ".draft-"
_IN_USE_SECONDS = 3600
"""What was used so lately may be open, and is never removed."""


@dataclass(frozen=True)
class Held:
    """A folder of entries, each a folder named by the hash of what it holds; an entry appears complete or not at all.

    ``most`` bounds its size in bytes; None takes half of the disk that is free or its own.
    """

    folder: Path
    most: int | None = None

    def entry(self, *identity: object) -> Path:
        """Where the entry of this identity is, or would be."""
        return self.folder / blake2b(repr(identity).encode(), digest_size=16).hexdigest()

    def keep(self, entry: Path, write: Callable[[Path], None]) -> Path:
        """The entry, made by ``write`` in an empty folder if it is not there."""
        if entry.exists() and _used(entry):
            return entry
        self.folder.mkdir(parents=True, exist_ok=True)
        draft = Path(tempfile.mkdtemp(prefix=_DRAFT, dir=self.folder))
        try:
            write(draft)
            if not entry.exists():
                _moved(draft, entry)
        finally:
            shutil.rmtree(draft, ignore_errors=True)
        return entry

    def make_room(self, size: int) -> None:
        """Remove old entries until ``size`` bytes more fit. Raises ``SourceError`` when they do not."""
        entries = self._entries()
        held = sum(taken for _, taken, _ in entries)
        most = (shutil.disk_usage(_existing(self.folder)).free + held) // 2 if self.most is None else self.most
        now = time.time()
        for last_used, taken, path in sorted(entries):
            if held + size <= most:
                return
            if now - last_used > _IN_USE_SECONDS:
                _removed(path)
                held -= taken
        if size and held + size > most:
            message = f"no room for {size:,} bytes: {most:,} may be used for copies of objects, {held:,} are"
            raise SourceError("SOURCE_NO_ROOM", message, hint="Set PENSTOCK_CACHE to a folder on a larger disk.")

    def _entries(self) -> list[tuple[float, int, Path]]:
        """Of each entry: when it was used last, its bytes (shared ones shared out), its folder."""
        found = []
        for path in self.folder.iterdir() if self.folder.is_dir() else ():
            try:
                states = [file.stat() for file in path.rglob("*") if file.is_file()]
                last_used = max((state.st_atime for state in states), default=path.stat().st_mtime)
            except FileNotFoundError:
                continue  # another process removes it
            found.append((last_used, sum(state.st_size // state.st_nlink for state in states), path))
        return found


def _used(entry: Path) -> bool:
    """Note an entry as used now; whether it is still there."""
    now = time.time_ns()
    try:
        for file in entry.rglob("*"):
            if file.is_file():
                os.utime(file, ns=(now, file.stat().st_mtime_ns))
    except FileNotFoundError:
        return False
    return entry.exists()


def _moved(draft: Path, entry: Path) -> None:
    try:
        draft.rename(entry)
    except OSError:
        if not entry.exists():  # else another process made the same
            raise


def _removed(entry: Path) -> None:
    """Out of sight at once, so that nobody finds half of it."""
    gone = entry.with_name(f"{_DRAFT}gone-{entry.name}-{os.getpid()}")
    try:
        entry.rename(gone)
    except OSError:
        return  # another process was faster
    shutil.rmtree(gone, ignore_errors=True)


def _existing(folder: Path) -> Path:
    return next(path for path in (folder, *folder.parents) if path.exists())


@cache
def passing() -> Path:
    """A folder that lasts as long as this process, for settings that keep nothing."""
    folder = Path(tempfile.mkdtemp(prefix="penstock-objects-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder
