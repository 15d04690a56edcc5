"""Views compiled for a request: which steps read what is needed, and what is made of it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import itemgetter
from typing import Any, NamedTuple, Protocol

import numpy as np

from penstock.engine.execute import calendar
from penstock.expression import Expr
from penstock.online.answer import Status
from penstock.online.answering.held import Keys, Row, Rows, time_of
from penstock.online.answering.steps import Answering, Step, look_up, recall, sweeping
from penstock.online.expressions import Column, Evaluator, evaluator
from penstock.online.holdings import Holding, Kept, Looked
from penstock.plan import Aggregate, Calendar, Field, Latest, Peers, aggregates, fields_of
from penstock.schema import Dtype
from penstock.window import BEGINNING

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  instants are UTC without a zone
_MICROSECOND = dt.timedelta(microseconds=1)
PRESENT, NULL_VALUE, NOT_FOUND, OLD = (
    Status.PRESENT, Status.NULL_VALUE, Status.NOT_FOUND, Status.OUTSIDE_MAX_AGE,
)  # fmt: skip


class Answer(NamedTuple):
    """Of each feature that was asked for, in order: values (instants in microseconds), statuses and times."""

    values: list[Column]
    statuses: list[list[Status]]
    times: list[list[int | None]]


class Reader(Protocol):
    """A view, compiled for some of its features."""

    def read(self, held: Rows, keys: list[Any], at: int) -> Answer:
        """The features of these entities, by their keys, at an instant."""
        ...


def reader(kept: Kept, names: Sequence[str]) -> Reader:
    """What answers these features of a view."""
    expressions = [kept.view.feature(name).expression for name in names]
    if all(isinstance(one, Latest) for one in expressions) and len(kept.recalled) == 1:
        return _newest(kept, [one for one in expressions if isinstance(one, Latest)])
    return _calculated(kept, expressions)


# ---------------------------------------------------------------- newest rows


@dataclass(frozen=True)
class NewestReader:
    """Columns of an entity's newest row; ``places`` are where they stand in the row."""

    holding: Holding
    exists: Holding | None
    places: tuple[int, ...]
    ttl: int | None

    def read(self, held: Rows, keys: list[Any], at: int) -> Answer:
        """The features of these entities, by their keys, at an instant."""
        asked = Keys(keys, self.holding.key)
        rows = held.newest(self.holding, asked, at)
        if self.exists is not None:
            there = held.newest(self.exists, asked, at)
            rows = [None if alive is None else row for row, alive in zip(rows, there, strict=True)]
        missing = self._missing(rows, at)
        if missing is None and len(rows) == 1 and rows[0] is not None:
            return self._single(rows[0])
        times = [time_of(row) for row in rows]
        if missing is not None:
            blank: Row = [None] * (3 + len(self.holding.columns))
            rows = [row if row is not None and why is None else blank for row, why in zip(rows, missing, strict=True)]
        columns = list(zip(*rows, strict=True))
        values = [list(columns[place]) for place in self.places] if columns else [[] for _ in self.places]
        return Answer(values, all_statuses(values, missing), [times] * len(values))

    def _single(self, row: Row) -> Answer:
        """What there is to say of one row, in few steps: most who ask want one entity's."""
        values = [[row[place]] for place in self.places]
        there, blank = [PRESENT], [NULL_VALUE]
        whole = [there] * len(values)
        told = whole if None not in row else [blank if value is None else there for [value] in values]
        return Answer(values, told, [[time_of(row)]] * len(values))

    def _missing(self, rows: Sequence[Row | None], at: int) -> list[Status | None] | None:
        """Why a row does not count; None where all do."""
        ttl = self.ttl
        if ttl is None:
            return [NOT_FOUND if row is None else None for row in rows] if None in rows else None
        why = [NOT_FOUND if row is None else OLD if at - row[0] > ttl else None for row in rows]
        return why if any(why) else None


def _newest(kept: Kept, leaves: Sequence[Latest]) -> NewestReader:
    holding = kept.recalled[0].holding
    names = [one.field.column for one in holding.columns if one.field is not None]
    exists = kept.exists if kept.exists is not None and kept.exists.stream != holding.stream else None
    places = tuple(3 + names.index(leaf.column) for leaf in leaves)
    return NewestReader(holding, exists, places, leaves[0].ttl)


def statuses(column: Column, missing: Sequence[Status | None] | None) -> list[Status]:
    """What there is to say of values: ``missing`` says of which entities it is known beforehand."""
    if missing is None:
        return [NULL_VALUE if value is None else PRESENT for value in column]
    return [why or (NULL_VALUE if value is None else PRESENT) for why, value in zip(missing, column, strict=True)]


