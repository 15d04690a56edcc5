"""A store in a folder: LMDB, read by any number of processes while one writes.

Each part is an entry whose address is the space's number, the key and the part's number, so that a key's parts are
neighbours. A zero byte of a key has a 255 behind it, and two zeros end it: addresses sort as keys do, and none
begins another. Notes, the numbers of spaces and how many keys each has are entries too, so that a write is one
transaction. A space's number outlives the space.

What is put behind everything else fills its pages, and copies none: a first load does best in the order of the keys.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from operator import lt, ne
from pathlib import Path
from shutil import disk_usage
from typing import TYPE_CHECKING, TypeVar

import lmdb

from penstock.errors import StoreError
from penstock.online.store import FIRST, Change, Outcome, Part, Puts, check_keys, outcomes, parts_of
from penstock.online.stores.environment import Environment, share
from penstock.online.stores.failures import damaged, full, lost, read_only

_COUNTS, _NOTES, _SPACES, _PARTS = b"c", b"n", b"s", b"x"
"""What addresses begin with: parts come last."""
_END = b"\0\0"
_TOP = 1 << 63
_STEP = 10_000
_LITTLE = 2**24
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_DAMAGED = (
    lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.PanicError, lmdb.VersionMismatchError,
)  # fmt: skip
T = TypeVar("T")
if TYPE_CHECKING:
    Reader = lmdb.Transaction[bytes]


class LmdbStore:
    """The store of a folder, which is made when absent; ``size`` is what it may grow to before it has to be enlarged.

    A folder that may not be written is read. Raises ``StoreError`` as the contract says.
    """

    def __init__(self, folder: str | os.PathLike[str], size: int = 2**30) -> None:
        self.folder = Path(folder)
        with self._explained():
            self._environment: Environment = share(self.folder, size)
        self._prefixes: dict[str, bytes] = {}
        self._closed = False

    def read(self, space: str, keys: Sequence[bytes], since: int = FIRST) -> list[list[Part]]:
        """For each key its parts from number ``since`` on, in order."""
        check_keys(keys)

        def found(reader: Reader) -> list[list[Part]]:
            prefix = self._prefix(reader, space)
            if prefix is None:
                return [[] for _ in keys]
            cursor, first = reader.cursor(), (since + _TOP).to_bytes(8, "big")
            return [_parts(cursor, _address(prefix, key), first) for key in keys]

        return self._read(found)

    def read_part(self, space: str, keys: Sequence[bytes], number: int) -> list[bytes | None]:
        """One part of each key."""
        check_keys(keys)
        prefix = self._prefixes.get(space) or self._read(lambda reader: self._prefix(reader, space))
        if prefix is None:
            return [None] * len(keys)
        end = _END + (number + _TOP).to_bytes(8, "big")
        addresses = [prefix + key.replace(b"\0", b"\0\xff") + end for key in keys]
        try:
            environment = self._environment
            with environment.gate, environment.opened().begin() as reader:
                return list(map(reader.get, addresses))
        except lmdb.Error:
            return self._read(lambda reader: list(map(reader.get, addresses)))

    def write(self, changes: Sequence[Change], notes: Mapping[str, str | None] | None = None) -> None:
        """Make all these changes and notes, or none of them; on the disk when this returns."""
        keys, datas = _told(changes)
        check_keys(keys)
        room = sum(len(data or b"") + 64 for data in datas)

        def made(writer: Reader) -> dict[str, bytes]:
            prefixes = self._written(writer, changes)
            _note(writer, notes or {})
            return prefixes

        with self._explained():
            self._prefixes |= self._environment.write(made, room)

    def _written(self, writer: Reader, changes: Sequence[Change]) -> dict[str, bytes]:
        """Make changes; what the addresses of their spaces' parts begin with."""
        if isinstance(changes, Puts) and _append(writer, prefix := self._numbered(writer, changes.space), changes):
            return {changes.space: prefix}
        wanted = outcomes(changes)
        largest_last = sorted(wanted, key=lambda space: len(wanted[space]))
        prefixes = {space: self._numbered(writer, space) for space in largest_last}
        for space, prefix in prefixes.items():
            _change(writer, prefix, wanted[space])
        return prefixes

    def note(self, name: str) -> str | None:
        """A note; None where there is none."""
        data = self._read(lambda reader: reader.get(_NOTES + name.encode()))
        return None if data is None else data.decode()

    def notes(self, prefix: str = "") -> dict[str, str]:
        """All notes whose names begin so."""
        entries = self._read(lambda reader: _entries(reader, _NOTES + prefix.encode()))
        return {name[1:].decode(): data.decode() for name, data in entries}

    def keys(self, space: str, after: bytes | None = None, most: int = 1000) -> list[bytes]:
        """Keys of a space by their bytes."""

        def found(reader: Reader) -> list[bytes]:
            prefix = self._prefix(reader, space)
            return [] if prefix is None else _keys(reader, prefix, after, most)

        return self._read(found)

    def spaces(self) -> dict[str, int]:
        """The spaces that have keys, with how many."""

        def found(reader: Reader) -> dict[str, int]:
            return {name[1:].decode(): _count(reader, number) for name, number in _entries(reader, _SPACES)}

        return {name: count for name, count in self._read(found).items() if count}

    def drop(self, space: str) -> None:
        """Remove a space with all its keys, in steps."""
        prefix = self._read(lambda reader: self._prefix(reader, space))
        with self._explained():
            while prefix and self._environment.write(lambda writer: _drop_some(writer, prefix), 2**20):
                continue

    @contextmanager
    def feeding(self) -> Iterator[None]:
        """Hold the right to change the store: a lock on a file in the folder."""
        with self._explained():
            file = (self.folder / "feeding.lock").open("ab")
        with file:
            fcntl.flock(file, fcntl.LOCK_EX)
            try:
                yield
            finally:
                fcntl.flock(file, fcntl.LOCK_UN)  # a forked process may hold the file open

    def size(self) -> int:
        """How many bytes the folder's files take on the disk."""
        with self._explained():
            return sum(file.stat().st_blocks * 512 for file in self.folder.iterdir())

    def close(self) -> None:
        """Let go of the folder; other stores of this process that have it open keep it."""
        if not self._closed:
            self._closed = True
            self._environment.leave()

    def _read(self, do: Callable[[Reader], T]) -> T:
        with self._explained():
            return self._environment.read(do)

    def _prefix(self, reader: Reader, space: str) -> bytes | None:
        """What the addresses of a space's parts begin with; None for a space that never was."""
        prefix = self._prefixes.get(space)
        if prefix is None and (number := reader.get(_SPACES + space.encode())) is not None:
            prefix = self._prefixes[space] = _PARTS + number
        return prefix

    def _numbered(self, writer: Reader, space: str) -> bytes:
        number = writer.get(_SPACES + space.encode())
        if number is None:
            number = len(_entries(writer, _SPACES)).to_bytes(4, "big")
            writer.put(_SPACES + space.encode(), number)
        return _PARTS + number

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except (lmdb.Error, OSError) as error:
            raise _explanation(str(self.folder), error) from error


