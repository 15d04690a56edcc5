"""Keys of very many rows: what tiles and pieces answer is what training reads, and what all rows together answer."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.engine.program import Asked
from penstock.engine.tiles import can_tile
from penstock.errors import StoreError
from penstock.expression import Expr
from penstock.features.views.bound import Bound
from penstock.online import crowds
from penstock.online.answering.held import Crowded
from penstock.online.catalogue import Space, live
from penstock.online.holdings import kept_for
from penstock.online.reading import OnlineReader
from penstock.online.store import Change, OnlineStore, walk
from penstock.online.stores.lmdb import LmdbStore
from penstock.plan import Aggregate, Field
from penstock.schema import Dtype, Graph, Kind
from penstock.window import Lookback, Unit
from tests import strategies as make
from tests.online.answering.stored import bound_to, fill, same, trained
from tests.online.answering.test_equal import ORDERS, questions

SIZES = st.sampled_from([(0, 1), (0, 3), (2, 2), (3, 1)])
"""Above how many rows a part is a crowd, and how many a piece has."""
PRICE = Field("orders", "price", Dtype.FLOAT, Kind.NUMERICAL)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LmdbStore]:
    """A store for all examples: each writes spaces of its own."""
    made = LmdbStore(tmp_path_factory.mktemp("store") / "online")
    yield made
    made.close()


@contextmanager
def crowding(most: int, piece: int) -> Iterator[None]:
    """What is written meanwhile is crowded much sooner."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crowds, "MOST", most)
        patch.setattr(crowds, "PIECE", piece)
        yield


def alike(ours: Any, theirs: Any) -> bool:
    """Whether two values are equal, fractions to 1e-12 of their size."""
    if isinstance(ours, float) and isinstance(theirs, float):
        return math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-9)
    return same(ours, theirs)


