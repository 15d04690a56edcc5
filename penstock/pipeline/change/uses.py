"""Which columns a question and its features read: what must not change under them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from penstock.expression import Expr
from penstock.language import Query
from penstock.plan import Age, Aggregate, Field, Peers, Stream
from penstock.schema import Graph, Link, Table

Use = tuple[str, str | None]
"""A table and a column of it; None: the table as a whole, whatever its columns."""


def uses_of_query(query: Query, graph: Graph, features: Iterable[Expr] = ()) -> frozenset[Use]:
    """The columns that a question, its conditions and these features of its entity read.

    Keys, links and clocks on the way to them are among those: without them no row is found, or none at its time.
    """
    entity = graph.table(query.entity)
    found: set[Use] = {(entity.name, query.key), *_clocks(entity)}
    found |= {(entity.name, entity.ends)} if entity.ends else set()
    found |= set(_link(query.items, graph)) if query.items is not None else set()
    for expression in (query.target, query.where, query.assuming, *features):
        found |= uses_of(expression, graph)
    return frozenset(found)


def uses_of(expression: Expr | None, graph: Graph) -> frozenset[Use]:
    """The columns that a bound expression reads, with the keys, links and clocks on the way."""
    return frozenset(_uses(expression, graph)) if expression is not None else frozenset()


def _uses(expression: Expr, graph: Graph) -> Iterator[Use]:
    if isinstance(expression, Field):
        yield (expression.table, expression.column)
        yield from _path(expression.hops, graph)
    elif isinstance(expression, Age):
        yield from _uses(expression.field, graph)
    elif isinstance(expression, Peers):
        yield from _uses(expression.field, graph) if expression.field is not None else ()
    elif isinstance(expression, Aggregate):
        yield from _stream(expression.stream, graph)
        yield from _uses(expression.value, graph) if expression.value is not None else ()
    else:
        for child in expression.children:
            yield from _uses(child, graph)


def _stream(stream: Stream, graph: Graph) -> Iterator[Use]:
    yield from _clocks(graph.table(stream.table))
    yield from _path(stream.hops, graph)
    for expression in (stream.where, stream.anchor):
        yield from _uses(expression, graph) if expression is not None else ()


def _path(hops: Iterable[Link], graph: Graph) -> Iterator[Use]:
    for link in hops:
        yield from _link(link, graph)
        yield from _clocks(graph.table(link.table))
        yield from _clocks(graph.table(link.to))


def _link(link: Link, graph: Graph) -> Iterator[Use]:
    yield from ((link.table, column) for column in link.columns)
    yield from ((link.to, column) for column in graph.table(link.to).keys)


def _clocks(table: Table) -> Iterator[Use]:
    yield from ((table.name, column) for column in (table.happened, table.known, table.deleted) if column)
