"""What the sweep gave, as Arrow columns in the spine's order, decoded to the values' own types."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from penstock.aggregates import AGGREGATES, Family
from penstock.engine.flatten import Flat, Wanted
from penstock.engine.relational import ARROW, Relational
from penstock.engine.segments import Ragged, Result
from penstock.plan import Aggregate
from penstock.schema import Dtype


@dataclass
class Column:
    """An aggregate's column in the making: parts are put in as they are swept.

    ``rows`` is the spine's length; ``reached`` marks the rows that have a key at all: the others are NULL when the
    key was an anchor's, and see no rows when it was the entity.
    """

    aggregate: Aggregate
    relational: Relational
    rows: int
    reached: np.ndarray
    pieces: list[tuple[np.ndarray, pa.Array]] = field(default_factory=list)

    def put(self, places: np.ndarray, result: Result, flat: Flat, wanted: Wanted | None) -> None:
        """Take in the result for these places of the spine."""
        self.pieces.append((places, self._decode(result, flat, wanted)))

    def finish(self) -> pa.Array:
        """The whole column, one value a spine row."""
        missing = np.flatnonzero(~self.reached)
        blank = pa.nulls(1, self._type())
        if self.aggregate.stream.anchor is None and AGGREGATES[self.aggregate.function].empty is not None:
            blank = pa.array([0], self._type())
        values = pa.concat_arrays([piece for _, piece in self.pieces] + [blank])
        place = np.full(self.rows, len(values) - 1, np.int64)
        order = [places for places, _ in self.pieces]
        done = np.concatenate(order) if order else missing[:0]
        place[done] = np.arange(len(done))
        return values.take(pa.array(place))

    def _type(self) -> pa.DataType:
        aggregate = self.aggregate
        if aggregate.dtype is Dtype.LIST and aggregate.value is not None:
            return pa.list_(ARROW[aggregate.value.dtype])
        return ARROW[aggregate.dtype]

    def _decode(self, result: Result, flat: Flat, wanted: Wanted | None) -> pa.Array:
        family = AGGREGATES[self.aggregate.function].family
        if isinstance(result, Ragged):
            return self._lists(result)
        if family is Family.ORDER and wanted is not None:
            picked = flat.columns[wanted.name].combine_chunks().take(_places(result))
            return self._values(picked) if wanted.coded else picked.cast(self._type())
        if self.aggregate.function == "MODE" or (family is Family.EXTREMES and wanted is not None and wanted.coded):
            return self._values(_places(result))
        if family is Family.AGE:
            return _ages(result, self.aggregate)
        return _numbers(result, self._type())

    def _values(self, codes: pa.Array) -> pa.Array:
        """Codes as the values they stand for; NULL and -1 as NULL."""
        assert self.aggregate.value is not None
        dictionary = self.relational.dictionary(self.aggregate.value.table, self.aggregate.value.column)
        return dictionary.take(_places(codes.to_numpy(zero_copy_only=False)))

    def _lists(self, result: Ragged) -> pa.Array:
        """Lists of values; an empty list is NULL."""
        empty = np.append(result.offsets[1:] == result.offsets[:-1], False)
        offsets = pa.array(result.offsets.astype(np.int32), mask=empty)
        return pa.ListArray.from_arrays(offsets, self._values(pa.array(result.codes)))


def _places(indices: np.ndarray | pa.Array) -> pa.Array:
    """Indices to take by: what is negative or NaN takes NULL."""
    array = np.asarray(indices)
    if array.dtype.kind == "f":
        array = np.where(np.isnan(array), -1, array).astype(np.int64)
    return pa.array(array, mask=array < 0)


def _ages(micros: np.ndarray, aggregate: Aggregate) -> pa.Array:
    """Microseconds (negative: none) in the window's unit, days where that is rows."""
    unit = 86_400_000_000 if aggregate.window is None else aggregate.window.unit.clock.microseconds
    return pa.array(micros / unit, pa.float64(), mask=micros < 0)


def _numbers(values: np.ndarray, kind: pa.DataType) -> pa.Array:
    """Numbers of the sweep (NaN is NULL) as whole numbers, instants or fractions."""
    if values.dtype.kind != "f":
        return pa.array(values).cast(kind)
    mask = np.isnan(values)
    if pa.types.is_floating(kind):
        return pa.array(values, kind, mask=mask)
    return pa.array(np.where(mask, 0, np.rint(values)).astype(np.int64), mask=mask).cast(kind)
