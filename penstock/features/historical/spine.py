"""Spines: the rows asked about, kept as they are, and the instant of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock import lake
from penstock.errors import RequestError, SourceError
from penstock.window import instant

TIMES = ("cutoff", "event_timestamp")
"""What the column of instants is called, unless it is said or there is only one that it can be."""
_A_MICROSECOND = {"s": 1_000_000, "ms": 1_000, "us": 1}


def to_table(spine: object) -> pa.Table:
    """A spine as Arrow: Arrow, pandas or Polars tables, a dict of columns, a list of dicts, or the path of a file.

    The index of a pandas frame comes along as pyarrow keeps it, named or not: `pyarrow.Table.to_pandas` puts it back.
    Raises ``SourceError`` for what is none of these.
    """
    if isinstance(spine, str | Path):
        return _of_file(spine)
    return lake.to_arrow(_columns(spine) if isinstance(spine, list) else spine, "spine", index=True)


def _of_file(path: str | Path) -> pa.Table:
    """The first table at a path: columns whose types the file says as they are, others as they are inferred."""
    opened = lake.open_source(path)
    name, told = next(iter(opened.tables().items()))
    if all(column.arrow is not None for column in told.columns):
        return opened.read(name, [column.name for column in told.columns])
    rows = lake.SourceRows.of(path)
    return rows.read(name, [column.name for column in rows.graph.table(name).columns])


def _columns(rows: Sequence[object]) -> dict[str, list[object]]:
    """Rows as columns: all that any of them names, and NULL where a row does not."""
    told = [row for row in rows if isinstance(row, Mapping)]
    if len(told) < len(rows):
        hint = 'Give rows as dicts: [{"customer_id": 1, "cutoff": …}].'
        raise SourceError("SOURCE_NOT_A_TABLE", "the spine is a list of what are no rows", hint=hint)
    names = dict.fromkeys(str(name) for row in told for name in row)
    return {name: [row.get(name) for row in told] for name in names}


def cutoffs(spine: pa.Table, time: str | None) -> pa.Array:
    """The instant of each row in microseconds of UTC; NULL where it says none.

    Times without a zone are UTC, dates are their first instant, texts are read as ISO 8601; what is finer than a
    microsecond is cut off. Raises ``RequestError`` without such a column, or where a value is no time.
    """
    name = time_column(spine, time)
    try:
        return _instants(plain(spine[name]))
    except (pa.ArrowException, RequestError) as error:
        hint = "Write instants as timestamps, dates, or text like 2024-01-31 12:00:00."
        message = f"{name} of the spine is no time: {getattr(error, 'message', error)}"
        raise RequestError("SPINE_CUTOFF", message, name=name, hint=hint) from error


def time_column(spine: pa.Table, time: str | None) -> str:
    """The column of instants: the one said, else `TIMES`, else the only one of times.

    >>> time_column(pa.table({"id": [1], "e_ts": pa.array([0], pa.timestamp("us"))}), None)
    'e_ts'
    """
    if time is not None:
        return found(spine, time)
    times = [field.name for field in spine.schema if pa.types.is_timestamp(field.type)]
    times = times or [field.name for field in spine.schema if pa.types.is_date(field.type)]
    times = [name for name in times if not name.startswith("__index_level_")] or times
    called = [name for name in TIMES if name in spine.column_names]
    named = [name for name in called if _may_be_time(spine[name])] or times or called
    if len(named) == 1 or named[:1] == list(TIMES[:1]) or named == list(TIMES):
        return named[0]
    what = f"several columns of times: {', '.join(times)}" if times else "no column of times"
    hint = "Say which column holds the instants: --time COLUMN, in Python time=…"
    raise RequestError("SPINE_TIME", f"the spine has {what}", candidates=times or spine.column_names, hint=hint)


def _may_be_time(column: pa.ChunkedArray) -> bool:
    """Whether a column that is called as instants are can hold some: thresholds are called cutoff, too."""
    of, types = plain(column).type, pa.types
    numbers = types.is_integer(of) or types.is_floating(of) or types.is_decimal(of) or types.is_boolean(of)
    return not numbers or column.null_count == len(column)


def found(spine: pa.Table, name: str, why: str = "") -> str:
    """The name, if the spine has a column called so. Raises ``RequestError`` with those that exist."""
    if name in spine.column_names:
        return name
    raise RequestError(
        "SPINE_COLUMN", f"the spine has no column {name!r}{why}", name=name, candidates=spine.column_names
    )


def plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """The column's values, spelled out where it holds codes of them."""
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _instants(column: pa.ChunkedArray) -> pa.Array:
    if column.null_count == len(column):
        return pa.nulls(len(column), pa.int64())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type) or pa.types.is_string_view(column.type):
        return _read(column.cast(pa.string()))
    if pa.types.is_date(column.type):
        column = column.cast(pa.timestamp("ms"))
    if not pa.types.is_timestamp(column.type):
        raise pa.ArrowInvalid(f"it holds values of type {column.type}")
    raw, unit = column.cast(pa.int64()).combine_chunks(), column.type.unit
    if unit == "ns":
        return pa.array(np.asarray(raw.fill_null(0)) // 1000, mask=np.asarray(raw.is_null()))
    return pc.multiply_checked(raw, pa.scalar(_A_MICROSECOND[unit], pa.int64()))


def _read(column: pa.ChunkedArray) -> pa.Array:
    texts = column.combine_chunks().dictionary_encode()
    told: Sequence[str] = texts.dictionary.to_pylist()
    return pa.array([instant(text) for text in told], pa.int64()).take(texts.indices)


__all__ = ["cutoffs", "found", "plain", "time_column", "to_table"]
