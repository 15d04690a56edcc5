"""DuckDB files: written whole, with keys and links declared, and read as a source."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from graphlib import TopologicalSorter
from itertools import count, groupby
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, TypeAlias

import pyarrow as pa

from penstock.errors import SourceError, is_interrupt
from penstock.inference.facts import DeclaredLink
from penstock.interrupts import busy
from penstock.lake.source import RawColumn, RawTable, file_state, must_have, unknown_table
from penstock.lake.upsert import STAGE, Incoming, Words, check_columns, created, deleted, inserted
from penstock.lake.where import AnyOf, Part, columns_in, parts_of, selected
from penstock.schema import Dtype

if TYPE_CHECKING:
    import duckdb

ForeignKey: TypeAlias = tuple[str, str, str]
"""A table, its column, and the table whose key that column holds."""


def write_duckdb(
    path: str | os.PathLike[str],
    tables: Mapping[str, pa.Table],
    keys: Mapping[str, str] | None = None,
    links: Iterable[ForeignKey] = (),
) -> Path:
    """Write the tables to a DuckDB file at ``path`` and return it; a file already there is replaced as a whole.

    ``keys`` names each table's primary key, ``links`` the foreign keys; both are declared, so DuckDB checks them
    (but for a link of a table to itself: DuckDB would refuse a row that comes together with its parent).
    The file appears complete or not at all: it is written beside its place and then renamed. Raises
    ``SourceError`` when the rows break a declared key or link, or the place cannot be written.
    """
    import duckdb

    target, declared = Path(path), tuple(links)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
            draft = Path(folder) / "draft.duckdb"
            with duckdb.connect(draft) as connection:
                for name in _parents_first(tables, declared):
                    _write_table(connection, name, tables[name], _constraints(name, keys or {}, declared))
            draft.replace(target)
    except duckdb.ConstraintException as error:
        raise SourceError("TABLES_BREAK_A_KEY", f"the rows break a declared key or link: {error}") from error
    except (OSError, duckdb.IOException) as error:
        hint = "Name a file in a folder that you may write to."
        raise SourceError("CANNOT_WRITE", f"cannot write {target}: {error}", hint=hint) from error
    return target


def _parents_first(tables: Mapping[str, pa.Table], links: tuple[ForeignKey, ...]) -> list[str]:
    order = TopologicalSorter({name: {to for table, _, to in links if table == name} - {name} for name in tables})
    return list(order.static_order())


def _constraints(name: str, keys: Mapping[str, str], links: tuple[ForeignKey, ...]) -> list[str]:
    key = [f"PRIMARY KEY ({_quoted(keys[name])})"] if name in keys else []
    return key + [
        f"FOREIGN KEY ({_quoted(column)}) REFERENCES {_quoted(to)} ({_quoted(keys[to])})"
        for table, column, to in links
        if table == name != to
    ]


def _write_table(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table, constraints: list[str]) -> None:
    connection.register("incoming", rows)
    described = connection.execute("DESCRIBE SELECT * FROM incoming").fetchall()
    columns = [f"{_quoted(column)} {kind}" for column, kind, *_ in described]
    connection.execute(f"CREATE TABLE {_quoted(name)} ({', '.join(columns + constraints)})")
    connection.execute(f"INSERT INTO {_quoted(name)} SELECT * FROM incoming")
    connection.unregister("incoming")


def _seconds(name: str) -> str:
    return f"epoch({_quoted(name)}) AS {_quoted(name)}"


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


# ---------------------------------------------------------------- reading


@dataclass(frozen=True)
class DuckdbSource:
    """The tables of a DuckDB file, which is opened for reading only and never held open."""

    path: Path
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def _query(self, text: str, lists: Sequence[list[object]] = ()) -> pa.Table:
        import duckdb

        try:
            with duckdb.connect(self.path, read_only=True) as connection:
                connection.execute("SET TimeZone = 'UTC'")
                with busy(connection):
                    return connection.sql(text, params=list(lists) or None).to_arrow_table()
        except duckdb.Error as error:
            raise SourceError("SOURCE_UNREADABLE", f"{self.path.name} cannot be read: {error}") from error
        except RuntimeError as error:
            if is_interrupt(error):
                raise KeyboardInterrupt from error
            raise

    def tables(self) -> Mapping[str, RawTable]:
        """The tables of its schema ``main`` (of others: called ``schema.table``) with their constraints."""
        return self._tables

    @cached_property
    def _tables(self) -> dict[str, RawTable]:
        columns, constraints = self._query(_COLUMNS).to_pylist(), self._query(_CONSTRAINTS).to_pylist()
        found = {
            name: _declared_table(name, list(group), [c for c in constraints if c["name"] == name])
            for name, group in groupby(columns, key=lambda column: column["name"])
        }
        if not found:
            raise SourceError("SOURCE_EMPTY", f"{self.path.name} holds no tables")
        return found

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows, in the order of insertion."""
        if table not in self._tables:
            raise unknown_table(self.name, table, self._tables)
        if self._opened_at != self._stat():
            raise SourceError(
                "SOURCE_CHANGED", f"{self.path.name} changed while it was being read", hint="Connect again."
            )
        return self.read_where(table, columns, ())

    def read_where(self, table: str, columns: Sequence[str], any_of: AnyOf) -> pa.Table:
        """These columns of the rows that are meant, as they are now."""
        if table not in self._tables:
            raise unknown_table(self.name, table, self._tables)
        types = {c.name: c.type for c in self._tables[table].columns}
        must_have(self.name, table, types, columns)
        shown = [_seconds(name) if types.get(name) == "INTERVAL" else _quoted(name) for name in columns]
        asked = parts_of(any_of, lambda name, keys: _part(name, types[name], keys))
        text = selected(shown, self._places[table], _conditions(asked))
        return self._query(text, [_list(part.keys) for parts in asked for part in parts])

    def place(self, table: str) -> str:
        """How SQL names a table."""
        return self._places[table]

    @cached_property
    def _places(self) -> dict[str, str]:
        return {
            row["name"]: f"{_quoted(row['schema'])}.{_quoted(row['table'])}" for row in self._query(_PLACES).to_pylist()
        }

    @cached_property
    def _opened_at(self) -> str:
        return self._stat()

    def _stat(self) -> str:
        return file_state(self.path, self.path.with_name(f"{self.path.name}.wal"))

    def fingerprint(self) -> str:
        """From the size and time of the file and of its write-ahead log."""
        return self._opened_at


