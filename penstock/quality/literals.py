"""Python values as DuckDB reads them, in the type of the column that they are held against."""

from __future__ import annotations

import datetime as dt
import math
from decimal import Decimal

import pyarrow as pa

from penstock.errors import RequestError
from penstock.lake.versioned.scan import text
from penstock.quality.kinds import Scalar

_LARGEST_FLOAT = 3.4028234e38


def literal(value: Scalar, kind: pa.DataType | None = None) -> str:
    """A value as a SQL literal that compares exactly with a column of this Arrow type.

    Raises ``RequestError`` (``CHECK_BAD_VALUE``) for a value that the column could never hold.

    >>> literal("it's"), literal(0.1, pa.float64()), literal(0.1, pa.decimal128(9, 2)), literal(5, pa.int64())
    ("'it''s'", "CAST('0.1' AS DOUBLE)", '0.1', '5')
    """
    if kind is not None and not fits(value, kind):
        raise RequestError("CHECK_BAD_VALUE", f"{value!r} cannot be compared with values of type {kind}")
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int | float):
        return _number(value, kind)
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP {text(value.isoformat(sep=' '))}"
    if isinstance(value, dt.date):
        return f"DATE {text(value.isoformat())}"
    return _text(value, kind)


def fits(value: Scalar, kind: pa.DataType) -> bool:
    """Whether values of a type can be compared with a value."""
    if isinstance(value, bool):
        return bool(pa.types.is_boolean(kind))
    if isinstance(value, int | float):
        return is_number(kind)
    if isinstance(value, dt.date):
        return is_time(kind)
    return is_text(kind) or is_time(kind) or bool(pa.types.is_time(kind))


def in_type(value: Scalar, kind: pa.DataType) -> Scalar:
    """A number as a text or a text as a number, where the column has the other type; else the value itself.

    >>> in_type(1, pa.string()), in_type("2.5", pa.float64()), in_type("x", pa.int64())
    ('1', 2.5, 'x')
    """
    if is_text(kind) and not isinstance(value, str):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if is_number(kind) and isinstance(value, str):
        try:
            return int(value) if value.lstrip("+-").isdigit() else float(value)
        except ValueError:
            return value
    return value


def is_number(kind: pa.DataType) -> bool:
    """Whether a type holds numbers."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def is_time(kind: pa.DataType) -> bool:
    """Whether a type holds dates or instants."""
    return bool(pa.types.is_timestamp(kind) or pa.types.is_date(kind))


def is_text(kind: pa.DataType) -> bool:
    """Whether a type holds texts."""
    if pa.types.is_dictionary(kind):
        return is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _number(value: float, kind: pa.DataType | None) -> str:
    if isinstance(value, int):
        return str(value)
    exact = kind is None or pa.types.is_decimal(kind) or pa.types.is_integer(kind)
    if exact and math.isfinite(value) and 1e-15 < abs(value) < 1e15:
        return format(Decimal(repr(value)), "f")
    single = kind is not None and pa.types.is_float32(kind) and abs(value) <= _LARGEST_FLOAT
    return f"CAST('{value!r}' AS {'FLOAT' if single else 'DOUBLE'})"


def _text(value: str, kind: pa.DataType | None) -> str:
    if kind is None or is_text(kind):
        return text(value)
    name = "TIMESTAMP" if pa.types.is_timestamp(kind) else "DATE" if pa.types.is_date(kind) else "TIME"
    return f"CAST({text(value)} AS {name})"
