"""MySQL and MariaDB as a feed: one query, streamed by connectorx, each column cast to what it reads without fail."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import SourceError
from penstock.lake.ingest.feeds.feed import Feed, FeedColumn, Speech, Wanted, condition, value_text
from penstock.lake.mysql import connect, declared, quoted
from penstock.lake.source import missing_package, printable, unknown_table, without_password

_ROWS = 65_536
_KINDS: Mapping[str, pa.DataType] = {
    "tinyint": pa.int32(), "smallint": pa.int32(), "mediumint": pa.int32(), "int": pa.int32(), "bigint": pa.int64(),
    "year": pa.int32(), "float": pa.float32(), "double": pa.float64(), "date": pa.date32(), "time": pa.float64(),
    "datetime": pa.timestamp("us"), "timestamp": pa.timestamp("us"), "bit": pa.int64(), "set": pa.list_(pa.string()),
    "tinyblob": pa.binary(), "blob": pa.binary(), "mediumblob": pa.binary(), "longblob": pa.binary(),
    "binary": pa.binary(), "varbinary": pa.binary(),
}  # fmt: skip
_UNSIGNED: Mapping[str, pa.DataType] = {"int": pa.int64(), "bigint": pa.decimal128(20, 0)}
_MICROSECONDS = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01', {})"
_SHOWN = {
    "date": _MICROSECONDS, "datetime": _MICROSECONDS,
    "timestamp": "CAST(NULLIF(UNIX_TIMESTAMP({}), 0) * 1000000 AS SIGNED)",
    "time": "TIME_TO_SEC({}) + 0e0", "bit": "CAST({} + 0 AS SIGNED)",
}  # fmt: skip
TRUTH = frozenset({"tinyint(1)", "bit(1)"})
_DIGITS = 38
_PANIC = "PanicException"
"""What the driver raises when a server goes away while rows come: no `Exception`, and exported nowhere."""


def mysql_feed(url: str, table: str, expected: pa.Schema | None) -> Feed:
    """A table of the URL's database. Raises ``SourceError`` for what does not exist or cannot be read.

    ``tinyint(1)`` and ``bit(1)`` are truth values where they hold nothing but 0 and 1 when first seen.
    """
    found = declared(url)
    if table not in found:
        raise unknown_table(printable(url), table, {name: raw for name, (raw, _) in found.items()})
    raw, columns = found[table]
    truths = _truths(url, table, columns, expected)
    kinds = {c["column"]: pa.bool_() if c["column"] in truths else kind_of(c) for c in columns}
    return Feed(
        printable(url),
        _moment(url),
        tuple(FeedColumn(c["column"], c["type"], kinds[c["column"]]) for c in columns),
        partial(_batches, url, table, {c["column"]: c["base"] for c in columns}),
        raw.key,
        orders=True,
    )


def kind_of(column: Mapping[str, Any]) -> pa.DataType:
    """The type in which the lake keeps a column that the catalogue describes."""
    base = column["base"]
    if base == "decimal":
        return pa.decimal128(column["digits"], column["scale"]) if column["digits"] <= _DIGITS else pa.string()
    if "unsigned" in column["type"] and base in _UNSIGNED:
        return _UNSIGNED[base]
    return _KINDS.get(base, pa.string())


def _truths(url: str, table: str, columns: list[dict[str, Any]], expected: pa.Schema | None) -> set[str]:
    """The columns that are truth values: as they were read before, else as their values are now."""
    before = {} if expected is None else {field.name: field.type for field in expected}
    open_ = [c["column"] for c in columns if c["type"] in TRUTH and c["column"] not in before]
    known = {name for name, kind in before.items() if pa.types.is_boolean(kind)}
    if not open_:
        return known
    asked = ", ".join(f"EXISTS (SELECT 1 FROM {quoted(table)} WHERE {quoted(c)} + 0 NOT IN (0, 1))" for c in open_)
    return known | {name for name, other in zip(open_, _row(url, f"SELECT {asked}"), strict=True) if not other}


def _moment(url: str) -> str:
    return str(_row(url, "SELECT UTC_TIMESTAMP(6)")[0])


def _row(url: str, text: str) -> tuple[Any, ...]:
    with connect(url) as connection, connection.cursor() as cursor:
        cursor.execute(text)
        return tuple(cursor.fetchone())


def _batches(url: str, table: str, bases: Mapping[str, str], wanted: Wanted) -> Iterator[pa.RecordBatch]:
    try:
        import connectorx
    except ImportError as error:
        raise missing_package("MySQL", "connectorx", "mysql") from error
    listed = ", ".join(f"{_shown(c, bases[c.name])} AS c{at}" for at, c in enumerate(wanted.columns))
    text = f"SELECT {listed} FROM {quoted(table)}{condition(wanted, SPEECH)}"
    address = urlsplit(url)._replace(scheme="mysql", query="", fragment="").geturl()
    try:
        zone = ["SET time_zone = '+00:00'"]
        found: Any = connectorx.read_sql(
            address, text, return_type="arrow_stream", batch_size=_ROWS, pre_execution_query=zone
        )
        for batch in found:
            arrays = [_typed(batch.column(at), bases[c.name]) for at, c in enumerate(wanted.columns)]
            yield pa.record_batch(arrays, names=[c.name for c in wanted.columns])
    except BaseException as error:
        if not isinstance(error, RuntimeError | OSError) and type(error).__name__ != _PANIC:
            raise
        reason = without_password(str(error), url)
        raise SourceError("SOURCE_UNREADABLE", f"{printable(url)}: {table} cannot be read: {reason}") from None


def _shown(column: FeedColumn, base: str) -> str:
    name = quoted(column.name)
    if base in _SHOWN:
        return _SHOWN[base].format(name)
    return name if base in _KINDS and base != "set" else f"CONVERT({name} USING utf8mb4)"


def _typed(values: pa.Array, base: str) -> pa.Array:
    if base in {"date", "datetime", "timestamp"}:
        instants = pc.cast(pc.cast(values, pa.int64()), pa.timestamp("us"))
        return pc.cast(instants, pa.date32()) if base == "date" else instants
    if base == "set":
        return pc.split_pattern(pc.cast(values, pa.string()), ",")
    return values


def _value(value: pa.Scalar) -> str:
    return "'" + value_text(value).replace("\\", "\\\\").replace("'", "''") + "'"


def _compared(column: FeedColumn) -> str:
    return f"CAST({quoted(column.name)} AS BINARY)" if pa.types.is_string(column.kind) else quoted(column.name)


SPEECH = Speech(quoted, lambda column, value: _value(value), _compared)
