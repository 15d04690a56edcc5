"""Stores that say nothing: requests wait in threads, no longer than they may, and everybody else is answered."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from penstock.errors import FailedError, RequestError, StoreError
from penstock.online.stores import open_store
from penstock.online.waiting import left, within
from penstock.serving.app import ServingApp
from penstock.serving.limits import Limits
from penstock.serving.turns import Turns
from tests.pipeline.shop import made, opened
from tests.redisserver import OwnRedis, own_redis
from tests.serving.asking import listened, online, put, raw
from tests.serving.shop import Shop, StoredShop
from tests.serving.test_kills import posted, served

PROJECT = """
[features.plans]
entity = "customers.customer_id"
table = "customers"
columns = ["plan"]

[online]
store = "{}"
timeout = 60
"""
ASK = b'{"features": ["driver_stats:trips", "driver_trips:n_1d"], "entities": {"driver_id": [1001]}}'
HEALTH = b"GET /health HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
LONG = 60.0


@pytest.fixture(scope="module")
def redis() -> Iterator[OwnRedis]:
    with own_redis() as server:
        yield server


@pytest.fixture
def shop(redis: OwnRedis) -> Iterator[StoredShop]:
    """The shop, kept in that server."""
    usual = Shop.opened()
    made = StoredShop(usual.bound, usual.tables)
    made.store = open_store(redis.url)
    made._fill()
    made.wait = LONG
    yield made
    made.store.close()


def request(body: bytes) -> bytes:
    head = b"POST /get-online-features HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: %d\r\n\r\n"
    return head % len(body) + body


def test_others_are_answered_while_the_store_says_nothing(shop: StoredShop, redis: OwnRedis) -> None:
    with listened(shop) as listen:
        usual = raw(listen, request(ASK)).partition(b"\r\n\r\n")[2]
        port = int(listen.http.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=LONG) as waiting:
            with redis.paused():
                waiting.sendall(request(ASK))
                time.sleep(0.2)
                assert raw(listen, HEALTH).startswith(b"HTTP/1.1 200 OK")
                assert raw(listen, HEALTH.replace(b"/health", b"/metrics")).startswith(b"HTTP/1.1 200 OK")
                waiting.setblocking(False)
                with pytest.raises(BlockingIOError):
                    waiting.recv(1)
            waiting.settimeout(LONG)
            answer = b"".join(iter(lambda: waiting.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert json.loads(answer.partition(b"\r\n\r\n")[2]) == json.loads(usual)


def test_a_store_that_says_nothing_is_503_and_is_asked_again(shop: StoredShop, redis: OwnRedis) -> None:
    app = ServingApp(shop)
    features, whom = ["driver_stats:trips", "driver_trips:n_1d"], {"driver_id": [1001]}
    usual = online(app, features, whom).json
    shop.wait = 0.3
    with redis.paused():
        answer = online(app, features, whom)
        assert (answer.status, answer.error["code"], answer.headers["retry-after"]) == (503, "STORE_LOST", "1")
        assert f"the store redis://127.0.0.1:{redis.port} does not answer" in answer.error["message"]
    shop.wait = LONG
    assert online(app, features, whom).json == usual
    app.close()


def test_a_store_that_cannot_even_be_given_up_is_503(shop: StoredShop) -> None:
    """What does not mind the deadline itself, such as looking up a server's name."""
    going = threading.Event()

    class Stuck(StoredShop):
        def read(self, *_: Any, **__: Any) -> Any:
            going.wait(LONG)

    stuck = Stuck(shop.bound, shop.tables)
    stuck.wait = 0.05
    app = ServingApp(stuck, limits=Limits(readers=1, waiting=1))

    async def three() -> list[Any]:
        return await asyncio.gather(*(put(app, "POST", "/get-online-features", ASK) for _ in range(3)))

    answers = asyncio.run(three())
    assert [answer.status for answer in answers] == [503] * 3
    assert sorted(answer.error["code"] for answer in answers) == ["SERVE_BUSY", "STORE_SLOW", "STORE_SLOW"]
    going.set()
    app.close()


