"""PostgreSQL as a source: one read-only snapshot, by ADBC, each column cast where its type has no Arrow of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count, groupby
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

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
from penstock.lake.upsert import STAGE, Incoming, Words, check_columns, created, deleted, inserted
from penstock.lake.where import AnyOf, Part, columns_in, only, parts_of, selected
from penstock.schema import Dtype

_CATALOGUE = """
    SELECT c.oid::int8 AS table, c.relname::text AS name, a.attname::text AS column, NOT a.attnotnull AS nullable,
        format_type(a.atttypid, a.atttypmod) AS type, coalesce(b.typname, t.typname)::text AS base,
        coalesce(b.typtype, t.typtype)::text AS class, coalesce(b.typcategory, t.typcategory)::text AS category,
        e.typname::text AS item, e.typtype::text AS item_class,
        CASE WHEN coalesce(b.typname, t.typname) = 'numeric'
            THEN (greatest(a.atttypmod, t.typtypmod) - 4) >> 16 END AS digits,
        CASE WHEN coalesce(b.typname, t.typname) = 'numeric'
            THEN (greatest(a.atttypmod, t.typtypmod) - 4) & 65535 END AS scale
    FROM pg_class c
    JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    JOIN pg_type t ON t.oid = a.atttypid
    LEFT JOIN pg_type b ON t.typtype = 'd' AND b.oid = t.typbasetype
    LEFT JOIN pg_type e ON e.oid = t.typelem AND t.typcategory = 'A'
    WHERE c.relkind IN ('r', 'p', 'f', 'm') AND NOT c.relispartition AND c.relnamespace = $1::text::regnamespace
    ORDER BY c.relname, a.attnum
"""
_CONSTRAINTS = """
    SELECT c.relname::text AS name, k.contype::text AS type, r.relname::text AS to,
        ARRAY(SELECT a.attname::text FROM unnest(k.conkey) WITH ORDINALITY AS u(n, at)
            JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = u.n ORDER BY u.at) AS columns,
        ARRAY(SELECT a.attname::text FROM unnest(k.confkey) WITH ORDINALITY AS u(n, at)
            JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.n ORDER BY u.at) AS to_columns
    FROM pg_constraint k
    JOIN pg_class c ON c.oid = k.conrelid
    LEFT JOIN pg_class r ON r.oid = k.confrelid AND r.relnamespace = c.relnamespace
    WHERE k.contype IN ('p', 'u', 'f') AND c.relnamespace = $1::text::regnamespace
    ORDER BY c.relname, k.contype, k.conname
"""
_SCHEMAS = """
    SELECT n.nspname::text AS schema, n.nspname = current_schema() AS current, count(*) AS tables
    FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.relkind IN ('r', 'p', 'f', 'm') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
    GROUP BY 1, 2 ORDER BY 1
