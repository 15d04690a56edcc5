"""Requests a second and their latency over HTTP: 20 features of 1 and of 100 entities, one worker, 1 and 8 clients.

    python -m benchmarks.serving [--entities 5000] [--seconds 3] [--clients 1 8] [--repeat 1]
    python -m benchmarks.serving --feast PYTHON [--redis 127.0.0.1:6379]

The server is a process, the clients are another: connections that are kept alive, each with one request under way. The
rows lie in a lake and a store of LMDB's is synced from it. With ``--feast`` (a Python that has Feast installed) Feast
serves the same rows in the same run, from SQLite (its default) and, with ``--redis``, from Redis. Before anything is
measured, both give the same values for the same entities.
"""

from __future__ import annotations

import argparse
import http.client
import itertools
import json
import math
import multiprocessing as mp
import os
import random
import select
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.project import open_project
from penstock.serving.running import Listen, serve
from penstock.serving.service import FeatureService
from penstock.settings import Settings

FEATURES = [*(f"amount_{n}" for n in range(14)), *(f"count_{n}" for n in range(6))]
REFS = [f"stats:{name}" for name in FEATURES]
SIZES = (1, 100)
SETTINGS = Settings(memory=1 << 30, threads=1, cache=None)
Place = tuple[str, int, int]
"""A server's host, port and process."""
SPAWN = mp.get_context("spawn")
ASKS = 400
"""So many different requests take turns."""
START_SECONDS = 90.0
READ = bytearray(1 << 20)


def now() -> int:
    return time.time_ns() // 1000


# ---------------------------------------------------------------- rows, and the service over them


def rows_of(entities: int) -> pa.Table:
    rng = np.random.default_rng(5)
    values = {name: np.round(rng.normal(50, 20, entities), 4) for name in FEATURES[:14]}
    counts = {name: rng.integers(0, 10_000, entities) for name in FEATURES[14:]}
    happened = now() - rng.integers(10**9, 10**11, entities)
    times = pa.array(happened, pa.timestamp("us"))
    return pa.table({"driver_id": np.arange(entities), "event_timestamp": times, **values, **counts})


PROJECT = """
name = "served"
[sources.data]
url = "data"
[tables.stats]
time = "event_timestamp"
[entities.driver]
key = "driver_id"
[features.stats]
entity = "driver"
table = "stats"
columns = COLUMNS
[online]
store = "store"
"""


def stored(folder: Path, rows: pa.Table) -> None:
    """A project of the rows, brought in, and its store in step."""
    (folder / "data").mkdir()
    pq.write_table(rows, folder / "data" / "stats.parquet")
    pq.write_table(rows, folder / "rows.parquet")
    (folder / "penstock.toml").write_text(PROJECT.replace("COLUMNS", json.dumps(FEATURES)), encoding="utf-8")
    for run in open_project(folder).run():
        assert run.state == "done", run.failure


def served(folder: str) -> FeatureService:
    """The service of the project, as ``penstock serve`` has it."""
    return open_project(folder).service()


# ---------------------------------------------------------------- servers


def _serve(folder: str, place: mp.queues.Queue[Listen], stop: threading.Event) -> None:
    serve(partial(served, folder), port=0, stop=stop, told=place.put)


@contextmanager
def ours(folder: Path) -> Iterator[Place]:
    place, stop = SPAWN.Queue(), SPAWN.Event()
    process = SPAWN.Process(target=_serve, args=(str(folder), place, stop))
    process.start()
    try:
        host, port = place.get(timeout=START_SECONDS).http.removeprefix("http://").split(":")
        assert process.pid is not None
        yield host, int(port), process.pid
    finally:
        stop.set()
        process.join(20)
        process.kill()


@contextmanager
def feast(python: str, folder: Path, redis: str = "") -> Iterator[Place]:
    """Feast's own server over the same rows, with one worker."""
    repository = folder / ("feast-redis" if redis else "feast-sqlite")
    script = Path(__file__).with_name("feast_store.py")
    made = subprocess.run(
        [python, script, repository, *([redis] if redis else [])], capture_output=True, text=True, check=False
    )
    if made.returncode:
        raise SystemExit(f"Feast cannot make its store: {made.stderr[-2000:]}")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [
        Path(python).with_name("feast"),
        "-c",
        repository,
        "serve",
        "-p",
        str(port),
        "--no-access-log",
        "--workers",
        "1",
    ]
    log = (folder / "feast.log").open("w")
    with log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        try:
            _wait_for(port)
            yield "127.0.0.1", port, process.pid
        finally:
            process.terminate()
            process.wait(20)


def _wait_for(port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.1)
    raise SystemExit("Feast's server does not answer")


# ---------------------------------------------------------------- clients


def asks(entities: int, size: int) -> list[bytes]:
    draw = random.Random(size)
    return [
        json.dumps({"features": REFS, "entities": {"driver_id": draw.sample(range(entities), size)}}).encode()
        for _ in range(ASKS)
    ]


def request(body: bytes) -> bytes:
    head = "POST /get-online-features HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
    return f"{head}{len(body)}\r\n\r\n".encode() + body


