"""What is asked, gathered into jobs: one call of one kernel answers all that is asked of a column.

Results are rows of three tables, by what they hold: floats, whole numbers and codes. Each job knows its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, Protocol, TypeAlias

import numpy as np

from penstock.engine.kernels import extremes, frequency, lists, median, mode, places, sums, trend
from penstock.engine.kernels.compiled import Walk, frozen
from penstock.engine.pieces import Piece
from penstock.engine.segments import Array, Asked, Ragged, Result

NOTHING = frozen(np.empty(0, np.bool_))
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Outs:
    """Results in the making: tables of a row a result and a column a spine row.

    ``lists`` has for each list its parts, by the spine row that they begin at.
    """

    floats: Array
    whole: Array
    codes: Array
    lists: tuple[dict[int, Array], ...]


class Job(Protocol):
    """What one kernel answers about one column, told by its place (None: about the events themselves)."""

    @property
    def column(self) -> int | None:
        """The column's place."""

    def takes(self, column: Array | None) -> Array:
        """The column as the kernel takes it."""

    def run(self, piece: Piece, walk: Walk, cutoff: Array, values: Array, outs: Outs) -> None:
        """Work out the piece's rows, from its part of the column."""


@dataclass(frozen=True)
class Places:
    """COUNT, FIRST, LAST, LAST_N, TIME_SINCE and GAP."""

    column: int | None
    asked: Array
    events: tuple[int, ...]

    def takes(self, column: Array | None) -> Array:
        """Which events have a value; empty if all do."""
        if column is None:
            return NOTHING
        kind = column.dtype.kind
        valid = column if kind == "b" else column >= 0 if kind == "i" else np.isfinite(column)
        return NOTHING if valid.all() else frozen(valid)

    def run(self, piece: Piece, walk: Walk, cutoff: Array, values: Array, outs: Outs) -> None:
        """Work out the piece's rows; events are told by their places in the segments."""
        places.places(walk, values, piece.happened, cutoff, self.asked, outs.whole)
        told(piece, self.events, outs)


def told(piece: Piece, rows: Sequence[int], outs: Outs) -> None:
    """Tell events, in these rows of whole numbers, by their places in the segments."""
    if piece.events is not None:
        for row in rows:
            found = outs.whole[row, piece.rows]
            found[found >= 0] = piece.events[found[found >= 0]]


@dataclass(frozen=True)
class Numbers:
    """What one kernel works out from a column of floats."""

    column: int | None
    kernel: Callable[..., None]
    slots: Array
    timed: bool

    def takes(self, column: Array | None) -> Array:
        """Its floats."""
        return frozen(np.asarray(column, np.float64))

    def run(self, piece: Piece, walk: Walk, _cutoff: Array, values: Array, outs: Outs) -> None:
        """Work out the piece's rows."""
        clock = (piece.happened,) if self.timed else ()
        self.kernel(walk, values, *clock, self.slots, outs.floats)


@dataclass(frozen=True)
class Modes:
    """MODE."""

    column: int | None
    slots: Array

    def takes(self, column: Array | None) -> Array:
        """Its codes."""
        return _codes(column)

    def run(self, _piece: Piece, walk: Walk, _cutoff: Array, values: Array, outs: Outs) -> None:
        """Work out the piece's rows."""
        mode.modes(walk, values, self.slots, outs.codes)


@dataclass(frozen=True)
class Frequencies:
    """COUNT_DISTINCT and ENTROPY; and LIST_DISTINCT, which goes by how many there are.

    ``lists`` has each list's window, the row of its lengths, and its place among the lists.
    """

    column: int | None
    slots: Array
    lists: tuple[tuple[int, int, int], ...]

    def takes(self, column: Array | None) -> Array:
        """Its codes."""
        return _codes(column)

    def run(self, piece: Piece, walk: Walk, _cutoff: Array, values: Array, outs: Outs) -> None:
        """Work out the piece's rows."""
        frequency.frequencies(walk, values, self.slots, outs.whole, outs.floats)
        for window, lengths, place in self.lists:
            offsets = np.append(0, np.cumsum(outs.whole[lengths, piece.rows]))
            codes = np.empty(offsets[-1], np.int32)
            lists.lists(walk, window, values, frozen(offsets), codes)
            outs.lists[place][piece.rows.start] = codes


def _codes(column: Array | None) -> Array:
    return frozen(np.asarray(column, np.int32))


