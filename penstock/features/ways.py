"""Ways through the graph as features use them: down to the rows of children, and up to the rows of parents."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.plan import Field, Stream
from penstock.schema import Graph, Link, Table

MOST_HOPS = 3


def paths(graph: Graph, table: str, taken: tuple[Link, ...] = (), most: int = MOST_HOPS) -> Iterator[tuple[Link, ...]]:
    """Every path of links from a table down to its children, grandchildren and theirs; each link at most once."""
    for link in graph.links_to(table):
        if link not in taken and len(taken) < most:
            yield (*taken, link)
            yield from paths(graph, link.table, (*taken, link), most)


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


def pointers(graph: Graph, table: str, most: int = 1) -> Iterator[tuple[Field, Link]]:
    """The columns that point to one parent: the table's own, then those of parents up to ``most`` links above."""
    for hops in ((), *parents(graph, table, most)):
        start = graph.table(hops[-1].to if hops else table)
        for link in graph.links_from(start.name):
            first = next(other for other in graph.links_from(start.name) if other.columns == link.columns)
            if len(link.columns) == 1 and first == link and link.to != table:
                yield field_of(start, link.columns[0], hops), link


def field_of(table: Table, name: str, hops: tuple[Link, ...] = ()) -> Field:
    """A column as a field of rows that reach its table by ``hops``."""
    column = table.column(name)
    return Field(table.name, column.name, column.dtype, column.kind, hops)


def clocked(graph: Graph, stream: Stream) -> bool:
    """Whether a stream's rows have a time: their own, or that of the nearest table on the way."""
    tables = [link.table for link in stream.hops] or [stream.root]
    return any(graph.table(table).happened is not None for table in tables)


def countable(graph: Graph, stream: Stream) -> bool:
    """Whether a stream's rows were known at the cutoff: they have a time, or belong to nothing that has one.

    Lines of an order are an example of what is not, where only the order has a date and the entity is the product:
    without a time all of them would count, future ones too.
    """
    ways = parents(graph, stream.table)
    above = any(graph.table(way[-1].to).happened is not None for way in ways if way[0] not in stream.hops)
    return clocked(graph, stream) or not above


__all__ = ["clocked", "countable", "field_of", "parents", "paths", "pointers"]
