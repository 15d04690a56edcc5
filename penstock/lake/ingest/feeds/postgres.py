"""PostgreSQL as a feed: COPY through ADBC, in one read-only transaction that sees one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.ingest.feeds.feed import Feed, FeedColumn, Speech, Wanted, condition, single_quoted, value_text
from penstock.lake.postgres import catalogue, chosen_schema, connect, declared, quoted
from penstock.lake.source import printable, unknown_table, without_password

_KINDS = {
    "bool": pa.bool_(), "int2": pa.int32(), "int4": pa.int32(), "int8": pa.int64(), "oid": pa.int64(),
    "float4": pa.float32(), "float8": pa.float64(), "date": pa.date32(), "time": pa.time64("us"),
    "timestamp": pa.timestamp("us"), "timestamptz": pa.timestamp("us"), "bytea": pa.binary(),
    "money": pa.decimal128(19, 2), "interval": pa.float64(),
}  # fmt: skip
_SHOWN = {"money": "{}::numeric", "interval": "EXTRACT(EPOCH FROM {})::float8"}
_ITEMS = {
    "bool": ("bool", pa.bool_()), "int2": ("int4", pa.int32()), "int4": ("int4", pa.int32()),
    "int8": ("int8", pa.int64()), "float4": ("float8", pa.float64()), "float8": ("float8", pa.float64()),
    "numeric": ("float8", pa.float64()),
}  # fmt: skip
_AS_THEY_ARE = frozenset({"text", "varchar", "numeric", *_KINDS})
_DIGITS = 38
_ESTIMATE = "SELECT reltuples::int8 AS rows, pg_current_snapshot()::text AS moment FROM pg_class WHERE oid = {}::int8"


@contextmanager
def postgres_feed(url: str, table: str) -> Iterator[Feed]:
    """A table of the URL's schema. Raises ``SourceError`` for what does not exist or cannot be read."""
    with connect(url) as connection:
        from adbc_driver_postgresql import dbapi

        try:
            with connection.cursor() as cursor:
                yield _opened(cursor, url, table)
        except dbapi.Error as error:
            reason = without_password(str(error), url)
            raise SourceError("SOURCE_UNREADABLE", f"{printable(url)} cannot be read: {reason}") from error


def _opened(cursor: Any, url: str, table: str) -> Feed:
    cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
    cursor.execute("SET LOCAL TIME ZONE 'UTC'")
    cursor.execute("SET LOCAL standard_conforming_strings = on")
    schema = chosen_schema(cursor, url)
    columns, constraints = catalogue(cursor, schema)
    own = [column for column in columns if column["name"] == table]
    if not own:
        raise unknown_table(printable(url), table, declared(columns, constraints))
    cursor.execute(_ESTIMATE.format(own[0]["table"]))
    (told,) = cursor.fetch_arrow_table().to_pylist()
    key = declared(own, constraints)[table].key
    place = f"{quoted(schema)}.{quoted(table)}"
    return Feed(
        printable(url),
        told["moment"],
        tuple(FeedColumn(c["column"], c["type"], kind_of(c, key)) for c in own),
        partial(_batches, cursor, url, place, {c["column"]: _shown(c) for c in own}),
        key,
        max(told["rows"], 0) or None,
        orders=True,
        notes=tuple(filter(None, (_note(c, key) for c in own))),
    )


def kind_of(column: Mapping[str, Any], key: tuple[str, ...]) -> pa.DataType:
    """The type in which the lake keeps a column that the catalogue describes."""
    base = column["base"]
    if base == "numeric":
        return _numeric(column, key)
    if column["item"] and column["category"] == "A":
        return pa.list_(_ITEMS.get(column["item"], ("", pa.string()))[1])
    return _KINDS.get(base, pa.string())


def _numeric(column: Mapping[str, Any], key: tuple[str, ...]) -> pa.DataType:
    digits, scale = column["digits"], column["scale"]
    if 0 < digits <= _DIGITS and scale <= digits:
        return pa.decimal128(digits, scale)
    return pa.string() if column["column"] in key else pa.float64()


def _note(column: Mapping[str, Any], key: tuple[str, ...]) -> str:
    """What is said of numbers of any size: no type of the lake holds them all."""
    if column["base"] != "numeric" or column["column"] in key or not pa.types.is_floating(kind_of(column, key)):
        return ""
    return f"{column['column']} is numeric of any size: kept as a double; declare numeric(p, s) to keep all its digits"


def _shown(column: Mapping[str, Any]) -> str:
    """How a column is read: as it is where the driver gives its type, else as text."""
    name, base = quoted(column["column"]), column["base"]
    if base in _SHOWN:
        return _SHOWN[base].format(name)
    if column["item"] and column["category"] == "A":
        return f"{name}::{_ITEMS.get(column['item'], ('text',))[0]}[]"
    return name if base in _AS_THEY_ARE and column["class"] != "e" else f"{name}::text"


def _batches(cursor: Any, url: str, place: str, shown: Mapping[str, str], wanted: Wanted) -> Iterator[pa.RecordBatch]:
    listed = ", ".join(f"{shown[c.name]} AS {quoted(c.name)}" for c in wanted.columns)
    cursor.execute(f"SELECT {listed} FROM {place}{condition(wanted, SPEECH)}")
    try:
        yield from cursor.fetch_record_batch()
    except (OSError, pa.ArrowException) as error:  # the server went away, or could not go on
        reason = without_password(str(error), url)
        raise SourceError("SOURCE_UNREADABLE", f"{printable(url)} cannot be read: {reason}") from None


def _value(column: FeedColumn, value: pa.Scalar) -> str:
    return f"{single_quoted(value_text(value))}::{column.type}"


def _compared(column: FeedColumn) -> str:
    name = quoted(column.name)
    textual = column.type.startswith(("text", "character", "citext", "name"))
    return f'{name} COLLATE "C"' if textual else name


SPEECH = Speech(quoted, _value, _compared)
