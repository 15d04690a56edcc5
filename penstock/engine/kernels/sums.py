"""SUM, AVG, VAR and STDDEV as differences of running sums, which plain floats would ruin.

Sums are double-double. Squares are of distances to the key's first value, so that large numbers with small noise keep
their variance. Where a difference could still be wrong (a huge value earlier in the key), it is worked out anew from
the window's own values.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import FLOATS, OUT_FLOATS_2, SLOTS, WALK, Array, Walk, kernel, step
from penstock.engine.kernels.double import add, quick_sum, scale, subtract, two_product, two_sum
from penstock.engine.kernels.rooms import Arrays, room

SUM, AVG, VAR, STDDEV = 0, 1, 2, 3
"""The rows of ``slots``."""

_COUNT, _HIGH, _LOW, _LOST, _PEAK, _SQUARES, _SQUARES_LOW, _RUN = range(8)
_ROUNDING = 2.0**-102
_ENOUGH = 2.0**-46


@step
def _run_up(values: Any, first: int, last: int, squares: bool, running: Any) -> float:
    """Fill the running sums of a key's events and return the value that its squares are centred on.

    ``_LOST`` counts the additions that were not exact, ``_PEAK`` is the largest sum met so far, and ``_RUN`` is the
    number of values before the last value's run of equal ones.
    """
    for column in range(8):
        running[0, column] = 0.0
    count = high = low = lost = peak = square = square_low = run = centre = previous = 0.0
    for event in range(first, last):
        value = values[event]
        if np.isfinite(value):
            if count == 0:
                centre = value
            if count == 0 or value != previous:
                run = count
                previous = value
            count += 1
            high, error = two_sum(high, value)
            low, dust = two_sum(low, error)
            high, low = quick_sum(high, low)
            lost += dust != 0.0
            peak = max(peak, abs(high))
            if squares:
                distance, rest = two_sum(value, -centre)
                product, error = two_product(distance, distance)
                square, square_low = add(square, square_low, product, error + 2.0 * distance * rest)
        place = event - first + 1
        running[place, _COUNT], running[place, _HIGH], running[place, _LOW] = count, high, low
        running[place, _LOST], running[place, _PEAK], running[place, _RUN] = lost, peak, run
        running[place, _SQUARES], running[place, _SQUARES_LOW] = square, square_low
    return centre


@step
def _anew(values: Any, begin: int, end: int) -> tuple[float, float, float]:
    """The sum (double-double) and the sum of squared distances to the mean, from the window's values alone."""
    count = high = low = 0.0
    for event in range(begin, end):
        if np.isfinite(values[event]):
            count += 1
            high, low = add(high, low, values[event], 0.0)
    mean, squares, rest = high / count, 0.0, 0.0
    for event in range(begin, end):
        if np.isfinite(values[event]):
            distance = values[event] - mean
            squares += distance * distance
            rest += distance
    squares -= rest * rest / count
    return high, low, 0.0 if squares < 0 else squares


@step
def _sum(running: Any, begin: int, end: int, values: Any, first: int) -> float:
    total = subtract(running[end, _HIGH], running[end, _LOW], running[begin, _HIGH], running[begin, _LOW])[0]
    lost = running[end, _LOST] - running[begin, _LOST]
    if lost * _ROUNDING * running[end, _PEAK] <= _ENOUGH * abs(total):
        return total
    return _anew(values, first + begin, first + end)[0]


