"""The newest rows of a key as MessagePack: ``[[happened, shown_from, shown_until, value, …], …]``, oldest first.

Values are plain: numbers (NaN and infinities too), texts, booleans, lists, None for NULL; instants are microseconds
since 1970.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from penstock.errors import StoreError

_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(list[list[Any]])


def to_bytes(rows: Sequence[Sequence[object]]) -> bytes:
    """The rows of one key.

    >>> from_bytes(to_bytes([[1, 2, 3, 0.5, None, "a", ["b"]]]))
    [[1, 2, 3, 0.5, None, 'a', ['b']]]
    """
    return _ENCODER.encode(rows)


def from_bytes(data: bytes | memoryview) -> list[list[Any]]:
    """The rows of one key again. Raises ``StoreError`` (``STORE_DAMAGED``) for other bytes."""
    [rows] = each_from_bytes([data])
    return rows or []


def each_from_bytes(found: Sequence[bytes | memoryview | None]) -> list[list[list[Any]] | None]:
    """The rows of each key; None where there are no bytes. Raises ``StoreError`` as `from_bytes` does."""
    decode = _DECODER.decode
    try:
        return [None if data is None else decode(data) for data in found]
    except (msgspec.DecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise StoreError("STORE_DAMAGED", "a kept row cannot be read", hint="Make the store again.") from error


def many(
    starts: np.ndarray,
    happened: np.ndarray,
    shown_from: np.ndarray,
    shown_until: np.ndarray,
    columns: Sequence[pa.Array | pa.ChunkedArray],
) -> list[bytes]:
    """The bytes of many keys whose rows lie behind each other: key i's from ``starts[i]`` to ``starts[i + 1]``.

    >>> clock = np.array([5, 6, 7])
    >>> [len(from_bytes(one)) for one in many(np.array([0, 1, 3]), clock, clock, clock, [pa.array([1, None, 3])])]
    [1, 2]
    >>> from_bytes(many(np.arange(4), clock, clock, clock, [pa.array([0.5, None, -2.0])])[2])
    [[7, 7, 7, -2.0]]
    """
    clocks = (happened, shown_from, shown_until)
    if len(starts) == len(happened) + 1 and bool((np.diff(starts) == 1).all()):
        return _single(clocks, columns)
    whole = _rows(clocks, columns)
    return [_ENCODER.encode(whole[start:end]) for start, end in pairwise(starts.tolist())]


def _rows(clocks: Sequence[np.ndarray], columns: Sequence[pa.Array | pa.ChunkedArray]) -> list[tuple[Any, ...]]:
    return list(zip(*(clock.tolist() for clock in clocks), *map(plain, columns), strict=True))


def _single(clocks: Sequence[np.ndarray], columns: Sequence[pa.Array | pa.ChunkedArray]) -> list[bytes]:
    """The bytes of keys of one row each: where all columns are numbers, rows without NULL are laid out at once."""
    if not all(_is_number(column.type) for column in columns):
        return [_ENCODER.encode((row,)) for row in _rows(clocks, columns)]
    made = _laid_out([*clocks, *map(_numbers, columns)])
    blank = np.zeros(len(made), bool)
    for column in columns:
        blank |= column.is_null().to_numpy(zero_copy_only=False) if column.null_count else False
    places = np.flatnonzero(blank)
    rest = _rows([clock[places] for clock in clocks], [column.take(pa.array(places)) for column in columns])
    for place, row in zip(places.tolist(), rest, strict=True):
        made[place] = _ENCODER.encode((row,))
    return made


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_int64(kind) or pa.types.is_float64(kind) or pa.types.is_timestamp(kind))


def _numbers(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Int64 or float64, with 0 for NULL."""
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    values: np.ndarray = column.fill_null(0).to_numpy()
    return values


def _laid_out(numbers: Sequence[np.ndarray]) -> list[bytes]:
    """Each row as a list of one list of numbers, nine bytes each: a mark of its kind, then eight, greatest first."""
    count = len(numbers)
    begin = b"\x91" + (bytes([0x90 | count]) if count < 16 else b"\xdc" + count.to_bytes(2, "big"))
    fields = [(f"{n}", [("mark", "u1"), ("value", f">{one.dtype.kind}8")]) for n, one in enumerate(numbers)]
    rows = np.empty(len(numbers[0]), [("begin", f"S{len(begin)}"), *fields])
    rows["begin"] = begin
    for n, one in enumerate(numbers):
        rows[f"{n}"]["mark"] = 0xCB if one.dtype.kind == "f" else 0xD3
        rows[f"{n}"]["value"] = one
    made: list[bytes] = rows.view(f"V{rows.itemsize}").tolist()
    return made


def plain(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column's values as they are kept: plain Python, instants as microseconds since 1970, None for NULL.

    >>> plain(pa.array([1_000_000], pa.timestamp("us")))
    [1000000]
    """
    if pa.types.is_list(column.type) and pa.types.is_timestamp(column.type.value_type):
        column = column.cast(pa.list_(pa.int64()))
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values
