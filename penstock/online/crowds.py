"""Parts of very many rows, kept in pieces: a hot key is then answered from what its pieces come to, tile by tile.

Where a key has more than `MOST` rows in a part, the part holds a `Crowd` instead: for each piece of some `PIECE` rows
its name, the time for which all of its rows show, and its tile. The rows lie in a space beside, under the key and the
piece's name, which is a hash of them: under one name lie the same rows for ever, so whoever has read the crowd reads
the rows that belong to it, or finds that they are gone, and looks again. Rows are whole bytes of eight, a crowd has one
more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from penstock.errors import StoreError
from penstock.online import records
from penstock.online.catalogue import Space
from penstock.online.holdings import Holding
from penstock.online.store import Change, OnlineStore
from penstock.online.texts import hashed
from penstock.schema import Dtype

if TYPE_CHECKING:
    from penstock.engine.tiles import Tiles

MOST = 2048
"""A part of more rows than these is a crowd."""
PIECE = 1024
"""So many rows has a piece of a crowd, but for the last one, which may have fewer."""
_SWAP = records.NULL_FLOAT ^ records.NULL
"""Turns the bits of floats so that those of NULL are what stands for NULL in all else, and back."""
NUMERIC = (Dtype.INT, Dtype.FLOAT, Dtype.TIMESTAMP)
"""What can be added up."""


@dataclass(frozen=True)
class Block:
    """A column of tiles: one that is kept, as floats to be added up, or as the whole numbers that stand for values."""

    place: int
    dtype: Dtype
    floats: bool

    def of(self, values: np.ndarray) -> np.ndarray:
        """The column of some rows' values, which have a row a column that is kept."""
        column = values[self.place]
        return records.as_floats(column, self.dtype) if self.floats else self.turned(column)

    def turned(self, numbers: np.ndarray) -> np.ndarray:
        """Whole numbers that stand for values as tiles have them, from what is kept; or back."""
        return numbers ^ _SWAP if self.dtype is Dtype.FLOAT else numbers


def blocks_of(holding: Holding) -> tuple[Block, ...]:
    """What the tiles of a holding are about."""
    told = list(zip(holding.columns, holding.dtypes, strict=True))
    floats = [Block(place, dtype, True) for place, (_, dtype) in enumerate(told) if dtype in NUMERIC]
    whole = [
        Block(place, dtype, False)
        for place, (column, dtype) in enumerate(told)
        if dtype is not Dtype.FLOAT or column in holding.tallied
    ]
    return (*floats, *whole)


def tallied(holding: Holding, blocks: Sequence[Block]) -> frozenset[int]:
    """The blocks whose tiles tell how often each value comes."""
    places = {holding.place(one) for one in holding.tallied}
    return frozenset(number for number, one in enumerate(blocks) if not one.floats and one.place in places)


