"""A SQLite file as a source, by ADBC: the types are those of the values, since SQLite's declarations bind nobody."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import SourceError
from penstock.inference.facts import DeclaredLink
from penstock.lake.connections import Connections
from penstock.lake.source import RawColumn, RawTable, file_id, file_state, must_have, unknown_table
from penstock.lake.upsert import STAGE, Incoming, Words, check_columns, created, deleted, inserted, staged
from penstock.lake.where import AnyOf, Part, columns_in, parts_of, selected
from penstock.schema import Dtype

_COLUMNS = """
    SELECT m.name AS name, c.name AS "column", c.type AS type, c."notnull" AS "required", c.pk AS pk
    FROM sqlite_master m JOIN pragma_table_info(m.name) c
    WHERE m.type = 'table' AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
    ORDER BY m.name, c.cid
"""
_LINKS = """
    SELECT m.name AS name, k.id AS id, k."table" AS "to", k."from" AS "column", k."to" AS to_column
    FROM sqlite_master m JOIN pragma_foreign_key_list(m.name) k
    WHERE m.type = 'table' ORDER BY m.name, k.id, k.seq
"""
_UNIQUES = """
    SELECT m.name AS name, i.name AS "index", c.name AS "column"
    FROM sqlite_master m JOIN pragma_index_list(m.name) i JOIN pragma_index_info(i.name) c
    WHERE m.type = 'table' AND i."unique" = 1 AND i.origin = 'u' AND i.partial = 0
    ORDER BY m.name, i.name, c.seqno
"""
_WHOLE_TABLE = 2**30
_WAIT = 1000
"""Milliseconds to wait for who is writing."""
_HINT = "Write in shorter transactions, or let readers go on meanwhile: PRAGMA journal_mode = WAL."


@dataclass(frozen=True)
class SqliteSource:
    """The tables of a SQLite file, which is opened for reading only."""

    path: Path
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    def _query(self, text: str, parameters: Sequence[str] = ()) -> pa.Table:
        with closing(self._open()) as link:
            try:
                return _asked(link, text, parameters)
            except _failures() as error:
                raise self._explained(error) from error

    def _open(self) -> Any:
        """A connection that may read, and holds no transaction between questions."""
        from adbc_driver_sqlite import dbapi

        try:
            link = dbapi.connect(f"file:{quote(str(self.path.absolute()))}?mode=ro", autocommit=True)
            with link.cursor() as cursor:
                cursor.execute(f"PRAGMA busy_timeout = {_WAIT}")
            return link
        except dbapi.Error as error:
            raise self._explained(error) from error

    def _explained(self, error: Exception) -> SourceError:
        if "database is locked" in str(error):
            return SourceError("SOURCE_BUSY", f"{self.path.name} is being written, and nobody can read it", hint=_HINT)
        return SourceError("SOURCE_UNREADABLE", f"{self.path.name} cannot be read: {error}")

    @cached_property
    def _connections(self) -> Connections[Any]:
        """For who asks again and again; they lead to the file that is there, not to one that it has replaced."""
        return Connections(self._open, _failures(), self._explained, lambda: file_id(self.path))

    def close(self) -> None:
        """Let go of connections."""
        self._connections.close()

    def tables(self) -> Mapping[str, RawTable]:
        """The tables by name, with their constraints."""
        return self._tables

    @cached_property
    def _tables(self) -> dict[str, RawTable]:
        columns, links, uniques = (self._query(text).to_pylist() for text in (_COLUMNS, _LINKS, _UNIQUES))
        grouped = {name: list(group) for name, group in groupby(columns, key=lambda column: str(column["name"]))}
        if not grouped:
            raise SourceError("SOURCE_EMPTY", f"{self.path.name} holds no tables")
        return {name: _table(name, own, links, uniques) for name, own in grouped.items()}

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows."""
        if table not in self._tables:
            raise unknown_table(self.name, table, self._tables)
        before = self.fingerprint()
        found = self._query(selected(map(_column, columns), _place(table), ()))
        if self._stat() != before:
            raise SourceError(
                "SOURCE_CHANGED", f"{self.path.name} changed while it was being read", hint="Connect again."
            )
        return self._typed(table, columns, found)

    def read_where(self, table: str, columns: Sequence[str], any_of: AnyOf) -> pa.Table:
        """These columns of the rows that are meant, as they are now."""
        if table not in self._tables:
            raise unknown_table(self.name, table, self._tables)
        types = {c.name: c.type for c in self._tables[table].columns}
        must_have(self.name, table, types, columns)
        asked = parts_of(any_of, lambda name, keys: _part(name, types[name], keys))
        text = selected(map(_column, columns), _place(table), [_condition(n, one) for n, one in enumerate(asked, 1)])
        parameters = list(map(_listed, asked))
        found = self._connections.ask(lambda link: _asked(link, text, parameters))
        return self._typed(table, columns, found)

    def _typed(self, table: str, columns: Sequence[str], found: pa.Table) -> pa.Table:
        types = {c.name: c.type for c in self._tables[table].columns}
        typed = [_typed(found.column(at), types[name]) for at, name in enumerate(columns)]
        return pa.table(typed, names=list(columns))

    @cached_property
    def _opened_at(self) -> str:
        return self._stat()

    def _stat(self) -> str:
        return file_state(self.path, self.path.with_name(f"{self.path.name}-wal"))

    def fingerprint(self) -> str:
        """From the size and time of the file and of its write-ahead log."""
        return self._opened_at


