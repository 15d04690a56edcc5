"""The table of aggregates: how each is spelled, what it accepts, what it gives, how it is worked out, and its English.

Everything that knows of aggregates reads this table: the parser (names), the checker (types), the engine (families),
streams and stores (``start``, ``step``, ``merge``, ``finish``), help texts and reasons (English).

Rules that engines differ on are fixed here, once:

- NULL values are skipped; ``COUNT(table.*)`` counts rows. A float that is not finite counts as NULL.
- Rows are ordered by time, then by the table's key, then by value; FIRST and LAST follow that order.
- MODE takes the smallest of the most frequent values. MEDIAN of an even number is the mean of the middle two.
- VAR and STDDEV divide by n - 1 and are NULL for fewer than two values. ENTROPY is in nats.
- TREND is the least-squares slope of the value over time, a day; NULL where time does not vary.
- TIME_SINCE is counted from the last row in the window to the cutoff, in the window's unit (days, where that is rows).
- GAP is the mean time between neighbouring rows in the window, in days: (last - first) / (n - 1); NULL for fewer than
  two rows.
- A window of rows holds rows with a NULL value too: of the last 5 rows, AVG takes those that have a value.
- LAST_N(x, n, …) is the n-th value from the end; LAST_N(x, 1, …) is LAST.
- COUNT, COUNT_DISTINCT and SUM of nothing are 0; everything else of nothing is NULL.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, NamedTuple

from penstock.schema import Dtype


class Family(StrEnum):
    """Which kind of state an aggregate keeps, and so which kernel sweeps it."""

    COUNT = "count"
    SUMS = "sums"
    EXTREMES = "extremes"
    ORDER = "order"
    FREQUENCY = "frequency"
    MEDIAN = "median"
    LIST = "list"
    TREND = "trend"
    AGE = "age"
    GAP = "gap"


class Event(NamedTuple):
    """A row as an aggregate sees it: when (microseconds), its rank among equal instants, and its value."""

    happened: int
    order: Any
    value: Any


@dataclass(frozen=True)
class AggregateSpec:
    """A row of the table.

    ``step`` folds an `Event` with a value that is not NULL into a state; ``merge`` joins the states of two disjoint
    sets of rows in either order; ``finish`` takes a state, ``n`` (of LAST_N) and the cutoff (microseconds).
    States are plain values.
    """

    name: str
    family: Family
    english: str
    numeric: bool
    star: bool
    target: bool
    result_dtype: Dtype | None
    empty: int | None
    start: Callable[[], Any]
    step: Callable[[Any, Event], Any]
    merge: Callable[[Any, Any], Any]
    finish: Callable[[Any, int, int], Any]

    def result(self, value: Dtype | None) -> Dtype:
        """The result's dtype for values of this dtype (None for ``*``). SUM of whole numbers is whole."""
        if self.name == "SUM":
            return Dtype.FLOAT if value is Dtype.FLOAT else Dtype.INT
        if self.result_dtype is not None:
            return self.result_dtype
        return Dtype.INT if value is None else value


def _events() -> tuple[Event, ...]:
    return ()


def _add_event(state: tuple[Event, ...], event: Event) -> tuple[Event, ...]:
    return (*state, event)


def _join_events(a: tuple[Event, ...], b: tuple[Event, ...]) -> tuple[Event, ...]:
    return a + b


def _counts() -> Counter[Any]:
    return Counter()


def _add_count(state: Counter[Any], event: Event) -> Counter[Any]:
    return state + Counter((event.value,))


def _values(state: tuple[Event, ...]) -> list[Any]:
    return [event.value for event in sorted(state)]


def _variance(state: tuple[Event, ...]) -> float | None:
    values = _values(state)
    if len(values) < 2:
        return None
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1)


def _root(variance: float | None) -> float | None:
    return None if variance is None else math.sqrt(variance)


def _median(state: tuple[Event, ...]) -> float | None:
    values = sorted(_values(state))
    if not values:
        return None
    middle = len(values) // 2
    return float(values[middle]) if len(values) % 2 else (values[middle - 1] + values[middle]) / 2


def _slope(state: tuple[Event, ...]) -> float | None:
    if not state:
        return None
    first = min(event.happened for event in state)
    days = [(event.happened - first) / 86_400_000_000 for event in state]
    mean_day, mean_value = math.fsum(days) / len(days), math.fsum(e.value for e in state) / len(days)
    spread = math.fsum((day - mean_day) ** 2 for day in days)
    if spread == 0:
        return None
    return math.fsum((d - mean_day) * (e.value - mean_value) for d, e in zip(days, state, strict=True)) / spread


