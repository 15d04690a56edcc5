"""Views over small databases, put into a store as they are at an instant, and read from there."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from penstock.engine.relational import ARROW
from penstock.expression import Expr
from penstock.features.historical import historical
from penstock.features.views.bound import Bound, BoundEntity, BoundFeature, BoundView
from penstock.features.views.entities import EntityRows, Joins
from penstock.features.views.values import dtype_of, list_of
from penstock.online.build import built
from penstock.online.catalogue import VIEW, fresh, written
from penstock.online.holdings import kept_for
from penstock.online.loading import span_for
from penstock.online.rebuild import first_parts
from penstock.online.store import OnlineStore
from penstock.online.texts import Texts
from penstock.plan import Rows
from penstock.schema import Graph
from penstock.settings import Settings
from tests.engines import relational

SETTINGS = Settings(memory=1 << 30, threads=1, cache=None)
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  instants are UTC without a zone


def bound_to(
    graph: Graph,
    features: Mapping[str, Expr],
    *,
    exists: str | None = None,
    table: str = "users",
    ttl: int | None = None,
) -> Bound:
    """One view of these features, ``v``, about the rows of a table."""
    key = graph.table(table).keys[0]
    entity = BoundEntity("one", (key,), (graph.table(table).column(key).dtype,), table, key, exists)
    made = tuple(BoundFeature(n, e, dtype_of(e), repr(e), list_of(e)) for n, e in features.items())
    view = BoundView("v", entity, made, "v", ttl, fingerprint=repr(made)[:60])
    return Bound(graph, Joins(), {"one": entity}, {"v": view}, {}, {})


def fill(store: OnlineStore, bound: Bound, rows: Rows, at: int, span: int | None = None) -> None:
    """Put all views into the store as a first load does, to be asked at ``at`` and later."""
    engine = relational(EntityRows(rows, bound.joins, bound.graph), SETTINGS)
    for view in {view.kept: bound.views[view.kept] for view in bound.views.values()}.values():
        kept = kept_for(view, bound.graph)
        state = replace(fresh(kept), kept=at)
        texts = Texts(store, state.texts)
        spaces = {}
        for holding in kept.holdings:
            found = built(holding, engine, at=at)
            space = state.spaces[holding.fingerprint]
            space = space if holding.newest else replace(space, span=span or span_for(holding, found))
            spaces[holding.fingerprint] = space
            for some in first_parts(holding, space, found, texts):
                store.write(some)
        store.write([], {VIEW + view.kept: written(replace(state, spaces=spaces))})


def trained(bound: Bound, rows: Rows, keys: Mapping[str, Sequence[Any]], at: int, features: str | Sequence[str]) -> Any:
    """What training reads of these entities at an instant, column by column."""
    count = len(next(iter(keys.values())))
    engine = relational(EntityRows(rows, bound.joins, bound.graph), SETTINGS)
    dtypes = {k: d for e in bound.entities.values() for k, d in zip(e.keys, e.dtypes, strict=True)}
    columns = {k: pa.array(list(v), ARROW[dtypes[k]]) if k in dtypes else pa.array(list(v)) for k, v in keys.items()}
    spine = pa.table({**columns, "cutoff": pa.array([at] * count, pa.timestamp("us"))})
    table = historical(bound, engine, spine, features)
    return {name: table[name].to_pylist() for name in table.column_names if name not in spine.column_names}


def same(ours: Any, theirs: Any) -> bool:
    """Whether two values are equal to the last bit."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return ours.hex() == theirs.hex()
    return type(ours) is type(theirs) and bool(ours == theirs)
