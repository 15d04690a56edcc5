"""The target's own past: the same expression in earlier windows, and what these have in common."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.features.definitions import Feature
from penstock.features.ground import Ground
from penstock.plan import Calendar
from penstock.schema import Dtype
from penstock.window import Unit

MOST_LAGS = 10
FAMILY = "the target's own past"
_DAY = Unit.DAYS.microseconds
_SEASONS = (7 * _DAY, 365 * _DAY)


def own_past(ground: Ground) -> Iterator[Feature]:
    """The target itself, shifted back by one horizon at a time as far as the data reaches, and by a week or a year."""
    query, horizon = ground.query, ground.query.horizon_microseconds
    if not horizon:
        return
    most = MOST_LAGS if query.label.dtype is not Dtype.LIST else 4
    lags = [k for k in range(1, most + 1) if (k + 1) * horizon <= ground.span]
    for k in lags:
        if (past := query.past(k)) is not None:
            yield Feature(past, past=True, family=FAMILY, rank=k // 6)
    for k in _seasonal(horizon, ground.span):
        if k not in lags and (past := query.past(k)) is not None:
            yield Feature(past, family=FAMILY)


def _seasonal(horizon: int, span: int) -> Iterator[int]:
    """How many horizons lie between a cutoff's window and the one a week, or a year, before it, where that is whole."""
    for season in _SEASONS:
        k = round(season / horizon)
        if k > 1 and abs(k * horizon - season) <= horizon // 8 and (k + 1) * horizon <= span:
            yield k


def calendar(ground: Ground) -> Iterator[Feature]:
    """Where in the year, week or day the cutoff lies, where enough cutoffs were seen to tell that from mere date."""
    span = ground.span
    horizon = ground.query.horizon_microseconds or span
    if span >= 3 * 365 * _DAY and horizon <= 100 * _DAY:
        yield Feature(Calendar("MONTH"), family="the calendar")
    if span >= 30 * horizon and horizon % (7 * _DAY):
        yield Feature(Calendar("WEEKDAY"), family="the calendar")
    if span >= 60 * horizon and horizon % _DAY:
        yield Feature(Calendar("HOUR"), family="the calendar")


__all__ = ["calendar", "own_past"]
