"""The shortest way answers as the usual one does, byte for byte, however the bytes of requests arrive."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest

from penstock.lake.streams.listening import bound
from penstock.serving.app import ServingApp
from penstock.serving.limits import Limits
from penstock.serving.running import listening
from tests.serving.shop import Shop

QuickProtocol = pytest.importorskip("penstock.serving.quick", exc_type=ImportError).QuickProtocol

GOOD = b'{"features": ["driver_stats:trips", "driver_stats:city"], "entities": {"driver_id": [1001, 1002, 9999]}}'
LIMITS = Limits(body=4096)
BODIES = (
    GOOD,
    b'{"features": ["driver_stats:trips"], "entities": {"driver_id": [1001]}, "full_feature_names": true}',
    b'{"features": ["absent:trips"], "entities": {"driver_id": [1001]}}',
    b'{"features": ["driver_stats:trips"], "entities": {"driver_id": ["x"]}}',
    b"{", b"", b"[1, 2]", b"\xff\xfe", b"[" * 3000, b'{"features": 7}', b"x" * 5000,
)  # fmt: skip


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    where = bound("127.0.0.1", 0, "SERVE")
    with where, listening(Shop.opened(), where, limits=LIMITS):
        yield where.getsockname()[1]


def request(body: bytes, *headers: bytes, version: bytes = b"1.1", path: bytes = b"/get-online-features") -> bytes:
    told = b"".join(header + b"\r\n" for header in headers)
    length = b"content-length: %d\r\n" % len(body)
    return b"POST %b HTTP/%b\r\nhost: localhost\r\n%b%b\r\n%b" % (path, version, length, told, body)


def answers(
    port: int, pieces: list[bytes], count: int, pause: float = 0.0
) -> list[tuple[bytes, dict[bytes, bytes], bytes]]:
    """The answers that come when these pieces are sent; the date, which moves on, left out."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for piece in pieces:
            connection.sendall(piece)
            time.sleep(pause)
        stream = connection.makefile("rb")
        return [one_answer(stream) for _ in range(count)]


def one_answer(stream: object) -> tuple[bytes, dict[bytes, bytes], bytes]:
    status = stream.readline()  # type: ignore[attr-defined]
    headers = {}
    while (line := stream.readline().strip()) != b"":  # type: ignore[attr-defined]
        name, _, value = line.partition(b": ")
        headers[name.lower()] = value
    headers.pop(b"date", None)
    return status, headers, stream.read(int(headers.get(b"content-length", b"0")))  # type: ignore[attr-defined]


@pytest.mark.parametrize("body", BODIES, ids=range(len(BODIES)))
def test_whole_or_in_pieces_the_answer_is_the_same(port: int, body: bytes) -> None:
    whole = request(body)
    pieces = [whole[:40], whole[40:-3], whole[-3:]]
    assert answers(port, [whole], 1) == answers(port, pieces, 1, pause=0.02)


def test_requests_one_after_another_and_in_one_breath(port: int) -> None:
    (one,) = answers(port, [request(GOOD)], 1)
    assert one[0] == b"HTTP/1.1 200 OK\r\n"
    assert answers(port, [request(GOOD)] * 5, 5) == [one] * 5
    assert answers(port, [request(GOOD) * 5], 5) == [one] * 5
    health = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    mixed = answers(port, [health + request(GOOD) + health + request(GOOD)], 4)
    assert [status for status, _, _ in mixed] == [b"HTTP/1.1 200 OK\r\n"] * 4
    assert [body for _, _, body in mixed] == [b"", one[2], b"", one[2]]


