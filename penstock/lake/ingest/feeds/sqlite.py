"""A SQLite file as a feed: values of the declared types, in one transaction that sees one moment."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import SourceError
from penstock.lake.ingest.feeds.feed import Feed, FeedColumn, Speech, Wanted, condition, single_quoted, value_text
from penstock.lake.source import RawTable, file_state, unknown_table
from penstock.lake.sqlite import SqliteSource, quoted

_ROWS = 10_000
_SECONDS_TO_WAIT = 60.0
_KINDS: Mapping[str, pa.DataType] = {
    "BOOL": pa.bool_(), "DATETIME": pa.timestamp("us"), "TIMESTAMP": pa.timestamp("us"), "DATE": pa.timestamp("us"),
    "INT": pa.int64(), "CHAR": pa.string(), "CLOB": pa.string(), "TEXT": pa.string(), "BLOB": pa.binary(),
    "REAL": pa.float64(), "FLOA": pa.float64(), "DOUB": pa.float64(), "NUM": pa.float64(), "DEC": pa.float64(),
}  # fmt: skip
_SCALES = ((100_000_000_000, 1_000_000), (100_000_000_000_000, 1_000))
_DAY, _JULIAN_1970 = 86_400_000_000, 2_440_587.5


@contextmanager
def sqlite_feed(path: Path, table: str) -> Iterator[Feed]:
    """A table of a SQLite file. Raises ``SourceError`` for what does not exist or cannot be read."""
    found = SqliteSource(path).tables()
    if table not in found:
        raise unknown_table(str(path), table, found)
    address = f"file:{quote(str(path.absolute()))}?mode=ro"
    try:
        with closing(_connected(address)) as connection:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
            yield _opened(connection, path, found[table])
    except sqlite3.Error as error:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name} cannot be read: {error}") from error


def _connected(address: str) -> sqlite3.Connection:
    """A connection that another thread may read from, one at a time."""
    return sqlite3.connect(address, uri=True, isolation_level=None, timeout=_SECONDS_TO_WAIT, check_same_thread=False)


def _opened(connection: sqlite3.Connection, path: Path, table: RawTable) -> Feed:
    state = file_state(path, path.with_name(f"{path.name}-wal"))
    columns = tuple(FeedColumn(c.name, c.type, kind_of(c.type)) for c in table.columns)
    return Feed(str(path), state, columns, partial(_batches, connection, table.name), table.key, orders=True)


def kind_of(declared: str) -> pa.DataType:
    """The type that a declaration means: what SQLite calls affinity, and instants and truth values beside."""
    said = declared.upper()
    return next((kind for word, kind in _KINDS.items() if word in said), pa.string())


def _batches(connection: sqlite3.Connection, table: str, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    listed = ", ".join(quoted(column.name) for column in wanted.columns)
    connection.text_factory = _decoded
    cursor = connection.execute(f"SELECT {listed} FROM {quoted(table)}{condition(wanted, SPEECH)}")
    names = [column.name for column in wanted.columns]
    while rows := cursor.fetchmany(_ROWS):
        values = zip(*rows, strict=True)
        arrays = [_typed(list(own), column.kind) for own, column in zip(values, wanted.columns, strict=True)]
        yield pa.record_batch(arrays, names=names)


def _decoded(value: bytes) -> str:
    return value.decode("utf-8", "backslashreplace")


def _typed(values: list[object], kind: pa.DataType) -> pa.Array:
    """The values in a type; all of them as text where some are of another."""
    try:
        found = pa.array(values)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _texts(values, kind)
    if found.type == kind:
        return found
    if pa.types.is_null(found.type):
        return pa.nulls(len(values), kind)
    if pa.types.is_int64(found.type) and pa.types.is_boolean(kind):
        truths = pc.all(pc.is_in(found.drop_null(), value_set=pa.array([0, 1]))).as_py()
        return pc.cast(found, kind) if truths else _texts(values, kind)
    if pa.types.is_int64(found.type) and pa.types.is_floating(kind):
        return pc.cast(found, kind, safe=False)
    return found if pa.types.is_string(found.type) else _texts(values, kind)


def _texts(values: list[object], kind: pa.DataType) -> pa.Array:
    return pa.array([None if value is None else _told(value, kind) for value in values], pa.string())


def _told(value: object, kind: pa.DataType) -> str:
    if pa.types.is_timestamp(kind) and isinstance(value, int | float):
        return _instant_text(value)
    return f"x'{value.hex()}'" if isinstance(value, bytes) else str(value)


def _instant(value: float) -> int:
    """Microseconds since 1970: whole numbers count seconds, or milli- or microseconds by their size; others days."""
    if not isinstance(value, int):
        return round((value - _JULIAN_1970) * _DAY)
    return value * next((scale for end, scale in _SCALES if abs(value) < end), 1)


def _instant_text(value: float) -> str:
    try:
        return str(pa.scalar(_instant(value), pa.timestamp("us")).cast(pa.string()).as_py())
    except (pa.ArrowException, OverflowError, ValueError):
        return str(value)


def _value(column: FeedColumn, value: pa.Scalar) -> str:
    """A value to compare with; of an instant only its day, which is before it however its text goes on."""
    if pa.types.is_timestamp(column.kind):
        return single_quoted(value_text(value)[:10])
    return single_quoted(value_text(value)) if pa.types.is_string(column.kind) else value_text(value)


SPEECH = Speech(quoted, _value, lambda column: quoted(column.name))
