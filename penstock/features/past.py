"""The target's own past: the same expression in earlier windows, and what these have in common."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.expression import Arithmetic, Call, Expr
from penstock.features.definitions import Feature
from penstock.features.ground import Ground
from penstock.language import Label
from penstock.plan import Calendar
from penstock.schema import Dtype, Kind
from penstock.window import Unit

MOST_LAGS = 10
FAMILY = "the target's own past"
_RATES = (3, 6)
"""Over how many windows the running rate is taken, beside all of them."""
_DAY = Unit.DAYS.microseconds
_SEASONS = (7 * _DAY, 365 * _DAY)


def own_past(ground: Ground) -> Iterator[Feature]:
    """The target itself, shifted back by one horizon at a time as far as the data reaches, and by a week or a year."""
    query, period = ground.query, ground.query.period
    if period is None:
        return
    horizon = period.end * period.unit.microseconds  # of a forecast, one step
    most = MOST_LAGS if query.label.dtype is not Dtype.LIST else 4
    lags = [k for k in range(1, most + 1) if (k + 1) * horizon <= ground.span]
    moved = [past for k in lags if (past := query.past(k)) is not None]
    yield from (Feature(past, past=True, family=FAMILY, rank=k // 6) for k, past in enumerate(moved, 1))
    yield from (Feature(said, family=FAMILY) for said in _in_common(query.label, moved))
    for k in _seasonal(horizon, ground.span):
        if k not in lags and (past := query.past(k)) is not None:
            yield Feature(past, family=FAMILY)


def _in_common(label: Label, lags: list[Expr]) -> Iterator[Expr]:
    """The running rate, how it varies, the streak it is in, how many windows ago it last held, and what changed."""
    if len(lags) < 2 or label.dtype is Dtype.LIST:
        return
    all_of = tuple(lags)
    numeric = label.dtype in (Dtype.INT, Dtype.FLOAT) and label.kind is Kind.NUMERICAL
    if label.dtype is Dtype.BOOL or not numeric:
        yield Call("STREAK_OF", all_of)
    if label.dtype is Dtype.BOOL or numeric:
        means = [Call("MEAN_OF", all_of[:count]) for count in _RATES if count < len(lags)] + [Call("MEAN_OF", all_of)]
        yield from (*means, Call("FIRST_OF", all_of))
    if numeric:
        yield Call("SPREAD_OF", all_of)
        yield Arithmetic("/", lags[0], means[-1])


def _seasonal(horizon: int, span: int) -> Iterator[int]:
    """How many horizons lie between a cutoff's window and the one a week, or a year, before it, where that is whole."""
    for season in _SEASONS:
        k = round(season / horizon)
        if k > 1 and abs(k * horizon - season) <= horizon // 5 and (k + 1) * horizon <= span:
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