def _explanation(where: str, error: lmdb.Error | OSError) -> StoreError:
    reason = error.strerror or str(error) if isinstance(error, OSError) else str(error)
    code = error.errno if isinstance(error, OSError) else getattr(error, "code", 0)
    cut = code == errno.EIO and disk_usage(where).free < _LITTLE  # a write that the disk took a part of
    if code in _FULL or cut or isinstance(error, lmdb.MapFullError):
        return full(where, reason)
    if isinstance(error, _DAMAGED):
        return damaged(where, reason)
    if isinstance(error, lmdb.ReadonlyError) or code in (errno.EACCES, errno.EPERM, errno.EROFS):
        return read_only(where, reason)
    return lost(where, reason)


def _address(prefix: bytes, key: bytes) -> bytes:
    """What the addresses of a key's parts begin with."""
    return prefix + key.replace(b"\0", b"\0\xff") + _END


def _parts(cursor: lmdb.Cursor[bytes], address: bytes, first: bytes) -> list[Part]:
    """The parts of a key from ``first`` on."""
    found = []
    there = cursor.set_range(address + first)
    while there:
        place = cursor.key()
        if place[:-8] != address:
            break
        found.append(Part(int.from_bytes(place[-8:], "big") - _TOP, cursor.value()))
        there = cursor.next()
    return found


