"""Metadata files that carry the hash of their content in their name, so that a torn or changed one is noticed."""

from __future__ import annotations

import re
from hashlib import blake2b
from typing import TYPE_CHECKING

from penstock.errors import SourceError

if TYPE_CHECKING:
    from pyiceberg.io import FileIO

_SEAL = re.compile(r"b2b-([0-9a-f]{32})")


def sealed(io: FileIO, name: str, content: bytes) -> str:
    """Write content to the place whose ``{}`` becomes its seal, and say where that is."""
    location = name.format(f"b2b-{_hash(content)}")
    with io.new_output(location).create(overwrite=True) as stream:
        stream.write(content)
    return location


def is_sealed(location: str) -> bool:
    """Whether a file's name says its content."""
    return _SEAL.search(location.rpartition("/")[2]) is not None


def opened_sealed(io: FileIO, location: str) -> bytes:
    """A file's content. Raises ``ValueError`` when it is not what its name says, ``FileNotFoundError`` without it.

    Files of other writers carry no seal and are taken as they are.
    """
    with io.new_input(location).open(seekable=False) as stream:
        content = stream.read()
    seal = _SEAL.search(location.rpartition("/")[2])
    if seal is not None and seal[1] != _hash(content):
        raise ValueError("its content is not what was written")
    return content


def damaged(table: str, location: str, reason: str, hint: str) -> SourceError:
    """The error for a file of a table that is torn, changed or missing."""
    return SourceError("LAKE_DAMAGED", f"{table}: {location}: {reason}", name=location, hint=hint)


def _hash(content: bytes) -> str:
    return blake2b(content, digest_size=16).hexdigest()
