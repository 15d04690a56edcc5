"""The engine against the naive double loop, and the laws of time, on random databases."""

from __future__ import annotations

import datetime as dt
import math
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.execute import execute
from penstock.language import lower_features
from penstock.plan import Age, Aggregate, Alive, Attach, Field, Node, Peers, Select, Spine, Stream, Sweep
from penstock.schema import Dtype, Kind
from penstock.settings import Settings
from penstock.window import Lookback
from tests import strategies as make
from tests.engines import relational
from tests.oracle import Oracle

SETTINGS = Settings(memory=1 << 30, threads=1, cache=None)
EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  Arrow gives instants without a zone


def ask(rows: make.MemoryRows, spine: Sequence[tuple[Any, int]], plan: Node, settings: Settings = SETTINGS) -> pa.Table:
    """A plan's answer for a spine of pairs."""
    entity, cutoff = [e for e, _ in spine], [t for _, t in spine]
    table = pa.table({"entity": pa.array(entity, pa.int64()), "cutoff": pa.array(cutoff, pa.timestamp("us"))})
    return execute(plan, table, relational(rows, settings)).table


def swept(*aggregates: Aggregate) -> Node:
    """A plan that works out aggregates of one entity table."""
    node: Node = Spine("users", "user_id")
    for aggregate in aggregates:
        node = Sweep(aggregate.stream, (aggregate,), child=node)
    return Select(tuple(dict.fromkeys(str(a) for a in aggregates)), child=node)


def plain(value: Any, dtype: Dtype | None = None) -> Any:
    """A value as the oracle tells it: instants in microseconds."""
    if isinstance(value, dt.datetime):
        return (value - EPOCH) // dt.timedelta(microseconds=1)
    return [plain(v) for v in value] if isinstance(value, list) else value


def same(ours: Any, theirs: Any, unit: float = 1.0) -> bool:
    """Equal, but for the last digits of sums."""
    ours = plain(ours)
    if isinstance(ours, float) and theirs is not None and not isinstance(theirs, bool):
        return math.isclose(ours * unit, theirs, rel_tol=1e-9, abs_tol=1e-6)
    return bool(ours == theirs)


@st.composite
def questions(draw: st.DrawFn, *, ahead: bool) -> tuple[make.MemoryRows, list[tuple[Any, int]], list[Aggregate]]:
    """A database, rows to ask about, and aggregates to ask for."""
    rows = draw(make.databases())
    spine = draw(st.lists(st.tuples(st.sampled_from([0, 1, 2, 3, 7]), make.times()), min_size=1, max_size=6))
    streams = draw(st.lists(make.streams(rows.graph), min_size=1, max_size=2))
    asked = [draw(make.aggregates_of(rows.graph, s, ahead=ahead)) for s in streams for _ in range(2)]
    asked += [Aggregate("COUNT", s, None, asked[0].window) for s in streams]
    return rows, spine, list({str(a): a for a in asked}.values())


def unit_of(aggregate: Aggregate) -> float:
    """What the engine's number is to be multiplied by to be the oracle's: ages are told in the window's unit."""
    aged = aggregate.function == "TIME_SINCE" and aggregate.window is not None
    return aggregate.window.unit.clock.microseconds if aged and aggregate.window else 1.0


def agree(rows: make.MemoryRows, spine: Sequence[tuple[Any, int]], asked: Sequence[Aggregate]) -> None:
    """Assert that engine and oracle give the same for every row and aggregate."""
    table = ask(rows, spine, swept(*asked))
    oracle = Oracle(rows.graph, rows.rows)
    for aggregate in asked:
        unit = unit_of(aggregate)
        for ours, (entity, cutoff) in zip(table[str(aggregate)].to_pylist(), spine, strict=True):
            theirs = oracle.aggregate(aggregate, entity, cutoff)
            assert same(ours, theirs, unit), f"{aggregate} of {entity} at {cutoff}: engine {ours!r}, oracle {theirs!r}"


