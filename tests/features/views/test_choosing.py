"""Which features a request means, what they are called in its answer, and what is read for them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RequestError
from penstock.features.views.bound import Chosen
from penstock.features.views.chosen import MOST, needed, output_names, resolve, view_of
from penstock.features.views.declared import ExpressionView, LatestView, OnDemandView, RoleView, Service
from penstock.schema import Dtype
from tests.features.views.town import town

BOUND = town(
    LatestView("last", "customer", "orders", {"amount": "amount", "at": "at"}),
    ExpressionView("recent", "customer", {"n": "COUNT(orders.*, -30, 0)", "amount": "SUM(orders.amount, -30, 0)"}),
    RoleView("payer", "last", {"customer_id": "payer_id"}),
    OnDemandView("risk", {"share": "paid / n", "big": "paid > 9"}, {"n": "recent:n"}, {"paid": Dtype.FLOAT}),
    OnDemandView("more", {"twice": "a * 2"}, {"a": "risk:share"}),
    Service("fraud", ("more:*", "last:amount")),
    Service("n", ("n", "twice")),
)
VIEWS = (*BOUND.views.values(), *BOUND.on_demand.values())
ALL = [Chosen(view.name, one.name) for view in VIEWS for one in view.features]


def refs(*features: str) -> list[str]:
    return [str(one) for one in resolve(BOUND, features)]


def test_features_are_named_by_view_by_service_and_alone():
    assert refs("last:amount", "recent:*") == ["last:amount", "recent:n", "recent:amount"]
    assert refs("fraud") == ["more:twice", "last:amount"]
    assert refs("share", "twice") == ["risk:share", "more:twice"]
    assert refs("n") == ["recent:n", "more:twice"]  # a service; its features may be named alone, too
    assert [str(one) for one in resolve(BOUND, "fraud")] == ["more:twice", "last:amount"]


def test_each_is_there_once_where_it_was_asked_for_first():
    assert refs("recent:n", "recent:*", "recent:n") == ["recent:n", "recent:amount"]


@pytest.mark.parametrize(
    ("asked", "code", "words", "candidates"),
    [
        (["last:amuont"], "FEATURE_UNKNOWN", "last has no feature 'amuont'", ("amount", "at")),
        (["lost:amount"], "FEATURE_UNKNOWN", "there is no view 'lost'", ("last", "recent", "payer", "risk", "more")),
        (["nothing"], "FEATURE_UNKNOWN", "there is no feature or service 'nothing'", None),
        (["amount"], "FEATURE_AMBIGUOUS", "3 views have a feature amount", None),
        ([], "FEATURE_NONE", "no features are asked for", None),
        ([""], "FEATURE_UNKNOWN", "no feature or service ''", None),
        ([":"], "FEATURE_UNKNOWN", "no view ''", None),
        (["last:"], "FEATURE_UNKNOWN", "last has no feature ''", None),
        (["last:amount:x"], "FEATURE_UNKNOWN", "no feature 'amount:x'", None),
        ([7], "FEATURE_UNKNOWN", "7 is no feature's name", None),
        (7, "FEATURE_UNKNOWN", "7 names no features", None),
        (None, "FEATURE_UNKNOWN", "None names no features", None),
    ],
)
def test_what_is_not_there_is_told_with_what_is(asked, code, words, candidates):
    with pytest.raises(RequestError) as caught:
        resolve(BOUND, asked)
    assert caught.value.code == code
    assert words in caught.value.message
    assert candidates is None or caught.value.candidates == candidates


def test_a_close_name_is_suggested():
    with pytest.raises(RequestError, match="Did you mean 'recent'"):
        view_of(BOUND, "recnt")


def test_too_many_features_are_refused_before_any_is_looked_at():
    with pytest.raises(RequestError, match=f"more than {MOST:,} features") as caught:
        resolve(BOUND, ["no such feature"] * 100_000)
    assert caught.value.code == "FEATURE_TOO_MANY"


def test_too_many_are_refused_wherever_they_come_from():
    many = {f"f{n}": "amount" for n in range(101)}
    wide = town(*(LatestView(f"v{at}", "customer", "orders", many) for at in range(100)))
    assert len(resolve(wide, [f"v{at}:*" for at in range(99)])) == 9999
    with pytest.raises(RequestError, match="more than"):
        resolve(wide, [f"v{at}:*" for at in range(100)])


def test_names_that_collide_are_told_apart_by_their_views():
    chosen = resolve(BOUND, ["last:amount", "recent:*", "payer:at"])
    assert output_names(chosen) == ["last__amount", "n", "recent__amount", "at"]
    assert output_names(chosen, full=True) == ["last__amount", "recent__n", "recent__amount", "payer__at"]
    with pytest.raises(RequestError, match="last:amount and recent:amount would both be called amount"):
        output_names(chosen, full=False)


def test_full_names_that_collide_are_refused():
    with pytest.raises(RequestError, match="a:b__c and a__b:c would both be called a__b__c"):
        output_names([Chosen("a", "b__c"), Chosen("a__b", "c")], full=True)


@given(
    st.lists(st.builds(Chosen, st.sampled_from(["a", "b", "a__b"]), st.sampled_from(["x", "b__x", "y"])), unique=True)
)
def test_no_two_features_are_called_the_same(chosen):
    """Whatever is asked for, an answer's names are different, or it is refused."""
    try:
        named = output_names(chosen)
    except RequestError as error:
        assert error.code == "FEATURE_COLLISION"
    else:
        assert len(set(named)) == len(chosen)


@given(st.lists(st.sampled_from(ALL), min_size=1))
def test_what_is_resolved_is_what_was_asked(chosen):
    """A feature's own reference means it and nothing else."""
    assert resolve(BOUND, [str(one) for one in chosen]) == tuple(dict.fromkeys(chosen))


def test_what_is_needed_below_features_on_demand_is_what_is_stored():
    assert needed(BOUND, resolve(BOUND, ["fraud"])) == (Chosen("recent", "n"), Chosen("last", "amount"))
    assert needed(BOUND, resolve(BOUND, ["payer:at", "risk:big"])) == (Chosen("payer", "at"), Chosen("recent", "n"))
