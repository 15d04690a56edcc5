"""Whose rows change when rows of a table do, and which rows of the tables are needed to make a key's rows again.

Both are walks along a stream's path over all row versions, old contents and new: a row that pointed elsewhere before
belongs to both ends.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from penstock.engine.compile import identifier
from penstock.engine.relational import ARROW, TYPES, Relational
from penstock.expression import Expr
from penstock.features.views.entities import Joins
from penstock.online.build import one_array
from penstock.online.holdings import Holding
from penstock.plan import Aggregate, Field, Peers, Rows, Stream, aggregates, fields_of
from penstock.schema import Graph, Link

Changes = Mapping[str, "pa.Table | None"]
"""By table, the columns of `identity` of rows that are new; None where any row of the table may have changed."""


def read_by(holding: Holding, graph: Graph, joins: Joins) -> tuple[str, ...]:
    """The tables whose rows a holding rests on; of a virtual one those that name its rows."""
    found = dict.fromkeys(_tables(holding.stream, graph))
    for expression in _expressions(holding):
        found |= dict.fromkeys(_of_expression(expression, graph))
    real = [name for table in found for name in _real(table, joins)]
    return tuple(dict.fromkeys(real))


def _real(table: str, joins: Joins) -> Iterable[str]:
    return [name for name, _ in joins.virtual[table].ways] if table in joins.virtual else [table]


def _tables(stream: Stream, graph: Graph) -> Iterator[str]:
    yield from [link.table for link in stream.hops] or [stream.root]
    if isinstance(stream.anchor, Peers):
        yield stream.root
        field_ = stream.anchor.field
        yield from [] if field_ is None else [field_.table, *(link.to for link in field_.hops)]
        yield from [] if field_ is None else [link.table for link in field_.hops]
    if stream.where is not None:
        yield from _of_expression(stream.where, graph)


def _of_expression(expression: Expr, graph: Graph) -> Iterator[str]:
    for leaf in fields_of(expression):
        yield from [leaf.table, *(link.to for link in leaf.hops)] if isinstance(leaf, Field) else []
    for inner in aggregates(expression):
        yield from _tables(inner.stream, graph)
        yield from [] if inner.value is None else _of_expression(inner.value, graph)


def _expressions(holding: Holding) -> Iterator[Expr]:
    asked = (*holding.columns, *holding.order_by)
    yield from (one.field for one in asked if one.field is not None)
    yield from (one.where for one in asked if one.where is not None)
    yield from [] if holding.stream.where is None else [holding.stream.where]


def is_whole(holding: Holding) -> bool:
    """Whether one row may change the rows of any key: filters look at aggregates, or rows are those of peers."""
    nested: list[Aggregate] = [inner for expression in _expressions(holding) for inner in aggregates(expression)]
    return bool(nested) or isinstance(holding.stream.anchor, Peers)


def identity(graph: Graph, table: str) -> tuple[str, ...]:
    """The columns that say which row it is and where it points: the key, and those of links."""
    told = graph.table(table)
    links = [column for link in graph.links_from(table) for column in link.columns]
    return tuple(dict.fromkeys((*told.keys, *links)))


def ways_up(holding: Holding) -> tuple[tuple[Link, ...], ...]:
    """The links by which a stream's rows look at parents: each way from its table up, and all that it begins with."""
    fields = [leaf for one in _expressions(holding) for leaf in fields_of(one) if isinstance(leaf, Field)]
    found = {leaf.hops[: depth + 1]: None for leaf in fields for depth in range(len(leaf.hops))}
    return tuple(sorted(found, key=len))


