"""How fast rows that stream in become features, and how soon a feature tells of a message.

    python -m benchmarks.online_stream [--rows 500000] [--batch 10000] [--keys 20000]
    python -m benchmarks.online_stream --freshness [--rates 1000 10000] [--seconds 10] [--broker redis]

Applied: batches of new rows, in order of time, are given to a feed as streams give them; rows a second of one processor
until all are in an embedded store, in twelve windowed features and in two latest values. Freshness: a sender, a stream
that feeds, and a reader are three processes, beside the broker; from just before a message is sent until a read of its
customer's features tells of it, and what of a processor the process that streams takes for a message.
"""

from __future__ import annotations

import argparse
import signal
import tempfile
import threading
import time
from multiprocessing.synchronize import Event
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.streams import OPENING, SPAWN, micros, payload, processor_seconds, steady
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions, Entity, ExpressionView, LatestView
from penstock.garbage import collecting_seldom
from penstock.lake.streams import Limits, Stream, run_streams
from penstock.lake.versioned import DELETED, KNOWN, Lake, Roles, open_lake
from penstock.online.feeding import Feed
from penstock.online.reading import OnlineReader
from penstock.online.stores.lmdb import LmdbStore
from penstock.schema import Column, Dtype, Graph, Kind, Table
from penstock.settings import Settings

SETTINGS = Settings(memory=2 << 30, threads=1, cache=None)
COLUMNS = {
    "id": (Dtype.INT, pa.int64(), Kind.ID),
    "customer_id": (Dtype.INT, pa.int64(), Kind.ID),
    "amount": (Dtype.FLOAT, pa.float64(), Kind.NUMERICAL),
    "status": (Dtype.STRING, pa.string(), Kind.CATEGORICAL),
    "note": (Dtype.STRING, pa.string(), Kind.TEXT),
    "placed": (Dtype.TIMESTAMP, pa.timestamp("us"), Kind.TIMESTAMP),
    "sent": (Dtype.INT, pa.int64(), Kind.NUMERICAL),
}
WINDOWS = {f"{name}_{days}d": f"{name.upper()}(rows.{column}, -{days}, 0, days)"
           for days in (1, 7, 30) for name, column in (("count", "*"), ("sum", "amount"), ("avg", "amount"),
                                                       ("max", "amount"))}  # fmt: skip
EVERY = 1_000
"""How many customers the messages of `benchmarks.streams` go around."""
WATCHED = tuple(range(0, EVERY, 20))


def bound() -> Bound:
    """Windows and latest values of customers that are known by their rows alone."""
    own = (Column(KNOWN, Dtype.TIMESTAMP, Kind.IGNORED), Column(DELETED, Dtype.BOOL, Kind.IGNORED))
    columns = tuple(Column(name, dtype, kind) for name, (dtype, _, kind) in COLUMNS.items())
    table = Table("rows", (*columns, *own), ("id",), "placed", KNOWN, DELETED)
    views = {
        "windows": ExpressionView("windows", "customer", WINDOWS),
        "latest": LatestView("latest", "customer", "rows", {"sent": "sent", "id": "id"}),
    }
    return bind(Definitions({"customer": Entity("customer", ("customer_id",))}, views), Graph((table,), ()))


def lake_at(place: str) -> Lake:
    """A lake with the empty table."""
    lake = open_lake(place)
    if "rows" not in lake:
        schema = pa.schema([(name, kind) for name, (_, kind, _) in COLUMNS.items()])
        lake.create("rows", schema, Roles(("id",), "placed"))
    return lake


# ---------------------------------------------------------------- applied


