"""What a store answers at an instant is what training reads of that instant: the law, on random databases."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.expression import Arithmetic, Call, Compare, Constant, Expr, IsNull
from penstock.lake.frames import FrameSource
from penstock.online.answer import Status
from penstock.online.live import LiveReader
from penstock.online.reading import OnlineReader
from penstock.online.store import OnlineStore
from penstock.online.stores.lmdb import LmdbStore
from penstock.plan import Age, Aggregate, Calendar, Field, Latest, Peers, Stream
from penstock.schema import Dtype, Kind
from penstock.window import Lookback, Unit
from tests import strategies as make
from tests.online.answering.stored import SETTINGS, bound_to, fill, same, trained

ORDERS = Stream("users", (make.ORDERS,))
STATUS = Field("orders", "status", Dtype.STRING, Kind.CATEGORICAL)
PRODUCT = Field("orders", "product_id", Dtype.STRING, Kind.ID)
CITY = Field("users", "city", Dtype.STRING, Kind.CATEGORICAL)
BORN = Field("users", "at", Dtype.TIMESTAMP, Kind.TIMESTAMP)
ANCHORS = [
    Aggregate("LAST", ORDERS, PRODUCT, Lookback(None, 0)),
    Aggregate("MODE", ORDERS, PRODUCT, Lookback(-30, 0)),
]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LmdbStore]:
    """A store for all examples: each writes spaces of its own."""
    made = LmdbStore(tmp_path_factory.mktemp("store") / "online")
    yield made
    made.close()


@st.composite
def features(draw: st.DrawFn, rows: make.MemoryRows) -> dict[str, Expr]:
    """Features of users: aggregates of their rows and of others', columns, ages, and what is worked out of them."""
    graph = rows.graph
    streams = draw(st.lists(make.streams(graph), min_size=1, max_size=3))
    found: list[Expr] = [draw(make.aggregates_of(graph, one)) for one in streams for _ in range(3)]
    if draw(st.booleans()):
        anchored = Stream("products", (make.PRODUCT,), anchor=draw(st.sampled_from(ANCHORS)))
        found.append(draw(make.aggregates_of(graph, anchored)))
    if draw(st.booleans()):
        peers = Stream("users", (make.ORDERS,), anchor=draw(st.sampled_from([Peers(), Peers(CITY)])))
        found.append(draw(make.aggregates_of(graph, peers)))
    number = Aggregate("SUM", ORDERS, Field("orders", "price", Dtype.FLOAT, Kind.NUMERICAL), Lookback(-10, 0))
    count = Aggregate("COUNT", ORDERS, None, Lookback(-10, 0))
    worked = [CITY, Age(BORN), Calendar("WEEKDAY"), Arithmetic("/", number, count), Compare(">", count, Constant(1)),
              IsNull(Aggregate("LAST", ORDERS, STATUS, Lookback(-5, 0, Unit.ROWS))),
              Call("MEAN_OF", (number, count)), Compare("=", CITY, Constant("a"))]  # fmt: skip
    found += draw(st.lists(st.sampled_from(worked), max_size=3))
    return {f"f{n}": one for n, one in enumerate(dict.fromkeys(found))}


@st.composite
def questions(draw: st.DrawFn) -> tuple[make.MemoryRows, dict[str, Expr], str | None, int, int, list[Any]]:
    """A database, features, which table says who is there, when the store is built and asked, and about whom."""
    rows = draw(make.databases())
    asked = draw(features(rows))
    exists = draw(st.sampled_from(["users", None]))
    first, second = sorted(draw(st.tuples(make.times(), make.times())))
    keys = draw(st.lists(st.sampled_from([0, 1, 2, 3, 7]), min_size=1, max_size=6))
    return rows, asked, exists, first, second, keys


@given(questions(), st.sampled_from([None, make.DAY, 1000 * make.DAY]))
def test_a_store_answers_what_training_reads(store: OnlineStore, question: Any, span: int | None) -> None:
    rows, asked, exists, first, second, keys = question
    bound = bound_to(rows.graph, asked, exists=exists)
    fill(store, bound, rows, first, span)
    reader = OnlineReader(bound, store, lambda: first)
    for at in (first, second):
        online, theirs = (
            reader.read("v:*", {"user_id": keys}, at=at),
            trained(bound, rows, {"user_id": keys}, at, "v:*"),
        )
        for name, expression in asked.items():
            for place, (ours, trains) in enumerate(zip(online.to_dict()[name], theirs[name], strict=True)):
                assert same(ours, trains), f"{expression} of {keys[place]} at {at}"


