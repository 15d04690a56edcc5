"""Instants, cutoffs and windows: the one file that decides which side is open.

An instant is a count of microseconds since 1970-01-01T00:00:00 UTC. A window of a cutoff ``t`` is
``(t + start, t + end]``: a row exactly at the cutoff is past, a row one microsecond later is future.
A window in `Unit.ROWS` counts rows instead of time: of the rows known at ``t``, in their order, the last ``-start``
without the last ``-end``.
`Lookback` and `Lookahead` are different types: a feature can only hold the first and a label only the second, so
that a leak is a type error.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.errors import RequestError

Instants: TypeAlias = npt.NDArray[np.int64]

BEGINNING = -(2**62)
"""Before every instant that can be written down: where an unbounded window opens."""
END = 2**62
"""After every instant that can be written down."""


class Unit(StrEnum):
    """The units of a window. Months are calendar months, rows are no time at all, the others are fixed lengths."""

    SECONDS = "seconds"
    MINUTES = "minutes"
    HOURS = "hours"
    DAYS = "days"
    WEEKS = "weeks"
    MONTHS = "months"
    ROWS = "rows"

    @property
    def microseconds(self) -> int:
        """The unit's length; a month counts as the mean Gregorian month (only to express ages and to compare).

        Rows have no length: ``KeyError``.
        """
        return _MICROSECONDS[self]

    @property
    def clock(self) -> Unit:
        """The unit in which ages in such a window are told: its own, and days where it counts rows."""
        return Unit.DAYS if self is Unit.ROWS else self


_MICROSECONDS = {
    Unit.SECONDS: 1_000_000,
    Unit.MINUTES: 60_000_000,
    Unit.HOURS: 3_600_000_000,
    Unit.DAYS: 86_400_000_000,
    Unit.WEEKS: 604_800_000_000,
    Unit.MONTHS: 2_629_746_000_000,
}


def instant(value: str | dt.date | dt.datetime | np.datetime64 | int) -> int:
    """A time as people write it, as an instant; without a zone it is UTC, without a time of day midnight.

    Raises ``RequestError`` for what is no time.

    >>> instant("1970-01-02"), instant("1970-01-01T01:00:00+01:00"), instant(dt.date(1970, 1, 2))
    (86400000000, 0, 86400000000)
    """
    if isinstance(value, int):
        return value
    if isinstance(value, np.datetime64):
        return int(value.astype("datetime64[us]").astype(np.int64))
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            hint = "Write it like 2024-01-31 or 2024-01-31T12:00:00+01:00."
            raise RequestError("REQUEST_TIME", f"{value!r} is no time", hint=hint) from None
    if not isinstance(value, dt.datetime):
        value = dt.datetime(value.year, value.month, value.day, tzinfo=dt.UTC)
    moment = value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


def shift(instants: Instants, count: int, unit: Unit) -> Instants:
    """The instants moved by ``count`` units; a calendar month keeps the day of month, or takes the last there is.

    >>> day = np.array(["2024-01-31", "2023-03-31"], "datetime64[us]").astype(np.int64)
    >>> shift(day, 1, Unit.MONTHS).astype("datetime64[us]").astype("datetime64[D]").tolist()
    [datetime.date(2024, 2, 29), datetime.date(2023, 4, 30)]
    """
    if unit is not Unit.MONTHS:
        return instants + np.int64(count * unit.microseconds)
    moments = instants.astype("datetime64[us]")
    months = moments.astype("datetime64[M]")
    into_month = moments - months.astype("datetime64[us]")
    day_of_month = into_month.astype("timedelta64[D]")
    target = months + np.timedelta64(count, "M")
    last_day = (target + np.timedelta64(1, "M")).astype("datetime64[D]") - target.astype("datetime64[D]")
    kept = np.minimum(day_of_month, last_day - np.timedelta64(1, "D"))
    time_of_day = into_month - day_of_month.astype("timedelta64[us]")
    moved: Instants = (target.astype("datetime64[us]") + kept.astype("timedelta64[us]") + time_of_day).astype(np.int64)
    return moved


@dataclass(frozen=True, slots=True)
class Window:
    """``(t + start, t + end]`` for a cutoff ``t``; ``start`` None reaches back without bound.

    This is what a query's text says. `Lookback` and `Lookahead` are what it may mean.
    """

    start: int | None
    end: int
    unit: Unit = Unit.DAYS

    def bounds(self, cutoffs: Instants) -> tuple[Instants, Instants]:
        """For each cutoff, the instants ``low`` and ``high`` of its window: a row belongs if low < happened <= high.

        A window of rows is not told by instants: its rows are some of those up to the cutoff, which these are.
        """
        if self.unit is Unit.ROWS:
            return np.full_like(cutoffs, BEGINNING), cutoffs
        high = shift(cutoffs, self.end, self.unit)
        if self.start is None:
            return np.full_like(cutoffs, BEGINNING), high
        return shift(cutoffs, self.start, self.unit), high

    @property
    def length(self) -> int | None:
        """How many units the window spans; None without bound."""
        return None if self.start is None else self.end - self.start

    @property
    def microseconds(self) -> int | None:
        """The window's length in microseconds (mean months); None without bound, and for rows."""
        return None if self.length is None or self.unit is Unit.ROWS else self.length * self.unit.microseconds

    def __str__(self) -> str:
        return f"{'-INF' if self.start is None else self.start}, {self.end}, {self.unit}"


