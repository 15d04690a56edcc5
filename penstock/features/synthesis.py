"""Features made from the graph: what a person would write by hand about an entity's past, for every path and window.

Each feature is an expression of the language. Windows follow from the query's horizon and from how far the data
reaches back; categories and columns are chosen from rows known before anything that is predicted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from penstock.expression import Arithmetic, Compare, Constant
from penstock.features.definitions import Feature, FeatureSet
from penstock.features.survey import Survey
from penstock.language import Query
from penstock.plan import Age, Aggregate, Calendar, Field, Stream, quoted
from penstock.schema import Dtype, Graph, Kind, Link, Table
from penstock.window import Lookback, Unit

MOST_HOPS = 3
MOST_WINDOWS = 6
MOST_FILTERED = 24
"""How many filtered streams (one category each) a path may get."""


@dataclass(frozen=True)
class Windows:
    """The lookbacks a query's features use: ``all`` from short to unbounded, and the few that costlier ones use."""

    all: tuple[Lookback, ...]
    horizon: Lookback

    @property
    def few(self) -> tuple[Lookback, ...]:
        """The horizon's own length, a long one, and all time."""
        longer = [w for w in self.all if w.start is not None and w.start < (self.horizon.start or 0)]
        return tuple(dict.fromkeys([self.horizon, *longer[1:2], self.all[-1]]))


