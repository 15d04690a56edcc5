"""Entities as tables of the graph: a key of several columns as one text, and tables for entities that have none.

Features are asked about the rows of a table with one key column. Where an entity's own table is not that, a *virtual*
table stands for it: its rows are the keys that other tables' rows name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.relational import ARROW
from penstock.plan import Rows
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table

KEY = "key"
"""The key column of a virtual table."""


@dataclass(frozen=True)
class Virtual:
    """A virtual table: ``joins`` maps each table that names its rows to the columns that do.

    ``also`` are further joins, of tables that name two of its rows. ``own`` is the table whose rows the entities are,
    by a key of several columns.
    """

    name: str
    dtype: Dtype
    joins: Mapping[str, tuple[str, ...]]
    also: tuple[tuple[str, tuple[str, ...]], ...] = ()
    own: str | None = None

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
        return joined[0] if len(joined) == 1 else composed_name(self.name, joined)

    def made(self, table: str) -> dict[str, tuple[str, ...]]:
        """The columns that a table gets for it, and which columns they are composed of."""
        return {self.column(table, columns): columns for name, columns in self.ways if name == table and columns[1:]}

    def part(self, column: str) -> str:
        """The column of this table that holds a column of the key of its ``own`` table."""
        return f"{column} of {self.name}"

    @property
    def parts(self) -> dict[str, str]:
        """The columns that hold the key's parts, and what the ``own`` table calls them."""
        return {} if self.own is None else {self.part(column): column for column in self.joins[self.own]}

    def row(self, graph: Graph) -> Link | None:
        """The link to the row of the ``own`` table, by which its columns and its parents are reached."""
        if self.own is None:
            return None
        return Link(self.name, tuple(map(self.part, graph.table(self.own).keys)), self.own)


def composed_name(table: str, columns: Sequence[str]) -> str:
    """The name of a column that composes these into a key of a virtual table."""
    return f"key of {table} by {', '.join(columns)}"


def twin_of(table: str) -> str:
    """The name of the virtual table that has the keys, of several columns, of a table as one text each.

    Where a store looks up rows of the table, it does so by these.
    """
    return f"keys of {table}"


@dataclass(frozen=True)
class Joins:
    """The virtual tables of a graph, by name."""

    virtual: Mapping[str, Virtual] = field(default_factory=dict)

    def graph(self, graph: Graph) -> Graph:
        """The graph with the virtual tables, their columns and the links to them."""
        tables = [self._with_columns(table) for table in graph.tables]
        links = [*graph.links]
        for one in self.virtual.values():
            tables.append(Table(one.name, (Column(KEY, one.dtype, Kind.ID), *_parts(one, graph)), KEY))
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
            return self._virtual(self.joins.virtual[table], columns)
        made = self.joins.made(table)
        plain = self.rows.read(table, [name for name in dict.fromkeys(columns) if name not in made])
        arrays = [self._composed(table, made[name]) if name in made else plain[name] for name in columns]
        return pa.table(arrays, names=list(columns)) if columns else plain

    def _composed(self, table: str, columns: Sequence[str]) -> pa.ChunkedArray:
        read = self.rows.read(table, list(columns))
        return composed([read[name] for name in columns])

    def _virtual(self, virtual: Virtual, columns: Sequence[str]) -> pa.Table:
        """Each key once, with its parts where a row of the ``own`` table has it (else NULL)."""
        keys, parts = self._keys(virtual), virtual.parts
        asked = [name for name in dict.fromkeys(columns) if name in parts]
        found: dict[str, pa.ChunkedArray] = {}
        if asked and virtual.own is not None:
            own = self._composed(virtual.own, virtual.joins[virtual.own])
            place = pc.index_in(keys, value_set=own.combine_chunks())
            read = self.rows.read(virtual.own, [parts[name] for name in asked])
            found = {name: read[parts[name]].take(place) for name in asked}
        return pa.table([found.get(name, keys) for name in columns], names=list(columns))

    def _keys(self, virtual: Virtual) -> pa.ChunkedArray:
        """Each key that any row names, once, in order."""
        found = [self.read(table, [virtual.column(table, columns)])[0] for table, columns in virtual.ways]
        kept = [pc.unique(column).drop_null() for column in found]
        keys = pc.unique(pa.chunked_array([piece.cast(kept[0].type) for piece in kept]))
        return pa.chunked_array([keys.take(pc.array_sort_indices(keys))])


def _parts(virtual: Virtual, graph: Graph) -> tuple[Column, ...]:
    """The columns that hold the parts of a key, for whoever reaches the own table's row by them."""
    if virtual.own is None:
        return ()
    own = graph.table(virtual.own)
    return tuple(replace(own.column(column), name=name) for name, column in virtual.parts.items())


def composed(columns: Sequence[pa.ChunkedArray | pa.Array]) -> pa.ChunkedArray | pa.Array:
    r"""Several columns of a key as one text a row; NULL where any of them is.

    ``|`` stands between the parts; in a part it is ``\|`` and a backslash is two, so that different keys differ. Equal
    keys are equal texts: of the two zeros that a fraction can be it is always the one without a sign.

    >>> composed([pa.array(["a|b", "a", None]), pa.array([1.0, -0.0, 3.5])]).to_pylist()
    ['a\\|b|1', 'a|0', None]
    """
    texts = []
    for column in columns:
        text = (pc.add(column, 0.0) if pa.types.is_floating(column.type) else column).cast(pa.string())
        for mark in ("\\", "|"):
            text = pc.replace_substring(text, mark, f"\\{mark}")
        texts.append(text)
    return reduce(lambda left, right: pc.binary_join_element_wise(left, right, "|"), texts)


def decomposed(keys: pa.Array, dtypes: Mapping[str, Dtype]) -> pa.Table:
    r"""The columns that composed keys stand for, by the names and dtypes that they have.

    One of which some text cannot be read again (an instant after the year 9999) is left out.

    >>> decomposed(pa.array([r"a\|b|1", "|-2"]), {"place": Dtype.STRING, "number": Dtype.INT}).to_pydict()
    {'place': ['a|b', ''], 'number': [1, -2]}
    """
    rows = [[_ESCAPED.sub(r"\1", part) for part in _PART.findall(f"{key}|")] for key in keys.to_pylist()]
    found = {}
    for place, (name, dtype) in enumerate(dtypes.items()):
        texts = pa.array([row[place] for row in rows], pa.string())
        with suppress(pa.ArrowInvalid):
            found[name] = texts.cast(ARROW[dtype])
    return pa.table(found)


_PART, _ESCAPED = re.compile(r"((?:[^\\|]++|\\.)*+)\|", re.DOTALL), re.compile(r"\\(.)", re.DOTALL)
