"""Single values as a column keeps them: what fits, what does not, and which type a new column gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time
from decimal import Decimal, InvalidOperation

import numpy as np
import pyarrow as pa

from penstock.inference.words import words
from penstock.lake.reading import read_number, read_text
from penstock.schema import Dtype

_INT64, _INT32, _EXACT = 2**63, 2**31, 2**53
_COUNTS = frozenset({"id", "ids", "key", "code", "number", "no", "nr", "count", "qty", "quantity", "year"})
_ITEMS = frozenset({"bool", "int64", "double", "string", "timestamp[us]"})
_EPOCH, _MIDNIGHT = datetime(1970, 1, 1, tzinfo=UTC), date(1970, 1, 1)
_EPOCHS = ((10**14, 4 * 10**15, 1), (10**11, 4 * 10**12, 10**3), (10**8, 4 * 10**9, 10**6))
"""The quick way for what `read_number` reads as microseconds, milliseconds and seconds since 1970."""
Fitted = Callable[[object], object]


class MisfitError(ValueError):
    """A value that a column cannot hold, and why."""


class WiderError(MisfitError):
    """A value that the column could hold if it were of the type ``kind``."""

    def __init__(self, kind: pa.DataType, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind


def storage(kind: pa.DataType) -> pa.DataType:
    """The Arrow type of fitted values: instants, days and times of day are whole numbers until the column is made."""
    if pa.types.is_timestamp(kind) or pa.types.is_time64(kind):
        return pa.int64()
    if pa.types.is_list(kind):
        return pa.list_(storage(kind.value_type))
    return pa.int32() if pa.types.is_date32(kind) else kind


def fitting(kind: pa.DataType) -> Fitted:
    """What turns a value into what a column of this type keeps; it raises `MisfitError` (or `WiderError`)."""
    types = pa.types
    if types.is_timestamp(kind):
        return instant
    if types.is_decimal(kind):
        return lambda value: _decimal(value, kind)
    if types.is_list(kind):
        within = fitting(kind.value_type)
        return lambda value: _list(value, within)
    return _FITTING.get(str(kind)) or (lambda value: _never(value, kind))


def type_for(value: object) -> pa.DataType | None:
    """The type of a new column whose first value this is; None where NULL says nothing.

    Lists hold texts, numbers or truth values, NULL among them; one that does not say which becomes JSON text.

    >>> type_for(1), type_for(["a"]), type_for([1, None, 2.5])
    (DataType(int64), ListType(list<item: string>), ListType(list<item: double>))
    >>> type_for([1, "a"]), type_for([])
    (DataType(string), DataType(string))
    """
    if value is None:
        return None
    if isinstance(value, list):
        items = _item_type([type_for(v) for v in value if v is not None])
        return pa.string() if items is None else pa.list_(items)
    for python, kind in _NEW:
        if isinstance(value, python):
            return kind
    return pa.string()


def json_type_for(name: str, value: object, *, whole: bool) -> pa.DataType | None:
    """The type of a new column whose first value came as JSON, which has one kind of number: 5 may be 5.5 tomorrow.

    A number is whole for certain where the column is a key or a link (``whole``), is named like an id or a count, or
    is beyond what a floating-point number holds.

    >>> json_type_for("amount", 5, whole=False), json_type_for("user_id", 5, whole=False)
    (DataType(double), DataType(int64))
    >>> json_type_for("embedding", [1, 0], whole=False), json_type_for("friend_ids", [1, 2], whole=False)
    (ListType(list<item: double>), ListType(list<item: int64>))
    """
    kind = type_for(value)
    if whole or not words(name) or words(name)[-1] in _COUNTS:
        return kind
    if kind == pa.int64():
        return pa.float64() if isinstance(value, int) and abs(value) <= _EXACT else kind
    if kind == pa.list_(pa.int64()) and isinstance(value, list):
        return pa.list_(pa.float64()) if all(v is None or abs(v) <= _EXACT for v in value) else kind
    return kind


def _item_type(kinds: Sequence[pa.DataType | None]) -> pa.DataType | None:
    """The type that all items of a list have; None where there is none, or they are of several."""
    found = {str(kind): kind for kind in kinds}
    if found.keys() == {"int64", "double"}:
        return pa.float64()
    return next(iter(found.values())) if len(found) == 1 and found.keys() <= _ITEMS else None


def instant(value: object) -> int:
    """Microseconds since 1970 of an ISO text, of another text or number that can only be one instant, or of a date."""
    if isinstance(value, datetime):
        return _micros(value)
    if isinstance(value, date):
        return (value - _MIDNIGHT).days * 86_400_000_000
    if isinstance(value, str):
        try:
            return _micros(datetime.fromisoformat(value)) if value[4:5] == "-" else _read_instant(value)
        except ValueError:
            return _read_instant(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INT64:
        for least, most, factor in _EPOCHS:
            if least <= value < most:
                return value * factor
        found = read_number("", pa.chunked_array([pa.array([value], pa.int64())]), timely=True)
        if found is not None:
            return _only(found.values)
    raise MisfitError(f"{_shown(value)} is no instant")


def _read_instant(value: str) -> int:
    """By the rules for columns of text, applied to this one."""
    _encodable(value)
    found = read_text("at", pa.chunked_array([pa.array([value])]), numbers=False)
    if found.dtype is not Dtype.TIMESTAMP:
        raise MisfitError(f"{_shown(value)} is no instant")
    return _only(found.values)


def _only(values: pa.Array | pa.ChunkedArray) -> int:
    found = values.cast(pa.int64())[0].as_py()
    if not isinstance(found, int):
        raise MisfitError("this is no instant")
    return found


def _micros(value: datetime) -> int:
    since = (value if value.tzinfo else value.replace(tzinfo=UTC)) - _EPOCH
    return (since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds


def _truth(value: object) -> bool:
    if isinstance(value, bool):
        return value
    raise MisfitError(f"{_shown(value)} is no truth value")


def _whole(value: object, most: int, wider: pa.DataType | None) -> int:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, int) and not isinstance(value, bool):
        if -most <= value < most:
            return value
        if wider == pa.int64() and -_INT64 <= value < _INT64:
            raise WiderError(pa.int64(), f"{value} does not fit 32 bits")
        raise MisfitError(f"{_shown(value)} does not fit {64 if most == _INT64 else 32} bits")
    if isinstance(value, float):
        raise WiderError(pa.float64(), f"{value} is no whole number")
    raise MisfitError(f"{_shown(value)} is no whole number")


def _int64(value: object) -> int:
    """The usual case first: there is one such call a value."""
    if type(value) is int and -_INT64 <= value < _INT64:
        return value
    return _whole(value, _INT64, pa.float64())


def _real(value: object) -> float:
    if type(value) is float and value - value == 0.0:
        return value
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        try:
            found = float(value)
        except OverflowError:
            found = float("inf")
        if isinstance(value, int) and found != value:
            raise MisfitError(f"{_shown(value)} does not fit a floating-point number exactly")
        if abs(found) < float("inf"):
            return found
    raise MisfitError(f"{_shown(value)} is no number")


def _text(value: object) -> str:
    if isinstance(value, str):
        return _encodable(value)
    if isinstance(value, list):
        return json.dumps(value, ensure_ascii=False, default=str)
    raise MisfitError(f"{_shown(value)} is no text")


def _encodable(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise MisfitError(f"{_shown(value)} holds half a character") from None
    return value


def _date(value: object) -> int:
    if isinstance(value, date) and not isinstance(value, datetime):
        return (value - _MIDNIGHT).days
    found = instant(value)
    if found % 86_400_000_000:
        raise MisfitError(f"{_shown(value)} is no date")
    return found // 86_400_000_000


def _time(value: object) -> int:
    try:
        found = value if isinstance(value, time) else time.fromisoformat(str(value))
    except ValueError:
        raise MisfitError(f"{_shown(value)} is no time of day") from None
    return ((found.hour * 60 + found.minute) * 60 + found.second) * 1_000_000 + found.microsecond


def _bytes(value: object) -> bytes:
    if isinstance(value, bytes):
        return value
    raise MisfitError(f"{_shown(value)} is no bytes")


def _decimal(value: object, kind: pa.DataType) -> Decimal:
    """A decimal with no more digits than the column has; floats as they are written."""
    if isinstance(value, int | float | str | Decimal) and not isinstance(value, bool):
        try:
            found = Decimal(str(value))
            return Decimal(pa.scalar(found).cast(kind).as_py())
        except (InvalidOperation, pa.ArrowInvalid):
            pass
    raise MisfitError(f"{_shown(value)} does not fit {kind}")


def _list(value: object, within: Fitted) -> list[object]:
    if isinstance(value, list):
        return [None if inner is None else within(inner) for inner in value]
    raise MisfitError(f"{_shown(value)} is no list")


def _never(value: object, kind: pa.DataType) -> object:
    raise MisfitError(f"{_shown(value)} cannot be put into a column of type {kind}")


def _shown(value: object) -> str:
    shown = ascii(value)
    return shown if len(shown) <= 60 else f"{shown[:57]}…"


_FITTING: dict[str, Fitted] = {
    "bool": _truth,
    "int64": _int64,
    "int32": lambda value: _whole(value, _INT32, pa.int64()),
    "double": _real,
    "float": lambda value: float(np.float32(_real(value))),
    "string": _text,
    "binary": _bytes,
    "date32[day]": _date,
    "time64[us]": _time,
}
_NEW: tuple[tuple[type, pa.DataType], ...] = (
    (bool, pa.bool_()),
    (int, pa.int64()),
    (float, pa.float64()),
    (datetime, pa.timestamp("us")),
    (date, pa.date32()),
    (time, pa.time64("us")),
    (Decimal, pa.float64()),
    (bytes, pa.binary()),
)