def _part(name: str, declared: str, keys: pa.Array) -> Part | None:
    """How a column is asked for keys: as values of its own type, NULL where they cannot be such."""
    numbers = declared in _WHOLE or _DECIMAL.match(declared)
    if pa.types.is_integer(keys.type):
        fits: object = numbers
    elif pa.types.is_timestamp(keys.type):
        fits = declared in _TIMES
    else:
        fits = numbers or declared in ("VARCHAR", "UUID") or declared.startswith("ENUM(")
    return Part(_quoted(name), declared, keys) if fits else None


_WHOLE = frozenset(f"{sign}{size}" for sign in ("", "U") for size in ("TINYINT", "SMALLINT", "INTEGER", "BIGINT",
                                                                      "HUGEINT"))  # fmt: skip
_DECIMAL = re.compile(r"DECIMAL\(\d+,0\)$")
_TIMES = frozenset({"DATE", "TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP WITH TIME ZONE"})


def _conditions(asked: Sequence[Sequence[Part]]) -> list[str]:
    """A condition for each table of keys, whose parts are the next parameters: a list for each."""
    numbers, found = count(1), []
    for parts in asked:
        sent = (_SENT[str(part.keys.type)].format(next(numbers)) for part in parts)
        values = (f"TRY_CAST({keys} AS {part.type})" for keys, part in zip(sent, parts, strict=True))
        found.append(f"{columns_in(parts)} IN (SELECT {', '.join(values)})")
    return found


def _list(keys: pa.Array) -> list[object]:
    """Keys as a parameter; instants in microseconds, since some are none that Python knows."""
    told: list[object] = (keys.cast(pa.int64()) if pa.types.is_timestamp(keys.type) else keys).to_pylist()
    return told


