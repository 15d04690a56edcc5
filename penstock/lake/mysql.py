"""MySQL and MariaDB as a source: connectorx reads, and every column is cast to what it reads without fail."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import SourceError
from penstock.inference.facts import DeclaredLink
from penstock.lake.connections import Connections
from penstock.lake.frames import content_hashes
from penstock.lake.source import (
    RawColumn,
    RawTable,
    missing_package,
    must_have,
    printable,
    unknown_table,
    without_password,
)
from penstock.lake.upsert import STAGE, Incoming, Words, check_columns, created, deleted, inserted, staged
from penstock.lake.where import AnyOf, Part, columns_in, only, parts_of, selected
from penstock.schema import Dtype

_COLUMNS = """
    SELECT c.table_name AS name, c.column_name AS `column`, c.data_type AS base, c.column_type AS type,
        c.is_nullable = 'YES' AS nullable, c.numeric_precision AS digits, c.numeric_scale AS scale
    FROM information_schema.columns c JOIN information_schema.tables t USING (table_schema, table_name)
    WHERE c.table_schema = DATABASE() AND t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED')
    ORDER BY c.table_name, c.ordinal_position
"""
_CONSTRAINTS = """
    SELECT k.table_name AS name, c.constraint_type AS type, k.constraint_name AS `constraint`,
        k.column_name AS `column`, IF(k.referenced_table_schema = DATABASE(), k.referenced_table_name, NULL) AS `to`,
        k.referenced_column_name AS to_column
    FROM information_schema.key_column_usage k
    JOIN information_schema.table_constraints c
        ON c.constraint_schema = k.constraint_schema AND c.table_name = k.table_name
        AND c.constraint_name = k.constraint_name
    WHERE k.table_schema = DATABASE() AND c.constraint_type IN ('PRIMARY KEY', 'UNIQUE', 'FOREIGN KEY')
    ORDER BY k.table_name, c.constraint_type, k.constraint_name, k.ordinal_position