@given(questions(ahead=False))
def test_looking_back_equals_the_double_loop(question: Any) -> None:
    agree(*question)


@given(questions(ahead=True))
def test_looking_ahead_equals_the_double_loop(question: Any) -> None:
    agree(*question)


@given(st.data())
def test_other_rows_of_the_last_parent_equal_the_double_loop(data: st.DataObject) -> None:
    rows = data.draw(make.databases())
    product = rows.graph.table("orders").column("product_id")
    field = Field("orders", "product_id", product.dtype, Kind.ID)
    anchor = Aggregate("LAST", Stream("users", (make.ORDERS,)), field, Lookback(None, 0))
    aggregate = data.draw(make.aggregates_of(rows.graph, Stream("products", (make.PRODUCT,), anchor=anchor)))
    spine = data.draw(st.lists(st.tuples(st.integers(0, 4), make.times()), min_size=1, max_size=5))
    agree(rows, spine, [aggregate])


ANCHORS = {
    "orders": [Field("orders", "product_id", Dtype.STRING, Kind.ID), Field("orders", "user_id", Dtype.INT, Kind.ID),
               Field("products", "maker_id", Dtype.INT, Kind.ID, (make.PRODUCT,)),
               Peers(Field("orders", "status", Dtype.STRING, Kind.CATEGORICAL)),
               Peers(Field("products", "kind", Dtype.STRING, Kind.CATEGORICAL, (make.PRODUCT,))), Peers()],
    "users": [Peers(Field("users", "city", Dtype.STRING, Kind.CATEGORICAL)), Peers(),
              Aggregate("MODE", Stream("users", (make.ORDERS,)), Field("orders", "product_id", Dtype.STRING, Kind.ID),
                        Lookback(-30, 0))],
}  # fmt: skip
"""Whose rows may be asked for instead of the entity's own, by the entity's table."""


@st.composite
def anchored(draw: st.DrawFn) -> tuple[make.MemoryRows, str, list[tuple[Any, int]], list[Aggregate]]:
    """A database, a table, rows of it to ask about, and aggregates of the rows of parents and peers."""
    rows = draw(make.databases())
    table = draw(st.sampled_from(["users", "orders"] if rows.graph.table("orders").keys else ["users"]))
    anchor = draw(st.sampled_from(ANCHORS[table]))
    said = anchor.value if isinstance(anchor, Aggregate) else anchor
    roots = {"product_id": "products", "user_id": "users", "maker_id": "makers"}
    root = roots[said.column] if isinstance(said, Field) else table
    below = {"products": (make.PRODUCT,), "users": (make.ORDERS,), "makers": (make.MAKER, make.PRODUCT), "orders": ()}
    stream = Stream(root, below[root], anchor=anchor)
    if draw(st.booleans()):
        stream = replace(stream, where=draw(make.conditions(rows.graph, stream.table)))
    spine = draw(st.lists(st.tuples(st.integers(0, 9), make.times()), min_size=1, max_size=6))
    return rows, table, spine, [draw(make.aggregates_of(rows.graph, stream)) for _ in range(2)]


def of_others(table: str, *asked: Aggregate) -> Node:
    """A plan that works out aggregates of other rows than the entity's."""
    key = {"users": "user_id", "orders": "order_id"}[table]
    return lower_features({str(a): a for a in asked}, table, key)


@given(anchored())
def test_rows_of_parents_and_peers_equal_the_double_loop(question: Any) -> None:
    rows, table, spine, asked = question
    found, oracle = ask(rows, spine, of_others(table, *asked)), Oracle(rows.graph, rows.rows)
    for aggregate in asked:
        unit = unit_of(aggregate)
        for ours, (entity, cutoff) in zip(found[str(aggregate)].to_pylist(), spine, strict=True):
            theirs = oracle.aggregate(aggregate, entity, cutoff, about=table)
            assert same(ours, theirs, unit), f"{aggregate} of {entity} at {cutoff}: engine {ours!r}, oracle {theirs!r}"


