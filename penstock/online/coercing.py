"""What a request says, as values of the dtypes that were declared: taken exactly, or refused with its place.

- Whole numbers: ``int``, a float that is whole and below 2**53, and decimal text (``"1"``; not ``"1.0"`` or ``"01"``).
- Numbers: ``int`` that a float can be, ``float``, ``Decimal``, decimal text, and ``"NaN"``, ``"Infinity"``,
  ``"-Infinity"``; keys are finite.
- Texts exactly as they are: NFC and NFD differ. Surrogates are refused, for no store could keep them. UUIDs as texts.
- Instants: ``datetime`` and ISO 8601 text (UTC where no zone is said), or whole microseconds since 1970; of the years
  1 to 9999.
- Truth values: ``True`` and ``False``. NULL is None everywhere.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast
from uuid import UUID

import numpy as np
import pyarrow as pa

from penstock.errors import RequestError
from penstock.features.views.bound import BoundEntity
from penstock.schema import Dtype
from penstock.window import instant

MOST = 100_000
"""How many entities a request may name."""
_LEAST_INT, _LARGEST_INT = -(2**63), 2**63 - 1
_FIRST, _LAST = instant(dt.datetime.min), instant(dt.datetime.max)  # noqa: DTZ901  as instants they are of UTC
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,18}", re.ASCII)
_NUMBER = re.compile(r"-?(0|[1-9][0-9]*)([.][0-9]+)?([eE][+-]?[0-9]+)?", re.ASCII)
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_PLAIN: dict[Dtype, set[type]] = {
    Dtype.INT: {int}, Dtype.FLOAT: {float}, Dtype.BOOL: {bool}, Dtype.STRING: {str},
}  # fmt: skip
"""Values that need no conversion."""
_NONE: set[type] = set()


def coerced(values: Sequence[object], dtype: Dtype, name: str, *, code: str = "ENTITY_VALUE") -> list[Any]:
    """The values of column ``name``; instants as microseconds.

    Raises ``RequestError`` (``code``) for the first that cannot be what it should, with its place.

    >>> coerced([1, "2", None], Dtype.INT, "user_id")
    [1, 2, None]
    """
    found = listed(values)
    if _PLAIN.get(dtype, _NONE).issuperset(map(type, found)) and _fit(found, dtype):
        return found
    convert = _CONVERTERS.get(dtype, _text)
    for place, value in enumerate(found):
        if value is not None:
            try:
                found[place] = convert(value)
            except (TypeError, ValueError, OverflowError, RequestError) as error:
                raise _refused(value, dtype, name, place, code) from error
    return found


def listed(values: object) -> list[Any]:
    """A column as a list: of a sequence, an Arrow array or a NumPy array."""
    if isinstance(values, list):
        return values.copy()
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values.to_pylist()  # type: ignore[no-any-return]
    if isinstance(values, np.ndarray):
        return list(values.astype("datetime64[us]") if values.dtype.kind == "M" else values)
    return list(cast("Sequence[object]", values))


def _fit(values: list[Any], dtype: Dtype) -> bool:
    """Whether plain values can be kept as they are: whole numbers of 64 bits, texts that are UTF-8."""
    if dtype is Dtype.INT:
        return not values or (min(values) >= _LEAST_INT and max(values) <= _LARGEST_INT)
    return dtype is not Dtype.STRING or all(map(_is_utf8, values))


def _is_utf8(value: str) -> bool:
    return value.isascii() or not any("\ud800" <= mark <= "\udfff" for mark in value)


def _refused(value: object, dtype: Dtype, name: str, place: int, code: str) -> RequestError:
    text = repr(value)
    shown = text if len(text) <= 60 else f"{text[:60]}…"
    shown = shown.encode("ascii", "backslashreplace").decode()
    return RequestError(code, f"{name}[{place}] is {shown}, which is no {_NOUNS.get(dtype, 'text')}", name=name)


_NOUNS = {
    Dtype.INT: "whole number of 64 bits",
    Dtype.FLOAT: "number of 64 bits",
    Dtype.BOOL: "truth value",
    Dtype.TIMESTAMP: "instant of the years 1 to 9999",
    Dtype.LIST: "list",
}


def _int(value: object) -> int:
    if isinstance(value, Decimal) and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, str):
        if not _WHOLE.fullmatch(value):
            raise ValueError
        number = int(value)
    elif isinstance(value, float | np.floating):
        if not float(value).is_integer() or abs(float(value)) >= 2.0**53:
            raise ValueError  # 2**53 is what 2**53 + 1 is read as, too
        number = int(value)
    else:
        _no_truth(value)
        number = operator.index(cast(int, value))  # TypeError for all but whole numbers
    if not _LEAST_INT <= number <= _LARGEST_INT:
        raise OverflowError
    return number


def _float(value: object) -> float:
    if isinstance(value, str):
        if value in _NOT_FINITE:
            return _NOT_FINITE[value]
        if not _NUMBER.fullmatch(value):
            raise ValueError
        return float(value)
    _no_truth(value)
    if isinstance(value, float | np.floating | Decimal):
        return float(value)
    number = operator.index(cast(int, value))  # TypeError for all but whole numbers
    if float(number) != number:
        raise ValueError
    return float(number)


def _no_truth(value: object) -> None:
    if isinstance(value, bool | np.bool_):
        raise TypeError


def _bool(value: object) -> bool:
    if not isinstance(value, bool | np.bool_):
        raise TypeError
    return bool(value)


def _text(value: object) -> str:
    if isinstance(value, UUID):
        return str(value)
    if not isinstance(value, str) or not _is_utf8(value):
        raise TypeError
    return value


def _instant(value: object) -> int:
    found = instant(value) if isinstance(value, str | dt.date | np.datetime64) else _int(value)
    if not _FIRST <= found <= _LAST:
        raise OverflowError
    return found


def _list(value: object) -> list[Any]:
    if not isinstance(value, list | tuple | np.ndarray):
        raise TypeError
    return list(value)


_CONVERTERS: dict[Dtype, Callable[[object], Any]] = {
    Dtype.INT: _int,
    Dtype.FLOAT: _float,
    Dtype.BOOL: _bool,
    Dtype.STRING: _text,
    Dtype.TIMESTAMP: _instant,
    Dtype.LIST: _list,
}


# ---------------------------------------------------------------- keys of entities


def asked_rows(columns: Mapping[str, Sequence[object]]) -> int:
    """How many entities columns of one length name.

    Raises ``RequestError``: ``ENTITY_COLUMN`` for what is no column, ``ENTITY_LENGTHS`` for columns of several lengths,
    ``REQUEST_TOO_MANY`` for too many rows.
    """
    for name, column in columns.items():
        if type(column) is not list and (isinstance(column, (str, bytes)) or not hasattr(column, "__len__")):
            hint = "Give a list, also of one."
            raise RequestError(
                "ENTITY_COLUMN", f"{name} is a single value, and no column of them", name=name, hint=hint
            )
    lengths = set(map(len, columns.values()))
    if len(lengths) > 1:
        told = ", ".join(f"{name} has {len(column)}" for name, column in columns.items())
        raise RequestError("ENTITY_LENGTHS", f"the columns of a request differ in length: {told}")
    rows = lengths.pop() if lengths else 0
    if rows > MOST:
        message = f"a request names {rows:,} entities, and {MOST:,} are the most"
        raise RequestError("REQUEST_TOO_MANY", message, hint="Ask in several requests.")
    return rows


def entity_keys(
    entity: BoundEntity, columns: Mapping[str, Sequence[object]], rows: int, *, lenient: bool = False
) -> list[Any]:
    """The key of each entity, as the key column of its table has it; None where a part of it is NULL.

    A column that is missing is NULL in all rows; where none of the key's is there, that is an error
    (``ENTITY_MISSING``), or with ``lenient`` NULL too.
    """
    if len(entity.keys) == 1 and entity.keys[0] in columns:
        return _part(columns, entity.keys[0], entity.dtypes[0])
    lenient = lenient or any(name in columns for name in entity.keys)
    parts = []
    for name, dtype in zip(entity.keys, entity.dtypes, strict=True):
        if name in columns:
            parts.append(_part(columns, name, dtype))
        elif lenient:
            parts.append([None] * rows)
        else:
            told = f"the request says no {' and no '.join(entity.keys)}, which {entity.name} is known by"
            raise RequestError("ENTITY_MISSING", told, name=name, candidates=columns)
    return composed_keys(parts, entity.dtypes) if entity.composed else parts[0]


def _part(columns: Mapping[str, Sequence[object]], name: str, dtype: Dtype) -> list[Any]:
    """A column of keys: of numbers no infinities and no NaN."""
    values = coerced(columns[name], dtype, name)
    if dtype is Dtype.FLOAT:
        for place, value in enumerate(values):
            if value is not None and not math.isfinite(value):
                raise _refused(value, dtype, name, place, "ENTITY_VALUE")
    return values


def composed_keys(parts: Sequence[list[Any]], dtypes: Sequence[Dtype]) -> list[str | None]:
    r"""Keys of several columns as one text each, as `penstock.features.views.entities.composed` writes them.

    >>> composed_keys([["a|b", None, "c"], [1.0, 2.0, -0.0]], (Dtype.STRING, Dtype.FLOAT))
    ['a\\|b|1', None, 'c|0']
    """
    texts = [_written(part, dtype) for part, dtype in zip(parts, dtypes, strict=True)]
    return [None if None in row else "|".join(row) for row in zip(*texts, strict=True)]


def _written(part: list[Any], dtype: Dtype) -> list[Any]:
    if dtype is Dtype.STRING:
        return [v if v is None else v.replace("\\", "\\\\").replace("|", "\\|") for v in part]
    if dtype is Dtype.INT:
        return [v if v is None else str(v) for v in part]
    if dtype is Dtype.FLOAT:
        part = [v if v is None else v + 0.0 for v in part]  # of two zeros the one without a sign
    kinds = {Dtype.TIMESTAMP: pa.timestamp("us"), Dtype.FLOAT: pa.float64(), Dtype.BOOL: pa.bool_()}
    texts: list[Any] = pa.array(part, kinds[dtype]).cast(pa.string()).to_pylist()
    return texts
