"""Rows that came, as an engine reads them: all that there is of their table, and nothing of any other."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.compile import identifier
from penstock.engine.relational import ARROW, Relational
from penstock.features.views.bound import Bound
from penstock.features.views.entities import EntityRows
from penstock.lake.rows import as_told
from penstock.lake.streams.positions import CAME
from penstock.lake.versioned import DELETED, KNOWN
from penstock.online.changed import identity, is_whole, read_by, ways_up
from penstock.online.holdings import Holding
from penstock.plan import Rows
from penstock.schema import Dtype, Graph
from penstock.settings import Settings


@dataclass(frozen=True)
class ArrivedRows:
    """Row versions of one table in the dtypes of a graph: `penstock.plan.Rows`. Columns that did not come are NULL."""

    graph: Graph
    table: str
    arrived: pa.Table = field(repr=False)
    fingerprint: str = ""

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of the rows that came; of any other table none."""
        if not columns:
            return pa.table({"_": pa.nulls(len(self.arrived) if table == self.table else 0)}).select([])
        return pa.table([self._column(table, name) for name in columns], names=list(columns))

    def _column(self, table: str, name: str) -> pa.ChunkedArray:
        told = self.graph.table(table).column(name)
        if table != self.table or name not in self.arrived.column_names:
            kind = ARROW[told.dtype] if told.items is None else pa.list_(ARROW[told.items])
            return pa.chunked_array([pa.nulls(len(self.arrived) if table == self.table else 0, kind)])
        return as_told(self.graph.table(table), name, self.arrived[name])


@dataclass(frozen=True)
class Arrivals:
    """Rows of one table that came together, in the order in which they came."""

    bound: Bound
    settings: Settings
    table: str
    rows: pa.Table = field(repr=False)

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def known(self) -> np.ndarray:
        """When each became known, in microseconds."""
        known: np.ndarray = self.rows[KNOWN].cast(pa.int64()).to_numpy()
        return known

    @cached_property
    def came(self) -> np.ndarray:
        """The number by which each came; they rise."""
        return arrived(self.rows)

    @cached_property
    def deleted(self) -> np.ndarray:
        """Which of them say that their key is gone."""
        deleted: np.ndarray = pc.fill_null(self.rows[DELETED], False).to_numpy()
        return deleted

    @cached_property
    def entities(self) -> EntityRows:
        """The rows with the keys of entities that they name."""
        return EntityRows(ArrivedRows(self.bound.graph, self.table, self.rows), self.bound.joins, self.bound.graph)

    @cached_property
    def relational(self) -> Relational:
        """The engine over them."""
        return Relational(self.entities, self.settings)

    @cached_property
    def hashes(self) -> np.ndarray | None:
        """For each row 64 bits that stand for its key; None in a table without one, where every row is another."""
        keys = self.bound.graph.table(self.table).keys
        return hashed(self.entities, self.table, keys, lambda: self.relational) if keys else None

    def identities(self, places: np.ndarray) -> pa.Table:
        """What says which rows some of them are, and where they point."""
        some = self.taken(places)
        columns = identity(self.bound.graph, self.table)
        return some.entities.read(self.table, columns or [self.bound.graph.table(self.table).columns[0].name])

    def taken(self, places: np.ndarray) -> Arrivals:
        """Some of the rows, by their places in order; these, where that is all of them."""
        if len(places) == len(self):
            return self
        return Arrivals(self.bound, self.settings, self.table, self.rows.take(pa.array(places)))


def arrived(rows: pa.Table | pa.RecordBatch) -> np.ndarray:
    """The numbers by which rows came (`penstock.lake.streams.positions`)."""
    numbers: np.ndarray = rows[CAME if CAME in rows.schema.names else KNOWN].cast(pa.int64()).to_numpy()
    return numbers


def hashed(rows: Rows, table: str, keys: Sequence[str], engine: Callable[[], Relational]) -> np.ndarray:
    """For each row of a table 64 bits that stand for its key, in the rows' order: a whole number stands for itself."""
    if len(keys) == 1 and rows.graph.table(table).column(keys[0]).dtype is Dtype.INT:
        numbers: np.ndarray = pc.fill_null(rows.read(table, keys)[0], 0).to_numpy()
        return numbers.view(np.uint64)
    source, columns = engine().source(table, keys), ", ".join(map(identifier, keys))
    found: np.ndarray = engine().query(f"SELECT hash({columns}) AS h FROM {source}")["h"].to_numpy()
    return found


def is_own(holding: Holding, bound: Bound) -> bool:
    """Whether each row of a holding rests on one row of one table and on nothing else.

    Then what a row that came is in the holding can be told from itself, so long as nothing else is known of its key.
    """
    stream = holding.stream
    if len(stream.hops) > 1 or is_whole(holding) or ways_up(holding):
        return False
    table = bound.graph.table(stream.table)
    return read_by(holding, bound.graph, bound.joins) == (stream.table,) and table.known is not None
