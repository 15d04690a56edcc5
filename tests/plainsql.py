"""SQL over scans and Arrow tables by an engine that all tests of a process share.

`penstock.lake.sql.Sql` opens an engine each time, since what a user writes may reach nothing else. Tests that only look
at what there is ask here; tests of what SQL may do ask there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass

import duckdb
import pyarrow as pa

from penstock.lake.sql import Rows
from penstock.lake.versioned.scan import Scan, quoted
from penstock.settings import Settings
from tests.engines import engine

SETTINGS = Settings(memory=1 << 30, threads=1, cache=None)


@dataclass(frozen=True)
class PlainSql:
    """A connection over some tables."""

    connection: duckdb.DuckDBPyConnection

    def arrow(self, text: str) -> pa.Table:
        """The rows that a SELECT gives."""
        return self.connection.sql(text).to_arrow_table()


@contextmanager
def plain_sql(tables: Mapping[str, Scan | pa.Table], rows: Rows = "current") -> Iterator[PlainSql]:
    """Ask named tables: Arrow's, and scans' ``current`` rows or whole ``log``."""
    with closing(engine(os.getpid(), SETTINGS).cursor()) as connection:
        connection.execute("SET TimeZone = 'UTC'")
        connection.execute("SET enable_external_file_cache = false")
        for name, table in tables.items():
            if isinstance(table, Scan):
                table.must_be_whole()
                query = table.current_sql() if rows == "current" else table.log_sql()
                connection.execute(f"CREATE TEMP VIEW {quoted(name)} AS {query}")
            else:
                connection.register(name, table)
        yield PlainSql(connection)


__all__ = ["PlainSql", "plain_sql"]
