"""An answer as entries of the log: one for each view, with its entities' hashes and what was said of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from penstock.features.views.bound import Bound, Chosen
from penstock.features.views.chosen import resolve
from penstock.online.answer import Online
from penstock.online.answering.held import pack
from penstock.online.coercing import entity_keys
from penstock.online.verifying.served import Entry
from penstock.online.verifying.verify import plain


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
    there = [row for row, key in enumerate(whole) if key is not None]
    dtype = bound.graph.table(told.entity.table).column(told.entity.column).dtype
    return Entry(
        found.at,
        found.kept,
        view,
        told.fingerprint,
        tuple(one.feature for _, one in asked),
        hashed(pack([whole[row] for row in there], dtype)),
        tuple(tuple(plain(found.values[place][row]) for row in there) for place, _ in asked),
        tuple(tuple(int(found.statuses[place][row]) for row in there) for place, _ in asked),
    )
