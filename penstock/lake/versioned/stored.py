"""The types in which lake tables keep values: what every reader of Iceberg understands."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.canonical import canonical

_AS_THEY_ARE = frozenset({
    "bool", "int32", "int64", "float", "double", "string", "binary", "date32[day]", "time64[us]", "timestamp[us]",
})  # fmt: skip
_WIDENED = {"int8": pa.int32(), "int16": pa.int32(), "uint8": pa.int32(), "uint16": pa.int32(), "uint32": pa.int64(),
            "halffloat": pa.float32(), "large_string": pa.string(), "string_view": pa.string(),
            "large_binary": pa.binary(), "date64[ms]": pa.date32(), "null": pa.string()}  # fmt: skip


def stored_schema(schema: pa.Schema) -> pa.Schema:
    """The columns in the types they are kept in."""
    return pa.schema([pa.field(field.name, stored_type(field.type)) for field in schema])


def stored_type(kind: pa.DataType) -> pa.DataType:
    """The type in which values of an Arrow type are kept: instants in UTC and microseconds, no dictionaries.

    >>> stored_type(pa.timestamp("ns", "Europe/Paris")), stored_type(pa.dictionary(pa.int8(), pa.large_string()))
    (TimestampType(timestamp[us]), DataType(string))
    >>> stored_type(pa.binary(16)), stored_type(pa.uuid())
    (DataType(binary), DataType(string))
    """
    types = pa.types
    if types.is_dictionary(kind):
        return stored_type(kind.value_type)
    if types.is_timestamp(kind):
        return pa.timestamp("us")
    if types.is_fixed_size_binary(kind) or types.is_binary_view(kind):
        return pa.binary()
    if types.is_decimal(kind):
        return pa.decimal128(kind.precision, kind.scale) if kind.precision <= 38 else pa.string()
    if types.is_time(kind):
        return pa.time64("us")
    if types.is_duration(kind):
        return pa.float64()
    if types.is_uint64(kind):
        return pa.decimal128(20, 0)
    if types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        return pa.list_(stored_type(kind.value_type))
    return kind if str(kind) in _AS_THEY_ARE else _WIDENED.get(str(kind), pa.string())


def stored(values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
    """Values in a type that tables keep; UUIDs as texts. Raises ``pa.ArrowInvalid`` for those that do not fit."""
    if values.type == kind:
        return values
    types, uuids = pa.types, isinstance(values.type, pa.BaseExtensionType)
    if uuids or types.is_timestamp(kind) or types.is_duration(values.type) or types.is_dictionary(values.type):
        values = canonical(values).values
    return pc.cast(values, kind)