def all_statuses(columns: Sequence[Column], missing: Sequence[Status | None] | None) -> list[list[Status]]:
    """What there is to say of the values of several columns; those of which the same is said share one list."""
    if not columns or missing is not None:
        return [statuses(column, missing) for column in columns]
    whole = [PRESENT] * len(columns[0])
    if len(whole) == 1 and [None] not in columns:
        return [whole] * len(columns)
    return [statuses(column, None) if None in column else whole for column in columns]


# ---------------------------------------------------------------- everything else


@dataclass(frozen=True)
class CalculatedReader:
    """Expressions over what the steps read.

    ``features`` are evaluators, or the places of columns that are features as they are; ``sources`` are numbers of
    steps that features rest on together, and ``dated_by`` says for each feature which of those. Where no holding says
    that an entity ``exists``, it is there if one of the steps ``witnesses`` found a row of its own.
    """

    key: Dtype
    exists: Holding | None
    steps: tuple[Step, ...]
    width: int
    calendar: tuple[tuple[int, Calendar], ...]
    features: tuple[Evaluator | int, ...]
    sources: tuple[tuple[int, ...], ...]
    dated_by: tuple[int, ...]
    witnesses: tuple[int, ...]

    def read(self, held: Rows, keys: list[Any], at: int) -> Answer:
        """The features of these entities, by their keys, at an instant."""
        rows = len(keys)
        nothing: Column = [None] * rows
        answering = Answering(held, Keys(keys, self.key), at, [nothing] * self.width, [nothing] * len(self.steps))
        for place, leaf in self.calendar:
            answering.columns[place] = [int(calendar(leaf, np.array([at]))[0])] * rows
        for step in self.steps:
            step.run(answering)
        missing = self._missing(answering)
        values = self._values(answering.columns, rows)
        if missing is not None:
            values = [[None if why else value for why, value in zip(missing, one, strict=True)] for one in values]
        times = [_newest_times(answering.times, steps, rows) for steps in self.sources]
        dated = times * len(values) if len(times) == 1 else [times[number] for number in self.dated_by]
        return Answer(values, all_statuses(values, missing), dated)

    @cached_property
    def _pick(self) -> Callable[[list[Column]], Sequence[Column]] | None:
        """What picks the features where all are columns as they are."""
        places = [one for one in self.features if isinstance(one, int)]
        return itemgetter(*places) if 1 < len(places) == len(self.features) else None

    def _values(self, columns: list[Column], rows: int) -> list[Column]:
        """The features' values."""
        if self._pick is not None:
            return list(self._pick(columns))
        return [columns[one] if isinstance(one, int) else one(columns, rows) for one in self.features]

    def _missing(self, answering: Answering) -> list[Status | None] | None:
        """Which entities are not there; None where all are."""
        found: list[Any]
        if self.exists is not None:
            found = answering.held.newest(self.exists, answering.keys, answering.at)
        elif not self.witnesses:
            found = list(answering.keys.values)
        else:
            told = [answering.times[number] for number in self.witnesses]
            found = (
                told[0]
                if len(told) == 1
                else [next((t for t in row if t is not None), None) for row in zip(*told, strict=True)]
            )
        return [NOT_FOUND if one is None else None for one in found] if None in found else None


def _newest_times(times: Sequence[list[int | None]], steps: tuple[int, ...], rows: int) -> list[int | None]:
    """When the newest row of these steps happened, for each entity."""
    if len(steps) == 1:
        return [None if time is None or time <= BEGINNING + 1 else time for time in times[steps[0]]]
    several = zip(*(times[step] for step in steps), strict=True) if steps else [()] * rows
    return [_newest_time(row) for row in several]


def _newest_time(times: Iterable[int | None]) -> int | None:
    """The newest of some instants; None where there is none, or where rows have no time."""
    return max((time for time in times if time is not None and time > BEGINNING + 1), default=None)


@dataclass
class _Places:
    """Where each leaf's column is; leaves of one text are one, as in a plan."""

    places: dict[object, int]

    def add(self, leaf: Expr) -> int:
        """A place for a leaf."""
        return self.places.setdefault(_named(leaf), len(self.places))

    def find(self, leaf: Expr) -> int | None:
        """A leaf's place; None for one that nobody asks for."""
        return self.places.get(_named(leaf))


def _named(leaf: Expr) -> object:
    return leaf if isinstance(leaf, Latest) else str(leaf)


