"""What runs of events come to, and several runs together: every sum is centred on its own mean, in double-double.

Runs are merged by adding what each spreads about its mean and what the means spread about each other, so nothing
cancels: after T. F. Chan, G. H. Golub and R. J. LeVeque, Updating formulae and a pairwise algorithm for computing
sample variances (1979).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import (
    BOOL,
    FLOATS,
    INT,
    INTS,
    OUT_FLOATS_2,
    OUT_INTS,
    OUT_INTS_2,
    kernel,
    step,
)  # fmt: skip
from penstock.engine.kernels.double import add, divide, multiply, scale, subtract, two_product, two_sum

NULL = np.iinfo(np.int64).min
"""The whole number that stands for no value."""

WIDTH = 18
"""The words of a block: what a run comes to, for one column."""

KIND, COUNT, FIRST_AT, LAST_AT, FIRST, LAST = range(6)
"""The words that hold whole numbers: 1 for floats, how many values, and when and what the first and the last are."""

SUM, SQUARES, LEAST, MOST, TIMES, SPREAD, CROSS = 6, 8, 10, 11, 12, 14, 16
"""The words that hold floats, and begin double-doubles but for ``LEAST`` and ``MOST``.

``SQUARES``, ``SPREAD`` and ``CROSS`` are sums of v * v, t * t and t * v, both from their means.
"""


@step
def _stand(happened: Any, bits: Any, numbers: Any, first: int, last: int, out: Any, row: int) -> None:
    """How many values a run has, and the first and the last of them."""
    count = 0
    for event in range(first, last):
        known = np.isfinite(numbers[event]) if len(numbers) > 0 else bits[event] != NULL
        if known:
            if count == 0:
                out[row, FIRST_AT], out[row, FIRST] = happened[event], bits[event]
            out[row, LAST_AT], out[row, LAST] = happened[event], bits[event]
            count += 1
    out[row, COUNT] = count


@step
def _about(
    total: float, total_low: float, a: float, a_low: float, b: float, b_low: float, count: float
) -> tuple[float, float]:
    """A sum of products from any centre as one from the means: total - a * b / count."""
    product, low = multiply(a, a_low, b, b_low)
    product, low = divide(product, low, count, 0.0)
    return subtract(total, total_low, product, low)


@step
def _set(out: Any, row: int, word: int, pair: tuple[float, float]) -> None:
    out[row, word], out[row, word + 1] = pair


@step
def _spread(numbers: Any, first: int, last: int, out: Any, row: int) -> None:
    """The sum of a run's values, its squares, the least and the greatest, from distances to the first value."""
    count = centre = total = total_low = square = square_low = 0.0
    least, most = np.inf, -np.inf
    for event in range(first, last):
        value = numbers[event]
        if np.isfinite(value):
            if count == 0:
                centre = value
            count += 1
            distance, rest = two_sum(value, -centre)
            total, total_low = add(total, total_low, distance, rest)
            product, error = two_product(distance, distance)
            square, square_low = add(square, square_low, product, error + 2.0 * distance * rest)
            least, most = min(least, value), max(most, value)
    if count > 0:
        product, error = two_product(count, centre)
        _set(out, row, SUM, add(product, error, total, total_low))
        _set(out, row, SQUARES, _about(square, square_low, total, total_low, total, total_low, count))
    out[row, LEAST], out[row, MOST] = least, most


@step
def _slope(happened: Any, numbers: Any, first: int, last: int, out: Any, row: int) -> None:
    """The sums of a run's times, of their squares and of their products with the values."""
    count = centre = time = time_low = square = square_low = total = total_low = cross = cross_low = 0.0
    start = 0
    for event in range(first, last):
        if np.isfinite(numbers[event]):
            if count == 0:
                centre, start = numbers[event], happened[event]
            count += 1
            passed = float(happened[event] - start)
            distance, rest = two_sum(numbers[event], -centre)
            time, time_low = add(time, time_low, passed, 0.0)
            total, total_low = add(total, total_low, distance, rest)
            product, error = two_product(passed, passed)
            square, square_low = add(square, square_low, product, error)
            product, error = two_product(passed, distance)
            cross, cross_low = add(cross, cross_low, product, error + passed * rest)
    if count > 0:
        origin = float(start)
        high, low = scale(origin, float(start - int(origin)), count)
        _set(out, row, TIMES, add(high, low, time, time_low))
        _set(out, row, SPREAD, _about(square, square_low, time, time_low, time, time_low, count))
        _set(out, row, CROSS, _about(cross, cross_low, time, time_low, total, total_low, count))


@kernel(INTS, INTS, FLOATS, INTS, BOOL, OUT_INTS_2, OUT_FLOATS_2)
def summarise(happened: Any, bits: Any, numbers: Any, bounds: Any, trended: bool, whole: Any, floats: Any) -> None:
    """What each run ``[bounds[i], bounds[i + 1])`` of events comes to, in blocks of zeros.

    ``whole`` and ``floats`` are the same memory. ``bits`` has each event's value (`NULL`: none), ``numbers`` too if
    they are floats, and is empty otherwise. Without ``trended``, what only TREND needs is left out.
    """
    for row in range(len(bounds) - 1):
        first, last = bounds[row], bounds[row + 1]
        whole[row, KIND] = len(numbers) > 0
        _stand(happened, bits, numbers, first, last, whole, row)
        if len(numbers) > 0:
            _spread(numbers, first, last, floats, row)
            if trended:
                _slope(happened, numbers, first, last, floats, row)


