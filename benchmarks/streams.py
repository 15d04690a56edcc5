"""How soon a message is readable: from just before it is sent to the moment when a reader in another process has it.

    python -m benchmarks.streams [--seconds 10] [--rates 1000 10000] [--brokers redis nats kafka push] [--repeat 1]
    python -m benchmarks.streams --backlog 100000

Four processes: the broker (a Redis and a NATS server on this machine, librdkafka's mock cluster, or the stream's own
HTTP door), a sender at a steady rate, the streams, and a reader that looks every two milliseconds. Segments are flushed
into versions meanwhile, as always. The floor is the same message written and read by two processes over the broker
alone. With ``--backlog`` that many messages wait before the stream starts: how many become readable a second.
"""

from __future__ import annotations

import argparse
import asyncio
import http.client
import json
import multiprocessing as mp
import os
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from pathlib import Path
from statistics import median
from urllib.parse import urlsplit
from uuid import uuid4

import numpy as np

from penstock.lake.streams import Limits, Stream, StreamStatus, TailedTable, open_stream, run_streams
from penstock.lake.versioned import open_lake

REDIS = os.environ.get("PENSTOCK_TEST_REDIS", "redis://127.0.0.1:6379")
NATS = os.environ.get("PENSTOCK_TEST_NATS", "nats://127.0.0.1:4222")
BROKERS = ("redis", "nats", "kafka", "push")
TICK = 0.01
LOOK = 0.002
SPAWN = mp.get_context("spawn")
Send = Callable[[Sequence[bytes]], None]


def micros() -> int:
    return time.time_ns() // 1000


def payload(number: int) -> bytes:
    return json.dumps({
        "id": number, "customer_id": number % 1_000, "amount": number % 997 / 7, "status": "paid", "note": "as always",
        "placed": micros(), "sent": time.time_ns(),
    }).encode()  # fmt: skip


# ---------------------------------------------------------------- brokers


@dataclass(frozen=True)
class Broker:
    """A stream's URL, and what sends to it."""

    url: str
    send: Send


@contextmanager
def redis_broker() -> Iterator[Broker]:
    import redis

    parts = urlsplit(REDIS)
    client = redis.Redis(host=parts.hostname or "", port=parts.port or 6379)
    key = f"bench-{uuid4().hex}"
    client.xadd(key, {"data": b"{}"}, id="0-1")
    client.xdel(key, "0-1")

    def send(payloads: Sequence[bytes]) -> None:
        with client.pipeline(transaction=False) as pipeline:
            for body in payloads:
                pipeline.xadd(key, {"data": body})
            pipeline.execute()

    try:
        yield Broker(f"{REDIS}/{key}", send)
    finally:
        client.delete(key)
        client.close()


@contextmanager
def nats_broker() -> Iterator[Broker]:
    import nats

    loop, name = asyncio.new_event_loop(), f"bench-{uuid4().hex}"
    client = loop.run_until_complete(nats.connect(NATS))
    streams = client.jetstream(publish_async_max_pending=100_000)
    loop.run_until_complete(streams.add_stream(name=name, subjects=[f"{name}.>"]))

    async def publish(payloads: Sequence[bytes]) -> None:
        for body in payloads:
            await streams.publish_async(f"{name}.rows", body)
        await streams.publish_async_completed()

    try:
        yield Broker(f"{NATS}/{name}", lambda payloads: loop.run_until_complete(publish(payloads)))
    finally:
        loop.run_until_complete(streams.delete_stream(name))
        loop.run_until_complete(client.close())
        loop.close()


@contextmanager
def kafka_broker() -> Iterator[Broker]:
    from confluent_kafka import Producer

    cluster = Producer({"bootstrap.servers": "none", "test.mock.num.brokers": 1, "log_level": 0})
    hosts = ",".join(f"{b.host}:{b.port}" for b in cluster.list_topics(timeout=10).brokers.values())
    cluster.list_topics("rows", timeout=10)
    producer = Producer({"bootstrap.servers": hosts, "linger.ms": 1, "log_level": 0})

    def send(payloads: Sequence[bytes]) -> None:
        for body in payloads:
            producer.produce("rows", body)
        producer.poll(0)

    yield Broker(f"kafka://{hosts}/rows", send)
    producer.flush(10)


@contextmanager
def push_broker() -> Iterator[Broker]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def send(payloads: Sequence[bytes]) -> None:
        connection.request("POST", "/push/rows", b"\n".join(payloads), {"Content-Type": "application/x-ndjson"})
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"answered with {answer.status}")

    yield Broker(f"http://127.0.0.1:{port}/push/rows", send)
    connection.close()


OPENING = {"redis": redis_broker, "nats": nats_broker, "kafka": kafka_broker, "push": push_broker}


# ---------------------------------------------------------------- the other processes


