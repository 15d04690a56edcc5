"""Importance by table and by link: nothing lost, nothing counted twice, paths followed through filters and anchors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

import penstock as ps
from penstock.expression import Compare, Constant
from penstock.features.definitions import Feature, FeatureSet
from penstock.learning.ranking.candidates import FEATURES
from penstock.learning.reasons.importance import (
    CUTOFF,
    OTHER,
    OWN_ROW,
    SOURCES,
    Weight,
    by_link,
    by_source,
    by_table,
    columns,
)
from penstock.plan import Age, Aggregate, Calendar, Field, Stream
from penstock.schema import Dtype, Kind, Link
from penstock.window import Lookback
from tests.small import QUIET, shop

ORDERS = Link("orders", "user_id", "users")
ITEMS = Link("orders", "item_id", "items")
MONTH = Lookback(-30, 0)
PRICE = Field("items", "price", Dtype.FLOAT, Kind.NUMERICAL, (ITEMS,))
COUNTRY = Field("users", "country", Dtype.STRING, Kind.CATEGORICAL)
CHEAP = Stream("users", (ORDERS,), Compare("<", PRICE, Constant(5)))
USUAL = Aggregate("LAST", Stream("users", (ORDERS,)), Field("orders", "item_id", Dtype.INT, Kind.ID), MONTH)
MADE = {
    "count": Aggregate("COUNT", Stream("users", (ORDERS,)), None, MONTH),
    "price": Aggregate("AVG", Stream("users", (ORDERS,)), PRICE, MONTH),
    "cheap": Aggregate("COUNT", CHEAP, None, MONTH),
    "of the usual item": Aggregate("COUNT", Stream("items", (ITEMS,), anchor=USUAL), None, MONTH),
    "country": COUNTRY,
    "age": Age(Field("users", "born", Dtype.TIMESTAMP, Kind.TIMESTAMP)),
    "month": Calendar("MONTH"),
}
SET = FeatureSet.of("users", "user_id", map(Feature, MADE.values()))


def shares(**told: float) -> list[tuple[str, float]]:
    return [(str(MADE[name.replace("_", " ")]), share) for name, share in told.items()]


def test_a_feature_that_reads_two_tables_gives_each_a_half():
    assert by_table(SET, shares(count=0.5, price=0.25)) == (("orders", 0.625), ("items", 0.125))
    assert by_table(SET, shares(cheap=1.0)) == (("items", 0.5), ("orders", 0.5))


def test_a_link_counts_for_every_feature_that_crosses_it():
    assert by_link(SET, shares(count=0.5, price=0.25, cheap=0.125, country=0.125)) == (
        ("orders.user_id", 0.875),
        ("orders.item_id", 0.375),
        (OWN_ROW, 0.125),
    )


def test_the_way_to_an_anchor_counts_too():
    assert dict(by_link(SET, shares(of_the_usual_item=1.0))) == {"orders.user_id": 1.0, "orders.item_id": 1.0}


def test_what_reads_no_table_is_said_to_be_the_time_of_asking_or_something_else():
    told = [*shares(month=0.25, age=0.25), ("STEP", 0.25), ("made elsewhere", 0.25)]
    assert by_table(SET, told) == ((CUTOFF, 0.5), (OTHER, 0.25), ("users", 0.25))
    assert by_link(SET, told) == ((OWN_ROW, 0.75), (OTHER, 0.25))


@given(st.dictionaries(st.sampled_from(sorted(MADE)), st.floats(0, 1), min_size=1))
def test_tables_share_all_of_the_gain_and_no_more(told):
    given_shares = [(str(MADE[name]), share) for name, share in told.items()]
    assert sum(share for _, share in by_table(SET, given_shares)) == pytest.approx(sum(told.values()), abs=1e-5)


def test_columns_are_found_in_values_and_filters():
    assert list(columns(MADE["cheap"])) == [("items", "price")]
    assert list(columns(MADE["of the usual item"])) == [("orders", "item_id")]
    assert list(columns(MADE["price"])) == [("items", "price")]


def test_every_column_of_a_ranking_has_a_source():
    by = by_source([(name, 1.0) for name in FEATURES])
    assert sum(share for _, share in by) == len(FEATURES)
    assert dict(by)["what is met together"] >= 2
    assert dict(by)["how busy the entity is"] == 5
    assert {name for name, _ in by} <= set(SOURCES.values())


def test_all_features_made_for_a_question_have_tables_and_links_of_its_graph():
    db = ps.connect(shop())
    made = db.synthesise(QUIET)
    even = [(feature.name, 1 / len(made)) for feature in made.features]
    assert {name for name, _ in by_table(made, even)} <= {*(t.name for t in db.graph), CUTOFF}
    assert {name for name, _ in by_link(made, even)} <= {*map(str, db.graph.links), OWN_ROW}


def test_a_weight_survives_json():
    weight = Weight("COUNT(a.*, -30, 0, days)", "a in the last 30 days", 0.5)
    assert Weight.from_dict(weight.to_dict()) == weight
