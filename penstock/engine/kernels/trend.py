"""TREND: the least-squares slope of the value over time, a day, from running sums of t, t * t, v and t * v.

t counts from the key's first event and v from its first value; sums are double-double. Where a difference could
still be wrong, the slope is worked out anew from the window's own values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import FLOATS, INTS, OUT_FLOATS_2, SLOTS, WALK, Array, Walk, kernel, step
from penstock.engine.kernels.double import add, multiply, scale, subtract, two_product, two_sum
from penstock.engine.kernels.rooms import Arrays, room

_DAY = 86_400_000_000.0
_COUNT, _RUN, _LAST, _PEAK, _T, _TT, _V, _TV = 0, 1, 2, 3, 4, 6, 8, 10
_ROUNDING = 2.0**-102
_ENOUGH = 2.0**-44


@step
def _add(running: Any, place: int, which: int, high: float, low: float) -> None:
    running[place, which], running[place, which + 1] = add(running[place, which], running[place, which + 1], high, low)


@step
def _run_up(values: Any, happened: Any, first: int, last: int, running: Any) -> None:
    """Fill the running sums of a key's events.

    ``_RUN`` is the number of values before the last value's run of equal ones, ``_LAST`` the number of values before
    the last value's run of equal times, ``_PEAK`` the largest sum of t * v met so far.
    """
    centre = previous = when = 0.0
    for column in range(12):
        running[0, column] = 0.0
    for event in range(first, last):
        value, place = values[event], event - first + 1
        for column in range(12):
            running[place, column] = running[place - 1, column]
        if np.isfinite(value):
            time, count = float(happened[event] - happened[first]), running[place, _COUNT]
            if count == 0:
                centre = value
            if count == 0 or value != previous:
                running[place, _RUN], previous = count, value
            if count == 0 or time != when:
                running[place, _LAST], when = count, time
            running[place, _COUNT] = count + 1
            distance, rest = two_sum(value, -centre)
            _add(running, place, _T, time, 0.0)
            _add(running, place, _V, distance, rest)
            product, error = two_product(time, time)
            _add(running, place, _TT, product, error)
            product, error = two_product(time, distance)
            _add(running, place, _TV, product, error + time * rest)
            running[place, _PEAK] = max(running[place, _PEAK], abs(running[place, _TV]))


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


@kernel(WALK, FLOATS, INTS, SLOTS, OUT_FLOATS_2, OUT_FLOATS_2)
def _trends(walk: Any, values: Any, happened: Any, slots: Any, running: Any, out: Any) -> None:
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


def trends(walk: Walk, values: Array, happened: Array, slots: Array, out: Array) -> None:
    """TREND a day; NaN where time does not vary. ``slots[0, window]`` is the row of ``out`` to write to, or -1."""
    (running,) = room(_room, walk.longest)
    _trends(walk, values, happened, slots, running, out)


def _room(events: int) -> Arrays:
    return (np.empty((events + 1, 12)),)
