"""Which files make a version of a table, and under what names and types its columns are read from them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.versioned.damage import must_be_whole
from penstock.lake.versioned.roles import DELETED, KNOWN


@dataclass(frozen=True)
class ScanColumn:
    """A column as a version names it; files know it by ``field_id`` alone, so that a rename touches no file."""

    field_id: int
    name: str
    arrow: pa.DataType


@dataclass(frozen=True)
class Scan:
    """A version's rows, not yet read: local Parquet files, columns by field id, and the key of the current rows.

    ``several`` names the files that every key with more than one row in the log has a row in; None: that is not known,
    and it may be any of them. ``later`` says that no row of the others is newest where these have its key.
    """

    files: tuple[Path, ...]
    columns: tuple[ScanColumn, ...]
    key: tuple[str, ...] = ()
    several: tuple[Path, ...] | None = None
    later: bool = False
    explain: Callable[[Path, str], SourceError] | None = field(default=None, repr=False, compare=False)

    def must_be_whole(self) -> None:
        """Read files that are new to this process and compare them with the hashes that they are named after.

        Raises ``SourceError`` (``LAKE_DAMAGED``) with the table, the file and what to do for the first that differs.
        """
        must_be_whole(self.files, self.explain or _not_whole)

    @property
    def schema(self) -> pa.Schema:
        """Names and types."""
        return pa.schema([(column.name, column.arrow) for column in self.columns])

    def with_files(self, files: tuple[Path, ...]) -> Scan:
        """The same columns of these files as well."""
        several = None if self.several is None else self.several + files
        return replace(self, files=self.files + files, several=several, later=False)

    def log_sql(self) -> str:
        """DuckDB SQL for all row versions, ``_known`` and ``_deleted`` included."""
        return self._rows_of(self.files)

    def current_sql(self) -> str:
        """DuckDB SQL for what is true now: the newest known version of each key, without the deleted ones.

        Without a key every row that is no deletion counts. Only keys with a row in `several` are sorted by time.
        """
        shown = f"SELECT * EXCLUDE ({KNOWN}, {DELETED}) FROM"
        return f"{shown} ({self._newest_sql()}) WHERE NOT coalesce({DELETED}, FALSE)"

    def _newest_sql(self) -> str:
        again = self.files if self.several is None else self.several
        if not self.key or not again:
            return self.log_sql()
        if len(again) == len(self.files):
            return self._newest_of(self.log_sql())
        single = self._rows_of(tuple(file for file in self.files if file not in set(again)))
        key = ", ".join(map(quoted, self.key))
        met = " AND ".join(f"k.{quoted(name)} = o.{quoted(name)}" for name in self.key)
        asked = f"SELECT DISTINCT {key} FROM ({self._rows_of(again)})"
        rows = self._rows_of(again)
        if not self.later:
            rows += f" UNION ALL SELECT o.* FROM ({single}) o WHERE EXISTS (SELECT 1 FROM k WHERE {met})"
        others = f"SELECT o.* FROM ({single}) o WHERE NOT EXISTS (SELECT 1 FROM k WHERE {met})"
        return f"WITH k AS MATERIALIZED ({asked}) {others} UNION ALL {self._newest_of(rows)}"

    def _newest_of(self, rows: str) -> str:
        """SQL for the newest known version of each key; of equally new ones always the same."""
        by = ", ".join(map(quoted, self.key))
        rest = ", ".join(quoted(c.name) for c in self.columns if c.name not in self.key)
        newest = f"row_number() OVER (PARTITION BY {by} ORDER BY {KNOWN} DESC NULLS LAST, hash({rest})) = 1"
        return f"SELECT * FROM ({rows}) QUALIFY {newest}"

    def _rows_of(self, files: tuple[Path, ...]) -> str:
        if not files:
            empty = ", ".join(f"NULL::{duckdb_type(c.arrow)} AS {quoted(c.name)}" for c in self.columns)
            return f"SELECT {empty} WHERE FALSE"
        named = ", ".join(
            f"{c.field_id}: {{name: {text(c.name)}, type: {text(duckdb_type(c.arrow))}, default_value: NULL}}"
            for c in self.columns
        )
        listed = ", ".join(text(str(file)) for file in files)
        return f"SELECT * FROM read_parquet([{listed}], schema=MAP {{{named}}})"


def _not_whole(path: Path, reason: str) -> SourceError:
    return SourceError("LAKE_DAMAGED", f"{path}: {reason}", name=str(path))


def quoted(name: str) -> str:
    """A name as SQL quotes it."""
    return '"' + name.replace('"', '""') + '"'


def text(value: str) -> str:
    """A text as SQL quotes it."""
    return "'" + value.replace("'", "''") + "'"


def duckdb_type(kind: pa.DataType) -> str:
    """DuckDB's name of a type that lake tables hold.

    >>> duckdb_type(pa.list_(pa.decimal128(9, 2)))
    'DECIMAL(9,2)[]'
    """
    types = pa.types
    if types.is_decimal(kind):
        return f"DECIMAL({kind.precision},{kind.scale})"
    if types.is_list(kind) or types.is_large_list(kind):
        return f"{duckdb_type(kind.value_type)}[]"
    if types.is_timestamp(kind):
        return "TIMESTAMPTZ" if kind.tz else "TIMESTAMP"
    return _TYPES[str(kind)]


_TYPES = {
    "bool": "BOOLEAN", "int32": "INTEGER", "int64": "BIGINT", "float": "FLOAT", "double": "DOUBLE",
    "string": "VARCHAR", "large_string": "VARCHAR", "binary": "BLOB", "large_binary": "BLOB",
    "date32[day]": "DATE", "time64[us]": "TIME",
}  # fmt: skip