@step
def _squares(running: Any, begin: int, end: int, centre: float, values: Any, first: int) -> float:
    """n times the sum of squared distances to the window's mean: n * sum(d * d) - sum(d)**2, d from the centre."""
    before = running[begin, _COUNT]
    count = running[end, _COUNT] - before
    if running[end, _RUN] <= before:
        return 0.0  # one value, however often
    high, low = subtract(running[end, _HIGH], running[end, _LOW], running[begin, _HIGH], running[begin, _LOW])
    product, error = two_product(count, centre)
    high, low = subtract(high, low, product, error)
    product, error = two_product(high, high)
    error += 2.0 * high * low
    all_high, all_low = subtract(
        running[end, _SQUARES], running[end, _SQUARES_LOW], running[begin, _SQUARES], running[begin, _SQUARES_LOW]
    )
    all_high, all_low = scale(all_high, all_low, count)
    squares: float = subtract(all_high, all_low, product, error)[0]
    lost = running[end, _LOST] - running[begin, _LOST]
    doubt = count * count * running[end, _SQUARES] + 2.0 * abs(high) * lost * running[end, _PEAK]
    if doubt * _ROUNDING <= _ENOUGH * squares:
        return squares
    return float(count * _anew(values, first + begin, first + end)[2])


@step
def _finite(value: float) -> float:
    return value if np.isfinite(value) else np.nan


@step
def _totals(walk: Any, window: int, rows: Any, running: Any, values: Any, first: int, slots: Any, out: Any) -> None:
    """SUM and AVG of one window for the rows of one key."""
    base, of_sum, of_average = walk.spine_starts[walk.first_key], slots[SUM, window], slots[AVG, window]
    for row in rows:
        begin, end = walk.begin[window, row - base], walk.end[window, row - base]
        count = running[end, _COUNT] - running[begin, _COUNT]
        total = _finite(_sum(running, begin, end, values, first)) if count > 0 else 0.0
        if of_sum >= 0:
            out[of_sum, row] = total
        if of_average >= 0:
            out[of_average, row] = total / count if count > 0 else np.nan


@step
def _spreads(
    walk: Any, window: int, rows: Any, running: Any, centre: float, values: Any, first: int, slots: Any, out: Any
) -> None:
    """VAR and STDDEV of one window for the rows of one key."""
    base, of_variance, of_deviation = walk.spine_starts[walk.first_key], slots[VAR, window], slots[STDDEV, window]
    for row in rows:
        begin, end = walk.begin[window, row - base], walk.end[window, row - base]
        count = running[end, _COUNT] - running[begin, _COUNT]
        variance = np.nan
        if count > 1:
            variance = _finite(_squares(running, begin, end, centre, values, first) / (count * (count - 1)))
        if of_variance >= 0:
            out[of_variance, row] = variance
        if of_deviation >= 0:
            out[of_deviation, row] = math.sqrt(variance)


@step
def _asks_for_spread(slots: Any) -> bool:
    asks = False
    for window in range(slots.shape[1]):
        asks |= slots[VAR, window] >= 0 or slots[STDDEV, window] >= 0
    return asks


@kernel(WALK, FLOATS, SLOTS, OUT_FLOATS_2, OUT_FLOATS_2)
def fill(walk: Any, values: Any, slots: Any, running: Any, out: Any) -> None:
    """`sums`, in rooms that are given."""
    squared = _asks_for_spread(slots)
    for key in range(walk.first_key, walk.last_key):
        first, last = walk.event_starts[key], walk.event_starts[key + 1]
        rows = range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        centre = _run_up(values, first, last, squared, running)
        for window in range(len(walk.begin)):
            if slots[SUM, window] >= 0 or slots[AVG, window] >= 0:
                _totals(walk, window, rows, running, values, first, slots, out)
            if slots[VAR, window] >= 0 or slots[STDDEV, window] >= 0:
                _spreads(walk, window, rows, running, centre, values, first, slots, out)


def sums(walk: Walk, values: Array, slots: Array, out: Array) -> None:
    """SUM (0 of nothing), AVG, VAR and STDDEV (n - 1; NaN below two values; 0 for equal values), NaN for NULL.

    ``slots[function, window]`` is the row of ``out`` to write to, or -1. Sums are rounded once: whole numbers up to
    2**53 are exact. A result too large for a float is NaN.
    """
    (running,) = room(room_for, walk.longest)
    fill(walk, values, slots, running, out)


def room_for(events: int) -> Arrays:
    """The rooms that `fill` takes for keys of so many events."""
    return (np.empty((events + 1, 8)),)