_SENT = {"int64": "unnest(${}::BIGINT[])", "string": "unnest(${}::VARCHAR[])",
         "timestamp[us]": "make_timestamp(unnest(${}::BIGINT[]))"}  # fmt: skip


@contextmanager
def duckdb_batches(path: Path) -> Iterator[Callable[[str], pa.RecordBatchReader]]:
    """A function that streams the rows of SQL over a DuckDB file; all it gives are from one moment.

    Raises ``SourceError`` for a file that is no database or is held by another process, and for SQL that fails.
    """
    import duckdb

    try:
        with duckdb.connect(path, read_only=True) as connection:
            connection.execute("SET TimeZone = 'UTC'")
            connection.execute("BEGIN")
            yield lambda text: connection.sql(text).to_arrow_reader(_ROWS_A_BATCH)
    except duckdb.Error as error:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name} cannot be read: {error}") from error


_ROWS_A_BATCH = 122_880
_PLACES = """
    SELECT CASE schema_name WHEN 'main' THEN table_name ELSE schema_name || '.' || table_name END AS name,
        schema_name AS schema, table_name AS "table"
    FROM duckdb_tables() WHERE database_name = current_database() AND NOT internal
"""
_COLUMNS = """
    SELECT CASE schema_name WHEN 'main' THEN table_name ELSE schema_name || '.' || table_name END AS name,
        column_name AS column, data_type AS type, is_nullable AS nullable
    FROM duckdb_columns()
    JOIN duckdb_tables() USING (database_name, schema_name, table_name)
    WHERE database_name = current_database() AND NOT duckdb_tables.internal
    ORDER BY name, column_index
"""
_CONSTRAINTS = """
    SELECT CASE schema_name WHEN 'main' THEN table_name ELSE schema_name || '.' || table_name END AS name,
        constraint_type AS type, constraint_column_names AS columns, referenced_table AS "to",
        referenced_column_names AS to_columns
    FROM duckdb_constraints()
    WHERE database_name = current_database() AND constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY')
"""


def _declared_table(name: str, columns: list[dict[str, Any]], constraints: list[dict[str, Any]]) -> RawTable:
    def named(kind: str) -> list[tuple[str, ...]]:
        return [tuple(c["columns"]) for c in constraints if c["type"] == kind]

    return RawTable(
        name,
        tuple(RawColumn(c["column"], c["type"], c["nullable"]) for c in columns),
        key=next(iter(named("PRIMARY KEY")), ()),
        unique=tuple(named("UNIQUE")),
        links=tuple(
            DeclaredLink(tuple(c["columns"]), c["to"], tuple(c["to_columns"]))
            for c in constraints
            if c["type"] == "FOREIGN KEY"
        ),
    )


# ---------------------------------------------------------------- results

WORDS = Words(
    _quoted,
    {
        Dtype.INT: "BIGINT",
        Dtype.FLOAT: "DOUBLE",
        Dtype.BOOL: "BOOLEAN",
        Dtype.STRING: "VARCHAR",
        Dtype.TIMESTAMP: "TIMESTAMP",
        Dtype.LIST: "VARCHAR[]",
    },
    key_text="VARCHAR",
    lists={Dtype.INT: "BIGINT[]", Dtype.FLOAT: "DOUBLE[]", Dtype.BOOL: "BOOLEAN[]", Dtype.TIMESTAMP: "TIMESTAMP[]"},
)


def write_rows(path: Path, coming: Incoming) -> None:
    """Replace rows of a table by their key, in one transaction; file and table are made when they are not there."""
    import duckdb

    try:
        with duckdb.connect(path) as connection:
            connection.execute("BEGIN")
            connection.execute(created(coming, WORDS))
            existing = connection.execute(f"SELECT * FROM {WORDS.place(coming.table)} LIMIT 0").description
            check_columns(coming, [part[0] for part in existing or ()])
            connection.register(STAGE, coming.rows)
            connection.execute(deleted(coming, WORDS))
            connection.execute(inserted(coming, WORDS))
            connection.execute("COMMIT")
    except duckdb.Error as error:
        raise SourceError("CANNOT_WRITE", f"{path.name}: cannot write {coming.table}: {error}") from error