def _asked(link: Any, text: str, parameters: Sequence[str]) -> pa.Table:
    with link.cursor() as cursor:
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": _WHOLE_TABLE})
        cursor.execute(text, tuple(parameters) or None)
        return cursor.fetch_arrow_table()


def _place(table: str) -> str:
    return f"{quoted(table)} AS t"


def _column(name: str) -> str:
    """A column of the table that is read; a name alone would be a text where there is no such column any more."""
    return f"t.{quoted(name)}"


def _part(name: str, declared: str, keys: pa.Array) -> Part | None:
    """How a column is asked for keys; None where its declaration does not say that it compares them as they are."""
    fits = _WHOLE if pa.types.is_integer(keys.type) else _TEXT if pa.types.is_string(keys.type) else None
    return Part(_column(name), declared, keys) if fits and fits.search(declared) else None


_WHOLE = re.compile(r"\b(tiny|small|medium|big|huge)?(int|integer)\d*\b|serial|numeric|decimal", re.IGNORECASE)
_TEXT = re.compile(r"char|text|string", re.IGNORECASE)


def _condition(number: int, parts: Sequence[Part]) -> str:
    """That a row has one of the keys, which a parameter has as JSON: many are told as quickly as one."""
    values = ", ".join(f"value->>{place}" for place in range(len(parts)))
    return f"{columns_in(parts)} IN (SELECT {values} FROM json_each(?{number}))"


def _listed(parts: Sequence[Part]) -> str:
    return json.dumps(list(zip(*(part.keys.to_pylist() for part in parts), strict=True)), ensure_ascii=False)


def _failures() -> type[Exception]:
    from adbc_driver_sqlite import dbapi

    return dbapi.Error


def _table(
    name: str, columns: list[dict[str, Any]], links: list[dict[str, Any]], uniques: list[dict[str, Any]]
) -> RawTable:
    key = sorted((c for c in columns if c["pk"]), key=lambda c: int(c["pk"]))
    pointing = groupby((k for k in links if k["name"] == name), key=lambda k: k["id"])
    single = groupby((u for u in uniques if u["name"] == name), key=lambda u: u["index"])
    return RawTable(
        name,
        tuple(RawColumn(c["column"], c["type"] or "", not c["required"], timely=_timely(c["type"])) for c in columns),
        key=tuple(c["column"] for c in key),
        unique=tuple(tuple(u["column"] for u in group) for _, group in single),
        links=tuple(_link(list(group)) for _, group in pointing),
    )


def _link(parts: list[dict[str, Any]]) -> DeclaredLink:
    to = tuple(part["to_column"] for part in parts if part["to_column"])
    return DeclaredLink(tuple(part["column"] for part in parts), parts[0]["to"], to)


def _timely(declared: str) -> bool:
    return any(word in declared.upper() for word in ("DATE", "TIME"))


def _typed(values: pa.ChunkedArray, declared: str) -> pa.ChunkedArray:
    """The values, with truth values and columns of nothing but NULL as they are declared."""
    said = declared.upper()
    if values.null_count == len(values):
        kinds = {"INT": pa.int64(), "REAL": pa.float64(), "FLOA": pa.float64(), "DOUB": pa.float64()}
        return pc.cast(values, next((kind for word, kind in kinds.items() if word in said), pa.string()))
    truth = "BOOL" in said and pa.types.is_integer(values.type)
    if truth and pc.all(pc.is_in(values.drop_null(), value_set=pa.array([0, 1]))).as_py():
        return pc.cast(values, pa.bool_())
    return values


def quoted(name: str) -> str:
    """A name in double quotes, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


# ---------------------------------------------------------------- writing

WORDS = Words(
    quoted,
    {
        Dtype.INT: "INTEGER",
        Dtype.FLOAT: "REAL",
        Dtype.BOOL: "BOOLEAN",
        Dtype.STRING: "TEXT",
        Dtype.TIMESTAMP: "TIMESTAMP",
        Dtype.LIST: "TEXT",
    },
    key_text="TEXT",
)


def write_rows(path: Path, coming: Incoming) -> None:
    """Replace rows of a table by their key, in one transaction; file and table are made when they are not there."""
    import sqlite3

    rows = zip(*(_plain(column).to_pylist() for column in coming.flat().columns), strict=True)
    try:
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.execute(created(coming, WORDS))
            existing = connection.execute(f"SELECT * FROM {WORDS.place(coming.table)} WHERE 0").description
            check_columns(coming, [part[0] for part in existing])
            connection.execute(staged(coming, WORDS))
            connection.executemany(f"INSERT INTO {STAGE} VALUES ({', '.join('?' * len(coming.names))})", rows)
            connection.execute(deleted(coming, WORDS))
            connection.execute(inserted(coming, WORDS))
            connection.execute("COMMIT")
    except sqlite3.Error as error:
        raise SourceError("CANNOT_WRITE", f"{path.name}: cannot write {coming.table}: {error}") from error


def _plain(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """Instants as text, which is how SQLite keeps them."""
    return pc.cast(values, pa.string()) if pa.types.is_timestamp(values.type) else values
