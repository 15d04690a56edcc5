"""How fast online stores write and read, and how much room they take: newest rows of 20 values, records of 200 rows.

    python -m benchmarks.stores [--keys 200000] [--stores lmdb redis postgres] [--repeat 5]

``put`` writes all keys once in portions of 50,000, in their order and in none; ``get 1`` reads one key's newest row,
``get 100`` a hundred keys', ``segments`` a hundred keys of four parts each, as windows need them. The servers are those
at ``PENSTOCK_TEST_REDIS`` and ``PENSTOCK_TEST_POSTGRES``. Room is what the store says, over the bytes of keys and
values. Times are of the clock on the wall: other work on the machine shows in them.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from penstock.online import heads
from penstock.online.keys import packed
from penstock.online.records import Records, split, to_bytes
from penstock.online.store import Change, OnlineStore
from penstock.online.stores import open_store

SERVERS = {"redis": ("PENSTOCK_TEST_REDIS", "prefix"), "postgres": ("PENSTOCK_TEST_POSTGRES", "schema")}
PORTION = 50_000
VALUES = 20
DAY = 86_400_000_000
ROWS = 200


def best(do: Callable[[], object], times: int, repeat: int) -> float:
    """Microseconds of one time, in the best of so many rounds."""
    found = []
    for _ in range(repeat):
        start = time.perf_counter()
        for _ in range(times):
            do()
        found.append((time.perf_counter() - start) / times * 1e6)
    return min(found)


def newest_rows(keys: Sequence[bytes], seed: int) -> list[Change]:
    """The newest row of each key: twenty floats."""
    count, random = len(keys), np.random.default_rng(seed)
    clock = np.arange(count)
    columns = [pa.array(random.random(count)) for _ in range(VALUES)]
    data = heads.many(np.arange(count + 1), clock, clock, clock, columns)
    return [Change("newest", key, 0, one) for key, one in zip(keys, data, strict=True)]


def segments(keys: Sequence[bytes]) -> list[Change]:
    """Two hundred rows of three values for each key, over four parts."""
    happened = np.linspace(0, 4 * DAY - 1, ROWS).astype(np.int64)
    values = np.random.default_rng(1).integers(0, 2**62, (3, ROWS))
    records = Records(happened, happened, np.full(ROWS, 2**62), tuple(values))
    assert len(to_bytes(records)) == ROWS * 6 * 8
    return [Change("segments", key, number, data) for key in keys for number, data in split(records.matrix(), DAY)]


def written(store: OnlineStore, changes: Sequence[Change]) -> float:
    """How many changes a second are written."""
    start = time.perf_counter()
    for place in range(0, len(changes), PORTION):
        store.write(changes[place : place + PORTION])
    return len(changes) / (time.perf_counter() - start)


@contextmanager
def opened(kind: str) -> Iterator[OnlineStore]:
    """An empty store of a kind; it is emptied again."""
    with tempfile.TemporaryDirectory() as folder:
        variable, option = SERVERS.get(kind, ("", ""))
        store = open_store(f"{os.environ[variable]}?{option}=penstock_bench" if variable else folder)
        try:
            for space in store.spaces():
                store.drop(space)
            yield store
        finally:
            for space in store.spaces():
                store.drop(space)
            store.close()


def measure(kind: str, count: int, repeat: int) -> None:
    keys = packed(pa.array(np.arange(count)))
    some = [keys[place] for place in np.random.default_rng(2).choice(count, 100, replace=False)]
    with opened(kind) as store:
        changes = newest_rows(keys, 3)
        in_order = written(store, changes)
        room = store.size() / sum(len(change.key) + len(change.data or b"") for change in changes)
        shuffled = [changes[place] for place in np.random.default_rng(4).permutation(count)]
        again = written(store, shuffled)
        written(store, segments(some))
        one = best(lambda: store.read_part("newest", some[:1], 0), 200, repeat)
        hundred = best(lambda: store.read("newest", some), 20, repeat)
        parts = best(lambda: store.read("segments", some), 20, repeat)
    print(
        f"{kind:9} put {in_order:9,.0f}/s, again in no order {again:9,.0f}/s   get 1 {one:6.1f} µs"
        f"   get 100 {hundred:7.0f} µs   segments {parts:7.0f} µs   room × {room:.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keys", type=int, default=200_000)
    parser.add_argument("--repeat", type=int, default=5)
    kinds = ["lmdb", *SERVERS]
    there = [kind for kind in kinds if kind not in SERVERS or os.environ.get(SERVERS[kind][0])]
    parser.add_argument("--stores", nargs="+", choices=kinds, default=there)
    given = parser.parse_args()
    for kind in given.stores:
        measure(kind, given.keys, given.repeat)


if __name__ == "__main__":
    main()
