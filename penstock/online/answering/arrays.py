"""Columns of events as kernels take them, and what kernels give as plain values."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np

from penstock.aggregates import AGGREGATES, Family
from penstock.engine.flatten import Wanted
from penstock.engine.jobs import Jobs, Outs
from penstock.engine.segments import Ragged, Result
from penstock.online.answering.held import Events, Known
from penstock.online.records import NULL, NULL_FLOAT, as_floats
from penstock.plan import Aggregate
from penstock.schema import Dtype

NUMBERS = (Dtype.INT, Dtype.FLOAT, Dtype.TIMESTAMP)
_FIXED = (*NUMBERS, Dtype.BOOL)
_PLACES = (Family.ORDER, Family.COUNT, Family.AGE, Family.GAP)
COUNTS = ("COUNT", "COUNT_DISTINCT")
_RANKED = ("MODE", "LIST_DISTINCT", "MIN", "MAX")


class Form(Enum):
    """What a kernel reads of a column: numbers, flags of values that are there, codes, codes in the values' order."""

    FLOATS = auto()
    FLAGS = auto()
    CODES = auto()
    RANKS = auto()
    FLOAT_RANKS = auto()


@dataclass(frozen=True)
class Spec:
    """A column for a kernel: which of the holding's, of which dtype, and in which form."""

    place: int
    dtype: Dtype
    form: Form


@dataclass
class Arrays:
    """The columns of some events, made once each; ``meanings`` are what codes stand for, by the column's place."""

    events: Events
    texts: Known
    meanings: dict[int, list[Any]] = field(default_factory=dict)
    _codes: dict[tuple[int, bool], np.ndarray] = field(default_factory=dict)

    def of(self, spec: Spec) -> np.ndarray:
        """A column for a kernel."""
        values = self.events.values[spec.place]
        if spec.form is Form.FLOATS:
            return as_floats(values, spec.dtype)
        if spec.form is Form.FLAGS:
            return there(values, spec.dtype)
        codes = self.codes(spec)
        return codes if spec.form is not Form.FLOAT_RANKS else np.where(codes >= 0, codes, np.nan)

    def codes(self, spec: Spec) -> np.ndarray:
        """Values by number from 0 on (-1: NULL), in the values' order where ranks are asked for."""
        ranked = spec.form is not Form.CODES
        known = (spec.place, ranked)
        if known not in self._codes:
            values = self.events.values[spec.place]
            valid = values != (NULL_FLOAT if spec.dtype is Dtype.FLOAT else NULL)
            unique, inverse = np.unique(values[valid], return_inverse=True)
            order = self._order(spec, unique) if ranked else np.arange(len(unique))
            rank = np.empty(len(unique), np.int32)
            rank[order] = np.arange(len(unique), dtype=np.int32)
            codes = np.full(len(values), -1, np.int32)
            codes[valid] = rank[inverse]
            self._codes[known] = codes
        return self._codes[known]

    def _order(self, spec: Spec, unique: np.ndarray) -> np.ndarray:
        """The order of distinct values, NaN last; and what they mean is noted."""
        order = order_of(self.texts, unique, spec.dtype)
        self.meanings[spec.place] = self.plain(unique[order], spec.dtype)
        return order

    def plain(self, values: np.ndarray, dtype: Dtype) -> list[Any]:
        """Values that are not NULL as plain Python; instants stay microseconds."""
        return plain(self.texts, values, dtype)


def order_of(known: Known, unique: np.ndarray, dtype: Dtype) -> np.ndarray:
    """The places of distinct values that stand in the order of their numbers, in the values' own order, NaN last."""
    if dtype is Dtype.FLOAT:
        return np.argsort(unique.view(np.float64), kind="stable")
    if dtype in _FIXED:
        return np.arange(len(unique))
    found = plain(known, unique, dtype)
    return np.array(sorted(range(len(found)), key=found.__getitem__), np.int64)


def plain(known: Known, values: np.ndarray, dtype: Dtype) -> list[Any]:
    """Kept values that are not NULL as plain Python; instants stay microseconds."""
    if dtype is Dtype.FLOAT:
        return values.view(np.float64).tolist()  # type: ignore[no-any-return]
    if dtype in NUMBERS:
        return values.tolist()  # type: ignore[no-any-return]
    if dtype is Dtype.BOOL:
        return values.astype(bool).tolist()  # type: ignore[no-any-return]
    hashes = values.tolist()
    texts = known.get(hashes)
    return [texts[one] for one in hashes]


