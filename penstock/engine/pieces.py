"""A sweep cut into pieces that each fit the caches: whole keys, or what one observer after the other sees of them.

A kernel needs the events that show at a cutoff to be the first ones that happened. Where events became known out of
order, or were superseded, a key is replaced by several observers for each of whom that holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from penstock.engine.kernels.compiled import Walk, frozen
from penstock.engine.kernels.observers import count_seen, gather_seen, observers
from penstock.engine.kernels.ranges import backs, begins, ends
from penstock.engine.segments import Array, Segments, Spine
from penstock.window import END, Unit, Window

CHUNK = 150_000
"""Events and rows that are worked on at a time, at most unless a single key has more."""

ALL = frozen(np.empty(0, np.bool_))
"""Flags that no event lacks."""


@dataclass(frozen=True)
class Piece:
    """Keys, or observers, whose events that show at a row are the first ones of its key.

    ``spine_starts`` counts rows of the whole spine. ``events`` are the events' places in the segments; None: as they
    are.
    """

    first_key: int
    last_key: int
    event_starts: Array
    spine_starts: Array
    happened: Array
    visible_from: Array
    events: Array | None = None

    @property
    def rows(self) -> slice:
        """Its rows of the spine."""
        return slice(int(self.spine_starts[self.first_key]), int(self.spine_starts[self.last_key]))

    def read(self, column: Array) -> Array:
        """A column of the segments, an entry an event."""
        return column if self.events is None or len(column) == 0 else frozen(column[self.events])

    def walk(self, windows: Sequence[Window | None], cutoff: Array, counted: Mapping[int, Array]) -> Walk:
        """The piece as kernels take it: with the range of each window's events for each row.

        ``counted`` has, by the number of a window of rows, flags of the events that it counts; without, it counts all.
        """
        cutoff = cutoff[self.rows]
        begin, end = np.empty((2, len(windows), len(cutoff)), np.int32)
        keys = (self.first_key, self.last_key, self.event_starts, self.spine_starts)
        done: dict[object, Array] = {}
        for number, window in enumerate(windows):
            low, high = (frozen(bound) for bound in _bounds(window, cutoff))
            closes = _closes(window)
            if closes in done:
                end[number] = done[closes]
            else:
                ends(*keys, self.happened, self.visible_from, cutoff, high, end[number])
                done[closes] = frozen(end[number].copy())
            if window is not None and window.unit is Unit.ROWS:
                flags, shown = self.read(counted.get(number, ALL)), done[closes]
                backs(*keys, flags, shown, -(window.start or 0), begin[number])
                backs(*keys, flags, shown, -window.end, end[number])
            else:
                begins(*keys, self.happened, low, done[closes], begin[number])
        longest = int(np.diff(self.event_starts[self.first_key : self.last_key + 1]).max(initial=0))
        return Walk(*keys, frozen(begin), frozen(end), longest)


def _closes(window: Window | None) -> object:
    """Windows that close at the same instants close alike. Those of rows see all that shows at the cutoff."""
    if window is None:
        return None
    return (0, 0) if window.unit is Unit.ROWS else (window.end, window.end and window.unit)


def _bounds(window: Window | None, cutoff: Array) -> tuple[Array, Array]:
    if window is not None:
        return window.bounds(cutoff)
    return np.full_like(cutoff, np.iinfo(np.int64).min), cutoff


def chunks(event_starts: Array, spine_starts: Array, size: int = CHUNK) -> list[tuple[int, int]]:
    """Runs of keys with about ``size`` events and rows each.

    >>> chunks(np.array([0, 4, 5, 6]), np.array([0, 1, 2, 3]), size=4)
    [(0, 1), (1, 3)]
    """
    work = event_starts + spine_starts
    total = int(work[-1] - work[0])
    cuts = np.searchsorted(work - work[0], np.arange(1, total // size + 1) * size)
    edges = np.unique(np.concatenate(([0], cuts, [len(work) - 1])))
    return [(int(a), int(b)) for a, b in pairwise(edges)]


def pieces(segments: Segments, spine: Spine, first_key: int, last_key: int) -> Iterator[Piece]:
    """The pieces of some keys, in the spine's order."""
    if _in_order(segments, first_key, last_key):
        shown = segments.visible_from if segments.visible_from is not None else segments.happened[:0]
        yield Piece(first_key, last_key, segments.event_starts, spine.spine_starts, segments.happened, shown)
    else:
        yield from _observed(segments, spine, first_key, last_key)


def _in_order(segments: Segments, first_key: int, last_key: int) -> bool:
    """Whether all events of these keys show for ever, and from ever later on in each key."""
    first, last = segments.event_starts[first_key], segments.event_starts[last_key]
    if segments.visible_until is not None and (segments.visible_until[first:last] < END).any():
        return False
    if segments.visible_from is None:
        return True
    shown = segments.visible_from[first:last]
    sooner = np.flatnonzero(shown[1:] < shown[:-1]) + first + 1
    return bool(np.isin(sooner, segments.event_starts[first_key:last_key]).all())


def _observed(segments: Segments, spine: Spine, first_key: int, last_key: int) -> Iterator[Piece]:
    """The keys' observers; as many at a time as see about `CHUNK` events."""
    first, last = int(segments.event_starts[first_key]), int(segments.event_starts[last_key])
    event_starts = frozen(segments.event_starts[first_key : last_key + 1] - first)
    spine_starts = frozen(spine.spine_starts[first_key : last_key + 1])
    shown = (segments.happened if segments.visible_from is None else segments.visible_from)[first:last]
    until = segments.visible_until
    until = frozen(np.full(last - first, END)) if until is None else until[first:last]
    new, instants = np.empty(spine_starts[-1] - spine_starts[0], np.bool_), np.empty(2 * len(shown), np.int64)
    observers(0, last_key - first_key, event_starts, spine_starts, spine.cutoff, shown, until, instants, new)
    begins = np.flatnonzero(new) + spine_starts[0]
    ends = np.append(begins[1:], spine_starts[-1])
    if len(begins) == 0:
        return
    keys = np.searchsorted(spine_starts, begins, side="right") - 1
    sight = [frozen(a) for a in (keys, spine.cutoff[begins], spine.cutoff[ends - 1])]
    sizes = np.empty(len(begins), np.int64)
    count_seen(len(begins), sight[0], event_starts, sight[1], sight[2], shown, until, sizes)
    for a, b in chunks(np.append(0, np.cumsum(sizes)), np.append(begins, spine_starts[-1])):
        starts = frozen(np.append(0, np.cumsum(sizes[a:b])))
        events, since = np.empty((2, starts[-1]), np.int64)
        part = [values[a:b] for values in sight]
        gather_seen(b - a, part[0], event_starts, part[1], part[2], shown, until, events, since)
        events += first
        rows = frozen(np.append(begins[a:b], ends[b - 1]))
        yield Piece(0, b - a, starts, rows, frozen(segments.happened[events]), frozen(since), events)