@given(make.databases(), make.times())
def test_a_calendar_says_of_nobody_that_they_are_there(store: OnlineStore, rows: make.MemoryRows, at: int) -> None:
    asked = {"n": Aggregate("COUNT", ORDERS, None, Lookback(-3, 0)), "day": Calendar("WEEKDAY")}
    bound = bound_to(rows.graph, asked)
    fill(store, bound, rows, at)
    keys = {"user_id": [0, 1, 2, 3, 7]}
    read = OnlineReader(bound, store, lambda: at).read("v:*", keys).to_dict()
    assert read == trained(bound, rows, keys, at, "v:*")
    assert [day is None for day in read["day"]] == [not count for count in read["n"]]


@given(questions())
def test_asking_for_one_entity_or_feature_alone_gives_the_same(store: OnlineStore, question: Any) -> None:
    rows, asked, exists, first, second, keys = question
    bound = bound_to(rows.graph, asked, exists=exists)
    fill(store, bound, rows, first)
    reader = OnlineReader(bound, store, lambda: second)
    whole = reader.read("v:*", {"user_id": keys})
    name = list(asked)[len(keys) % len(asked)]
    alone = reader.read(f"v:{name}", {"user_id": keys[:1]})
    place = whole.names.index(name)
    assert repr(alone.values[0][0]) == repr(whole.values[place][0])
    assert (alone.statuses[0][0], alone.times[0][0]) == (whole.statuses[place][0], whole.times[place][0])


@given(questions(), st.booleans())
def test_a_live_database_answers_what_a_store_does(store: OnlineStore, question: Any, newest: bool) -> None:
    rows, asked, exists, first, second, keys = question
    if newest and rows.graph.table("orders").keys:  # rows of one instant without a key have no order
        asked = {n: Latest(ORDERS, n, d, Kind.NUMERICAL, 10 * make.DAY) for n, d in LATEST}
    bound = bound_to(rows.graph, asked, exists=exists)
    fill(store, bound, rows, first)
    tables = {t.name: rows.read(t.name, [c.name for c in t.columns]) for t in rows.graph}
    live = LiveReader(bound, FrameSource(tables), lambda: second, SETTINGS)
    ours = live.read("v:*", {"user_id": keys})
    theirs = OnlineReader(bound, store, lambda: second).read("v:*", {"user_id": keys})
    for number, name in enumerate(ours.names):
        assert ours.statuses[number] == theirs.statuses[number], asked[name]
        for one, other in zip(ours.values[number], theirs.values[number], strict=True):
            assert same(one, other), str(asked[name])


LATEST = [("price", Dtype.FLOAT), ("status", Dtype.STRING), ("count", Dtype.INT), ("paid", Dtype.BOOL),
          ("at", Dtype.TIMESTAMP)]  # fmt: skip


@given(questions(), st.sampled_from([None, make.DAY, 10 * make.DAY]))
def test_newest_rows_are_those_of_training(store: OnlineStore, question: Any, ttl: int | None) -> None:
    rows, _, exists, first, second, keys = question
    leaves: dict[str, Expr] = {n: Latest(ORDERS, n, d, Kind.NUMERICAL, ttl) for n, d in LATEST}
    bound = bound_to(rows.graph, leaves, exists=exists, ttl=ttl)
    fill(store, bound, rows, first)
    reader = OnlineReader(bound, store, lambda: first)
    for at in (first, second):
        online, theirs = (
            reader.read("v:*", {"user_id": keys}, at=at),
            trained(bound, rows, {"user_id": keys}, at, "v:*"),
        )
        if rows.graph.table("orders").keys:  # rows of one instant without a key have no order
            assert repr(online.to_dict()) == repr(theirs)
        for values, statuses in zip(online.values, online.statuses, strict=True):
            assert [v is not None for v in values] == [s is Status.PRESENT for s in statuses]
