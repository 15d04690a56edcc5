"""The HTTP door, request by request: what Feast's clients send, and what no client should."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from penstock.errors import SourceError, StoreError
from penstock.features.views.declared import Service
from penstock.serving.app import ServingApp
from penstock.serving.limits import Limits
from tests.serving.asking import ask, listened, online, put, raw
from tests.serving.shop import NOON, Shop, StoredShop

NOON_TEXT, EPOCH_TEXT = "2026-01-01T12:00:00Z", "1970-01-01T00:00:00Z"
ASK = b'{"features": ["driver_stats:trips"], "entities": {"driver_id": [1001]}}'


@pytest.fixture(scope="module", params=["engine", "lmdb"])
def shop(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """Answers worked out for every request, and answers from a store: nobody should see which."""
    if request.param == "engine":
        return Shop.opened()
    return StoredShop.within(tmp_path_factory.mktemp("store"))


@pytest.fixture
def app(shop: Shop) -> Any:
    made = ServingApp(shop)
    yield made
    made.close()


# ---------------------------------------------------------------- reading


def test_columns_with_statuses_and_times_join_keys_first(app: ServingApp) -> None:
    answer = online(app, ["driver_stats:conv_rate", "driver_stats:trips"], {"driver_id": [1001, 1002, 9999]})
    assert answer.status == 200
    assert answer.headers["content-type"] == "application/json"
    assert answer.json == {
        "results": [
            {"values": [1001, 1002, 9999], "statuses": ["PRESENT"] * 3, "event_timestamps": [EPOCH_TEXT] * 3},
            {
                "values": [0.5, None, None],
                "statuses": ["PRESENT", "NULL_VALUE", "NOT_FOUND"],
                "event_timestamps": [NOON_TEXT, NOON_TEXT, EPOCH_TEXT],
            },
            {
                "values": [10, 20, None],
                "statuses": ["PRESENT", "PRESENT", "NOT_FOUND"],
                "event_timestamps": [NOON_TEXT, NOON_TEXT, EPOCH_TEXT],
            },
        ],
        "metadata": {"feature_names": ["driver_id", "conv_rate", "trips"]},
    }


def test_values_of_every_dtype(app: ServingApp) -> None:
    names = ["conv_rate", "trips", "city", "active", "hired"]
    answer = online(app, [f"driver_stats:{name}" for name in names], {"driver_id": [1003, 1002, 1001]})
    assert [column["values"] for column in answer.json["results"][1:]] == [
        ["NaN", None, 0.5],
        [2**53 + 1, 20, 10],
        ["Zürich", 'a "quote", null', "Bern"],
        [True, None, True],
        [NOON // 10**6, None, NOON / 10**6 + 0.5],
    ]
    assert answer.json["results"][1]["event_timestamps"][0] == "2026-01-01T12:00:01.500000Z"


def test_many_entities_are_written_like_few(app: ServingApp) -> None:
    ids = [1001, 1003, 9999] * 50
    features = ["driver_stats:conv_rate", "driver_stats:hired"]
    many = online(app, features, {"driver_id": ids}).json
    few = online(app, features, {"driver_id": ids[:3]}).json
    for wide, narrow in zip(many["results"], few["results"], strict=True):
        assert {part: wide[part][:3] for part in wide} == narrow
        assert {part: wide[part][-3:] for part in wide} == narrow


def test_full_names_services_and_roles(app: ServingApp) -> None:
    answer = online(app, "journey", {"origin_id": [1, 2], "dest_id": [2, 9]}, full_feature_names=True)
    assert answer.json["metadata"]["feature_names"] == [
        "origin_id", "dest_id", "origin__temperature", "dest__temperature",
    ]  # fmt: skip
    assert [column["values"] for column in answer.json["results"][2:]] == [[10.0, 20.0], [20.0, None]]


def test_a_service_wins_over_features(app: ServingApp) -> None:
    body = {"feature_service": "driver_service", "features": ["nonsense"], "entities": {"driver_id": [1003]}}
    answer = ask(app, "POST", "/get-online-features", body)
    assert answer.json["metadata"]["feature_names"] == ["driver_id", "conv_rate", "trips", "n_1d"]


def test_a_part_of_a_composite_key_that_is_missing_is_not_found(app: ServingApp) -> None:
    whole = online(app, ["stock_now:level"], {"sku": ["a|b", "a"], "store_id": [1, 1]})
    found = zip(whole.json["metadata"]["feature_names"], whole.json["results"], strict=True)
    values = {name: column["values"] for name, column in found}
    assert values == {"store_id": [1, 1], "sku": ["a|b", "a"], "level": [5, None]}
    part = online(app, ["stock_now:level"], {"store_id": [1, 2]})
    assert part.status == 200
    assert part.json["metadata"]["feature_names"] == ["store_id", "level"]
    assert part.json["results"][1]["statuses"] == ["NOT_FOUND", "NOT_FOUND"]


def test_columns_of_the_request_go_to_on_demand_features(app: ServingApp) -> None:
    answer = online(app, ["price:quote"], {"driver_id": [1001, 1001], "km": [3, 1.5]})
    assert answer.json["metadata"]["feature_names"] == ["driver_id", "quote"]
    assert answer.json["results"][1]["values"] == [1.5, 0.75]


def test_version_metadata_names_the_views(app: ServingApp) -> None:
    features = ["driver_stats:trips", "driver_trips:n_1d"]
    answer = online(app, features, {"driver_id": [1001]}, include_feature_view_version_metadata=True)
    assert answer.json["metadata"]["feature_view_metadata"] == [{"name": "driver_stats"}, {"name": "driver_trips"}]


def test_no_entities_are_no_values(app: ServingApp) -> None:
    answer = online(app, ["driver_stats:trips"], {"driver_id": []})
    assert [column["values"] for column in answer.json["results"]] == [[], []]


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/json"])
def test_any_content_type_or_none(app: ServingApp, kind: str | None) -> None:
    answer = ask(app, "POST", "/get-online-features", ASK, {"content-type": kind} if kind else None)
    assert answer.json["results"][1]["values"] == [10]


def test_large_requests_wait_their_turn_in_a_thread(shop: Shop) -> None:
    app = ServingApp(shop, limits=Limits(at_once=3))
    features, ids = ["driver_stats:conv_rate", "driver_stats:trips"], [1001, 1002]

    async def both() -> list[Any]:
        body = json.dumps({"features": features, "entities": {"driver_id": ids}}).encode()
        return await asyncio.gather(*(put(app, "POST", "/get-online-features", one) for one in (body, ASK, body)))

    large, small, again = asyncio.run(both())
    app.close()
    assert large.json == again.json == online(ServingApp(shop), features, {"driver_id": ids}).json
    assert small.json["results"][1]["values"] == [10]


def test_definitions_that_are_read_anew_are_resolved_anew() -> None:
    shop = Shop.opened()
    app = ServingApp(shop)
    assert online(app, "driver_service", {"driver_id": [1001]}).json["metadata"]["feature_names"][-1] == "n_1d"
    less = Service("driver_service", ("driver_stats:trips",))
    shop.bound = replace(shop.bound, services={"driver_service": less})
    assert online(app, "driver_service", {"driver_id": [1001]}).json["metadata"]["feature_names"][-1] == "trips"


# ---------------------------------------------------------------- what is wrong


@pytest.mark.parametrize(
    ("features", "entities", "status", "kind", "said"),
    [
        (["oders:n"], {"driver_id": [1]}, 404, "FeatureViewNotFoundException", "feature view 'oders' does not exist"),
        ("svc", {"driver_id": [1]}, 404, "FeatureServiceNotFoundException", "feature service 'svc' does not exist"),
        (["driver_stats:tips"], {"driver_id": [1]}, 422, "SpecifiedFeaturesNotPresentError", "Did you mean 'trips'?"),
        (["origin:temperature", "dest:temperature"], {"origin_id": [1], "dest_id": [1]}, 422,
         "FeatureNameCollisionError", "would both be called temperature"),
        (["price:quote"], {"driver_id": [1]}, 404, "RequestDataNotFoundInEntityRowsException", "has no km"),
        (["driver_stats:trips"], {"driver": [1]}, 422, "FeastError", "the request says no driver_id"),
        (["driver_stats:trips"], {}, 422, "FeastError", "the request says no driver_id"),
        (["driver_stats:trips"], {"driver_id": ["x"]}, 422, "FeastError", "which is no whole number"),
        (["driver_stats:trips"], {"driver_id": [2**63]}, 422, "FeastError", "which is no whole number"),
        (["driver_stats:trips"], {"driver_id": [[1]]}, 422, "FeastError", "which is no whole number"),
        ([], {"driver_id": [1]}, 422, "FeastError", "names neither features nor a feature_service"),
        (["trips"] * 10_001, {"driver_id": [1]}, 413, "FeastError", "10,001 features, and 10,000 are the most"),
        (["driver_stats:trips"], {"driver_id": [1] * 100_001}, 413, "FeastError", "100,000 are the most"),
    ],
)  # fmt: skip
def test_errors_are_feasts_own(
    app: ServingApp, features: Any, entities: dict[str, Any], status: int, kind: str, said: str
) -> None:
    answer = online(app, features, entities)
    assert answer.status == status
    assert (answer.error["module"], answer.error["class"]) == ("feast.errors", kind)
    assert said in answer.error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"null", b"[]", b"\xff", b'{"entities": 1}', b'{"features": ["a:b"]}', b"[" * 200_000,
        b'{"entities": {"id": [' + b"[" * 100_000, b'{"features": [1], "entities": {}}',
        b'{"features": ["a:b"], "entities": {"id": [NaN]}}', b'{"features": ["a:b"], "entities": {"id": [1e999]}}',
        b'{"features": ["a:b"], "entities": {"id": 5}}', b'{"features": "a:b", "entities": {"id": [5]}}',
        b'{"features": ["a:b"], "entities": {"id": [1]}, "full_feature_names": "yes"}', b'{"features": ["\\ud800:b"]}',
    ],
)  # fmt: skip
def test_bodies_that_are_none(app: ServingApp, body: bytes) -> None:
    answer = ask(app, "POST", "/get-online-features", body)
    assert answer.status == 422
    assert answer.json["detail"][0]["msg"]
    assert "Traceback" not in answer.body.decode()


@pytest.mark.parametrize("depth", [10, 400, 900, 990, 3000])
def test_keys_that_are_nested(app: ServingApp, depth: int) -> None:
    body = b'{"features": ["driver_stats:trips"], "entities": {"driver_id": [' + b"[" * depth + b"]" * depth + b"]}}"
    assert ask(app, "POST", "/get-online-features", body).status == 422


def test_numbers_without_end(app: ServingApp) -> None:
    body = b'{"features": ["driver_stats:trips"], "entities": {"driver_id": [' + b"9" * 100_000 + b"]}}"
    answer = ask(app, "POST", "/get-online-features", body)
    assert answer.status == 422
    assert len(answer.body) < 2_000


def test_bodies_that_are_too_long(shop: Shop) -> None:
    app = ServingApp(shop, limits=Limits(body=100))
    told = ask(app, "POST", "/get-online-features", b" " * 101, {"content-length": "101"})
    assert (told.status, told.headers["connection"]) == (413, "close")
    untold = asyncio.run(put(app, "POST", "/get-online-features", [b" " * 60] * 3))
    assert untold.status == 413
    assert asyncio.run(put(app, "POST", "/get-online-features", [ASK[:20], ASK[20:]])).status == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/get-online-features", 405), ("POST", "/health", 405), ("GET", "/nothing", 404), ("GET", "/", 404),
        ("POST", "/get-online-features/", 404), ("DELETE", "/push", 405), ("GET", "/../etc/passwd", 404),
        ("HEAD", "/health", 200), ("GET", "/health", 200), ("BREW", "/health", 405),
    ],
)  # fmt: skip
def test_paths_and_methods(app: ServingApp, method: str, path: str, status: int) -> None:
    assert ask(app, method, path, b"").status == status


def test_a_compressed_body_is_refused(app: ServingApp) -> None:
    assert ask(app, "POST", "/push", b"x", {"content-encoding": "gzip"}).status == 415


class Broken(Shop):
    """A service with a fault in it, and one whose store is away."""

    failure: Exception = ZeroDivisionError("a secret: hunter2")

    def read(self, *args: Any, **how: Any) -> Any:
        raise self.failure

    def push(self, *args: Any) -> int:
        raise self.failure


def test_what_nobody_foresaw_has_a_number_and_no_trace(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    app = ServingApp(Broken(shop.bound, shop.tables))
    answer = online(app, ["driver_stats:trips"], {"driver_id": [1]})
    assert answer.status == 500
    number = answer.error["message"].rsplit(" ", 1)[1]
    assert number in caplog.text
    assert "hunter2" in caplog.text
    assert "hunter2" not in answer.body.decode()
    assert ask(app, "GET", "/health").status == 200


def test_a_store_that_is_away_is_503(shop: Shop) -> None:
    service = Broken(shop.bound, shop.tables)
    service.failure = StoreError("STORE_LOST", "the store does not answer")
    answer = online(ServingApp(service), ["driver_stats:trips"], {"driver_id": [1]})
    assert (answer.status, answer.error["code"]) == (503, "STORE_LOST")
    assert answer.headers["retry-after"] == "1"


def test_rows_that_another_worker_takes_are_to_come_again(shop: Shop) -> None:
    service = Broken(shop.bound, shop.tables)
    service.failure = SourceError("TAIL_BUSY", "something else streams into driver_stats")
    rows = {"driver_id": [1], "event_timestamp": [1], "trips": [1]}
    answer = pushed(service, "/push", {"push_source_name": "driver_stats", "df": rows})
    assert (answer.status, answer.error["code"]) == (503, "TAIL_BUSY")
    assert (answer.headers["retry-after"], answer.headers["connection"]) == ("1", "close")


# ---------------------------------------------------------------- who may ask


@pytest.mark.parametrize("given", ["Bearer s3cret", "bearer s3cret", "Bearer  s3cret "])
def test_a_token_that_is_right(shop: Shop, given: str) -> None:
    app = ServingApp(shop, token="s3cret")
    assert ask(app, "POST", "/get-online-features", ASK, {"authorization": given}).status == 200


@pytest.mark.parametrize("given", [None, "", "Bearer", "Bearer wrong", "Basic s3cret", "Bearer s3cret2", "Bearer é"])
def test_a_token_that_is_wrong(shop: Shop, given: str | None) -> None:
    app = ServingApp(shop, token="s3cret")
    answer = ask(app, "POST", "/get-online-features", ASK, {"authorization": given} if given is not None else None)
    assert (answer.status, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert ask(app, "GET", "/metrics").status == 401
    assert ask(app, "GET", "/health").status == 200


@pytest.mark.parametrize("headers", [{"origin": "https://evil.example"}, {"host": "evil.example"}])
def test_without_a_token_no_browser_and_no_other_name(app: ServingApp, headers: dict[str, str]) -> None:
    assert ask(app, "POST", "/get-online-features", ASK, headers).status == 403


# ---------------------------------------------------------------- writing


def pushed(shop: Shop, path: str, body: dict[str, Any]) -> Any:
    app = ServingApp(shop)
    answer = ask(app, "POST", path, body)
    app.close()
    return answer


@pytest.mark.parametrize("source", ["driver_stats", "driver_push"])
def test_push_and_read_again(source: str) -> None:
    shop = Shop.opened()
    rows = {
        "driver_id": ["1001", 1003],
        "event_timestamp": ["2026-01-02T00:00:00+00:00", "2026-01-02"],
        "trips": [11, 3],
    }
    body = {"push_source_name": source, "df": rows, "to": "online_and_offline", "allow_registry_cache": True}
    answer = pushed(shop, "/push", body)
    assert (answer.status, answer.body) == (200, b"")
    after = online(ServingApp(shop), ["driver_stats:trips", "driver_stats:city"], {"driver_id": [1001, 1003]}).json
    assert [column["values"] for column in after["results"][1:]] == [[11, 3], [None, None]]
    assert after["results"][2]["statuses"] == ["NULL_VALUE", "NULL_VALUE"]


def test_write_to_the_online_store_as_a_remote_client_does() -> None:
    shop = Shop.opened()
    rows = {
        "driver_id": [1001], "trips": [12], "conv_rate": ["Infinity"], "hired": [NOON // 10**6],
        "event_timestamp": ["2026-01-03T00:00:00.000001"], "created": ["NaT"],
    }  # fmt: skip
    answer = pushed(shop, "/write-to-online-store", {"feature_view_name": "driver_stats", "df": rows})
    assert (answer.status, answer.body) == (200, b"null")
    names = ["trips", "conv_rate", "hired"]
    after = online(ServingApp(shop), [f"driver_stats:{name}" for name in names], {"driver_id": [1001]}).json
    assert [column["values"] for column in after["results"][1:]] == [[12], ["Infinity"], [NOON // 10**6]]
    assert after["results"][1]["event_timestamps"] == ["2026-01-03T00:00:00.000001Z"]


@pytest.mark.parametrize(
    ("path", "body", "status", "kind"),
    [
        ("/push", {"push_source_name": "none", "df": {}}, 422, "PushSourceNotFoundException"),
        ("/write-to-online-store", {"feature_view_name": "no", "df": {}}, 404, "FeatureViewNotFoundException"),
        ("/push", {"push_source_name": "price", "df": {}}, 422, "FeastError"),
        ("/push", {"push_source_name": "driver_stats", "df": {"trips": [1]}}, 422, "FeastError"),
        ("/push", {"push_source_name": "driver_stats", "df": {"driver_id": [1], "trips": []}}, 422, "FeastError"),
        ("/push", {"push_source_name": "driver_stats", "df": {"driver_id": [1], "trips": ["x"]}}, 422, "FeastError"),
        ("/push", {"push_source_name": "driver_stats", "df": {"driver_id": [1], "event_timestamp": ["no"]}}, 422,
         "FeastError"),
        ("/push", {"push_source_name": "driver_stats", "df": {"driver_id": [1], "more": [2**80]}}, 422, "FeastError"),
    ],
)  # fmt: skip
def test_rows_that_are_none(shop: Shop, path: str, body: dict[str, Any], status: int, kind: str) -> None:
    answer = pushed(shop, path, body)
    assert (answer.status, answer.error["class"]) == (status, kind)


def test_an_unknown_destination(app: ServingApp) -> None:
    answer = ask(app, "POST", "/push", {"push_source_name": "driver_stats", "df": {}, "to": "moon"})
    assert answer.status == 422
    assert "moon" in answer.json["detail"][0]["msg"]


# ---------------------------------------------------------------- materializing

WINDOW = {"start_ts": "2026-01-01T00:00:00", "end_ts": "2026-01-02T00:00:00+00:00"}


def test_materialize_lets_the_store_follow() -> None:
    shop = Shop.opened()
    answer = pushed(shop, "/materialize", {**WINDOW, "feature_views": ["driver_stats"], "version": None})
    assert (answer.status, answer.body) == (200, b"null")
    assert pushed(shop, "/materialize-incremental", {"end_ts": WINDOW["end_ts"]}).status == 200
    assert shop.synced == [("driver_stats",), tuple(shop.bound.views)]


def test_one_that_is_under_way_is_a_conflict() -> None:
    shop = Shop.opened()
    shop.going.clear()
    app = ServingApp(shop)

    async def requests() -> list[Any]:
        first = await put(app, "POST", "/materialize?async=true", json.dumps(body).encode())
        again = await put(app, "POST", "/materialize", json.dumps({**WINDOW, "feature_views": None}).encode())
        other = await put(app, "POST", "/materialize?async=true", json.dumps(WINDOW | OTHER).encode())
        return [first, again, other]

    body = {**WINDOW, "feature_views": ["driver_stats"]}
    first, again, other = asyncio.run(requests())
    assert (first.status, first.json) == (202, {"status": "accepted", "feature_views": ["driver_stats"]})
    assert (again.status, again.json["feature_views"]) == (409, ["driver_stats"])
    assert other.status == 202
    shop.going.set()
    app.close()
    assert sorted(shop.synced) == [("driver_stats",), ("stock_now",)]
    assert pushed(shop, "/materialize", body).status == 200


OTHER = {"feature_views": ["stock_now"]}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({**WINDOW, "feature_views": ["nothing"]}, 404),
        ({"feature_views": ["driver_stats"]}, 422),
        ({"start_ts": "soon", "end_ts": "later"}, 422),
        ({"start_ts": WINDOW["end_ts"], "end_ts": WINDOW["start_ts"]}, 422),
        ({"disable_event_timestamp": True, "feature_views": []}, 200),
    ],
)
def test_windows_that_are_none(shop: Shop, body: dict[str, Any], status: int) -> None:
    assert pushed(shop, "/materialize", body).status == status


# ---------------------------------------------------------------- of itself


def test_metrics_count_requests_statuses_and_entities(shop: Shop) -> None:
    app = ServingApp(shop)
    online(app, ["driver_stats:conv_rate", "driver_stats:trips"], {"driver_id": [1001, 1002, 9]})
    online(app, ["none:n"], {"driver_id": [1]})
    ask(app, "GET", "/somewhere")
    told = ask(app, "GET", "/metrics").body.decode().splitlines()
    assert 'penstock_http_requests_total{endpoint="/get-online-features",status="200"} 1' in told
    assert 'penstock_http_requests_total{endpoint="/get-online-features",status="404"} 1' in told
    assert 'penstock_http_requests_total{endpoint="other",status="404"} 1' in told
    assert 'penstock_online_values_total{status="PRESENT"} 3' in told
    assert 'penstock_online_values_total{status="NULL_VALUE"} 1' in told
    assert 'penstock_online_values_total{status="NOT_FOUND"} 2' in told
    assert "penstock_online_entities_total 3" in told
    assert 'penstock_http_request_seconds_count{endpoint="/get-online-features"} 2' in told
    assert 'penstock_http_request_seconds_bucket{endpoint="/get-online-features",le="+Inf"} 2' in told


def test_openapi_names_every_path(app: ServingApp) -> None:
    told = ask(app, "GET", "/openapi.json").json
    paths = {*told["paths"], "/openapi.json"}
    assert paths == set(app._routes)
    for path, (method, _) in app._routes.items():
        if path != "/openapi.json":
            assert list(told["paths"][path]) == [method.lower()]
    for reference in set(_references(told)):
        assert reference.removeprefix("#/components/schemas/") in told["components"]["schemas"]


def _references(told: Any) -> Any:
    if isinstance(told, dict):
        yield from ([told["$ref"]] if "$ref" in told else [])
        told = list(told.values())
    for one in told if isinstance(told, list) else []:
        yield from _references(one)


# ---------------------------------------------------------------- over a socket


def request(body: bytes, *headers: bytes) -> bytes:
    lines = [b"POST /get-online-features HTTP/1.1", b"host: localhost", b"content-length: %d" % len(body), *headers]
    return b"\r\n".join([*lines, b"", body])


def test_one_connection_serves_many_requests_and_survives_all_that_is_wrong(shop: Shop) -> None:
    with listened(shop) as listen:
        answers = raw(listen, request(ASK) + request(b"{") + request(ASK, b"connection: close"))
        assert answers.count(b"HTTP/1.1 200 OK") == 2
        assert answers.count(b"HTTP/1.1 422 ") == 1
        for wrong in (b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", request(ASK)[:-5], b"POST / HTTP/9.9\r\n\r\n"):
            assert b"200 OK" not in raw(listen, wrong, half_close=True, wait=1.0)
        assert b" 200 OK" in raw(listen, request(ASK, b"connection: close"))


def test_a_body_that_comes_late_and_in_pieces(shop: Shop) -> None:
    with listened(shop) as listen:
        host, port = listen.http.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=60) as connection:
            asked = request(ASK, b"connection: close")
            for first in range(0, len(asked), 60):
                connection.sendall(asked[first : first + 60])
                time.sleep(0.02)
            parts = []
            while part := connection.recv(65536):
                parts.append(part)
    assert b"".join(parts).startswith(b"HTTP/1.1 200 OK")
    assert b"[10]" in b"".join(parts)


def test_requests_at_once_over_sockets(shop: Shop) -> None:
    answers: list[bytes] = []
    with listened(shop) as listen:
        asked = request(ASK, b"connection: close")
        threads = [threading.Thread(target=lambda: answers.append(raw(listen, asked))) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len({answer.partition(b"\r\n\r\n")[2] for answer in answers}) == 1
    assert all(answer.startswith(b"HTTP/1.1 200 OK") for answer in answers)


def test_a_server_that_stops_finishes_what_is_under_way() -> None:
    shop = Shop.opened()
    shop.going.clear()
    body = json.dumps({**WINDOW, "feature_views": ["driver_stats"]}).encode()
    asked = request(body, b"connection: close").replace(b"/get-online-features", b"/materialize")
    answers: list[bytes] = []
    with listened(shop) as listen:
        thread = threading.Thread(target=lambda: answers.append(raw(listen, asked)))
        thread.start()
        assert shop.asked.wait(60)
        threading.Timer(0.2, shop.going.set).start()  # the server is being stopped by then
    thread.join()
    assert answers[0].endswith(b"null")


@pytest.mark.parametrize("path", ["/search", "/retrieve-online-documents"])
def test_what_is_not_served_is_said_so_that_feasts_clients_show_it(app: ServingApp, path: str) -> None:
    told = ask(app, "POST", path, b'{"features": ["v:emb"], "query": [0.5], "top_k": 2, "api_version": 2}')
    assert (told.status, told.error["class"], told.error["code"]) == (404, "FeastError", "SERVE_PATH")
    assert "Vectors are not searched here." in told.error["message"]
