"""Whether a data file is what was written, by the hash in its name."""

from __future__ import annotations

import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from hashlib import blake2b, file_digest
from pathlib import Path

from penstock.errors import SourceError

_NAME = re.compile(r"([0-9a-f]{32})-[0-9a-z]+\.parquet")
_WHOLE: dict[str, tuple[int, int]] = {}
"""Size and time of change of each file that this process found whole."""


@dataclass(frozen=True)
class Damage:
    """A file that is torn, changed or missing, the oldest version that needs it (0: all), and what is wrong."""

    table: str
    file: str
    version: int
    reason: str


def checksum(path: Path) -> str:
    """The hash that a data file is named after."""
    with path.open("rb") as file:
        return file_digest(file, lambda: blake2b(digest_size=16)).hexdigest()


def found_whole(path: Path) -> None:
    """Remember that a file is whole as it is now."""
    stat = path.stat()
    _WHOLE[str(path)] = stat.st_size, stat.st_mtime_ns


def what_is_wrong(path: Path, again: bool = False) -> str | None:
    """What is wrong with a file; None when it is whole. Its content is read when it is new to this process.

    ``again`` reads the content whatever is remembered. Files of other writers, whose names say no hash, pass.
    """
    named = _NAME.fullmatch(path.name)
    try:
        stat = path.stat()
        if named is None or (not again and _WHOLE.get(str(path)) == (stat.st_size, stat.st_mtime_ns)):
            return None
        if checksum(path) != named[1]:
            return "its content is not what was written"
    except FileNotFoundError:
        return "it is missing"
    except OSError as error:
        return f"it cannot be read: {error.strerror}"
    _WHOLE[str(path)] = stat.st_size, stat.st_mtime_ns
    return None


def must_be_whole(files: tuple[Path, ...], explain: Callable[[Path, str], SourceError]) -> None:
    """Raise the error that ``explain`` makes for the first file that is not whole."""
    if len(files) < 2:
        reasons = [what_is_wrong(file) for file in files]
    else:
        with ThreadPoolExecutor(4) as pool:  # hashing leaves the other threads alone
            reasons = list(pool.map(what_is_wrong, files))
    for file, reason in zip(files, reasons, strict=True):
        if reason is not None:
            raise explain(file, reason)
