"""Batches of a source in the types of a lake table; rows with a value that has no place in them are told apart."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.versioned.stored import stored

_DAY = 86_400_000_000
FIRST = round((datetime(1, 1, 1, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000
"""The first instant that a lake keeps, the beginning of the year 1."""
END = round((datetime(9999, 12, 31, tzinfo=UTC) - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds()) * 1_000_000 + _DAY
"""The end of the year 9999: the first instant that it does not keep."""
_INFINITIES = {
    "timestamp[us]": np.array([-9222425352054775809, -(2**63), 2**63 - 1], np.int64),
    "date32[day]": np.array([-2147472692, -(2**31) + 10957, -(2**31), 2**31 - 1], np.int32),
}  # what PostgreSQL's driver makes of ±infinity


@dataclass(frozen=True)
class Column:
    """A column of the lake and its type; ``of_key`` says that NULL is refused."""

    name: str
    kind: pa.DataType
    of_key: bool = False
    latest: int | None = None
    """The latest instant that is not refused, in microseconds."""


@dataclass
class Misfits:
    """The rows of one batch that do not fit: the place of each in the batch, and the first reason."""

    reasons: dict[int, str] = field(default_factory=dict)
    endless: dict[str, int] = field(default_factory=dict)
    """How many infinite instants each column had: they are read as NULL."""

    def refuse(self, rows: Iterable[int], reason: str) -> None:
        """Refuse rows for a reason, if they are not yet."""
        for row in rows:
            self.reasons.setdefault(int(row), reason)


def fitted(batch: pa.RecordBatch, columns: Sequence[Column]) -> tuple[pa.RecordBatch, Misfits]:
    """All rows in the columns' types (what does not fit is NULL), and which of them are to be refused."""
    misfits = Misfits()
    arrays = [_column(batch.column(at), column, misfits) for at, column in enumerate(columns)]
    names = [column.name for column in columns]
    return pa.record_batch(arrays, names=names), misfits


def _column(raw: pa.Array, column: Column, misfits: Misfits) -> pa.Array:
    values = _cast(raw, column, misfits)
    if pa.types.is_timestamp(column.kind) or pa.types.is_date(column.kind):
        values = _in_time(values, column, misfits)
    if pa.types.is_list(column.kind) and pa.types.is_timestamp(column.kind.value_type):
        _must_be_in_time(values, column, misfits)
    if column.of_key and values.null_count:
        missing = _true(pc.is_null(values))
        misfits.refuse(missing, f"the key column {column.name} is NULL")
    return values


def _cast(raw: pa.Array, column: Column, misfits: Misfits) -> pa.Array:
    plain = _plain(raw)
    try:
        return _as(plain, column.kind)
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
        pieces: list[pa.Array] = []
        _piecewise(plain, column, 0, pieces, misfits)
        return pa.concat_arrays(pieces)


def _piecewise(values: pa.Array, column: Column, start: int, pieces: list[pa.Array], misfits: Misfits) -> None:
    """Halves that fit as they are, and halves of the others, down to the single values that do not."""
    try:
        pieces.append(_as(values, column.kind))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, OverflowError):
        if len(values) == 1:
            misfits.refuse([start], f"{column.name}: {_shown(values)} is no {column.kind}")
            pieces.append(pa.nulls(1, column.kind))
            return
        half = len(values) // 2
        _piecewise(values[:half], column, start, pieces, misfits)
        _piecewise(values[half:], column, start + half, pieces, misfits)


def _plain(raw: pa.Array) -> pa.Array:
    """The values without an extension's wrapping."""
    named = getattr(raw.type, "extension_name", "")
    return raw.storage if isinstance(raw.type, pa.BaseExtensionType) and named != "arrow.uuid" else raw


def _as(values: pa.Array, kind: pa.DataType) -> pa.Array:
    if values.type == kind:
        return values
    if pa.types.is_timestamp(kind) and pa.types.is_timestamp(values.type):
        fine = values if values.type.unit == "us" else pc.cast(values, pa.timestamp("us", values.type.tz), safe=False)
        return pc.cast(fine, kind)
    if pa.types.is_timestamp(kind) and pa.types.is_string(values.type):
        return _read_instants(values)
    if pa.types.is_boolean(kind) and pa.types.is_integer(values.type):
        if pc.all(pc.is_in(values.drop_null(), value_set=pa.array([0, 1], values.type))).as_py() is False:
            raise pa.ArrowInvalid("neither 0 nor 1")
        return pc.cast(values, kind)
    if pa.types.is_decimal(kind) and pa.types.is_floating(values.type):
        return pc.cast(pc.round(values, ndigits=kind.scale), kind)
    return stored(pa.chunked_array([values]), kind).combine_chunks()


