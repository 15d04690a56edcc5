"""Reasons of a ranking: they are the ranker's own, they sum to the score, and they are said in words."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import penstock as ps
from penstock.learning.fitting.models import Options
from penstock.learning.ranking.candidates import FEATURES
from penstock.learning.ranking.orders import ORDERS, order_reasons
from penstock.learning.ranking.rank import fit
from tests.learning.worlds import DAY, asked, basket, shop
from tests.small import shop as small_shop

HORIZON = 15 * DAY


@pytest.fixture(scope="module")
def ranked():
    """A fitted ranking, rows to ask about, and its answer."""
    log = shop(entities=120, items=40)
    train, validation, test = (basket(log, day * DAY, HORIZON) for day in (60, 75, 90))
    ranker = fit(train, validation, Options(threads=1), lambda done: None)
    rows = asked(test).take(np.arange(20))
    return ranker, rows, ranker.rank(rows, 5)


def test_every_item_has_its_strongest_reasons_strongest_first(ranked):
    ranker, rows, table = ranked
    for told in order_reasons(ranker, rows, table, most=4):
        strength = [abs(reason.contribution) for reason in told]
        assert 1 <= len(told) <= 4
        assert strength == sorted(strength, reverse=True)


def test_all_parts_but_one_constant_sum_to_the_score(ranked):
    ranker, rows, table = ranked
    told = order_reasons(ranker, rows, table, most=len(FEATURES))
    sums = np.array([sum(reason.contribution for reason in mine) for mine in told])
    start = np.asarray(table["score"]) - sums
    np.testing.assert_allclose(start, start[0], atol=1e-4)


def test_reasons_do_not_depend_on_who_else_is_asked_about(ranked):
    ranker, rows, table = ranked
    together = order_reasons(ranker, rows, table)
    one = rows.take(np.array([3]))
    mine = np.flatnonzero(np.asarray(table["row"]) == 3)
    alone = table.take(pa.array(mine)).set_column(0, "row", pa.array(np.zeros(len(mine), np.int64)))
    assert order_reasons(ranker, one, alone) == [together[place] for place in mine]


def test_an_item_that_is_no_candidate_has_none(ranked):
    ranker, rows, _ = ranked
    assert order_reasons(ranker, rows, pa.table({"row": [0], "item": ["never heard of"]})) == [[]]


def test_every_column_of_a_ranking_can_be_said():
    assert set(FEATURES) <= set(ORDERS)


def test_the_length_of_a_horizon_is_said_in_days(ranked):
    said = {reason.sentence for told in order_reasons(*ranked, most=len(FEATURES)) for reason in told}
    assert any("in the last 15 days" in sentence for sentence in said)
    assert not any("horizon" in sentence for sentence in said)


def test_predictions_of_a_ranking_come_with_reasons():
    asked_for = "PREDICT LIST_DISTINCT(orders.item_id, 0, 30, days) RANK TOP 3 FOR EACH users.user_id"
    answer = ps.connect(small_shop()).predict(asked_for, explain=6)
    rows = answer.ordered().to_pylist()
    assert all(row["reasons"] and row["reasons"][0][0] in "↑↓" for row in rows[:6])
    assert all(row["reasons"] is None for row in rows[6:])