@given(st.data())
def test_columns_of_the_entity_and_its_parents_are_as_they_showed(data: st.DataObject) -> None:
    rows = data.draw(make.databases())
    leaves = [
        Field("users", "city", Dtype.STRING, Kind.CATEGORICAL),
        Age(Field("users", "at", Dtype.TIMESTAMP, Kind.TIMESTAMP)),
    ]
    spine = data.draw(st.lists(st.tuples(st.integers(0, 4), make.times()), min_size=1, max_size=5))
    node = Attach(tuple(leaves), child=Spine("users", "user_id"))
    table = ask(rows, spine, Select(tuple(map(str, leaves)), child=node))
    oracle, users = Oracle(rows.graph, rows.rows), rows.graph.table("users")
    for place, (entity, cutoff) in enumerate(spine):
        mine = [r for r in rows.rows["users"] if r["user_id"] == entity and oracle.shows(users, r, cutoff)]
        assert table[0][place].as_py() == (mine[0]["city"] if mine else None)
        born = mine[0]["at"] if mine else None
        expected = None if born is None or born > cutoff else (cutoff - born) / make.DAY
        assert table[1][place].as_py() == pytest.approx(expected)


@given(st.data())
def test_an_entity_counts_from_its_own_time_on(data: st.DataObject) -> None:
    rows = data.draw(make.databases())
    users = rows.graph.table("users")
    spine = data.draw(st.lists(st.tuples(st.integers(0, 4), make.times()), min_size=1, max_size=6))
    node = Alive("users", users.happened, None, child=Spine("users", "user_id"))
    kept = ask(rows, spine, Select(("entity", "cutoff"), child=node)).to_pylist()
    oracle = Oracle(rows.graph, rows.rows)
    alive = [any(r["user_id"] == e and oracle.shows(users, r, t) for r in rows.rows["users"]) for e, t in spine]
    expected = [row for row, counts in zip(spine, alive, strict=True) if counts]
    assert [(row["entity"], plain(row["cutoff"])) for row in kept] == expected


# ---------------------------------------------------------------- laws


@given(anchored(), st.integers(0, 2**31))
def test_nothing_after_the_cutoff_changes_what_parents_and_peers_did(question: Any, seed: int) -> None:
    rows, table, spine, asked = question
    cutoff, rng = spine[0][1], random.Random(seed)
    poisoned = {t.name: _poison(rows, t.name, cutoff, rng) for t in rows.graph}
    plan = of_others(table, *asked)
    later = make.MemoryRows(rows.graph, poisoned)
    assert bits(ask(later, spine[:1], plan)) == bits(ask(rows, spine[:1], plan))


@given(anchored(), st.randoms())
def test_whom_else_is_asked_about_changes_nothing_of_parents_and_peers(question: Any, rng: random.Random) -> None:
    rows, table, spine, asked = question
    chosen = rng.sample(range(len(spine)), rng.randint(1, len(spine)))
    whole, part = (
        ask(rows, spine, of_others(table, *asked)),
        ask(rows, [spine[n] for n in chosen], of_others(table, *asked)),
    )
    assert bits(part) == bits(whole.take(chosen))


@given(anchored(), st.integers(0, 2**31), st.sampled_from([(1 << 30, 3), (1, 1), (4096, 2)]))
def test_order_threads_and_partitions_change_no_bit_of_parents_and_peers(
    question: Any, seed: int, limits: tuple[int, int]
) -> None:
    rows, table, spine, asked = question
    rng, plan = random.Random(seed), of_others(table, *asked)
    shuffled = {name: rng.sample(list(found), len(found)) for name, found in rows.rows.items()}
    split = replace(SETTINGS, memory=limits[0], threads=limits[1])
    order = rng.sample(range(len(spine)), len(spine))
    again = ask(replace(rows, rows=shuffled), [spine[i] for i in order], plan, split)
    assert bits(ask(rows, spine, plan).take(pa.array(np.array(order)))) == bits(again)


