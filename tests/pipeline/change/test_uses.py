from __future__ import annotations

import pyarrow as pa
import pytest

import penstock as ps
from penstock import lake, language
from penstock.database import Database
from penstock.pipeline.change import uses_of, uses_of_query
from tests.language.shop import POST_GRAPH, SHOP_GRAPH
from tests.small import DAY, START, shop

ORDERS = {("orders", "user_id"), ("orders", "ts"), ("users", "user_id"), ("users", "signup")}


@pytest.mark.parametrize(
    ("text", "beside"),
    [
        ("PREDICT COUNT(orders.*, 0, 30) FOR EACH users.user_id", set()),
        ("PREDICT SUM(orders.price, 0, 30) FOR EACH users.user_id", {("orders", "price")}),
        (
            """PREDICT SUM(orders.price WHERE orders.status = 'paid', 0, 30) > 5 FOR EACH users.user_id
            WHERE COUNT(notif.*, -9, 0) > 0 AND users.age > 3
            ASSUMING COUNT(orders.* WHERE orders.paid = TRUE, 0, 9) > 0""",
            {("orders", c) for c in ("price", "status", "paid")}
            | {("users", "age"), ("notif", "user_id"), ("notif", "ts")},
        ),
        (
            "PREDICT LIST_DISTINCT(orders.item_id, 0, 30) RANK TOP 3 FOR EACH users.user_id",
            {("orders", "item_id"), ("items", "item_id")},
        ),
    ],
    ids=["count", "sum", "filters", "ranking"],
)  # fmt: skip
def test_a_question_uses_its_columns_and_those_on_the_way(text: str, beside: set[tuple[str, str]]):
    assert uses_of_query(language.query(text, SHOP_GRAPH), SHOP_GRAPH) == ORDERS | beside


def test_a_parents_column_uses_the_link_to_it():
    query = language.query("PREDICT SUM(orders.price WHERE items.cat = 'x', 0, 30) FOR EACH users.user_id", SHOP_GRAPH)
    items = {("items", "cat"), ("orders", "item_id"), ("items", "item_id"), ("orders", "price")}
    assert uses_of_query(query, SHOP_GRAPH) == ORDERS | items


def test_features_add_what_they_read():
    query = language.query("PREDICT COUNT(orders.*, 0, 30) FOR EACH users.user_id", SHOP_GRAPH)
    features = [language.feature(text, SHOP_GRAPH, "users") for text in FEATURES]
    expected = {("users", "age"), ("users", "region_id"), ("regions", "region_id"), ("regions", "pop"),
                ("orders", "item_id"), ("items", "item_id"), ("items", "cat"), ("notif", "ts"),
                ("notif", "user_id")}  # fmt: skip
    assert uses_of_query(query, SHOP_GRAPH, features) == ORDERS | expected


FEATURES = [
    "users.age",
    "regions.pop",
    "MODE(orders.item_id, -30, 0)",
    "COUNT(notif.*, -3, 0) > 2",
    "COUNT(orders.* WHERE items.cat = 'x', -3, 0)",
]


def test_of_two_links_only_the_one_taken_is_used():
    query = language.query("PREDICT COUNT(letters.* VIA letters.to_id, 0, 30) FOR EACH people.pid", POST_GRAPH)
    found = uses_of_query(query, POST_GRAPH)
    assert ("letters", "to_id") in found
    assert ("letters", "from_id") not in found


def test_nothing_uses_nothing():
    assert uses_of(None, SHOP_GRAPH) == frozenset()


# ---------------------------------------------------------------- the law: what is not used does not matter

ASKED = [
    "PREDICT COUNT(orders.*, 0, 30) FOR EACH users.user_id",
    "PREDICT SUM(orders.amount WHERE orders.state = 'paid', 0, 30) FOR EACH users.user_id WHERE users.city = 'Oslo'",
    "PREDICT AVG(orders.amount WHERE items.sort = 'sort 1', 0, 60) FOR EACH users.user_id",
    "PREDICT LIST_DISTINCT(orders.item_id, 0, 30) RANK TOP 2 FOR EACH users.user_id",
]


@pytest.mark.parametrize("text", ASKED)
def test_a_column_that_is_not_used_may_say_anything(text: str):
    tables = shop(20, 120)
    db = ps.connect(tables)
    at = START + 60 * DAY
    expected = db.labels(text, at=at).to_pylist()
    used = uses_of_query(db.query(text), db.graph)
    assert used < {(table, column) for table in tables for column in tables[table].column_names}
    emptied = {
        name: pa.table(
            {c: rows[c] if (name, c) in used else pa.nulls(rows.num_rows, rows[c].type) for c in rows.column_names}
        )
        for name, rows in tables.items()
    }
    source = lake.open_source(emptied)
    without = Database(source, lake.describe(source), db.graph, db.settings)
    assert without.labels(text, at=at).to_pylist() == expected


@pytest.mark.parametrize("text", ASKED[:3])  # what is ranked matters to the ranking, not to its labels
def test_a_column_that_is_used_cannot_be_missed(text: str):
    from penstock.errors import PenstockError

    tables = shop(20, 120)
    db = ps.connect(tables)
    expected = db.labels(text, at=START + 60 * DAY).to_pylist()
    for table, column in uses_of_query(db.query(text), db.graph):
        less = ps.connect({**tables, table: tables[table].drop_columns([column])})
        with pytest.raises(PenstockError):
            assert less.labels(text, at=START + 60 * DAY).to_pylist() != expected
            raise PenstockError("OTHER", "other labels")
