"""MIN and MAX of sliding windows by a queue of candidates, each smaller than all that come after it.

Every event enters and leaves the queue once a window. After D. Lemire, Streaming maximum-minimum filter (2006).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import FLOATS, OUT_FLOATS_2, SLOTS, WALK, kernel, longest, step

MIN, MAX = 0, 1
"""The rows of ``slots``."""


@step
def _least(
    values: Any, first: int, rows: Any, base: int, begin: Any, end: Any, sign: float, places: Any, queue: Any, out: Any
) -> None:
    """The least of ``sign * value`` in each row's range, times ``sign``."""
    head = tail = at = left = 0
    for row in rows:
        start, stop = begin[row - base], end[row - base]
        if start > at or start < left or stop < at:  # a gap, or a calendar month moved back: start anew
            head = tail = 0
            at = start
        left = start
        while at < stop:
            value = sign * values[first + at]
            if np.isfinite(value):
                while tail > head and queue[tail - 1] >= value:
                    tail -= 1
                queue[tail] = value
                places[tail] = at
                tail += 1
            at += 1
        while head < tail and places[head] < start:
            head += 1
        out[row] = sign * queue[head] if head < tail else np.nan


@kernel(WALK, FLOATS, SLOTS, OUT_FLOATS_2)
def extremes(walk: Any, values: Any, slots: Any, out: Any) -> None:
    """MIN and MAX; NaN of nothing. ``slots[function, window]`` is the row of ``out`` to write to, or -1."""
    most = longest(walk)
    places, queue = np.empty(most, np.int32), np.empty(most)
    base = walk.spine_starts[walk.first_key]
    for key in range(walk.first_key, walk.last_key):
        first, rows = walk.event_starts[key], range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        for window in range(len(walk.begin)):
            for function in range(2):
                if slots[function, window] >= 0:
                    sign = 1.0 if function == MIN else -1.0
                    begin, end, found = walk.begin[window], walk.end[window], out[slots[function, window]]
                    _least(values, first, rows, base, begin, end, sign, places, queue, found)
