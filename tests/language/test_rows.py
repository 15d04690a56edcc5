"""Windows of rows, and the gaps between rows: read, printed, bound, and refused where they mean nothing."""

from __future__ import annotations

import pytest

from penstock import language
from penstock.errors import QueryError
from penstock.features.phrases import phrase
from penstock.plan import Aggregate
from penstock.window import Lookahead, Lookback, Unit
from tests.language.shop import SHOP_GRAPH, code

SPELLED = {
    "AVG(orders.price, -5, 0, rows)": "average price of the last 5 orders",
    "COUNT(orders.*, -5, 0, rows)": "number of the last 5 orders",
    "SUM(orders.price, -1, 0, rows)": "sum of price of the last row of orders",
    "MAX(orders.price WHERE orders.status = 'ok', -6, -3, rows)": (
        "largest price of the 3 orders with status ok before the last 3"
    ),
    "LAST_N(orders.status, 2, -10, 0, rows)": "second last status of the last 10 orders",
    "TIME_SINCE(orders.*, -3, 0, rows)": "days since the last of the last 3 orders",
    "GAP(orders.*, -30, 0, days)": "days between orders in the last 30 days",
    "GAP(orders.price, -5, 0, rows)": "days between the last 5 orders with price",
}  # fmt: skip


@pytest.mark.parametrize(("text", "words"), SPELLED.items())
def test_a_feature_over_rows_prints_itself_and_is_told_in_words(text: str, words: str) -> None:
    bound = language.feature(text, SHOP_GRAPH, "users")
    assert str(bound) == text
    assert language.feature(str(bound), SHOP_GRAPH, "users") == bound
    assert language.feature(bound, SHOP_GRAPH, "users") == bound
    assert phrase(bound) == words


def test_a_window_of_rows_looks_back_by_their_number() -> None:
    bound = language.feature("avg(orders.price, -5, 0, row)", SHOP_GRAPH, "users")
    assert isinstance(bound, Aggregate)
    assert bound.window == Lookback(-5, 0, Unit.ROWS)
    assert bound.window is not None and bound.window.microseconds is None and bound.window.length == 5


@pytest.mark.parametrize("unit", ["rows", "row", "ROWS"])
def test_where_may_count_rows(unit: str) -> None:
    query = f"PREDICT COUNT(orders.*, 0, 7) FOR EACH users.user_id WHERE AVG(orders.price, -5, 0, {unit}) > 3"
    assert "AVG(orders.price, -5, 0, rows) > 3" in language.query(query, SHOP_GRAPH).canonical
    assert code(query) == "OK"
    assert code(query, "kumo") == "PQL_PARSE_SYNTAX"


def test_whose_rows_are_asked_about_may_follow_from_rows() -> None:
    text = "COUNT(orders.*, -30, 0, days) OF MODE(orders.item_id, -5, 0, rows)"
    assert str(language.feature(text, SHOP_GRAPH, "users")) == text


@pytest.mark.parametrize("window", ["-INF, 0", "0, 5", "-5, 5"])
def test_rows_are_counted_back_and_all_of_them_need_no_counting(window: str) -> None:
    with pytest.raises(QueryError, match="PQL_PARSE_SYNTAX: rows are counted back from the moment, a number of them"):
        language.feature(f"AVG(orders.price, {window}, rows)", SHOP_GRAPH, "users")


@pytest.mark.parametrize(
    ("query", "clause"),
    [
        ("PREDICT COUNT(orders.*, -5, 0, rows) FOR EACH users.user_id", "the target"),
        ("PREDICT COUNT(orders.*, 0, 7) > COUNT(orders.*, -5, 0, rows) FOR EACH users.user_id", "the target"),
        ("PREDICT COUNT(orders.*, 0, 7) FOR EACH users.user_id ASSUMING COUNT(orders.*, -5, 0, rows) > 1", "ASSUMING"),
    ],
)
def test_what_lies_ahead_counts_no_rows(query: str, clause: str) -> None:
    with pytest.raises(QueryError, match=f"PQL_TIME_ROWS_NOT_ALLOWED: {clause} is about a span of time"):
        language.query(query, SHOP_GRAPH)


def test_a_gap_is_not_predicted_and_needs_a_time() -> None:
    with pytest.raises(QueryError, match="PQL_TARGET_FEATURE_ONLY_AGGREGATE: GAP describes the past"):
        language.query("PREDICT GAP(orders.*, 0, 7) FOR EACH users.user_id", SHOP_GRAPH)
    with pytest.raises(QueryError, match=r"PQL_TIME_AGGREGATION_NEEDS_RANGE: GAP\(users.\*\) has no window"):
        language.feature("GAP(users.*)", SHOP_GRAPH, "regions")


def test_windows_of_rows_that_cannot_be_are_refused_by_their_type() -> None:
    with pytest.raises(ValueError, match="a window of rows says how many"):
        Lookback(None, 0, Unit.ROWS)
    with pytest.raises(ValueError, match="the future has no rows that could be counted"):
        Lookahead(0, 5, Unit.ROWS)
