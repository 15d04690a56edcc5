"""MIN and MAX of any range of a key's events from two of the ranges worked out before, which may overlap.

Ranges of 1, 2, 4 … blocks are kept (a sparse table). A block is one event; where a key has thousands it is eight, and
the ends of a range are looked through one by one. Where windows begin and end makes no difference to the cost.
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

MIN, MAX = 0, 1
"""The rows of ``slots``."""

_MANY = 2048
_WIDTH = 8


@step
def _blocks(events: int) -> int:
    """How many whole blocks a key has."""
    return events if events <= _MANY else events // _WIDTH


@step
def _fill_exponents(exponents: Any) -> None:
    """For each length the largest power of two within it, as its exponent."""
    for length in range(2, len(exponents)):
        exponents[length] = exponents[length // 2] + 1


@step
def _least(numbers: Any, begin: int, end: int, least: float) -> float:
    """The least of some numbers and one more."""
    for place in range(begin, end):
        number = numbers[place]
        least = number if number < least else least
    return least


@step
def _build(values: Any, first: int, count: int, sign: float, signed: Any, table: Any) -> None:
    """Fill ``signed`` (the values times sign, infinity for NULL) and the table of their blocks."""
    blocks = _blocks(count)
    width = 1 if blocks == count else _WIDTH
    for place in range(count):
        value = sign * values[first + place]
        signed[place] = value if np.isfinite(value) else np.inf
    below = table[0]
    for block in range(blocks):
        below[block] = _least(signed, block * width, (block + 1) * width, np.inf)
    reach, level = 1, 0
    while 2 * reach <= blocks:
        below, beside, above = table[level], table[level, reach:], table[level + 1]
        for block in range(blocks - 2 * reach + 1):
            above[block] = below[block] if below[block] < beside[block] else beside[block]
        reach *= 2
        level += 1


@step
def _across(table: Any, exponents: Any, begin: int, end: int) -> float:
    """The least of a range of blocks that is not empty."""
    level = exponents[end - begin]
    one: float = table[level, begin]
    two: float = table[level, end - (1 << level)]
    return one if one < two else two


@step
def _wide(signed: Any, table: Any, exponents: Any, begin: int, end: int) -> float:
    """The least of a range of events, through blocks."""
    left, right = (begin + _WIDTH - 1) // _WIDTH, end // _WIDTH
    if left >= right:
        return _least(signed, begin, end, np.inf)
    least = _least(signed, begin, left * _WIDTH, _across(table, exponents, left, right))
    return _least(signed, right * _WIDTH, end, least)


@step
def _answer(
    walk: Any, window: int, rows: Any, sign: float, signed: Any, wide: bool, table: Any, exponents: Any, out: Any,
    slot: int,
) -> None:  # fmt: skip
    """The extremes of one window for the rows of one key whose table was built."""
    base = walk.spine_starts[walk.first_key]
    for row in rows:
        begin, end = walk.begin[window, row - base], walk.end[window, row - base]
        least = np.inf
        if begin < end:
            if wide:
                least = _wide(signed, table, exponents, begin, end)
            else:
                least = _across(table, exponents, begin, end)
        out[slot, row] = sign * least + 0.0 if least < np.inf else np.nan


@kernel(WALK, FLOATS, SLOTS, OUT_CODES, OUT_FLOATS, OUT_FLOATS_2, OUT_FLOATS_2)
def fill(walk: Any, values: Any, slots: Any, exponents: Any, signed: Any, table: Any, out: Any) -> None:
    """`extremes`, in rooms that are given."""
    _fill_exponents(exponents)
    for key in range(walk.first_key, walk.last_key):
        first, last = walk.event_starts[key], walk.event_starts[key + 1]
        rows = range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        wide = last - first > _MANY
        for function in range(2):
            built = False
            sign = 1.0 if function == MIN else -1.0
            for window in range(len(walk.begin)):
                slot = slots[function, window]
                if slot >= 0:
                    if not built:
                        _build(values, first, last - first, sign, signed, table)
                        built = True
                    _answer(walk, window, rows, sign, signed, wide, table, exponents, out, slot)


def extremes(walk: Walk, values: Array, slots: Array, out: Array) -> None:
    """MIN and MAX; NaN of nothing, and no zero is negative.

    ``slots[function, window]`` is the row of ``out`` to write to, or -1.
    """
    exponents, signed, table = room(room_for, walk.longest)
    fill(walk, values, slots, exponents, signed, table, out)


def room_for(events: int) -> Arrays:
    """The rooms that `fill` takes for keys of so many events."""
    blocks = max(min(events, _MANY), events // _WIDTH)
    table = np.empty((max(1, blocks.bit_length()), blocks))
    return np.zeros(blocks + 1, np.int32), np.empty(events), table
