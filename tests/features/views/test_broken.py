"""What is broken stands alone: all that does not rest on it is what it would be without it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import PenstockError, RequestError
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.chosen import resolve
from penstock.features.views.declared import (
    Definitions,
    Entity,
    ExpressionView,
    LatestView,
    OnDemandView,
    RoleView,
    Service,
    View,
)
from penstock.features.views.former import with_former
from penstock.schema import Dtype, Graph
from tests.features.views.town import CUSTOMER, DRIVER, GRAPH, PLACE, STOCK

ENTITIES = {one.name: one for one in (CUSTOMER, DRIVER, PLACE, STOCK)}
VIEWS: Mapping[str, View] = {one.name: one for one in (
    ExpressionView("ordered", "customer", {"n": "COUNT(orders.*, -30, 0, days)", "city": "customers.city"}),
    LatestView("last", "customer", "orders", {"amount": "amount"}),
    LatestView("trip", "driver", "trips", {"km": "km"}),
    LatestView("sale", "stock", "sales", {"price": "price"}),
    LatestView("left", "place", "trips", {"km": "km"}, ("origin",)),
    LatestView("reached", "place", "trips", {"km": "km"}, ("dest",)),
    RoleView("home", "left", {"place_id": "home_id"}),
    OnDemandView("risk", {"share": "amount / last"}, {"last": "last:amount"}, {"amount": Dtype.FLOAT}),
    OnDemandView("more", {"twice": "share * 2 + n"}, {"share": "risk:share", "n": "ordered:n"}),
)}  # fmt: skip
SERVICES = {one.name: one for one in (
    Service("all", ("more:*", "trip:km", "home:*")), Service("sold", ("sale:*",)), Service("bare", ("city",)),
)}  # fmt: skip
BELOW = {"home": {"left"}, "risk": {"last"}, "more": {"risk", "ordered"}, "all": {"more", "trip", "home"},
         "sold": {"sale"}, "bare": {"ordered"}}  # fmt: skip
WHOLE = bind(Definitions(ENTITIES, VIEWS, SERVICES), GRAPH)


def typo(view: View) -> View:
    """The view with a name in it that is nowhere."""
    if isinstance(view, LatestView):
        return replace(view, features=dict.fromkeys(view.features, "nothing"))
    if isinstance(view, RoleView):
        return replace(view, keys={"nothing": "x"})
    assert isinstance(view, ExpressionView | OnDemandView)
    return replace(view, features={**view.features, "wrong": "nothing + "})


def nowhere(view: View) -> View:
    """The view about a table, or of a view, that is nowhere."""
    if isinstance(view, LatestView):
        return replace(view, table="nothing")
    return replace(view, entity="nothing") if isinstance(view, ExpressionView) else typo(view)


def resting(broken: set[str]) -> set[str]:
    """These, and all that rests on them."""
    found = set(broken)
    while True:
        more = {name for name, below in BELOW.items() if below & found} - found
        if not more:
            return found
        found |= more


def versions(bound: Bound) -> dict[str, str]:
    return {name: one.fingerprint for name, one in {**bound.views, **bound.on_demand}.items()}


@given(st.dictionaries(st.sampled_from(sorted(VIEWS)), st.sampled_from([typo, nowhere])))
def test_what_is_broken_changes_nothing_of_what_does_not_rest_on_it(how: dict[str, Callable[[View], View]]) -> None:
    views = {name: how[name](view) if name in how else view for name, view in VIEWS.items()}
    bound = bind(Definitions(ENTITIES, views, SERVICES), GRAPH)
    expected = resting(set(how))
    assert {one.name for one in bound.broken if one.what != "entity"} == expected
    alone = {how.get("left"), how.get("reached")} == {nowhere}  # then no table names a place at all
    assert {one.name for one in bound.broken if one.what == "entity"} == ({"place"} if alone else set())
    assert versions(bound) == {name: one for name, one in versions(WHOLE).items() if name not in expected}
    assert set(bound.services) == set(SERVICES) - expected
    for one in (one for one in bound.broken if one.what != "entity"):
        assert one.name in how or one.error.code == ("FEATURE_UNKNOWN" if one.name == "bare" else "FEATURE_BROKEN")
        with pytest.raises(PenstockError) as caught:
            resolve(bound, one.name if one.what == "service" else f"{one.name}:*")
        assert caught.value is one.error
    for name in (*bound.services, *(f"{view}:*" for view in bound.names)):
        assert resolve(bound, name)


@given(st.sets(st.sampled_from(sorted(VIEWS)), max_size=4), st.sets(st.sampled_from(sorted(VIEWS)), max_size=4))
def test_what_was_sound_goes_on_as_it_was(first: set[str], second: set[str]) -> None:
    """However often files are read anew, what was ever sound answers; what is sound now by its present definition."""
    served = WHOLE
    for broken in (first, second):
        views = {name: typo(view) if name in broken else view for name, view in VIEWS.items()}
        now = bind(Definitions(ENTITIES, views, SERVICES), GRAPH)
        served = with_former(
            now, served, {name: served.views[name] for name in now.broken_views if name in served.views}
        )
    assert not served.broken
    assert versions(served) == versions(WHOLE)
    assert set(served.services) == set(SERVICES)


def test_a_broken_entity_breaks_its_own_views_and_no_others() -> None:
    entities = {**ENTITIES, "driver": Entity("driver", ("driver_id",), joins={"trips": ("nobody",)})}
    bound = bind(Definitions(entities, VIEWS, SERVICES), GRAPH)
    assert {(one.what, one.name) for one in bound.broken} == {
        ("entity", "driver"),
        ("view", "trip"),
        ("service", "all"),
    }
    with pytest.raises(RequestError, match="trips has no column 'nobody'"):
        bound.must_be_sound()


def test_a_circle_breaks_those_that_are_in_it_and_those_above() -> None:
    first = OnDemandView("first", {"x": "a"}, {"a": "second:y"})
    second = OnDemandView("second", {"y": "b"}, {"b": "first:x"})
    above = OnDemandView("above", {"z": "c"}, {"c": "first:x"})
    views = {**VIEWS, "first": first, "second": second, "above": above}
    bound = bind(Definitions(ENTITIES, views, SERVICES), GRAPH)
    told = {one.name: (one.error.code, one.error.message) for one in bound.broken}
    assert told["first"] == ("FEATURE_CIRCLE", "first needs second needs first")
    assert told["second"] == ("FEATURE_CIRCLE", "second needs first needs second")
    assert told["above"][0] == "FEATURE_BROKEN"
    assert versions(bound) == versions(WHOLE)


def test_nothing_is_sound_over_no_tables_and_nothing_is_raised() -> None:
    bound = bind(Definitions(ENTITIES, VIEWS, SERVICES), Graph(()))
    assert not bound.names
    assert {one.name for one in bound.broken if one.what == "view"} == set(VIEWS)
