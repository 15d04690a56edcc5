"""Brokers for tests: real Redis and NATS servers, and librdkafka's own mock cluster for Kafka."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from penstock.lake.versioned import Lake, open_lake


def _absent(reason: str) -> NoReturn:
    if os.environ.get("PENSTOCK_REQUIRE_SERVERS"):
        pytest.fail(f"PENSTOCK_REQUIRE_SERVERS is set, but {reason}")
    pytest.skip(reason)


@dataclass(frozen=True)
class Broker:
    """A stream of its own on a server: its URL, how to send to it, and a URL of a stream that is not there."""

    url: str
    send: Callable[[Sequence[bytes]], None]
    unknown: str


def micros() -> int:
    return time.time_ns() // 1000


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


@pytest.fixture
def redis_broker() -> Iterator[Broker]:
    """A key of its own on the Redis at ``PENSTOCK_TEST_REDIS``, deleted afterwards."""
    redis = pytest.importorskip("redis")
    server = os.environ.get("PENSTOCK_TEST_REDIS", "redis://127.0.0.1:6379")
    parts = urlsplit(server)
    client = redis.Redis(host=parts.hostname, port=parts.port or 6379, password=parts.password, username=parts.username)
    try:
        client.ping()
    except redis.ConnectionError as error:
        _absent(f"Redis does not answer: set PENSTOCK_TEST_REDIS ({error})")
    key = f"penstock-{uuid4().hex}"
    client.xadd(key, {"data": b"{}"}, id="0-1")  # the stream is there before its first message
    client.xdel(key, "0-1")

    def send(payloads: Sequence[bytes]) -> None:
        with client.pipeline(transaction=False) as pipeline:
            for payload in payloads:
                pipeline.xadd(key, {"data": payload})
            pipeline.execute()

    yield Broker(parts._replace(path=f"/{key}").geturl(), send, parts._replace(path="/absent").geturl())
    client.delete(key)
    client.close()


@pytest.fixture
def nats_broker() -> Iterator[Broker]:
    """A JetStream stream of its own on the NATS at ``PENSTOCK_TEST_NATS``, deleted afterwards."""
    nats = pytest.importorskip("nats")
    server = os.environ.get("PENSTOCK_TEST_NATS", "nats://127.0.0.1:4222")
    name = f"penstock-{uuid4().hex}"
    loop = asyncio.new_event_loop()
    try:
        client = loop.run_until_complete(nats.connect(server, connect_timeout=30, allow_reconnect=False))
    except (OSError, nats.errors.Error) as error:
        loop.close()
        _absent(f"NATS does not answer: set PENSTOCK_TEST_NATS ({error})")
    streams = client.jetstream()
    loop.run_until_complete(streams.add_stream(name=name, subjects=[f"{name}.>"]))

    async def publish(payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            await streams.publish_async(f"{name}.rows", payload)
        await streams.publish_async_completed()

    yield Broker(f"{server}/{name}", lambda payloads: loop.run_until_complete(publish(payloads)), f"{server}/absent")
    loop.run_until_complete(streams.delete_stream(name))
    loop.run_until_complete(client.close())
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


@pytest.fixture
def kafka_broker() -> Iterator[Broker]:
    """A topic of several partitions on a mock cluster, which lives as long as the producer that is its server."""
    kafka = pytest.importorskip("confluent_kafka")
    producer = kafka.Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    hosts = ",".join(f"{b.host}:{b.port}" for b in producer.list_topics(timeout=60).brokers.values())
    partitions = len(producer.list_topics("rows", timeout=60).topics["rows"].partitions)  # asking makes it

    def send(payloads: Sequence[bytes]) -> None:
        for at, payload in enumerate(payloads):
            producer.produce("rows", payload, partition=at % partitions)
        assert producer.flush(60) == 0

    yield Broker(f"kafka://{hosts}/rows", send, f"kafka://{hosts}/absent")
    producer.flush(1)


@pytest.fixture(params=["redis", "nats", "kafka"])
def broker(request: pytest.FixtureRequest) -> Broker:
    found = request.getfixturevalue(f"{request.param}_broker")
    assert isinstance(found, Broker)
    return found