# ---------------------------------------------------------------- what is wanted of the kernels

PLACES = {"COUNT": places.COUNT, "FIRST": places.FIRST, "LAST": places.LAST, "AGE": places.AGE}
SUMS = {"SUM": sums.SUM, "AVG": sums.AVG, "VAR": sums.VAR, "STDDEV": sums.STDDEV}
EXTREMES = {"MIN": extremes.MIN, "MAX": extremes.MAX}
FREQUENCIES = {"COUNT_DISTINCT": frequency.DISTINCT, "ENTROPY": frequency.ENTROPY}
NUMBERS: tuple[tuple[Callable[..., None], dict[str, int], bool], ...] = (
    (sums.sums, SUMS, False),
    (extremes.extremes, EXTREMES, False),
    (median.medians, {"MEDIAN": 0}, False),
    (trend.trends, {"TREND": 0}, True),
)
"""The kernels of floats: each with the rows of its slots, and whether it takes when events happened."""

Wants: TypeAlias = dict[Asked, int]
"""What the kernels are to write to the rows of a table, with each one's row."""


def _lengths(asked: Asked) -> Asked:
    return Asked("COUNT_DISTINCT", asked.window, asked.column)


def _parts(asked: Asked) -> tuple[Asked, ...]:
    """What the kernels are to find for a request, in their own words. AGE 0 is the age of the first value."""
    window, column = asked.window, asked.column
    match asked.function:
        case "FIRST":
            return (Asked("FIRST", window, column, 0),)
        case "LAST":
            return (Asked("LAST", window, column, 1),)
        case "LAST_N":
            return (Asked("LAST", window, column, asked.n),)
        case "TIME_SINCE":
            return (Asked("AGE", window, column, 1),)
        case "GAP":
            return Asked("COUNT", window, column), Asked("AGE", window, column, 0), Asked("AGE", window, column, 1)
        case "LIST_DISTINCT":
            return (_lengths(asked),)
    return (Asked(asked.function, window, column),)


def _number(wanted: Sequence[Asked], functions: Set[str]) -> Wants:
    """Those with one of the functions, numbered."""
    return {asked: row for row, asked in enumerate(dict.fromkeys(w for w in wanted if w.function in functions))}


def _slots(rows: Wants, functions: Mapping[str, int], column: int | None, windows: int) -> Array:
    """Where each function's windows go, for a kernel: the rows of its table, -1 for what is not wanted."""
    slots = np.full((max(functions.values()) + 1, windows), -1, np.int64)
    for asked, row in rows.items():
        if asked.column == column and asked.function in functions:
            slots[functions[asked.function], asked.window] = row
    return frozen(slots)


@dataclass(frozen=True)
class Jobs:
    """All that is asked of a stream, prepared: the jobs, and where their tables answer what.

    ``sizes`` are the tables' rows. Each list has the row of its lengths, each gap the rows that it follows from.
    ``order`` has a place an answer: among the rows of all tables, then the lists, then the gaps.
    """

    asked: tuple[Asked, ...]
    jobs: tuple[Job, ...]
    sizes: tuple[int, int, int]
    lists: tuple[int, ...]
    gaps: tuple[tuple[int, ...], ...]
    order: tuple[int, ...]

    @classmethod
    @lru_cache(256)
    def of(cls, asked: tuple[Asked, ...], windows: int) -> Jobs:
        """The jobs for what is asked over so many windows."""
        wanted = [part for one in asked for part in _parts(one)]
        numbers = frozenset(function for _, functions, _ in NUMBERS for function in functions)
        floats, whole = _number(wanted, numbers | {"ENTROPY"}), _number(wanted, {*PLACES, "COUNT_DISTINCT"})
        codes, ragged = _number(wanted, {"MODE"}), _number(asked, {"LIST_DISTINCT"})
        coded = [*_modes(codes, windows), *_frequencies(whole, floats, ragged, windows)]
        jobs = *_places(whole), *_numbers(floats, windows), *coded
        gaps = _number(asked, {"GAP"})
        return cls(
            asked,
            jobs,
            (len(floats), len(whole), len(codes)),
            tuple(whole[_lengths(one)] for one in ragged),
            tuple(tuple(whole[part] for part in _parts(one)) for one in gaps),
            _order(asked, (floats, whole, codes, ragged, gaps)),
        )

    def outs(self, rows: int) -> Outs:
        """Room for the results of so many spine rows."""
        floats, whole, codes = self.sizes
        lists: tuple[dict[int, Array], ...] = tuple({} for _ in self.lists)
        return Outs(
            np.empty((floats, rows)), np.empty((whole, rows), np.int64), np.empty((codes, rows), np.int32), lists
        )

    def results(self, outs: Outs) -> list[Result]:
        """What was asked, once all pieces have run."""
        found: list[Result] = [*outs.floats, *outs.whole, *outs.codes]
        found += [_ragged(outs.whole[row], parts) for row, parts in zip(self.lists, outs.lists, strict=True)]
        found += [_gaps(*(outs.whole[row] for row in rows)) for rows in self.gaps]
        return [found[place] for place in self.order]

    def plain(self, outs: Outs) -> list[list[Any]]:
        """As `results`, in plain Python with None for NaN, what stands in the tables of floats and whole numbers.

        Of the rest there is nothing.
        """
        found = [*_plain(outs.floats), *outs.whole.tolist(), []]
        return [found[place] for place in self._numbers]

    @cached_property
    def _numbers(self) -> tuple[int, ...]:
        """As ``order``, but that all behind floats and whole numbers is one."""
        floats, whole, _ = self.sizes
        return tuple(min(place, floats + whole) for place in self.order)


