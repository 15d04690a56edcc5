"""What is true in one version of a table and not in another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from penstock.lake.versioned.roles import DELETED, KNOWN
from penstock.lake.versioned.scan import Scan, ScanColumn, quoted, text

if TYPE_CHECKING:
    from penstock.lake.sql import Sql


@dataclass(frozen=True)
class Differences:
    """The current rows of two versions compared: by key, or as bags of rows where the table has no key.

    ``added`` holds rows of the later version, with its columns; ``removed`` rows of the earlier one, with its own;
    ``changed`` has one row for each value that differs: the key, then ``column`` (as the later version calls it),
    ``before`` and ``after`` as text, NULL where there is no value. Without a key nothing counts as changed.
    """

    added: pa.Table
    removed: pa.Table
    changed: pa.Table

    def __bool__(self) -> bool:
        return any(table.num_rows for table in (self.added, self.removed, self.changed))


def differences(before: Scan, after: Scan) -> Differences:
    """Compare two scans of one table. Columns are the same by field id, whatever their names."""
    from penstock.lake.sql import Sql

    columns = _both(before, after)
    old = Scan(before.files, columns, after.key, before.several)
    new = Scan(after.files, columns, after.key, after.several)
    with Sql({"before": old, "after": new}) as sql:
        if not after.key:
            return _of_bags(sql, before, after)
        added = sql.arrow(f"SELECT {_shown(after, after)} FROM after {_absent(after, 'after', 'before')}")
        removed = sql.arrow(f"SELECT {_shown(before, after)} FROM before {_absent(after, 'before', 'after')}")
        return Differences(added, removed, sql.arrow(_changed(columns, after)))


def _of_bags(sql: Sql, before: Scan, after: Scan) -> Differences:
    compared = ", ".join(quoted(c.name) for c in _both(before, after) if c.name not in (KNOWN, DELETED))
    added = sql.arrow(
        f"SELECT {_shown(after, after)} FROM (SELECT {compared} FROM after EXCEPT ALL SELECT {compared} FROM before)"
    )
    removed = sql.arrow(
        f"SELECT {_shown(before, after)} FROM (SELECT {compared} FROM before EXCEPT ALL SELECT {compared} FROM after)"
    )
    nothing = pa.schema([("column", pa.string()), ("before", pa.string()), ("after", pa.string())]).empty_table()
    return Differences(added, removed, nothing)


def _both(before: Scan, after: Scan) -> tuple[ScanColumn, ...]:
    """The columns of the later version and those that it has no longer, under names of their own."""
    ids = {column.field_id for column in after.columns}
    return *after.columns, *(_former(column, after) for column in before.columns if column.field_id not in ids)


def _former(column: ScanColumn, after: Scan) -> ScanColumn:
    """A column that was dropped since; a new one may have its name."""
    name = column.name
    while name in {other.name for other in after.columns}:
        name += " (dropped)"
    return ScanColumn(column.field_id, name, column.arrow)


def _shown(scan: Scan, after: Scan) -> str:
    """The columns of a scan, out of those of both, under its own names."""
    names = {column.field_id: column.name for column in _both(scan, after)}
    own = (column for column in scan.columns if column.name not in (KNOWN, DELETED))
    return ", ".join(f"{quoted(names[column.field_id])} AS {quoted(column.name)}" for column in own)


def _absent(after: Scan, one: str, other: str) -> str:
    return f"WHERE NOT EXISTS (SELECT 1 FROM {other} AS other WHERE {_same_key(after, one, 'other')})"


def _same_key(after: Scan, one: str, other: str) -> str:
    return " AND ".join(f"{one}.{quoted(key)} IS NOT DISTINCT FROM {other}.{quoted(key)}" for key in after.key)


def _changed(columns: tuple[ScanColumn, ...], after: Scan) -> str:
    """SQL for the values that differ, one column after another."""
    key = ", ".join(f"after.{quoted(name)}" for name in after.key)
    met = f"before JOIN after ON {_same_key(after, 'before', 'after')}"
    parts = [
        f'SELECT {key}, {text(column.name)} AS "column", before.{quoted(column.name)}::VARCHAR AS before, '
        f"after.{quoted(column.name)}::VARCHAR AS after FROM {met} "
        f"WHERE before.{quoted(column.name)} IS DISTINCT FROM after.{quoted(column.name)}"
        for column in columns
        if column.name not in (*after.key, KNOWN, DELETED)
    ]
    if not parts:
        return f"SELECT {key}, '' AS \"column\", '' AS before, '' AS after FROM after WHERE FALSE"
    return " UNION ALL ".join(parts)
