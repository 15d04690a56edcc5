"""How a project's file says that files are to be read."""

from __future__ import annotations

import re

import pyarrow as pa

from penstock.errors import RequestError
from penstock.lake.landing import LandingSettings
from penstock.pipeline.projectfile import TableSettings

TYPES = {
    "text": pa.string(),
    "whole": pa.int64(),
    "number": pa.float64(),
    "truth": pa.bool_(),
    "date": pa.date32(),
    "time": pa.timestamp("us"),
}
"""The types that a column can be said to have; beside them ``decimal(p, s)``."""
_DECIMAL = re.compile(r"decimal\((\d{1,2}), ?(\d{1,2})\)")


def landing_of(settings: TableSettings) -> LandingSettings | None:
    """How a table's files are read; None where nothing is said of it. Raises ``RequestError`` for what is no type."""
    types = {settings.renames.get(name, name): _type(settings, name, told) for name, told in settings.types.items()}
    texts = (settings.encoding, settings.separator, settings.day_first, settings.decimal_comma)
    return LandingSettings(types, *texts) if types or any(one is not None for one in texts) else None


def _type(settings: TableSettings, column: str, told: str) -> pa.DataType:
    """The type that a word means.

    >>> str(_type(TableSettings("orders"), "amount", "decimal(9, 2)"))
    'decimal128(9, 2)'
    """
    digits = _DECIMAL.fullmatch(told)
    if told not in TYPES and digits is None:
        message = f"[tables.{settings.name}] types: {column} cannot be {told!r}"
        raise RequestError("PROJECT_TYPE", message, name=told, candidates=(*TYPES, "decimal(9, 2)"))
    return TYPES[told] if digits is None else pa.decimal128(int(digits[1]), int(digits[2]))