@dataclass(frozen=True)
class Crowd:
    """What a part holds instead of its rows: for each piece of them, in order, what one may know without reading it.

    All rows of a piece show from ``shown_from`` until ``shown_until`` (one at least does neither before nor after).
    """

    names: np.ndarray
    shown_from: np.ndarray
    shown_until: np.ndarray
    tiles: Tiles

    def __len__(self) -> int:
        return len(self.names)

    @classmethod
    def from_bytes(cls, data: bytes) -> Crowd:
        """The crowd again. Raises ``StoreError`` (``STORE_DAMAGED``) for other bytes."""
        from penstock.engine.tiles import Tiles

        words = np.frombuffer(data, "<i8", len(data) // 8).astype(np.int64, copy=False)
        count = int(words[0]) if len(words) else -1
        if not 0 <= 3 * count < len(words) or len(tiles := Tiles(words[1 + 3 * count :])) != count:
            raise StoreError("STORE_DAMAGED", "a part of many rows cannot be read", hint="Make the store again.")
        names, shown_from, shown_until = words[1 : 1 + 3 * count].reshape(3, count)
        return cls(names, shown_from, shown_until, tiles)

    def to_bytes(self) -> bytes:
        """Little-endian words, and a byte that no rows have."""
        words = [np.array([len(self)]), self.names, self.shown_from, self.shown_until, self.tiles.words]
        return np.concatenate(words).astype("<i8", copy=False).tobytes() + b"\0"

    @cached_property
    def named(self) -> list[int]:
        """The names of the pieces."""
        found: list[int] = self.names.tolist()
        return found

    def before(self, instant: int) -> int:
        """How many pieces rows that happened at an instant or later leave as they are: full ones that end before."""
        untouched = int(np.searchsorted(self.tiles.last, instant))
        return untouched - (untouched == len(self) > 0 and int(self.tiles.counts[-1]) < PIECE)

    def with_tail(self, count: int, tail: Crowd) -> Crowd:
        """The first pieces, and behind them others."""
        words = self.tiles.words[: [*self.tiles.offsets.tolist(), len(self.tiles.words)][count]]
        return Crowd(
            np.append(self.names[:count], tail.names),
            np.append(self.shown_from[:count], tail.shown_from),
            np.append(self.shown_until[:count], tail.shown_until),
            replace(self.tiles, words=np.append(words, tail.tiles.words)),
        )


def is_crowd(data: bytes) -> bool:
    """Whether a part of records is a crowd.

    >>> is_crowd(bytes(24)), is_crowd(bytes(25))
    (False, True)
    """
    return len(data) % 2 == 1


def crowd_of(holding: Holding, rows: bytes) -> tuple[Crowd, dict[int, bytes]]:
    """Rows as a crowd, and its pieces by their names."""
    from penstock.engine.tiles import Run, Tiles, tile

    blocks, columns = blocks_of(holding), len(holding.columns)
    size, tables = 8 * (records.CLOCKS + columns) * PIECE, tallied(holding, blocks)
    pieces, clocks, tiles = {}, [], []
    for first in range(0, len(rows), size):
        piece = rows[first : first + size]
        happened, shown_from, shown_until, *values = np.ascontiguousarray(records.from_bytes(piece, columns).T)
        clocks.append((name := hashed(piece), int(shown_from.max()), int(shown_until.min())))
        pieces[name] = piece
        tiles.append(tile(Run(happened, [one.of(np.array(values)) for one in blocks]), tables).words)
    names, begins, ends = np.array(clocks, np.int64).reshape(-1, 3).T
    return Crowd(names, begins, ends, Tiles(np.concatenate(tiles))), pieces


# ------------------------------------------------------------------------------------------------- written


def written(
    holding: Holding, space: Space, key: bytes, number: int, rows: bytes | None, kept: bytes | None = None
) -> tuple[Change, ...]:
    """What to write so that a part of a key is these rows (None: gone) where it is ``kept`` now: with its pieces.

    All that is written of holdings goes through here, or `begun` or `joined`.
    """
    few = rows is None or _is_few(holding, rows)
    if holding.newest or (few and (kept is None or not is_crowd(kept))):
        return () if rows == kept else (Change(space.name, key, number, rows),)
    if rows is None or few:
        return _replaced(space, key, number, kept, rows, {})
    crowd, pieces = crowd_of(holding, rows)
    return _replaced(space, key, number, kept, crowd.to_bytes(), pieces)


def begun(holding: Holding, space: Space, key: bytes, rows: bytes) -> tuple[bytes, tuple[Change, ...]]:
    """What a part holds that was not there before and has these rows, and the pieces to be written with it."""
    if _is_few(holding, rows):
        return rows, ()
    crowd, pieces = crowd_of(holding, rows)
    return crowd.to_bytes(), _come(space, key, pieces, pieces)


def _is_few(holding: Holding, rows: bytes) -> bool:
    return len(rows) <= 8 * (records.CLOCKS + len(holding.columns)) * MOST


def _come(space: Space, key: bytes, names: Iterable[int], pieces: Mapping[int, bytes]) -> tuple[Change, ...]:
    """Write the pieces of these names."""
    return tuple(Change(space.pieces, _address(key, name), 0, pieces[name]) for name in names)


def _replaced(
    space: Space, key: bytes, number: int, kept: bytes | None, data: bytes | None, pieces: Mapping[int, bytes]
) -> tuple[Change, ...]:
    """A part in the place of another, and its new pieces in that of those which it has no more."""
    if data == kept:
        return ()
    part = Change(space.name, key, number, data)
    before, after = _named(kept), _named(data)
    gone = (Change(space.pieces, _address(key, name), 0, None) for name in before - after)
    return (part, *gone, *_come(space, key, pieces.keys() - before, pieces)) if before or after else (part,)


def _named(part: bytes | None) -> frozenset[int]:
    """The pieces that a part names."""
    return frozenset(Crowd.from_bytes(part).named) if part is not None and is_crowd(part) else frozenset()


def joined(
    store: OnlineStore,
    holding: Holding,
    space: Space,
    key: bytes,
    number: int,
    kept: bytes,
    rows: bytes,
    join: Callable[[bytes, bytes], bytes | None],
) -> tuple[Change, ...] | None:
    """What to write so that new rows lie among those of a crowd; None where ``join`` cannot say how.

    Pieces that end before the rows begin are not read. Call it under the store's `feeding`.
    """
    crowd = Crowd.from_bytes(kept)
    count = crowd.before(int(np.frombuffer(rows, "<i8", 1)[0]))
    last = b"".join(pieces(store, space, key, crowd.named[count:]))
    whole = join(last, rows) if last else rows
    if whole is None:
        return None
    tail, fresh = crowd_of(holding, whole)
    return _replaced(space, key, number, kept, crowd.with_tail(count, tail).to_bytes(), fresh)


# ------------------------------------------------------------------------------------------------- read


class GoneError(Exception):
    """A piece is gone: its part was written anew since it was read."""


def pieces(store: OnlineStore, space: Space, key: bytes, names: Iterable[int]) -> list[bytes]:
    """The rows of pieces. Raises `GoneError`."""
    found = store.read(space.pieces, [_address(key, name) for name in names])
    if not all(found):
        raise GoneError
    return [parts[0].data for parts in found]


def unnamed(store: OnlineStore, space: Space, addresses: Sequence[bytes]) -> list[Change]:
    """What to write so that of these entries of the space beside only those are left that a part names."""
    keys = list(dict.fromkeys(address[:-8] for address in addresses))
    named = {
        _address(key, name)
        for key, parts in zip(keys, store.read(space.name, keys), strict=True)
        for part in parts
        for name in _named(part.data)
    }
    return [Change(space.pieces, one, 0, None) for one in addresses if one not in named]


def _address(key: bytes, name: int) -> bytes:
    return key + name.to_bytes(8, "big")


__all__ = ["MOST", "NUMERIC", "PIECE", "Block", "Crowd", "GoneError", "blocks_of", "is_crowd", "joined", "pieces",
           "unnamed", "written"]  # fmt: skip
