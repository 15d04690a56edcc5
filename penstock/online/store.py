"""The contract of an online store: parts of keys in spaces, written whole or not at all, and notes beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import NamedTuple, Protocol

FIRST = -(2**63)
"""Before every part."""


class Part(NamedTuple):
    """A part of what is kept of a key: its number, which orders a key's parts, and its bytes."""

    number: int
    data: bytes


class Change(NamedTuple):
    """A part to be written; without ``data`` to be removed, and without a ``number`` all parts of the key."""

    space: str
    key: bytes
    number: int | None
    data: bytes | None


class OnlineStore(Protocol):
    """A place for what is kept of keys.

    A *space* holds one thing for many keys; names are short ASCII words. A key is any bytes, of any length; it has
    *parts*, numbered by 64-bit whole numbers. *Notes* are small texts by name, changed together with parts: a reader
    sees all of a write or nothing, and what was written is there after a kill. Errors of servers and disks are
    ``StoreError`` (``STORE_LOST``, ``STORE_FULL``, ``STORE_DAMAGED``) without secrets.
    """

    def read(self, space: str, keys: Sequence[bytes], since: int = FIRST) -> list[list[Part]]:
        """For each key its parts from number ``since`` on, in order; nothing for a key that is not there."""
        ...

    def read_one(self, space: str, key: bytes, number: int) -> bytes | None:
        """One part of one key: the fastest way there is."""
        ...

    def write(self, changes: Sequence[Change], notes: Mapping[str, str | None] | None = None) -> None:
        """Make all these changes and notes (None removes one), or none of them; durable when this returns."""
        ...

    def note(self, name: str) -> str | None:
        """A note; None where there is none."""
        ...

    def notes(self, prefix: str = "") -> dict[str, str]:
        """All notes whose names begin so."""
        ...

    def keys(self, space: str, after: bytes | None = None, most: int = 1000) -> list[bytes]:
        """Keys of a space in the store's own fixed order, those behind ``after``; as many as ``most``."""
        ...

    def spaces(self) -> dict[str, int]:
        """The spaces there are, with the number of their keys (about)."""
        ...

    def drop(self, space: str) -> None:
        """Remove a space with all its keys; may be done in steps, and done again after a kill."""
        ...

    def feeding(self) -> AbstractContextManager[None]:
        """Hold the right to change the store, which one writer has at a time, across processes; waits for it."""
        ...

    def size(self) -> int:
        """How many bytes it takes, as far as it can tell."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


def walk(store: OnlineStore, space: str, size: int = 1000) -> Iterator[bytes]:
    """All keys of a space, a page at a time."""
    page = store.keys(space, None, size)
    while page:
        yield from page
        page = store.keys(space, page[-1], size)