@dataclass(frozen=True, slots=True)
class Lookback(Window):
    """A window that ends at the cutoff or before it: all that a feature may see.

    >>> print(Lookback(-30, 0)), Lookback(-30, 0).phrase
    -30, 0, days
    (None, 'in the last 30 days')
    >>> Lookback(-5, 0, Unit.ROWS).phrase, Lookback(-10, -5, Unit.ROWS).phrase
    ('in the last 5 rows', 'in the 5 rows before the last 5')
    """

    def __post_init__(self) -> None:
        if self.end > 0 or (self.start is not None and self.start >= self.end):
            raise ValueError(f"a lookback ends at the cutoff or before it and starts earlier: ({self})")
        if self.start is None and self.unit is Unit.ROWS:
            raise ValueError(f"a window of rows says how many: ({self})")

    @property
    def phrase(self) -> str:
        """The window in English, to follow a noun."""
        if self.start is None:
            return "so far" if self.end == 0 else f"up to {_amount(-self.end, self.unit)} ago"
        if self.end == 0:
            return f"in the last {_amount(-self.start, self.unit)}"
        if self.unit is Unit.ROWS:
            return f"in the {_amount(self.end - self.start, self.unit)} before the last {-self.end}"
        return f"from {_amount(-self.start, self.unit)} to {_amount(-self.end, self.unit)} ago"


@dataclass(frozen=True, slots=True)
class Lookahead(Window):
    """A window that begins at the cutoff or after it: all that a label may see.

    >>> Lookahead(0, 90).phrase, Lookahead(0, 90).behind(1).phrase, Lookahead(0, 7).step(2)
    ('in the next 90 days', 'in the last 90 days', Lookahead(start=14, end=21, unit=<Unit.DAYS: 'days'>))
    """

    def __post_init__(self) -> None:
        if self.start is None or not 0 <= self.start < self.end:
            raise ValueError(f"a lookahead starts at the cutoff or after it and ends later: ({self})")
        if self.unit is Unit.ROWS:
            raise ValueError(f"the future has no rows that could be counted: ({self})")

    @property
    def phrase(self) -> str:
        """The window in English, to follow a noun."""
        if self.start == 0:
            return f"in the next {_amount(self.end, self.unit)}"
        return f"from {self.start} to {_amount(self.end, self.unit)} ahead"

    def step(self, number: int) -> Lookahead:
        """The window of the ``number``-th frame of a forecast: moved ahead by its own length each time."""
        start, length = self.start or 0, self.length or 0
        return Lookahead(start + number * length, self.end + number * length, self.unit)

    def behind(self, periods: int, horizon: int | None = None) -> Lookback:
        """The same window ``periods`` horizons earlier: what the target was in the past.

        ``horizon`` is the reach of the whole target in this window's unit (its largest end); by default this
        window's own end.
        """
        back = periods * (self.end if horizon is None else horizon)
        return Lookback((self.start or 0) - back, self.end - back, self.unit)


def _amount(count: int, unit: Unit) -> str:
    return f"{count} {unit}" if count != 1 else f"1 {str(unit).removesuffix('s')}"


_LONGEST_MONTH = 31 * Unit.DAYS.microseconds


def reach_of(windows: Iterable[Window]) -> int | None:
    """How far back these windows look at most, in microseconds; None: to the beginning, as windows of rows do.

    >>> reach_of([Lookback(-1, 0, Unit.HOURS), Lookback(-30, 0, Unit.SECONDS)]), reach_of([Lookback(None, 0)])
    (3600000000, None)
    """
    found = [_back(window) for window in windows]
    return None if None in found else max((back for back in found if back is not None), default=0)


def _back(window: Window) -> int | None:
    if window.start is None or window.unit is Unit.ROWS:
        return None
    return -window.start * (_LONGEST_MONTH if window.unit is Unit.MONTHS else window.unit.microseconds)
