"""What follows from where the values that are not NULL stand: how many, the first, the n-th last, and how long ago.

A running count of the values, and the places of the values, answer all of them without looking at the window.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import FLAGS, INTS, OUT_INTS_2, SLOTS, WALK, kernel, longest, step

COUNT, FIRST, LAST, AGE = 0, 1, 2, 3
"""What a row of ``asked`` may ask for, in its first column; the second is the window, the third the n of LAST."""


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
def _answer(what: int, nth: int, before: int, until: int, places: Any) -> int:
    """The count, or the place of the value asked for (-1 if there is none)."""
    if what == COUNT:
        return until - before
    value = before if what == FIRST else until - nth
    return places[value] if before <= value < until else -1


@kernel(WALK, FLAGS, INTS, INTS, SLOTS, OUT_INTS_2)
def places(walk: Any, valid: Any, happened: Any, cutoff: Any, asked: Any, out: Any) -> None:
    """COUNT; the event of FIRST and LAST_N (-1: none); the age of the last value in microseconds (-1: none).

    ``valid`` says which events have a value (empty: all). ``out[i]`` answers ``asked[i]``.
    """
    most = longest(walk)
    seen, where = np.empty(most + 1, np.int32), np.empty(most, np.int32)
    base = walk.spine_starts[walk.first_key]
    if len(valid) == 0:
        _note(valid, 0, most, seen, where)
    for key in range(walk.first_key, walk.last_key):
        first, rows = walk.event_starts[key], range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        if len(valid) > 0:
            _note(valid, first, walk.event_starts[key + 1], seen, where)
        for number in range(len(asked)):
            what, window, nth = asked[number, 0], asked[number, 1], asked[number, 2]
            for row in rows:
                before, until = seen[walk.begin[window, row - base]], seen[walk.end[window, row - base]]
                answer = _answer(what, nth, before, until, where)
                if what == AGE and answer >= 0:
                    answer = cutoff[row] - happened[first + answer]
                elif what != COUNT and answer >= 0:
                    answer += first
                out[number, row] = answer
