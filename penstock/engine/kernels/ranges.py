"""Where windows begin and end among a key's events. Both ends only move forward, as a rule."""

from __future__ import annotations

from typing import Any

from penstock.engine.kernels.compiled import INT, INTS, OUT_CODES, kernel, step


@step
def after(times: Any, first: int, last: int, at: int, bound: int) -> int:
    """The first place in ``[first, last)`` whose time lies after ``bound``, or ``last``; sought from ``at`` on.

    Costs the logarithm of the distance. Starts anew where the bound moved back, as calendar months may.
    """
    low = at
    if low > first and times[low - 1] > bound:
        low = first
    stride = 1
    while low + stride <= last and times[low + stride - 1] <= bound:
        low += stride
        stride *= 2
    high = min(low + stride - 1, last)
    while low < high:
        middle = (low + high) // 2
        if times[middle] <= bound:
            low = middle + 1
        else:
            high = middle
    return low


@kernel(INT, INT, INTS, INTS, INTS, INTS, INTS, INTS, INTS, OUT_CODES, OUT_CODES)
def ranges(
    first_key: int, last_key: int, event_starts: Any, spine_starts: Any, happened: Any, visible_from: Any,
    cutoff: Any, low: Any, high: Any, begin: Any, end: Any,
) -> None:  # fmt: skip
    """For each row the events with low < happened <= high that show at the cutoff, as ``[begin, end)`` in its key.

    ``cutoff``, ``low``, ``high``, ``begin`` and ``end`` hold the rows of these keys alone. ``visible_from`` does not
    fall within a key; empty, all events show from when they happened.
    """
    base = spine_starts[first_key]
    clocked = len(visible_from) > 0
    for key in range(first_key, last_key):
        first, last = event_starts[key], event_starts[key + 1]
        left = right = shown = first
        for row in range(spine_starts[key] - base, spine_starts[key + 1] - base):
            left = after(happened, first, last, left, low[row])
            right = after(happened, first, last, right, high[row])
            stop = right
            if clocked:
                shown = after(visible_from, first, last, shown, cutoff[row])
                stop = min(stop, shown)
            end[row] = stop - first
            begin[row] = min(left, stop) - first