def _read_instants(values: pa.Array) -> pa.Array:
    """Texts as instants; those that say their zone in UTC."""
    try:
        return pc.cast(values, pa.timestamp("us"))
    except pa.ArrowInvalid:
        return pc.cast(pc.cast(values, pa.timestamp("us", "UTC")), pa.timestamp("us"))


def _shown(values: pa.Array) -> str:
    try:
        told = str(values[0].as_py())
    except (OverflowError, ValueError):
        told = _counted(values)
    return repr(told if len(told) <= 80 else told[:80] + "…")


def _counted(value: pa.Array) -> str:
    """An instant that Python has no date for, or a list of such, as numbers."""
    if pa.types.is_list(value.type):
        return str(pc.cast(value, pa.list_(pa.int64()))[0].as_py())
    return str(pc.cast(value, pa.int64())[0].as_py())


def _must_be_in_time(values: pa.Array, column: Column, misfits: Misfits) -> None:
    """Refuse lists that hold instants before the year 1 or after 9999."""
    raw = values.flatten().view(pa.int64())
    beyond = pc.or_(pc.less(raw, FIRST), pc.greater_equal(raw, END))
    rows = pc.list_parent_indices(values).filter(pc.fill_null(beyond, False))
    misfits.refuse(rows.to_pylist(), f"{column.name} holds instants outside the years 0001 to 9999")


def _in_time(values: pa.Array, column: Column, misfits: Misfits) -> pa.Array:
    """The instants, infinite ones as NULL; those before the year 1, after 9999 or too far ahead are refused."""
    daily = pa.types.is_date(column.kind)
    raw = values.view(pa.int32() if daily else pa.int64())
    low, high = (FIRST // _DAY, END // _DAY) if daily else (FIRST, END)
    latest = high if column.latest is None else min(high, column.latest // _DAY + 1 if daily else column.latest + 1)
    ends = pc.min_max(raw)
    least, most = ends["min"].as_py(), ends["max"].as_py()
    if least is None or (least >= low and most < latest):
        return values
    endless = pc.fill_null(pc.is_in(raw, value_set=pa.array(_INFINITIES[str(column.kind)])), False)
    count = pc.sum(endless).as_py() or 0
    if count:
        misfits.endless[column.name] = misfits.endless.get(column.name, 0) + count
    beyond = pc.and_not(pc.or_(pc.less(raw, low), pc.greater_equal(raw, high)), endless)
    late = pc.and_not(pc.and_(pc.greater_equal(raw, latest), pc.less(raw, high)), endless)
    misfits.refuse(_true(beyond), f"{column.name} is outside the years 0001 to 9999")
    misfits.refuse(_true(late), f"{column.name} lies in the future")
    return pc.if_else(pc.or_(endless, pc.fill_null(beyond, False)), pa.scalar(None, column.kind), values)


def _true(mask: pa.Array) -> list[int]:
    """The places where a mask is true."""
    return list(np.flatnonzero(pc.fill_null(mask, False).to_numpy(zero_copy_only=False)).tolist())


def raw_texts(batch: pa.RecordBatch, rows: Sequence[int]) -> list[str]:
    """Rows as JSON objects of texts, to be kept in quarantine."""
    few = batch.take(pa.array(rows, pa.int64()))
    texts = [_texts(few.column(at)) for at in range(few.num_columns)]
    return [
        json.dumps(dict(zip(few.schema.names, row, strict=True)), ensure_ascii=False)
        for row in zip(*texts, strict=True)
    ]


def _texts(values: pa.Array) -> list[str | None]:
    plain = _plain(values)
    try:
        return list(pc.cast(plain, pa.string()).to_pylist())
    except (pa.ArrowException, OverflowError):
        return [_text(plain[at : at + 1]) for at in range(len(plain))]


def _text(value: pa.Array) -> str | None:
    try:
        found = value[0].as_py()
    except (OverflowError, ValueError):
        found = _counted(value)
    return None if found is None else found.hex() if isinstance(found, bytes) else str(found)