def _calculated(kept: Kept, expressions: Sequence[Expr]) -> CalculatedReader:
    places = _Places({})
    needs = [_leaves(one) for one in expressions]
    for leaf in (leaf for found in needs for leaf in found):
        places.add(leaf)
    steps, sources, witnesses = _steps(kept, places)
    features = tuple(
        found if (found := places.find(one)) is not None else evaluator(one, places.add) for one in expressions
    )
    rest_on = [tuple(sorted({sources[name] for leaf in found if (name := _named(leaf)) in sources})) for found in needs]
    distinct = tuple(dict.fromkeys(rest_on))
    parts = {leaf for found in needs for leaf in found if isinstance(leaf, Calendar)}
    moments = tuple((places.add(leaf), leaf) for leaf in sorted(parts, key=str))
    return CalculatedReader(
        _key(kept),
        kept.exists,
        steps,
        len(places.places),
        moments,
        features,
        distinct,
        tuple(map(distinct.index, rest_on)),
        witnesses,
    )


def _key(kept: Kept) -> Dtype:
    """The dtype of the entity's keys as the store has them."""
    return Dtype.STRING if kept.view.entity.composed else kept.view.entity.dtypes[0]


def _leaves(expression: Expr) -> list[Expr]:
    """What an expression is made of, and before each aggregate what says whose rows it is about."""
    found: dict[Expr, None] = dict.fromkeys(fields_of(expression))
    found |= dict.fromkeys(node for node in expression.walk() if isinstance(node, Latest))
    for aggregate in aggregates(expression):
        found |= dict.fromkeys([*_anchors(aggregate), aggregate])
    return list(found)


def _anchors(aggregate: Aggregate) -> Iterable[Expr]:
    anchor = aggregate.stream.anchor
    if isinstance(anchor, Aggregate):
        yield from _anchors(anchor)
        yield anchor
    elif isinstance(anchor, Field):
        yield anchor
    elif isinstance(anchor, Peers) and anchor.field is not None:
        yield anchor.field


def _steps(kept: Kept, places: _Places) -> tuple[tuple[Step, ...], dict[object, int], tuple[int, ...]]:
    """What is read, in order; which step gives each leaf; and which of them see rows of the entity's own."""
    steps: list[Step] = []
    sources: dict[object, int] = {}
    witnesses: list[int] = []
    own = kept.exists is None

    def add(make: Callable[[int], Step], leaves: Iterable[Expr], *, witness: bool) -> None:
        for leaf in leaves:
            sources.setdefault(_named(leaf), len(steps))
        if witness and own:
            witnesses.append(len(steps))
        steps.append(make(len(steps)))

    ways = {one.hops: one for one in kept.looked}
    for looked in _ways_taken(kept.looked, places, own=own):
        before = None if looked.by is None else ways[looked.hops[:-1]]
        add(lambda n, one=looked, up=before: look_up(n, one, up, places.find), looked.leaves, witness=not looked.hops)  # type: ignore[misc]
    for recalled in kept.recalled:
        if own or any(places.find(leaf) is not None for leaf in recalled.leaves):
            add(lambda n, one=recalled: recall(n, one, places.find), recalled.leaves, witness=True)  # type: ignore[misc]
    for swept in kept.swept:
        if (own and swept.anchor is None) or any(places.find(one) is not None for one in swept.aggregates):
            add(lambda n, one=swept: sweeping(n, one, places.find), swept.aggregates, witness=swept.anchor is None)  # type: ignore[misc]
    return tuple(steps), sources, tuple(witnesses)


def _ways_taken(looked: Sequence[Looked], places: _Places, *, own: bool) -> list[Looked]:
    """The look-ups that lead to a leaf that is asked for; with ``own`` the entity's own row is looked up anyhow."""
    taken = {
        one.hops[:depth]
        for one in looked
        if any(places.find(leaf) is not None for leaf in one.leaves)
        for depth in range(len(one.hops) + 1)
    }
    return [one for one in looked if one.hops in taken or (own and not one.hops)]


# ---------------------------------------------------------------- plain values


def told(column: Column, dtype: Dtype, list_of: Dtype | None = None) -> Column:
    """A feature's values as they are given out: instants as ``datetime``.

    >>> told([0, None], Dtype.TIMESTAMP)
    [datetime.datetime(1970, 1, 1, 0, 0), None]
    """
    if dtype is Dtype.TIMESTAMP:
        return [None if value is None else _EPOCH + value * _MICROSECOND for value in column]
    if list_of is Dtype.TIMESTAMP:
        return [None if values is None else told(values, Dtype.TIMESTAMP) for values in column]
    return column


__all__ = ["Answer", "Reader", "reader", "statuses", "told"]
