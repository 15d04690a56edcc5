"""Where features come from: the columns that their values are made of, and those that decide which rows count."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from penstock.expression import Expr
from penstock.features.views.bound import Bound, BoundOnDemand, Chosen, Input
from penstock.features.views.chosen import resolve, view_of
from penstock.plan import Aggregate, Field, Latest, Peers, Stream
from penstock.schema import Graph, Link

Origin = tuple[str, str]
"""A table and its column; ``*`` for rows that are counted."""


@dataclass(frozen=True)
class Lineage:
    """What a feature comes from. ``values`` are the columns that its value is made of; ``uses`` those that decide which
    rows count: keys, links, clocks, filters. ``inputs`` are the features that it is worked out from on demand, and
    ``requested`` the columns of a request.
    """

    feature: Chosen
    values: tuple[Origin, ...]
    uses: tuple[Origin, ...]
    inputs: tuple[Chosen, ...] = ()
    requested: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        """The tables that it reads, in order."""
        return tuple(sorted({table for table, _ in (*self.values, *self.uses)}))

    def to_dict(self) -> dict[str, object]:
        """The same for machines."""
        return {
            "feature": str(self.feature),
            "tables": list(self.tables),
            "values": [".".join(one) for one in self.values],
            "uses": [".".join(one) for one in self.uses],
            "inputs": [str(one) for one in self.inputs],
            "requested": list(self.requested),
        }


def lineage(bound: Bound, view: str, feature: str | None = None) -> tuple[Lineage, ...]:
    """The lineage of a feature, or of all features of a view. Raises ``RequestError`` (``FEATURE_UNKNOWN``)."""
    chosen = resolve(bound, f"{view}:{'*' if feature is None else feature}")
    return tuple(_lineage(bound, one) for one in chosen)


def _lineage(bound: Bound, chosen: Chosen) -> Lineage:
    found = _Found(bound)
    inputs, requested = found.feature(chosen)
    uses = found.uses - found.values
    return Lineage(chosen, tuple(sorted(found.values)), tuple(sorted(uses)), inputs, requested)


@dataclass
class _Found:
    """What is found on the way through expressions."""

    bound: Bound
    values: set[Origin] = field(default_factory=set)
    uses: set[Origin] = field(default_factory=set)

    @property
    def graph(self) -> Graph:
        """The graph with entities."""
        return self.bound.graph

    def feature(self, chosen: Chosen) -> tuple[tuple[Chosen, ...], tuple[str, ...]]:
        """Look through a feature and those it is worked out from; what it needs itself, and of the request."""
        view = view_of(self.bound, chosen.view)
        expression = view.feature(chosen.feature).expression
        if not isinstance(view, BoundOnDemand):
            self._look(expression, self.values)
            self._exists(view.entity.exists)
            return (), ()
        names = view.used(chosen.feature)
        inputs = tuple(Chosen(*view.inputs[name]) for name in names if name in view.inputs)
        for one in inputs:
            self.feature(one)
        return inputs, tuple(name for name in names if name in view.requested)

    def _exists(self, table: str | None) -> None:
        if table is not None:
            self._add(self.uses, table, self.graph.table(table).keys)
            self._clocks(table)

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
        self._add(self.uses, name, [one for one in (table.happened, table.known, table.deleted) if one is not None])

    def _add(self, into: set[Origin], table: str, columns: Iterable[str]) -> None:
        into.update(origin for column in columns for origin in self._real(table, column))

    def _real(self, table: str, column: str) -> Iterator[Origin]:
        """The columns of real tables that stand behind one of a virtual table, or a composed key."""
        virtual = self.bound.joins.virtual.get(table)
        if virtual is not None:
            yield from ((name, one) for name, columns in virtual.ways for one in columns)
        else:
            made = self.bound.joins.made(table)
            yield from ((table, one) for one in made.get(column, (column,)))