def test_a_head_that_is_known_is_answered_as_one_that_is_not(port: int) -> None:
    other = GOOD.replace(b"trips", b"spirt")  # a body as long as the known one, with another answer
    assert len(other) == len(GOOD)
    known, unknown = request(GOOD), request(other, b"x-new: 1")
    (good,), (bad,) = answers(port, [known], 1), answers(port, [unknown], 1)
    assert (good[0], bad[0]) != (bad[0], good[0])
    for first in (known, request(other)):  # a connection that begins with a known head, and one that goes on with it
        want = good if first is known else bad
        assert answers(port, [first, known, request(other), known], 4, pause=0.02) == [want, good, bad, good]
    head, body = known[: -len(GOOD)], GOOD
    assert answers(port, [head, body, known, head + body[:9], body[9:]], 3, pause=0.02) == [good] * 3
    assert answers(port, [known + known[:50], known[50:], known], 3, pause=0.02) == [good] * 3
    longer = head + body + b"\r\n"  # a blank line may come before the next request
    assert answers(port, [longer, known], 2, pause=0.02) == [good] * 2
    health = b"GET /health HTTP/1.1\r\nhost: localhost\r\n\r\n"
    assert answers(port, [known, health + known, known], 4, pause=0.02)[::3] == [good] * 2


def test_only_heads_that_were_admitted_are_known() -> None:
    where = bound("127.0.0.1", 0, "SERVE")
    with where, listening(Shop.opened(), where, token="secret") as listen:
        port = int(listen.http.rpartition(":")[2])
        anyone, wrong = request(GOOD), request(GOOD, b"authorization: Bearer wrong!")
        right = request(GOOD, b"authorization: Bearer secret")
        for _ in range(3):
            statuses = [status[9:12] for status, _, _ in answers(port, [anyone, right, wrong, right], 4, pause=0.02)]
            assert statuses == [b"401", b"200", b"401", b"200"]


