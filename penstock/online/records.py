"""Rows of a key as 64-bit whole numbers of one width: when it happened, from when and until when it shows, its values.

Floats are their bits, and NULL is a NaN that no float has here; other NaN become one, infinities stay. Whole numbers,
instants (microseconds) and booleans are themselves, and NULL is the least 64-bit number; where that number itself is a
value, the next one stands for it, which no float tells apart. All else is a hash (`penstock.online.texts`).
Rows lie one after the other, little-endian, so that parts are joined by joining their bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from penstock.errors import StoreError
from penstock.online.texts import encoded, hashed
from penstock.schema import Dtype

CLOCKS = 3
"""How many numbers of a row come before its values."""
NULL = -(2**63)
"""What stands for NULL among whole numbers, instants, booleans and hashes."""
NULL_FLOAT = 0x7FF8_0000_0000_0001
"""The bits of NULL among floats."""
_NAN = 0x7FF8_0000_0000_0000
_NUMBERS = (Dtype.INT, Dtype.BOOL, Dtype.TIMESTAMP)


@dataclass(frozen=True)
class Records:
    """Rows in order: int64 arrays of one length; clocks are microseconds, values as `stored` gives them."""

    happened: np.ndarray
    shown_from: np.ndarray
    shown_until: np.ndarray
    values: tuple[np.ndarray, ...] = ()

    def matrix(self) -> np.ndarray:
        """The rows as a matrix, a row a row."""
        columns = (self.happened, self.shown_from, self.shown_until, *self.values)
        made = np.empty((len(self.happened), len(columns)), "<i8")
        for place, column in enumerate(columns):
            made[:, place] = column
        return made


def stored(column: pa.Array | pa.ChunkedArray, dtype: Dtype) -> tuple[np.ndarray, dict[int, bytes]]:
    """A column as int64, and the bytes of its texts by hash.

    >>> stored(pa.array([1, None]), Dtype.INT)[0].tolist()
    [1, -9223372036854775808]
    """
    if dtype is Dtype.FLOAT:
        return _stored_floats(column), {}
    if dtype in _NUMBERS:
        return _stored_numbers(column), {}
    return _stored_texts(column)


def restored(values: np.ndarray, dtype: Dtype, texts: Mapping[int, object] | None = None) -> pa.Array:
    """The column again: int64, float64, bool, timestamp[us], string or lists; ``texts`` are values by hash.

    Raises ``StoreError`` (``STORE_DAMAGED``) where a text is missing.
    """
    if dtype is Dtype.FLOAT:
        return pa.array(values.view(np.float64), mask=values == NULL_FLOAT)
    if dtype in _NUMBERS:
        kept = pa.array(values, mask=values == NULL)
        kinds = {Dtype.BOOL: pa.bool_(), Dtype.TIMESTAMP: pa.timestamp("us"), Dtype.INT: pa.int64()}
        return kept.cast(kinds[dtype])
    return _restored_texts(values, dtype, texts or {})


def as_floats(values: np.ndarray, dtype: Dtype) -> np.ndarray:
    """A column as kernels take it: float64, NaN for NULL. Hashes only say what is there: 1 or NaN.

    >>> as_floats(np.array([3, NULL]), Dtype.INT).tolist()
    [3.0, nan]
    """
    if dtype is Dtype.FLOAT:
        return np.ascontiguousarray(values).view(np.float64)
    floats = values.astype(np.float64) if dtype in _NUMBERS else np.ones(len(values))
    floats[values == NULL] = np.nan
    return floats


def to_bytes(records: Records) -> bytes:
    """The rows as bytes."""
    return records.matrix().tobytes()


def from_bytes(data: bytes | bytearray | memoryview, columns: int) -> np.ndarray:
    """The rows as an int64 matrix over ``data``, with ``columns`` values each behind the clocks.

    Raises ``StoreError`` (``STORE_DAMAGED``) for bytes that are no whole rows.
    """
    width = CLOCKS + columns
    if len(data) % (8 * width):
        message = f"{len(data)} bytes are no whole rows of {columns} values"
        raise StoreError("STORE_DAMAGED", message, hint="Make the store again.")
    return np.frombuffer(data, "<i8").reshape(-1, width)


def joined(parts: Sequence[bytes], columns: int) -> np.ndarray:
    """The rows of parts that follow each other."""
    return from_bytes(parts[0] if len(parts) == 1 else b"".join(parts), columns)


def appended(data: bytes, rows: np.ndarray) -> bytes:
    """A part with rows of a matrix behind its own."""
    return data + rows.astype("<i8", copy=False).tobytes()


def split(matrix: np.ndarray, span: int) -> list[tuple[int, bytes]]:
    """Rows sorted by when they happened, as parts: the instant divided by ``span`` (microseconds) is a part's number.

    >>> [(number, len(data)) for number, data in split(np.array([[1, 1, 9], [2, 2, 9], [15, 15, 99]]), 10)]
    [(0, 48), (1, 24)]
    """
    return [(number, data) for _, number, data in split_keys(np.zeros(len(matrix), np.int64), matrix, span)]


def split_keys(codes: np.ndarray, matrix: np.ndarray, span: int) -> Iterator[tuple[int, int, bytes]]:
    """The parts of many keys at once: (code of the key, part number, bytes), of rows sorted by code and instant."""
    numbers = matrix[:, 0] // span
    fresh = np.ones(len(matrix), bool)
    fresh[1:] = (numbers[1:] != numbers[:-1]) | (codes[1:] != codes[:-1])
    starts = np.flatnonzero(fresh)
    size = 8 * matrix.shape[1]
    ends = [*(starts[1:] * size).tolist(), len(matrix) * size]
    data = memoryview(matrix.astype("<i8", copy=False).tobytes())
    places = zip(codes[starts].tolist(), numbers[starts].tolist(), (starts * size).tolist(), ends, strict=False)
    return ((code, number, bytes(data[start:end])) for code, number, start, end in places)


def _stored_floats(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    values = column.cast(pa.float64())
    missing = values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
    floats = np.array(values.fill_null(0.0).to_numpy(), np.float64)
    bits = floats.view(np.int64)
    bits[np.isnan(floats)] = _NAN
    if missing is not None:
        bits[missing] = NULL_FLOAT
    return bits


def _stored_numbers(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    values = column.cast(pa.timestamp("us", column.type.tz)) if pa.types.is_timestamp(column.type) else column
    values = values.cast(pa.int64())
    missing = values.is_null().to_numpy(zero_copy_only=False) if values.null_count else None
    numbers = np.array(values.fill_null(0).to_numpy(), np.int64)
    numbers[numbers == NULL] = NULL + 1
    if missing is not None:
        numbers[missing] = NULL
    return numbers


def _stored_texts(column: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, dict[int, bytes]]:
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        chunks = [column] if isinstance(column, pa.Array) else column.chunks
        coded = pa.concat_arrays([pa.array([], column.type), *chunks]).dictionary_encode()
        data = [encoded(value) for value in coded.dictionary.to_pylist()]
        places = coded.indices.fill_null(len(data)).to_numpy(zero_copy_only=False)
        hashes = [hashed(one) for one in data]
        return np.array([*hashes, NULL], np.int64)[places], dict(zip(hashes, data, strict=True))
    found = [None if value is None else encoded(value) for value in column.to_pylist()]
    hashes = [NULL if one is None else hashed(one) for one in found]
    return np.array(hashes, np.int64), {h: one for h, one in zip(hashes, found, strict=True) if one is not None}


def _restored_texts(values: np.ndarray, dtype: Dtype, texts: Mapping[int, object]) -> pa.Array:
    try:
        found = [None if one == NULL else texts[one] for one in values.tolist()]
    except KeyError as error:
        raise StoreError("STORE_DAMAGED", f"the text {error.args[0]:x} is missing") from error
    if dtype is Dtype.STRING:
        return pa.array(found, pa.string())
    made = pa.array(found)
    blank = pa.types.is_null(made.type) or (pa.types.is_list(made.type) and pa.types.is_null(made.type.value_type))
    return made.cast(pa.list_(pa.string())) if blank and dtype is Dtype.LIST else made
