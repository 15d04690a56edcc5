"""What synthesis stands on: a query, what its data looks like, its windows; and aggregates spelled to read back."""

from __future__ import annotations

from dataclasses import dataclass, field

from penstock.features.definitions import Feature
from penstock.features.lookbacks import Windows
from penstock.features.survey import Survey
from penstock.features.ways import paths
from penstock.language import Query
from penstock.plan import Aggregate, Field, Stream, quoted
from penstock.schema import Graph, Kind, Link, Table
from penstock.window import Lookback

MOST_COLUMNS = 24
"""How many columns of one kind a stream's features are about."""


@dataclass(frozen=True)
class Ground:
    """A query's surroundings. ``span`` is how far its data reaches, in microseconds, and ``end`` where it ends."""

    query: Query
    survey: Survey
    lookbacks: Windows
    span: int
    end: int
    _paths: dict[str, tuple[tuple[Link, ...], ...]] = field(default_factory=dict, repr=False)

    @property
    def past(self) -> tuple[Lookback, ...]:
        """The few windows for rows of others.

        Where a column is asked about, what happened at the row's own moment may be the answer: it is left out.
        """
        return self.lookbacks.before if self.query.static else self.lookbacks.few

    @property
    def graph(self) -> Graph:
        """The schema."""
        return self.query.graph

    @property
    def entity(self) -> Table:
        """The table whose rows are asked about."""
        return self.graph.table(self.query.entity)

    def paths(self, table: str) -> tuple[tuple[Link, ...], ...]:
        """Every path down from a table."""
        if table not in self._paths:
            self._paths[table] = tuple(paths(self.graph, table))
        return self._paths[table]

    def within(self, stream: Stream, windows: tuple[Lookback, ...]) -> tuple[Lookback, ...]:
        """The windows that are shorter than all the stream's history, and the last of them."""
        spans = [self.survey.span(link.table) for link in reversed(stream.hops)]
        first = next((span[0] for span in spans if span is not None), self.end)
        return (*(w for w in windows[:-1] if (w.microseconds or 0) < self.end - first), windows[-1])

    def fields(self, table: Table, *kinds: Kind, hops: tuple[Link, ...] = ()) -> list[Field]:
        """The table's columns of these kinds that vary, as fields of rows that reach it by ``hops``."""
        usable = self.survey.usable(table, kinds)
        return [Field(table.name, c.name, c.dtype, c.kind, hops) for c in usable[:MOST_COLUMNS]]

    def around(self, stream: Stream, *kinds: Kind) -> list[Field]:
        """Columns of a stream's rows, then of the rows they point to, those of its own path left out."""
        table = self.graph.table(stream.table)
        links = [link for link in self.graph.links_from(table.name) if link not in stream.hops] if stream.hops else []
        beyond = [f for link in links for f in self.fields(self.graph.table(link.to), *kinds, hops=(link,))]
        return [*self.fields(table, *kinds), *beyond][:MOST_COLUMNS]

    def aggregate(
        self, function: str, stream: Stream, value: Field | None, window: Lookback | None, n: int | None = None
    ) -> Aggregate:
        """The aggregate, with its links spelled out where the tables alone do not tell the path."""
        hops = (*stream.hops, *(value.hops if value is not None else ()))
        via = tuple(dict.fromkeys(map(_spelled, hops))) if self._ambiguous(stream, value) else ()
        return Aggregate(function, stream, value, window, n, via)

    def feature(
        self, family: str, function: str, stream: Stream, value: Field | None, window: Lookback | None, rank: int = 0
    ) -> Feature:
        """A feature that is one aggregate."""
        return Feature(self.aggregate(function, stream, value, window), family=family, rank=rank)

    def _ambiguous(self, stream: Stream, value: Field | None) -> bool:
        """Whether another path of the graph joins the same tables, or the column is a parent's."""
        if value is not None and value.hops:
            return True
        if not stream.hops:
            return False
        ends = [hops for hops in self.paths(stream.root) if hops[-1].table == stream.table]
        direct = [hops for hops in ends if len(hops) == 1]
        if stream.table == stream.root:
            return True
        return len(direct) != 1 if len(stream.hops) == 1 else bool(direct) or len(ends) > 1


def _spelled(link: Link) -> str:
    """The link as VIA names it: by its first column, which tells it from others of its table."""
    return f"{quoted(link.table)}.{quoted(link.columns[0])}"


__all__ = ["Ground"]
