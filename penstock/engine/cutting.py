"""A key's events, given as tiles and runs, cut where windows open and close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np

from penstock.engine.kernels import tiling
from penstock.engine.kernels.compiled import frozen
from penstock.engine.kernels.tiling import WIDTH
from penstock.engine.program import Bounds
from penstock.engine.runs import HEAD, Run, Tiles, keys_of, merged, summaries
from penstock.engine.segments import Array
from penstock.window import BEGINNING, END, Unit, Window

_FEW, _MORE = 1024, 8
"""How many different values there is room for, and how many times as many where those are too few."""

Entries: TypeAlias = tuple[Array, Array, Array, Array, int]
"""Words that are values, each with how often it comes where the stride is 2: words, begins, ends, groups, stride."""


def cut_by(windows: Sequence[Window | None], tiles: Tiles, cutoff: int, newer: int = 0) -> list[int]:
    """The tiles whose events are needed: a window opens or closes inside of them.

    ``newer`` events up to the cutoff follow the tiles. Costs O(tiles * windows), all in numpy.
    """
    cut = cut_at(windows, tiles.first, tiles.last, tiles.counts, cutoff, newer)
    return [int(number) for number in np.flatnonzero(cut)]


def cut_at(
    windows: Sequence[Window | None], first: Array, last: Array, counts: Array, cutoff: int, newer: int = 0
) -> Array:
    """Which of consecutive runs a window opens or closes inside of, by when they begin and end and their lengths."""
    bounds = np.unique(Bounds.of(tuple(windows)).at(np.array([cutoff])))
    cut: Array = np.asarray(((first[:, None] <= bounds) & (last[:, None] > bounds)).any(axis=1))
    sums = _sums(counts)
    for place in {sums[-1] + newer - number for _, sides in _rows(windows) for number in sides}:
        cut |= (sums[:-1] < place) & (place < sums[1:])
    return cut


def _rows(windows: Sequence[Window | None]) -> list[tuple[int, tuple[int, int]]]:
    """The windows of rows, by number, with how many of the last rows come after their begin and after their end."""
    return [
        (number, (-(window.start or 0), -window.end))
        for number, window in enumerate(windows)
        if window is not None and window.unit is Unit.ROWS
    ]


@dataclass(frozen=True)
class Line:
    """Tiles and runs in time order, as one row of nodes, of which those that are ``exact`` are runs.

    ``sums`` has how many events come before each node, and at the end how many there are; ``bases`` counts those of
    runs alone, which are all in ``run``.
    """

    tiles: Tiles
    run: Run
    exact: Array
    first: Array
    last: Array
    sums: Array
    bases: Array

    @classmethod
    def of(cls, pieces: Sequence[Tiles | Run]) -> Line:
        """The pieces, of which each may be empty."""
        pieces = [piece for piece in pieces if len(piece)]
        runs = [piece for piece in pieces if isinstance(piece, Run)]
        tiles = Tiles(_joined([piece.words for piece in pieces if isinstance(piece, Tiles)]))
        nodes = [1 if isinstance(piece, Run) else len(piece) for piece in pieces]
        exact = np.repeat(np.array([isinstance(piece, Run) for piece in pieces], np.bool_), nodes)
        first, last, counts = np.empty((3, len(exact)), np.int64)
        first[exact], last[exact] = [run.happened[0] for run in runs], [run.happened[-1] for run in runs]
        first[~exact], last[~exact] = tiles.first, tiles.last
        counts[exact], counts[~exact] = [len(run) for run in runs], tiles.counts
        last = np.maximum.accumulate(np.where(counts > 0, last, BEGINNING))
        columns = [_joined(list(parts)) for parts in zip(*(run.columns for run in runs), strict=True)]
        run = Run(_joined([run.happened for run in runs]), columns)
        return cls(tiles, run, exact, first, last, _sums(counts), _sums(np.where(exact, counts, 0)))

    def places(self, bounds: Array) -> Array:
        """How many events happened by each of some instants."""
        nodes = np.searchsorted(self.last, bounds, side="right")
        places: Array = self.sums[nodes]
        inside = np.append(self.first, END)[nodes] <= bounds
        if not np.append(self.exact, True)[nodes[inside]].all():
            raise _cut()
        among = np.searchsorted(self.run.happened, bounds[inside], side="right")
        places[inside] += among - self.bases[nodes[inside]]
        return places


def _cut() -> ValueError:
    return ValueError("a window cuts through a tile whose events are not given")


def _sums(counts: Array) -> Array:
    return np.append(0, np.cumsum(counts))


def _joined(parts: list[Array]) -> Array:
    """The parts one after the other."""
    if len(parts) == 1:
        return frozen(parts[0])
    return frozen(np.concatenate(parts)) if parts else frozen(np.empty(0, np.int64))


@dataclass(frozen=True)
class Cut:
    """A line cut into units, each of which lies in a window wholly or not at all: parts of runs, and rows of tiles.

    ``exact`` says which units are parts of runs, whose events begin at ``bounds``. The others are tiles, by their
    numbers ``[starts[i], stops[i])`` among those that are not empty, which ``told`` has. Each window is some units,
    ``[opens[i], closes[i])``.
    """

    line: Line
    exact: Array
    bounds: Array
    told: Array
    starts: Array
    stops: Array
    opens: Array
    closes: Array

    @classmethod
    def of(cls, line: Line, windows: Sequence[Window | None], cutoff: int) -> Cut:
        """The line, cut for these windows."""
        opens, closes = _sides(line, windows, cutoff)
        cuts = np.concatenate((opens, closes))
        marks = np.unique(np.concatenate((line.sums, cuts)))
        marks, total = marks[:-1], marks[-1]
        nodes = np.searchsorted(line.sums, marks, side="right") - 1
        exact = line.exact[nodes]
        if (~exact & (marks != line.sums[nodes])).any():
            raise _cut()
        fresh = np.append(exact, False)
        fresh[1:] |= exact
        fresh[np.searchsorted(marks, cuts)] = True
        fresh = fresh[:-1]
        fresh[:1] = True
        units, before = np.flatnonzero(fresh), _sums(~exact)
        tiles = units[~exact[units]]
        ends = np.append(units, len(marks))[1:][~exact[units]]
        return cls(
            line,
            exact[units],
            frozen(_sums(np.diff(np.append(marks, total))[exact])),
            (np.cumsum(~line.exact) - 1)[nodes[~exact]],
            frozen(before[tiles]),
            frozen(before[ends]),
            frozen(np.searchsorted(marks[units], opens)),
            frozen(np.searchsorted(marks[units], closes)),
        )

    def blocks(self, columns: Sequence[int], trended: frozenset[int]) -> dict[int, Array]:
        """What each window's events come to, for each of these columns (-1: the events themselves)."""
        tiles, found = self.line.tiles, {}
        parts = summaries(self.line.run, self.bounds, columns, trended)
        units, inner = np.empty((len(self.exact), WIDTH), np.int64), np.arange(len(self.exact)) * WIDTH
        for number, column in enumerate(columns):
            places, slopes = tiles.offsets[self.told] + HEAD + WIDTH * (column + 1), column in trended
            units[self.exact] = parts[number]
            units[~self.exact] = merged(tiles.words, places, self.starts, self.stops, slopes)
            found[column] = merged(units.ravel(), inner, self.opens, self.closes, slopes)
        return found

    def tally(self, column: int) -> tuple[Array, Array]:
        """The different values of a column, and how often each comes in each window."""
        given, room = (self._tables(column), self._events(column)), _FEW
        while (found := _tally(given, room, len(self.exact))) is None:
            room *= _MORE
        keys, counts = found
        sums = np.zeros((len(keys), len(self.exact) + 1), np.int64)
        np.cumsum(counts, axis=1, out=sums[:, 1:])
        return keys, sums[:, self.closes] - sums[:, self.opens]

    @cached_property
    def groups(self) -> Array:
        """The units' numbers; -1 for those that no window needs."""
        units = np.arange(len(self.exact))
        needed = (units >= self.opens.min(initial=END)) & (units < self.closes.max(initial=0))
        return np.where(needed, units, -1)

    def _tables(self, column: int) -> Entries:
        """The entries of the tiles' tables."""
        starts, stops = (ends[self.told] for ends in self.line.tiles.tables(column))
        groups = np.repeat(self.groups[~self.exact], self.stops - self.starts)
        if (stops < starts)[groups >= 0].any():
            raise ValueError("a tile does not tell how often each value of the column comes")
        return self.line.tiles.words, frozen(starts), frozen(stops), frozen(groups), 2

    def _events(self, column: int) -> Entries:
        """The values of the events that are given."""
        keys = frozen(keys_of(self.line.run.columns[column])) if len(self.line.run) else self.bounds[:0]
        return keys, frozen(self.bounds[:-1]), frozen(self.bounds[1:]), frozen(self.groups[self.exact]), 1


def _tally(given: Sequence[Entries], room: int, groups: int) -> tuple[Array, Array] | None:
    """The different values, and how often each comes in each group; None if there are more than there is room for."""
    table, size = np.zeros(1 << (2 * room).bit_length(), np.int64), np.zeros(1, np.int64)
    keys, counts = np.empty(room, np.int64), np.zeros((room, groups), np.int64)
    for entries in given:
        tiling.tally(*entries, table, keys, size, counts)
    return None if size[0] < 0 else (keys[: size[0]], counts[: size[0]])


def _sides(line: Line, windows: Sequence[Window | None], cutoff: int) -> tuple[Array, Array]:
    """How many events come before each window, and how many before its end."""
    bounds = Bounds.of(tuple(windows)).at(np.array([cutoff]))
    opens, closes = line.places(bounds.ravel()).reshape(2, -1)
    for number, (start, stop) in _rows(windows):
        opens[number], closes[number] = max(0, closes[number] - start), max(0, closes[number] - stop)
    return np.minimum(opens, closes), closes
