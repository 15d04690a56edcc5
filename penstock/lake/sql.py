"""SQL over lake tables and Arrow tables: a DuckDB in memory that can read those and nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import gettempdir
from types import TracebackType
from typing import TYPE_CHECKING, Literal
from uuid import uuid4

import pyarrow as pa

from penstock.errors import SourceError, is_interrupt
from penstock.interrupts import Engine, busy
from penstock.lake.versioned.scan import Scan, quoted, text
from penstock.settings import Settings

if TYPE_CHECKING:
    import duckdb

Rows = Literal["current", "log"]


def opened(settings: Settings, files: Sequence[str] = ()) -> duckdb.DuckDBPyConnection:
    """An engine in memory that can read these files and nothing else, and whose settings stay as they are."""
    import duckdb

    made = duckdb.connect(":memory:", config={"threads": settings.threads})
    made.execute("SET GLOBAL TimeZone = 'UTC'")
    # What does not fit into memory goes to a folder of its own, which the engine makes and takes away.
    made.execute(f"SET temp_directory = {text(str(Path(gettempdir()) / f'penstock-{uuid4().hex}'))}")
    made.execute(f"SET memory_limit = '{max(settings.memory // 2, 64 << 20)}B'")
    made.execute("SET allowed_paths = ?", [list(files)])
    made.execute("SET enable_external_access = false")
    made.execute("SET lock_configuration = true")
    return made


@dataclass(frozen=True)
class Sql:
    """Named tables that SQL can ask: scans of the lake (their ``current`` rows or the whole ``log``) and Arrow tables.

    Statements can reach no other file, no network and no setting. A context manager: leaving it frees the memory.
    ``given`` is a connection of an engine that `opened` opened, to use for Arrow tables; who gave it closes it.
    """

    tables: Mapping[str, Scan | pa.Table]
    rows: Rows = "current"
    settings: Settings = field(default_factory=Settings.from_environment)
    given: duckdb.DuckDBPyConnection | None = field(default=None, repr=False, compare=False)
    _whole: set[str] = field(default_factory=set, init=False, repr=False, compare=False)

    @cached_property
    def _connection(self) -> duckdb.DuckDBPyConnection:
        files = [str(file) for scan in self.tables.values() if isinstance(scan, Scan) for file in scan.files]
        made = opened(self.settings, files) if self.given is None else self.given
        for name, table in self.tables.items():
            if isinstance(table, Scan):
                query = table.current_sql() if self.rows == "current" else table.log_sql()
                made.execute(f"CREATE VIEW {quoted(name)} AS {query}")
            else:
                made.register(name, table)
        return made

    def arrow(self, text: str) -> pa.Table:
        """The rows that a SELECT gives. Raises ``SourceError``: ``SQL_FAILED`` with the engine's reason, and
        ``LAKE_DAMAGED`` for a file that is not what was written.
        """
        with _explained():
            asked = self._relation(text)
            with busy(self._connection):
                return asked.to_arrow_table()

    def batches(self, text: str, size: int = 122_880) -> pa.RecordBatchReader:
        """The rows that a SELECT gives, a batch at a time; finish reading before asking again."""
        with _explained():
            asked = self._relation(text)
            with busy(self._connection):
                reader = asked.to_arrow_reader(size)
        return pa.RecordBatchReader.from_batches(reader.schema, _lazily(reader, self._connection))

    def describe(self, text: str) -> pa.Schema:
        """The columns that a SELECT gives, without running it."""
        return self.arrow(f"SELECT * FROM ({text}) LIMIT 0").schema

    def _relation(self, text: str) -> duckdb.DuckDBPyRelation:
        self._must_be_whole(text)
        found = self._connection.sql(text)
        if found is None:
            raise SourceError("SQL_FAILED", "this is no SELECT", hint="Write one SELECT.")
        return found

    def _must_be_whole(self, statement: str) -> None:
        """Look at the files of tables that a statement may name for the first time; most name few of the tables."""
        said = statement.casefold()
        for name, table in self.tables.items():
            if name not in self._whole and isinstance(table, Scan) and name.replace('"', '""').casefold() in said:
                table.must_be_whole()
                self._whole.add(name)

    def __enter__(self) -> Sql:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        if "_connection" in self.__dict__ and self.given is None:
            self._connection.close()


@contextmanager
def _explained() -> Iterator[None]:
    """The engine's errors as ours."""
    import duckdb

    try:
        yield
    except duckdb.Error as error:
        raise SourceError("SQL_FAILED", str(error)) from error
    except RuntimeError as error:
        if not is_interrupt(error):
            raise
        raise KeyboardInterrupt from error


def _lazily(reader: pa.RecordBatchReader, engine: Engine) -> Iterator[pa.RecordBatch]:
    """The same batches; what the engine finds only while they are read is told as it is elsewhere."""
    while True:
        try:
            with _explained(), busy(engine):
                batch = reader.read_next_batch()
        except StopIteration:
            return
        except (OSError, pa.ArrowException) as error:  # Arrow passes the engine's text on, and not its kind
            if is_interrupt(error):
                raise KeyboardInterrupt from error
            if isinstance(error, OSError) and error.errno is not None:
                raise
            raise SourceError("SQL_FAILED", str(error)) from error
        yield batch


__all__ = ["Rows", "Sql", "opened"]