def test_a_connection_that_rests_too_long_is_closed_and_one_that_asks_is_not(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers(port, [request(GOOD)], 1)  # its head is known from now on
    made = QuickProtocol.connection_made

    def hurried(self: object, transport: object) -> None:
        self.timeout_keep_alive = 1.0  # type: ignore[attr-defined]
        made(self, transport)

    monkeypatch.setattr(QuickProtocol, "connection_made", hurried)
    assert any(lives_on(port, 2.0) for _ in range(20))


def lives_on(port: int, seconds: float) -> bool:
    """Whether a connection lives so long while it asks, and no longer; False where this machine let it rest."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        stream, began = connection.makefile("rb"), time.monotonic()
        last = began
        while last < began + seconds:
            connection.sendall(request(GOOD))
            status = one_answer(stream)[0]
            now = time.monotonic()
            if now - last > 0.5:
                return False
            assert status.endswith(b"200 OK\r\n")
            last = now
        return stream.read() == b""  # closed by the server


@pytest.mark.parametrize(
    ("data", "closes"),
    [
        (request(GOOD, b"connection: close"), True),
        (request(GOOD, version=b"1.0"), True),
        (request(GOOD, b"connection: keep-alive"), False),
    ],
)
def test_connections_end_when_asked_to(port: int, data: bytes, closes: bool) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(data)
        stream = connection.makefile("rb")
        assert one_answer(stream)[0].endswith(b"200 OK\r\n")
        if closes:
            assert stream.read() == b""
        else:
            connection.settimeout(0.5)
            with pytest.raises(TimeoutError):
                stream.read(1)


def test_unusual_ways_of_asking_are_answered_too(port: int) -> None:
    (one,) = answers(port, [request(GOOD)], 1)
    chunked = b"POST /get-online-features HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n"
    chunked += b"%x\r\n%b\r\n0\r\n\r\n" % (len(GOOD), GOOD)
    assert answers(port, [chunked], 1) == [one]
    assert answers(port, [request(GOOD, path=b"/get-online-features?a=b")], 1) == [one]
    assert answers(port, [request(GOOD, b"content-encoding: gzip")], 1)[0][0].startswith(b"HTTP/1.1 415")
    assert answers(port, [request(GOOD, b"origin: http://elsewhere")], 1)[0][0].startswith(b"HTTP/1.1 403")
    with socket.create_connection(("127.0.0.1", port), timeout=60) as half:
        half.sendall(request(GOOD)[:-5])  # and goes away
    assert answers(port, [b"garbage\r\n\r\n"], 1)[0][0].startswith(b"HTTP/1.1 400")
    assert answers(port, [request(GOOD)], 1) == [one]


def test_what_is_answered_at_once_is_counted(port: int) -> None:
    def counted() -> int:
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        with connection:
            connection.sendall(b"GET /metrics HTTP/1.1\r\nhost: localhost\r\n\r\n")
            text = one_answer(connection.makefile("rb"))[2].decode()
        lines = [line for line in text.splitlines() if 'endpoint="/get-online-features",status="200"' in line]
        return int(lines[0].rpartition(" ")[2]) if lines else 0

    before = counted()
    answers(port, [request(GOOD) * 3], 3)
    assert counted() == before + 3


def test_what_is_known_of_requests_changes_no_answer() -> None:
    shop = Shop.opened()
    known, host = ServingApp(shop, limits=LIMITS), {b"host": b"localhost"}
    begins = [
        b'{"features": ["driver_stats:trips", "driver_stats:city"], "entities": ',
        b'{"full_feature_names": true, "features": ["driver_stats:trips"], "entities": ',
        b'{"include_feature_view_version_metadata": true, "features": ["driver_stats:trips"], "entities": ',
        b'{"features": ["driver_stats:city"], "feature_service": "driver_service", "entities": ',
    ]
    rests = [
        b'{"driver_id": [1001]}}',
        b'{"driver_id": [9999, 1001, null]}}',
        b'{"driver_id": ["x"]}}',
        b'{"driver": [1]}}',
        b"{}}",
        b"[1]}",
        b'{"driver_id": 7}}',
        b'{"driver_id": [1002]}',
        b'{"driver_id": [1002]}]',
        b'{"driver_id": []}} ',
        b'{"driver_id": [1002]}, "features": ["driver_stats:conv_rate"]}',
        b'{"driver_id": [1]}, "full_feature_names": 1}',
        b'{"driver_id": [' + b"[" * 900 + b"]" * 900 + b"]}}",
    ]
    for body in [*(begins[0] + rest for rest in rests), *(begin + rest for begin in begins[1:] for rest in rests[:2])]:
        assert known.quick(host, body) == ServingApp(shop, limits=LIMITS).quick(host, body)


def test_a_fault_of_ours_is_a_number_and_no_trace() -> None:
    class Broken(Shop):
        def read(self, *_: object, **__: object) -> object:  # type: ignore[override]
            raise ValueError("secret")

    shop = Shop.opened()
    shop.__class__ = Broken
    answer = ServingApp(shop, limits=LIMITS).quick({b"host": b"localhost"}, GOOD)
    assert answer is not None
    assert (answer.status, b"secret" in answer.body, b"SERVE_FAILED" in answer.body) == (500, False, True)


@pytest.mark.parametrize("endless", [b"a" * 8192, b"x: y\r\n" * 1000])
def test_a_head_without_end_is_refused(port: int, endless: bytes) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(b"POST /get-online-features HTTP/1.1\r\nhost: localhost\r\nx: ")
        sent = 0
        with pytest.raises(OSError, match=r"reset|[Bb]roken pipe"):
            while sent < 1 << 24:
                connection.sendall(endless)
                sent += len(endless)
    assert answers(port, [request(GOOD)], 1)[0][0] == b"HTTP/1.1 200 OK\r\n"


@pytest.mark.parametrize("begun", [b"", b"POST /get-online-features HTTP/1.1\r\nhost:", request(GOOD) + b"POST /ge"])
def test_who_says_nothing_holds_no_place(monkeypatch: pytest.MonkeyPatch, begun: bytes) -> None:
    monkeypatch.setattr(QuickProtocol, "head_seconds", 0.2)
    with bound("127.0.0.1", 0, "SERVE") as where, listening(Shop.opened(), where):
        port, heard = where.getsockname()[1], b""
        connection = socket.create_connection(("127.0.0.1", port), timeout=60)
        connection.sendall(begun)
        while came := connection.recv(65536):
            heard += came
        connection.close()
    assert heard.count(b"HTTP/1.1 200 OK") == begun.count(b"\r\n\r\n")


def test_a_connection_that_waits_between_requests_stays(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    monkeypatch.setattr(QuickProtocol, "head_seconds", 0.2)
    assert [status for status, _, _ in answers(port, [request(GOOD)] * 3, 3, pause=0.4)] == [b"HTTP/1.1 200 OK\r\n"] * 3
