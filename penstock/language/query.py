"""A checked query: what is asked, about whom, when, and how far ahead."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

from penstock import plan
from penstock.expression import Expr
from penstock.language import lower
from penstock.language.tasks import Task
from penstock.language.tree import Predict
from penstock.language.typed import Label
from penstock.plan import Aggregate, Stream
from penstock.schema import Graph, Link
from penstock.window import Lookahead, Lookback, Unit

_LADDER = (Unit.SECONDS, Unit.MINUTES, Unit.HOURS, Unit.DAYS, Unit.WEEKS)
_LONGEST_MONTH, _SHORTEST_MONTH = 31, 28


@dataclass(frozen=True)
class Query:
    """A PQL query that fits a schema.

    ``target``, ``where`` and ``assuming`` are bound to the schema. ``steps`` counts the frames of a FORECAST, ``top_k``
    belongs to RANK, ``ids`` are the entities asked about (None: all), ``as_of`` is an instant in microseconds.
    ``static`` is true where the target has no window: what is NULL (or a condition on it) is to be filled in.
    """

    text: str
    tree: Predict = field(repr=False)
    task: Task
    entity: str
    key: str
    target: Expr
    where: Expr | None
    assuming: Expr | None
    steps: int | None
    top_k: int | None
    ids: tuple[object, ...] | None
    as_of: int | None
    static: bool
    label: Label
    graph: Graph = field(repr=False)
    dialect: str | None = None

    @property
    def canonical(self) -> str:
        """The query in its one canonical spelling; parses back to the same tree."""
        return str(self.tree)

    def __str__(self) -> str:
        return self.canonical

    @property
    def fingerprint(self) -> str:
        """Equal for queries that mean the same, however they are spelled."""
        meaning = (self.entity, self.key, self.task, self.target, self.where, self.assuming)
        how = (self.steps, self.top_k, self.ids, self.as_of)
        return hashlib.blake2b(repr((meaning, how)).encode(), digest_size=16).hexdigest()

    @cached_property
    def windows(self) -> tuple[Lookahead, ...]:
        """The target's windows ahead, each lengthened by what its row filter looks ahead."""
        return tuple(w for w in map(_reach, plan.aggregates(self.target)) if w is not None)

    @cached_property
    def period(self) -> Lookahead | None:
        """From the earliest start to the farthest end of the target's windows; None for a static target."""
        return _hull(self.windows) if self.windows else None

    @property
    def horizon(self) -> Lookahead | None:
        """What must have passed before the whole answer is known: `period`, through the last step of a forecast."""
        if self.period is None or not self.steps:
            return self.period
        return Lookahead(self.period.start, self.period.step(self.steps - 1).end, self.period.unit)

    @property
    def horizon_microseconds(self) -> int | None:
        """How long after a cutoff its answer is known (mean months); None for a static target."""
        return None if self.horizon is None else self.horizon.end * self.horizon.unit.microseconds

    @property
    def items(self) -> Link | None:
        """The link whose parents a ranking ranks; None where no table holds what is listed."""
        if not isinstance(self.target, Aggregate) or self.target.function != "LIST_DISTINCT":
            return None
        value = self.target.value
        links = () if value is None else self.graph.links_from(value.table)
        return next((link for link in links if value is not None and link.columns == (value.column,)), None)

    def plan(self) -> plan.Node:
        """How the answer is worked out for given entities and cutoffs: the plan of the labels."""
        return lower.lower_labels(self)

    def past(self, k: int) -> Expr | None:
        """The target as it was ``k`` horizons ago, as a feature: every window looks back. None for a static target.

        A forecast's horizon here is one step.
        """
        if self.period is None:
            return None
        period = self.period

        def change(node: Expr) -> Expr:
            return _moved_back(node, period, k) if isinstance(node, Aggregate) else node

        return _map_leaves(self.target, change)

    def ahead(self, step: int) -> Expr:
        """The target of the ``step``-th frame of a forecast, from 0: every window one period further for each step."""
        if self.period is None or step == 0:
            return self.target
        length = self.period.length or 0

        def change(node: Expr) -> Expr:
            return _moved_ahead(node, step * length) if isinstance(node, Aggregate) else node

        return _map_leaves(self.target, change)


def _map_leaves(expression: Expr, change: lower.Change) -> Expr:
    return lower.map_leaves(expression, change)


def _moved_ahead(node: Aggregate, by: int) -> Aggregate:
    window = node.window
    if isinstance(window, Lookahead):
        return replace(node, window=Lookahead((window.start or 0) + by, window.end + by, window.unit))
    return node


def _moved_back(node: Aggregate, period: Lookahead, k: int) -> Aggregate:
    window = node.window
    if isinstance(window, Lookahead):
        return replace(node, window=window.behind(k, _in_unit(period.end, period.unit, window.unit)))
    if isinstance(window, Lookback):
        back = k * _in_unit(period.end, period.unit, window.unit)
        start = None if window.start is None else window.start - back
        return replace(node, window=Lookback(start, window.end - back, window.unit))
    return node


def _in_unit(count: int, unit: Unit, other: Unit) -> int:
    """At least this long, in another unit: whole, and never too short."""
    if unit is other:
        return count
    if other is Unit.MONTHS:
        return -(-count * unit.microseconds // (_SHORTEST_MONTH * Unit.DAYS.microseconds))
    length = _LONGEST_MONTH * Unit.DAYS.microseconds if unit is Unit.MONTHS else unit.microseconds
    return -(-count * length // other.microseconds)


def _hull(windows: tuple[Lookahead, ...]) -> Lookahead:
    """From the earliest start to the farthest end; mixed units are told in the finest, a month as up to 31 days."""
    units = {window.unit for window in windows}
    if len(units) == 1:
        return Lookahead(min(w.start or 0 for w in windows), max(w.end for w in windows), windows[0].unit)
    finest = next((unit for unit in _LADDER[:4] if unit in units), Unit.DAYS)
    starts = [_floor_in(w.start or 0, w.unit, finest) for w in windows]
    return Lookahead(min(starts), max(_in_unit(w.end, w.unit, finest) for w in windows), finest)


def _floor_in(count: int, unit: Unit, other: Unit) -> int:
    length = _SHORTEST_MONTH * Unit.DAYS.microseconds if unit is Unit.MONTHS else unit.microseconds
    return count * length // other.microseconds


def _reach(node: Aggregate) -> Lookahead | None:
    if not isinstance(node.window, Lookahead):
        return None
    inner = [w for w in map(_reach, _nested(node.stream)) if w is not None]
    if not inner:
        return node.window
    beyond = _hull(tuple(inner))
    outer = node.window
    end = outer.end + _in_unit(beyond.end, beyond.unit, outer.unit)
    return Lookahead(outer.start, end, outer.unit)


def _nested(stream: Stream) -> list[Aggregate]:
    return plan.aggregates(stream.where)
