"""Rows pushed by HTTP: each is durable before it is answered for, and abuse gets a plain answer."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator

import pytest

from penstock.errors import SourceError
from penstock.lake.streams import Limits, Stream, open_stream
from penstock.lake.streams.push import TOKEN
from penstock.lake.versioned import Lake
from tests.lake.streams.streaming import Running, count, log, running

JSON = {"Content-Type": "application/json"}


@pytest.fixture
def port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest.fixture
def pushed(lake: Lake, port: int) -> Iterator[Running]:
    with running([stream(port)], lake) as runs:
        runs.until(lambda: answers(port))
        yield runs


def stream(port: int, table: str = "orders", **how) -> Stream:
    limits = how.pop("limits", Limits(request_bytes=100_000))
    return Stream(table, f"http://127.0.0.1:{port}/push/{table}", table, ("id",), limits=limits, **how)


def answers(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def post(port: int, body: bytes | str, path: str = "/push/orders", method: str = "POST", **headers: str):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        told = {**JSON, **{name.replace("_", "-"): value for name, value in headers.items()}}
        connection.request(method, path, body, told)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("body", "rows"),
    [
        (b'{"id": 1}', 1),
        (b'[{"id": 1}, {"id": 2}]', 2),
        (b'{"id": 1}\n{"id": 2}\n\n{"id": 3}', 3),
        (b'\xef\xbb\xbf{"id": 1}', 1),
        (b"[]", 0),
        (b'{\n "id": 1,\n "deep": {"er": 2}\n}', 1),
    ],
)
def test_rows_are_readable_when_they_are_answered_for(pushed, port: int, lake: Lake, body: bytes, rows: int):
    status, said, _ = post(port, body)
    assert (status, said) == (200, {"written": rows, "duplicates": 0, "dead": 0, "repeated": False})
    assert count(lake, "orders") == rows


def test_a_row_that_does_not_fit_is_answered_for_as_dead(pushed, port: int, lake: Lake):
    assert post(port, b'[{"id": 1, "v": 1.5}, {"v": 2}, {"id": 2, "v": "x"}]')[1]["dead"] == 2
    pushed.finish()
    assert {row["raw"] for row in log(lake, "orders__dead")} == {'{"v": 2}', '{"id": 2, "v": "x"}'}


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "this is empty"),
        (b"  ", "this is empty"),
        (b"{", "this is no JSON"),
        (b'{"id": 1}\n{"id": ', "line 2: this is no JSON"),
        (b'{"id": NaN}', "NaN is no JSON number"),
        (b'{"id": 1e999999999999}x', "this is no JSON"),
        (b"\xff\xfe\x00", "its bytes are no UTF-8"),
        (b"[1]", "row 1 is no JSON object"),
        (b'"text"', "row 1 is no JSON object"),
        (b"null", "row 1 is no JSON object"),
        (b'[{"id": 1}, []]', "row 2 is no JSON object"),
        (b"[" * 90_000, "nested too deeply"),  # Python 3.14 follows fifty thousand
        (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, "nested too deeply"),
        (b'{"a": {"b": 1}, "a_b": 2}', "two of its fields are called 'a_b'"),
        (b"1" * 5_000, "this is no JSON"),
    ],
)
def test_a_body_without_rows_is_refused_with_a_reason(pushed, port: int, lake: Lake, body: bytes, said: str):
    status, answer, _ = post(port, body)
    assert status == 400
    assert answer["code"] == "PUSH_JSON"
    assert said in answer["message"]
    assert "Traceback" not in answer["message"]
    assert count(lake, "orders") == 0
    assert post(port, b'{"id": 1}')[0] == 200


@pytest.mark.parametrize(
    ("how", "status", "code"),
    [
        ({"path": "/push/others"}, 404, "PUSH_UNKNOWN"),
        ({"path": "/"}, 404, "PUSH_UNKNOWN"),
        ({"path": "/push/../push/orders"}, 404, "PUSH_UNKNOWN"),
        ({"method": "GET"}, 405, "PUSH_METHOD"),
        ({"method": "DELETE"}, 405, "PUSH_METHOD"),
        ({"Content_Type": "text/plain"}, 415, "PUSH_TYPE"),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415, "PUSH_TYPE"),
        ({"Content_Encoding": "gzip"}, 415, "PUSH_ENCODING"),
        ({"Origin": "https://evil.example"}, 403, "PUSH_ORIGIN"),
        ({"Host": "evil.example"}, 403, "PUSH_ORIGIN"),
        ({"Idempotency_Key": "a b"}, 400, "PUSH_KEY"),
        ({"Idempotency_Key": "x" * 256}, 400, "PUSH_KEY"),
        ({"body": b" " * 100_001}, 413, "PUSH_SIZE"),
    ],
)
def test_what_is_no_push_is_refused(pushed, port: int, how: dict, status: int, code: str):
    found, answer, _ = post(port, **{"body": b'{"id": 1}', **how})
    assert (found, answer["code"]) == (status, code)


def test_a_body_of_pieces_is_cut_off_where_it_grows_too_long(pushed, port: int):
    def pieces() -> Iterator[bytes]:
        for _ in range(1_000):
            yield b" " * 1_000

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/push/orders", pieces(), JSON, encode_chunked=True)
        assert connection.getresponse().status == 413
    except (BrokenPipeError, ConnectionResetError):
        pass  # the server closed while pieces were still sent
    finally:
        connection.close()
    assert post(port, b'{"id": 1}')[0] == 200


def test_garbage_instead_of_http_does_no_harm(pushed, port: int):
    for garbage in (
        b"\x16\x03\x01\x02\x00\x01",
        b"POST\r\n\r\n",
        b"POST /push/orders HTTP/1.1\r\nContent-Length: -5\r\n\r\n",
    ):
        with socket.create_connection(("127.0.0.1", port), 10) as connection:
            connection.sendall(garbage)
            connection.shutdown(socket.SHUT_WR)
            assert b"Traceback" not in connection.recv(10_000)
    assert post(port, b'{"id": 1}')[0] == 200


def test_a_repeat_under_one_idempotency_key_changes_nothing(pushed, port: int, lake: Lake):
    first = post(port, b'{"id": 1, "v": "a"}', Idempotency_Key="one")[1]
    assert post(port, b'{"id": 1, "v": "b"}')[1]["written"] == 1
    again = post(port, b'{"id": 1, "v": "a"}', Idempotency_Key="one")[1]
    assert (first["written"], first["repeated"]) == (1, False)
    assert (again["written"], again["repeated"]) == (0, True)
    status, answer, _ = post(port, b'{"id": 1, "v": "c"}', Idempotency_Key="one")
    assert (status, answer["code"]) == (422, "PUSH_KEY_REUSED")
    assert [row["v"] for row in log(lake, "orders")] == ["a", "b"]


def test_idempotency_keys_are_known_after_a_restart(port: int, lake: Lake):
    for repeated in (False, True, True):
        with running([stream(port)], lake) as runs:
            runs.until(lambda: answers(port))
            assert post(port, b'{"id": 1, "v": "a"}', Idempotency_Key="one")[1]["repeated"] is repeated
            assert post(port, b'{"id": 1, "v": "b"}', Idempotency_Key="two")[1]["repeated"] is repeated
            runs.finish()
    assert [row["v"] for row in log(lake, "orders")] == ["a", "b"]


def test_requests_at_the_same_time_under_one_key_are_one(pushed, port: int, lake: Lake):
    said: list[dict] = []
    threads = [
        threading.Thread(target=lambda: said.append(post(port, b'[{"id": 1}, {"id": 2}]', Idempotency_Key="k")[1]))
        for _ in range(16)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(said) == 16
    assert [answer["repeated"] for answer in said].count(False) == 1
    assert count(lake, "orders") == 2


def test_more_than_can_be_written_is_put_off(port: int, lake: Lake):
    narrow = Limits(tail_rows=0, requests=1, segment_seconds=1e9, segment_rows=10**9)
    with running([stream(port, limits=narrow)], lake) as runs:
        runs.until(lambda: answers(port))
        assert post(port, b'{"id": 1}')[0] == 200
        runs.until(lambda: runs.told[-1].state == "paused")
        said: list[tuple] = []
        threads = [threading.Thread(target=lambda: said.append(post(port, b'{"id": 2}'))) for _ in range(3)]
        for thread in threads:
            thread.start()
        runs.until(lambda: len(said) == 2)  # one waits in the queue, which has room for no more
        assert [(status, answer["code"], headers["Retry-After"]) for status, answer, headers in said] == [
            (429, "PUSH_LATER", "1")
        ] * 2
        runs.stop.set()
        for thread in threads:
            thread.join()
        assert (said[2][0], said[2][1]["code"]) == (503, "PUSH_LATER")
        runs.finish()
    assert [row["id"] for row in log(lake, "orders")] == [1]


def test_two_tables_share_a_port(port: int, lake: Lake):
    with running([stream(port, "a"), stream(port, "b")], lake) as runs:
        runs.until(lambda: answers(port) and post(port, b"[]", "/push/a")[0] == post(port, b"[]", "/push/b")[0] == 200)
        assert post(port, b'{"id": 1}', "/push/a")[0] == 200
        assert post(port, b'[{"id": 1}, {"id": 2}]', "/push/b")[0] == 200
        runs.finish()
    assert (count(lake, "a"), count(lake, "b")) == (1, 2)


def test_with_a_token_only_its_bearer_is_let_in(port: int, lake: Lake, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv(TOKEN, "s3cret")
    with running([stream(port)], lake) as runs:
        runs.until(lambda: answers(port))
        for wrong in (
            {},
            {"Authorization": "Bearer wrong"},
            {"Authorization": "s3cret"},
            {"Authorization": "Bearer é"},
        ):
            status, answer, headers = post(port, b'{"id": 1}', **wrong)
            assert (status, answer["code"], headers["WWW-Authenticate"]) == (401, "PUSH_TOKEN", "Bearer")
        assert post(port, b'{"id": 1}', Authorization="Bearer s3cret", Host="shop.example")[0] == 200
        runs.finish()


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.7", "shop.example"])
def test_without_a_token_no_other_machine_is_listened_to(host: str, port: int):
    with pytest.raises(SourceError, match=r"PUSH_OPEN: .* can be reached from other machines"):
        open_stream(f"http://{host}:{port}/push/orders", {})


def test_a_taken_port_is_told(port: int, lake: Lake):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", port))
        taken.listen()
        with running([stream(port)], lake) as runs:
            runs._thread.join(10)
            with pytest.raises(SourceError, match=r"PUSH_PORT: .* cannot be listened on"):
                runs.finish()
