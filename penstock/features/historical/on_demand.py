"""Features that are worked out when asked for: from other features and from columns that come with the request."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from penstock.engine.execute import State, evaluate, quiet
from penstock.engine.relational import Relational
from penstock.errors import RequestError
from penstock.features.historical.keys import coerced
from penstock.features.historical.spine import found
from penstock.features.historical.stored import Values, arrow_type, typed
from penstock.features.views.bound import Bound, BoundFeature, BoundOnDemand, Chosen


@dataclass(frozen=True)
class Request:
    """What on-demand features rest on: the spine's own columns, and the values found so far, which it adds to."""

    bound: Bound
    relational: Relational
    spine: pa.Table
    values: Values

    def value(self, chosen: Chosen) -> pa.ChunkedArray:
        """A feature's column; where it is on demand, its whole view is worked out with it, once."""
        if chosen not in self.values:
            view = self.bound.on_demand[chosen.view]
            worked = worked_out(view, self._inputs(view), self.relational)
            self.values.update({Chosen(view.name, name): column for name, column in worked.items()})
        return self.values[chosen]

    def _inputs(self, view: BoundOnDemand) -> pa.Table:
        given = {name: self.value(Chosen(*place)) for name, place in view.inputs.items()}
        why = f", which {view.name} needs"
        requested = {
            name: coerced(self.spine[found(self.spine, name, why)], dtype, name)
            for name, dtype in view.requested.items()
        }
        return pa.table({**given, **requested}) if given or requested else _no_columns(self.spine.num_rows)


def _no_columns(rows: int) -> pa.Table:
    return pa.table({"_": pa.nulls(rows)}).select([])


def worked_out(view: BoundOnDemand, inputs: pa.Table, relational: Relational) -> dict[str, pa.ChunkedArray]:
    """The features of an on-demand view by name, a value a row of its ``inputs``.

    A function is called once, with all rows; none is called about no rows. Raises ``RequestError``
    (``FEATURE_FUNCTION``) where it fails, or gives other columns, rows or dtypes than it should.
    """
    if view.function is None:
        state = State(relational, inputs, "", "", quiet, {})
        columns = evaluate(state, [one.expression for one in view.features])
        return {one.name: typed(column, one) for one, column in zip(view.features, columns, strict=True)}
    return by_function(view, inputs)


def by_function(view: BoundOnDemand, inputs: pa.Table) -> dict[str, pa.ChunkedArray]:
    """What the view's function gives, in the features' own types. Raises ``RequestError`` (``FEATURE_FUNCTION``)."""
    if not inputs.num_rows:
        return {one.name: pa.chunked_array([], arrow_type(one)) for one in view.features}
    return dict(_checked(view, _called(view, inputs), inputs.num_rows))


def _called(view: BoundOnDemand, inputs: pa.Table) -> Mapping[str, pa.Array | pa.ChunkedArray]:
    assert view.function is not None
    try:
        given = view.function(inputs)
        return {name: _array(given[name]) for name in _names(given)}
    except (Exception, SystemExit) as error:
        told = f"{type(error).__name__}: {error}"
        raise _wrong(view, view.features, f"its function failed: {told}") from error


def _names(given: pa.Table | pa.RecordBatch | Mapping[str, pa.Array]) -> Sequence[str]:
    return given.column_names if isinstance(given, pa.Table | pa.RecordBatch) else list(given)


def _array(column: object) -> pa.Array | pa.ChunkedArray:
    return column if isinstance(column, pa.Array | pa.ChunkedArray) else pa.array(column)


def _checked(
    view: BoundOnDemand, given: Mapping[str, pa.Array | pa.ChunkedArray], rows: int
) -> Iterator[tuple[str, pa.ChunkedArray]]:
    for feature in view.features:
        if feature.name not in given:
            message = f"its function gives no {feature.name}"
            raise _wrong(view, [feature], message, candidates=given)
        column = given[feature.name]
        if len(column) != rows:
            raise _wrong(view, [feature], f"its function gives {len(column)} values of it for {rows} rows")
        try:
            kept = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
            yield feature.name, typed(kept, feature)
        except pa.ArrowException as error:
            message = f"its function gives {column.type}, which cannot be {feature.dtype}: {error}"
            raise _wrong(view, [feature], message) from error


def _wrong(
    view: BoundOnDemand, features: Sequence[BoundFeature], message: str, candidates: Mapping[str, object] | None = None
) -> RequestError:
    named = ", ".join(f"{view.name}:{one.name}" for one in features)
    hint = "It takes an Arrow table of its inputs and gives a column for each feature, row for row."
    return RequestError("FEATURE_FUNCTION", f"{named}: {message}", name=named, candidates=candidates or (), hint=hint)


__all__ = ["Request", "by_function", "worked_out"]
