"""An answer as entries of the log: one for each view, with its entities' hashes and what was said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from penstock.features.views.bound import Bound, BoundFeature, Chosen
from penstock.features.views.chosen import resolve
from penstock.online.answer import Online
from penstock.online.answering.held import pack
from penstock.online.coercing import entity_keys
from penstock.online.verifying.served import Entry
from penstock.online.verifying.verify import plain
from penstock.schema import Dtype

T = TypeVar("T")


def logged(
    bound: Bound,
    features: str | Sequence[str],
    keys: Mapping[str, Sequence[object]],
    found: Online,
    hashed: Callable[[Sequence[bytes]], tuple[bytes, ...]],
) -> list[Entry]:
    """What was answered about stored features; on-demand ones rest on these, and entities without a key are left out.

    Columns that entities are not known by may be missing, as in the request.
    """
    by_view: dict[str, list[tuple[int, Chosen]]] = {}
    for place, one in enumerate(resolve(bound, features)):
        if one.view in bound.views:
            by_view.setdefault(one.view, []).append((place, one))
    return [_entry(bound, view, asked, keys, found, hashed) for view, asked in by_view.items()]


def _entry(
    bound: Bound,
    view: str,
    asked: Sequence[tuple[int, Chosen]],
    keys: Mapping[str, Sequence[object]],
    found: Online,
    hashed: Callable[[Sequence[bytes]], tuple[bytes, ...]],
) -> Entry:
    told = bound.views[view]
    rows = len(next(iter(keys.values()), ()))
    whole = entity_keys(told.entity, keys, rows, lenient=True)
    there = [row for row, key in enumerate(whole) if key is not None] if None in whole else None
    dtype = bound.graph.table(told.entity.table).column(told.entity.column).dtype
    statuses = {id(column): _of(column, there) for column in found.statuses}
    return Entry(
        found.at,
        found.kept,
        view,
        told.fingerprint,
        tuple(one.feature for _, one in asked),
        hashed(pack(_of(whole, there), dtype)),
        tuple([_plain(_of(found.values[place], there), told.feature(one.feature)) for place, one in asked]),
        tuple([statuses[id(found.statuses[place])] for place, _ in asked]),
    )


def _of(column: Sequence[T], there: list[int] | None) -> tuple[T, ...]:
    """The rows of a column that are there; None means all of them."""
    return tuple(column) if there is None else tuple([column[row] for row in there])


def _plain(values: tuple[object, ...], feature: BoundFeature) -> tuple[object, ...]:
    """A feature's values as logs hold them."""
    timely = Dtype.TIMESTAMP in (feature.dtype, feature.list_of)
    return tuple(map(plain, values)) if timely else values
