"""What follows from where the values that are not NULL stand: how many, the first, the n-th last, and how long ago.

A running count of the values, and the places of the values, answer all of them without looking at the window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import (
    FLAGS,
    INTS,
    OUT_CODES,
    OUT_INTS_2,
    SLOTS,
    WALK,
    Array,
    Walk,
    kernel,
    step,
)  # fmt: skip
from penstock.engine.kernels.rooms import Arrays, room

COUNT, FIRST, LAST, AGE = 0, 1, 2, 3
"""What a row of ``asked`` may ask for, in its first column; the second is the window.

The third is the n of LAST; 1 for AGE (0 asks for the age of the first value), 0 for FIRST. The fourth is the row of
the output to write to.
"""


@step
def _note(valid: Any, first: int, last: int, seen: Any, places: Any) -> None:
    """``seen[i]``: how many of the first i events have a value; ``places``: which ones."""
    count = 0
    seen[0] = 0
    for event in range(first, last):
        if len(valid) == 0 or valid[event]:
            places[count] = event - first
            count += 1
        seen[event - first + 1] = count


@step
def _count(walk: Any, window: int, rows: Any, seen: Any, out: Any, slot: int) -> None:
    base = walk.spine_starts[walk.first_key]
    for row in rows:
        out[slot, row] = seen[walk.end[window, row - base]] - seen[walk.begin[window, row - base]]


@step
def _event(
    walk: Any, window: int, rows: Any, seen: Any, places: Any, first: int, nth: int, out: Any, slot: int
) -> None:
    """The event of the n-th last value, or of the first one (nth 0); -1 if there is none."""
    base = walk.spine_starts[walk.first_key]
    for row in rows:
        before, until = seen[walk.begin[window, row - base]], seen[walk.end[window, row - base]]
        value = before if nth == 0 else until - nth
        out[slot, row] = first + places[value] if before <= value < until else -1


@step
def _ages(rows: Any, happened: Any, cutoff: Any, out: Any, slot: int) -> None:
    """Events as their ages."""
    for row in rows:
        event = out[slot, row]
        out[slot, row] = cutoff[row] - happened[event] if event >= 0 else -1


@kernel(WALK, FLAGS, INTS, INTS, SLOTS, OUT_CODES, OUT_CODES, OUT_INTS_2)
def fill(walk: Any, valid: Any, happened: Any, cutoff: Any, asked: Any, seen: Any, where: Any, out: Any) -> None:
    """`places`, in rooms that are given."""
    if len(valid) == 0:
        _note(valid, 0, walk.longest, seen, where)
    for key in range(walk.first_key, walk.last_key):
        first, rows = walk.event_starts[key], range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        if len(valid) > 0:
            _note(valid, first, walk.event_starts[key + 1], seen, where)
        for number in range(len(asked)):
            what, window, nth, slot = asked[number, 0], asked[number, 1], asked[number, 2], asked[number, 3]
            if what == COUNT:
                _count(walk, window, rows, seen, out, slot)
            else:
                _event(walk, window, rows, seen, where, first, nth, out, slot)
            if what == AGE:
                _ages(rows, happened, cutoff, out, slot)


def places(walk: Walk, valid: Array, happened: Array, cutoff: Array, asked: Array, out: Array) -> None:
    """COUNT; the event of FIRST and LAST_N (-1: none); the age of the last or first value in microseconds (-1: none).

    ``valid`` says which events have a value (empty: all); ``asked`` is a table of `COUNT` and its like.
    """
    seen, where = room(room_for, walk.longest)
    fill(walk, valid, happened, cutoff, asked, seen, where, out)


def room_for(events: int) -> Arrays:
    """The rooms that `fill` takes for keys of so many events."""
    return np.empty(events + 1, np.int32), np.empty(events, np.int32)