def stream_rows(url: str, place: str) -> None:
    """The process that streams, until it is told to stop."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    told: list[StreamStatus] = []
    stream = Stream("rows", url, "rows", ("id",), "placed", limits=Limits(tail_rows=10**7))
    run_streams([stream], open_lake(place), stop=stop, progress=told.append, now=micros)


def read_rows(place: str, stop: Event, latencies: mp.SimpleQueue[bytes]) -> None:
    """The process that reads: the latency of each row that was sent after it began, in milliseconds."""
    lake, found, last = open_lake(place), [], 0
    while "rows" not in lake:
        time.sleep(0.05)
    table = TailedTable(lake, "rows")
    while not stop.is_set():
        tail = table.now().tail
        seen, newest = time.time_ns(), last
        for batch in reversed(tail.to_batches()):
            known = batch["_known"].cast("int64").to_numpy()
            if not len(known) or known[-1] <= last:
                break
            found.append((seen - batch["sent"].to_numpy()[known > last]) / 1e6)
            newest = max(newest, known[-1])
        last = newest
        time.sleep(LOOK)
    latencies.put(np.concatenate([np.empty(0), *found]).tobytes())


# ---------------------------------------------------------------- measuring


def steady(send: Send, rate: int, seconds: float) -> int:
    """Send at a rate, a few at a time; how many were sent."""
    began, sent = time.monotonic(), 0
    while (elapsed := time.monotonic() - began) < seconds:
        due = int(elapsed * rate) - sent
        if due > 0:
            send([payload(sent + at) for at in range(min(due, rate // 10))])
            sent += min(due, rate // 10)
        time.sleep(TICK if rate > 100 else TICK / 2)
    return sent


def latency(name: str, rate: int, seconds: float) -> dict[str, float]:
    """Percentiles in milliseconds, and how many of the sent rows the reader saw and the table holds at last."""
    with tempfile.TemporaryDirectory() as place, OPENING[name]() as broker:
        latencies: mp.SimpleQueue[bytes] = SPAWN.SimpleQueue()
        stop = SPAWN.Event()
        streaming = SPAWN.Process(daemon=True, target=stream_rows, args=(broker.url, place))
        reading = SPAWN.Process(daemon=True, target=read_rows, args=(place, stop, latencies))
        streaming.start()
        _ready(broker)
        broker.send([payload(10**9)])
        reading.start()
        _wait_for(place)
        time.sleep(2.0)
        before = processor_seconds(streaming.pid)
        sent = steady(broker.send, rate, seconds)
        busy = (processor_seconds(streaming.pid) - before) / seconds
        time.sleep(1.0)
        stop.set()
        found = np.frombuffer(latencies.get())[1:]
        reading.join()
        streaming.terminate()
        streaming.join()
        table = open_lake(place).table("rows")
        rows = table.newest().rows - 1
    p50, p99 = np.percentile(found, [50, 99])
    return {"p50": p50, "p99": p99, "worst": found.max(), "seen": len(found), "sent": sent, "kept": rows, "busy": busy}


def processor_seconds(process: int | None) -> float:
    """What a process has used of the processors so far (where there is a /proc)."""
    stat = Path(f"/proc/{process}/stat")
    fields = stat.read_text(encoding="ascii").rpartition(")")[2].split() if stat.exists() else ["0"] * 13
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _ready(broker: Broker) -> None:
    """Wait for the HTTP door; the other brokers are there before the stream is."""
    if broker.url.startswith("http"):
        parts = urlsplit(broker.url)
        while True:
            with socket.socket() as asked:
                if asked.connect_ex((parts.hostname, parts.port)) == 0:
                    return
            time.sleep(0.05)


def _wait_for(place: str) -> None:
    lake = open_lake(place)
    while "rows" not in lake:
        time.sleep(0.05)


def backlog(name: str, rows: int) -> dict[str, float]:
    """Messages a second: by the broker's reader alone (the floor), and until they are readable."""
    with tempfile.TemporaryDirectory() as place, OPENING[name]() as broker:
        for first in range(0, rows, 1_000):
            broker.send([payload(number) for number in range(first, min(first + 1_000, rows))])
        reader, read = open_stream(broker.url, {}), 0
        began = time.monotonic()
        while read < rows:
            read += len(reader.read(2_000, 1.0))
        floor = time.monotonic() - began
        reader.close()
        streaming = SPAWN.Process(daemon=True, target=stream_rows, args=(broker.url, place))
        streaming.start()
        _wait_for(place)
        began, table, seen = time.monotonic(), TailedTable(open_lake(place), "rows"), 0
        while seen < rows:
            now = table.now()
            newest = now.table.newest()
            seen = now.tail.num_rows + (newest.rows if newest else 0)
            time.sleep(0.01)
        took = time.monotonic() - began
        streaming.terminate()
        streaming.join()
    return {"floor": rows / floor, "readable": rows / took}


def main() -> None:
    """Print a line a broker and rate."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--rates", type=int, nargs="+", default=[1_000, 10_000])
    arguments.add_argument("--brokers", nargs="+", choices=BROKERS, default=list(BROKERS))
    arguments.add_argument("--repeat", type=int, default=1)
    arguments.add_argument("--backlog", type=int)
    asked = arguments.parse_args()
    if asked.backlog:
        print(f"{'broker':<8}{'rows':>10}{'reader alone/s':>16}{'readable/s':>12}{'ratio':>8}")
        for name in (b for b in asked.brokers if b != "push"):
            runs = [backlog(name, asked.backlog) for _ in range(asked.repeat)]
            floor, readable = (median(run[what] for run in runs) for what in ("floor", "readable"))
            print(f"{name:<8}{asked.backlog:>10,}{floor:>16,.0f}{readable:>12,.0f}{floor / readable:>8.2f}", flush=True)
        return
    print(f"{'broker':<8}{'rate/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'worst':>9}", end="")
    print(f"{'sent':>10}{'seen':>10}{'kept':>10}{'cores':>7}")
    for name in asked.brokers:
        for rate in asked.rates:
            runs = [latency(name, rate, asked.seconds) for _ in range(asked.repeat)]
            of = {what: median(run[what] for run in runs) for what in runs[0]}
            line = f"{name:<8}{rate:>8,}{of['p50']:>9.1f}{of['p99']:>9.1f}{of['worst']:>9.1f}"
            print(line + f"{of['sent']:>10,.0f}{of['seen']:>10,.0f}{of['kept']:>10,.0f}{of['busy']:>7.2f}", flush=True)


if __name__ == "__main__":
    main()
