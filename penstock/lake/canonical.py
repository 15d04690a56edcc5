"""Arrow columns of any type as the six kinds of value that an engine knows.

int64, float64, bool, string, timestamp[us] without a zone (UTC) and list<string>. What cannot be one of them is OTHER.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.schema import Dtype

ARROW = {
    Dtype.INT: pa.int64(),
    Dtype.FLOAT: pa.float64(),
    Dtype.BOOL: pa.bool_(),
    Dtype.STRING: pa.string(),
    Dtype.TIMESTAMP: pa.timestamp("us"),
    Dtype.LIST: pa.list_(pa.string()),
}
"""The Arrow type of each dtype."""

_ITEMS = (Dtype.INT, Dtype.FLOAT, Dtype.BOOL, Dtype.STRING, Dtype.TIMESTAMP)
_NOT_AN_INSTANT = (np.iinfo(np.int64).min, np.iinfo(np.int64).max)


@dataclass(frozen=True)
class Canonical:
    """A column's values in their dtype, and what was odd about them (empty: nothing)."""

    values: pa.ChunkedArray
    dtype: Dtype
    note: str = ""


def dtype_of(kind: pa.DataType) -> Dtype | None:
    """The dtype that an Arrow type always becomes; None where that depends on the values."""
    types = pa.types
    if types.is_dictionary(kind):
        return dtype_of(kind.value_type)
    if types.is_boolean(kind):
        return Dtype.BOOL
    if types.is_uint64(kind) or types.is_decimal(kind):
        return None
    if types.is_integer(kind):
        return Dtype.INT
    if types.is_floating(kind) or types.is_duration(kind) or types.is_time(kind):
        return Dtype.FLOAT
    if types.is_timestamp(kind) or types.is_date(kind):
        return Dtype.TIMESTAMP
    if _is_text(kind) or types.is_null(kind) or _is_uuid(kind):
        return Dtype.STRING
    if _is_list(kind) and _is_simple(kind.value_type):
        return Dtype.LIST
    return _stored(kind) if isinstance(kind, pa.BaseExtensionType) else Dtype.OTHER


def declared_dtype(kind: pa.DataType) -> Dtype:
    """The dtype that a type stands for by itself: whole numbers without a fixed room are INT, whatever they hold.

    >>> [str(declared_dtype(kind)) for kind in (pa.uint64(), pa.decimal128(20, 0), pa.decimal128(9, 2))]
    ['int', 'int', 'float']
    """
    found = dtype_of(kind)
    if found is not None:
        return found
    whole = pa.types.is_uint64(kind) or (pa.types.is_decimal(kind) and kind.scale <= 0)
    return Dtype.INT if whole else Dtype.FLOAT


def _stored(kind: pa.BaseExtensionType) -> Dtype | None:
    return dtype_of(kind.storage_type)


def items_of(kind: pa.DataType) -> Dtype | None:
    """The dtype of what lists of an Arrow type hold; None for what is no list, and for lists of anything else.

    >>> items_of(pa.list_(pa.float32(), 768)), items_of(pa.list_(pa.date32())), items_of(pa.list_(pa.binary()))
    (<Dtype.FLOAT: 'float'>, <Dtype.TIMESTAMP: 'timestamp'>, None)
    """
    inner = dtype_of(kind.value_type) if _is_list(kind) else None
    return inner if inner in _ITEMS else None


def listed(values: pa.ChunkedArray, items: Dtype) -> pa.ChunkedArray:
    """Lists with their items in a dtype; NULL, empty lists and NULL items stay, numbers that are not finite are NULL.

    Raises ``pa.ArrowInvalid`` for items that cannot be of that dtype.
    """
    kind, types = pa.list_(ARROW[items]), pa.types
    if types.is_null(values.type):
        return pc.cast(values, kind)
    lists = pc.cast(values, pa.list_(values.type.value_type)).combine_chunks()
    whole = pa.concat_arrays([pa.nulls(0, lists.type), *getattr(lists, "chunks", [lists])])
    told = canonical(pa.chunked_array([whole.values])).values.cast(ARROW[items])
    inner = pa.concat_arrays([pa.nulls(0, told.type), *told.chunks])
    missing = whole.is_null() if whole.null_count else None
    return pa.chunked_array([pa.ListArray.from_arrays(whole.offsets, inner, mask=missing)])


def canonical(values: pa.ChunkedArray) -> Canonical:
    """The values in the dtype that their Arrow type stands for; non-finite numbers become NULL."""
    kind = values.type
    if isinstance(kind, pa.BaseExtensionType) and not _is_uuid(kind):
        return canonical(pa.chunked_array([chunk.storage for chunk in values.chunks], kind.storage_type))
    if pa.types.is_dictionary(kind):
        return canonical(_spelled_out(values))
    if pa.types.is_uint64(kind):
        return _unsigned(values)
    if pa.types.is_decimal(kind):
        return _decimal(values)
    dtype = dtype_of(kind) or Dtype.OTHER
    return Canonical(_CONVERT[dtype](values), dtype, type_note(kind, dtype))


