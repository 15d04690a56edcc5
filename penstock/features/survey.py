"""What the rows known at an instant look like, as far as synthesis needs to know: spans, categories, what varies.

Only rows that had happened by that instant are looked at, so that what comes later cannot choose the features.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from penstock.plan import Rows
from penstock.schema import Column, Dtype, Kind, Table

MOST_CATEGORIES = 8
"""How many of a column's most frequent values get counts of their own."""


@dataclass(frozen=True)
class Profile:
    """A column of a table as of an instant: how many distinct values, the most frequent, and the share of NULL."""

    distinct: int
    top: tuple[object, ...]
    nulls: float


@dataclass(frozen=True)
class Survey:
    """Answers about a database's rows up to ``until`` (microseconds); each is worked out once.

    ``left_out`` are columns (table, name) of which no feature may be made.
    """

    rows: Rows
    until: int
    left_out: frozenset[tuple[str, str]] = frozenset()
    _profiles: dict[tuple[str, str], Profile] = field(default_factory=dict, repr=False)
    _varying: dict[tuple[str, str], bool] = field(default_factory=dict, repr=False)
    _masks: dict[str, pa.ChunkedArray | None] = field(default_factory=dict, repr=False)
    _spans: dict[str, tuple[int, int] | None] = field(default_factory=dict, repr=False)

    def profile(self, table: str, column: str) -> Profile:
        """The column's profile."""
        if (table, column) not in self._profiles:
            self._profiles[table, column] = self._look(table, column)
        return self._profiles[table, column]

    def _look(self, table: str, column: str) -> Profile:
        values = self._seen(table, column)
        if pa.types.is_list(values.type) or len(values) == 0:
            return Profile(0, (), 1.0)
        counts = values.drop_null().value_counts()
        ordered = (
            sorted(counts.to_pylist(), key=lambda e: (-e["counts"], str(e["values"]))) if len(counts) < 5_000 else []
        )
        top = tuple(entry["values"] for entry in ordered[:MOST_CATEGORIES] if entry["counts"] >= 20)
        return Profile(len(counts), top, values.null_count / len(values))

    def _seen(self, table: str, column: str) -> pa.ChunkedArray:
        """The column in the rows that had happened; one without a time of its own, with the row it belongs to."""
        values = self.rows.read(table, [column])[column]
        if table not in self._masks:
            self._masks[table] = self._happened(self.rows.graph.table(table))
        mask = self._masks[table]
        return values if mask is None else values.filter(mask)

    def _happened(self, table: Table) -> pa.ChunkedArray | None:
        """Whether each row had happened; None where nothing says when rows do."""
        if table.happened is not None:
            times = self.rows.read(table.name, [table.happened])[table.happened]
            return pc.less_equal(times.cast(pa.int64()), self.until)
        links = [link for link in self.rows.graph.links_from(table.name) if len(link.columns) == 1]
        for link in links:
            parent = self.rows.graph.table(link.to)
            if parent.happened is not None and len(parent.keys) == 1:
                read = self.rows.read(parent.name, list(dict.fromkeys([parent.keys[0], parent.happened])))
                earlier = read.filter(pc.less_equal(read[parent.happened].cast(pa.int64()), self.until))
                pointing = self.rows.read(table.name, [link.columns[0]])[link.columns[0]]
                return pc.is_in(pointing, earlier[parent.keys[0]].combine_chunks().cast(pointing.type))
        return None

    def span(self, table: str) -> tuple[int, int] | None:
        """The first and last instant at which a row of the table happened, up to ``until``; None without a clock."""
        if table not in self._spans:
            self._spans[table] = self._measure(self.rows.graph.table(table))
        return self._spans[table]

    def _measure(self, table: Table) -> tuple[int, int] | None:
        if table.happened is None:
            return None
        extremes = pc.min_max(self._seen(table.name, table.happened).cast(pa.int64()))
        low, high = extremes["min"].as_py(), extremes["max"].as_py()
        return None if low is None else (low, high)

    def varies(self, table: str, column: Column) -> bool:
        """Whether the column has at least two values, or one and NULLs."""
        if (table, column.name) not in self._varying:
            values = self._seen(table, column.name)
            extremes = pc.min_max(values)
            one = extremes["min"].as_py() == extremes["max"].as_py()  # NULL where nothing is known
            self._varying[table, column.name] = 0 < values.null_count < len(values) or not one
        return self._varying[table, column.name]

    def count(self, table: str) -> int:
        """How many rows the table has."""
        known = self.rows.graph.table(table)
        return self.rows.read(table, [known.columns[0].name]).num_rows if known.rows is None else known.rows

    def usable(self, table: Table, kinds: tuple[Kind, ...]) -> list[Column]:
        """The table's columns of these kinds that vary; its clocks left out."""
        clocks = {table.happened, table.known, table.deleted, table.ends}
        return [
            column
            for column in table.columns
            if column.kind in kinds
            and column.dtype not in (Dtype.LIST, Dtype.OTHER)
            and column.name not in clocks
            and (table.name, column.name) not in self.left_out
            and self.varies(table.name, column)
        ]
