"""What the random laws do not reach: filters about filters, unrolled forecasts, patterns, odd names and types."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

import penstock as ps
from penstock.database import Database

DAY = dt.timedelta(days=1)
START = dt.datetime(2024, 1, 1)  # noqa: DTZ001  instants without a zone are UTC


def days(*numbers: float) -> list[dt.datetime]:
    """Instants so many days after the start."""
    return [START + n * DAY for n in numbers]


@pytest.fixture
def db() -> Database:
    """Two customers, orders, and their returns; names that need quoting."""
    return ps.connect(
        {
            "customers": pa.table({"customer id": [1, 2], "since": days(0, 8)}),
            "orders": pa.table(
                {
                    "order_id": [10, 11, 12, 13],
                    "customer id": [1, 1, 2, 1],
                    "at": days(1, 4, 9, 20),
                    "say \"what\"": ["red 1%", "blue", None, "dark red"],
                    "amount": [1.5, float("nan"), float("inf"), 4.0],
                }
            ),
            "returns": pa.table({"return_id": [1, 2], "order_id": [10, 13], "at": days(2, 21)}),
        }
    )  # fmt: skip


def feature(db: Database, text: str, *cutoffs: float) -> list[object]:
    """A feature of customer 1 at these days."""
    spine = {"entity": [1] * len(cutoffs), "cutoff": days(*cutoffs)}
    found: list[object] = db.features([text], spine, entity="customers")[2].to_pylist()
    return found


def test_a_filter_may_ask_about_each_row_at_its_own_time(db: Database) -> None:
    db.link("orders.customer id", "customers")
    returned = "COUNT(orders.* WHERE COUNT(returns.*, -INF, 0) > 0, -INF, 0)"
    assert feature(db, returned, 30) == [0.0]  # a return comes after its order, never before


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("CONTAINS 'red'", 2),
        ("NOT CONTAINS 'red'", 1),
        ("STARTS WITH 'red'", 1),
        ("ENDS WITH 'red'", 1),
        ("LIKE '%red'", 1),
        ("IS NULL", 0),
    ],
)
def test_patterns_match_as_they_say(db: Database, condition: str, expected: int) -> None:
    text = f'COUNT(orders.* WHERE orders.`say "what"` {condition}, -INF, 0, days)'
    assert feature(db, text, 30) == [expected]


def test_numbers_that_are_not_finite_are_null(db: Database) -> None:
    assert feature(db, "SUM(orders.amount, -INF, 0, days)", 30) == [5.5]
    assert feature(db, "COUNT(orders.amount, -INF, 0, days)", 30) == [2]
    assert feature(db, "MAX(orders.amount, -INF, 0, days)", 0.5, 30) == [None, 4.0]


def test_a_division_by_zero_is_null(db: Database) -> None:
    text = "COUNT(orders.*, -3, 0, days) / COUNT(orders.*, -INF, 0, days)"
    assert feature(db, text, 0, 1, 4) == [None, 1.0, 0.5]


def test_a_forecast_has_a_row_a_step_and_an_entity_only_from_its_own_time_on(db: Database) -> None:
    query = "PREDICT COUNT(orders.*, 0, 7, days) FORECAST 3 TIMEFRAMES FOR EACH customers.`customer id`"
    found = db.labels(query, at=days(0)).to_pylist()
    assert [(row["entity"], row["step"], row["target"]) for row in found] == [(1, 1, 2), (1, 2, 0), (1, 3, 1)]


def test_rows_without_a_time_take_that_of_the_rows_they_belong_to(db: Database) -> None:
    lines = {"line_id": [1, 2, 3], "order_id": [10, 11, 13], "quantity": [1, 2, 4]}
    orders = db.relational.rows.read("orders", ["order_id", "customer id", "at"])
    shop = ps.connect({"customers": pa.table({"customer id": [1, 2]}), "orders": orders, "lines": pa.table(lines)})
    assert feature(shop, "SUM(lines.quantity, -10, 0, days)", 0, 5, 12, 29) == [0, 3, 2, 4]
    query = "PREDICT SUM(lines.quantity, 0, 10, days) FOR EACH customers.`customer id`"
    assert shop.labels(query, at=days(0))["target"].to_pylist() == [3, 0]
    with pytest.raises(ps.errors.QueryError, match="lines has no time"):
        shop.query(query, dialect="kumo")


def test_entities_that_do_not_exist_have_no_past(db: Database) -> None:
    spine = {"entity": [99, None], "cutoff": days(30, 30)}
    with pytest.raises(ps.errors.PenstockError, match="1 rows of the spine have no entity"):
        db.features(["COUNT(orders.*, -INF, 0, days)"], spine, entity="customers")
    spine = {"entity": [99], "cutoff": days(30)}
    found = db.features(
        ["COUNT(orders.*, -INF, 0, days)", "AVG(orders.amount, -INF, 0, days)"], spine, entity="customers"
    )
    assert found.to_pylist()[0]["COUNT(orders.*, -INF, 0, days)"] == 0
    assert found.to_pylist()[0]["AVG(orders.amount, -INF, 0, days)"] is None


def test_the_rows_order_and_other_columns_of_a_spine_stay(db: Database) -> None:
    spine = pa.table({"note": ["x", "y", "z"], "entity": [2, 1, 2], "cutoff": days(30, 3, 30)})
    found = db.features(["COUNT(orders.*, -INF, 0, days)"], spine, entity="customers")
    assert found["note"].to_pylist() == ["x", "y", "z"]
    assert found[3].to_pylist() == [1, 1, 1]
