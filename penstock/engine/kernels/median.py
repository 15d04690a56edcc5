"""MEDIAN of sliding windows: a Fenwick tree over the ranks of the key's values finds the middle one.

After P. M. Fenwick, A new data structure for cumulative frequency tables (1994).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import (
    FLOATS,
    OUT_CODES,
    OUT_FLOATS,
    OUT_FLOATS_2,
    SLOTS,
    WALK,
    Array,
    Walk,
    kernel,
    step,
)  # fmt: skip
from penstock.engine.kernels.rooms import Arrays, room
from penstock.engine.kernels.sorting import fill, sort_first


@step
def _rank_of(value: float, ordered: Any, count: int) -> int:
    """The place (from 1) of a value among the different ones, ascending."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if ordered[middle] < value:
            low = middle + 1
        else:
            high = middle
    return low + 1


@step
def _rank(values: Any, first: int, last: int, ranks: Any, ordered: Any) -> int:
    """Fill the key's different values, ascending, and each event's rank among them (0: NULL); return how many."""
    count = different = 0
    for event in range(first, last):
        if np.isfinite(values[event]):
            ordered[count] = values[event]
            count += 1
    sort_first(ordered, count)
    for place in range(count):
        if different == 0 or ordered[place] != ordered[different - 1]:
            ordered[different] = ordered[place]
            different += 1
    for event in range(first, last):
        known = np.isfinite(values[event])
        ranks[event - first] = _rank_of(values[event], ordered, different) if known else 0
    return different


@step
def _turn(tree: Any, size: int, rank: int, by: int) -> None:
    while rank <= size:
        tree[rank] += by
        rank += rank & -rank


@step
def _find(tree: Any, size: int, nth: int) -> int:
    """The rank of the n-th smallest (from 1) in the window."""
    rank, jump = 0, 1
    while jump * 2 <= size:
        jump *= 2
    while jump > 0:
        if rank + jump <= size and tree[rank + jump] < nth:
            rank += jump
            nth -= tree[rank]
        jump //= 2
    return rank + 1


@step
def _middle(tree: Any, size: int, count: int, ordered: Any) -> float:
    if count == 0:
        return np.nan
    upper: float = ordered[_find(tree, size, count // 2 + 1) - 1]
    if count % 2:
        return upper + 0.0
    lower: float = ordered[_find(tree, size, count // 2) - 1]
    return (lower + upper) / 2 + 0.0


@step
def _slide(
    walk: Any, window: int, rows: Any, ranks: Any, ordered: Any, size: int, tree: Any, out: Any, slot: int
) -> None:
    """One window over the rows of one key."""
    base = walk.spine_starts[walk.first_key]
    left = at = count = 0
    fill(tree, size + 1, 0)
    for row in rows:
        start, stop = walk.begin[window, row - base], walk.end[window, row - base]
        if start > at or start < left or stop < at:  # a gap, or a calendar month moved back: start anew
            fill(tree, size + 1, 0)
            count = 0
            left = at = start
        for turn in range(left - start, stop - at):  # those in [left, start) leave, those in [at, stop) enter
            rank = ranks[at + turn if turn >= 0 else start + turn]
            if rank > 0:
                by = 1 if turn >= 0 else -1
                _turn(tree, size, rank, by)
                count += by
        left, at = start, stop
        out[slot, row] = _middle(tree, size, count, ordered)


@kernel(WALK, FLOATS, SLOTS, OUT_CODES, OUT_FLOATS, OUT_CODES, OUT_FLOATS_2)
def _medians(walk: Any, values: Any, slots: Any, ranks: Any, ordered: Any, tree: Any, out: Any) -> None:
    for key in range(walk.first_key, walk.last_key):
        rows = range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        size = _rank(values, walk.event_starts[key], walk.event_starts[key + 1], ranks, ordered)
        for window in range(len(walk.begin)):
            if slots[0, window] >= 0:
                _slide(walk, window, rows, ranks, ordered, size, tree, out, slots[0, window])


def medians(walk: Walk, values: Array, slots: Array, out: Array) -> None:
    """MEDIAN; the mean of the middle two of an even number; NaN of nothing, and no zero is negative.

    ``slots[0, window]`` is the row of ``out`` to write to, or -1.
    """
    ranks, ordered, tree = room(_room, walk.longest)
    _medians(walk, values, slots, ranks, ordered, tree, out)


def _room(events: int) -> Arrays:
    return np.empty(events, np.int32), np.empty(events), np.empty(events + 1, np.int32)