"""
_AS_THEY_ARE = frozenset({"int2", "int4", "int8", "float4", "float8", "bool", "text", "varchar", "timestamptz", "oid"})
_AS_TEXT = frozenset({
    "uuid", "json", "jsonb", "bpchar", "name", "inet", "cidr", "macaddr", "macaddr8", "bit", "varbit", "citext", "xml",
    "hstore", "ltree", "char",
})  # fmt: skip
_EXACT_DIGITS = 18
_TOLD = "{}::text"


@dataclass(frozen=True)
class PostgresSource:
    """The tables of one schema of a PostgreSQL database: ``?schema=`` in the URL, else the current one.

    All of them are read in one transaction when the first is asked for, so that they fit together.
    """

    url: str
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The URL without its password."""
        return printable(self.url)

    @cached_property
    def _opened(self) -> _Opened:
        return _open(self.url)

    def tables(self) -> Mapping[str, RawTable]:
        """The tables by name, with their constraints."""
        return self._opened.tables

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows, as they were when the first table was read."""
        if table not in self._opened.rows:
            raise unknown_table(self.name, table, self.tables())
        return self._opened.rows[table].select(list(columns))

    def read_where(self, table: str, columns: Sequence[str], any_of: AnyOf) -> pa.Table:
        """These columns of the rows that are meant, as they are now."""
        schema, tables, described_ = self._catalogue
        if table not in tables:
            raise unknown_table(self.name, table, tables)
        own = {c["column"]: c for c in described_ if c["name"] == table}
        must_have(self.name, table, own, columns)
        asked = parts_of(any_of, lambda name, keys: _part(own[name], keys))
        chosen = [_shown(own[name]) for name in columns]
        text = selected(chosen, f"{quoted(schema)}.{quoted(table)}", _conditions(asked))
        lists = [_list(part.keys) for parts in asked for part in parts]
        return self._connections.ask(lambda connection: _asked(connection, text, lists))

    @cached_property
    def _connections(self) -> Connections[Any]:
        """For who asks again and again: no transaction stays open between questions."""
        from adbc_driver_postgresql import dbapi

        return Connections(lambda: connect(self.url, autocommit=True), dbapi.Error, self._explained)

    def _explained(self, error: Exception) -> SourceError:
        reason = without_password(str(error), self.url)
        return SourceError("SOURCE_UNREADABLE", f"{self.name} cannot be read: {reason}")

    def close(self) -> None:
        """Let go of connections."""
        self._connections.close()

    @cached_property
    def _catalogue(self) -> tuple[str, dict[str, RawTable], list[dict[str, Any]]]:
        """The schema that is read, its tables, and what the catalogue says of their columns."""
        with connect(self.url) as connection, connection.cursor() as cursor:
            schema = chosen_schema(cursor, self.url)
            columns, constraints = catalogue(cursor, schema)
        return schema, declared(columns, constraints), columns

    def fingerprint(self) -> str:
        """A hash of all that was read."""
        return content_hashes(self._opened.rows)


def _part(column: Mapping[str, Any], keys: pa.Array) -> Part | None:
    """How a column is asked for keys, by its own index where it has one; None for what is compared otherwise here."""
    base, name = column["base"], quoted(column["column"])
    if pa.types.is_integer(keys.type):
        kind = "int8[]" if base in _WHOLE else "int8[]::numeric[]" if base == "numeric" else None
        return None if kind is None else Part(name, kind, keys)
    if pa.types.is_timestamp(keys.type):
        kind = _TIMES.get(base)
        return None if kind is None else Part(name, kind, only(keys, pc.greater_equal(keys.cast(pa.int64()), _FIRST)))
    if base in _WRITTEN:
        kind, written = _WRITTEN[base]
        return Part(name, kind, only(keys, pc.match_substring_regex(keys, written)))
    told = name if base in ("text", "varchar", "bpchar") else f"{name}::text" if _expression(column) == _TOLD else None
    return None if told is None else Part(told, "text[]::bpchar[]" if base == "bpchar" else "text[]", _sayable(keys))


def _sayable(keys: pa.Array) -> pa.Array:
    """The texts that can be there: none has a zero byte, and the server takes none."""
    return only(keys, pc.invert(pc.match_substring(keys, "\0")))


_WHOLE = frozenset({"int2", "int4", "int8"})
_TIMES = {"timestamp": "timestamp[]", "timestamptz": "timestamp[]::timestamptz[]", "date": "timestamp[]::date[]"}
_FIRST = -210_866_803_200_000_000
"""The first instant that the server knows."""
_NUMBER = "text[]::numeric[]", r"^(-?[0-9]+([.][0-9]+)?|NaN)$"
_WRITTEN = {
    "uuid": ("text[]::uuid[]", "^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$"),
    **dict.fromkeys((*_WHOLE, "numeric"), _NUMBER),
}
"""What is compared as itself with keys that are texts: the type of those, and how they are written."""


def _conditions(asked: Sequence[Sequence[Part]]) -> list[str]:
    """A condition for each table of keys, whose parts are the next parameters: a list for each."""
    numbers, found = count(1), []
    for parts in asked:
        lists = [f"${next(numbers)}::{part.type}" for part in parts]
        column = columns_in(parts)
        found.append(f"{column} = ANY({lists[0]})" if len(parts) == 1 else
                     f"{column} IN (SELECT * FROM unnest({', '.join(lists)}))")  # fmt: skip
    return found


def _list(keys: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, len(keys)], pa.int32()), keys)


def _asked(connection: Any, text: str, lists: Sequence[pa.Array]) -> pa.Table:
    with connection.cursor() as cursor:
        names = list(map(str, range(len(lists))))
        cursor.execute(text, pa.record_batch(list(lists), names) if lists else None)
        return cursor.fetch_arrow_table()


@dataclass(frozen=True)
class _Opened:
    tables: Mapping[str, RawTable]
    rows: Mapping[str, pa.Table]


def split_url(url: str) -> tuple[str, str | None]:
    """The URL as libpq knows it, and the schema that its ``?schema=`` names.

    >>> split_url("postgres://db/shop?schema=sales&sslmode=require")
    ('postgresql://db/shop?sslmode=require', 'sales')
    """
    parts = urlsplit(url)
    options = dict(parse_qsl(parts.query))
    schema = options.pop("schema", None)
    return parts._replace(scheme="postgresql", query=urlencode(options), fragment="").geturl(), schema


def connect(url: str, *, autocommit: bool = False) -> Any:
    """An ADBC connection. Raises ``SourceError`` when there is no driver or no server, without the password."""
    try:
        from adbc_driver_postgresql import dbapi
    except ImportError as error:
        raise missing_package("PostgreSQL", "adbc-driver-postgresql", "postgres") from error
    try:
        return dbapi.connect(split_url(url)[0], autocommit=autocommit)
    except dbapi.Error as error:
        reason = without_password(str(error), url)
        raise SourceError("SOURCE_UNREACHABLE", f"{printable(url)} cannot be opened: {reason}") from None


def _open(url: str) -> _Opened:
    with connect(url) as connection:
        from adbc_driver_postgresql import dbapi

        try:
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                schema = chosen_schema(cursor, url)
                columns, constraints = catalogue(cursor, schema)
                tables = declared(columns, constraints)
                return _Opened(tables, {name: _read(cursor, schema, name, columns) for name in tables})
        except dbapi.Error as error:
            reason = without_password(str(error), url)
            raise SourceError("SOURCE_UNREADABLE", f"{printable(url)} cannot be read: {reason}") from error


def described(url: str) -> tuple[dict[str, RawTable], list[dict[str, Any]]]:
    """The tables of a schema, and what the catalogue says of their columns, without reading rows."""
    with connect(url) as connection:
        from adbc_driver_postgresql import dbapi

        try:
            with connection.cursor() as cursor:
                columns, constraints = catalogue(cursor, chosen_schema(cursor, url))
        except dbapi.Error as error:
            reason = without_password(str(error), url)
            raise SourceError("SOURCE_UNREADABLE", f"{printable(url)} cannot be read: {reason}") from error
    return declared(columns, constraints), columns


def chosen_schema(cursor: Any, url: str) -> str:
    """The schema that the URL names, else the current one, else the only one that holds tables."""
    return split_url(url)[1] or _schema(cursor, printable(url))


def _schema(cursor: Any, name: str) -> str:
    """The current schema, or the only one that holds tables."""
    cursor.execute(_SCHEMAS)
    found = cursor.fetch_arrow_table().to_pylist()
    current = [row["schema"] for row in found if row["current"]]
    if len(current) == 1 or len(found) == 1:
        return str((current or [found[0]["schema"]])[0])
    if not found:
        raise SourceError("SOURCE_EMPTY", f"{name} holds no tables that may be read")
    hint = "Name one in the URL: …?schema=NAME"
    raise SourceError(
        "SOURCE_EMPTY", f"{name}: the current schema is empty", candidates=[r["schema"] for r in found], hint=hint
    )


def _rows(cursor: Any, text: str, schema: str) -> list[dict[str, Any]]:
    cursor.execute(text, (schema,))
    return list(cursor.fetch_arrow_table().to_pylist())


def catalogue(cursor: Any, schema: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """What the server's catalogue says of a schema's columns, and of its constraints."""
    return _rows(cursor, _CATALOGUE, schema), _rows(cursor, _CONSTRAINTS, schema)


def declared(columns: list[dict[str, Any]], constraints: list[dict[str, Any]]) -> dict[str, RawTable]:
    """The tables that the catalogue tells of."""
    found = {}
    for name, group in groupby(columns, key=lambda column: column["name"]):
        own = [c for c in constraints if c["name"] == name]
        found[name] = RawTable(
            name,
            tuple(RawColumn(c["column"], c["type"], c["nullable"], _arrow(c), textual=_says_number(c)) for c in group),
            key=next((tuple(c["columns"]) for c in own if c["type"] == "p"), ()),
            unique=tuple(tuple(c["columns"]) for c in own if c["type"] == "u"),
            links=tuple(
                DeclaredLink(tuple(c["columns"]), c["to"], tuple(c["to_columns"]))
                for c in own
                if c["type"] == "f" and c["to"]
            ),
        )
    return found


def _shown(column: Mapping[str, Any]) -> str:
    """How a column is read, under its own name."""
    name = quoted(column["column"])
    return f"{(_expression(column) or 'NULL::text').format(name)} AS {name}"


def _says_number(column: Mapping[str, Any]) -> bool:
    """Whether the column comes as text that is a number of any size."""
    return _expression(column) == "{}::text" and column["base"] == "numeric"


def _arrow(column: Mapping[str, Any]) -> pa.DataType | None:
    """The Arrow type of what is not fetched at all."""
    return pa.binary() if _expression(column) is None else None


def _expression(column: Mapping[str, Any]) -> str | None:
    """How a column is read, with ``{}`` for its name; None for types that are not used."""
    base = column["base"]
    if base in _AS_THEY_ARE:
        return "{}"
    if base in {"timestamp", "date"}:
        return "CASE WHEN isfinite({0}) THEN {0}::timestamp END"
    if base in _AS_TEXT or column["class"] == "e":
        return _TOLD
    if base == "numeric":
        return _numeric(column["digits"], column["scale"])
    if base == "money":
        return "{}::numeric::float8"
    if base in {"interval", "time"}:
        return "EXTRACT(EPOCH FROM {})::float8"
    if column["item"] in _ARRAYS:
        return f"{{}}::{_ARRAYS[column['item']]}[]"
    if column["item"] in _AS_TEXT | {"text", "varchar", "int2", "int4", "int8"} or column["item_class"] == "e":
        return "{}::text[]"
    return None


_ARRAYS = {
    "float4": "float8", "float8": "float8", "numeric": "float8", "bool": "bool",
    "timestamp": "text", "timestamptz": "text", "date": "text",
}  # fmt: skip
"""What arrays are read as that are none of texts and whole numbers: as ingestion reads them."""


def _numeric(digits: int, scale: int) -> str:
    if digits < 1:
        return "{}::text"
    if scale:
        return "{}::float8"
    return "{}::int8" if digits <= _EXACT_DIGITS else "{}::text"


def _read(cursor: Any, schema: str, table: str, columns: list[dict[str, Any]]) -> pa.Table:
    own = [c for c in columns if c["name"] == table]
    shown = map(_shown, own)
    cursor.execute(f"SELECT {', '.join(shown)} FROM {quoted(schema)}.{quoted(table)}")
    return cursor.fetch_arrow_table()


def quoted(name: str) -> str:
    """A name in double quotes, whatever it holds."""
    return '"' + name.replace('"', '""') + '"'


# ---------------------------------------------------------------- writing

WORDS = Words(
    quoted,
    {
        Dtype.INT: "BIGINT",
        Dtype.FLOAT: "DOUBLE PRECISION",
        Dtype.BOOL: "BOOLEAN",
        Dtype.STRING: "TEXT",
        Dtype.TIMESTAMP: "TIMESTAMP WITH TIME ZONE",
        Dtype.LIST: "TEXT[]",
    },
    key_text="TEXT",
    lists={Dtype.INT: "BIGINT[]", Dtype.FLOAT: "DOUBLE PRECISION[]"},
)


def write_rows(url: str, coming: Incoming) -> None:
    """Replace rows of a table by their key, in one transaction; the table is made when it is not there."""
    with connect(url) as connection:
        from adbc_driver_postgresql import dbapi

        try:
            with connection.cursor() as cursor:
                cursor.execute("SET LOCAL TIME ZONE 'UTC'")
                if split_url(url)[1] and "." not in coming.table:
                    coming = replace(coming, table=f"{split_url(url)[1]}.{coming.table}")
                cursor.execute(created(coming, WORDS))
                cursor.execute(f"SELECT * FROM {WORDS.place(coming.table)} WHERE FALSE")
                check_columns(coming, cursor.fetch_arrow_table().column_names)
                rows = _zoned(coming.flat(Dtype.STRING, *WORDS.lists))
                cursor.adbc_ingest(STAGE, rows, mode="create", temporary=True)
                cursor.execute(deleted(coming, WORDS))
                cursor.execute(inserted(coming, WORDS))
                cursor.execute(f"DROP TABLE {STAGE}")
            connection.commit()
        except dbapi.Error as error:
            reason = without_password(str(error), url)
            raise SourceError("CANNOT_WRITE", f"{printable(url)}: cannot write {coming.table}: {reason}") from None


def _zoned(rows: pa.Table) -> pa.Table:
    """Instants marked as UTC, so that the server need not guess."""
    zoned = [
        pa.field(f.name, pa.timestamp("us", "UTC")) if pa.types.is_timestamp(f.type) else pa.field(f.name, f.type)
        for f in rows.schema
    ]
    return rows.cast(pa.schema(zoned))
