"""Rows written under older columns as the columns are now."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc


def aligned(rows: pa.RecordBatch, schema: pa.Schema) -> pa.RecordBatch:
    """The rows in a schema's columns, types and order; a column they do not have is NULL.

    >>> aligned(pa.record_batch({"a": [1]}), pa.schema([("b", pa.string()), ("a", pa.float64())])).to_pylist()
    [{'b': None, 'a': 1.0}]
    """
    if rows.schema.equals(schema):
        return rows
    there = set(rows.schema.names)
    arrays = [
        _cast(rows.column(field.name), field.type) if field.name in there else pa.nulls(rows.num_rows, field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=pa.schema([(f.name, f.type) for f in schema]))


def _cast(values: pa.Array, kind: pa.DataType) -> pa.Array:
    """Whole numbers become floating-point ones as nearly as these hold them."""
    rounded = pa.types.is_integer(values.type) and pa.types.is_floating(kind)
    return values if values.type == kind else pc.cast(values, kind, safe=not rounded)