def batches(rows: int, size: int, keys: int, now: int) -> list[pa.RecordBatch]:
    """New rows of the last day in order of time, as a stream's writer gives them on."""
    choose, made = np.random.default_rng(7), []
    for first in range(0, rows, size):
        number = np.arange(first, min(first + size, rows))
        placed = now - 86_400_000_000 + number * (86_400_000_000 // rows)
        arrays = [
            pa.array(number), pa.array(choose.integers(0, keys, len(number))), pa.array(choose.random(len(number))),
            pa.array(["paid"] * len(number)), pa.array(["as always"] * len(number)),
            pa.array(placed).cast(pa.timestamp("us")), pa.array(placed),
            pa.array(now + number).cast(pa.timestamp("us")), pa.array(np.zeros(len(number), bool)),
        ]  # fmt: skip
        made.append(pa.RecordBatch.from_arrays(arrays, [*COLUMNS, KNOWN, DELETED]))
    return made


def applied(rows: int, size: int, keys: int) -> dict[str, float]:
    """Rows a second of a processor, and of the clock."""
    with tempfile.TemporaryDirectory() as place:
        now = micros()
        lake, store = lake_at(f"{place}/lake"), LmdbStore(Path(place) / "store")
        feed = Feed(bound(), lake, store, now=micros, settings=SETTINGS)
        feed.start()
        came = batches(rows, size, keys, now)
        feed.landed("rows", came[0])
        feed.settle()
        began, busy = time.perf_counter(), time.process_time()
        for one in came[1:]:
            feed.landed("rows", one)
        feed.settle(others=False)
        took, used = time.perf_counter() - began, time.process_time() - busy
        feed.stop()
        store.close()
    done = rows - size
    return {"used": done / used, "took": done / took}


# ---------------------------------------------------------------- freshness


def stream_rows(url: str, place: str) -> None:
    """The process that streams and feeds, until it is told to stop."""
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    lake, store = lake_at(f"{place}/lake"), LmdbStore(Path(place) / "store")
    feed = Feed(bound(), lake, store, now=micros, settings=SETTINGS)
    feed.start()
    stream = Stream("rows", url, "rows", ("id",), "placed", limits=Limits(tail_rows=10**7))
    with collecting_seldom():
        run_streams([stream], lake, stop=stop, progress=lambda status: None, now=micros, landed=feed.landed)
    feed.stop()
    store.close()


def read_features(place: str, ready: Event, stop: Event, latencies: object) -> None:
    """The process that reads: for each message of the watched customers how long it was under way, in milliseconds."""
    store = LmdbStore(Path(place) / "store")
    reader = OnlineReader(bound(), store, micros)
    asked = {"customer_id": list(WATCHED)}
    last: dict[int, tuple[int, int]] = {}
    found: list[float] = []
    while not stop.is_set():
        answer = reader.read(["latest:id", "latest:sent"], asked)
        seen = time.time_ns()
        for place_, (number, sent) in enumerate(zip(*answer.values, strict=True)):
            if isinstance(number, int) and isinstance(sent, int) and number < 10**9:
                before = last.get(place_, (number, sent))
                skipped = (number - before[0]) // EVERY
                found += [(seen - sent + (sent - before[1]) * n / skipped) / 1e6 for n in range(skipped)]
                last[place_] = (number, sent)
                ready.set()
        time.sleep(0.002)
    latencies.put(np.array(found).tobytes())  # type: ignore[attr-defined]


def freshness(name: str, rate: int, seconds: float) -> dict[str, float]:
    """Percentiles in milliseconds; ``used`` is in microseconds of a processor a message."""
    with tempfile.TemporaryDirectory() as place, OPENING[name]() as broker:
        latencies, stop, ready = SPAWN.SimpleQueue(), SPAWN.Event(), SPAWN.Event()
        streaming = SPAWN.Process(daemon=True, target=stream_rows, args=(broker.url, place))
        streaming.start()
        broker.send([payload(number - EVERY) for number in range(EVERY)])
        while not (Path(place) / "store").exists():
            time.sleep(0.1)
        time.sleep(8.0)
        reading = SPAWN.Process(daemon=True, target=read_features, args=(place, ready, stop, latencies))
        reading.start()
        ready.wait(60)
        time.sleep(1.0)
        before = processor_seconds(streaming.pid)
        sent = steady(broker.send, rate, seconds)
        time.sleep(2.0)
        used = processor_seconds(streaming.pid) - before
        stop.set()
        found = np.frombuffer(latencies.get())
        reading.join()
        streaming.terminate()
        streaming.join()
    p50, p99 = np.percentile(found, [50, 99])
    expected = sent * len(WATCHED) / EVERY
    told = {"sent": sent, "seen": len(found) / expected, "used": 1e6 * used / sent}
    return {"p50": p50, "p99": p99, "worst": found.max()} | told


def main() -> None:
    """Print a line a measurement."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--rows", type=int, default=500_000)
    arguments.add_argument("--batch", type=int, default=10_000)
    arguments.add_argument("--keys", type=int, default=20_000)
    arguments.add_argument("--freshness", action="store_true")
    arguments.add_argument("--rates", type=int, nargs="+", default=[1_000, 10_000])
    arguments.add_argument("--seconds", type=float, default=10)
    arguments.add_argument("--broker", choices=list(OPENING), default="redis")
    asked = arguments.parse_args()
    if not asked.freshness:
        found = applied(asked.rows, asked.batch, asked.keys)
        print(f"{asked.rows:,} rows of {asked.keys:,} keys, {asked.batch:,} a batch: ", end="")
        print(f"{found['used']:,.0f} a second of a processor, {found['took']:,.0f} a second of the clock")
        return
    print(f"{'broker':<8}{'rate/s':>8}{'p50 ms':>9}{'p99 ms':>9}{'worst':>9}{'sent':>10}{'seen':>7}{'µs each':>9}")
    for rate in asked.rates:
        of = freshness(asked.broker, rate, asked.seconds)
        print(f"{asked.broker:<8}{rate:>8,}{of['p50']:>9.1f}{of['p99']:>9.1f}{of['worst']:>9.1f}", end="")
        print(f"{of['sent']:>10,}{of['seen']:>7.1%}{of['used']:>9.1f}", flush=True)


if __name__ == "__main__":
    main()
