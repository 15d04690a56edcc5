"""From values to places on a drawing, and the round values that an axis names."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from dataclasses import dataclass

_STEPS = (1.0, 2.0, 2.5, 5.0, 10.0)
_MONTHS = (1, 2, 3, 6, 12, 24, 60, 120, 240, 300, 600, 1200)
_DAYS = (1, 2, 5, 10, 15)
_DAY = 86_400_000_000


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """At most about so many round values from ``low`` to ``high``, evenly apart.

    >>> ticks(0, 1), ticks(0, 0.34, 4), ticks(-3, 12, 4), ticks(2, 2)
    ([0.0, 0.25, 0.5, 0.75, 1.0], [0.0, 0.1, 0.2, 0.3], [0.0, 5.0, 10.0], [2.0])
    """
    if not high > low:
        return [float(low)]
    rough = (high - low) / most
    unit = 10.0 ** math.floor(math.log10(rough))
    for step in (unit * s for s in _STEPS):
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
        if last - first < most:
            break
    return [float(f"{step * n:.10g}") for n in range(first, last + 1)]


@dataclass(frozen=True)
class Scale:
    """Values from ``low`` to ``high`` laid from place ``start`` to place ``end``.

    With a ``bend`` the scale is straight near 0 and grows by powers of ten beyond it, for numbers whose few largest
    would leave no room to the rest.
    """

    low: float
    high: float
    start: float
    end: float
    bend: float | None = None

    def __call__(self, value: float) -> float:
        """The place of a value; of one beyond the scale, its end."""
        low, high, value = self._bent(self.low), self._bent(self.high), self._bent(value)
        share = 0.5 if high == low else (value - low) / (high - low)
        return self.start + min(1.0, max(0.0, share)) * (self.end - self.start)

    def _bent(self, value: float) -> float:
        return value if self.bend is None else math.asinh(value / self.bend)

    def ticks(self, most: int = 5) -> list[float]:
        """Round values that lie on the scale."""
        if self.bend is None:
            return ticks(self.low, self.high, most)
        reach = max(abs(self.low), abs(self.high))
        powers = range(
            math.ceil(math.log10(self.bend) - 1e-9), math.floor(math.log10(max(reach, self.bend)) + 1e-9) + 1
        )
        kept = [10.0**power for power in powers][:: max(1, -(-len(powers) // (most - 1)))]
        named = sorted({0.0, *kept, *(-value for value in kept)})
        return [value for value in named if self.low <= value <= self.high]


def padded(values: Sequence[float], share: float = 0.06) -> tuple[float, float]:
    """The least and the largest of values, with some room on either side."""
    low, high = min(values), max(values)
    room = (high - low) * share or abs(high) * share or 1.0
    return low - room, high + room


def heavy(values: Sequence[float]) -> float | None:
    """The ``bend`` for numbers of which a few dwarf the rest; None where a straight scale shows them well.

    >>> heavy([1, 2, 3, 4, 5]), heavy([0, 10, 12, 15, 9000])
    (None, 10.0)
    """
    sizes = sorted(abs(value) for value in values if value)
    if not sizes or sizes[-1] < 20 * sizes[len(sizes) // 2]:
        return None
    return float(10.0 ** math.floor(math.log10(sizes[len(sizes) // 2])))


def short(value: float) -> str:
    """A tick's text.

    >>> [short(v) for v in (0.0, 0.25, 1500.0, 20000.0, 3000000.0, -0.5)]
    ['0', '0.25', '1,500', '20k', '3M', '−0.5']
    """
    size, sign = abs(value), "\N{MINUS SIGN}" if value < 0 else ""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= unit:
            return f"{sign}{size / (1e3 if letter == 'k' else unit):.3g}{letter}"
    return f"{sign}{size:,.0f}" if size >= 1000 else f"{sign}{size:.4g}"


def moment(instant: float) -> dt.datetime:
    """An instant (microseconds) as a time in UTC."""
    return dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=int(instant))


def date_ticks(low: int, high: int, most: int = 4) -> list[tuple[int, str]]:
    """At most so many round dates from one instant to another (microseconds), with their texts.

    >>> day = 86_400_000_000
    >>> [text for _, text in date_ticks(0, 1500 * day)], [text for _, text in date_ticks(0, 20 * day)]
    (['1970', '1972', '1974'], ['1970-01-01', '1970-01-11', '1970-01-21'])
    >>> [text for _, text in date_ticks(0, 300 * day)]
    ['1970-01', '1970-04', '1970-07', '1970-10']
    """
    for months in _MONTHS:
        found = _months(low, high, months)
        if len(found) <= most:
            break
    if len(found) >= 2:
        return [(at, moment(at).strftime("%Y" if months >= 12 else "%Y-%m")) for at in found]
    days = next((d for d in _DAYS if (high - low) / (d * _DAY) <= most - 1), _DAYS[-1])
    first = -(-low // _DAY) * _DAY
    return [(at, moment(at).date().isoformat()) for at in range(first, high + 1, days * _DAY)][:most]


def _months(low: int, high: int, step: int) -> list[int]:
    """The first instants of every ``step``-th month."""
    first, last = (moment(t).year * 12 + moment(t).month - 1 for t in (low, high))
    numbers = range(-(-first // step) * step, last + 1, step)
    starts = [dt.datetime(number // 12, number % 12 + 1, 1, tzinfo=dt.UTC) for number in numbers if number >= 12]
    found = [(start - moment(0)) // dt.timedelta(microseconds=1) for start in starts]
    return [at for at in found if low <= at <= high]
