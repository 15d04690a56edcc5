"""Encoders: each makes one column of the matrix from one feature, the same for a row wherever and whenever it is asked.

NULL is NaN everywhere.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

Values: TypeAlias = npt.NDArray[np.float32]
Column: TypeAlias = Any  # a pyarrow.ChunkedArray, whose stubs know less than the library

_DAY = 86_400_000_000


@dataclass(frozen=True)
class Number:
    """A number, moved by ``shift`` so that float32 can tell its values apart; instants are days."""

    feature: str
    shift: float = 0.0
    kind = "number"

    def encode(self, column: Column) -> Values:
        """One float32 a row; NaN for NULL and for what is not finite."""
        return narrowed(numbers(column) - self.shift if self.shift else numbers(column))


@dataclass(frozen=True)
class Category:
    """A category as a code: 1, 2, … for ``values`` (commonest first), 0 for any other."""

    feature: str
    values: tuple[str, ...]
    kind = "category"

    def encode(self, column: Column) -> Values:
        """The code of each row; NaN for NULL."""
        return codes_of(texts(column), self.values)


@dataclass(frozen=True)
class Frequency:
    """A category as its share of the training rows (0 for one never seen)."""

    feature: str
    values: tuple[str, ...]
    shares: tuple[float, ...]
    kind = "frequency"

    def encode(self, column: Column) -> Values:
        """The share of each row's category; NaN for NULL."""
        codes = codes_of(texts(column), self.values)
        shares = np.array((0.0, *self.shares), np.float32)
        known = ~np.isnan(codes)
        codes[known] = shares[codes[known].astype(np.int64)]
        return codes


@dataclass(frozen=True)
class Length:
    """How many elements a list has."""

    feature: str
    kind = "length"

    def encode(self, column: Column) -> Values:
        """The length of each row's list; NaN for NULL."""
        return narrowed(numbers(pc.list_value_length(column)))


@dataclass(frozen=True)
class Holds:
    """Whether a list holds an element."""

    feature: str
    element: str
    kind = "holds"

    def encode(self, column: Column) -> Values:
        """1 or 0 a row; NaN for NULL."""
        found = np.zeros(len(column), np.float32)
        whole = column.combine_chunks()
        flat, parents = texts(pa.chunked_array([pc.list_flatten(whole)])), pc.list_parent_indices(whole)
        matches = pc.fill_null(pc.equal(flat, pa.scalar(self.element)), False).combine_chunks()
        found[pc.filter(parents, matches).to_numpy(zero_copy_only=False)] = 1.0
        found[column.is_null().to_numpy()] = np.nan
        return found


def codes_of(column: Column, values: tuple[str, ...]) -> Values:
    """The place of each text among the values, from 1; 0 for any other, NaN for NULL."""
    places: Any = pc.index_in(column, value_set=pa.array(values, pa.string()))
    codes: Values = (pc.fill_null(places, -1).to_numpy() + 1).astype(np.float32)
    codes[column.is_null().to_numpy()] = np.nan
    return codes


def numbers(column: Column) -> npt.NDArray[np.float64]:
    """Numbers, truth values and instants (days) as float64; NaN for NULL and for what is not finite."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if pa.types.is_temporal(kind):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values = np.array(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    values[~np.isfinite(values)] = np.nan
    return values / _DAY if pa.types.is_temporal(kind) else values


def texts(column: Column) -> Column:
    """Categories as texts, whatever type they were kept in."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string())


def narrowed(values: npt.NDArray[np.float64]) -> Values:
    """As float32, without overflow to infinity."""
    limit = float(np.finfo(np.float32).max)
    return np.clip(values, -limit, limit).astype(np.float32)
