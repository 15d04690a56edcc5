"""What holds for every broker: the same tests on real Redis and NATS servers and on librdkafka's mock cluster."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest

from penstock.errors import SourceError
from penstock.lake.streams import Limits, Message, Stream, TailedTable, Tally, open_stream
from penstock.lake.versioned import KNOWN, Lake
from tests.lake.streams.conftest import Broker
from tests.lake.streams.streaming import count, current, log, running


def stream(broker: Broker, **how) -> Stream:
    return Stream("orders", broker.url, **{"table": "orders", "key": ("id",), **how})


def payloads(first: int, last: int) -> list[bytes]:
    return [json.dumps({"id": at, "amount": at / 2}).encode() for at in range(first, last)]


def drained(reader, quiet: int = 3) -> list[Message]:
    found: list[Message] = []
    while quiet:
        messages = reader.read(500, 0.2)
        reader.settle([Tally()] * len(messages))
        found += messages
        quiet -= not messages
    return found


def test_a_reader_gives_each_message_once_with_growing_places(broker: Broker):
    broker.send(payloads(0, 1_000))
    reader = open_stream(broker.url, {})
    try:
        first = drained(reader)
        broker.send(payloads(1_000, 1_010))
        second = drained(reader)
        assert reader.lag() == 0
    finally:
        reader.close()
    assert sorted(m.payload for m in first) == sorted(payloads(0, 1_000))
    assert sorted(m.payload for m in second) == sorted(payloads(1_000, 1_010))
    for partition in {m.partition for m in first}:
        places = [m.offset for m in [*first, *second] if m.partition == partition]
        assert all(a < b for a, b in pairwise(places))


def test_a_reader_goes_on_after_its_positions(broker: Broker):
    broker.send(payloads(0, 90))
    reader = open_stream(broker.url, {})
    before = drained(reader)
    reader.close()
    positions: dict[str, int] = {}
    for message in before[:50]:
        positions[message.partition] = message.offset
    reader = open_stream(broker.url, positions)
    after = drained(reader)
    reader.close()
    assert sorted(m.payload for m in before[:50] + after) == sorted(payloads(0, 90))


def test_an_unknown_stream_is_told_with_the_ones_there(broker: Broker, lake: Lake):
    with pytest.raises(SourceError, match=r"STREAM_UNKNOWN: .* has no stream 'absent'") as raised:
        open_stream(broker.unknown, {})
    assert broker.url.rpartition("/")[2] in raised.value.candidates
    with running([Stream("s", broker.unknown, "t")], lake) as runs:
        runs._thread.join(10)
        with pytest.raises(SourceError, match="STREAM_UNKNOWN"):
            runs.finish()


def test_rows_arrive_once_and_a_restart_goes_on(broker: Broker, lake: Lake):
    broker.send(payloads(0, 500))
    with running([stream(broker)], lake) as runs:
        runs.until(lambda: count(lake, "orders") == 500)
        broker.send(payloads(500, 600))
        runs.until(lambda: count(lake, "orders") == 600)
        status = runs.finish()
    assert (status.read, status.written, status.duplicates, status.dead, status.state) == (600, 600, 0, 0, "stopped")
    assert lake.table("orders").newest().rows == 600
    broker.send(payloads(590, 650))
    with running([stream(broker)], lake) as runs:
        runs.until(lambda: count(lake, "orders") == 650)
        status = runs.finish()
    assert (status.read, status.written, status.duplicates) == (60, 50, 10)
    assert sorted(row["id"] for row in log(lake, "orders")) == list(range(650))


def test_a_new_content_of_a_key_is_a_new_version_and_the_same_is_none(broker: Broker, lake: Lake):
    broker.send([b'{"id": 1, "v": "a"}'] * 3)
    table = TailedTable(lake, "orders")
    with running([stream(broker)], lake) as runs:
        runs.until(lambda: count(lake, "orders") == 1)
        broker.send([b'{"id": 1, "v": "b"}'])
        runs.until(lambda: count(lake, "orders") == 2)
        broker.send([b'{"id": 1, "_deleted": true}'])
        runs.until(lambda: count(lake, "orders") == 3)
        assert current(table) == []
        broker.send([b'{"id": 1, "v": "b"}'])
        runs.until(lambda: count(lake, "orders") == 4)
        assert current(table) == [{"id": 1, "v": "b"}]
        runs.finish()
    known = [row[KNOWN] for row in log(lake, "orders")]
    assert known == sorted(set(known))


def test_what_does_not_fit_is_a_dead_letter_and_blocks_nothing(broker: Broker, lake: Lake):
    broker.send([b'{"id": 1, "amount": 5}'])
    with running([stream(broker)], lake) as runs:
        # The first batch settles that amounts are numbers; a broker with partitions may bring "much" before any other.
        runs.until(lambda: count(lake, "orders") == 1)
        broker.send([
            b"no json", b"", b"[1, 2]", b'{"amount": 1}', b'{"id": 2, "amount": "much"}',
            b'{"id": 3, "amount": NaN}', b'\xff\xfe', b'{"id": 4, "amount": 6.5}',
        ])  # fmt: skip
        runs.until(lambda: bool(runs.told) and runs.told[-1].read == 9)
        status = runs.finish()
    assert (status.written, status.dead) == (2, 7)
    assert [row["id"] for row in log(lake, "orders")] in ([1, 4], [4, 1])
    letters = {row["raw"]: row["reason"] for row in log(lake, "orders__dead")}
    assert letters["no json"].startswith("this is no JSON: Expecting value")
    assert letters[""] == "this is empty"
    assert letters["[1, 2]"] == "this is no JSON object but an array"
    assert letters['{"amount": 1}'] == "the key column 'id' is missing"
    assert letters['{"id": 2, "amount": "much"}'] == "column 'amount': 'much' is no number"
    assert "NaN" in letters['{"id": 3, "amount": NaN}']
    assert letters["\\xff\\xfe"] == "this is no JSON: its bytes are no UTF-8"


def test_reading_pauses_while_the_tail_is_full(broker: Broker, lake: Lake):
    broker.send(payloads(0, 300))
    narrow = Limits(read=50, tail_rows=100, segment_rows=10**9, segment_seconds=1.5)
    with running([stream(broker, limits=narrow)], lake) as runs:
        runs.until(lambda: any(status.state == "paused" for status in runs.told))
        assert all(status.tail <= 150 for status in runs.told)
        runs.until(lambda: count(lake, "orders") == 300)
        runs.finish()
    assert sorted(row["id"] for row in log(lake, "orders")) == list(range(300))
