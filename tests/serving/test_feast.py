"""Real clients of Feast, old and new, that know nothing of our server but where it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from tests.serving.asking import listened
from tests.serving.feast_clients import VERSIONS, asked
from tests.serving.shop import NOON, StoredShop

SECONDS = NOON // 10**6
TOKEN = "s3cret"  # it opens nothing


@pytest.fixture(scope="module", params=VERSIONS)
def version(request: pytest.FixtureRequest) -> str:
    found: str = request.param
    return found


@pytest.fixture(scope="module")
def told(version: str, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Any]:
    """What a client is answered; the newer one has to show a token."""
    token = TOKEN if version == "0.67.0" else None
    folder = tmp_path_factory.mktemp("feast")
    with listened(StoredShop.within(folder / "store"), token=token, flight_port=0) as listen:
        assert listen.flight is not None
        shown = {"SHOP_TOKEN": token} if token else {}
        return asked(version, folder, listen.http, listen.flight, **shown)


def test_one_entity(told: Mapping[str, Any]) -> None:
    assert told["one"] == {"driver_id": [1001], "conv_rate": [0.5], "trips": [10], "city": ["Bern"], "active": [True]}


def test_many_missing_and_null(told: Mapping[str, Any]) -> None:
    assert told["many"] == {
        "driver_id": [1001, 1002, 9999],
        "conv_rate": [0.5, None, None],
        "trips": [10, 20, None],
        "city": ["Bern", 'a "quote", null', None],
        "active": [True, None, None],
    }


def test_instants_are_seconds(told: Mapping[str, Any]) -> None:
    assert told["instants"] == {"driver_id": [1003, 1002], "hired": [SECONDS, None]}


def test_full_names(told: Mapping[str, Any]) -> None:
    assert told["full names"] == {"driver_id": [1001], "driver_stats__conv_rate": [0.5]}


def test_a_composite_key(told: Mapping[str, Any], version: str) -> None:
    level = [5, None] if version == "0.67.0" else [None, None]  # old clients send the first part of a key alone
    assert told["composite"] == {"store_id": [1, 1], "sku": ["a|b", "a"], "level": level}


def test_a_service(told: Mapping[str, Any], version: str) -> None:
    ours = {"n_1d": [0]} if version == "0.67.0" else {}  # old clients resolve a service themselves, by their registry
    assert told["service"] == {"driver_id": [1001], "conv_rate": [0.5], "trips": [10], **ours}


def test_one_view_in_two_roles(told: Mapping[str, Any]) -> None:
    assert told["roles"] == {
        "origin_id": [1, 2],
        "dest_id": [2, 9],
        "origin__temperature": [10.0, 20.0],
        "dest__temperature": [20.0, None],
    }


def test_features_on_demand(told: Mapping[str, Any]) -> None:
    assert told["on demand"] == {"driver_id": [1001], "quote": [1.5]}


def test_exceptions_are_feasts_own(told: Mapping[str, Any], version: str) -> None:
    assert told["unknown view"]["raised"] == "FeatureViewNotFoundException"
    if version == "0.67.0":
        assert "feature view 'nothing' does not exist" in told["unknown view"]["said"]
        assert told["unknown service"]["raised"] == "FeatureServiceNotFoundException"
        assert "feature service 'unserved' does not exist" in told["unknown service"]["said"]


def test_the_past(told: Mapping[str, Any]) -> None:
    assert told["historical"]["conv_rate"] == [0.25, 0.5, None]
    assert told["historical"]["trips"] == [9, 10, None]
    assert told["historical"]["driver_id"] == [1001, 1001, 9999]


def test_the_past_of_roles_and_on_demand(told: Mapping[str, Any]) -> None:
    roles = told["historical roles"]
    assert (roles["origin__temperature"], roles["dest__temperature"]) == ([10.0, 20.0], [20.0, None])
    assert told["historical on demand"]["quote"] == [0.5, 1.5, None]
    assert "raised" in told["historical unknown"]


def test_rows_are_pulled_as_materialisation_pulls_them(told: Mapping[str, Any]) -> None:
    assert (told["pulled"]["driver_id"], told["pulled"]["trips"]) == ([1001, 1002], [10, 20])


def test_push_and_write_then_read(told: Mapping[str, Any]) -> None:
    assert told["pushed"] == {
        "origin_id": [1], "dest_id": [2], "origin__temperature": [11.5], "dest__temperature": [20.0],
    }  # fmt: skip
    assert told["written"] == {"location_id": [2], "temperature": [-3.25]}
    assert told["appended"]["trips"] == [79]
    assert told["appended"]["city"] == ["Thun"]


def test_instants_are_written_as_they_are_read(told: Mapping[str, Any], version: str) -> None:
    if version == "0.60.0":
        assert "raised" in told["stamped"]  # this client cannot send an instant: it fails before it asks
    else:
        assert told["stamped"] == {"driver_id": [1001], "trips": [78], "hired": [1_577_836_800], "city": [None]}


def test_materialize(told: Mapping[str, Any]) -> None:
    assert told["materialized"] is None


def test_what_was_asked_of_the_past_is_kept(told: Mapping[str, Any]) -> None:
    assert told["kept"]["driver_id"] == [1001, 1001, 9999]
    assert told["kept"]["trips"] == [9, 10, None]


def test_what_is_not_served_is_said(told: Mapping[str, Any], version: str) -> None:
    if version == "0.67.0":
        assert "entities are not asked for by SQL here" in told["by sql"]["said"]
    else:
        assert "raised" in told["by sql"]  # this client cannot ask so
