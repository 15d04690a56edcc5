"""What is printed parses to what was printed, and no text gives anything but a tree or an error of ours."""

from __future__ import annotations

import random

from hypothesis import example, given
from hypothesis import strategies as st

from penstock import language
from penstock.errors import PenstockError
from penstock.expression import Expr
from penstock.language.tree import Predict
from tests.language.probes import draw
from tests.language.shop import NAMED, SHOP, SHOP_GRAPH
from tests.language.trees import conditions, queries

WORDS = """
PREDICT FOR EACH WHERE ASSUMING AND OR NOT IN IS NULL LIKE CONTAINS RANK TOP CLASSIFY FORECAST TIMEFRAMES AS OF VIA
GAP( MEAN_OF( PAIR(
COUNT( SUM( LAST_N( LIST_DISTINCT( users.age orders.* orders.price users.user_id churn MONTH(CUTOFF) days rows -INF true
( ) , = < >= != - + * / ; 0 30 -30 2.5 1e9 'x' " ' ` 2024-01-31 10:00:00 # \\ é .
"""
PIECES = (*WORDS.split(), "FOR EACH", "\n")


@given(queries)
def test_a_printed_query_parses_to_the_same_tree(tree: Predict) -> None:
    assert language.parse(str(tree)) == tree
    assert str(language.parse(str(tree))) == str(tree)


@given(conditions)
def test_a_printed_expression_parses_to_the_same_tree(tree: Expr) -> None:
    assert language.parse_expression(str(tree)) == tree


@given(queries)
def test_every_node_lies_where_its_span_says(tree: Predict) -> None:
    text = str(tree)
    parsed = language.parse(text)
    for expression in parsed.expressions:
        for node in expression.walk():
            if node.span is not None:
                assert 0 <= node.span.start < node.span.end <= len(text)


def answer(text: str) -> None:
    """Nothing but a query or a PenstockError, whose rendering works."""
    for dialect in (None, "kumo"):
        try:
            query = language.query(text, SHOP_GRAPH, dialect, NAMED)
        except PenstockError as error:
            assert str(error)
            assert error.to_dict()["code"].startswith("PQL_")  # type: ignore[attr-defined]
        else:
            assert language.parse(query.canonical) == query.tree
            assert str(query.plan())
            assert query.past(2) is not None or query.static


@given(st.text(max_size=60))
def test_any_text_gives_a_query_or_an_error_of_ours(text: str) -> None:
    answer(text)
    answer(f"PREDICT {text} FOR EACH users.user_id")
    answer(f"PREDICT COUNT(orders.*, 0, 30) FOR EACH users.user_id WHERE {text}")


@given(st.lists(st.sampled_from(PIECES), max_size=25).map(" ".join))
@example("PREDICT " + "(" * 3000)
@example("PREDICT " + "NOT " * 3000 + "users.vip = true FOR EACH users.user_id")
@example("PREDICT " + "-" * 3000 + "users.age FOR EACH users.user_id")
@example("PREDICT users.age > 1" + " AND users.age > 1" * 3000 + " FOR EACH users.user_id")
@example("PREDICT users.age" + " + 1" * 3000 + " FOR EACH users.user_id")
@example("PREDICT " + "COUNT(orders.* WHERE " * 3000)
@example("PREDICT COUNT(orders.*, 0, 30)" + " OF LAST(orders.item_id)" * 3000 + " FOR EACH users.user_id")
@example("PREDICT users.age = " + "9" * 5000 + " FOR EACH users.user_id")
@example("PREDICT users.signup > " + "9" * 5000 + "-01-01 FOR EACH users.user_id")
@example("PREDICT users.signup > 2024-01-01 " + "9" * 5000 + ":0:0 FOR EACH users.user_id")
@example("PREDICT churn FOR EACH users.user_id")
def test_any_words_of_the_language_give_a_query_or_an_error_of_ours(text: str) -> None:
    answer(text)
    answer(f"PREDICT {text} FOR EACH users.user_id")


@given(st.integers(0, 10_000), st.integers(0, 10_000))
def test_any_damage_to_a_query_gives_a_query_or_an_error_of_ours(seed: int, damage: int) -> None:
    text = next(draw(SHOP, seed, 1))
    lot = random.Random(damage)
    start, length = lot.randrange(len(text)), lot.randrange(6)
    answer(text[:start] + lot.choice(PIECES) + text[start:])
    answer(text[:start] + text[start + length :])
    answer(text[:start] + text[start : start + length] * 2 + text[start:])
