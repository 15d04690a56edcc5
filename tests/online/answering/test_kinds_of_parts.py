"""Keys of two columns of every kind: training, a store and live databases find the same rows by them, and few others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest

from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions, Entity, ExpressionView, LatestView
from penstock.features.views.entities import composed, decomposed
from penstock.lake.sources import open_source
from penstock.lake.where import read_where
from penstock.lake.write import write
from penstock.online.coercing import composed_keys
from penstock.online.live import LiveReader
from penstock.online.reading import OnlineReader
from penstock.online.stores.lmdb import LmdbStore
from penstock.schema import Dtype, Graph, Link
from tests.features.historical.held import D, Held, filled, schema
from tests.online.answering.stored import SETTINGS, fill, trained

PARTS: Mapping[str, tuple[Dtype, Sequence[Any]]] = {
    "whole": (Dtype.INT, [0, -1, 7, 2**53 + 1, 2**63 - 1, -(2**63)]),
    "part": (Dtype.FLOAT, [0.0, -0.0, 0.1, 0.1 + 0.2, 1 / 3, 1e300, 5e-324, 7.0]),
    "text": (Dtype.STRING, ["", "a", "a|b", "\\", "it's", "é", "e\u0301", "7", "🦉", "x" * 200]),
    "flag": (Dtype.BOOL, [True, False]),
    "time": (Dtype.TIMESTAMP, [dt.datetime(1970, 1, 1), dt.datetime(1969, 12, 31, 23, 59, 59, 999999),  # noqa: DTZ001
                               dt.datetime(2026, 3, 29, 2, 30), dt.datetime(1582, 10, 10), dt.datetime(9999, 1, 1)]),  # noqa: DTZ001
}  # fmt: skip
PAIRS = list(combinations(PARTS, 2))
EVENTS = schema("events", {"n": Dtype.INT, "at": Dtype.TIMESTAMP, "v": Dtype.FLOAT,
                           **{name: dtype for name, (dtype, _) in PARTS.items()}}, key="n", happened="at")  # fmt: skip
CELLS = {
    pair: schema(f"cells_{'_'.join(pair)}", {**{name: PARTS[name][0] for name in pair}, "size": Dtype.FLOAT}, key=pair)
    for pair in PAIRS
}
GRAPH = Graph((EVENTS, *CELLS.values()), tuple(Link("events", pair, table.name) for pair, table in CELLS.items()))


def rows() -> dict[str, list[tuple[Any, ...]]]:
    """Events with any parts, NULL among them, and cells for some pairs."""
    random = Random(7)

    def drawn(name: str) -> Any:
        return random.choice(PARTS[name][1])

    events = [(n, D[1], float(n), *(drawn(p) if random.random() < 0.95 else None for p in PARTS)) for n in range(120)]
    cells = {CELLS[pair].name: list({(a, b): (a, b, random.random()) for a, b in
                                     ((drawn(pair[0]), drawn(pair[1])) for _ in range(9))}.values())
             for pair in PAIRS}  # fmt: skip
    return {"events": events, **cells}


ROWS = rows()


def bound() -> Bound:
    """For each pair of columns an entity, its newest value, and its cell; and the cells that an event leads to."""
    entities = [Entity("event", ("n",), "events")]
    views: list[Any] = [ExpressionView("led", "event", {f"s_{t.name}": f"{t.name}.size" for t in CELLS.values()})]
    for pair, table in CELLS.items():
        name = "_".join(pair)
        entities.append(Entity(name, tuple(f"{name}_{part}" for part in pair), table.name))
        views.append(LatestView(f"newest_{name}", name, "events", {f"v_{name}": "v"}, keys=pair))
        views.append(ExpressionView(f"own_{name}", name, {f"size_{name}": f"{table.name}.size",
                                                          f"sum_{name}": "SUM(events.v, -INF, 0, days)"}))  # fmt: skip
    found = bind(Definitions({e.name: e for e in entities}, {v.name: v for v in views}), GRAPH)
    found.must_be_sound()
    return found


def asked() -> dict[str, list[Any]]:
    """The pairs of each event, some that are nowhere, and each event."""
    columns: dict[str, list[Any]] = {"n": [row[0] for row in ROWS["events"]]}
    for pair in PAIRS:
        for part in pair:
            told = [row[3 + list(PARTS).index(part)] for row in ROWS["events"]]
            columns[f"{'_'.join(pair)}_{part}"] = [*told[:100], *told[50:70]]  # the last pairs are of two events
    return columns


@pytest.fixture(params=["memory", "duckdb", "sqlite", "postgres", "mysql"])
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    """The tables, somewhere."""
    tables = {table.name: filled(table, ROWS[table.name]) for table in GRAPH}
    if request.param == "memory":
        return open_source(tables)
    where = str(tmp_path / f"parts.{request.param}")
    if request.param in ("postgres", "mysql"):
        where = str(request.getfixturevalue(f"{request.param}_url"))
    for name, table in tables.items():
        write(table, f"{where}#{name}")
    return open_source(where)


def test_every_kind_of_pair_is_found_wherever_it_is_asked(source: Any, tmp_path: Path) -> None:
    told, held = bound(), Held(GRAPH, {table.name: filled(table, ROWS[table.name]) for table in GRAPH})
    features = [f"{name}:*" for name in told.views]
    store = LmdbStore(tmp_path / "online")
    fill(store, told, held, D[5])
    live = LiveReader(told, source, lambda: D[5], SETTINGS).read(features, asked())
    stored = OnlineReader(told, store, lambda: D[5]).read(features, asked())
    past = trained(told, held, asked(), D[5], features)
    assert live.statuses == stored.statuses
    for name, column in stored.to_dict().items():
        assert column == past[name], name
        assert live.to_dict()[name] == column, name
    store.close()
