"""What differs between two snapshots, table by table."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from penstock.lake.sql import Sql
from penstock.lake.versioned import Lake, VersionedTable
from penstock.lake.versioned.scan import quoted


@dataclass(frozen=True)
class TableDifference:
    """One table in two versions (0: not there): rows added and removed, and one row for each value that changed."""

    table: str
    before: int
    after: int
    added: pa.Table
    removed: pa.Table
    changed: pa.Table

    def parts(self) -> tuple[tuple[str, pa.Table], ...]:
        """The three kinds of difference by name."""
        return ("added", self.added), ("removed", self.removed), ("changed", self.changed)

    def __str__(self) -> str:
        told = ", ".join(f"{table.num_rows:,} {_counted(kind)}" for kind, table in self.parts())
        return f"{self.table} (version {self.before} to {self.after}): {told}"

    def to_dict(self, rows: int) -> dict[str, object]:
        """Counts, and the first rows of each kind."""
        counts = {kind: table.num_rows for kind, table in self.parts()}
        shown = {kind: table.slice(0, rows).to_pylist() for kind, table in self.parts()}
        return {"table": self.table, "before": self.before, "after": self.after, "counts": counts, "rows": shown}


def _counted(kind: str) -> str:
    return "values changed" if kind == "changed" else f"rows {kind}"


def differences(lake: Lake, before: Mapping[str, int], after: Mapping[str, int]) -> Iterator[TableDifference]:
    """The tables that differ between two sets of versions, by name."""
    for name in sorted({*before, *after}):
        one, other = before.get(name, 0), after.get(name, 0)
        if one != other:
            found = difference(lake.table(name), one, other)
            if any(table.num_rows for _, table in found.parts()) or 0 in (one, other):
                yield found


def difference(table: VersionedTable, before: int, after: int) -> TableDifference:
    """One table in two versions, 0 standing for an empty one."""
    if before and after:
        found = table.diff(before, after)
        return TableDifference(table.name, before, after, found.added, found.removed, found.changed)
    with Sql({table.name: table.scan(before or after)}) as sql:
        rows = sql.arrow(f"SELECT * FROM {quoted(table.name)}")
    none, changed = rows.slice(0, 0), pa.table({"column": pa.array([], pa.string())})
    added, removed = (none, rows) if before else (rows, none)
    return TableDifference(table.name, before, after, added, removed, changed)
