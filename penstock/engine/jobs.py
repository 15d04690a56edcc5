"""Requests gathered into jobs: one call of one kernel answers all that is asked of a column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from penstock.engine.kernels import extremes, frequency, lists, median, mode, places, sums, trend
from penstock.engine.kernels.compiled import Walk, frozen
from penstock.engine.pieces import Piece
from penstock.engine.segments import Array, Ragged, Request, Result

NOTHING = frozen(np.empty(0, np.bool_))
_DAY = 86_400_000_000


class Job(Protocol):
    """Some requests about one column, with their results in the making."""

    def run(self, piece: Piece, walk: Walk, cutoff: Array) -> None:
        """Work out the piece's rows."""

    def result(self, request: Request) -> Result:
        """What came of a request, once all pieces have run."""


@dataclass(frozen=True)
class Places:
    """COUNT, FIRST, LAST, LAST_N, TIME_SINCE and GAP."""

    valid: Array
    asked: dict[tuple[int, int, int], int]
    out: Array

    @classmethod
    def of(cls, requests: Sequence[Request], _windows: int, rows: int) -> Places:
        """The job that answers these requests about one column."""
        every = (key for request in requests for key in _asked(request))
        asked = {key: number for number, key in enumerate(dict.fromkeys(every))}
        return cls(_valid(requests[0].column), asked, np.empty((len(asked), rows), np.int64))

    def run(self, piece: Piece, walk: Walk, cutoff: Array) -> None:
        """Work out the piece's rows."""
        asked = frozen(np.array(list(self.asked), np.int64))
        places.places(walk, piece.read(self.valid), piece.happened, cutoff, asked, self.out)
        if piece.events is not None:
            for (what, _, _), number in self.asked.items():
                if what in (places.FIRST, places.LAST):
                    values = self.out[number, piece.rows]
                    values[values >= 0] = piece.events[values[values >= 0]]

    def result(self, request: Request) -> Result:
        """What came of a request."""
        found: list[Array] = [self.out[self.asked[key]] for key in _asked(request)]
        return _gaps(*found) if request.function == "GAP" else found[0]


def _gaps(counts: Array, first: Array, last: Array) -> Array:
    """The mean time between events in days, from their number and the ages of the first and the last."""
    steps = np.where(counts > 1, counts - 1, np.nan)
    mean: Array = (first - last) / _DAY / steps
    return mean


def _asked(request: Request) -> list[tuple[int, int, int]]:
    """What the kernel is to answer for a request."""
    window = request.window_index
    if request.function == "GAP":
        return [(places.COUNT, window, 1), (places.AGE, window, 0), (places.AGE, window, 1)]
    what = {"COUNT": places.COUNT, "FIRST": places.FIRST, "TIME_SINCE": places.AGE}.get(request.function, places.LAST)
    nth = 0 if request.function == "FIRST" else request.n if request.function == "LAST_N" else 1
    return [(what, window, nth if nth is not None else 1)]


def _valid(column: Array | None) -> Array:
    """Which events have a value; empty if all do."""
    if column is None:
        return NOTHING
    valid = column if column.dtype == np.bool_ else column >= 0 if column.dtype.kind == "i" else np.isfinite(column)
    return NOTHING if valid.all() else frozen(valid)


@dataclass(frozen=True)
class Numbers:
    """What one kernel works out from a column of floats."""

    kernel: Callable[..., None]
    functions: dict[str, int]
    column: Array
    slots: Array
    out: Array
    timed: bool = False

    def run(self, piece: Piece, walk: Walk, _cutoff: Array) -> None:
        """Work out the piece's rows."""
        clock = (piece.happened,) if self.timed else ()
        self.kernel(walk, piece.read(self.column), *clock, self.slots, self.out)

    def result(self, request: Request) -> Result:
        """What came of a request."""
        found: Array = self.out[self.slots[self.functions[request.function], request.window_index]]
        return found


def _numbers(kernel: Callable[..., None], functions: dict[str, int], *, timed: bool = False) -> Callable[..., Job]:
    def job(requests: Sequence[Request], windows: int, rows: int) -> Job:
        slots, count = _slots(requests, functions, windows)
        column = frozen(np.asarray(requests[0].column, np.float64))
        return Numbers(kernel, functions, column, slots, np.empty((max(1, count.sum()), rows)), timed)

    return job


def _slots(requests: Sequence[Request], functions: dict[str, int], windows: int) -> tuple[Array, Array]:
    """Where each function's windows go, numbered from 0 through all functions; and how many each function has."""
    slots = np.full((max(functions.values()) + 1, windows), -1, np.int64)
    for request in requests:
        slots[functions[request.function], request.window_index] = 0
    used = slots == 0
    slots[used] = np.arange(used.sum())
    return frozen(slots), used.sum(axis=1)


