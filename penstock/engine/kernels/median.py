"""MEDIAN of sliding windows: a Fenwick tree over the ranks of the key's values finds the middle one.

After P. M. Fenwick, A new data structure for cumulative frequency tables (1994).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import FLOATS, OUT_FLOATS_2, SLOTS, WALK, kernel, longest, step


@step
def _rank(values: Any, first: int, last: int, ranks: Any, ordered: Any) -> int:
    """Fill each event's rank among the key's different values (0: NULL) and those values; return how many."""
    order = np.argsort(values[first:last])
    count = 0
    for place in order:
        value = values[first + place]
        if not np.isfinite(value):
            ranks[place] = 0
            continue
        if count == 0 or ordered[count - 1] != value:
            ordered[count] = value
            count += 1
        ranks[place] = count
    return count


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
        return upper
    lower: float = ordered[_find(tree, size, count // 2) - 1]
    return (lower + upper) / 2


@step
def _slide(
    rows: Any, base: int, begin: Any, end: Any, ranks: Any, ordered: Any, size: int, tree: Any, out: Any
) -> None:
    """One window over the rows of one key."""
    left = at = count = 0
    tree[: size + 1] = 0
    for row in rows:
        start, stop = begin[row - base], end[row - base]
        if start > at or start < left or stop < at:  # a gap, or a calendar month moved back: start anew
            tree[: size + 1] = 0
            count = 0
            left = at = start
        while at < stop:
            if ranks[at] > 0:
                _turn(tree, size, ranks[at], 1)
                count += 1
            at += 1
        while left < start:
            if ranks[left] > 0:
                _turn(tree, size, ranks[left], -1)
                count -= 1
            left += 1
        out[row] = _middle(tree, size, count, ordered)


@kernel(WALK, FLOATS, SLOTS, OUT_FLOATS_2)
def medians(walk: Any, values: Any, slots: Any, out: Any) -> None:
    """MEDIAN; the mean of the middle two of an even number; NaN of nothing. ``slots[0, window]`` says where to."""
    most = longest(walk)
    ranks, ordered, tree = np.empty(most, np.int32), np.empty(most), np.empty(most + 1, np.int32)
    base = walk.spine_starts[walk.first_key]
    for key in range(walk.first_key, walk.last_key):
        first, rows = walk.event_starts[key], range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        size = _rank(values, first, walk.event_starts[key + 1], ranks, ordered)
        for window in range(len(walk.begin)):
            if slots[0, window] >= 0:
                begin, end, found = walk.begin[window], walk.end[window], out[slots[0, window]]
                _slide(rows, base, begin, end, ranks, ordered, size, tree, found)