def _gap(state: tuple[Event, ...]) -> float | None:
    if len(state) < 2:
        return None
    times = [event.happened for event in state]
    return (max(times) - min(times)) / 86_400_000_000 / (len(times) - 1)


def _entropy(state: Counter[Any]) -> float | None:
    total = sum(state.values())
    return None if not total else -math.fsum(n / total * math.log(n / total) for n in state.values()) + 0.0


def _mode(state: Counter[Any]) -> Any:
    return min(state, key=lambda value: (-state[value], value)) if state else None


def _pick(place: Callable[[list[Event], int], int]) -> Callable[[tuple[Event, ...], int, int], Any]:
    def finish(state: tuple[Event, ...], n: int, _cutoff: int) -> Any:
        ordered = sorted(state)
        index = place(ordered, n)
        return ordered[index].value if 0 <= index < len(ordered) else None

    return finish


def _spec(
    name: str,
    family: Family,
    english: str,
    finish: Callable[[Any, int, int], Any],
    *,
    numeric: bool = False,
    star: bool = False,
    target: bool = True,
    result: Dtype | None = None,
    empty: int | None = None,
    counts: bool = False,
) -> AggregateSpec:
    start, step, merge = (_counts, _add_count, Counter.__add__) if counts else (_events, _add_event, _join_events)
    return AggregateSpec(name, family, english, numeric, star, target, result, empty, start, step, merge, finish)


AGGREGATES: dict[str, AggregateSpec] = {
    spec.name: spec
    for spec in (
        _spec("COUNT", Family.COUNT, "number of", lambda s, n, t: len(s), star=True, result=Dtype.INT, empty=0),
        _spec("SUM", Family.SUMS, "sum of", lambda s, n, t: math.fsum(_values(s)), numeric=True, empty=0),
        _spec("AVG", Family.SUMS, "average", lambda s, n, t: math.fsum(_values(s)) / len(s) if s else None,
              numeric=True, result=Dtype.FLOAT),
        _spec("MIN", Family.EXTREMES, "smallest", lambda s, n, t: min(_values(s), default=None)),
        _spec("MAX", Family.EXTREMES, "largest", lambda s, n, t: max(_values(s), default=None)),
        _spec("VAR", Family.SUMS, "variance of", lambda s, n, t: _variance(s), numeric=True, target=False,
              result=Dtype.FLOAT),
        _spec("STDDEV", Family.SUMS, "spread of",
              lambda s, n, t: _root(_variance(s)),
              numeric=True, target=False, result=Dtype.FLOAT),
        _spec("MEDIAN", Family.MEDIAN, "median", lambda s, n, t: _median(s), numeric=True, target=False,
              result=Dtype.FLOAT),
        _spec("TREND", Family.TREND, "trend of", lambda s, n, t: _slope(s), numeric=True, target=False,
              result=Dtype.FLOAT),
        _spec("COUNT_DISTINCT", Family.FREQUENCY, "number of different", lambda s, n, t: len(s), counts=True,
              result=Dtype.INT, empty=0),
        _spec("MODE", Family.FREQUENCY, "most frequent", lambda s, n, t: _mode(s), counts=True, target=False),
        _spec("ENTROPY", Family.FREQUENCY, "variety of", lambda s, n, t: _entropy(s), counts=True, target=False,
              result=Dtype.FLOAT),
        _spec("LIST_DISTINCT", Family.LIST, "different", lambda s, n, t: sorted(s) or None, counts=True,
              result=Dtype.LIST),
        _spec("FIRST", Family.ORDER, "first", _pick(lambda s, n: 0)),
        _spec("LAST", Family.ORDER, "last", _pick(lambda s, n: len(s) - 1)),
        _spec("LAST_N", Family.ORDER, "n-th last", _pick(lambda s, n: len(s) - n), target=False),
        _spec("GAP", Family.GAP, "days between", lambda s, n, t: _gap(s), star=True, target=False, result=Dtype.FLOAT),
        _spec("TIME_SINCE", Family.AGE, "time since the last",
              lambda s, n, t: None if not s else t - max(event.happened for event in s), star=True, target=False,
              result=Dtype.FLOAT),
    )
}  # fmt: skip
"""Every aggregate by its name in PQL."""
