"""The store in Redis: the contract on a real server, and leases that run out."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator

import pytest
from redis import Redis

from penstock.errors import StoreError
from penstock.online.store import OnlineStore, Part
from penstock.online.stores import open_store
from penstock.online.stores.redis import RedisStore
from tests.conftest import _absent
from tests.online.contracts.suite import StoreContract, put

LEASE = 1.5
"""Seconds: soon over, and long enough for a thread that renews it on a machine that others use."""


@pytest.fixture
def prefix() -> Iterator[str]:
    """A prefix of the test's own on the Redis at ``PENSTOCK_TEST_REDIS``; what begins with it goes afterwards."""
    if not server():
        _absent("there is no Redis: set PENSTOCK_TEST_REDIS=redis://host:port")
    word = f"test-{secrets.token_hex(6)}"
    yield word
    with Redis.from_url(server()) as client:
        if names := list(client.scan_iter(f"{word}*", count=10_000)):
            client.unlink(*names)


def server() -> str:
    return os.environ.get("PENSTOCK_TEST_REDIS", "")


class TestRedis(StoreContract):
    @pytest.fixture
    def opener(self, prefix: str) -> Callable[[], OnlineStore]:
        return lambda: RedisStore(server(), prefix, lease=LEASE)


def test_stores_of_one_server_are_kept_apart_by_prefix(prefix: str):
    one, two = (open_store(f"{server()}?prefix={prefix}{number}") for number in (1, 2))
    one.write([put("s", b"k", b"v")], {"n": "1"})
    assert two.read("s", [b"k"]) == [[]] and two.spaces() == {} and two.notes() == {}
    with one.feeding(), two.feeding():
        two.drop("s")
    assert one.read("s", [b"k"]) == [[Part(0, b"v")]]
    one.close()
    two.close()


def test_a_lease_is_renewed_while_it_is_held(prefix: str):
    store = RedisStore(server(), prefix, lease=LEASE)
    with store.feeding():
        time.sleep(3 * LEASE)
        store.write([put("s", b"k", b"v")])
        with Redis.from_url(server()) as client:
            assert client.get(f"{prefix}:feeding") is not None
    with Redis.from_url(server()) as client:
        assert client.get(f"{prefix}:feeding") is None
    store.close()


def test_a_writer_whose_lease_another_has_taken_over_writes_no_more(prefix: str):
    slow, quick = (RedisStore(server(), prefix, lease=LEASE) for _ in range(2))
    with slow.feeding():
        slow.write([put("s", b"k", b"1")])
        with Redis.from_url(server()) as client:
            client.delete(f"{prefix}:feeding")  # as if it had been silent for so long
        with quick.feeding():
            quick.write([put("s", b"k", b"2")])
            with pytest.raises(StoreError) as caught:
                slow.write([put("s", b"k", b"3")])
    assert caught.value.code == "STORE_TAKEN"
    assert quick.read_part("s", [b"k"], 0) == [b"2"]
    with slow.feeding():
        slow.write([put("s", b"k", b"4")])
    slow.close()
    quick.close()


def end(client: Redis, name: str) -> None:
    """End the connections of that name."""
    ours = [one["id"] for one in client.client_list() if one["name"] == name]
    assert ours
    for number in ours:
        client.client_kill_filter(_id=number)


def test_connections_that_the_server_closed_are_made_again(prefix: str):
    store = RedisStore(server(), prefix)
    store.write([put("s", b"k", b"v")])
    with Redis.from_url(server()) as client:
        for _ in range(2):
            end(client, prefix)
            assert store.read("s", [b"k"]) == [[Part(0, b"v")]]
        with store.feeding():
            end(client, prefix)
            store.write([put("s", b"k", b"w")])
    assert store.read_part("s", [b"k"], 0) == [b"w"]
    store.close()


def test_what_nobody_wrote_is_said_to_be_damage(prefix: str):
    store = RedisStore(server(), prefix)
    store.write([put("s", b"k", b"v")])
    with Redis.from_url(server()) as client:
        client.set(f"{prefix}:k:s:k", "text")
    with pytest.raises(StoreError) as caught:
        store.read("s", [b"k"])
    assert caught.value.code == "STORE_DAMAGED"
    store.close()
