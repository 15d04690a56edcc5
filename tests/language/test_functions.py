"""Functions of several expressions: read, printed, bound, typed, and refused where they mean nothing."""

from __future__ import annotations

import pytest

from penstock import language
from penstock.errors import QueryError
from penstock.expression import Call
from penstock.features.phrases import phrase
from penstock.language.scope import Scope
from penstock.language.typed import label
from penstock.schema import Dtype, Kind
from tests.language.shop import SHOP_GRAPH, code

MONTHS = "COUNT(orders.*, -30, 0, days), COUNT(orders.*, -60, -30, days), COUNT(orders.*, -90, -60, days)"
QUIET = "COUNT(orders.*, -30, 0, days) = 0, COUNT(orders.*, -60, -30, days) = 0, COUNT(orders.*, -90, -60, days) = 0"
SPELLED = {
    f"MEAN_OF({MONTHS})": "mean of orders over 3 windows of 30 days",
    f"SPREAD_OF({MONTHS})": "spread of orders over 3 windows of 30 days",
    f"STREAK_OF({QUIET})": "how often in a row orders is 0 over 3 windows of 30 days",
    f"FIRST_OF({QUIET})": "how many windows back orders is 0 over 3 windows of 30 days",
    "PAIR(LAST_N(orders.status, 2, -5, 0, rows), LAST_N(orders.status, 1, -5, 0, rows))": (
        "latest step in status of the last 5 orders"
    ),
    f"COUNT(orders.*, -30, 0, days) / MEAN_OF({MONTHS})": (
        "orders in the last 30 days relative to mean of orders over 3 windows of 30 days"
    ),
    "MEAN_OF(COUNT(orders.*, -7, 0, days), COUNT(orders.*, -30, 0, days))": "mean of orders over 2 windows",
    "SPREAD_OF(users.age, COUNT(orders.*, -7, 0, days), 3)": "spread of age and 2 more",
}


@pytest.mark.parametrize(("text", "words"), SPELLED.items())
def test_a_function_prints_itself_and_is_told_in_words(text: str, words: str) -> None:
    bound = language.feature(text, SHOP_GRAPH, "users")
    assert str(bound) == text
    assert language.feature(str(bound), SHOP_GRAPH, "users") == bound
    assert language.feature(bound, SHOP_GRAPH, "users") == bound
    assert phrase(bound) == words


@pytest.mark.parametrize(
    ("text", "dtype", "kind"),
    [
        (f"MEAN_OF({MONTHS})", Dtype.FLOAT, Kind.NUMERICAL),
        (f"MEAN_OF({QUIET})", Dtype.FLOAT, Kind.NUMERICAL),
        (f"STREAK_OF({QUIET})", Dtype.INT, Kind.NUMERICAL),
        ("PAIR(users.country, LAST(orders.status, -INF, 0))", Dtype.STRING, Kind.CATEGORICAL),
    ],
)
def test_what_a_function_gives_is_known(text: str, dtype: Dtype, kind: Kind) -> None:
    bound = language.feature(text, SHOP_GRAPH, "users")
    assert isinstance(bound, Call)
    assert label(Scope(SHOP_GRAPH, text), bound) == (dtype, kind)


def test_the_past_of_a_target_makes_a_history() -> None:
    query = language.query("PREDICT COUNT(orders.*, 0, 30) = 0 FOR EACH users.user_id", SHOP_GRAPH)
    lags = [past for k in (1, 2, 3) if (past := query.past(k)) is not None]
    made = Call("STREAK_OF", tuple(lags))
    assert str(made) == f"STREAK_OF({QUIET})"
    assert language.feature(str(made), SHOP_GRAPH, "users") == made


def test_where_and_row_filters_may_use_functions() -> None:
    each = "PREDICT COUNT(orders.*, 0, 7) FOR EACH users.user_id WHERE"
    for condition in (
        f"MEAN_OF({MONTHS}) > 1",
        "COUNT(orders.* WHERE MEAN_OF(orders.price, users.age) > 3, -9, 0) > 1",
    ):
        assert code(f"{each} {condition}") == "OK"
        assert code(f"{each} {condition}", "kumo") == "PQL_PARSE_SYNTAX"


@pytest.mark.parametrize(
    "query",
    [
        "PREDICT MEAN_OF(COUNT(orders.*, 0, 5), COUNT(orders.*, 5, 10)) FOR EACH users.user_id",
        "PREDICT COUNT(orders.* WHERE MEAN_OF(orders.price, users.age) > 3, 0, 7) FOR EACH users.user_id",
        "PREDICT COUNT(orders.*, 0, 7) FOR EACH users.user_id ASSUMING MEAN_OF(COUNT(orders.*, 0, 5), users.age) > 1",
    ],
)
def test_what_lies_ahead_uses_no_function(query: str) -> None:
    with pytest.raises(QueryError, match="PQL_TARGET_FEATURE_ONLY_FUNCTION: MEAN_OF describes the past"):
        language.query(query, SHOP_GRAPH)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("MEAN_OF(users.age)", "PQL_PARSE_SYNTAX: MEAN_OF takes two expressions or more, not 1"),
        ("PAIR(users.age, users.age, users.age)", "PQL_PARSE_SYNTAX: PAIR takes two expressions, not 3"),
        ("MEAN_OF(users.age; 3)", "PQL_PARSE_SYNTAX: expected '\\)', found ';'"),
        (
            "MEAN_OF(users.age, users.country)",
            "PQL_TYPE_FUNCTION_OPERAND: MEAN_OF works on numbers and conditions, and users.country is a text",
        ),
        (
            "STREAK_OF(users.age, users.country)",
            "PQL_TYPE_FUNCTION_OPERAND: STREAK_OF works on values of one type \\(the first is a number\\), and users.c",
        ),
        (
            "PAIR(users.country, LIST_DISTINCT(orders.status, -9, 0))",
            "PQL_TYPE_FUNCTION_OPERAND: PAIR works on single values, and LIST_DISTINCT",
        ),
        ("MEAN_OF(users.age, NULL)", "PQL_TYPE_NULL_COMPARISON: NULL says nothing"),
        (
            "MEAN_OF(COUNT(orders.*, 0, 30), users.age)",
            "PQL_TIME_FUTURE_NOT_ALLOWED: a feature looks back, and COUNT\\(orders.\\*, 0, 30, days\\) looks ahead",
        ),
        (
            "FIRST_OF(users.age > 3, NOT COUNT(orders.*, 0, 30) = 1)",
            "PQL_TIME_FUTURE_NOT_ALLOWED: a feature looks back",
        ),
    ],
)
def test_what_a_function_cannot_work_on_is_refused(text: str, message: str) -> None:
    with pytest.raises(QueryError, match=message):
        language.feature(text, SHOP_GRAPH, "users")
