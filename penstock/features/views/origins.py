"""The columns that an expression reads: those that its value is made of, and those that decide which rows count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from penstock.expression import Expr
from penstock.features.views.entities import Joins
from penstock.plan import Aggregate, Field, Input, Latest, Peers, Stream
from penstock.schema import Graph, Link

Origin = tuple[str, str]
"""A table and its column; ``*`` for rows that are counted."""


@dataclass
class Origins:
    """What is found on the way through expressions, by columns of real tables; what decides rows is in ``uses``."""

    graph: Graph
    joins: Joins
    values: set[Origin] = field(default_factory=set)
    uses: set[Origin] = field(default_factory=set)

    @classmethod
    def of(cls, graph: Graph, joins: Joins, expression: Expr, exists: str | None) -> Origins:
        """What one expression reads, about entities that are in the table ``exists`` (None: in any)."""
        found = cls(graph, joins)
        found.add(expression, exists)
        return found

    def add(self, expression: Expr, exists: str | None) -> None:
        """What an expression reads, too."""
        self._look(expression, self.values)
        if exists is not None:
            self._add(self.uses, exists, self.graph.table(exists).keys)
            self._clocks(exists)

    @property
    def tables(self) -> frozenset[str]:
        """The tables that are read."""
        return frozenset(table for table, _ in self.values | self.uses)

    def _look(self, node: Expr, into: set[Origin]) -> None:
        """The origins of an expression's values ``into`` a set, and what decides its rows into ``uses``."""
        if isinstance(node, Field):
            self._add(into, node.table, (node.column,))
            self._links(node.hops)
        elif isinstance(node, Latest):
            self._add(into, node.stream.table, (node.column,))
            self._stream(node.stream)
        elif isinstance(node, Aggregate):
            if node.value is None:
                self._add(into, node.stream.table, ("*",))
            else:
                self._look(node.value, into)
            self._stream(node.stream)
        elif not isinstance(node, Input):
            for child in node.children:
                self._look(child, into)

    def _stream(self, stream: Stream) -> None:
        self._links(stream.hops)
        self._clocks(stream.table)
        anchor = stream.anchor.field if isinstance(stream.anchor, Peers) else stream.anchor
        for part in (stream.where, anchor):
            if part is not None:
                self._look(part, self.uses)

    def _links(self, links: Iterable[Link]) -> None:
        for link in links:
            self._add(self.uses, link.table, link.columns)

    def _clocks(self, name: str) -> None:
        table = self.graph.table(name)
        clocks = (one for one in (table.happened, table.known) if one is not None and one not in table.own)
        self._add(self.uses, name, clocks)

    def _add(self, into: set[Origin], table: str, columns: Iterable[str]) -> None:
        into.update(origin for column in columns for origin in self._real(table, column))

    def _real(self, table: str, column: str) -> Iterator[Origin]:
        """The columns of real tables that stand behind one of a virtual table, or a composed key."""
        virtual = self.joins.virtual.get(table)
        if virtual is not None and virtual.own is not None and column in virtual.parts:
            yield virtual.own, virtual.parts[column]
        elif virtual is not None:
            yield from ((name, one) for name, columns in virtual.ways for one in columns)
        else:
            made = self.joins.made(table)
            yield from ((table, one) for one in made.get(column, (column,)))
