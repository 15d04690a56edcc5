"""Keys of two columns of every kind: training, a store and live databases find the same rows by them, and no others."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from random import Random
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.relational import ARROW
from penstock.errors import SourceError
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


def test_no_more_rows_are_read_than_those_of_the_pairs(source: Any) -> None:
    events = filled(EVENTS, ROWS["events"])
    for pair in PAIRS:
        keys = events.select(list(pair)).slice(0, 7).drop_null()
        if type(source).__name__ == "FrameSource" or "part" in pair or "flag" in pair:
            continue  # in memory there is nothing to spare, and no database is asked for these two kinds of part
        if type(source).__name__ == "SqliteSource" and "time" in pair:
            continue  # instants are texts there
        found = read_where(source, "events", ["n"], [keys])["n"].to_pylist()
        wanted = {tuple(key.values()) for key in keys.to_pylist()}
        told = [row["n"] for row in events.to_pylist() if tuple(row[name] for name in pair) in wanted]
        assert sorted(found) == told, pair


def test_each_row_is_read_once_however_many_keys_mean_it(source: Any) -> None:
    events = filled(EVENTS, ROWS["events"])
    keys = [events.select(["text", "whole"]), events.select(["n"]).slice(0, 60), events.select(["whole"])]
    found = read_where(source, "events", ["n"], [one.slice(0, 60).drop_null() for one in keys])["n"].to_pylist()
    assert len(found) == len(set(found))
    assert {*range(60)} <= {*found}
    assert read_where(source, "events", ["n"], [events.select(["n", "whole"]).slice(0, 0)]).num_rows == 0


def test_instants_that_no_calendar_has_are_asked_for_too(source: Any) -> None:
    asked = [pa.table({"time": pa.array([2**62, -(2**62), 0], pa.timestamp("us"))})]
    expected = [row["n"] for row in filled(EVENTS, ROWS["events"]).select(["n", "time"]).to_pylist()
                if row["time"] == dt.datetime(1970, 1, 1)]  # noqa: DTZ001  # fmt: skip
    assert set(expected) <= set(read_where(source, "events", ["n"], asked)["n"].to_pylist())


def test_what_a_column_does_not_say_is_an_error(source: Any) -> None:
    with pytest.raises(SourceError, match=r"SOURCE_UNKNOWN_COLUMN: events of .* has no column 'cost'"):
        read_where(source, "events", ["n", "cost"], [pa.table({"n": [1]})])


VALUES = {Dtype.INT: st.integers(-(2**63), 2**63 - 1), Dtype.FLOAT: st.floats(allow_nan=False, allow_infinity=False),
          Dtype.STRING: st.text("a|\\\n\0é'", max_size=5), Dtype.BOOL: st.booleans(),
          Dtype.TIMESTAMP: st.integers(-62_135_596_800_000_000, 253_402_300_799_999_999)}  # fmt: skip
KEYS = st.lists(st.sampled_from(list(VALUES)), min_size=2, max_size=4).flatmap(
    lambda kinds: st.tuples(st.just(kinds), st.lists(st.tuples(*(VALUES[kind] for kind in kinds)), min_size=1))
)


@given(KEYS)
def test_a_composed_key_is_the_same_wherever_it_is_composed_and_says_its_parts(told: Any) -> None:
    kinds, keys = told
    columns = [list(column) for column in zip(*keys, strict=True)]
    arrays = [pa.array(column, pa.int64() if kind is Dtype.TIMESTAMP else ARROW[kind]).cast(ARROW[kind])
              for column, kind in zip(columns, kinds, strict=True)]  # fmt: skip
    texts = composed(arrays)
    assert texts.to_pylist() == composed_keys(columns, kinds)
    parts = decomposed(texts, {str(at): kind for at, kind in enumerate(kinds)})
    assert [column.to_pylist() for column in parts] == [array.to_pylist() for array in arrays]
    same = [[a == b for b in keys] for a in keys]
    assert same == [[a == b for b in texts.to_pylist()] for a in texts.to_pylist()], "equal keys, equal texts"


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
