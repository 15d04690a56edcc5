"""Keys of entities as bytes: a byte for the kind, then the value; equal for equal values and for no others.

Whole numbers and instants are eight bytes that sort as they do, floats likewise (0.0 and -0.0 are one key, and so are
all NaN), booleans a byte, texts their UTF-8 exactly as it is: NFC and NFD are different keys. What would be longer than
400 bytes (zero bytes count twice) is its 32-byte BLAKE2b digest behind a kind of its own. NULL is no bytes at all, and
nothing is kept under it.
"""

from __future__ import annotations

import hashlib
import struct
from datetime import UTC, datetime, timedelta

import numpy as np
import pyarrow as pa

from penstock.errors import RequestError
from penstock.schema import Dtype

LONGEST = 400
"""Packed keys that would have more bytes than this are digests; a zero byte counts as two."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TOP = 1 << 63
_KINDS = {Dtype.INT: b"i", Dtype.FLOAT: b"f", Dtype.BOOL: b"b", Dtype.TIMESTAMP: b"t", Dtype.STRING: b"s"}
_WORDS = (Dtype.INT, Dtype.TIMESTAMP)
_DIGEST = b"h"
_WIDTHS = {Dtype.INT: ">u8", Dtype.FLOAT: ">u8", Dtype.TIMESTAMP: ">u8", Dtype.BOOL: "u1"}


def packed(keys: pa.Array | pa.ChunkedArray) -> list[bytes]:
    """Each key as bytes, the same as `packed_one` gives.

    Raises ``RequestError`` (``KEY_TYPE``) for values that cannot be keys.

    >>> packed(pa.array(["é", None]))
    [b's\\xc3\\xa9', b'']
    """
    column = pa.concat_arrays(keys.chunks or [pa.array([], keys.type)]) if isinstance(keys, pa.ChunkedArray) else keys
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_null(column.type):
        return [b""] * len(column)
    dtype = _dtype(column.type)
    made = _texts(column) if dtype is Dtype.STRING else _fixed(column, dtype)
    for place in np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False)) if column.null_count else ():
        made[place] = b""
    return made


def packed_one(value: object, dtype: Dtype) -> bytes:
    """A key of this dtype as bytes; instants are ``datetime`` (UTC where no zone is said) or microseconds since 1970.

    Raises ``RequestError`` (``KEY_TYPE``) for what cannot be a value of the dtype; nothing is converted.

    >>> packed_one(1, Dtype.INT).hex()
    '698000000000000001'
    """
    try:
        if type(value) is int and dtype in _WORDS:
            return _KINDS[dtype] + (value + _TOP).to_bytes(8, "big")
        return b"" if value is None else _short(_KINDS[dtype] + _body(value, dtype))
    except (KeyError, TypeError, ValueError, OverflowError, struct.error) as error:
        message = f"a key of a column of {dtype} cannot be this {type(value).__name__}"
        raise RequestError("KEY_TYPE", message, hint="Give a value of the column's own kind.") from error


def _dtype(kind: pa.DataType) -> Dtype:
    if pa.types.is_integer(kind):
        return Dtype.INT
    if pa.types.is_floating(kind):
        return Dtype.FLOAT
    if pa.types.is_boolean(kind):
        return Dtype.BOOL
    if pa.types.is_timestamp(kind):
        return Dtype.TIMESTAMP
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return Dtype.STRING
    raise RequestError("KEY_TYPE", f"a key cannot be {kind}", hint="Keys are numbers, texts, booleans or instants.")


def _texts(column: pa.Array) -> list[bytes]:
    """Texts behind their kind; what stands for NULL is any bytes."""
    values = column.fill_null("").cast(pa.large_binary()).to_numpy(zero_copy_only=False).tolist()
    return [_short(b"s" + value) for value in values]


def _fixed(column: pa.Array, dtype: Dtype) -> list[bytes]:
    """Values of a fixed width, all at once."""
    rows = np.empty(len(column), [("kind", "S1"), ("value", _WIDTHS[dtype])])
    rows["kind"], rows["value"] = _KINDS[dtype], _ordered(column, dtype)
    made: list[bytes] = rows.view(f"V{rows.itemsize}").tolist()
    return made


def _ordered(column: pa.Array, dtype: Dtype) -> np.ndarray:
    """Whole numbers without a sign that sort as the values do."""
    if dtype is Dtype.BOOL:
        flags: np.ndarray = column.fill_null(False).cast(pa.uint8()).to_numpy()
        return flags
    if dtype is Dtype.FLOAT:
        return _ordered_floats(column.cast(pa.float64()).fill_null(0.0).to_numpy())
    if dtype is Dtype.TIMESTAMP:
        column = column.cast(pa.timestamp("us", column.type.tz)).cast(pa.int64())
    values: np.ndarray = column.cast(pa.int64()).fill_null(0).to_numpy()
    return values.view(np.uint64) ^ np.uint64(_TOP)


def _ordered_floats(values: np.ndarray) -> np.ndarray:
    canonical = np.where(np.isnan(values), np.nan, values + 0.0)  # -0.0 + 0.0 is 0.0
    bits = canonical.view(np.uint64)
    return np.where(bits >> np.uint64(63), ~bits, bits | np.uint64(_TOP))


def _body(value: object, dtype: Dtype) -> bytes:
    if dtype is Dtype.STRING and isinstance(value, str):
        return value.encode()
    if dtype is Dtype.BOOL and isinstance(value, bool):
        return bytes([value])
    if dtype is Dtype.TIMESTAMP and isinstance(value, datetime):
        zoned = value if value.tzinfo else value.replace(tzinfo=UTC)
        return struct.pack(">Q", (zoned - _EPOCH) // _MICROSECOND + _TOP)
    if dtype in _WORDS and isinstance(value, int) and not isinstance(value, bool):
        return struct.pack(">Q", value + _TOP)
    if dtype is Dtype.FLOAT and isinstance(value, int | float) and not isinstance(value, bool):
        return struct.pack(">Q", int(_ordered_floats(np.array([value], np.float64))[0]))
    raise TypeError


def _short(key: bytes) -> bytes:
    return key if len(key) + key.count(0) <= LONGEST else _DIGEST + hashlib.blake2b(key, digest_size=32).digest()
