"""A source and its graph as the rows an engine reads."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import SourceError
from penstock.inference.facts import ColumnFacts, Facts
from penstock.inference.infer import declared
from penstock.lake.canonical import ARROW, Canonical, canonical, listed
from penstock.lake.describe import describe
from penstock.lake.reading import read_number, read_text
from penstock.lake.source import Source
from penstock.lake.sources import open_source
from penstock.schema import Column, Dtype, Graph, Table


@dataclass(frozen=True)
class SourceRows:
    """The rows of a source in the dtypes of a graph: what `penstock.plan.Rows` asks for.

    Columns are read when first asked for and kept, together with ``facts`` if given.
    """

    source: Source
    graph: Graph
    facts: Facts | None = None

    @classmethod
    def of(cls, source: object) -> SourceRows:
        """The rows of whatever `open_source` opens, with a graph of only what is declared there."""
        opened = open_source(source)
        facts = describe(opened)
        return cls(opened, declared(facts), facts)

    @cached_property
    def _facts(self) -> Facts:
        return describe(self.source) if self.facts is None else self.facts

    @cached_property
    def _kept(self) -> dict[tuple[str, str], pa.ChunkedArray]:
        return {}

    @cached_property
    def fingerprint(self) -> str:
        """Changes whenever any row or the schema may have changed."""
        told = f"{self.source.fingerprint()}\n{_meaning(self.graph)}"
        return hashlib.blake2b(told.encode(), digest_size=16).hexdigest()

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows of the table, with dtypes as in the graph.

        Raises ``SchemaError`` for names that do not exist and ``SourceError`` for values that cannot be what the graph
        says.
        """
        described = self.graph.table(table)
        arrays = [self._column(table, described.column(name)) for name in columns]
        if not columns:
            return pa.table({"_": pa.nulls(self._facts.table(table).rows)}).select([])
        return pa.table(arrays, names=list(columns))

    def _column(self, table: str, column: Column) -> pa.ChunkedArray:
        place = (table, column.name)
        if place not in self._kept and column.items is not None:
            self._kept[place] = _listed(table, column, self.source.read(table, [column.name])[column.name])
        elif place not in self._kept:
            self._kept[place] = as_dtype(table, column, self._facts.table(table).column(column.name))
        return self._kept[place]


def _meaning(graph: Graph) -> str:
    """The graph without its reasons and notes."""
    tables = [
        (
            t.name,
            [(c.name, str(c.dtype), str(c.kind)) for c in t.columns],
            t.keys,
            t.happened,
            t.known,
            t.deleted,
            t.ends,
        )
        for t in graph
    ]
    return repr((tables, [(link.table, link.columns, link.to) for link in graph.links]))


def as_dtype(table: str, column: Column, facts: ColumnFacts) -> pa.ChunkedArray:
    """A column's values in the dtype that a graph gives it."""
    if column.dtype is facts.dtype:
        return facts.values
    if column.dtype is facts.plain_dtype:
        return facts.plain_values
    try:
        return _converted(facts, column.dtype)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise SourceError(
            "SOURCE_VALUES_MISFIT",
            f"{table}.{column.name} holds values of dtype {facts.dtype} that cannot be read as {column.dtype}: {error}",
        ) from error


def as_told(table: Table, name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Values of a column, whatever type they came in, in the dtype that a schema gives it."""
    column = table.column(name)
    if column.items is not None:
        return _listed(table.name, column, values)
    read = canonical(values)
    return as_dtype(table.name, column, ColumnFacts(name, read.dtype, lambda: read.values))


def _listed(table: str, column: Column, values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Lists with their items as they are, for those that are not read as lists of texts."""
    try:
        return listed(values, column.items or Dtype.STRING)
    except (pa.ArrowException, AttributeError) as error:
        message = f"{table}.{column.name} holds {values.type}, which is no list of {column.items}: {error}"
        raise SourceError("SOURCE_VALUES_MISFIT", message) from error


def _converted(facts: ColumnFacts, wanted: Dtype) -> pa.ChunkedArray:
    if facts.values.null_count == len(facts.values):  # no value speaks against it, as where no row is read
        return pa.chunked_array([pa.nulls(len(facts.values), ARROW[wanted])])
    if wanted is Dtype.TIMESTAMP:
        found = _instants(facts)
        if found is None or found.dtype is not Dtype.TIMESTAMP:
            raise pa.ArrowInvalid("they are no dates")
        return found.values
    if wanted is Dtype.STRING and facts.whole:
        return pc.cast(pc.cast(facts.values, pa.int64()), pa.string())
    return pc.cast(facts.values, ARROW[wanted])


def _instants(facts: ColumnFacts) -> Canonical | None:
    """Instants where a graph says so, whatever the column's name."""
    if facts.dtype is Dtype.STRING:
        return read_text(facts.name, facts.values, numbers=False)
    return read_number(facts.name, facts.values, timely=True) if facts.dtype is Dtype.INT else None
