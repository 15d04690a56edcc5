"""Small fingerprints of columns of values: stable hashes, and the smallest of them for a measure of overlap."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

SIZE = 64
"""How many hashes are kept."""
_SHOWN = 48
"""How many bytes of a text are hashed, from its start; its length counts as well."""
_BASE = np.uint64(0x9E3779B97F4A7C15 | 1)
_EXACT = 2**53


@dataclass(frozen=True)
class Sketch:
    """The smallest hashes of a set of values: all of them up to `SIZE`, else a sample that is the same everywhere."""

    text: str = ""

    @classmethod
    def of(cls, hashes: np.ndarray) -> Sketch:
        """The sketch of distinct hashes (uint64)."""
        least = np.sort(hashes)[:SIZE] if len(hashes) <= SIZE else np.sort(np.partition(hashes, SIZE)[:SIZE])
        return cls(base64.b64encode(least.astype("<u8").tobytes()).decode())

    @cached_property
    def hashes(self) -> np.ndarray:
        """The hashes, ascending."""
        return np.frombuffer(base64.b64decode(self.text), "<u8")

    def overlap(self, other: Sketch) -> tuple[float, float]:
        """Which share of the values of both is common, and which share of the smaller set (estimates).

        >>> left, right = (Sketch.of(np.arange(n, dtype=np.uint64)) for n in (10, 20))
        >>> left.overlap(right)
        (0.5, 1.0)
        """
        mine, theirs = self.hashes, other.hashes
        ends = [kept[-1] for kept in (mine, theirs) if len(kept) == SIZE]
        if ends:
            mine, theirs = mine[mine <= min(ends)], theirs[theirs <= min(ends)]
        if not len(mine) or not len(theirs):
            return 0.0, 0.0
        common = len(np.intersect1d(mine, theirs, assume_unique=True))
        return common / (len(mine) + len(theirs) - common), common / min(len(mine), len(theirs))


def hashed(values: pa.Array) -> np.ndarray:
    """A hash (uint64) of each value, none of them NULL; the same for a number whatever its type."""
    kind = values.type
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return _hashed_numbers(np.asarray(pc.cast(values, pa.float64(), safe=False), np.float64))
    if pa.types.is_boolean(kind):
        return _hashed_numbers(np.asarray(pc.cast(values, pa.int8()), np.float64))
    if pa.types.is_temporal(kind):
        return _hashed_integers(np.asarray(instants(values), np.int64))
    if pa.types.is_integer(kind):
        return _hashed_integers(np.asarray(pc.cast(values, pa.int64(), safe=False), np.int64))
    return _hashed_texts(values)


def instants(values: pa.Array) -> pa.Array:
    """Dates, times and instants as int64: microseconds since 1970 or midnight."""
    if pa.types.is_date(values.type):
        values = pc.cast(values, pa.timestamp("us"))
    if pa.types.is_timestamp(values.type):
        return pc.cast(pc.cast(values, pa.timestamp("us", values.type.tz), safe=False), pa.int64())
    wide = pa.types.is_time64(values.type) or pa.types.is_duration(values.type)
    return pc.cast(pc.cast(values, pa.int64() if wide else pa.int32()), pa.int64())


def _hashed_integers(numbers: np.ndarray) -> np.ndarray:
    small = np.abs(numbers) <= _EXACT
    bits = np.where(small, (numbers + 0.0).view(np.uint64), numbers.view(np.uint64))
    return _mixed(bits)


def _hashed_numbers(numbers: np.ndarray) -> np.ndarray:
    return _mixed((numbers + 0.0).view(np.uint64))  # -0.0 + 0.0 is 0.0


def _hashed_texts(values: pa.Array) -> np.ndarray:
    """A polynomial of the bytes modulo 2**64, for all texts at once: differences of running sums."""
    raw = pc.cast(values, pa.large_binary())
    lengths = np.asarray(pc.binary_length(raw), np.uint64)
    cut = pc.binary_slice(raw, 0, _SHOWN) if len(lengths) and lengths.max() > _SHOWN else raw
    offsets = np.frombuffer(cut.buffers()[1], np.int64)[cut.offset : cut.offset + len(cut) + 1]
    data = cut.buffers()[2]
    held = np.frombuffer(data, np.uint8)[offsets[0] : offsets[-1]] if data is not None else np.empty(0, np.uint8)
    starts, ends = offsets[:-1] - offsets[0], offsets[1:] - offsets[0]
    within = np.arange(len(held)) - np.repeat(starts, ends - starts)
    powers = np.cumprod(np.full(_SHOWN, _BASE, np.uint64))
    sums = np.concatenate([np.zeros(1, np.uint64), np.cumsum((held + np.uint64(1)) * powers[within], dtype=np.uint64)])
    return _mixed(sums[ends] - sums[starts] + lengths * np.uint64(0xD6E8FEB86659FD93))


def _mixed(bits: np.ndarray) -> np.ndarray:
    """Well spread 64 bits (the finish of splitmix64); they must not depend on the machine."""
    mixed = bits.astype(np.uint64, copy=True)
    mixed += np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    return mixed ^ (mixed >> np.uint64(31))