@dataclass
class Connection:
    """A client: one request under way at a time, whose answer is read into a place that all share, and counted."""

    socket: socket.socket
    began: float = 0.0
    head: bytes = b""
    seen: int = 0
    length: int = -1

    def send(self, asked: bytes) -> None:
        self.head, self.seen, self.length, self.began = b"", 0, -1, time.perf_counter()
        self.socket.sendall(asked)

    def whole(self) -> bool:
        """Read what is there; whether the answer is complete."""
        count = self.socket.recv_into(READ)
        if not count:
            raise ConnectionResetError
        self.seen += count
        if self.length < 0:
            self.head += READ[: min(count, 4096)]
            self._announced()
        return self.seen == self.length

    def _announced(self) -> None:
        """Take the length from the head, once it is there."""
        end = self.head.find(b"\r\n\r\n")
        if end >= 0:
            if not self.head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(f"the server refused: {self.head[:500]!r}")
            head = self.head[:end].lower()
            at = head.index(b"content-length:") + 15
            self.length = end + 4 + int(head[at:].split(b"\r\n", 1)[0])


def connected(where: Place) -> Connection:
    made = socket.create_connection(where[:2])
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return Connection(made)


def load(where: Place, bodies: Sequence[bytes], clients: int, seconds: float) -> tuple[list[float], int]:
    """The latencies of all requests that were answered, in seconds, and how often the server hung up instead."""
    asked, taken, lost = itertools.cycle(map(request, bodies)), [], 0
    poll, places = select.poll(), dict[int, Connection]()  # which is quicker than selectors are, for so few

    def begin() -> None:
        connection = connected(where)
        places[connection.socket.fileno()] = connection
        poll.register(connection.socket, select.POLLIN)
        connection.send(next(asked))

    for _ in range(clients):
        begin()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for place, _ in poll.poll(100):
            connection = places[place]
            try:
                if connection.whole():
                    taken.append(time.perf_counter() - connection.began)
                    connection.send(next(asked))
            except ConnectionError:
                lost += 1
                poll.unregister(place)
                places.pop(place).socket.close()
                begin()
    for connection in places.values():
        connection.socket.close()
    return taken, lost


def _load(told: mp.queues.Queue[tuple[list[float], int]], *how: object) -> None:
    told.put(load(*how))  # type: ignore[arg-type]


@dataclass(frozen=True)
class Measured:
    """Requests a second, the median and 99th percentile of their latencies, and the server's CPU time a request.

    ``lost`` is how often the server hung up instead of answering.
    """

    rate: float
    middle: float
    last: float
    cpu: float
    lost: int

    def __str__(self) -> str:
        told = (
            f"p50 {self.middle * 1e3:8.3f} ms   p99 {self.last * 1e3:8.3f} ms   CPU {self.cpu * 1e6:8.0f} us a request"
        )
        return f"{self.rate:>9,.0f}/s   {told}"


def measured(where: Place, bodies: Sequence[bytes], clients: int, seconds: float) -> Measured:
    load(where, bodies, clients, 0.5)  # so that nothing is met for the first time
    before = cpu_of(where[2])
    told = SPAWN.Queue()
    process = SPAWN.Process(target=_load, args=(told, where, bodies, clients, seconds))
    process.start()
    latencies, lost = told.get(timeout=seconds + START_SECONDS)
    taken = sorted(latencies)
    used = cpu_of(where[2]) - before
    process.join()
    return Measured(len(taken) / seconds, median(taken), taken[int(len(taken) * 0.99)], used / len(taken), lost)


def cpu_of(process: int) -> float:
    """The CPU seconds that a process and its children have used; where the system does not tell, NaN."""
    try:
        told = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    except OSError:
        return math.nan
    own = sum(map(int, told[11:15])) / os.sysconf("SC_CLK_TCK")  # with that of children that have ended
    return own + sum(cpu_of(int(child)) for child in children)


def values(where: Place, body: bytes) -> dict[str, list[object]]:
    """The values that a server gives, by name."""
    connection = http.client.HTTPConnection(*where[:2], timeout=30)
    connection.request("POST", "/get-online-features", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    told = json.loads(answer.read())
    if answer.status != 200:
        raise SystemExit(f"a server refused: {told}")
    names = told["metadata"]["feature_names"]
    return {name: column["values"] for name, column in zip(names, told["results"], strict=True)}


# ---------------------------------------------------------------- the run


Rates = dict[tuple[int, int], Measured]


def rates(name: str, where: Place, given: argparse.Namespace) -> Rates:
    found = {}
    for size in SIZES:
        bodies = asks(given.entities, size)
        for clients in given.clients:
            runs = [measured(where, bodies, clients, given.seconds) for _ in range(given.repeat)]
            found[size, clients] = sorted(runs, key=lambda run: run.rate)[len(runs) // 2]
            print(f"{name:<14} {size:>4} entities {clients:>2} clients {found[size, clients]}", flush=True)
    return found


def compared(mine: Rates, theirs: Rates, name: str) -> None:
    for (size, clients), other in theirs.items():
        own = mine[size, clients]
        told = (
            f"{own.rate / other.rate:6.1f} times its requests/s, 1/{other.cpu / own.cpu:.1f} of its CPU time a request"
        )
        print(f"{name} at {size} entities, {clients} clients: {told}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=5_000)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8])
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--feast", metavar="PYTHON", help="a Python that has Feast installed")
    parser.add_argument("--redis", metavar="HOST:PORT", help="a Redis server for Feast's other store")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        stored(folder, rows_of(given.entities))
        sample = asks(given.entities, 100)[0]
        with ours(folder) as where:
            expected = values(where, sample)
            mine = rates("penstock", where, given)
        for redis in ("", given.redis) if given.feast else ():
            if redis is None:
                continue
            name = "feast, redis" if redis else "feast, sqlite"
            with feast(given.feast, folder, redis) as where:
                if values(where, sample) != expected:
                    raise SystemExit(f"{name} gives other values")
                compared(mine, rates(name, where, given), name)


if __name__ == "__main__":
    main()