@dataclass(frozen=True)
class Modes:
    """MODE."""

    column: Array
    slots: Array
    out: Array

    @classmethod
    def of(cls, requests: Sequence[Request], windows: int, rows: int) -> Modes:
        """The job that answers these requests about one column."""
        slots, counts = _slots(requests, {"MODE": 0}, windows)
        return cls(_codes(requests[0].column), slots, np.empty((counts[0], rows), np.int32))

    def run(self, piece: Piece, walk: Walk, _cutoff: Array) -> None:
        """Work out the piece's rows."""
        mode.modes(walk, piece.read(self.column), self.slots, self.out)

    def result(self, request: Request) -> Result:
        """What came of a request."""
        found: Array = self.out[self.slots[0, request.window_index]]
        return found


@dataclass(frozen=True)
class Frequencies:
    """COUNT_DISTINCT and ENTROPY."""

    column: Array
    slots: Array
    outs: tuple[Array, Array]

    @classmethod
    def of(cls, requests: Sequence[Request], windows: int, rows: int) -> Frequencies:
        """The job that answers these requests about one column."""
        slots, counts = _slots(requests, FREQUENCIES, windows)
        own = np.where(slots >= 0, slots - (np.cumsum(counts) - counts)[:, None], -1)
        outs = np.empty((counts[0], rows), np.int64), np.empty((counts[1], rows))
        return cls(_codes(requests[0].column), frozen(own), outs)

    def run(self, piece: Piece, walk: Walk, _cutoff: Array) -> None:
        """Work out the piece's rows."""
        frequency.frequencies(walk, piece.read(self.column), self.slots, *self.outs)

    def result(self, request: Request) -> Result:
        """What came of a request."""
        function = FREQUENCIES[request.function]
        found: Array = self.outs[function][self.slots[function, request.window_index]]
        return found


@dataclass(frozen=True)
class Lists:
    """LIST_DISTINCT of one window: lengths first, then the lists of each piece."""

    counted: Frequencies
    window: int
    lists: dict[int, Array] = field(default_factory=dict)

    @classmethod
    def of(cls, requests: Sequence[Request], windows: int, rows: int) -> Lists:
        """The job that answers one request."""
        window = requests[0].window_index
        return cls(Frequencies.of([Request("COUNT_DISTINCT", window, requests[0].column)], windows, rows), window)

    def run(self, piece: Piece, walk: Walk, cutoff: Array) -> None:
        """Work out the piece's rows."""
        self.counted.run(piece, walk, cutoff)
        offsets = np.append(0, np.cumsum(self.counted.outs[0][0, piece.rows]))
        codes = np.empty(offsets[-1], np.int32)
        lists.lists(walk, self.window, piece.read(self.counted.column), frozen(offsets), codes)
        self.lists[piece.rows.start] = codes

    def result(self, _request: Request) -> Result:
        """What came of the request."""
        lengths = self.counted.outs[0][0]
        parts = [self.lists[row] for row in sorted(self.lists)]
        return Ragged(np.append(0, np.cumsum(lengths)), np.concatenate(parts) if parts else np.empty(0, np.int32))


def _codes(column: Array | None) -> Array:
    return frozen(np.asarray(column, np.int32))


SUMS = {"SUM": sums.SUM, "AVG": sums.AVG, "VAR": sums.VAR, "STDDEV": sums.STDDEV}
EXTREMES = {"MIN": extremes.MIN, "MAX": extremes.MAX}
FREQUENCIES = {"COUNT_DISTINCT": frequency.DISTINCT, "ENTROPY": frequency.ENTROPY}

MAKERS: dict[str, Callable[[Sequence[Request], int, int], Job]] = {
    **dict.fromkeys(("COUNT", "FIRST", "LAST", "LAST_N", "TIME_SINCE", "GAP"), Places.of),
    **dict.fromkeys(SUMS, _numbers(sums.sums, SUMS)),
    **dict.fromkeys(EXTREMES, _numbers(extremes.extremes, EXTREMES)),
    **dict.fromkeys(FREQUENCIES, Frequencies.of),
    "MEDIAN": _numbers(median.medians, {"MEDIAN": 0}),
    "TREND": _numbers(trend.trends, {"TREND": 0}, timed=True),
    "MODE": Modes.of,
    "LIST_DISTINCT": Lists.of,
}
"""Who answers each aggregate."""


def jobs_for(requests: Sequence[Request], windows: int, rows: int) -> list[tuple[Job, list[int]]]:
    """The jobs that answer the requests, each with the numbers of its requests."""
    groups: dict[object, list[int]] = {}
    for number, request in enumerate(requests):
        groups.setdefault(_group(request), []).append(number)
    made = []
    for numbers in groups.values():
        asked = [requests[number] for number in numbers]
        made.append((MAKERS[asked[0].function](asked, windows, rows), numbers))
    return made


def _group(request: Request) -> object:
    """Requests of one kernel and one column (the same memory) belong together; each window's lists stand alone."""
    column = request.column
    what = None if column is None else (column.__array_interface__["data"][0], column.dtype.str, len(column))
    return MAKERS[request.function], what, request.window_index if request.function == "LIST_DISTINCT" else None
