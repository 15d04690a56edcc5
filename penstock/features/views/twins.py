"""Keys of several columns told as one text: by what a store looks up parents that are reached by several columns."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.features.views.entities import Virtual, twin_of
from penstock.language.scope import Scope
from penstock.schema import Dtype, Graph, Link, Table

_TOLD = (Dtype.INT, Dtype.FLOAT, Dtype.STRING, Dtype.BOOL, Dtype.TIMESTAMP)
"""Dtypes of which equal values are equal texts in a composed key."""


def twins(graph: Graph) -> Iterator[Virtual]:
    """A virtual table for each table that rows point to by several columns of the dtypes of its key.

    It depends on the schema alone: what is declared beside a view changes nothing of how the view is kept.
    """
    links = Scope(graph, "").links
    for table in graph:
        ways = [(x.table, x.columns) for x in links if x.to == table.name and x.columns[1:] and _fits(graph, x, table)]
        if ways:
            also = (way for way in ways if way != (table.name, table.keys))
            yield Virtual(twin_of(table.name), Dtype.STRING, {table.name: table.keys}, tuple(dict.fromkeys(also)))


def _fits(graph: Graph, link: Link, table: Table) -> bool:
    """Whether equal keys are equal texts at both ends of a link."""
    ours = [table.column(key).dtype for key in table.keys]
    theirs = [graph.table(link.table).column(column).dtype for column in link.columns]
    return ours == theirs and all(dtype in _TOLD for dtype in ours)


__all__ = ["twins"]