"""
_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
_TEXTS = frozenset({
    "char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set", "json", "uuid", "inet4", "inet6",
})  # fmt: skip
_OWN_DATABASES = {"information_schema", "mysql", "performance_schema", "sys"}
_SECONDS_TO_CONNECT = 10


@dataclass(frozen=True)
class MysqlSource:
    """The tables of a MySQL or MariaDB database. Each is read whole and once."""

    url: str
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The URL without its password."""
        return printable(self.url)

    def tables(self) -> Mapping[str, RawTable]:
        """The tables by name, with their constraints."""
        return {name: table for name, (table, _) in self._declared.items()}

    @cached_property
    def _declared(self) -> dict[str, tuple[RawTable, list[dict[str, Any]]]]:
        return declared(self.url)

    @cached_property
    def _kept(self) -> dict[str, pa.Table]:
        return {}

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows, as they were when the table was first read."""
        if table not in self._declared:
            raise unknown_table(self.name, table, self.tables())
        if table not in self._kept:
            self._kept[table] = _read(self.url, table, self._declared[table][1])
        return self._kept[table].select(list(columns))

    def read_where(self, table: str, columns: Sequence[str], any_of: AnyOf) -> pa.Table:
        """These columns of the rows that are meant, as they are now."""
        if table not in self._declared:
            raise unknown_table(self.name, table, self.tables())
        own = {c["column"]: c for c in self._declared[table][1]}
        must_have(self.name, table, own, columns)
        asked = parts_of(any_of, lambda name, keys: _part(own[name], keys))
        where = self._connections.ask(lambda connection: _conditions(connection, asked))
        return _read(self.url, table, [own[name] for name in columns], where, there=True)

    @cached_property
    def _connections(self) -> Connections[Any]:
        """For who asks again and again whether the server is there, and how it wants values written."""
        import pymysql

        return Connections(lambda: connect(self.url), pymysql.MySQLError, self._explained)

    def _explained(self, error: Exception) -> SourceError:
        reason = without_password(str(error.args[-1] if error.args else error), self.url)
        return SourceError("SOURCE_UNREADABLE", f"{self.name} cannot be read: {reason}")

    def close(self) -> None:
        """Let go of connections."""
        self._connections.close()

    def fingerprint(self) -> str:
        """A hash of all that the tables hold."""
        return content_hashes({name: self.read(name, [c.name for c in t.columns]) for name, t in self.tables().items()})


def declared(url: str) -> dict[str, tuple[RawTable, list[dict[str, Any]]]]:
    """The tables of a database, and what its catalogue says of their columns."""
    with connect(url) as connection:
        import pymysql

        try:
            with connection.cursor() as cursor:
                columns, constraints = _rows(cursor, _COLUMNS), _rows(cursor, _CONSTRAINTS)
        except pymysql.MySQLError as error:
            reason = without_password(str(error.args[-1]), url)
            raise SourceError("SOURCE_UNREADABLE", f"{printable(url)} cannot be read: {reason}") from error
    if not columns:
        raise SourceError("SOURCE_EMPTY", f"{printable(url)} holds no tables that may be read")
    grouped = {name: list(group) for name, group in groupby(columns, key=lambda column: str(column["name"]))}
    return {name: (_table(name, own, constraints), own) for name, own in grouped.items()}


def connect(url: str) -> Any:
    """A pymysql connection. Raises ``SourceError`` when there is no driver, server or database."""
    try:
        import pymysql
    except ImportError as error:
        raise missing_package("MySQL", "pymysql", "mysql") from error
    parts = urlsplit(url)
    try:
        connection = pymysql.connect(
            host=parts.hostname or "localhost",
            port=parts.port or 3306,
            user=unquote(parts.username or "root"),
            password=unquote(parts.password or "").encode(),  # a text would be read as Latin-1
            charset="utf8mb4",
            connect_timeout=_SECONDS_TO_CONNECT,
        )
        _choose(connection, unquote(parts.path.strip("/")), printable(url))
    except pymysql.MySQLError as error:
        reason = without_password(str(error.args[-1]), url)
        raise SourceError("SOURCE_UNREACHABLE", f"{printable(url)} cannot be opened: {reason}") from None
    return connection


def _choose(connection: Any, database: str, name: str) -> None:
    import pymysql

    try:
        connection.select_db(database)
    except pymysql.MySQLError as error:
        with connection.cursor() as cursor:
            cursor.execute("SHOW DATABASES")
            held = {row[0] for row in cursor.fetchall()} - _OWN_DATABASES
        said = f"the database {database!r} cannot be opened" if database else "no database is named"
        hint = "Write mysql://host/database."
        raise SourceError(
            "SOURCE_NO_DATABASE", f"{name}: {said}", name=database, candidates=sorted(held), hint=hint
        ) from error


def _rows(cursor: Any, text: str) -> list[dict[str, Any]]:
    cursor.execute(text)
    names = [part[0] for part in cursor.description]
    return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def _table(name: str, columns: list[dict[str, Any]], constraints: list[dict[str, Any]]) -> RawTable:
    def grouped(kind: str) -> list[list[dict[str, Any]]]:
        own = [c for c in constraints if c["name"] == name and c["type"] == kind]
        return [list(group) for _, group in groupby(own, key=lambda c: c["constraint"])]

    def named(group: list[dict[str, Any]], part: str = "column") -> tuple[str, ...]:
        return tuple(c[part] for c in group)

    return RawTable(
        name,
        tuple(_column(c) for c in columns),
        key=next((named(group) for group in grouped("PRIMARY KEY")), ()),
        unique=tuple(named(group) for group in grouped("UNIQUE")),
        links=tuple(
            DeclaredLink(named(group), group[0]["to"], named(group, "to_column"))
            for group in grouped("FOREIGN KEY")
            if group[0]["to"]
        ),
    )


def _column(column: Mapping[str, Any]) -> RawColumn:
    unused = pa.binary() if _expression(column) is None else None
    large = column["base"] == "decimal" and not column["scale"]
    return RawColumn(column["column"], column["type"], bool(column["nullable"]), unused, textual=large)


def _expression(column: Mapping[str, Any]) -> str | None:
    """How a column is read, with ``{}`` for its name; None for types that are not used."""
    base = column["base"]
    if base in _INTEGERS or base in {"float", "double"}:
        return "{}"
    if base in _TEXTS:
        return "CONVERT({} USING utf8mb4)"
    if base in {"date", "datetime"}:
        return "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {})"
    if base == "timestamp":
        return "CAST(NULLIF(UNIX_TIMESTAMP({}), 0) * 1000000 AS SIGNED)"
    if base == "decimal":
        return "{} + 0e0" if column["scale"] else "CONVERT({} USING utf8mb4)"
    return {"time": "TIME_TO_SEC({}) + 0e0", "bit": "CAST({} + 0 AS SIGNED)"}.get(base)


def _part(column: Mapping[str, Any], keys: pa.Array) -> Part | None:
    """How a column is asked for keys; None for what is compared otherwise here. The type says how keys are written."""
    base, name = column["base"], quoted(column["column"])
    whole = base in _INTEGERS or (base == "decimal" and not column["scale"])
    if pa.types.is_integer(keys.type):
        return Part(name, "number", keys) if whole else None
    if pa.types.is_timestamp(keys.type):
        told = pc.and_(pc.greater_equal(pc.year(keys), 0), pc.less_equal(pc.year(keys), 9999))
        return Part(name, "text", only(keys, told).cast(pa.string())) if base in ("date", "datetime") else None
    if whole or base == "uuid":
        return Part(name, "number" if whole else "text", only(keys, pc.match_substring_regex(keys, _WRITTEN[whole])))
    return Part(name, "text", keys) if base in _COMPARED else None


_COMPARED = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum"})
_WRITTEN = {True: "^-?[0-9]{1,65}$", False: "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
"""How whole numbers are written, and UUIDs."""


def _conditions(connection: Any, asked: Sequence[Sequence[Part]]) -> list[str]:
    """A condition for each table of keys, which are written in, by a server that is there."""
    connection.ping(reconnect=False)
    return [_condition(connection, parts) for parts in asked]


def _condition(connection: Any, parts: Sequence[Part]) -> str:
    written = [map(str if part.type == "number" else connection.escape, part.keys.to_pylist()) for part in parts]
    keys = [key[0] if len(key) == 1 else f"({', '.join(key)})" for key in zip(*written, strict=True)]
    return f"{columns_in(parts)} IN ({', '.join(keys)})" if keys else "1 = 0"


def _read(
    url: str, table: str, columns: list[dict[str, Any]], where: Sequence[str] = (), *, there: bool = False
) -> pa.Table:
    try:
        import connectorx
    except ImportError as error:
        raise missing_package("MySQL", "connectorx", "mysql") from error
    if not there:
        connect(url).close()  # connectorx waits half a minute for a server that is not there
    shown = [
        f"{(_expression(c) or 'CAST(NULL AS CHAR)').format(quoted(c['column']))} AS {quoted(c['column'])}"
        for c in columns
    ]
    text = selected(shown, quoted(table), where)
    address = urlsplit(url)._replace(scheme="mysql", query="", fragment="").geturl()
    try:
        raw: pa.Table = connectorx.read_sql(address, text, return_type="arrow")
    except RuntimeError as error:
        reason = without_password(str(error), url)
        raise SourceError("SOURCE_UNREADABLE", f"{printable(url)}: {table} cannot be read: {reason}") from None
    return pa.table([_typed(raw.column(at), c) for at, c in enumerate(columns)], names=[c["column"] for c in columns])


def _typed(values: pa.ChunkedArray, column: Mapping[str, Any]) -> pa.ChunkedArray:
    """The values as the column's own type means them."""
    base = column["base"]
    if base in {"date", "datetime", "timestamp"}:
        return pc.cast(pc.cast(values, pa.int64()), pa.timestamp("us"))
    if base == "set":
        return pc.split_pattern(pc.cast(values, pa.string()), ",")
    if (
        column["type"] in {"tinyint(1)", "bit(1)"}
        and pc.all(pc.is_in(pc.cast(values, pa.int64()).drop_null(), value_set=pa.array([0, 1]))).as_py()
    ):
        return pc.cast(values, pa.bool_())
    return values


