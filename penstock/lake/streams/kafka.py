"""Kafka: ``kafka://[user:password@]host[:port][,host…]/TOPIC``; offsets are kept in the lake, not in the broker."""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, unquote, urlsplit

from penstock.errors import SourceError
from penstock.lake.source import missing_package, printable, without_password
from penstock.lake.streams.message import Message, Tally, lost, unknown_stream

if TYPE_CHECKING:
    from confluent_kafka import Consumer, KafkaError, TopicPartition

_ALLOWED = ("client.id", "isolation.level", "sasl.mechanism", "security.protocol", "ssl.ca.location")
_SECONDS = 5.0
_PARTITIONS_EVERY = 30.0
_QUIET = logging.getLogger("penstock.lake.streams.kafka")
_QUIET.addHandler(logging.NullHandler())
_QUIET.propagate = False


@dataclass
class KafkaReader:
    """All partitions of a topic, assigned to this reader alone."""

    url: str = field(repr=False)
    topic: str
    _consumer: Consumer
    _failures: list[KafkaError]
    _next: dict[int, int]
    _looked: float = field(default_factory=time.monotonic)

    def read(self, most: int, wait: float) -> Sequence[Message]:
        """What librdkafka has fetched; waits for a first message only."""
        first = self._consumer.poll(wait)
        found = [] if first is None else [first, *self._consumer.consume(most - 1, 0)]
        messages = []
        for message in found:
            self._check(message.error())
            partition, offset = message.partition(), message.offset()
            assert partition is not None and offset is not None
            self._next[partition] = offset + 1
            messages.append(Message(f"{self.topic}/{partition}", offset, message.value() or b""))
        if not found:
            self._check(self._failures[-1] if self._failures else None)
            self._look()
        self._failures.clear()
        return messages

    def _check(self, error: KafkaError | None) -> None:
        if error is not None:
            raise lost(printable(self.url), without_password(error.str(), self.url))

    def _look(self) -> None:
        """Begin anew where the topic has other partitions than before."""
        if time.monotonic() - self._looked > _PARTITIONS_EVERY:
            self._looked = time.monotonic()
            if set(_partitions(self._consumer, self.url, self.topic)) != set(self._next):
                raise lost(printable(self.url), f"the partitions of {self.topic} have changed")

    def settle(self, tallies: Sequence[Tally]) -> None:
        """Nothing to tell: the broker keeps no offsets of ours."""

    def lag(self) -> int | None:
        """By the newest offsets that fetches have told; None before one has."""
        behind = 0
        for partition in self._consumer.assignment():
            _, high = self._consumer.get_watermark_offsets(partition, cached=True)
            if high < 0:
                return None
            behind += max(high - self._next.get(partition.partition, 0), 0)
        return behind

    def close(self) -> None:
        """Leave."""
        self._consumer.close()


def open_kafka(url: str, positions: Mapping[str, int]) -> KafkaReader:
    """Go on after each partition's position. Raises ``SourceError``: ``STREAM_LOST``, or ``STREAM_UNKNOWN`` with the
    topics there."""
    try:
        from confluent_kafka import Consumer, TopicPartition
    except ImportError:
        raise missing_package("kafka", "confluent-kafka", "kafka") from None
    topic = unquote(urlsplit(url).path.removeprefix("/"))
    failures: list[KafkaError] = []
    consumer = Consumer({**_settings(url), "error_cb": failures.append}, logger=_QUIET)
    try:
        there = {p: positions.get(f"{topic}/{p}", -1) + 1 for p in _partitions(consumer, url, topic)}
        assigned: list[TopicPartition] = [TopicPartition(topic, p, offset) for p, offset in there.items()]
        consumer.assign(assigned)
    except BaseException:
        consumer.close()
        raise
    return KafkaReader(url, topic, consumer, failures, there)


def _partitions(consumer: Consumer, url: str, topic: str) -> Sequence[int]:
    from confluent_kafka import KafkaException

    try:
        topics = consumer.list_topics(timeout=_SECONDS).topics
    except KafkaException as error:
        raise lost(printable(url), without_password(error.args[0].str(), url)) from error
    if topic not in topics:
        raise unknown_stream(printable(url), topic, [name for name in topics if not name.startswith("__")])
    return sorted(topics[topic].partitions)


def _settings(url: str) -> dict[str, str | int | bool]:
    """librdkafka's settings: nothing waits to be bundled, little is fetched ahead, nothing is committed."""
    parts = urlsplit(url)
    user, _, hosts = parts.netloc.rpartition("@")
    settings: dict[str, str | int | bool] = {
        "bootstrap.servers": hosts,
        "group.id": "penstock",
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": 16_384,
        "fetch.queue.backoff.ms": 10,
        "fetch.wait.max.ms": 20,
        "socket.connection.setup.timeout.ms": 5_000,
    }
    if user:
        name, _, password = user.partition(":")
        settings |= {"sasl.username": unquote(name), "sasl.password": unquote(password)}
        settings |= {"sasl.mechanism": "PLAIN", "security.protocol": "SASL_SSL"}
    for name, value in parse_qsl(parts.query):
        if name not in _ALLOWED:
            message = f"{printable(url)}: {name!r} cannot be set"
            raise SourceError("STREAM_URL", message, name=name, candidates=_ALLOWED)
        settings[name] = value
    return settings
