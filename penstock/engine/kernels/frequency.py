"""COUNT_DISTINCT and ENTROPY from a table of how often each code is in the window.

An event costs one update when it enters and one when it leaves. The entropy's sum of ``n * log(n)`` is kept in whole
numbers, so that what leaves takes away exactly what it brought.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import (
    CODES,
    OUT_CODES,
    OUT_CODES_2,
    OUT_FLOATS_2,
    OUT_INTS_2,
    SLOTS,
    WALK,
    Array,
    Walk,
    kernel,
    step,
)  # fmt: skip
from penstock.engine.kernels.local import compact, numbering
from penstock.engine.kernels.rooms import Arrays, room
from penstock.engine.kernels.sorting import fill

DISTINCT, ENTROPY = 0, 1
"""The rows of ``slots``."""

_PARTS = 2.0**40


@step
def _weight(count: int) -> tuple[int, int]:
    """``count * log(count)`` as (whole, parts of 2**-40)."""
    if count < 2:
        return 0, 0
    value = count * math.log(count)
    whole = int(value)
    return whole, int((value - whole) * _PARTS)


@step
def _entropy(total: int, distinct: int, whole: int, parts: int) -> float:
    if total == 0:
        return np.nan
    if distinct == 1:
        return 0.0
    return math.log(total) - (whole + parts / _PARTS) / total


@step
def _distinct(walk: Any, window: int, rows: Any, local: Any, codes: int, counts: Any, out: Any, slot: int) -> None:
    """How many codes one window holds, for the rows of one key."""
    base = walk.spine_starts[walk.first_key]
    left = at = distinct = 0
    fill(counts, codes, 0)
    for row in rows:
        start, stop = walk.begin[window, row - base], walk.end[window, row - base]
        if start > at or start < left or stop < at:  # a gap, or a calendar month moved back: start anew
            fill(counts, codes, 0)
            left = at = start
            distinct = 0
        for event in range(at, stop):
            code = local[event]
            if code >= 0:
                distinct += counts[code] == 0
                counts[code] += 1
        for event in range(left, start):
            code = local[event]
            if code >= 0:
                counts[code] -= 1
                distinct -= counts[code] == 0
        left, at = start, stop
        out[slot, row] = distinct


@step
def _entropies(walk: Any, window: int, rows: Any, local: Any, codes: int, counts: Any, out: Any, slot: int) -> None:
    """The entropy of one window for the rows of one key."""
    base = walk.spine_starts[walk.first_key]
    left = at = distinct = total = whole = parts = 0
    fill(counts, codes, 0)
    for row in rows:
        start, stop = walk.begin[window, row - base], walk.end[window, row - base]
        if start > at or start < left or stop < at:  # a gap, or a calendar month moved back: start anew
            fill(counts, codes, 0)
            left = at = start
            distinct = total = whole = parts = 0
        for turn in range(left - start, stop - at):  # those in [left, start) leave, those in [at, stop) enter
            code = local[at + turn if turn >= 0 else start + turn]
            if code >= 0:
                old = counts[code]
                new = old + (1 if turn >= 0 else -1)
                counts[code] = new
                total += new - old
                distinct += (old == 0) - (new == 0)
                less, more = _weight(old), _weight(new)
                whole += more[0] - less[0]
                parts += more[1] - less[1]
        left, at = start, stop
        out[slot, row] = _entropy(total, distinct, whole, parts)


@kernel(WALK, CODES, SLOTS, OUT_CODES_2, OUT_CODES, OUT_CODES, OUT_CODES, OUT_INTS_2, OUT_FLOATS_2)
def _frequencies(
    walk: Any, codes: Any, slots: Any, table: Any, different: Any, local: Any, counts: Any, out_distinct: Any,
    out_entropy: Any,
) -> None:  # fmt: skip
    for key in range(walk.first_key, walk.last_key):
        rows = range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        number = compact(codes, walk.event_starts[key], walk.event_starts[key + 1], table, different, local)
        for window in range(len(walk.begin)):
            if slots[DISTINCT, window] >= 0:
                _distinct(walk, window, rows, local, number, counts, out_distinct, slots[DISTINCT, window])
            if slots[ENTROPY, window] >= 0:
                _entropies(walk, window, rows, local, number, counts, out_entropy, slots[ENTROPY, window])


def frequencies(walk: Walk, codes: Array, slots: Array, out_distinct: Array, out_entropy: Array) -> None:
    """COUNT_DISTINCT, and ENTROPY in nats (NaN of nothing).

    ``slots[function, window]`` is the row of that function's output to write to, or -1.
    """
    table, different, local, counts = room(_room, walk.longest)
    _frequencies(walk, codes, slots, table, different, local, counts, out_distinct, out_entropy)


def _room(events: int) -> Arrays:
    return *numbering(events), np.empty(events, np.int32)
