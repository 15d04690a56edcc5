"""Entities as tables of the graph: a key of several columns as one text, and tables for entities that have none.

Features are asked about the rows of a table with one key column. Where an entity's own table is not that, a *virtual*
table stands for it: its rows are the keys that other tables' rows name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from penstock.plan import Rows
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table

KEY = "key"
"""The key column of a virtual table."""


@dataclass(frozen=True)
class Virtual:
    """A virtual table: ``joins`` maps each table that names its rows to the columns that do.

    ``also`` are further joins, of tables that name two of its rows.
    """

    name: str
    dtype: Dtype
    joins: Mapping[str, tuple[str, ...]]
    also: tuple[tuple[str, tuple[str, ...]], ...] = ()

    @property
    def composed(self) -> bool:
        """Whether its key stands for several columns."""
        return any(len(columns) > 1 for columns in self.joins.values())

    @property
    def ways(self) -> tuple[tuple[str, tuple[str, ...]], ...]:
        """All its joins: tables and the columns that point to this one."""
        return (*self.joins.items(), *self.also)

    def column(self, table: str, columns: tuple[str, ...] | None = None) -> str:
        """The column of a table that points to this one by ``columns``; of a composed key it is virtual too.

        Its name says what it is composed of, so that whatever is told by links is told apart by that.
        """
        joined = self.joins[table] if columns is None else columns
        return joined[0] if len(joined) == 1 else f"key of {self.name} by {', '.join(joined)}"

    def made(self, table: str) -> dict[str, tuple[str, ...]]:
        """The columns that a table gets for it, and which columns they are composed of."""
        return {self.column(table, columns): columns for name, columns in self.ways if name == table and columns[1:]}


@dataclass(frozen=True)
class Joins:
    """The virtual tables of a graph, by name."""

    virtual: Mapping[str, Virtual] = field(default_factory=dict)

    def graph(self, graph: Graph) -> Graph:
        """The graph with the virtual tables, their columns and the links to them."""
        tables = [self._with_columns(table) for table in graph.tables]
        links = [*graph.links]
        for one in self.virtual.values():
            tables.append(Table(one.name, (Column(KEY, one.dtype, Kind.ID),), KEY))
            links += [Link(table, one.column(table, columns), one.name) for table, columns in one.ways]
        return replace(graph, tables=tuple(tables), links=tuple(dict.fromkeys(links)))

    def _with_columns(self, table: Table) -> Table:
        more = tuple(Column(name, Dtype.STRING, Kind.ID) for name in self.made(table.name))
        return replace(table, columns=(*table.columns, *more)) if more else table

    def made(self, table: str) -> dict[str, tuple[str, ...]]:
        """The columns that a table gets, and which columns they are composed of."""
        return {name: columns for one in self.virtual.values() for name, columns in one.made(table).items()}


@dataclass(frozen=True)
class EntityRows:
    """The rows of a database with those of its virtual tables: what an engine reads for features."""

    rows: Rows
    joins: Joins
    graph: Graph

    @property
    def fingerprint(self) -> str:
        """Changes whenever any row or the schema may have changed."""
        return f"{self.rows.fingerprint} {self.joins!r}"

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows, virtual ones included."""
        if table in self.joins.virtual:
            return pa.table({name: self._keys(self.joins.virtual[table]) for name in columns})
        made = self.joins.made(table)
        plain = self.rows.read(table, [name for name in dict.fromkeys(columns) if name not in made])
        arrays = [self._composed(table, made[name]) if name in made else plain[name] for name in columns]
        return pa.table(arrays, names=list(columns)) if columns else plain

    def _composed(self, table: str, columns: Sequence[str]) -> pa.ChunkedArray:
        read = self.rows.read(table, list(columns))
        return composed([read[name] for name in columns])

    def _keys(self, virtual: Virtual) -> pa.ChunkedArray:
        """Each key that any row names, once, in order."""
        found = [self.read(table, [virtual.column(table, columns)])[0] for table, columns in virtual.ways]
        kept = [pc.unique(column).drop_null() for column in found]
        keys = pc.unique(pa.chunked_array([piece.cast(kept[0].type) for piece in kept]))
        return pa.chunked_array([keys.take(pc.array_sort_indices(keys))])


def composed(columns: Sequence[pa.ChunkedArray | pa.Array]) -> pa.ChunkedArray | pa.Array:
    r"""Several columns of a key as one text a row; NULL where any of them is.

    ``|`` stands between the parts; in a part it is ``\|`` and a backslash is two, so that different keys differ.

    >>> composed([pa.array(["a|b", "a", None]), pa.array([1, 2, 3])]).to_pylist()
    ['a\\|b|1', 'a|2', None]
    """
    texts = []
    for column in columns:
        text = column.cast(pa.string())
        for mark in ("\\", "|"):
            text = pc.replace_substring(text, mark, f"\\{mark}")
        texts.append(text)
    return reduce(lambda left, right: pc.binary_join_element_wise(left, right, "|"), texts)
