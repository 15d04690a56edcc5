"""COUNT_DISTINCT, MODE and ENTROPY from a table of how often each code is in the window.

An event costs one update when it enters and one when it leaves. The mode is the winner of a tournament among the
codes, replayed only as far up as the winner changes. The entropy's sum of ``n * log(n)`` is kept in whole numbers, so
that what leaves takes away exactly what it brought.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import (
    CODES,
    OUT_CODES_2,
    OUT_FLOATS_2,
    OUT_INTS_2,
    SLOTS,
    WALK,
    kernel,
    longest,
    step,
)  # fmt: skip
from penstock.engine.kernels.local import compact, table_for

DISTINCT, MODE, ENTROPY = 0, 1, 2
"""The rows of ``slots``."""

_PARTS = 2.0**40


@step
def _set_up(winners: Any, leaves: int) -> None:
    """A tournament in which nobody has scored: the smallest code of each half wins."""
    width, node = leaves, 1
    while width > 1:
        for place in range(leaves // width):
            winners[node + place] = place * width
        node *= 2
        width //= 2


@step
def _replay(winners: Any, counts: Any, leaves: int, code: int) -> None:
    """Play the matches above a code whose count changed. The left, smaller code wins a draw."""
    node = (leaves + code) >> 1
    winner = code & ~1
    if counts[winner + 1] > counts[winner]:
        winner += 1
    while winners[node] != winner or winner == code:
        winners[node] = winner
        if node == 1:
            return
        other = winners[node ^ 1]
        ahead = counts[other] - counts[winner]
        if ahead > 0 or (ahead == 0 and other < winner):
            winner = other
        node >>= 1


@step
def _weight(count: int, parts: Any) -> None:
    """``count * log(count)`` as (whole, parts of 2**-40)."""
    value = count * math.log(count) if count > 1 else 0.0
    whole = math.floor(value)
    parts[0], parts[1] = whole, math.floor((value - whole) * _PARTS)


@step
def _entropy(total: int, distinct: int, weights: Any) -> float:
    if total == 0:
        return np.nan
    if distinct == 1:
        return 0.0
    mean: float = (weights[0] + weights[1] / _PARTS) / total
    return math.log(total) - mean


@step
def _turn(code: int, by: int, counts: Any, state: Any, mode: bool, winners: Any, leaves: int, entropy: bool) -> None:
    """Let an event of this code in (``by`` 1) or out (-1). ``state`` holds (events, distinct, weight, its parts)."""
    old = counts[code]
    counts[code] = old + by
    state[0] += by
    if old + by == 0:
        state[1] -= 1
    elif old == 0:
        state[1] += 1
    if mode:
        _replay(winners, counts, leaves, code)
    if entropy:
        parts = state[4:]
        _weight(old, parts)
        state[2] -= parts[0]
        state[3] -= parts[1]
        _weight(old + by, parts)
        state[2] += parts[0]
        state[3] += parts[1]


@step
def _clear(counts: Any, winners: Any, state: Any, leaves: int, mode: bool) -> None:
    counts[:leaves] = 0
    state[:] = 0
    if mode:
        _set_up(winners, leaves)


@step
def _slide(
    rows: Any, base: int, begin: Any, end: Any, local: Any, leaves: int, counts: Any, winners: Any, different: Any,
    state: Any, asked: Any, out_distinct: Any, out_mode: Any, out_entropy: Any,
) -> None:  # fmt: skip
    """One window over the rows of one key."""
    mode, entropy = asked[MODE] >= 0, asked[ENTROPY] >= 0
    left = at = 0
    _clear(counts, winners, state, leaves, mode)
    for row in rows:
        start, stop = begin[row - base], end[row - base]
        if start > at or start < left or stop < at:  # a gap, or a calendar month moved back: start anew
            _clear(counts, winners, state, leaves, mode)
            left = at = start
        while at < stop:
            if local[at] >= 0:
                _turn(local[at], 1, counts, state, mode, winners, leaves, entropy)
            at += 1
        while left < start:
            if local[left] >= 0:
                _turn(local[left], -1, counts, state, mode, winners, leaves, entropy)
            left += 1
        if asked[DISTINCT] >= 0:
            out_distinct[asked[DISTINCT], row] = state[1]
        if mode:
            out_mode[asked[MODE], row] = different[winners[1]] if state[0] > 0 else -1
        if entropy:
            out_entropy[asked[ENTROPY], row] = _entropy(state[0], state[1], state[2:])


@step
def leaves_for(codes: int) -> int:
    """The size of a table for this many codes: a power of two, at least two."""
    size = 2
    while size < codes:
        size *= 2
    return size


@kernel(WALK, CODES, SLOTS, OUT_INTS_2, OUT_CODES_2, OUT_FLOATS_2)
def frequencies(walk: Any, codes: Any, slots: Any, out_distinct: Any, out_mode: Any, out_entropy: Any) -> None:
    """COUNT_DISTINCT; MODE (the smallest code of the most frequent, -1 of nothing); ENTROPY in nats (NaN of nothing).

    ``slots[function, window]`` is the row of that function's output to write to, or -1.
    """
    most = longest(walk)
    table, different, local = table_for(most), np.empty(most, np.int32), np.empty(most, np.int32)
    counts, winners = np.empty(leaves_for(most), np.int32), np.empty(leaves_for(most), np.int32)
    state = np.empty(6, np.int64)
    base = walk.spine_starts[walk.first_key]
    for key in range(walk.first_key, walk.last_key):
        first, rows = walk.event_starts[key], range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        leaves = leaves_for(compact(codes, first, walk.event_starts[key + 1], table, different, local))
        for window in range(len(walk.begin)):
            asked = slots[:, window]
            if asked.max() >= 0:
                _slide(
                    rows, base, walk.begin[window], walk.end[window], local, leaves, counts, winners, different,
                    state, asked, out_distinct, out_mode, out_entropy,
                )  # fmt: skip