def bits(table: pa.Table) -> list[list[Any]]:
    """Every value to the last bit."""
    return [[v.hex() if isinstance(v, float) else v for v in column.to_pylist()] for column in table.columns]


@given(questions(ahead=False), st.integers(0, 2**31))
def test_nothing_after_the_cutoff_changes_a_feature(question: Any, seed: int) -> None:
    """The poison law: rows that happened or became known later may be changed, added or removed at will."""
    rows, spine, asked = question
    cutoff, rng = spine[0][1], random.Random(seed)
    poisoned = {t.name: _poison(rows, t.name, cutoff, rng) for t in rows.graph}
    plan = swept(*asked)
    assert bits(ask(rows, spine[:1], plan)) == bits(ask(replace(rows, rows=poisoned), spine[:1], plan))


def _poison(rows: make.MemoryRows, name: str, cutoff: int, rng: random.Random) -> list[dict[str, Any]]:
    """The table with its later rows dropped or garbled, and new ones added."""
    schema, kept = rows.graph.table(name), []
    clocks = [c for c in (schema.happened, schema.known) if c]
    for row in rows.rows[name]:
        late = any(row[c] is not None and row[c] > cutoff for c in clocks)
        if not late:
            kept.append(dict(row))
        elif rng.random() < 0.5:
            kept.append(dict(row) | {c.name: 99.5 for c in schema.columns if c.dtype is Dtype.FLOAT})
    if schema.happened and rows.rows[name]:
        new = dict(rng.choice(list(rows.rows[name])))
        new |= {c: cutoff + 1 + rng.randrange(10) for c in clocks}
        new |= {key: 1000 + rng.randrange(9) if isinstance(new[key], int) else "new" for key in schema.keys}
        kept.append(new)
    return kept


@given(questions(ahead=False), st.integers(0, 2**31), st.sampled_from([(1 << 30, 3), (1, 1), (4096, 2)]))
def test_order_threads_and_partitions_change_no_bit(question: Any, seed: int, limits: tuple[int, int]) -> None:
    rows, spine, asked = question
    rng, plan = random.Random(seed), swept(*asked)
    shuffled = {name: rng.sample(list(found), len(found)) for name, found in rows.rows.items()}
    split = replace(SETTINGS, memory=limits[0], threads=limits[1])
    order = rng.sample(range(len(spine)), len(spine))
    again = ask(replace(rows, rows=shuffled), [spine[i] for i in order], plan, split)
    assert bits(ask(rows, spine, plan).take(pa.array(np.array(order)))) == bits(again)


# ---------------------------------------------------------------- one example of each rule, so that none rests on luck


def shop(**clocks: dict[str, str]) -> make.MemoryRows:
    """One user, two orders (day 1 and day 5) of one product."""
    i, f, s, b, t = Dtype.INT, Dtype.FLOAT, Dtype.STRING, Dtype.BOOL, Dtype.TIMESTAMP
    orders = make.table("orders", "order_id", clocks.get("orders", {"happened": "at"}),
                        order_id=i, user_id=i, product_id=s, at=t, known=t, gone=b, price=f)  # fmt: skip
    products = make.table("products", "product_id", clocks.get("products", {}),
                          product_id=s, at=t, known=t, gone=b, cost=f)  # fmt: skip
    graph = make.Graph((make.table("users", "user_id", {}, user_id=i), orders, products), (make.ORDERS, make.PRODUCT))
    day = make.DAY
    first = {"user_id": 0, "product_id": "p", "gone": False}
    bought = [
        first | {"order_id": n, "at": at * day, "known": at * day, "price": float(n)} for n, at in ((1, 1), (2, 5))
    ]
    sold = [{"product_id": "p", "at": 3 * day, "known": 3 * day, "gone": False, "cost": 7.0}]
    return make.MemoryRows(graph, {"users": [{"user_id": 0}], "orders": bought, "products": sold})


