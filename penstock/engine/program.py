"""A sweep prepared once and asked again and again: the same windows and requests, few keys, one cutoff a key.

That is what serving asks. It answers what `sweep` answers, to the bit, without finding out anew what there is to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np

from penstock.engine.jobs import Job, Jobs, Outs
from penstock.engine.kernels.compiled import Walk, frozen
from penstock.engine.kernels.observers import gather_shown
from penstock.engine.kernels.ranges import backs, spans
from penstock.engine.pieces import ALL, Piece
from penstock.engine.segments import Array, Asked, Result
from penstock.engine.together import Together
from penstock.window import BEGINNING, Unit, Window, shift

_NEVER = frozen(np.empty(0, np.int64))
"""A clock that hides nothing."""
_DAY = Unit.DAYS.microseconds


@dataclass(frozen=True)
class Bounds:
    """Where windows open and close: so far from the cutoff (2 x windows); but for ``open`` and ``months``.

    ``open`` has instants for the sides that are not told by the cutoff, ``months`` how many calendar months from it.
    """

    offsets: Array
    open: tuple[tuple[int, int, int], ...]
    months: tuple[tuple[int, int, int], ...]

    @classmethod
    @lru_cache(256)
    def of(cls, windows: tuple[Window | None, ...]) -> Bounds:
        """The bounds of some windows; those of rows close at the cutoff."""
        offsets, opened, months = np.zeros((2, len(windows), 1), np.int64), [], []
        for number, window in enumerate(windows):
            sides = (None, 0) if window is None or window.unit is Unit.ROWS else (window.start, window.end)
            for side, count in enumerate(sides):
                if count is None:
                    opened.append((side, number, np.iinfo(np.int64).min if window is None else BEGINNING))
                elif count and window is not None and window.unit is Unit.MONTHS:
                    months.append((side, number, count))
                elif count and window is not None:
                    offsets[side, number] = count * window.unit.microseconds
        return cls(offsets, tuple(opened), tuple(months))

    def at(self, cutoff: Array) -> Array:
        """For each side, window and cutoff the instant."""
        bounds: Array = self.offsets + cutoff
        for side, number, bound in self.open:
            bounds[side, number] = bound
        for side, number, count in self.months:
            bounds[side, number] = _months(cutoff, count)
        return bounds


def _months(cutoff: Array, count: int) -> Array | int:
    """The cutoffs moved by calendar months; a single one by its day, which the next cutoff is likely to share."""
    if len(cutoff) != 1:
        return shift(cutoff, count, Unit.MONTHS)
    day, rest = divmod(int(cutoff[0]), _DAY)
    return _month(day, count) + rest


@lru_cache(4096)
def _month(day: int, count: int) -> int:
    """Midnight of a day, moved by calendar months."""
    return int(shift(np.array([day * _DAY]), count, Unit.MONTHS)[0])


@dataclass(frozen=True)
class Program:
    """What is asked of one stream, prepared. Threads may share it."""

    windows: tuple[Window | None, ...]
    bounds: Bounds
    rows: tuple[tuple[int, int, int, int | None], ...]
    jobs: Jobs

    @classmethod
    def of(
        cls, windows: Sequence[Window | None], asked: Sequence[Asked], counted: Mapping[int, int] | None = None
    ) -> Program:
        """The program that answers ``asked`` over ``windows`` (None: every event up to the cutoff).

        ``counted`` tells for a window of rows the column (of bools) that flags the events it counts; without, it
        counts all.

        >>> program = Program.of([None, Window(-2, 0)], [Asked("SUM", 0, 0), Asked("COUNT", 1)])
        >>> days = np.arange(4) * 86_400_000_000
        >>> [total, count] = program.run(np.array([0, 4]), days, None, None, [np.ones(4)], 3 * 86_400_000_000)
        >>> total.tolist(), count.tolist()
        ([4.0], [2])
        """
        rows = tuple(
            (number, -(window.start or 0), -window.end, (counted or {}).get(number))
            for number, window in enumerate(windows)
            if window is not None and window.unit is Unit.ROWS
        )
        return cls(tuple(windows), Bounds.of(tuple(windows)), rows, Jobs.of(tuple(asked), len(windows)))

    def run(
        self,
        event_starts: Array,
        happened: Array,
        shown_from: Array | None,
        shown_until: Array | None,
        columns: Sequence[Array],
        cutoff: int | Array,
    ) -> list[Result]:
        """Each request's values (see `Result`), one a key.

        Events are as in `Segments`; ``columns`` have an entry an event, as in `Request`. ``cutoff`` is an instant for
        all keys, or one a key. Windows look back. Raises ``ValueError`` where lengths do not agree.
        """
        return self.jobs.results(self.outs(event_starts, happened, shown_from, shown_until, columns, cutoff))

    def outs(
        self,
        event_starts: Array,
        happened: Array,
        shown_from: Array | None,
        shown_until: Array | None,
        columns: Sequence[Array],
        cutoff: int | Array,
    ) -> Outs:
        """As `run`, the tables in which ``jobs`` finds what was asked."""
        cutoffs = np.array(cutoff, np.int64, ndmin=1, copy=None)
        if len(cutoffs) not in (1, len(event_starts) - 1) or {len(happened), *map(len, columns)} != {len(happened)}:
            raise ValueError("each key has one cutoff, or all have the same, and each event an entry in each column")
        piece = _shown(_ints(event_starts), _ints(happened), shown_from, shown_until, cutoffs)
        walk = self._walk(piece, columns, cutoffs)
        keys = piece.last_key
        every = frozen(cutoffs if len(cutoffs) == keys else np.full(keys, cutoffs[0]))
        outs = self.jobs.outs(keys)
        together, rest = self._jobs
        if together is not None:
            together.run(piece, walk, every, columns, outs)
        for job in rest:
            values = job.takes(None if job.column is None else columns[job.column])
            job.run(piece, walk, every, piece.read(values), outs)
        return outs

    @cached_property
    def _jobs(self) -> tuple[Together | None, tuple[Job, ...]]:
        """The jobs that are done together, and the others."""
        return Together.of(self.jobs.jobs, len(self.windows))

    def _walk(self, piece: Piece, columns: Sequence[Array], cutoffs: Array) -> Walk:
        """The range of each window's events for each key."""
        keys, starts = piece.last_key, piece.event_starts
        low, high = self.bounds.at(cutoffs)
        begin, end = np.empty((2, len(self.windows), keys), np.int32)
        spans(starts, piece.happened, low, high, begin, end)
        for number, start, stop, flags in self.rows:
            counts = ALL if flags is None else piece.read(frozen(np.asarray(columns[flags], np.bool_)))
            shown = frozen(end[number].copy())
            backs(0, keys, starts, piece.spine_starts, counts, shown, start, begin[number])
            backs(0, keys, starts, piece.spine_starts, counts, shown, stop, end[number])
        longest = len(piece.happened) if keys == 1 else int((starts[1:] - starts[:-1]).max(initial=0))
        return Walk(0, keys, starts, piece.spine_starts, frozen(begin), frozen(end), longest)


def _shown(
    starts: Array, happened: Array, shown_from: Array | None, shown_until: Array | None, cutoffs: Array
) -> Piece:
    """The events that show at the cutoffs, of keys with a row each."""
    keys, rows = len(starts) - 1, _counted(len(starts))
    if shown_from is not None or shown_until is not None:
        opens, closes = (_NEVER if clock is None else _ints(clock) for clock in (shown_from, shown_until))
        events, kept = np.empty(len(happened), np.int64), np.empty(len(starts), np.int64)
        gather_shown(starts, opens, closes, cutoffs, events, kept)
        if kept[-1] < len(happened):
            events = frozen(events[: kept[-1]])
            return Piece(0, keys, frozen(kept), rows, frozen(happened[events]), _NEVER, events)
    return Piece(0, keys, frozen(starts), rows, frozen(happened), _NEVER)


@lru_cache(64)
def _counted(count: int) -> Array:
    """The first whole numbers from 0 on."""
    return frozen(np.arange(count))


def _ints(array: Array) -> Array:
    return np.ascontiguousarray(array, np.int64)


__all__ = ["Asked", "Program"]
