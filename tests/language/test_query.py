"""A checked query knows its task, its windows and its past, and means the same however it is spelled."""

from __future__ import annotations

import datetime as dt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock import language, plan
from penstock.errors import QueryError
from penstock.expression import Compare, Constant, Match
from penstock.language import Query, Task
from penstock.plan import Aggregate, Field
from penstock.schema import Dtype, Kind
from penstock.window import Lookahead, Lookback, Unit
from tests.language.shop import POST_GRAPH, SHOP_GRAPH

EACH = "FOR EACH users.user_id"
CLOCKS = [unit for unit in Unit if unit is not Unit.ROWS]


def ask(target: str, rest: str = "") -> Query:
    return language.query(f"PREDICT {target} {EACH} {rest}", SHOP_GRAPH)


@pytest.mark.parametrize(
    ("target", "task"),
    [
        ("COUNT(orders.*, 0, 30) = 0", Task.BINARY),
        ("NOT COUNT(orders.*, 0, 30) = 0", Task.BINARY),
        ("LAST(orders.status, 0, 30) IN ('a', 'b')", Task.BINARY),
        ("LAST(orders.paid, 0, 30)", Task.BINARY),
        ("users.vip", Task.BINARY),
        ("users.age > 40", Task.BINARY),
        ("COUNT(orders.*, 0, 30)", Task.REGRESSION),
        ("COUNT_DISTINCT(orders.status, 0, 30)", Task.REGRESSION),
        ("AVG(orders.price, 0, 30)", Task.REGRESSION),
        ("SUM(orders.price, 0, 30) / COUNT(orders.*, 0, 30)", Task.REGRESSION),
        ("LAST(orders.price, 0, 30)", Task.REGRESSION),
        ("users.age", Task.REGRESSION),
        ("regions.pop", Task.REGRESSION),
        ("LAST(orders.status, 0, 30)", Task.MULTICLASS),
        ("users.country", Task.MULTICLASS),
        ("users.region_id", Task.MULTICLASS),
        ("LIST_DISTINCT(orders.item_id, 0, 30)", Task.RANKING),
        ("LIST_DISTINCT(orders.item_id, 0, 30) RANK TOP 5", Task.RANKING),
        ("LIST_DISTINCT(orders.item_id, 0, 30) CLASSIFY", Task.MULTILABEL),
        ("LIST_DISTINCT(orders.status, 0, 30) CLASSIFY", Task.MULTILABEL),
        ("SUM(orders.price, 0, 1) FORECAST 3 TIMEFRAMES", Task.FORECASTING),
    ],
)
def test_the_task_follows_from_the_target(target: str, task: Task) -> None:
    assert ask(target).task is task


def test_a_list_valued_column_is_several_labels_or_a_ranking() -> None:
    tags = "PREDICT orders.tags {} FOR EACH orders.order_id"
    assert language.query(tags.format("CLASSIFY"), SHOP_GRAPH).task is Task.MULTILABEL
    assert language.query(tags.format("RANK TOP 3"), SHOP_GRAPH).task is Task.RANKING


def test_the_label_says_what_the_target_holds() -> None:
    assert ask("COUNT(orders.*, 0, 30)").label == (Dtype.INT, Kind.NUMERICAL)
    assert ask("users.country").label == (Dtype.STRING, Kind.CATEGORICAL)
    assert ask("LIST_DISTINCT(orders.item_id, 0, 30)").label == (Dtype.LIST, Kind.MULTICATEGORICAL)


@pytest.mark.parametrize(
    ("target", "horizon"),
    [
        ("COUNT(orders.*, 7, 14)", Lookahead(7, 14)),
        ("COUNT(orders.*, 0, 7) > 0 AND COUNT(notif.*, 3, 30) > 0", Lookahead(0, 30)),
        ("COUNT(orders.*, 0, 2, weeks) > 0 AND COUNT(notif.*, 0, 3) > 0", Lookahead(0, 14)),
        ("COUNT(orders.*, 0, 1, months) > 0 AND COUNT(notif.*, 0, 3) > 0", Lookahead(0, 31)),
        ("COUNT(orders.*, 0, 1, weeks) > 0 AND COUNT(notif.*, 0, 1, months) > 0", Lookahead(0, 31)),
        ("COUNT(orders.*, 1, 2) > 0 AND COUNT(notif.*, 0, 90, minutes) > 0", Lookahead(0, 2880, Unit.MINUTES)),
        ("SUM(orders.price, 0, 7) FORECAST 4 TIMEFRAMES", Lookahead(0, 28)),
        ("SUM(orders.price, 7, 14) FORECAST 2 TIMEFRAMES", Lookahead(7, 21)),
    ],
)
def test_the_horizon_reaches_from_the_earliest_start_to_the_farthest_end(target: str, horizon: Lookahead) -> None:
    assert ask(target).horizon == horizon


def test_the_horizon_includes_what_row_filters_look_ahead() -> None:
    text = "PREDICT COUNT(letters.* VIA letters.to_id WHERE COUNT(stamps.*, 0, 5) > 0, 0, 30) FOR EACH people.pid"
    query = language.query(text, POST_GRAPH)
    assert query.horizon == Lookahead(0, 35)
    assert [a.window for a in plan.aggregates(query.past(1))] == [Lookback(-35, -5)]


def test_a_static_target_has_no_horizon_and_no_past() -> None:
    query = ask("users.age > 40")
    assert query.static and query.horizon is None and query.horizon_microseconds is None and query.past(1) is None