ORDERS_OF_USERS = Stream("users", (make.ORDERS,))
ALL_TIME = Lookback(None, 0)
COUNTED = Aggregate("COUNT", ORDERS_OF_USERS, None, ALL_TIME)
COST = Field("products", "cost", Dtype.FLOAT, Kind.NUMERICAL, (make.PRODUCT,))


def at_days(rows: make.MemoryRows, aggregate: Aggregate, *days: float) -> list[Any]:
    """The aggregate for user 0 at these days, checked against the oracle too."""
    spine = [(0, int(d * make.DAY)) for d in days]
    agree(rows, spine, [aggregate])
    return ask(rows, spine, swept(COUNTED, aggregate))[str(aggregate)].to_pylist()


def test_an_event_at_the_cutoff_is_past_and_one_microsecond_later_is_not() -> None:
    assert at_days(shop(), COUNTED, 1 - 1e-11, 1, 5) == [0, 1, 2]


def test_a_late_row_is_invisible_until_it_is_known() -> None:
    rows = shop(orders={"happened": "at", "known": "known"})
    rows.rows["orders"][0]["known"] = 6 * make.DAY
    assert at_days(rows, COUNTED, 2, 5, 6) == [0, 1, 2]


def test_a_newer_version_takes_the_place_of_the_older_from_when_it_is_known() -> None:
    rows = shop(orders={"happened": "at", "known": "known", "deleted": "gone"})
    changed = dict(rows.rows["orders"][0]) | {"known": 3 * make.DAY, "price": 100.0}
    rows.rows["orders"].append(changed)
    total = Aggregate("SUM", ORDERS_OF_USERS, Field("orders", "price", Dtype.FLOAT, Kind.NUMERICAL), ALL_TIME)
    assert at_days(rows, total, 2, 3, 5) == [1.0, 100.0, 102.0]


def test_a_deleted_row_is_gone_from_when_that_is_known() -> None:
    rows = shop(orders={"happened": "at", "known": "known", "deleted": "gone"})
    rows.rows["orders"].append(dict(rows.rows["orders"][0]) | {"known": 3 * make.DAY, "gone": True})
    assert at_days(rows, COUNTED, 2, 3, 5) == [1, 0, 1]


def test_an_event_counts_before_its_parent_shows_and_the_parents_columns_are_null_till_then() -> None:
    rows = shop(products={"happened": "at"})
    cost = Aggregate("SUM", ORDERS_OF_USERS, COST, ALL_TIME)
    spine = [(0, day * make.DAY) for day in (2, 3, 5)]
    table = ask(rows, spine, swept(COUNTED, cost))
    assert table[str(COUNTED)].to_pylist() == [1, 1, 2]
    assert table[str(cost)].to_pylist() == [0.0, 7.0, 14.0]
    agree(rows, spine, [COUNTED, cost])


def test_a_parents_column_is_null_again_once_the_parent_is_deleted() -> None:
    rows = shop(products={"known": "known", "deleted": "gone"})
    rows.rows["products"].append(dict(rows.rows["products"][0]) | {"known": 6 * make.DAY, "gone": True})
    cost = Aggregate("SUM", ORDERS_OF_USERS, COST, ALL_TIME)
    spine = [(0, day * make.DAY) for day in (2, 4, 7)]
    table = ask(rows, spine, swept(COUNTED, cost))
    assert table[str(COUNTED)].to_pylist() == [1, 1, 2]
    assert table[str(cost)].to_pylist() == [0.0, 7.0, 0.0]
    agree(rows, spine, [COUNTED, cost])


def test_a_row_that_does_not_say_when_it_happened_never_shows() -> None:
    rows = shop()
    rows.rows["orders"][0]["at"] = None
    assert at_days(rows, COUNTED, 2, 5) == [0, 1]