@step
def _add_to(out: Any, row: int, word: int, floats: Any, at: int) -> None:
    _set(out, row, word, add(out[row, word], out[row, word + 1], floats[at + word], floats[at + word + 1]))


@step
def _apart(out: Any, row: int, word: int, floats: Any, at: int, mine: float, other: float) -> tuple[float, float]:
    """How far the means of two runs lie apart, times both their counts."""
    high, low = scale(out[row, word], out[row, word + 1], other)
    less_high, less_low = scale(floats[at + word], floats[at + word + 1], mine)
    return subtract(high, low, less_high, less_low)


@step
def _add_between(
    out: Any, row: int, word: int, a: tuple[float, float], b: tuple[float, float], weight: tuple[float, float]
) -> None:
    """Add what the means of two runs spread about each other."""
    product, low = multiply(a[0], a[1], b[0], b[1])
    product, low = divide(product, low, weight[0], weight[1])
    _set(out, row, word, add(out[row, word], out[row, word + 1], product, low))


@step
def _join(floats: Any, at: int, mine: float, other: float, trended: bool, out: Any, row: int) -> None:
    """Add a block's floats to those of a row; both have values."""
    weight = two_product(mine * other, mine + other)
    apart = _apart(out, row, SUM, floats, at, mine, other)
    if trended:
        late = _apart(out, row, TIMES, floats, at, mine, other)
        _add_to(out, row, SPREAD, floats, at)
        _add_to(out, row, CROSS, floats, at)
        _add_between(out, row, SPREAD, late, late, weight)
        _add_between(out, row, CROSS, late, apart, weight)
        _add_to(out, row, TIMES, floats, at)
    _add_to(out, row, SQUARES, floats, at)
    _add_between(out, row, SQUARES, apart, apart, weight)
    _add_to(out, row, SUM, floats, at)
    out[row, LEAST] = min(out[row, LEAST], floats[at + LEAST])
    out[row, MOST] = max(out[row, MOST], floats[at + MOST])


@kernel(INTS, FLOATS, INTS, INTS, INTS, BOOL, OUT_INTS_2, OUT_FLOATS_2)
def merge(words: Any, floats: Any, places: Any, starts: Any, stops: Any, trended: bool, whole: Any, out: Any) -> None:
    """What the blocks at ``places[starts[i]:stops[i]]`` of ``words`` come to together, in blocks of zeros.

    ``words`` and ``floats`` are the same memory, and so are ``whole`` and ``out``.
    """
    for row in range(len(starts)):
        for number in range(starts[row], stops[row]):
            at = places[number]
            count, before = words[at + COUNT], whole[row, COUNT]
            if count == 0:
                continue
            if before == 0:
                for word in range(SUM):
                    whole[row, word] = words[at + word]
                for word in range(SUM, WIDTH):
                    out[row, word] = floats[at + word]
                continue
            if words[at + KIND] == 1:
                _join(floats, at, float(before), float(count), trended, out, row)
            whole[row, LAST_AT], whole[row, LAST] = words[at + LAST_AT], words[at + LAST]
            whole[row, COUNT] = before + count


@kernel(INTS, OUT_INTS)
def records(words: Any, offsets: Any) -> None:
    """Where each record begins, each of which begins with its length; then -1, and -2 if the lengths do not add up."""
    at = number = 0
    while at < len(words):
        if words[at] <= 0 or words[at] > len(words) - at:
            offsets[number] = -2
            return
        offsets[number] = at
        at += words[at]
        number += 1
    offsets[number] = -1


@step
def _number_of(key: int, table: Any, keys: Any, size: Any) -> int:
    """The number of a key, a new one if it was not met before; -1 if there is no room for one.

    The length of the hash table is a power of two; it has numbers from 1 on, 0 is free.
    """
    mask = len(table) - 1
    place = ((key ^ (key >> 32)) * 2654435769 >> 7) & mask
    while table[place] > 0 and keys[table[place] - 1] != key:
        place = (place + 1) & mask
    if table[place] == 0:
        if size[0] == len(keys):
            return -1
        keys[size[0]] = key
        size[0] += 1
        table[place] = size[0]
    return int(table[place]) - 1


@kernel(INTS, INTS, INTS, INTS, INT, OUT_INTS, OUT_INTS, OUT_INTS, OUT_INTS_2)
def tally(
    words: Any, starts: Any, stops: Any, groups: Any, stride: int, table: Any, keys: Any, size: Any, counts: Any
) -> None:
    """Count the keys in ``words[starts[i]:stops[i]:stride]`` to ``counts[number, groups[i]]``; group -1 does not count.

    With a stride of 2 a key is followed by how often it comes. ``table`` is a hash table, zeros at first and longer
    than ``keys``, which has each number's key; ``size`` says how many there are, and -1 if there are too many.
    """
    if size[0] < 0:
        return
    for run in range(len(starts)):
        if groups[run] >= 0:
            for place in range(starts[run], stops[run], stride):
                if words[place] != NULL:
                    number = _number_of(words[place], table, keys, size)
                    if number < 0:
                        size[0] = -1
                        return
                    counts[number, groups[run]] += words[place + 1] if stride == 2 else 1