def there(values: np.ndarray, dtype: Dtype) -> np.ndarray:
    """Which values are there: not NULL, and of fractions only finite ones."""
    return np.isfinite(values.view(np.float64)) if dtype is Dtype.FLOAT else values != NULL


def spec_for(aggregate: Aggregate, wanted: Wanted, place: int) -> Spec:
    """What the kernel of an aggregate reads of its column.

    Where only places matter, flags of what is there do, unless there are numbers, which others may read too.
    """
    dtype = Dtype.FLOAT if wanted.field is None else wanted.field.dtype
    family = AGGREGATES[aggregate.function].family
    if family in _PLACES:
        return Spec(place, dtype, Form.FLOATS if dtype in NUMBERS else Form.FLAGS)
    if not wanted.coded:
        return Spec(place, dtype, Form.FLOATS)
    if family is Family.EXTREMES:
        return Spec(place, dtype, Form.FLOAT_RANKS)
    return Spec(place, dtype, Form.RANKS if aggregate.function in _RANKED else Form.CODES)


# ---------------------------------------------------------------- results

Decoder: TypeAlias = Callable[[Any, Arrays], list[Any]]


@dataclass(frozen=True)
class Decoding:
    """What makes plain values of a sweep's results: ``decoders`` of those that are not numbers as they stand."""

    decoders: tuple[tuple[int, Decoder], ...]

    @classmethod
    def of(cls, aggregates: Sequence[tuple[Aggregate, Spec | None]]) -> Decoding:
        """The decoding of these aggregates' results, in order."""
        made = [decoder(one, spec) for one, spec in aggregates]
        return cls(tuple((number, one) for number, one in enumerate(made) if one is not None))

    def plain(self, jobs: Jobs, outs: Outs, arrays: Arrays) -> list[list[Any]]:
        """Each result's values, one a key."""
        found = jobs.plain(outs)
        results = jobs.results(outs) if self.decoders else ()
        for number, decode in self.decoders:
            found[number] = decode(results[number], arrays)
        return found


def decoder(aggregate: Aggregate, spec: Spec | None) -> Decoder | None:
    """What makes plain values, one a key, of a kernel's result; as `penstock.engine.results` does, to the bit.

    None for counts and fractions that a kernel gives, which are what they are.
    """
    family = AGGREGATES[aggregate.function].family
    if spec is not None and family is Family.ORDER:
        return lambda result, arrays: _picked(result, arrays, spec)
    if spec is not None and family is Family.LIST:
        return lambda result, arrays: _lists(result, arrays.meanings.get(spec.place, []))
    if spec is not None and (aggregate.function == "MODE" or spec.form is Form.FLOAT_RANKS):
        return lambda result, arrays: _meant(result, arrays.meanings.get(spec.place, []))
    if family is Family.AGE:
        unit = 86_400_000_000 if aggregate.window is None else aggregate.window.unit.clock.microseconds
        return lambda result, _arrays: [None if micros < 0 else micros / unit for micros in result.tolist()]
    if aggregate.function in COUNTS or (aggregate.dtype is Dtype.FLOAT and family is not Family.GAP):
        return None
    return lambda result, _arrays: _numbers(result, whole=aggregate.dtype is not Dtype.FLOAT)


def _picked(result: np.ndarray, arrays: Arrays, spec: Spec) -> list[Any]:
    """The values of events by their places, -1 for none."""
    places = result.tolist()
    if min(places, default=0) >= 0:
        return arrays.plain(arrays.events.values[spec.place][result], spec.dtype)
    found = iter(arrays.plain(arrays.events.values[spec.place][result[result >= 0]], spec.dtype))
    return [next(found) if place >= 0 else None for place in places]


def _meant(result: np.ndarray, meanings: list[Any]) -> list[Any]:
    return [meanings[int(code)] if code >= 0 else None for code in result.tolist()]  # NaN is not above 0 either


def _lists(result: Ragged, meanings: list[Any]) -> list[Any]:
    """Lists of values; an empty one is NULL."""
    offsets, codes = result.offsets.tolist(), result.codes.tolist()
    spans = pairwise(offsets)
    return [[meanings[code] for code in codes[begin:end]] if end > begin else None for begin, end in spans]


def _numbers(result: Result, *, whole: bool) -> list[Any]:
    """Numbers, NaN for NULL; what is whole is rounded to be so."""
    assert not isinstance(result, Ragged)
    found = result.tolist()
    if result.dtype.kind != "f":
        return found  # type: ignore[no-any-return]
    if whole:
        return [None if value != value else round(value) for value in found]
    return [None if value != value else value for value in found] if np.isnan(result).any() else found
