"""The quick ways: texts that are all plainly numbers, found out by reading them as such."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

_GLANCE = 64
_ZERO, _NINE, _MINUS, _PLUS, _POINT = b"09-+."


def plain_wholes(texts: pa.Array) -> pa.Array | None:
    """The whole numbers (int64) that all texts are, none with a leading zero or plus; None if one is not.

    >>> plain_wholes(pa.array(["12", None, "-3"])).to_pylist(), plain_wholes(pa.array(["007"]))
    ([12, None, -3], None)
    """
    if len(texts) > _GLANCE and plain_wholes(texts.slice(0, _GLANCE)) is None:
        return None  # a cast that fails on many values takes long
    try:
        read = pc.cast(texts, pa.int64())
    except pa.ArrowInvalid:
        return None
    first, second, length = _beginnings(texts)
    minus = first == _MINUS
    odd = ((first == _ZERO) & (length > 1)) | (minus & (second == _ZERO)) | (first == _PLUS)
    return None if odd.any() else read


def plain_floats(texts: pa.Array) -> pa.Array | None:
    """The finite numbers (float64) that all texts are, none with a leading zero or plus; None if one is not.

    >>> (
    ...     plain_floats(pa.array(["0.5", "-2e3"])).to_pylist(),
    ...     plain_floats(pa.array(["inf"])),
    ...     plain_floats(pa.array(["00.5"])),
    ... )
    ([0.5, -2000.0], None, None)
    """
    if len(texts) > _GLANCE and plain_floats(texts.slice(0, _GLANCE)) is None:
        return None
    try:
        read = pc.cast(texts, pa.float64())
    except pa.ArrowInvalid:
        return None
    if pc.all(pc.is_finite(read)).as_py() is False:
        return None
    first, second, _ = _beginnings(texts)
    if (first == _PLUS).any() or ((first == _ZERO) & _digit(second)).any():
        return None
    signed = first == _MINUS
    if signed.any() and pc.any(pc.match_substring_regex(texts.filter(pa.array(signed)), "^-0[0-9]")).as_py():
        return None
    return read


def _digit(byte: npt.NDArray[np.uint8]) -> npt.NDArray[np.bool_]:
    return (byte >= _ZERO) & (byte <= _NINE)


def _beginnings(texts: pa.Array) -> tuple[npt.NDArray[np.uint8], npt.NDArray[np.uint8], npt.NDArray[np.int32]]:
    """The first two bytes of each text (0: not there, or NULL) and its length in bytes."""
    _, places, data = texts.buffers()
    offsets = np.frombuffer(places, np.int32, len(texts) + 1, texts.offset * 4)
    length = np.diff(offsets)
    if data is None or not data.size:
        nothing = np.zeros(len(texts), np.uint8)
        return nothing, nothing, length
    text = np.frombuffer(data, np.uint8)
    last = len(text) - 1
    first = np.where(length > 0, text[np.minimum(offsets[:-1], last)], 0)
    second = np.where(length > 1, text[np.minimum(offsets[:-1] + 1, last)], 0)
    return first, second, length
