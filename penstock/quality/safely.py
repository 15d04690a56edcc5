"""Files that several processes write, any of which may be killed at any moment."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def locked(path: Path, wait: float = 60.0) -> Iterator[bool]:
    """Hold a file's lock, waiting for it for so many seconds; gives whether it is held. A killed process holds none."""
    import fcntl

    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        yield _taken(lambda: fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB), wait)


def _taken(take: Callable[[], None], wait: float) -> bool:
    until = time.monotonic() + wait
    while True:
        try:
            take()
        except BlockingIOError:
            if time.monotonic() >= until:
                return False
            time.sleep(0.02)
        else:
            return True


def replaced(path: Path, text: str) -> None:
    """Give a file a new text: readers see the old one or the new one, and so they do after a kill."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{uuid4().hex[:8]}.draft")
    try:
        with draft.open("w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def append_line(path: Path, line: str) -> None:
    """Add one line, on disk when this returns. A line that a kill tore stays alone on its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with locked(path.with_name(f".{path.name}.lock")), path.open("ab+") as file:
        end = file.seek(0, os.SEEK_END)
        file.seek(max(0, end - 1))
        torn = end > 0 and file.read(1) != b"\n"
        file.write(b"\n" * torn + line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def lines_backwards(path: Path, block: int = 1 << 16) -> Iterator[bytes]:
    """A file's lines, the last one first; none where there is no file. Memory is a block and the longest line."""
    if not path.exists():
        return
    with path.open("rb") as file:
        at, rest = file.seek(0, os.SEEK_END), b""
        while at > 0:
            start = max(0, at - block)
            file.seek(start)
            rest, *lines = (file.read(at - start) + rest).split(b"\n")
            yield from (line for line in reversed(lines) if line)
            at = start
        if rest:
            yield rest
