"""Which writers live: each process holds a lock on a file of its own as long as it runs, whatever ends it."""

from __future__ import annotations

import atexit
import fcntl
import os
import re
from pathlib import Path
from threading import Lock
from typing import IO
from uuid import uuid4

_HELD: dict[tuple[int, Path], tuple[str, IO[bytes]]] = {}
"""By process and folder: a forked process must not take its parent's word for its own."""
_LOCK = Lock()
_WORD = 8
_NAME = re.compile(r"(?:[0-9a-f]{32}-|\.)([0-9a-f]{8})[0-9a-f]{8}\.(?:parquet|draft)")


def this_writer(folder: Path) -> str:
    """The word that this process's files in a folder have in their names; it lives from now on."""
    with _LOCK:
        held = _HELD.get((os.getpid(), folder))
        if held is None or not _path(folder, held[0]).exists():
            if held is not None:
                held[1].close()  # its folder was removed
            word = uuid4().hex[:_WORD]
            file = _path(folder, word).open("wb")
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            held = _HELD[os.getpid(), folder] = word, file
        return held[0]


@atexit.register
def _released() -> None:
    for _, file in _HELD.values():
        file.close()


def is_living(folder: Path, name: str) -> bool:
    """Whether the writer that a file is named after still runs; false for names that say no writer."""
    said = _NAME.fullmatch(name)
    if said is None:
        return False
    if any(pid == os.getpid() and at == folder and word == said[1] for (pid, at), (word, _) in _HELD.items()):
        return True
    return _is_locked(_path(folder, said[1]))


def is_dead_lock(path: Path) -> bool:
    """Whether this is the lock of a writer that runs no more."""
    return path.name.startswith(".writer-") and not _is_locked(path)


def _is_locked(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _path(folder: Path, word: str) -> Path:
    return folder / f".writer-{word}"
