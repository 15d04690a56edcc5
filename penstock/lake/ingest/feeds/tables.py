"""DuckDB files and tables in memory as feeds."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.frames import FrameSource, content_hash
from penstock.lake.ingest.feeds.feed import (
    Bound,
    Feed,
    FeedColumn,
    Speech,
    Wanted,
    condition,
    named,
    single_quoted,
    value_text,
)
from penstock.lake.source import unknown_table
from penstock.lake.tables import DuckdbSource, duckdb_batches
from penstock.lake.versioned.scan import duckdb_type, quoted
from penstock.lake.versioned.stored import stored, stored_type

_ROWS = 122_880


@contextmanager
def duckdb_feed(path: Path, table: str) -> Iterator[Feed]:
    """A table of a DuckDB file. Raises ``SourceError`` for what does not exist or cannot be read."""
    source = DuckdbSource(path)
    if table not in source.tables():
        raise unknown_table(str(path), table, source.tables())
    raw, place = source.tables()[table], source.place(table)
    with duckdb_batches(path) as ask:
        listed = ", ".join(_shown(c.name, c.type) for c in raw.columns)
        schema = ask(f"SELECT {listed} FROM {place} LIMIT 0").schema
        types = {c.name: c.type for c in raw.columns}
        columns = tuple(FeedColumn(f.name, types[f.name], stored_type(f.type)) for f in schema)
        yield Feed(
            str(path), source.fingerprint(), columns, partial(_asked, ask, place), raw.key, orders=True, rows=raw.rows
        )


def _shown(name: str, kind: str) -> str:
    if kind == "INTERVAL":
        return f"epoch({quoted(name)}) AS {quoted(name)}"
    textual = kind.startswith(("HUGEINT", "UHUGEINT", "STRUCT", "MAP", "UNION", "UUID", "BIT", "TIME WITH TIME ZONE"))
    return f"{quoted(name)}::VARCHAR AS {quoted(name)}" if textual else quoted(name)


def _asked(ask: Callable[[str], pa.RecordBatchReader], place: str, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    listed = ", ".join(_shown(c.name, c.type) for c in wanted.columns)
    yield from ask(f"SELECT {listed} FROM {place}{condition(wanted, _SPEECH)}")


_SPEECH = Speech(
    quoted,
    lambda column, value: f"{single_quoted(value_text(value))}::{duckdb_type(column.kind)}",
    lambda column: quoted(column.name),
)


# ---------------------------------------------------------------- tables in memory


def frame_feed(frames: Mapping[str, object], table: str) -> Feed:
    """A table in memory. Raises ``SourceError`` for one that is not there."""
    source = FrameSource(frames)
    tables = source.tables()
    if table not in tables:
        raise unknown_table(source.name, table, tables)
    names = [column.name for column in tables[table].columns]
    rows = source.read(table, names)
    columns = tuple(FeedColumn(f.name, str(f.type), stored_type(f.type)) for f in rows.schema)
    return Feed(source.name, content_hash(rows), columns, partial(_sliced, rows), rows=rows.num_rows)


def _sliced(rows: pa.Table, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    for batch in rows.select(list(named(wanted.columns))).to_batches(max_chunksize=_ROWS):
        yield batch if wanted.bound is None else batch.filter(within(batch, wanted.bound))


def within(batch: pa.RecordBatch, bound: Bound) -> pa.Array:
    """Which rows of a batch are in a bound."""
    values = stored(pa.chunked_array([batch.column(bound.column.name)]), bound.column.kind).combine_chunks()
    mask = pc.is_valid(values)
    if bound.low is not None:
        mask = pc.and_(mask, pc.fill_null(pc.greater_equal(values, bound.low), False))
    if bound.high is not None:
        mask = pc.and_(mask, pc.fill_null(pc.less(values, bound.high), False))
    return pc.or_(mask, pc.is_null(values)) if bound.nulls else mask
