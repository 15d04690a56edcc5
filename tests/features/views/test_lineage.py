"""Where features come from: columns of values, and of what decides which rows count."""

from __future__ import annotations

from penstock.features.views.chosen import resolve
from penstock.features.views.declared import ExpressionView, LatestView, OnDemandView, RoleView
from penstock.features.views.described import described, kind_of, listed, shown
from penstock.features.views.lineage import lineage
from penstock.schema import Dtype
from tests.features.views.town import town

BOUND = town(
    ExpressionView(
        "recent",
        "customer",
        {
            "n": "COUNT(orders.* WHERE orders.amount > 1, -30, 0)",
            "above": "SUM(orders.amount, -30, 0) / SUM(orders.amount, -30, 0) OF SAME customers.city",
            "age": "TIME_SINCE(customers.since)",
        },
    ),
    LatestView("trip", "driver", "trips", {"km": "km"}, ttl=90_000_000),
    LatestView("sale", "stock", "sales", {"price": "price"}),
    RoleView("other", "trip", {"driver_id": "other_id"}),
    OnDemandView("risk", {"x": "km / r", "y": "n * 2"}, {"km": "trip:km", "n": "recent:n"}, {"r": Dtype.FLOAT}),
    OnDemandView("more", {"z": "x + 1"}, {"x": "risk:x"}),
)
EXISTS = {("customers", "customer_id"), ("customers", "since")}


def of(ref: str):
    view, _, feature = ref.partition(":")
    (found,) = lineage(BOUND, view, feature)
    return set(found.values), set(found.uses)


def test_counted_rows_come_from_a_table_its_filter_its_link_and_its_clock():
    assert of("recent:n") == (
        {("orders", "*")}, {("orders", "amount"), ("orders", "customer_id"), ("orders", "at"), *EXISTS}
    )  # fmt: skip


def test_peers_are_decided_by_the_column_that_they_share():
    values, uses = of("recent:above")
    assert values == {("orders", "amount")}
    assert ("customers", "city") in uses


def test_a_column_of_its_own_row_needs_only_that():
    assert of("recent:age") == ({("customers", "since")}, {("customers", "customer_id")})


def test_keys_of_virtual_tables_are_the_columns_behind_them():
    assert of("trip:km") == ({("trips", "km")}, {("trips", "driver_id"), ("trips", "at")})
    assert of("other:km") == of("trip:km")
    values, uses = of("sale:price")
    assert values == {("sales", "price")}
    assert uses >= {("sales", "shop"), ("sales", "item"), ("stock", "shop"), ("stock", "item"), ("stock", "_known")}


def test_on_demand_features_come_from_what_they_are_worked_out_of():
    (found,) = lineage(BOUND, "risk", "x")
    assert [str(one) for one in found.inputs] == ["trip:km"]
    assert found.requested == ("r",)
    assert found.tables == ("trips",)
    (deeper,) = lineage(BOUND, "more", "z")
    assert (deeper.values, [str(one) for one in deeper.inputs]) == (found.values, ["risk:x"])
    assert [one.feature.feature for one in lineage(BOUND, "risk")] == ["x", "y"]


def test_views_are_listed_with_what_they_are():
    kinds = {one["view"]: (one["kind"], one["entity"], one["features"]) for one in listed(BOUND)["views"]}
    assert kinds == {
        "recent": ("expressions", "customer", 3),
        "trip": ("latest", "driver", 1),
        "sale": ("latest", "stock", 1),
        "other": ("role of trip", "driver", 1),
        "risk": ("on demand", "driver, customer", 2),
        "more": ("on demand", "driver, customer", 1),
    }
    assert kind_of(BOUND.on_demand["more"]) == "on demand"


def test_a_view_and_a_feature_tell_all_there_is():
    told = shown(BOUND, "trip")
    assert (told["keys"], told["ttl_seconds"]) == ({"driver_id": "int"}, 90.0)
    (one,) = resolve(BOUND, ["trip:km"])
    assert described(BOUND, one)["phrase"] == "newest km of trips, no older than 90 seconds"
    (one,) = resolve(BOUND, ["risk:y"])
    told = described(BOUND, one)
    assert (told["inputs"], told["requested"], told["keys"]) == (
        {"n": "recent:n"}, {}, {"driver_id": "int", "customer_id": "int"}
    )  # fmt: skip
