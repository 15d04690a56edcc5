"""A source's facts: what it declares, and its values as they read."""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa

from penstock.inference.facts import ColumnFacts, Facts, TableFacts
from penstock.lake.canonical import Canonical, canonical, dtype_of, type_note
from penstock.lake.reading import read_number, read_text
from penstock.lake.source import RawColumn, RawTable, Source
from penstock.schema import Dtype


def describe(source: Source) -> Facts:
    """The facts of all tables of a source. Each column is read at most once, and only when it is needed."""
    tables = tuple(_table(source, raw) for raw in source.tables().values())
    return Facts(tables, tuple(source.notes))


def _table(source: Source, raw: RawTable) -> TableFacts:
    if raw.prunes and raw.rows is not None:
        columns = tuple(_column(c, _reader(source, raw.name, c.name)) for c in raw.columns)
        rows = raw.rows
    else:
        whole = source.read(raw.name, [c.name for c in raw.columns])
        columns = tuple(_column(c, _holder(whole.column(c.name))) for c in raw.columns)
        rows = whole.num_rows
    return TableFacts(raw.name, columns, rows, raw.key, raw.unique, raw.links)


def _reader(source: Source, table: str, column: str) -> Callable[[], pa.ChunkedArray]:
    return lambda: source.read(table, [column]).column(column)


def _holder(values: pa.ChunkedArray) -> Callable[[], pa.ChunkedArray]:
    return lambda: values


def _column(raw: RawColumn, load: Callable[[], pa.ChunkedArray]) -> ColumnFacts:
    dtype = None if raw.arrow is None else dtype_of(raw.arrow)
    if dtype is Dtype.OTHER:
        return ColumnFacts(raw.name, dtype, load, declared=raw.type, note=f"values of type {raw.type} are not used")
    if dtype in {Dtype.FLOAT, Dtype.BOOL, Dtype.TIMESTAMP, Dtype.LIST}:
        note = type_note(raw.arrow, dtype)
        return ColumnFacts(raw.name, dtype, lambda: canonical(load()).values, declared=raw.type, note=note)
    plain = canonical(load())
    read = _read(raw, plain)
    if raw.textual or raw.timely or read.dtype is plain.dtype:
        return ColumnFacts(raw.name, read.dtype, lambda: read.values, declared=raw.type, note=read.note)
    return ColumnFacts(
        raw.name, read.dtype, lambda: read.values, plain.dtype, lambda: plain.values, raw.type, read.note
    )


def _read(raw: RawColumn, plain: Canonical) -> Canonical:
    """The values as they read: instants in text and in whole numbers, and all that an untyped text says."""
    found = plain
    if plain.dtype is Dtype.STRING and not plain.note:
        found = read_text(raw.name, plain.values, numbers=raw.textual)
    if found.dtype is Dtype.INT:
        return read_number(raw.name, found.values, timely=raw.timely) or found
    return found
