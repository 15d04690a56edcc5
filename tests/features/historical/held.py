"""Tables in memory with a schema said by hand, and features asked of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from penstock.engine.relational import ARROW, Relational
from penstock.features.historical import historical
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions, Entity, Service, View
from penstock.features.views.entities import EntityRows
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table
from penstock.settings import Settings
from tests.engines import relational

SETTINGS = Settings(memory=1 << 30, threads=1, cache=None)
DAY = 86_400_000_000
D = [None, *(1_767_225_600_000_000 + day * DAY for day in range(9))]
"""D[1], D[2], …: 2026-01-01, 02, … at midnight UTC, in microseconds."""


@dataclass(frozen=True)
class Held:
    """A database in memory."""

    graph: Graph
    tables: Mapping[str, pa.Table]
    fingerprint: str = "held"

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns."""
        return self.tables[table].select(list(columns))


def schema(name: str, columns: Mapping[str, Dtype], **roles: Any) -> Table:
    """A table of the graph."""
    return Table(name, tuple(Column(c, d, Kind.CATEGORICAL) for c, d in columns.items()), **roles)


def filled(table: Table, rows: Sequence[Sequence[Any]]) -> pa.Table:
    """A table's rows, given as tuples of values in the order of its columns."""
    columns = {c.name: pa.array([row[at] for row in rows], ARROW[c.dtype]) for at, c in enumerate(table.columns)}
    return pa.table(columns)


@dataclass(frozen=True)
class Store:
    """Definitions over a database."""

    held: Held
    bound: Bound
    settings: Settings = SETTINGS

    @classmethod
    def of(
        cls,
        rows: Mapping[Table, Sequence[Sequence[Any]] | pa.Table],
        entities: Sequence[Entity],
        views: Sequence[View],
        links: Sequence[Link] = (),
        services: Sequence[Service] = (),
        settings: Settings = SETTINGS,
    ) -> Store:
        """The definitions fitted to these tables."""
        graph = Graph(tuple(rows), tuple(links))
        tables = {t.name: given if isinstance(given, pa.Table) else filled(t, given) for t, given in rows.items()}
        told = Definitions(
            {one.name: one for one in entities}, {one.name: one for one in views}, {one.name: one for one in services}
        )
        return cls(Held(graph, tables), bind(told, graph), settings)

    @property
    def relational(self) -> Relational:
        """The engine's view of the rows."""
        rows = EntityRows(self.held, self.bound.joins, self.bound.graph)
        return relational(rows, self.settings)

    def ask(self, spine: object, features: str | Sequence[str], **how: Any) -> pa.Table:
        """The spine with the features' values."""
        relational = self.relational
        try:
            return historical(self.bound, relational, spine, features, **how)
        finally:
            relational.connection.close()


def spine_of(rows: Sequence[tuple[Any, int | None]], key: str = "id", kind: pa.DataType | None = None) -> pa.Table:
    """A spine of pairs of a key and an instant."""
    keys = pa.array([row[0] for row in rows], kind or pa.int64())
    return pa.table({key: keys, "cutoff": pa.array([row[1] for row in rows], pa.timestamp("us"))})