@settings(max_examples=settings().max_examples // 2)
@given(questions(), SIZES, st.sampled_from([None, make.DAY, 1000 * make.DAY]))
def test_crowded_keys_answer_what_training_reads(
    store: OnlineStore,
    question: Any,
    sizes: tuple[int, int],
    span: int | None,
) -> None:
    rows, asked, exists, first, second, keys = question
    bound = bound_to(rows.graph, asked, exists=exists)
    with crowding(*sizes):
        fill(store, bound, rows, first, span)
    reader = OnlineReader(bound, store, lambda: first)
    for at in (first, second):
        online = reader.read("v:*", {"user_id": keys}, at=at).to_dict()
        theirs = trained(bound, rows, {"user_id": keys}, at, "v:*")
        for name, expression in asked.items():
            for place, (ours, trains) in enumerate(zip(online[name], theirs[name], strict=True)):
                assert alike(ours, trains), f"{expression} of {keys[place]} at {at}"


@st.composite
def tileable(draw: st.DrawFn) -> tuple[make.MemoryRows, dict[str, Expr], int, int]:
    """A database, aggregates that tiles answer, when a store is built and when it is asked."""
    rows = draw(make.databases())
    stream = draw(make.streams(rows.graph))
    some = draw(st.lists(make.aggregates_of(rows.graph, stream), min_size=1, max_size=6))
    asked = {f"f{n}": one for n, one in enumerate(dict.fromkeys(filter(is_tileable, some)))}
    return rows, asked, *sorted(draw(st.tuples(make.times(), make.times())))


def is_tileable(one: Aggregate) -> bool:
    """Whether tiles can answer an aggregate of some column."""
    return can_tile(Asked(one.function, 0, None if one.value is None else 0))


@given(tileable(), SIZES)
def test_crowded_keys_answer_what_all_their_rows_do(
    store: OnlineStore,
    question: Any,
    sizes: tuple[int, int],
) -> None:
    rows, asked, first, second = question
    if not asked:
        return
    bound, keys = bound_to(rows.graph, asked), {"user_id": [0, 1, 2, 3]}
    found = []
    for size in (sizes, (10**9, 10**9)):
        with crowding(*size):
            fill(store, bound, rows, first)
        found.append(OnlineReader(bound, store, lambda: second).read("v:*", keys))
    tiled, exact = found
    assert (tiled.statuses, tiled.times) == (exact.statuses, exact.times)
    for name, ours, theirs in zip(tiled.names, tiled.values, exact.values, strict=True):
        assert all(map(alike, ours, theirs)), (asked[name], ours, theirs)


# ------------------------------------------------------------------------------------------------- one key

ROWS = 5000
SPAN = 10_000 * make.DAY
AT = make.START + 100 * make.DAY


def hot() -> make.MemoryRows:
    """Two users, of which one has very many orders, the last of them not known yet."""
    i, f, s, t = Dtype.INT, Dtype.FLOAT, Dtype.STRING, Dtype.TIMESTAMP
    orders = make.table("orders", "order_id", {"happened": "at", "known": "known"}, order_id=i, user_id=i, at=t,
                        known=t, price=f, status=s)  # fmt: skip
    random = np.random.default_rng(3)
    happened = (AT - random.integers(-make.DAY, 90 * make.DAY, ROWS)).tolist()
    late = random.integers(0, make.DAY, ROWS).tolist()
    prices, kinds = random.normal(1e6, 1, ROWS).tolist(), random.choice(list("abcd"), ROWS).tolist()
    told = zip(happened, late, prices, kinds, strict=True)
    found = [
        {
            "order_id": n,
            "user_id": int(n % 1000 == 0),
            "at": at,
            "known": at + after,
            "price": price,
            "status": kind,
        }
        for n, (at, after, price, kind) in enumerate(told)
    ]
    graph = Graph((make.table("users", "user_id", {}, user_id=i), orders), (make.ORDERS,))
    return make.MemoryRows(graph, {"users": [{"user_id": 0}, {"user_id": 1}], "orders": found})


def asked_of(functions: list[str], columns: list[tuple[str, Dtype]]) -> dict[str, Expr]:
    """Aggregates of orders over some windows."""
    windows = [Lookback(-7, 0), Lookback(-1, 0, Unit.MONTHS), Lookback(None, 0), Lookback(-1500, -1, Unit.ROWS)]
    values = [Field("orders", name, dtype, make.column(name, dtype).kind) for name, dtype in columns]
    every = [
        Aggregate(function, ORDERS, value, window)
        for function in functions for value in values for window in windows
    ]  # fmt: skip
    return {f"f{n}": one for n, one in enumerate(every)}


NUMBERS = ["SUM", "AVG", "MIN", "MAX", "STDDEV", "TREND", "COUNT", "FIRST", "LAST", "TIME_SINCE", "GAP"]
TALLIES = ["COUNT_DISTINCT", "MODE", "ENTROPY", "LIST_DISTINCT"]
TILED = asked_of(NUMBERS, [("price", Dtype.FLOAT)]) | {
    f"s{name}": one for name, one in asked_of([*TALLIES, "LAST"], [("status", Dtype.STRING)]).items()
}


def pieces_of(store: OnlineStore, bound: Bound) -> tuple[str, list[bytes]]:
    """The space of pieces of the only holding that has some, and their keys."""
    state = live(store, "v")
    assert state is not None
    spaces = [space.pieces for space in state.spaces.values() if space.span]
    assert len(spaces) == 1 and kept_for(bound.views["v"], bound.graph).swept
    return spaces[0], list(walk(store, spaces[0]))


@pytest.mark.parametrize("asked", [TILED, asked_of(TALLIES, [("order_id", Dtype.INT)])], ids=["tiled", "too many"])
def test_a_hot_key_and_a_cold_one_answer_what_training_reads(store: OnlineStore, asked: dict[str, Expr]) -> None:
    rows, keys = hot(), {"user_id": [0, 1, 2]}
    bound = bound_to(rows.graph, asked)
    fill(store, bound, rows, AT, SPAN)
    assert 3 <= len(pieces_of(store, bound)[1]) <= 8
    online = OnlineReader(bound, store, lambda: AT).read("v:*", keys).to_dict()
    theirs = trained(bound, rows, keys, AT, "v:*")
    for name, one in asked.items():
        assert all(map(alike, online[name], theirs[name])), (one, online[name], theirs[name])


def test_only_the_pieces_that_a_window_cuts_are_read(store: OnlineStore) -> None:
    rows = hot()
    whole = Lookback(None, 0)
    bound = bound_to(rows.graph, {"sum": Aggregate("SUM", ORDERS, PRICE, whole),
                                  "median": Aggregate("MEDIAN", ORDERS, PRICE, whole)})  # fmt: skip
    later = AT + 3 * make.DAY
    fill(store, bound, rows, later, SPAN)
    reader, key = OnlineReader(bound, store, lambda: later), {"user_id": [0]}
    before = reader.read("v:sum", key)
    median = reader.read("v:median", key).values[0][0]
    assert same(median, trained(bound, rows, key, later, "v:median")["median"][0])
    space, pieces = pieces_of(store, bound)
    store.write([Change(space, piece, None, None) for piece in pieces])
    assert reader.read("v:sum", key) == before
    with pytest.raises(StoreError, match=r"rows of .* are missing"):
        reader.read("v:median", key)


def test_a_part_that_is_written_anew_while_it_is_read_is_read_again(store: OnlineStore) -> None:
    bound = bound_to(hot().graph, {"sum": Aggregate("SUM", ORDERS, PRICE, Lookback(None, 0))})
    kept = kept_for(bound.views["v"], bound.graph)
    holding, space = kept.swept[0].holding, Space("h-race", make.DAY)
    first, second = (np.full((9, 4), number, "<i8").tobytes() for number in (1, 2))
    with crowding(2, 4):
        store.write(crowds.written(holding, space, b"k", 0, first))
        was = store.read(space.name, [b"k"])[0]
        store.write(crowds.written(holding, space, b"k", 0, second, was[0].data))
    assert Crowded(store, holding, space, b"k", 0, was).events().values.tolist() == [[2] * 9]
    store.write(crowds.written(holding, space, b"k", 0, None, store.read(space.name, [b"k"])[0][0].data))
    assert Crowded(store, holding, space, b"k", 0, was).events().values.tolist() == [[]]
    assert list(walk(store, space.pieces)) == []


@pytest.mark.parametrize("words", [[], [5, 0, 0], [-1, 0], [1, 0, 0, 0]])
def test_what_is_no_crowd_is_refused(words: list[int]) -> None:
    with pytest.raises(StoreError, match="a part of many rows cannot be read"):
        crowds.Crowd.from_bytes(np.array(words, "<i8").tobytes() + b"\0")
