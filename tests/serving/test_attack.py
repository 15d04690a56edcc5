"""What nobody should send: each is refused or answered rightly, shows nothing of the inside, and harms nobody else."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from typing import Any

import pytest

from tests.serving.asking import listened, raw
from tests.serving.shop import NOON, StoredShop

TRIPS = "driver_stats:trips"
SECRETS = (b"Traceback", b"penstock/", b".py", b"SERVE_FAILED")


@pytest.fixture(scope="module")
def listen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    with listened(StoredShop.within(tmp_path_factory.mktemp("store"))) as found:
        yield found


def told(method: bytes, path: bytes, body: bytes | None, *headers: bytes) -> bytes:
    length = [] if body is None else [b"content-length: %d" % len(body)]
    lines = [method + b" " + path + b" HTTP/1.1", b"host: localhost", b"connection: close", *headers, *length]
    return b"\r\n".join([*lines, b"", body or b""])


def posted(body: object, path: bytes = b"/get-online-features") -> bytes:
    return told(b"POST", path, body if isinstance(body, bytes) else json.dumps(body).encode())


def asked(features: list[str], **entities: list[Any]) -> bytes:
    return posted({"features": features, "entities": entities})


def pushed(**columns: list[Any]) -> bytes:
    rows = {"driver_id": [7], "event_timestamp": [1], **columns}
    return posted({"push_source_name": "driver_stats", "df": rows}, b"/push")


def answered(listen: Any, sent: bytes) -> bytes:
    """The answer, and that of somebody else right after."""
    answer = raw(listen, sent)
    assert not [secret for secret in SECRETS if secret in answer]
    assert b'"values":[10]' in raw(listen, asked([TRIPS], driver_id=[1001]))
    return answer


@pytest.mark.parametrize(
    ("key", "status"),
    [
        (1001.0, 200), ("1001", 200), (None, 200), (-(2**63), 200), (True, 422), (1001.5, 422), (" 1001", 422),
        ("1_001", 422), ("+1001x", 422), ("\u0661\u0660\u0660\u0661", 422), ("NaN", 422), ("Infinity", 422), ("-", 422),
        (2**63, 422), (-(2**63) - 1, 422), (2**64 + 1001, 422), (1e300, 422), ({"a": 1}, 422), ([1001], 422),
        ("1001\0", 422), ("", 422), (10**400, 422),
    ],
    ids=lambda one: repr(one)[:20],
)  # fmt: skip
def test_keys(listen: Any, key: object, status: int) -> None:
    answer = answered(listen, asked([TRIPS], driver_id=[key]))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b'"values":[10]' in answer) == (key in (1001.0, "1001"))


@pytest.mark.parametrize(
    ("sku", "status"), [("a\0b", 200), ("x" * 100_000, 200), ("\U0001f600", 200), (7, 422), (["a"], 422)]
)
def test_keys_that_are_texts(listen: Any, sku: object, status: int) -> None:
    answer = answered(listen, asked(["stock_now:level"], sku=[sku], store_id=[1]))
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert (b'"NOT_FOUND"' in answer) == (status == 200)


@pytest.mark.parametrize(
    "body",
    [
        b'{"features":["driver_stats:trips"],"entities":{"driver_id":[NaN]}}',
        b'{"features":["driver_stats:trips"],"entities":{"driver_id":[1001]}} x',
        b'\xef\xbb\xbf{"features":["driver_stats:trips"],"entities":{"driver_id":[1001]}}',
        '{"features":["driver_stats:trips"],"entities":{"driver_id":[1001]}}'.encode("utf-16"),
        b'{"features":["stock_now:level"],"entities":{"sku":["\xff\xfe"],"store_id":[1]}}',
        b'{"features":["stock_now:level"],"entities":{"sku":["\\ud800"],"store_id":[1]}}',
        b'{"features":["driver_stats:trips"],"entities":{"driver_id":[1001],"driver_id":[[1]]}}',
        b'{"features":["driver_stats:trips"],"entities":{"driver_id":' + b"[" * 10_000 + b"]" * 10_000 + b"}}",
    ],
    ids=range(8),
)  # fmt: skip
def test_bodies(listen: Any, body: bytes) -> None:
    assert answered(listen, posted(body)).startswith(b"HTTP/1.1 422 ")


def test_of_a_name_that_is_said_twice_the_last_counts_and_is_told(listen: Any) -> None:
    answer = answered(
        listen, posted(b'{"features":["driver_stats:trips"],"entities":{"driver_id":[1],"driver_id":[1001]}}')
    )
    results = json.loads(answer.partition(b"\r\n\r\n")[2])["results"]
    assert [one["values"] for one in results] == [[1001], [10]]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (asked([TRIPS] * 100_000, driver_id=[1]), 413),
        (asked([TRIPS], driver_id=list(range(1_000_000))), 413),
        (asked([TRIPS], driver_id=list(range(100_001))), 413),
        (told(b"POST", b"/push", None, b"content-length: 16777217"), 413),
        (asked(["v" * 1_000_000], driver_id=[1]), 422),
        (asked(["driver_stats:" + "v" * 1_000_000], driver_id=[1]), 422),
        (posted({"feature_service": "s" * 1_000_000, "entities": {}}), 404),
        (posted({"start_ts": "9" * 1_000_000, "end_ts": "x"}, b"/materialize"), 422),
        (told(b"GET", b"/" + b"a" * 60_000, None), 404),
        (pushed(**{"x" * 1_000_000: [1]}, city=[1]), 422),
        (pushed(city=["c"] * 2), 422),
        (asked([TRIPS], driver_id=["9" * 1_000_000]), 422),
        (asked([TRIPS], driver_id=[{"a" * 1_000_000: 1}]), 422),
    ],
    ids=range(13),
)  # fmt: skip
def test_too_much_is_refused_in_few_words(listen: Any, sent: bytes, status: int) -> None:
    answer = answered(listen, sent)
    assert answer.startswith(b"HTTP/1.1 %d " % status)
    assert len(answer) < 20_000


@pytest.mark.parametrize(
    "columns",
    [
        {"trips": [2**64]}, {"trips": ["NaN"]}, {"trips": [1.5]}, {"trips": [True]}, {"event_timestamp": ["NaN"]},
        {"event_timestamp": [1e300]}, {"event_timestamp": [1e305]}, {"event_timestamp": ["Infinity"]},
        {"event_timestamp": [True]}, {"city": [["a"]]},
        {"city": [{"a": 1}]}, {"driver_id": ["x"]}, {"driver_id": [1, 2]}, {"active": ["yes?"]}, {"conv_rate": ["1,5"]},
        {"conv_rate": [10**400]}, {"conv_rate": [2**53 + 1]}, {"hired": [-1e300]},
    ],
    ids=lambda one: repr(one)[:30],
)  # fmt: skip
def test_rows(listen: Any, columns: dict[str, list[Any]]) -> None:
    assert answered(listen, pushed(**columns)).startswith(b"HTTP/1.1 422 ")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_float_that_is_no_number_is_served_as_it_was_pushed(listen: Any, value: str) -> None:
    when = NOON / 10**6 + len(value)
    row = {"driver_id": [1002], "conv_rate": [value], "event_timestamp": [when]}
    assert answered(listen, pushed(**row)).startswith(b"HTTP/1.1 200 ")
    answer = answered(listen, asked(["driver_stats:conv_rate"], driver_id=[1002]))
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["results"][1]["values"] == [value]


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (told(b"OPTIONS", b"/get-online-features", b""), 405), (told(b"OPTIONS", b"*", b""), 404),
        (told(b"HEAD", b"/get-online-features", None), 405), (told(b"HEAD", b"/metrics", None), 200),
        (told(b"TRACE", b"/health", None), 405), (told(b"CONNECT", b"localhost:80", None), 400),
        (told(b"GET", b"/%2e%2e/%00health", None), 404), (told(b"GET", b"http://localhost/health", None), 200),
        (told(b"POST", b"/push", b"x", b"content-length: 3"), 400),
        (told(b"POST", b"/push", None, b"content-length: -1"), 400),
        (told(b"POST", b"/push", None, b"content-length: 99999999999999999999"), 400),
        (told(b"POST", b"/push", b"0\r\n\r\n", b"transfer-encoding: chunked"), 400),
        (told(b"POST", b"/push", None, b"transfer-encoding: chunked") + b"FFFFFFFFFFFFFFFFFF\r\n", 400),
        (told(b"POST", b"/push", None, b"transfer-encoding: chunked") + b"zz\r\n\r\n", 400),
        (told(b"GET", b"/health", None, b"x\0y: 1"), 400), (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (told(b"GET", b"/health", None, *(b"x-%d: y" % n for n in range(2_000))), 200),
        (told(b"POST", b"/push", b"{}", b"content-encoding: gzip"), 415),
    ],
    ids=range(18),
)  # fmt: skip
def test_requests_that_are_odd(listen: Any, sent: bytes, status: int) -> None:
    assert answered(listen, sent).startswith(b"HTTP/1.1 %d " % status)


def test_connections_that_end_anywhere(listen: Any) -> None:
    whole, host = asked([TRIPS], driver_id=[1001]), ("127.0.0.1", int(listen.http.rpartition(":")[2]))
    for place in range(0, len(whole), 7):
        connection = socket.create_connection(host)
        connection.sendall(whole[:place])
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # it ends at once
        connection.close()
    for _ in range(20):
        connection = socket.create_connection(host)
        connection.sendall(asked([TRIPS], driver_id=list(range(20_000))))
        connection.close()  # nobody takes the answer
    answered(listen, whole)