def test_work_whose_time_is_over_is_not_begun() -> None:
    turns, going, done = Turns("test", 1, 4), threading.Event(), list[str]()

    def work(name: str) -> None:
        going.wait(LONG)
        done.append(name)

    async def ask() -> None:
        first = asyncio.create_task(turns.do(None, work, "first"))
        await asyncio.sleep(0)
        with pytest.raises(StoreError, match=r"STORE_SLOW: the store has not answered within 0\.01 seconds"):
            await turns.do(0.01, work, "second")
        going.set()
        await first
        await turns.do(LONG, work, "third")

    asyncio.run(ask())
    turns.close()
    assert done == ["first", "third"]


def test_too_much_that_waits_is_refused_until_there_is_room() -> None:
    turns, going = Turns("test", 1, 1), threading.Event()

    async def ask() -> None:
        two = [asyncio.create_task(turns.do(None, going.wait, LONG)) for _ in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(FailedError, match="SERVE_BUSY: 2 requests of this kind"):
            await turns.do(None, going.wait, LONG)
        going.set()
        await asyncio.gather(*two)

    asyncio.run(ask())
    asyncio.run(turns.do(None, going.wait, LONG))
    turns.close()


def test_a_wait_is_no_longer_than_any_that_was_asked_for() -> None:
    assert left() is None
    assert left(5) == 5
    with within(LONG):
        with within(2 * LONG), within(None):
            found = left()
            assert found is not None
            assert found <= LONG
        with within(-1), pytest.raises(TimeoutError, match="it took too long"):
            left(5)
        assert left() is not None
    assert left() is None


@pytest.mark.parametrize("kind", ["redis", "postgresql"])
def test_who_takes_a_connection_and_says_nothing(kind: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, within(0.3), pytest.raises(StoreError) as caught:
        open_store(f"{kind}://ada:secret@127.0.0.1:{silent.getsockname()[1]}/0")
    assert caught.value.code == "STORE_LOST"
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("section", "seconds"),
    [
        ("", None), ('store = "kept"', None), ('store = "redis://u:p@cache?prefix=x"', 2.0), ('store = "live"', 30.0),
        ('store = "postgresql://db/x"\ntimeout = 5', 5.0), ('store = "live"\ntimeout = 0.5', 0.5),
    ],
)  # fmt: skip
def test_how_long_a_project_waits_for_its_store(tmp_path: Path, section: str, seconds: float | None) -> None:
    (tmp_path / "penstock.toml").write_text(f'name = "p"\n[online]\n{section}\n')
    assert opened(tmp_path).service().wait == seconds


@pytest.mark.parametrize("told", ["0", "-1", "inf", "nan"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, told: str) -> None:
    (tmp_path / "penstock.toml").write_text(f'name = "p"\n[online]\ntimeout = {told}\n')
    with pytest.raises(RequestError, match=r"ONLINE_TIMEOUT: \[online\] timeout = "):
        _ = opened(tmp_path).service().wait


def test_a_served_project_answers_on_while_its_store_says_nothing(tmp_path: Path) -> None:
    with own_redis() as server:
        folder = made(tmp_path, customers=4, days=30)
        file = folder / "penstock.toml"
        file.write_text(file.read_text() + PROJECT.format(server.url))
        opened(folder).run()
        ask = {"features": ["plans:plan"], "entities": {"customer_id": [1]}}
        with served(folder) as (_, url):
            usual = posted(f"{url}/get-online-features", ask)
            assert usual["results"][1]["statuses"] == ["PRESENT"]
            with server.paused():
                waiting = threading.Thread(target=posted, args=(f"{url}/get-online-features", ask))
                waiting.start()
                with urllib.request.urlopen(f"{url}/health", timeout=60) as answer:
                    assert answer.status == 200
                assert waiting.is_alive()
            waiting.join()
            assert posted(f"{url}/get-online-features", ask) == usual
        file.write_text(file.read_text().replace("timeout = 60", "timeout = 0.2"))
        with server.paused(), served(folder) as (_, url):
            with pytest.raises(urllib.error.HTTPError, match="503") as caught:
                posted(f"{url}/get-online-features", ask)
            caught.value.close()
