"""TREND: the least-squares slope of the value over time, a day, from running sums of t, t * t, v and t * v.

t counts from the key's first event and v from its first value; sums are double-double. Where a difference could
still be wrong, the slope is worked out anew from the window's own values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import FLOATS, INTS, OUT_FLOATS_2, SLOTS, WALK, kernel, longest, step
from penstock.engine.kernels.double import add, multiply, scale, subtract, two_product, two_sum

_DAY = 86_400_000_000.0
_COUNT, _RUN, _LAST, _PEAK, _T, _TT, _V, _TV = 0, 1, 2, 3, 4, 6, 8, 10
_ROUNDING = 2.0**-102
_ENOUGH = 2.0**-44


@step
def _run_up(values: Any, happened: Any, first: int, last: int, running: Any) -> None:
    """Fill the running sums of a key's events.

    ``_RUN`` is the number of values before the last value's run of equal ones, ``_LAST`` the number of values before
    the last value's run of equal times, ``_PEAK`` the largest sum of t * v met so far.
    """
    running[0, :] = 0.0
    row = running[0].copy()
    centre = previous = when = 0.0
    for event in range(first, last):
        value = values[event]
        if np.isfinite(value):
            time = float(happened[event] - happened[first])
            if row[_COUNT] == 0:
                centre = value
            if row[_COUNT] == 0 or value != previous:
                row[_RUN], previous = row[_COUNT], value
            if row[_COUNT] == 0 or time != when:
                row[_LAST], when = row[_COUNT], time
            row[_COUNT] += 1
            distance, rest = two_sum(value, -centre)
            row[_T], row[_T + 1] = add(row[_T], row[_T + 1], time, 0.0)
            product, error = two_product(time, time)
            row[_TT], row[_TT + 1] = add(row[_TT], row[_TT + 1], product, error)
            row[_V], row[_V + 1] = add(row[_V], row[_V + 1], distance, rest)
            product, error = two_product(time, distance)
            row[_TV], row[_TV + 1] = add(row[_TV], row[_TV + 1], product, error + time * rest)
            row[_PEAK] = max(row[_PEAK], abs(row[_TV]))
        running[event - first + 1, :] = row


@step
def _between(running: Any, begin: int, end: int, which: int) -> tuple[float, float]:
    return subtract(running[end, which], running[end, which + 1], running[begin, which], running[begin, which + 1])


@step
def _anew(values: Any, happened: Any, begin: int, end: int) -> float:
    """The slope a microsecond, from the window's values alone."""
    count = times = total = spread = common = 0.0
    for event in range(begin, end):
        if np.isfinite(values[event]):
            count += 1
            times += float(happened[event] - happened[begin])
            total += values[event]
    for event in range(begin, end):
        if np.isfinite(values[event]):
            time = float(happened[event] - happened[begin]) - times / count
            spread += time * time
            common += time * (values[event] - total / count)
    return common / spread


@step
def _slope(running: Any, begin: int, end: int, values: Any, happened: Any, first: int) -> float:
    """The slope a day of the values in a range."""
    count = running[end, _COUNT] - running[begin, _COUNT]
    if count < 2 or running[end, _LAST] <= running[begin, _COUNT]:
        return np.nan
    if running[end, _RUN] <= running[begin, _COUNT]:
        return 0.0
    time, time_low = _between(running, begin, end, _T)
    total, total_low = _between(running, begin, end, _V)
    square, square_low = _between(running, begin, end, _TT)
    cross, cross_low = _between(running, begin, end, _TV)
    square, square_low = scale(square, square_low, count)
    cross, cross_low = scale(cross, cross_low, count)
    product, product_low = multiply(time, time_low, time, time_low)
    spread = subtract(square, square_low, product, product_low)[0]
    product, product_low = multiply(time, time_low, total, total_low)
    common = subtract(cross, cross_low, product, product_low)[0]
    doubt = count * count * _ROUNDING
    if doubt * running[end, _TT] <= _ENOUGH * spread and doubt * running[end, _PEAK] <= _ENOUGH * abs(common):
        return common / spread * _DAY
    return _anew(values, happened, first + begin, first + end) * _DAY


@kernel(WALK, FLOATS, INTS, SLOTS, OUT_FLOATS_2)
def trends(walk: Any, values: Any, happened: Any, slots: Any, out: Any) -> None:
    """TREND a day; NaN where time does not vary. ``slots[0, window]`` is the row of ``out`` to write to, or -1."""
    running = np.empty((longest(walk) + 1, 12))
    base = walk.spine_starts[walk.first_key]
    for key in range(walk.first_key, walk.last_key):
        first, rows = walk.event_starts[key], range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        _run_up(values, happened, first, walk.event_starts[key + 1], running)
        for window in range(len(walk.begin)):
            if slots[0, window] >= 0:
                for row in rows:
                    begin, end = walk.begin[window, row - base], walk.end[window, row - base]
                    slope = _slope(running, begin, end, values, happened, first)
                    out[slots[0, window], row] = slope if np.isfinite(slope) else np.nan