def _keys(reader: Reader, prefix: bytes, after: bytes | None, most: int) -> list[bytes]:
    cursor, found = reader.cursor(), list[bytes]()
    place = prefix if after is None else _behind(_address(prefix, after))
    while len(found) < most and cursor.set_range(place) and cursor.key().startswith(prefix):
        address = cursor.key()[:-8]
        found.append(address[len(prefix) : -len(_END)].replace(b"\0\xff", b"\0"))
        place = _behind(address)
    return found


def _behind(address: bytes) -> bytes:
    """What is behind all parts of a key."""
    return address + b"\xff" * 9


def _told(changes: Sequence[Change]) -> tuple[Iterable[bytes], Iterable[bytes | None]]:
    """The keys and the data of changes."""
    if isinstance(changes, Puts):
        return changes.keys, changes.data
    return (change.key for change in changes), (change.data for change in changes)


def _append(writer: Reader, prefix: bytes, puts: Puts) -> bool:
    """Put parts behind all that there is; False, and nothing is put, where that is not the place of all."""
    ends = {number: _END + (number + _TOP).to_bytes(8, "big") for number in set(puts.numbers)}
    numbered = zip(puts.keys, puts.numbers, strict=True)
    addresses = [prefix + key.replace(b"\0", b"\0\xff") + ends[number] for key, number in numbered]
    cursor = writer.cursor()
    behind = bool(addresses) and (not cursor.last() or cursor.key() < addresses[0])
    if not behind or not all(map(lt, addresses, addresses[1:])):
        return False
    cursor.putmulti(zip(addresses, puts.data, strict=True), append=True)
    _counted(writer, prefix[1:], 1 + sum(map(ne, puts.keys, puts.keys[1:])))
    return True


def _change(writer: Reader, prefix: bytes, wanted: Mapping[bytes, Outcome]) -> None:
    """Bring about what is wanted of the keys of a space."""
    cursor, count = writer.cursor(), 0
    last = cursor.key() if cursor.last() else b""
    for key in sorted(wanted):
        outcome, address = wanted[key], _address(prefix, key)
        behind = address > last
        was = not behind and _is_there(cursor, address)
        if was and None in outcome:
            _delete(cursor, address)
        put = b""
        for number, data in parts_of(outcome):
            place = address + (number + _TOP).to_bytes(8, "big")
            if data is not None:
                writer.put(place, data, append=behind)
                put = place
            elif was:
                writer.delete(place)
        if behind and put:
            last = put
        count += (bool(put) or (was and _is_there(cursor, address))) - was
    _counted(writer, prefix[1:], count)


def _is_there(cursor: lmdb.Cursor[bytes], address: bytes) -> bool:
    return cursor.set_range(address) and cursor.key()[:-8] == address


def _delete(cursor: lmdb.Cursor[bytes], address: bytes) -> None:
    """Remove all parts of a key."""
    while _is_there(cursor, address):
        cursor.delete()


def _drop_some(writer: Reader, prefix: bytes) -> bool:
    """Remove some keys of a space; whether there are more."""
    keys = _keys(writer, prefix, None, _STEP)
    _change(writer, prefix, {key: {None: None} for key in keys})
    return len(keys) == _STEP


def _count(reader: Reader, number: bytes) -> int:
    """How many keys the space of a number has."""
    return int.from_bytes(reader.get(_COUNTS + number) or b"", "big")


def _counted(writer: Reader, number: bytes, more: int) -> None:
    if more:
        writer.put(_COUNTS + number, (_count(writer, number) + more).to_bytes(8, "big"))


def _note(writer: Reader, notes: Mapping[str, str | None]) -> None:
    for name, text in notes.items():
        if text is None:
            writer.delete(_NOTES + name.encode())
        else:
            writer.put(_NOTES + name.encode(), text.encode())


def _entries(reader: Reader, prefix: bytes) -> list[tuple[bytes, bytes]]:
    """Entries whose addresses begin so."""
    cursor, found = reader.cursor(), []
    there = cursor.set_range(prefix)
    while there and cursor.key().startswith(prefix):
        found.append(cursor.item())
        there = cursor.next()
    return found