def _plain(floats: Array) -> list[list[Any]]:
    """The rows of a table of floats, with None for NaN."""
    rows: list[list[Any]] = floats.tolist()
    if floats.shape[1] == 1:
        return [row if row[0] == row[0] else [None] for row in rows]
    for place in np.flatnonzero(np.isnan(floats).any(axis=1)).tolist():
        rows[place] = [None if v != v else v for v in rows[place]]
    return rows


def _order(asked: Sequence[Asked], tables: Sequence[Wants]) -> tuple[int, ...]:
    """Where the answers stand among what all tables hold, one after the other."""
    wants = (want for table in tables for want in table)
    places = {want: place for place, want in enumerate(wants)}
    return tuple(places[one if one.function in {"LIST_DISTINCT", "GAP"} else _parts(one)[0]] for one in asked)


def _columns(rows: Wants, functions: Mapping[str, int]) -> list[int | None]:
    """The columns about which one of these functions is asked."""
    return list(dict.fromkeys(asked.column for asked in rows if asked.function in functions))


def _places(rows: Wants) -> list[Job]:
    jobs: list[Job] = []
    for column in _columns(rows, PLACES):
        mine = {a: row for a, row in rows.items() if a.column == column and a.function in PLACES}
        asked = np.array([(PLACES[a.function], a.window, 1 if a.n is None else a.n, row) for a, row in mine.items()])
        events = tuple(row for a, row in mine.items() if a.function in {"FIRST", "LAST"})
        jobs.append(Places(column, frozen(asked.astype(np.int64)), events))
    return jobs


def _numbers(rows: Wants, windows: int) -> list[Job]:
    return [
        Numbers(column, kernel, _slots(rows, functions, column, windows), timed)
        for kernel, functions, timed in NUMBERS
        for column in _columns(rows, functions)
    ]


def _modes(rows: Wants, windows: int) -> list[Job]:
    functions = {"MODE": 0}
    return [Modes(column, _slots(rows, functions, column, windows)) for column in _columns(rows, functions)]


def _frequencies(whole: Wants, floats: Wants, ragged: Wants, windows: int) -> list[Job]:
    jobs: list[Job] = []
    for column in dict.fromkeys(_columns(whole, FREQUENCIES) + _columns(floats, FREQUENCIES)):
        slots = _slots(whole | floats, FREQUENCIES, column, windows)
        own = tuple((a.window, whole[_lengths(a)], place) for a, place in ragged.items() if a.column == column)
        jobs.append(Frequencies(column, slots, own))
    return jobs


def _gaps(counts: Array, first: Array, last: Array) -> Array:
    """The mean time between events in days, from their number and the ages of the first and the last."""
    steps = np.where(counts > 1, counts - 1, np.nan)
    mean: Array = (first - last) / _DAY / steps
    return mean


def _ragged(lengths: Array, found: Mapping[int, Array]) -> Ragged:
    parts = [found[row] for row in sorted(found)]
    return Ragged(np.append(0, np.cumsum(lengths)), np.concatenate(parts) if parts else np.empty(0, np.int32))
