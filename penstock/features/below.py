"""What the rows below an entity tell: how many there were and when, their numbers, categories and texts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from penstock.expression import Arithmetic, Call, Compare, Constant, Expr
from penstock.features.definitions import Feature
from penstock.features.ground import Ground
from penstock.features.ways import clocked, countable, parents
from penstock.plan import Field, Stream
from penstock.schema import Kind
from penstock.window import Lookback, Unit

MOST_PATHS = 24
MOST_FILTERED = 24
"""How many filtered streams (one category each) a path may get."""
LAST_ROWS = tuple(Lookback(-count, 0, Unit.ROWS) for count in (3, 5, 10, 30))
LAST_FEW = LAST_ROWS[1]
MOST_DISTINCT = 50
"""With more values than this, no single one of a column gets counts of its own."""


def streams(ground: Ground) -> list[Stream]:
    """The entity's own streams: the shortest paths first."""
    found = [Stream(ground.entity.name, hops) for hops in ground.paths(ground.entity.name)]
    return sorted((s for s in found if countable(ground.graph, s)), key=lambda s: len(s.hops))[:MOST_PATHS]


def about_rows(ground: Ground, stream: Stream) -> Iterator[Feature]:
    """Everything about one stream: its rows, its columns, its parents' columns, and its rows of one category."""
    timed = clocked(ground.graph, stream)
    several: tuple[Lookback | None, ...] = ground.within(stream, ground.lookbacks.all) if timed else (None,)
    few: tuple[Lookback | None, ...] = ground.within(stream, ground.lookbacks.few) if timed else (None,)
    deep = 3 * (len(stream.hops) - 1)
    yield from _counts(ground, stream, several, few, deep)
    numerical, categorical = ground.around(stream, Kind.NUMERICAL), ground.around(stream, Kind.CATEGORICAL)
    for place, field in enumerate(numerical):
        rank = deep + 1 + place // 4
        yield from _numbers(ground, stream, field, several if not field.hops else few, few, rank)
    for place, field in enumerate(categorical):
        yield from _categories(ground, stream, field, few, deep + 1 + place // 4)
    for field in _pointing(ground, stream):
        yield from (ground.feature("categories", "COUNT_DISTINCT", stream, field, w, deep + 2) for w in few)
    if timed and len(stream.hops) <= 2:
        for field in ground.fields(ground.graph.table(stream.table), Kind.TEXT)[:2]:
            yield ground.feature("texts", "LAST", stream, field, few[-1], deep + 2)
    yield from _filtered(ground, stream, categorical, numerical, several, few, deep + 2)


def _counts(
    ground: Ground,
    stream: Stream,
    several: tuple[Lookback | None, ...],
    few: tuple[Lookback | None, ...],
    rank: int,
) -> Iterator[Feature]:
    """How many rows, how that changed (ratios of neighbouring windows), and how long ago the last was."""
    counts = [ground.aggregate("COUNT", stream, None, window) for window in several]
    for window, count in zip(several, counts, strict=True):
        yield Feature(count, family="counts of rows", rank=rank if window in few else rank + 1)
    for short, long in pairwise(counts):
        yield Feature(Arithmetic("/", short, long), family="counts of rows", rank=rank + 1)
    if several[-1] is not None:
        yield from _rhythm(ground, stream, several[-1], rank)


def _rhythm(ground: Ground, stream: Stream, ever: Lookback, rank: int) -> Iterator[Feature]:
    """How long ago the last row was, how far apart rows come, whether that changed, and whether one is overdue."""
    since, usual = (ground.aggregate(name, stream, None, ever) for name in ("TIME_SINCE", "GAP"))
    lately = ground.aggregate("GAP", stream, None, LAST_FEW)
    yield Feature(since, family="rhythm", rank=rank)
    for expression in (usual, lately, Arithmetic("/", lately, usual), Arithmetic("/", since, usual)):
        yield Feature(expression, family="rhythm", rank=rank + 1)


def _numbers(
    ground: Ground,
    stream: Stream,
    field: Field,
    several: tuple[Lookback | None, ...],
    few: tuple[Lookback | None, ...],
    rank: int,
) -> Iterator[Feature]:
    """Level, extremes, spread and direction of a number."""

    def made(function: str, window: Lookback | None, further: int = 0) -> Feature:
        return ground.feature("numbers", function, stream, field, window, rank + further)

    for window in several:
        further = 0 if window in few else 1
        yield made("SUM", window, further)
        yield made("AVG", window, further)
    yield from (made(name, few[-1]) for name in ("MIN", "MAX", "STDDEV"))
    if few[-1] is not None:
        yield made("LAST", few[-1])
        yield from (made("AVG", rows) for rows in (LAST_ROWS if len(stream.hops) == 1 else LAST_ROWS[1:2]))
        yield from (made(name, w, 1) for name in ("MAX", "TREND") for w in few[:-1])
        yield from _change(ground, stream, field, few, "numbers", rank)


def _change(
    ground: Ground, stream: Stream, field: Field, few: tuple[Lookback | None, ...], family: str, rank: int
) -> Iterator[Feature]:
    """How much of what was added up lately was added up most lately."""
    for short, long in pairwise(few):
        parts = [ground.aggregate("SUM", stream, field, window) for window in (short, long)]
        yield Feature(Arithmetic("/", *parts), family=family, rank=rank)


def _categories(
    ground: Ground, stream: Stream, field: Field, few: tuple[Lookback | None, ...], rank: int
) -> Iterator[Feature]:
    """Which categories: how many, the usual one, how mixed, and the last three in order."""
    yield from (ground.feature("categories", "COUNT_DISTINCT", stream, field, w, rank + 1) for w in few)
    yield from (ground.feature("categories", name, stream, field, few[-1], rank) for name in ("MODE", "ENTROPY"))
    if few[-1] is not None:
        for n in (1, 2, 3):
            yield Feature(ground.aggregate("LAST_N", stream, field, few[-1], n), family="last categories", rank=rank)
        if len(stream.hops) == 1 and ground.survey.profile(field.table, field.column).distinct <= MOST_DISTINCT:
            change = tuple(ground.aggregate("LAST_N", stream, field, few[-1], n) for n in (2, 1))
            yield Feature(Call("PAIR", change), family="last categories", rank=rank)


def _pointing(ground: Ground, stream: Stream) -> list[Field]:
    """The columns of a stream's rows that point to parents off its path."""
    table = ground.graph.table(stream.table)
    links = [x for x in ground.graph.links_from(stream.table) if x not in stream.hops and len(x.columns) == 1]
    columns = [table.column(link.columns[0]) for link in links]
    return [Field(table.name, c.name, c.dtype, c.kind) for c in columns]


def _filtered(
    ground: Ground,
    stream: Stream,
    categorical: list[Field],
    numerical: list[Field],
    several: tuple[Lookback | None, ...],
    few: tuple[Lookback | None, ...],
    rank: int,
) -> Iterator[Feature]:
    """The rows of one category: how many, which share of all, how long ago, and their numbers."""
    pairs = list(kept_rows(ground, stream, categorical))[:MOST_FILTERED]
    for place, kept in enumerate(pairs):
        own, bounded = rank + place // 8, few if len(pairs) > 8 else several
        yield from (ground.feature("rows of one category", "COUNT", kept, None, w, own) for w in bounded)
        yield Feature(share(ground, stream, kept, few[-1]), family="rows of one category", rank=own)
        if few[-1] is not None:
            yield ground.feature("rows of one category", "TIME_SINCE", kept, None, few[-1], own)
        if len(pairs) <= 8:
            for number in numerical[:3]:
                yield from (ground.feature("rows of one category", "SUM", kept, number, w, own + 1) for w in bounded)
                yield from _change(ground, kept, number, few, "rows of one category", own + 1)


def kept_rows(ground: Ground, stream: Stream, categorical: list[Field]) -> Iterator[Stream]:
    """The stream once for each frequent value of these columns: its rows of that value."""
    clear = [(), *((way[0],) for way in parents(ground.graph, stream.table, 1))]
    for field in categorical:
        profile = ground.survey.profile(field.table, field.column) if field.hops in clear else None
        if profile is None or profile.distinct > MOST_DISTINCT:
            continue
        for value in profile.top:
            if isinstance(value, str | bool | int):
                yield replace(stream, where=Compare("=", field, Constant(value)))


def share(ground: Ground, stream: Stream, kept: Stream, window: Lookback | None) -> Expr:
    """The share of a stream's rows that are kept."""
    return Arithmetic(
        "/", ground.aggregate("COUNT", kept, None, window), ground.aggregate("COUNT", stream, None, window)
    )


__all__ = ["about_rows", "kept_rows", "share", "streams"]
