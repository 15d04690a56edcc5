from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.pipeline.change.names import alike, opposed

SAME = [
    ("custId", "customer_id"),
    ("OrderDate", "order_date"),
    ("ORDER_QTY", "orderQuantity"),
    ("description", "descr"),
    ("prod cat", "ProductCategory"),
]
LIKE = [
    ("amount", "payment_amount"), ("home_team", "hm_team"), ("week", "weke"),
    ("unit_price", "unit_cost"), ("user_id", "member_id"), ("created_date", "date_created"),
    ("household_id", "hshld_id"),
]  # fmt: skip
UNLIKE = [("city", "colour"), ("customer_id", "order_id"), ("created_at", "weight"), ("a", "b"), ("x1", "price")]
OPPOSED = [("home_score", "away_score"), ("created_at", "updatedAt"), ("minPrice", "max_price"), ("line_1", "line_2")]


@pytest.mark.parametrize(("ours", "theirs"), SAME)
def test_the_same_words_are_the_same_name(ours: str, theirs: str):
    assert alike(ours, theirs) == 1.0


@pytest.mark.parametrize(("ours", "theirs"), LIKE)
def test_names_that_people_change_so_are_alike(ours: str, theirs: str):
    assert 0.6 <= alike(ours, theirs) < 1.0 or sorted(ours.split("_")) == sorted(theirs.split("_"))
    assert not opposed(ours, theirs)


@pytest.mark.parametrize(("ours", "theirs"), UNLIKE)
def test_other_names_are_not(ours: str, theirs: str):
    assert alike(ours, theirs) < 0.3


@pytest.mark.parametrize(("ours", "theirs"), OPPOSED)
def test_words_that_tell_columns_apart_are_known(ours: str, theirs: str):
    assert opposed(ours, theirs)


def test_words_of_the_table_count_little():
    assert alike("amount", "payment_amount", "payments") > alike("amount", "payment_amount")


@given(st.text(min_size=1, max_size=12), st.text(min_size=1, max_size=12))
def test_likeness_is_the_same_both_ways_and_a_share(ours: str, theirs: str):
    assert 0 <= alike(ours, theirs) <= 1
    assert alike(ours, theirs) == pytest.approx(alike(theirs, ours), abs=1e-9)
    assert alike(ours, ours) == 1.0
    assert opposed(ours, theirs) == opposed(theirs, ours)
    assert not opposed(ours, ours)
