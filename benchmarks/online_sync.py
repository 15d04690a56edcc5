"""How fast a lake comes into an online store: a first load of 20 latest features, and increments of a few rows.

    python -m benchmarks.online_sync [--rows 1000000] [--changed 1000] [--memory 2GB] [--repeat 3]

LMDB in a folder. The floor, in the same run, is LMDB given the packed values alone: keys and float64 as they lie in
memory, in order, as many in a transaction. Memory is what the process took of its own at most beyond what it had at
first: pages of the store's file, which the system takes back when it needs them, are left out.
"""

from __future__ import annotations

import argparse
import struct
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import lmdb
import numpy as np
import pyarrow as pa

from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions, Entity, LatestView
from penstock.lake.versioned import DELETED, KNOWN, Lake, Roles, open_lake
from penstock.online.loading import KEYS_A_WRITE
from penstock.online.stores.lmdb import LmdbStore
from penstock.online.sync import sync
from penstock.schema import Column, Dtype, Graph, Kind, Table
from penstock.settings import Settings, parse_size

NOW = 1_780_000_000_000_000
FEATURES = [f"f{number}" for number in range(20)]
ARROW = pa.schema([("driver", pa.int64()), ("ts", pa.timestamp("us")), *((name, pa.float64()) for name in FEATURES)])


def bound() -> Bound:
    """Twenty latest values of drivers."""
    numbers = (Column(name, Dtype.FLOAT, Kind.NUMERICAL) for name in FEATURES)
    clocks = (Column(KNOWN, Dtype.TIMESTAMP, Kind.IGNORED), Column(DELETED, Dtype.BOOL, Kind.IGNORED))
    columns = (Column("driver", Dtype.INT, Kind.ID), Column("ts", Dtype.TIMESTAMP, Kind.TIMESTAMP), *numbers, *clocks)
    table = Table("readings", columns, "driver", "ts", KNOWN, DELETED)
    view = LatestView("latest", "driver", "readings", {name: name for name in FEATURES})
    told = Definitions({"driver": Entity("driver", ("driver",))}, {"latest": view})
    return bind(told, Graph((table,)))


def commit(lake: Lake, keys: np.ndarray, known: int, batch: str) -> pa.Table:
    """A version with a row of each key."""
    rng = np.random.default_rng(known)
    columns = {name: rng.normal(50, 20, len(keys)) for name in FEATURES}
    times = pa.array(np.full(len(keys), known), pa.timestamp("us"))
    rows = pa.table({"driver": keys, "ts": times, **columns, KNOWN: times, DELETED: np.zeros(len(keys), bool)})
    table = lake.table("readings") if "readings" in lake else lake.create("readings", ARROW, Roles(("driver",), "ts"))
    table.commit(table.stage(rows.to_batches()), batch=batch)
    return rows


def raw(folder: Path, rows: pa.Table) -> float:
    """How long LMDB takes for the packed values alone."""
    values = np.column_stack([rows["ts"].cast(pa.int64()).to_numpy(), *(rows[name].to_numpy() for name in FEATURES)])
    width, data = values.shape[1] * 8, values.astype(np.float64).tobytes()
    keys = [struct.pack(">q", key) for key in rows["driver"].to_pylist()]
    began = time.perf_counter()
    with lmdb.open(str(folder), map_size=4 << 30) as environment:
        for first in range(0, len(keys), KEYS_A_WRITE):
            with environment.begin(write=True) as writer:
                for place in range(first, min(first + KEYS_A_WRITE, len(keys))):
                    writer.put(keys[place], data[place * width : (place + 1) * width])
    return time.perf_counter() - began


def own_memory() -> int:
    """The bytes that this process has of its own."""
    return int(Path("/proc/self/status").read_text().split("RssAnon:")[1].split()[0]) * 1024


@contextmanager
def watched(peaks: list[int]) -> Iterator[None]:
    """Note the most memory that the process has of its own meanwhile."""
    done = threading.Event()
    peak = [own_memory()]

    def watch() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], own_memory())

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        peaks.append(peak[0])


@dataclass(frozen=True)
class Bench:
    """A lake, and a store beside it."""

    place: Path
    rows: int
    settings: Settings

    def run(self, changed: int, repeat: int) -> None:
        """Load, change, and say how long it took."""
        lake, told = open_lake(self.place / "lake"), bound()
        rows = commit(lake, np.arange(self.rows), NOW - 10**9, "first")
        packed = self.rows * 8 * (2 + len(FEATURES))
        loads: list[float] = []
        sizes: list[int] = []
        before, peaks = own_memory(), list[int]()
        for number in range(repeat):
            store = LmdbStore(self.place / f"store{number}")
            with watched(peaks):
                (done,) = sync(told, lake, store, settings=self.settings, now=lambda: NOW)
            loads.append(done.seconds)
            sizes.append(store.size())
            if number < repeat - 1:
                store.close()
        peak = max(peaks) - before
        floors = [raw(self.place / f"raw{number}", rows) for number in range(repeat)]
        load, floor = median(loads), median(floors)
        print(f"first load: {self.rows / load:,.0f} rows/s × {len(FEATURES)} features ({load:.1f} s)")
        print(f"raw LMDB:   {self.rows / floor:,.0f} rows/s ({floor:.1f} s)")
        print(f"on disk:    {sizes[-1] / packed:.2f} × the packed values ({sizes[-1] / 1e6:,.0f} MB)")
        print(f"memory:     {peak / 1e6:,.0f} MB at most, of {self.settings.memory / 1e6:,.0f} MB allowed")
        self._increments(lake, told, store, changed, repeat)

    def _increments(self, lake: Lake, told: Bound, store: LmdbStore, changed: int, repeat: int) -> None:
        rng, took = np.random.default_rng(9), []
        for number in range(repeat):
            keys = np.sort(rng.choice(self.rows, changed, replace=False))
            commit(lake, keys, NOW - 10**8 + number, f"more {number}")
            (done,) = sync(told, lake, store, settings=self.settings, now=lambda: NOW)
            assert (done.how, done.rows) == ("increment", changed)
            took.append(done.seconds)
        print(f"increment:  {changed:,} changed rows of {self.rows:,} keys in {median(took):.2f} s")
        store.close()


def main() -> None:
    """Read the arguments and run."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--changed", type=int, default=1000)
    parser.add_argument("--memory", default="2GB")
    parser.add_argument("--repeat", type=int, default=3)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        settings = Settings(memory=parse_size(asked.memory), threads=2, cache=None)
        Bench(Path(place), asked.rows, settings).run(asked.changed, asked.repeat)


if __name__ == "__main__":
    main()