def _spelled_out(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The values that a dictionary's codes stand for."""
    kind = values.type.value_type
    plain = pa.string() if _is_text(kind) else kind
    chunks = [pc.take(pc.cast(chunk.dictionary, plain), chunk.indices) for chunk in values.chunks]
    return pa.chunked_array(chunks, plain)


def type_note(kind: pa.DataType | None, dtype: Dtype) -> str:
    """What is to be said about values of an Arrow type; empty when they are kept as they are."""
    if kind is None:
        return ""
    if pa.types.is_duration(kind) or pa.types.is_time(kind):
        return "times of day and durations are kept as seconds"
    return f"values of type {kind} are not used" if dtype is Dtype.OTHER else ""


def _unsigned(values: pa.ChunkedArray) -> Canonical:
    highest = pc.max(values).as_py()
    if highest is None or highest < 2**63:
        return Canonical(pc.cast(values, pa.int64()), Dtype.INT)
    return Canonical(
        pc.cast(values, pa.string()), Dtype.STRING, f"numbers up to {highest} do not fit 64 bits: kept as text"
    )


def _decimal(values: pa.ChunkedArray) -> Canonical:
    if values.type.scale <= 0:
        try:
            return Canonical(pc.cast(values, pa.int64()), Dtype.INT)
        except pa.ArrowInvalid:
            text = pc.cast(values, pa.string())
            return Canonical(text, Dtype.STRING, "whole numbers do not fit 64 bits: kept as text")
    nearest = pc.cast(pc.cast(values, pa.string()), pa.float64())  # by way of powers of ten 17.49 is another number
    return Canonical(nearest, Dtype.FLOAT)


def finite(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The numbers with NaN and the infinities as NULL."""
    values = pc.cast(values, pa.float64())
    usable = pc.is_finite(values)
    if pc.all(usable).as_py() is not False:
        return values
    return pc.if_else(usable, values, pa.scalar(None, pa.float64()))


def _number(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if pa.types.is_duration(values.type) or pa.types.is_time(values.type):
        fine = pa.duration("us") if pa.types.is_duration(values.type) else pa.time64("us")
        micros = pc.cast(pc.cast(values, fine, safe=False), pa.int64())
        return pc.divide(pc.cast(micros, pa.float64()), 1e6)
    return finite(values)


def _instant(values: pa.ChunkedArray) -> pa.ChunkedArray:
    """The same instants in UTC; the extremes that stand for plus and minus infinity become NULL."""
    if pa.types.is_timestamp(values.type):
        raw = pc.cast(values, pa.int64())
        extreme = pc.is_in(raw, value_set=pa.array(_NOT_AN_INSTANT, pa.int64()))
        if pc.any(extreme).as_py():
            values = pc.if_else(extreme, pa.scalar(None, values.type), values)
    elif pa.types.is_date(values.type):
        values = pc.cast(values, pa.timestamp("s" if pa.types.is_date32(values.type) else "ms"))
    zone = getattr(values.type, "tz", None)
    return pc.cast(pc.cast(values, pa.timestamp("us", zone), safe=False), pa.timestamp("us"))


def _text(values: pa.ChunkedArray) -> pa.ChunkedArray:
    if _is_uuid(values.type):
        told = [
            None if v is None else str(v if isinstance(v, uuid.UUID) else uuid.UUID(bytes=v))
            for v in values.to_pylist()
        ]
        return pa.chunked_array([pa.array(told, pa.string())])
    return pc.cast(values, pa.string())


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _is_uuid(kind: pa.DataType) -> bool:
    return isinstance(kind, pa.BaseExtensionType) and getattr(kind, "extension_name", "") == "arrow.uuid"


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _is_simple(kind: pa.DataType) -> bool:
    """Whether a list's items can be members of a set: texts and whole numbers, but no floats (those are vectors)."""
    inner = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(_is_text(inner) or pa.types.is_integer(inner) or pa.types.is_boolean(inner) or pa.types.is_null(inner))


_CONVERT: Mapping[Dtype, Callable[[pa.ChunkedArray], pa.ChunkedArray]] = {
    Dtype.INT: lambda values: pc.cast(values, pa.int64()),
    Dtype.FLOAT: _number,
    Dtype.BOOL: lambda values: values,
    Dtype.STRING: _text,
    Dtype.TIMESTAMP: _instant,
    Dtype.LIST: lambda values: pc.cast(values, pa.list_(pa.string())),
    Dtype.OTHER: lambda values: values,
}
