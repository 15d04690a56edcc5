"""The contract of an online store: parts of keys in spaces, written whole or not at all, and notes beside them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import NamedTuple, Protocol, overload

from penstock.errors import RequestError

FIRST = -(2**63)
"""Before every part."""
LONGEST_KEY = 480
"""How many bytes a key may have; a zero byte counts as two."""


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


@dataclass(frozen=True)
class Puts(Sequence[Change]):
    """Parts of a space to be put, none twice: changes told by columns, which are made and written with less work.

    A store may take them as any changes; it does best where they come in the order of keys and numbers.

    >>> Puts("s", [b"k", b"k"], [1, 2], [b"a", b"b"])[1]
    Change(space='s', key=b'k', number=2, data=b'b')
    """

    space: str
    keys: Sequence[bytes]
    numbers: Sequence[int]
    data: Sequence[bytes]

    def __len__(self) -> int:
        return len(self.keys)

    @overload
    def __getitem__(self, place: int) -> Change: ...

    @overload
    def __getitem__(self, place: slice) -> Puts: ...

    def __getitem__(self, place: int | slice) -> Change | Puts:
        if isinstance(place, slice):
            return Puts(self.space, self.keys[place], self.numbers[place], self.data[place])
        return Change(self.space, self.keys[place], self.numbers[place], self.data[place])


class OnlineStore(Protocol):
    """A place for what is kept of keys.

    A *space* holds one thing for many keys; names are short ASCII words. A key is any bytes, at most `LONGEST_KEY`
    (packed keys have fewer, longer ones are ``RequestError`` ``KEY_LONG``); it has *parts*, numbered by 64-bit whole
    numbers, and is there as long as it has any. *Notes* are small texts by name, changed together with parts: a reader
    sees all of a write or nothing, and what was written is there after a kill. Threads may share a store, and a forked
    process may go on using it. Errors of servers and disks are ``StoreError`` (``STORE_LOST``, ``STORE_FULL``,
    ``STORE_DAMAGED``, ``STORE_READ_ONLY``) without secrets.
    """

    def read(self, space: str, keys: Sequence[bytes], since: int = FIRST) -> list[list[Part]]:
        """For each key its parts from number ``since`` on, in order; nothing for a key that is not there."""
        ...

    def read_part(self, space: str, keys: Sequence[bytes], number: int) -> list[bytes | None]:
        """One part of each key; None where it has none. The fastest way there is."""
        ...

    def write(self, changes: Sequence[Change], notes: Mapping[str, str | None] | None = None) -> None:
        """Make all these changes, one after the other, and notes (None removes one), or none of them.

        Durable when this returns, as far as the server is set up to be.
        """
        ...

    def note(self, name: str) -> str | None:
        """A note; None where there is none."""
        ...

    def notes(self, prefix: str = "") -> dict[str, str]:
        """All notes whose names begin so."""
        ...

    def keys(self, space: str, after: bytes | None = None, most: int = 1000) -> list[bytes]:
        """Keys of a space in the order of their bytes, those behind ``after``; as many as ``most``."""
        ...

    def spaces(self) -> dict[str, int]:
        """The spaces there are, with the number of their keys (about)."""
        ...

    def drop(self, space: str) -> None:
        """Remove a space with all its keys; may be done in steps, and done again after a kill."""
        ...

    def feeding(self) -> AbstractContextManager[None]:
        """Hold the right to change the store, which one writer has at a time, across processes; waits for it.

        It ends with its holder's life. Not to be asked for twice by one thread.
        """
        ...

    def size(self) -> int:
        """How many bytes it takes, as far as it can tell."""
        ...

    def close(self) -> None:
        """Let go of files and connections."""
        ...


Outcome = dict[int | None, bytes | None]
"""What changes of one key come to: parts to put, or (None) to remove; under None, first, that all parts go."""


def outcomes(changes: Iterable[Change]) -> dict[str, dict[bytes, Outcome]]:
    """What changes come to, by space and key.

    >>> outcomes([Change("s", b"k", 1, b"a"), Change("s", b"k", None, None), Change("s", b"k", 2, b"b")])
    {'s': {b'k': {None: None, 2: b'b'}}}
    """
    found: dict[str, dict[bytes, Outcome]] = {}
    for space, key, number, data in changes:
        keys = found.get(space)
        if keys is None:
            keys = found[space] = {}
        if number is None or key not in keys:
            keys[key] = {number: data}
        else:
            keys[key][number] = data
    return found


def parts_of(outcome: Outcome) -> list[tuple[int, bytes | None]]:
    """The parts of an outcome, by number."""
    return sorted((number, data) for number, data in outcome.items() if number is not None)


def check_keys(keys: Iterable[bytes]) -> None:
    """Raise ``RequestError`` (``KEY_LONG``) if a key is longer than every store takes."""
    for key in keys:
        if 2 * len(key) > LONGEST_KEY and len(key) + key.count(0) > LONGEST_KEY:
            message = f"a key of {len(key)} bytes is too long: at most {LONGEST_KEY} fit, zero bytes counted twice"
            raise RequestError("KEY_LONG", message)


def walk(store: OnlineStore, space: str, size: int = 1000) -> Iterator[bytes]:
    """All keys of a space, a page at a time."""
    page = store.keys(space, None, size)
    while page:
        yield from page
        page = store.keys(space, page[-1], size)
