"""Lookbacks: which windows the features of a query look at, from its own horizon and from how far the data reaches."""

from __future__ import annotations

from dataclasses import dataclass

from penstock.window import Lookback, Unit

MOST_WINDOWS = 10
_MOST_SECONDS = 2**31
"""A window of the language is not longer, in its own unit."""
_SHORTEST = 0.25
"""The first window, as a share of the horizon."""


@dataclass(frozen=True)
class Windows:
    """The lookbacks of a query: ``all`` from short to unbounded, and the few that costlier features use."""

    all: tuple[Lookback, ...]
    horizon: Lookback

    @property
    def ever(self) -> Lookback:
        """All time."""
        return self.all[-1]

    @property
    def few(self) -> tuple[Lookback, ...]:
        """The horizon's own length, one four times as long, and all time."""
        longer = [w for w in self.all if w.start is not None and w.start < (self.horizon.start or 0)]
        return tuple(dict.fromkeys([self.horizon, *longer[1:2], self.ever]))

    @property
    def before(self) -> tuple[Lookback, ...]:
        """The few once more, but that they end a second before the cutoff: what happened just then is left out."""
        lengths = [w.microseconds for w in self.few]
        seconds = [None if length is None else length // Unit.SECONDS.microseconds for length in lengths]
        fitting = [length for length in seconds if length is None or 1 < length < _MOST_SECONDS]
        return tuple(Lookback(None if length is None else -length, -1, Unit.SECONDS) for length in fitting)


def windows(horizon: int, span: int) -> Windows:
    """Lookbacks for a horizon and a span of data, both in microseconds: doubling from a quarter horizon to the span.

    Where that would be too many, the longest ones are four times as long each.

    >>> day = 86_400_000_000
    >>> [str(w) for w in windows(90 * day, 700 * day).all]
    ['-22, 0, days', '-45, 0, days', '-90, 0, days', '-180, 0, days', '-360, 0, days', '-INF, 0, days']
    >>> [w.start for w in windows(7 * day, 3_000 * day).all]
    [-1, -3, -7, -14, -28, -56, -112, -448, -1792, None]
    """
    unit = next(
        u
        for u in (Unit.DAYS, Unit.HOURS, Unit.MINUTES, Unit.SECONDS)
        if horizon >= 4 * u.microseconds or u is Unit.SECONDS
    )
    base = max(1, horizon // unit.microseconds)
    lengths = _lengths(base, span // unit.microseconds) or [base]
    ever = Lookback(None, 0, unit)
    return Windows((*(Lookback(-length, 0, unit) for length in lengths), ever), Lookback(-base, 0, unit))


def _lengths(base: int, span: int) -> list[int]:
    """Lengths that double while they fit the span, at most so many."""
    lengths: list[int] = []
    factor = _SHORTEST
    while base * factor <= span and len(lengths) < 40:
        lengths.append(max(1, int(base * factor)))
        factor *= 2
    lengths = list(dict.fromkeys(lengths))
    return _thinned(lengths, MOST_WINDOWS - 1)


def _thinned(lengths: list[int], most: int) -> list[int]:
    """No more than so many: of the longest every second one goes."""
    extra = len(lengths) - most
    if extra <= 0:
        return lengths
    tail = min(len(lengths), 2 * extra)
    head = lengths[: len(lengths) - tail]
    return [*head, *lengths[len(head) + 1 :: 2]][:most]


__all__ = ["Windows", "windows"]
