"""On-demand features: worked out from other features' values and from a request's, when they are asked for."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from penstock.engine.relational import ARROW
from penstock.errors import RequestError
from penstock.features.historical.on_demand import by_function
from penstock.features.historical.stored import arrow_type
from penstock.features.views.bound import Bound, BoundFeature, BoundOnDemand, Chosen
from penstock.features.views.chosen import view_of
from penstock.lake.canonical import items_of
from penstock.online.answering.views import statuses
from penstock.online.coercing import coerced
from penstock.online.expressions import Column, Evaluator, evaluator
from penstock.schema import Dtype


@dataclass(frozen=True)
class Valued:
    """A feature's values (instants in microseconds), statuses and times, one an entity."""

    values: Column
    statuses: Sequence[Any]
    times: list[int | None]


@dataclass(frozen=True)
class OnDemand:
    """An on-demand view made ready: ``inputs`` are its inputs by name, and what they are.

    ``evaluators`` are those of its features that expressions say; without, its function gives all of them.
    """

    view: BoundOnDemand
    inputs: tuple[tuple[str, Chosen, BoundFeature], ...]
    requested: tuple[tuple[str, Dtype], ...]
    features: tuple[BoundFeature, ...]
    evaluators: tuple[Evaluator, ...]

    @classmethod
    def of(cls, bound: Bound, view: BoundOnDemand, names: Sequence[str]) -> OnDemand:
        """What these features of the view need; a function needs all, and gives all."""
        inputs = tuple(
            (name, Chosen(*place), view_of(bound, place[0]).feature(place[1])) for name, place in view.inputs.items()
        )
        requested = tuple(view.requested.items())
        places = {name: number for number, name in enumerate([*view.inputs, *view.requested])}
        chosen = tuple(view.feature(name) for name in names)
        made: tuple[Evaluator, ...] = ()
        if view.function is None:
            made = tuple(evaluator(one.expression, lambda leaf: places[leaf.name]) for one in chosen)  # type: ignore[attr-defined]
        return cls(view, inputs, requested, chosen, made)

    def work(
        self, found: Mapping[Chosen, Valued], asked: Mapping[str, Sequence[object]], rows: int
    ) -> dict[Chosen, Valued]:
        """The features' values from those ``found`` so far, and from the columns that the request has.

        An entity that is not there counts as NULL: what is worked out from NULL may still be a value. Raises
        ``RequestError``: ``FEATURE_REQUEST_MISSING`` for a column that the request lacks, ``REQUEST_VALUE`` for a
        value that cannot be what it should, ``FEATURE_FUNCTION`` where a function fails.
        """
        nothing: Column = [None] * rows  # an input that none of these features uses was not read
        columns = [found[chosen].values if chosen in found else nothing for _, chosen, _ in self.inputs]
        columns += [self._requested(asked, name, dtype) for name, dtype in self.requested]
        times = _newest([found[chosen].times for _, chosen, _ in self.inputs if chosen in found], rows)
        values = self._worked_out(columns, rows)
        return {
            Chosen(self.view.name, one.name): Valued(column, statuses(column, None), times)
            for one, column in zip(self.features, values, strict=True)
        }

    def _requested(self, asked: Mapping[str, Sequence[object]], name: str, dtype: Dtype) -> Column:
        """A column of the request; NaN and infinities are NULL, as in training."""
        if name not in asked:
            message = f"the request says no {name}, which {self.view.name} needs"
            hint = f"On the command line: --request {name}=VALUE; in Python: requested={{{name!r}: […]}}."
            raise RequestError("FEATURE_REQUEST_MISSING", message, name=name, hint=hint)
        values = coerced(asked[name], dtype, name, code="REQUEST_VALUE")
        if dtype is Dtype.LIST:
            return [one if one is None else list(map(_finite, one)) for one in values]
        return values if dtype is not Dtype.FLOAT else list(map(_finite, values))

    def _worked_out(self, columns: Sequence[Column], rows: int) -> list[Column]:
        if self.view.function is None:
            return [evaluate(columns, rows) for evaluate in self.evaluators]
        if rows == 0:
            return [[] for _ in self.features]
        asked = zip(self.requested, columns[len(self.inputs) :], strict=True)
        kinds = [arrow_type(one) for _, _, one in self.inputs]
        kinds += [ARROW[dtype] if dtype is not Dtype.LIST else _kind(name, column) for (name, dtype), column in asked]
        names = [*(name for name, _, _ in self.inputs), *(name for name, _ in self.requested)]
        arrays = [as_array(column, kind) for column, kind in zip(columns, kinds, strict=True)]
        table = pa.table(arrays, names=names) if names else pa.table({"_": pa.nulls(rows)}).select([])
        given = by_function(self.view, table)
        return [as_plain(given[one.name]) for one in self.features]


def _finite(value: Any) -> Any:
    """A number that is one; NaN and infinities are NULL."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _kind(name: str, column: Column) -> pa.DataType:
    """The type of lists that a request gives, by what they hold. Raises ``RequestError`` where that is several."""
    try:
        items = items_of(pa.array(column).type)
    except (pa.ArrowException, OverflowError, TypeError, ValueError):
        items = None
    if items is None and any(column):
        message = f"{name} holds lists of values that are not of one kind"
        raise RequestError("REQUEST_VALUE", message, name=name, hint="Give lists of texts, or of numbers.")
    return pa.list_(ARROW[items or Dtype.STRING])


def as_array(column: Column, kind: pa.DataType) -> pa.Array:
    """Plain values, instants in microseconds, as Arrow."""
    return pa.array(column, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(column, kind)


def as_plain(column: pa.ChunkedArray) -> Column:
    """Arrow as plain values, instants in microseconds."""
    values: Column = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
    return values


def _newest(times: Sequence[list[int | None]], rows: int) -> list[int | None]:
    """When the newest of several rows happened, for each entity."""
    if not times:
        return [None] * rows
    return [max((t for t in row if t is not None), default=None) for row in zip(*times, strict=True)]


__all__ = ["OnDemand", "Valued"]
