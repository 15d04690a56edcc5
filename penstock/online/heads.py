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
    try:
        return _DECODER.decode(data)
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
    """
    clocks = [happened.tolist(), shown_from.tolist(), shown_until.tolist()]
    rows = zip(*clocks, *map(plain, columns), strict=True)
    encode = _ENCODER.encode
    if len(starts) == len(happened) + 1 and bool((np.diff(starts) == 1).all()):
        return [encode((row,)) for row in rows]
    whole, places = list(rows), starts.tolist()
    return [encode(whole[start:end]) for start, end in pairwise(places)]


def plain(column: pa.Array | pa.ChunkedArray) -> list[Any]:
    """A column's values as they are kept: plain Python, instants as microseconds since 1970, None for NULL.

    >>> plain(pa.array([1_000_000], pa.timestamp("us")))
    [1000000]
    """
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    values: list[Any] = column.to_pylist()
    return values
