"""An append-only log of frames, each with its length and checksum, so that a torn last one is known for what it is."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from struct import Struct

from penstock.errors import SourceError

_HEAD = Struct("<I4s8s")
_ZEROS = 16


def framed(body: bytes) -> bytes:
    """A frame: length, checksum, body."""
    return _HEAD.pack(len(body), _checksum(b"%d" % len(body), 4), _checksum(body, 8)) + body


def frames(data: bytes, name: str) -> Iterator[tuple[bytes, int]]:
    """The bodies of whole frames and where each one ends; a torn last frame is left out.

    Raises ``SourceError`` (``TAIL_DAMAGED``) where a frame that others follow is not what was written.

    >>> log = framed(b"one") + framed(b"two")
    >>> [body for body, end in frames(log[:-1], "log")]
    [b'one']
    """
    at = 0
    while at + _HEAD.size <= len(data):
        length, told, expected = _HEAD.unpack_from(data, at)
        start, end = at + _HEAD.size, at + _HEAD.size + length
        sound = length > 0 and told == _checksum(b"%d" % length, 4)
        if sound and end > len(data):
            return
        body = data[start:end]
        if not sound or _checksum(body, 8) != expected:
            if _never_written(data[at:] if not sound else data[end - min(length, _ZEROS) :]):
                return
            raise SourceError(
                "TAIL_DAMAGED",
                f"{name} is damaged at byte {at}: a checksum does not fit",
                name=name,
                hint="Restore the file; what follows there has not been read.",
            )
        yield body, end
        at = end


def _never_written(data: bytes) -> bool:
    """Whether a file's end is what a power cut leaves: room without content."""
    return not data.strip(b"\0")


def _checksum(body: bytes, size: int) -> bytes:
    return blake2b(body, digest_size=size).digest()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_whole(path: Path, data: bytes) -> None:
    """Replace a file by another one, durably: readers see the old or the new."""
    draft = path.with_name(f".{path.name}.draft")
    with draft.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
    sync_folder(path.parent)
