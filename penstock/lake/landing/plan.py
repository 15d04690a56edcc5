"""What is done with each column of a file, and a piece of the file put through it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.landing.facts import Manner
from penstock.lake.landing.fitting import Fitted, fitted, what_is
from penstock.lake.landing.piece import Part, Piece
from penstock.lake.landing.rejects import Reject, shortened

_SHOWN = 60


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """A column of the table: where it is in the file (None: not there), its type and how its texts are read."""

    name: str
    at: int | None
    kind: pa.DataType
    manner: Manner = field(default_factory=Manner)


@dataclass(frozen=True, slots=True)
class Clock:
    """The present, and how far ahead of it instants may lie (None: as far as they like); microseconds since 1970."""

    now: int
    ahead: int | None
    columns: frozenset[str]


@dataclass(frozen=True, slots=True)
class Landed:
    """The rows of a piece in the table's types, those left out, and counts by column of what is to be noted."""

    rows: pa.RecordBatch
    count: int
    rejects: tuple[Reject, ...]
    nulls: dict[str, int]
    future: dict[str, int]


def landed(piece: Piece, part: Part, plans: Sequence[ColumnPlan], clock: Clock | None) -> Landed:
    """The piece's rows that fit, in order, and the others with the reasons of all their columns."""
    length = piece.rows.num_rows if piece.numbers is None else len(piece.numbers)
    found = [_fitted(piece, plan, length) for plan in plans]
    reasons: dict[int, list[str]] = {}
    for plan, column in zip(plans, found, strict=True):
        if column.bad is not None:
            _explain(reasons, piece, plan, column.bad)
    future = {} if clock is None else _ahead(reasons, plans, found, clock)
    rows = pa.record_batch([column.values for column in found], schema=schema_of(plans))
    told = piece.rejects
    if reasons:
        rows = rows.filter(pa.array(_without(length, reasons)))
        told = (*told, *(_reject(piece, part, at, why) for at, why in reasons.items()))
    nulls = {plan.name: column.nulls for plan, column in zip(plans, found, strict=True) if column.nulls}
    return Landed(rows, piece.count, tuple(sorted(told, key=lambda reject: reject.row)), nulls, future)


def schema_of(plans: Sequence[ColumnPlan]) -> pa.Schema:
    """The columns' names and types."""
    return pa.schema([(plan.name, plan.kind) for plan in plans])


def _fitted(piece: Piece, plan: ColumnPlan, length: int) -> Fitted:
    if plan.at is None:
        return Fitted(pa.nulls(length, plan.kind))
    return fitted(piece.rows.column(plan.at), plan.kind, plan.manner)


def _explain(reasons: dict[int, list[str]], piece: Piece, plan: ColumnPlan, bad: npt.NDArray[np.bool_]) -> None:
    assert plan.at is not None
    places = np.flatnonzero(bad)
    values = piece.rows.column(plan.at).take(pa.array(places)).to_pylist()
    why = f" ({plan.manner.note})" if plan.manner.note and plan.manner.day_first is None and _is_moment(plan) else ""
    for at, value in zip(places.tolist(), values, strict=True):
        shown = shortened(repr(value))[: _SHOWN + 1]
        reasons.setdefault(at, []).append(f"{plan.name}: {shown} is no {what_is(plan.kind)}{why}")


def _is_moment(plan: ColumnPlan) -> bool:
    return bool(pa.types.is_timestamp(plan.kind) or pa.types.is_date(plan.kind))


def _ahead(
    reasons: dict[int, list[str]], plans: Sequence[ColumnPlan], found: Sequence[Fitted], clock: Clock
) -> dict[str, int]:
    """How many instants of each column lie after the present; those too far ahead are given as reasons."""
    counts = {}
    for plan, column in zip(plans, found, strict=True):
        if not pa.types.is_timestamp(plan.kind) or (clock.columns and plan.name not in clock.columns):
            continue
        micros = pc.fill_null(pc.cast(column.values, pa.int64()), clock.now).to_numpy(zero_copy_only=False)
        late = int((micros > clock.now).sum())
        if late:
            counts[plan.name] = late
        for at in np.flatnonzero(micros - clock.now > clock.ahead).tolist() if late and clock.ahead is not None else ():
            reasons.setdefault(at, []).append(f"{plan.name}: {column.values[at]} lies in the future")
    return counts


def _without(length: int, left_out: dict[int, list[str]]) -> npt.NDArray[np.bool_]:
    kept = np.ones(length, bool)
    kept[list(left_out)] = False
    return kept


def _reject(piece: Piece, part: Part, at: int, why: list[str]) -> Reject:
    row = [column[at].as_py() for column in piece.rows.columns]
    return Reject(piece.number(at), "; ".join(why), part.text(row))
