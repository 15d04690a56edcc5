"""Where windows begin and end among a key's events, by time or by number. Both ends only move forward, as a rule."""

from __future__ import annotations

from typing import Any

from penstock.engine.kernels.compiled import FLAGS, INT, INTS, OUT_CODES, OUT_CODES_2, RANGE, SLOTS, kernel, step


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


@kernel(INT, INT, INTS, INTS, INTS, INTS, INTS, INTS, OUT_CODES)
def ends(
    first_key: int, last_key: int, event_starts: Any, spine_starts: Any, happened: Any, visible_from: Any,
    cutoff: Any, high: Any, end: Any,
) -> None:  # fmt: skip
    """For each row how many of its key's events happened by ``high`` and show at the cutoff.

    ``cutoff``, ``high`` and ``end`` hold the rows of these keys alone. ``visible_from`` does not fall within a key;
    empty, all events show from when they happened.
    """
    base = spine_starts[first_key]
    clocked = len(visible_from) > 0
    for key in range(first_key, last_key):
        first, last = event_starts[key], event_starts[key + 1]
        right = shown = first
        for row in range(spine_starts[key] - base, spine_starts[key + 1] - base):
            right = after(happened, first, last, right, high[row])
            stop = right
            if clocked:
                shown = after(visible_from, first, last, shown, cutoff[row])
                stop = min(stop, shown)
            end[row] = stop - first


@kernel(INT, INT, INTS, INTS, INTS, INTS, RANGE, OUT_CODES)
def begins(
    first_key: int, last_key: int, event_starts: Any, spine_starts: Any, happened: Any, low: Any, end: Any, begin: Any
) -> None:
    """For each row how many of its key's events happened by ``low``, but no more than ``end``."""
    base = spine_starts[first_key]
    for key in range(first_key, last_key):
        first, last = event_starts[key], event_starts[key + 1]
        left = first
        for row in range(spine_starts[key] - base, spine_starts[key + 1] - base):
            left = after(happened, first, last, left, low[row])
            begin[row] = min(left - first, end[row])


@kernel(INT, INT, INTS, INTS, FLAGS, RANGE, INT, OUT_CODES)
def backs(
    first_key: int,
    last_key: int,
    event_starts: Any,
    spine_starts: Any,
    counted: Any,
    shown: Any,
    number: int,
    edge: Any,
) -> None:
    """For each row the first of its key's events from which on at most ``number`` of those shown count.

    ``shown`` says how many events each row sees, and does not fall within a key; ``counted`` which events count
    (empty: all).
    """
    base = spine_starts[first_key]
    for key in range(first_key, last_key):
        first, left, at, count = event_starts[key], 0, 0, 0
        for row in range(spine_starts[key] - base, spine_starts[key + 1] - base):
            if len(counted) == 0:
                edge[row] = max(0, shown[row] - number)
                continue
            for event in range(at, shown[row]):
                count += counted[first + event]
            at = shown[row]
            while count > number:
                count -= counted[first + left]
                left += 1
            edge[row] = left


@kernel(INTS, INTS, SLOTS, SLOTS, OUT_CODES_2, OUT_CODES_2)
def spans(event_starts: Any, happened: Any, low: Any, high: Any, begin: Any, end: Any) -> None:
    """`begins` and `ends` of many windows at once, for keys of one row each all of whose events show.

    ``low`` and ``high`` have a row a window and a column a key, or one column for all keys.
    """
    for key in range(len(event_starts) - 1):
        first, last, column = event_starts[key], event_starts[key + 1], key if low.shape[1] > 1 else 0
        for window in range(len(low)):
            stop = after(happened, first, last, first, high[window, column])
            end[window, key] = stop - first
            begin[window, key] = min(after(happened, first, last, first, low[window, column]), stop) - first
