"""Windows of rows, one example of each rule; the random laws hold for them too."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from penstock.expression import Compare, Constant
from penstock.plan import Aggregate, Field
from penstock.schema import Dtype, Kind
from penstock.window import Lookback, Unit
from tests import strategies as make
from tests.engine.test_oracle import ORDERS_OF_USERS, agree, ask, at_days, plain, shop, swept

PRICE = Field("orders", "price", Dtype.FLOAT, Kind.NUMERICAL)
LAST_TWO = Lookback(-2, 0, Unit.ROWS)
BEFORE = Lookback(-3, -1, Unit.ROWS)


def orders(*rows: dict[str, Any], **clocks: Any) -> make.MemoryRows:
    """One user's orders, which say their day and what is different about them; ids follow the days."""
    database = shop(**clocks)
    first = database.rows["orders"][0]
    made = []
    for number, row in enumerate(rows):
        at = row.pop("day") * make.DAY
        made.append(first | {"order_id": number, "at": at, "known": at, "price": float(number + 1)} | row)
    return replace(database, rows={**database.rows, "orders": made})


def over(function: str, window: Lookback, where: Any = None, n: int | None = None) -> Aggregate:
    """An aggregate of the prices in a window of rows."""
    return Aggregate(function, replace(ORDERS_OF_USERS, where=where), PRICE, window, n)


def test_the_last_rows_are_those_there_are() -> None:
    rows = orders({"day": 1}, {"day": 2}, {"day": 40})
    assert at_days(rows, over("SUM", LAST_TWO), 0, 1, 2, 39, 40) == [0, 1, 3, 3, 5]
    assert at_days(rows, over("SUM", BEFORE), 0, 1, 2, 39, 40) == [0, 0, 1, 1, 3]
    assert at_days(rows, over("AVG", BEFORE), 1, 40) == [None, 1.5]


def test_a_row_without_a_value_is_one_of_the_rows() -> None:
    rows = orders({"day": 1}, {"day": 2}, {"day": 3, "price": None})
    assert at_days(rows, over("AVG", LAST_TWO), 3) == [2.0]
    assert at_days(rows, over("COUNT", LAST_TWO), 3) == [1]
    assert at_days(rows, over("LAST_N", LAST_TWO, n=2), 3) == [None]


def test_rows_are_counted_after_the_filter() -> None:
    rows = orders({"day": 1, "price": 9.0}, {"day": 2}, {"day": 3, "price": 8.0}, {"day": 4}, {"day": 5})
    dear = Compare(">", PRICE, Constant(7.0))
    assert at_days(rows, over("SUM", LAST_TWO, dear), 1, 2, 5) == [9, 9, 17]
    spine = [(0, 5 * make.DAY)]
    both = [over("SUM", LAST_TWO, dear), over("SUM", LAST_TWO), over("GAP", LAST_TWO, dear)]
    agree(rows, spine, both)
    assert [plain(column[0].as_py()) for column in ask(rows, spine, swept(*both)).columns] == [17.0, 9.0, 2.0]


def test_rows_of_one_instant_go_by_key() -> None:
    rows = orders({"day": 1, "order_id": 7}, {"day": 1, "order_id": 5}, {"day": 1, "order_id": 6})
    assert at_days(rows, over("FIRST", LAST_TWO), 1) == [3.0]
    assert at_days(rows, over("LAST", Lookback(-1, 0, Unit.ROWS)), 1) == [1.0]


def test_a_late_row_takes_its_place_among_the_rows_when_it_is_known() -> None:
    rows = orders({"day": 1}, {"day": 2, "known": 9 * make.DAY}, {"day": 3},
                  orders={"happened": "at", "known": "known"})  # fmt: skip
    assert at_days(rows, over("SUM", LAST_TWO), 3, 8, 9) == [4, 4, 5]


def test_a_deleted_row_leaves_its_place_to_an_earlier_one() -> None:
    clocks = {"happened": "at", "known": "known", "deleted": "gone"}
    rows = orders({"day": 1}, {"day": 2}, {"day": 3}, orders=clocks)
    gone = dict(rows.rows["orders"][2]) | {"known": 6 * make.DAY, "gone": True}
    rows = replace(rows, rows={**rows.rows, "orders": [*rows.rows["orders"], gone]})
    assert at_days(rows, over("SUM", LAST_TWO), 3, 5, 6) == [5, 5, 3]


def test_the_gap_is_the_mean_time_between_rows_in_days() -> None:
    rows = orders({"day": 1}, {"day": 2}, {"day": 4, "price": None}, {"day": 10})
    every = Aggregate("GAP", ORDERS_OF_USERS, None, Lookback(None, 0))
    assert at_days(rows, every, 1, 2, 4, 10) == [None, 1.0, 1.5, 3.0]
    assert at_days(rows, over("GAP", Lookback(None, 0)), 4, 10) == [1.0, 4.5]
    assert at_days(rows, Aggregate("GAP", ORDERS_OF_USERS, None, LAST_TWO), 4, 10) == [2.0, 6.0]
    assert at_days(rows, Aggregate("GAP", ORDERS_OF_USERS, None, Lookback(-5, 0)), 10) == [None]


def test_the_age_of_the_last_of_some_rows_is_told_in_days() -> None:
    rows = orders({"day": 1}, {"day": 4})
    assert at_days(rows, over("TIME_SINCE", LAST_TWO), 6) == [2.0]
    assert at_days(rows, over("TIME_SINCE", Lookback(-2, -1, Unit.ROWS)), 6) == [5.0]
