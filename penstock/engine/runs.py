"""Runs of a key's events and what they come to: tiles, which are made, merged, and kept as bytes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from penstock.engine.kernels import tiling
from penstock.engine.kernels.compiled import frozen
from penstock.engine.kernels.tiling import NULL, WIDTH
from penstock.engine.segments import Array
from penstock.errors import FailedError

MOST = 256
"""A tile lists how often each value comes for no more different values than these."""

HEAD = 2
"""The words of a record before its blocks."""


@dataclass(frozen=True)
class Run:
    """Events of a key in order, with an entry an event in each column.

    Columns are float64 (NaN and infinities are NULL), int64 (``NULL``), int32 codes (-1 is NULL) or bool (False is
    NULL).
    """

    happened: Array
    columns: Sequence[Array]

    def __len__(self) -> int:
        return len(self.happened)


@dataclass(frozen=True)
class Tiles:
    """Tiles of one key's consecutive runs of events, oldest first, all about the same columns.

    Their ``words`` are records, one a tile: its length in words, how many columns, a block for the events themselves
    and one a column (see `kernels.tiling`), then for each column how many different values it has (-1: not told), each
    followed by how often it comes.
    """

    words: Array

    @classmethod
    def from_bytes(cls, data: bytes) -> Tiles:
        """The tiles that these bytes are; those of several tiles one after the other are the tiles of all.

        Raises ``FailedError`` for what are no tiles.
        """
        if len(data) % 8:
            raise _damaged()
        tiles = cls(frozen(np.frombuffer(data, "<i8").astype(np.int64, copy=False)))
        if len(tiles) and (tiles.words[tiles.offsets + 1] != tiles.columns).any():
            raise _damaged()
        least = HEAD + WIDTH * (tiles.columns + 1) + tiles.columns
        if tiles.columns < 0 or (tiles.words[tiles.offsets] < least).any():
            raise _damaged()
        return tiles

    def to_bytes(self) -> bytes:
        """Little-endian words."""
        return self.words.astype("<i8", copy=False).tobytes()

    def __len__(self) -> int:
        return len(self.offsets)

    @cached_property
    def offsets(self) -> Array:
        """Where each tile's record begins."""
        found = np.empty(len(self.words) // (HEAD + WIDTH) + 2, np.int64)
        tiling.records(self.words, found)
        ends = int(np.flatnonzero(found < 0)[0])
        if found[ends] != -1:
            raise _damaged()
        return frozen(found[:ends])

    @property
    def columns(self) -> int:
        """How many columns they are about."""
        return int(self.words[1]) if len(self.words) else 0

    @property
    def counts(self) -> Array:
        """How many events each stands for."""
        return self._head(tiling.COUNT)

    @property
    def first(self) -> Array:
        """When the first event of each happened."""
        return self._head(tiling.FIRST_AT)

    @property
    def last(self) -> Array:
        """When the last event of each happened."""
        return self._head(tiling.LAST_AT)

    def _head(self, word: int) -> Array:
        found: Array = self.words[self.offsets + HEAD + word]
        return found

    def tables(self, column: int) -> tuple[Array, Array]:
        """Where among the words each tile's table of a column begins and ends; before it begins where it has none."""
        at = self.offsets + HEAD + WIDTH * (self.columns + 1)
        last = self.offsets + self.words[self.offsets] - 1
        for _ in range(column):
            at = np.minimum(at + 1 + 2 * np.maximum(self.words[at], 0), last)
        starts, stops = at + 1, at + 1 + 2 * self.words[at]
        if (stops > last + 1).any():
            raise _damaged()
        return starts, stops


def _damaged() -> FailedError:
    return FailedError("FAILED_TILES", "these bytes are no tiles", hint="Build the tiles anew from their events.")


def tile(run: Run, tabled: frozenset[int] = frozenset()) -> Tiles:
    """The tile of a run; for the columns in ``tabled`` (not floats) with how often each value comes.

    >>> one = tile(Run(np.array([10, 20]), [np.array([0.5, 2.0])]))
    >>> one.counts.tolist(), one.first.tolist(), one.last.tolist()
    ([2], [10], [20])
    """
    blocks = summaries(run, np.array([0, len(run)]), range(-1, len(run.columns)))
    tables = [_counted(keys_of(column)) if number in tabled else None for number, column in enumerate(run.columns)]
    return Tiles(_record(blocks, tables))


def merge(tiles: Tiles) -> Tiles:
    """One tile for several that follow each other; a table grown beyond `MOST` values is left out."""
    one, every = np.array([0]), np.array([len(tiles)])
    places = [tiles.offsets + HEAD + WIDTH * number for number in range(tiles.columns + 1)]
    blocks = np.stack([merged(tiles.words, block, one, every, True) for block in places])
    return Tiles(_record(blocks, [_added(tiles, column) for column in range(tiles.columns)]))


def _added(tiles: Tiles, column: int) -> tuple[Array, Array] | None:
    """The tables of a column added up; None where a tile has none."""
    starts, stops = tiles.tables(column)
    if (stops < starts).any():
        return None
    parts = [tiles.words[start:stop].reshape(-1, 2) for start, stop in zip(starts, stops, strict=True)]
    both = np.concatenate([np.empty((0, 2), np.int64), *parts])
    keys, places = np.unique(both[:, 0], return_inverse=True)
    counts = np.zeros(len(keys), np.int64)
    np.add.at(counts, places, both[:, 1])
    return keys, counts


def _counted(keys: Array) -> tuple[Array, Array]:
    found = np.unique(keys[keys != NULL], return_counts=True)
    return found[0], found[1]


def _record(blocks: Array, tables: Sequence[tuple[Array, Array] | None]) -> Array:
    """A tile's words."""
    parts = [blocks.ravel()]
    for table in tables:
        if table is None or len(table[0]) > MOST:
            parts.append(np.array([-1]))
        else:
            parts += [np.array([len(table[0])]), np.stack(table, axis=1).ravel()]
    body = np.concatenate(parts)
    return frozen(np.concatenate(([len(body) + HEAD, len(tables)], body)).astype(np.int64))


def merged(words: Array, places: Array, starts: Array, stops: Array, trended: bool) -> Array:
    """What the blocks ``places[starts[i]:stops[i]]`` come to."""
    out = np.zeros((len(starts), WIDTH), np.int64)
    words, places, starts, stops = (frozen(array) for array in (words, places, starts, stops))
    tiling.merge(words, words.view(np.float64), places, starts, stops, trended, out, out.view(np.float64))
    return out


def summaries(run: Run, bounds: Array, columns: Sequence[int], trended: frozenset[int] | None = None) -> Array:
    """What the events between bounds come to, for each of these columns (-1: the events themselves): their blocks.

    Without ``trended``, which has the columns that TREND is asked of, it may be asked of all.
    """
    out = np.zeros((len(columns), len(bounds) - 1, WIDTH), np.int64)
    if len(bounds) == 1:
        return out
    happened, bounds = frozen(np.asarray(run.happened, np.int64)), frozen(bounds)
    for place, number in enumerate(columns):
        bits, numbers = _bits(happened if number < 0 else run.columns[number])
        slopes = trended is None or number in trended
        tiling.summarise(happened, bits, numbers, bounds, slopes, out[place], out[place].view(np.float64))
    return out


_NO_NUMBERS = frozen(np.empty(0))


def _bits(column: Array) -> tuple[Array, Array]:
    """A column as words, and as numbers if it is floats."""
    if column.dtype.kind == "f":
        numbers = frozen(np.asarray(column, np.float64))
        return frozen(numbers.view(np.int64)), numbers
    return frozen(keys_of(column)), _NO_NUMBERS


def keys_of(column: Array) -> Array:
    """A column that is no floats as int64, of which `NULL` is no value."""
    if column.dtype.kind == "b":
        return np.where(column, 1, NULL)
    if column.dtype == np.int64:
        return column
    return np.where(column < 0, NULL, column).astype(np.int64)