@given(st.integers(0, 50), st.integers(1, 50), st.integers(1, 5), st.sampled_from(CLOCKS))
def test_the_past_is_the_target_moved_back_and_never_looks_ahead(start: int, length: int, k: int, unit: Unit) -> None:
    query = ask(f"SUM(orders.price, {start}, {start + length}, {unit}) > COUNT(notif.*, 0, 3, days)")
    assert query.period is not None
    for was, now in zip(plan.aggregates(query.past(k)), plan.aggregates(query.target), strict=True):
        assert isinstance(was.window, Lookback) and isinstance(now.window, Lookahead)
        assert was.window.length == now.window.length
        cutoff = np.array([dt.datetime(2024, 3, 31)], "datetime64[us]").astype(np.int64)  # noqa: DTZ001
        assert was.window.bounds(cutoff)[1] <= cutoff


def test_the_steps_of_a_forecast_follow_one_another() -> None:
    query = ask("SUM(orders.price, 0, 2, weeks) - COUNT(orders.*, 0, 1, weeks) FORECAST 3 TIMEFRAMES")
    assert str(query.ahead(2)) == "SUM(orders.price, 4, 6, weeks) - COUNT(orders.*, 4, 5, weeks)"


def test_days_are_compared_as_their_first_instant() -> None:
    where = ask("COUNT(orders.*, 0, 7)", "WHERE users.signup > 2024-01-31").where
    assert isinstance(where, Compare) and where.right == Constant(dt.datetime(2024, 1, 31))  # noqa: DTZ001


def test_a_number_in_quotes_is_looked_for_as_a_number_in_a_list_of_numbers() -> None:
    where = ask("COUNT(orders.*, 0, 7)", "WHERE LIST_DISTINCT(orders.item_id, -30, 0) CONTAINS '5'").where
    assert isinstance(where, Match) and where.value == Constant(5)


def test_the_items_of_a_ranking_are_those_the_listed_column_points_to() -> None:
    items = ask("LIST_DISTINCT(orders.item_id, 0, 30) RANK TOP 5").items
    assert items is not None and items.to == "items"
    assert ask("LIST_DISTINCT(orders.status, 0, 30) CLASSIFY").items is None


def test_queries_that_mean_the_same_have_one_fingerprint() -> None:
    one = language.query("predict count(ORDERS.*, 0, 30, day) = 0 for  each Users.USER_ID;", SHOP_GRAPH)
    two = language.query("PREDICT COUNT(orders.*, 0, 30) = 0 FOR EACH users.user_id", SHOP_GRAPH)
    other = language.query("PREDICT COUNT(orders.*, 0, 31) = 0 FOR EACH users.user_id", SHOP_GRAPH)
    assert one.fingerprint == two.fingerprint != other.fingerprint
    assert one.plan().fingerprint == two.plan().fingerprint != other.plan().fingerprint


def test_constants_print_as_they_were_written_and_mean_what_they_are_worth() -> None:
    one = ask('COUNT(orders.* WHERE orders.status = "a" AND orders.price IN (0.50, 1e1) AND orders.paid = true, 0, 7)')
    two = ask("COUNT(orders.* WHERE orders.status = 'a' AND orders.price IN (0.5, 10.0) AND orders.paid = TRUE, 0, 7)")
    assert one.tree == two.tree and one.fingerprint == two.fingerprint
    assert one.canonical != two.canonical and '"a"' in one.canonical and "0.50, 1e1" in one.canonical
    assert str(one.target) == str(two.target)


def test_named_entities_and_the_time_to_ask_at_are_plain_values() -> None:
    text = "PREDICT COUNT(orders.*, 0, 30) FOR users.user_id IN (3, 5) AS OF 2024-01-31 12:00:00"
    query = language.query(text, SHOP_GRAPH)
    assert query.ids == (3, 5) and query.as_of == 1_706_702_400_000_000


def test_columns_are_reached_along_links_and_aggregates_flow_along_them() -> None:
    query = ask("COUNT(orders.* WHERE items.cat = 'x', 0, 7)", "WHERE regions.pop > 3")
    field = next(node for node in query.where.walk() if isinstance(node, Field)) if query.where else None
    assert field is not None and [str(hop) for hop in field.hops] == ["users.region_id"]
    target = query.target
    assert isinstance(target, Aggregate) and [str(hop) for hop in target.stream.hops] == ["orders.user_id"]


def test_a_one_to_one_table_is_reached_both_ways() -> None:
    target = language.query("PREDICT profiles.score FOR EACH people.pid", POST_GRAPH).target
    assert isinstance(target, Field) and [(h.table, h.column, h.to) for h in target.hops] == [
        ("people", "pid", "profiles")
    ]
    text = "PREDICT people.age FOR EACH profiles.pid"
    assert language.query(text, POST_GRAPH).task is Task.REGRESSION


def test_a_table_that_points_to_itself_is_a_stream_of_its_own_rows() -> None:
    target = language.query("PREDICT COUNT(staff.*, 0, 30) FOR EACH staff.sid", POST_GRAPH).target
    assert isinstance(target, Aggregate) and [str(hop) for hop in target.stream.hops] == ["staff.boss"]


@pytest.mark.parametrize("text", ["5.0", "1_0", "nan", "", "9" * 30, "٣"])
def test_a_text_that_is_no_whole_number_cannot_be_in_a_list_of_them(text: str) -> None:
    with pytest.raises(QueryError, match="PQL_TYPE_CONSTANT_MISMATCH"):
        ask("COUNT(orders.*, 0, 7)", f"WHERE LIST_DISTINCT(orders.item_id, -30, 0) CONTAINS '{text}'")