@dataclass(frozen=True)
class Places:
    """Rows of a database, of which only what identifies them is held: to find the ways between keys and rows.

    Each row has a number, ``row``: its place in what ``rows`` reads.
    """

    rows: Rows
    relational: Relational
    _held: dict[str, str] = field(default_factory=dict, repr=False)

    @property
    def graph(self) -> Graph:
        """The schema."""
        return self.rows.graph

    def held(self, table: str) -> str:
        """The quoted name of a table's identities with the rows' numbers."""
        if table not in self._held:
            columns = identity(self.graph, table)
            read = self.rows.read(table, columns or [self.graph.table(table).columns[0].name])
            self._held[table] = self.relational.hold(read.append_column("row", pa.array(np.arange(len(read)))))
        return self._held[table]

    # ------------------------------------------------------------ from rows to keys

    def affected(self, holding: Holding, changes: Changes) -> pa.Array | None:
        """The keys whose rows may be others since ``changes``; None: any."""
        touched = {name: rows for name, rows in changes.items() if rows is None or len(rows)}
        if not touched:
            return pa.array([], ARROW[holding.key])
        if is_whole(holding) or any(rows is None for rows in touched.values()):
            return None
        told = {name: self.relational.hold(rows) for name, rows in touched.items() if rows is not None}
        try:
            found = [text for name, rows in told.items() for text in self._keys_of(holding, name, rows)]
            if not found:
                return pa.array([], ARROW[holding.key])
            text = f"SELECT DISTINCT key FROM ({' UNION ALL '.join(found)}) WHERE key IS NOT NULL ORDER BY key"
            return one_array(self.relational.query(text)["key"], ARROW[holding.key])
        finally:
            for rows in told.values():
                self.relational.drop(rows)

    def _keys_of(self, holding: Holding, table: str, told: str) -> Iterator[str]:
        """SQL for the keys that rows of a table lead to, by each place that it has in the stream."""
        hops, stream = holding.stream.hops, holding.stream
        if not hops and table == stream.root:
            key = identifier(self.graph.table(table).keys[0])
            yield f"SELECT TRY_CAST({key} AS {TYPES[holding.key]}) AS key FROM {told}"
        for depth, link in enumerate(hops):
            if link.table == table:
                yield self._up_the_path(holding, self._versions(table, told), depth)
        for way in ways_up(holding):
            if way[-1].to == table:
                rows = told
                for link in reversed(way):
                    rows = self._children(link, rows)
                if hops:
                    yield self._up_the_path(holding, rows, len(hops) - 1)
                else:
                    key = identifier(self.graph.table(stream.root).keys[0])
                    yield f"SELECT TRY_CAST({key} AS {TYPES[holding.key]}) AS key FROM {rows}"

    def _up_the_path(self, holding: Holding, rows: str, depth: int) -> str:
        for link in reversed(holding.stream.hops[1 : depth + 1]):
            rows = self._parents(link, rows)
        column = identifier(holding.stream.hops[0].columns[0])
        return f"SELECT TRY_CAST({column} AS {TYPES[holding.key]}) AS key FROM {rows}"

    # ------------------------------------------------------------ from keys to rows

    def needed(self, holding: Holding, keys: pa.Array) -> Narrowed:
        """The rows of the database from which alone these keys' rows can be made."""
        if is_whole(holding):
            return Narrowed(self.rows, {})
        held = self.relational.hold(pa.table({"key": keys}))
        try:
            found: dict[str, list[pa.Array]] = {}
            for table, text in self._down(holding, held):
                rows = self.relational.query(f"SELECT DISTINCT row FROM {text}")["row"]
                found.setdefault(table, []).append(one_array(rows, pa.int64()))
        finally:
            self.relational.drop(held)
        return Narrowed(self.rows, {name: np.unique(np.concatenate(several)) for name, several in found.items()})

    def _down(self, holding: Holding, keys: str) -> Iterator[tuple[str, str]]:
        """Each table of the stream's path and of the ways up, with SQL for the rows needed of it."""
        stream = holding.stream
        first = stream.hops[0].table if stream.hops else stream.root
        column = stream.hops[0].columns[0] if stream.hops else self.graph.table(stream.root).keys[0]
        on = f"TRY_CAST(t.{identifier(column)} AS {TYPES[holding.key]}) = k.key"
        rows = self._versions(first, f"(SELECT t.* FROM {self.held(first)} t SEMI JOIN {keys} k ON {on})")
        yield first, rows
        for link in stream.hops[1:]:
            rows = self._versions(link.table, self._children(link, rows))
            yield link.table, rows
        at: dict[tuple[Link, ...], str] = {(): rows}
        for way in ways_up(holding):
            at[way] = self._parents(way[-1], at[way[:-1]])
            yield way[-1].to, at[way]

    # ------------------------------------------------------------ steps

    def _versions(self, table: str, rows: str) -> str:
        """All versions of these rows; of a table without a key all rows that point where these do."""
        columns = self.graph.table(table).keys or identity(self.graph, table)
        return self._semi(table, rows, [(column, column) for column in columns], "IS NOT DISTINCT FROM")

    def _parents(self, link: Link, rows: str) -> str:
        """All versions of the rows that a link of these leads to."""
        pairs = zip(self.graph.table(link.to).keys, link.columns, strict=True)
        return self._semi(link.to, rows, list(pairs), "=", link.to)

    def _children(self, link: Link, rows: str) -> str:
        """The row versions whose link leads to any of these rows."""
        pairs = zip(link.columns, self.graph.table(link.to).keys, strict=True)
        return self._semi(link.table, rows, list(pairs), "=", link.to)

    def _semi(self, table: str, rows: str, pairs: Sequence[tuple[str, str]], same: str, of: str | None = None) -> str:
        """The rows of a table whose columns are those of any of ``rows``, as values of the key of ``of``."""
        kinds: list[str] = [] if of is None else [self._kind(of, key) for key in self.graph.table(of).keys]
        sides = [(f"t.{identifier(ours)}", f"r.{identifier(theirs)}") for ours, theirs in pairs]
        if kinds:
            sides = [
                (f"TRY_CAST({a} AS {kind})", f"TRY_CAST({b} AS {kind})")
                for (a, b), kind in zip(sides, kinds, strict=True)
            ]
        on = " AND ".join(f"{ours} {same} {theirs}" for ours, theirs in sides) or "TRUE"
        return f"(SELECT t.* FROM {self.held(table)} t SEMI JOIN {rows} r ON {on})"

    def _kind(self, table: str, column: str) -> str:
        return TYPES[self.graph.table(table).column(column).dtype]


@dataclass(frozen=True)
class Narrowed:
    """Rows of which some tables give only those of certain numbers (``kept``, rising), to make some keys' rows from."""

    rows: Rows
    kept: Mapping[str, np.ndarray]

    @property
    def graph(self) -> Graph:
        """The schema."""
        return self.rows.graph

    @property
    def fingerprint(self) -> str:
        """That of all rows: what is narrowed is never kept."""
        return self.rows.fingerprint

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of the rows kept; a few columns of all rows are in memory at a time."""
        kept = self.kept.get(table)
        if kept is None:
            return self.rows.read(table, columns)
        places, taken = pa.array(kept), []
        for first in range(0, len(columns), _AT_ONCE):
            read = self.rows.read(table, columns[first : first + _AT_ONCE])
            taken += read.take(places).columns
        return pa.table(taken, names=list(columns))


_AT_ONCE = 8
"""So many columns are read at a time."""

__all__ = ["Changes", "Narrowed", "Places", "identity", "is_whole", "read_by"]