def windows(horizon: int, span: int) -> Windows:
    """Lookbacks for a horizon and a span of data, both in microseconds: doubling from a quarter horizon to the span.

    >>> day = 86_400_000_000
    >>> [str(w) for w in windows(90 * day, 700 * day).all]
    ['-22, 0, days', '-45, 0, days', '-90, 0, days', '-180, 0, days', '-360, 0, days', '-INF, 0, days']
    """
    unit = next(
        u
        for u in (Unit.DAYS, Unit.HOURS, Unit.MINUTES, Unit.SECONDS)
        if horizon >= 4 * u.microseconds or u is Unit.SECONDS
    )
    base = max(1, horizon // unit.microseconds)
    lengths = [max(1, int(base * factor)) for factor in (0.25, 0.5, 1, 2, 4, 8)]
    fitting = [length for length in lengths if length * unit.microseconds <= span] or [base]
    bounded = [
        Lookback(-length, 0, unit)
        for length in dict.fromkeys(fitting[-(MOST_WINDOWS - 1) :] if len(fitting) > MOST_WINDOWS - 1 else fitting)
    ]
    return Windows((*bounded, Lookback(None, 0, unit)), Lookback(-base, 0, unit))


def synthesise(query: Query, survey: Survey) -> FeatureSet:
    """The features of a query's entities that its graph offers."""
    table = query.graph.table(query.entity)
    spans = [s for t in query.graph if (s := survey.span(t.name)) is not None]
    span = max((high for _, high in spans), default=0) - min((low for low, _ in spans), default=0)
    lookbacks = windows(query.horizon_microseconds or 30 * Unit.DAYS.microseconds, span)
    made = [
        *_past(query, span),
        *_own(query, table, survey),
        *_parents(query, table, survey),
        *_calendar(query, span),
    ]
    for hops in paths(query.graph, query.entity):
        stream = Stream(query.entity, hops)
        if _clocked(query.graph, stream) or not _dated_above(query.graph, stream):
            made += _stream(query.graph, stream, lookbacks, survey)
    made += _sideways(query.graph, table, lookbacks, survey)
    return FeatureSet.of(query.entity, query.key, made)


def paths(graph: Graph, table: str, taken: tuple[Link, ...] = ()) -> Iterator[tuple[Link, ...]]:
    """Every path of links from a table down to its children, grandchildren and theirs; each link at most once."""
    for link in graph.links_to(table):
        if link not in taken and len(taken) < MOST_HOPS:
            yield (*taken, link)
            yield from paths(graph, link.table, (*taken, link))


def _past(query: Query, span: int) -> Iterator[Feature]:
    """The target itself, shifted back by one horizon at a time, as far as the data reaches."""
    horizon = query.horizon_microseconds
    for periods in range(1, 7):
        if horizon and (periods + 1) * horizon <= span and (past := query.past(periods)) is not None:
            yield Feature(past, past=True)


def _own(query: Query, table: Table, survey: Survey) -> Iterator[Feature]:
    """The entity's own columns, all but its key and what is predicted."""
    target = {node.column for node in query.target.walk() if isinstance(node, Field) and node.table == table.name}
    yield from (f for f in _columns(table, (), survey) if _column_of(f) not in target)


def _column_of(feature: Feature) -> str:
    leaf = feature.expression.field if isinstance(feature.expression, Age) else feature.expression
    return leaf.column if isinstance(leaf, Field) else ""


def _columns(table: Table, hops: tuple[Link, ...], survey: Survey) -> Iterator[Feature]:
    for column in survey.usable(table, (Kind.NUMERICAL, Kind.CATEGORICAL)):
        yield Feature(Field(table.name, column.name, column.dtype, column.kind, hops))
    for column in table.columns:
        if column.dtype is Dtype.TIMESTAMP and column.name not in (table.known, table.ends):
            yield Feature(Age(Field(table.name, column.name, column.dtype, column.kind, hops)))


def _parents(query: Query, table: Table, survey: Survey) -> Iterator[Feature]:
    """Columns of the entity's parents and grandparents, where one shortest way leads to them."""
    for hops in parents(query.graph, table.name):
        yield from _columns(query.graph.table(hops[-1].to), hops, survey)


def parents(graph: Graph, table: str, most: int = 2) -> list[tuple[Link, ...]]:
    """The one shortest way up to each table above; tables that two ways of one length reach are left out."""
    found: list[tuple[Link, ...]] = []
    seen = {table}
    level: list[tuple[Link, ...]] = [()]
    for _ in range(most):
        onward = [(*way, link) for way in level for link in graph.links_from(way[-1].to if way else table)]
        reached = [way[-1].to for way in onward]
        level = [way for way in onward if way[-1].to not in seen and reached.count(way[-1].to) == 1]
        seen.update(reached)
        found += level
    return found


def _calendar(query: Query, span: int) -> Iterator[Feature]:
    """Where in the year, week or day the cutoff lies, where enough cutoffs were seen to tell that from mere date."""
    horizon, day = query.horizon_microseconds or span, Unit.DAYS.microseconds
    if span >= 3 * 365 * day and horizon <= 100 * day:
        yield Feature(Calendar("MONTH"))
    if span >= 30 * horizon and horizon % (7 * day):
        yield Feature(Calendar("WEEKDAY"))
    if span >= 60 * horizon and horizon % day:
        yield Feature(Calendar("HOUR"))


# ---------------------------------------------------------------- streams


def _stream(graph: Graph, stream: Stream, lookbacks: Windows, survey: Survey) -> Iterator[Feature]:
    """Everything about one stream: its rows, its columns, its parents' columns, and its rows of one category."""
    table, clock = graph.table(stream.table), _clocked(graph, stream)
    several = lookbacks.all if clock else (None,)
    few = lookbacks.few if clock else (None,)
    yield from _counts(graph, stream, several)
    categorical = [*_fields(table, Kind.CATEGORICAL, survey), *_parent_fields(graph, stream, Kind.CATEGORICAL, survey)]
    numerical = [*_fields(table, Kind.NUMERICAL, survey), *_parent_fields(graph, stream, Kind.NUMERICAL, survey)]
    for field in numerical:
        yield from _numbers(graph, stream, field, several if not field.hops else few, few)
    for field in categorical:
        yield from _categories(graph, stream, field, few)
    for link in graph.links_from(stream.table):
        if link not in stream.hops and len(link.columns) == 1:
            pointing = table.column(link.columns[0])
            field = Field(table.name, pointing.name, pointing.dtype, pointing.kind)
            yield from (_feature(graph, "COUNT_DISTINCT", stream, field, w) for w in few)
    yield from _filtered(graph, stream, categorical, numerical, several, few, survey)


def _clocked(graph: Graph, stream: Stream) -> bool:
    return any(graph.table(link.table).happened is not None for link in stream.hops)


def _dated_above(graph: Graph, stream: Stream) -> bool:
    """Whether rows without a time belong to rows that have one: without it, all of them would count, future ones too.

    The lines of an order are an example, where only the order has a date and the entity is the product.
    """
    ways = parents(graph, stream.table)
    return any(graph.table(way[-1].to).happened is not None for way in ways if way[0] not in stream.hops)


def _counts(graph: Graph, stream: Stream, several: tuple[Lookback | None, ...]) -> Iterator[Feature]:
    """How many rows, how that changed (ratios of neighbouring windows), and how long ago the last was."""
    counts = [_aggregate(graph, "COUNT", stream, None, window) for window in several]
    yield from map(Feature, counts)
    yield from (Feature(Arithmetic("/", short, long)) for short, long in pairwise(counts))
    if several[-1] is not None:
        yield _feature(graph, "TIME_SINCE", stream, None, several[-1])


def _numbers(
    graph: Graph, stream: Stream, field: Field, several: tuple[Lookback | None, ...], few: tuple[Lookback | None, ...]
) -> Iterator[Feature]:
    """Level, extremes, spread and direction of a number."""
    yield from (_feature(graph, "SUM", stream, field, w) for w in several)
    yield from (_feature(graph, "AVG", stream, field, w) for w in several)
    yield from (_feature(graph, name, stream, field, few[-1]) for name in ("MIN", "MAX", "STDDEV"))
    if few[-1] is not None:
        yield _feature(graph, "LAST", stream, field, few[-1])
        yield from (_feature(graph, name, stream, field, w) for name in ("MAX", "TREND") for w in few[:-1])


def _categories(graph: Graph, stream: Stream, field: Field, few: tuple[Lookback | None, ...]) -> Iterator[Feature]:
    """Which categories: how many, the usual one, how mixed, and the last three in order."""
    yield from (_feature(graph, "COUNT_DISTINCT", stream, field, w) for w in few)
    yield from (_feature(graph, name, stream, field, few[-1]) for name in ("MODE", "ENTROPY"))
    if few[-1] is not None:
        yield from (Feature(_aggregate(graph, "LAST_N", stream, field, few[-1], n)) for n in (1, 2, 3))


def _filtered(
    graph: Graph,
    stream: Stream,
    categorical: list[Field],
    numerical: list[Field],
    several: tuple[Lookback | None, ...],
    few: tuple[Lookback | None, ...],
    survey: Survey,
) -> Iterator[Feature]:
    """The rows of one category: how many, which share of all, how long ago, and their numbers."""
    clear = [(), *((way[0],) for way in parents(graph, stream.table, 1))]
    pairs = [(f, value) for f in categorical if f.hops in clear for value in survey.profile(f.table, f.column).top]
    for field, value in pairs[:MOST_FILTERED]:
        if survey.profile(field.table, field.column).distinct > 50 or not isinstance(value, str | bool | int):
            continue
        kept = Stream(stream.root, stream.hops, Compare("=", field, Constant(value)))
        bounded = few if len(pairs) > 8 else several
        yield from (_feature(graph, "COUNT", kept, None, w) for w in bounded)
        every, some = (_aggregate(graph, "COUNT", s, None, few[-1]) for s in (stream, kept))
        yield Feature(Arithmetic("/", some, every))
        if few[-1] is not None:
            yield _feature(graph, "TIME_SINCE", kept, None, few[-1])
        if len(pairs) <= 8:
            for number in numerical[:3]:
                yield from (_feature(graph, "SUM", kept, number, w) for w in bounded)


def _sideways(graph: Graph, table: Table, lookbacks: Windows, survey: Survey) -> Iterator[Feature]:
    """What others did with the parent that the entity's last event points to: the same product's sales, say."""
    for link in graph.links_to(table.name):
        events = graph.table(link.table)
        if events.happened is None:
            continue
        for other in graph.links_from(events.name):
            if other == link or len(other.columns) != 1 or other.to == table.name:
                continue
            pointing = events.column(other.columns[0])
            field = Field(events.name, pointing.name, pointing.dtype, pointing.kind)
            anchor = _aggregate(
                graph, "LAST", Stream(table.name, (link,)), field, Lookback(None, 0, lookbacks.horizon.unit)
            )
            peers = Stream(other.to, (other,), anchor=anchor)
            yield from (_feature(graph, "COUNT", peers, None, w) for w in lookbacks.few)
            for number in _fields(events, Kind.NUMERICAL, survey)[:3]:
                yield _feature(graph, "AVG", peers, number, lookbacks.few[-1])


def _fields(table: Table, kind: Kind, survey: Survey, hops: tuple[Link, ...] = ()) -> list[Field]:
    return [Field(table.name, c.name, c.dtype, c.kind, hops) for c in survey.usable(table, (kind,))]


def _parent_fields(graph: Graph, stream: Stream, kind: Kind, survey: Survey) -> list[Field]:
    """Columns of the rows that a stream's rows point to, those of its own path left out."""
    links = [link for link in graph.links_from(stream.table) if link not in stream.hops]
    return [f for link in links for f in _fields(graph.table(link.to), kind, survey, (link,))]


def _feature(graph: Graph, function: str, stream: Stream, field: Field | None, window: Lookback | None) -> Feature:
    return Feature(_aggregate(graph, function, stream, field, window))


def _aggregate(
    graph: Graph, function: str, stream: Stream, field: Field | None, window: Lookback | None, n: int | None = None
) -> Aggregate:
    """The aggregate, with its links spelled out where the tables alone do not tell the path."""
    hops = (*stream.hops, *(field.hops if field is not None else ()))
    via = tuple(dict.fromkeys(map(_spelled, hops))) if _ambiguous(graph, stream, field) else ()
    return Aggregate(function, stream, field, window, n, via)


def _spelled(link: Link) -> str:
    """The link as VIA names it: by its first column, which tells it from others of its table."""
    return f"{quoted(link.table)}.{quoted(link.columns[0])}"


def _ambiguous(graph: Graph, stream: Stream, field: Field | None) -> bool:
    """Whether another path of the graph joins the same tables, or the column is a parent's."""
    if field is not None and field.hops:
        return True
    ends = [hops for hops in paths(graph, stream.root) if hops[-1].table == stream.table]
    direct = [hops for hops in ends if len(hops) == 1]
    return len(direct) != 1 if len(stream.hops) == 1 else bool(direct) or len(ends) > 1


__all__ = ["paths", "synthesise", "windows"]