def quoted(name: str) -> str:
    """A name in backticks, whatever it holds."""
    return "`" + name.replace("`", "``") + "`"


# ---------------------------------------------------------------- writing

WORDS = Words(
    quoted,
    {
        Dtype.INT: "BIGINT",
        Dtype.FLOAT: "DOUBLE",
        Dtype.BOOL: "BOOLEAN",
        Dtype.STRING: "LONGTEXT",
        Dtype.TIMESTAMP: "DATETIME(6)",
        Dtype.LIST: "LONGTEXT",
    },
    key_text="VARCHAR(255) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
)


def write_rows(url: str, coming: Incoming) -> None:
    """Replace rows of a table by their key, in one transaction; the table is made when it is not there."""
    import pymysql

    rows = list(zip(*(column.to_pylist() for column in coming.flat().columns), strict=True))
    with connect(url) as connection, connection.cursor() as cursor:
        try:
            cursor.execute(created(coming, WORDS))
            cursor.execute(f"SELECT * FROM {WORDS.place(coming.table)} WHERE FALSE")
            check_columns(coming, [part[0] for part in cursor.description])
            cursor.execute(staged(coming, WORDS))
            holes = ", ".join(["%s"] * len(coming.names))
            cursor.executemany(f"INSERT INTO {STAGE} VALUES ({holes})", rows)
            cursor.execute(_deleted(coming))
            cursor.execute(inserted(coming, WORDS))
            connection.commit()
        except pymysql.MySQLError as error:
            reason = without_password(str(error.args[-1]), url)
            raise SourceError("CANNOT_WRITE", f"{printable(url)}: cannot write {coming.table}: {reason}") from None


def _deleted(coming: Incoming) -> str:
    """As a join, which finds the rows by the table's own index."""
    if not coming.key:
        return deleted(coming, WORDS)
    same = " AND ".join(f"{STAGE}.{quoted(name)} = target.{quoted(name)}" for name in coming.key)
    return f"DELETE target FROM {STAGE} JOIN {WORDS.place(coming.table)} AS target ON {same}"
