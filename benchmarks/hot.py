"""What it costs to read features of an entity with very many events: from tiles, and from all of its events.

    python -m benchmarks.hot [--events 1000000] [--entities 2000] [--seconds 1]

Ten windows of five aggregates each; the other entities have 200 events. LMDB, in process.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.online import DAY, NOW, database, fill, graph_of, timed
from penstock.engine.kernels import warm
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions, Entity, ExpressionView
from penstock.lake import SourceRows
from penstock.online import crowds
from penstock.online.reading import OnlineReader
from penstock.online.store import FIRST, Part
from penstock.online.stores.lmdb import LmdbStore

WINDOWS = (1, 2, 3, 7, 14, 30, 60, 90, 150, 200)
FUNCTIONS = ("COUNT", "SUM", "AVG", "MAX", "STDDEV")
HOT = 0
"""The entity that most events are of."""


def tables_of(entities: int, events: int) -> dict[str, pa.Table]:
    """Drivers with 200 trips each, and one with as many more as are asked for."""
    rng, tables = np.random.default_rng(11), database(entities, 200)
    more = {
        "trip_id": np.arange(events) + entities * 200,
        "driver_id": np.full(events, HOT),
        "at": pa.array(NOW - rng.integers(0, 200 * DAY, events), pa.timestamp("us")),
        "fare": np.round(rng.lognormal(3, 1, events), 2),
        "tip": np.round(rng.lognormal(1, 1, events), 2),
    }
    return {**tables, "trips": pa.concat_tables([tables["trips"], pa.table(more)])}


def definitions() -> Definitions:
    """Fifty features."""
    features = {
        f"{name}_{days}".lower(): f"{name}(trips.fare, -{days}, 0, days)" for name in FUNCTIONS for days in WINDOWS
    }
    return Definitions(
        {"driver": Entity("driver", ("driver_id",), "drivers")}, {"trips": ExpressionView("trips", "driver", features)}
    )


class Weighing(LmdbStore):
    """A store that counts the bytes of the parts that are read."""

    read_bytes = 0

    def read(self, space: str, keys: Sequence[bytes], since: int = FIRST) -> list[list[Part]]:
        """As any store does."""
        found = super().read(space, keys, since)
        self.read_bytes += sum(len(part.data) for parts in found for part in parts)
        return found


def measure(name: str, bound: Bound, tables: dict[str, pa.Table], seconds: float) -> list[list[object]]:
    """Fill a store, ask it, and say what it took; the answers about the hot entity."""
    with tempfile.TemporaryDirectory() as folder:
        store = Weighing(Path(folder) / "online")
        fill(store, bound, SourceRows(SourceRows.of(tables).source, graph_of(tables)))
        reader = OnlineReader(bound, store, lambda: NOW)
        size, answers = store.size() / 1e6, reader.read("trips:*", {"driver_id": [HOT]}).values
        for what, keys in (("the hot entity", [HOT]), ("another", [1]), ("both", [1, HOT])):
            half, late, used = timed(lambda: reader.read("trips:*", {"driver_id": keys}), seconds)  # noqa: B023
            store.read_bytes = 0
            reader.read("trips:*", {"driver_id": keys})
            times = f"p50 {half / 1e3:8.2f} ms, p99 {late / 1e3:8.2f} ms, processor {used / 1e3:8.2f} ms"
            print(f"{name:>6}, {what:>14}: {times}, {store.read_bytes / 1e3:10.1f} kB read, store {size:6.1f} MB")
        store.close()
    return answers


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--entities", type=int, default=2_000)
    parser.add_argument("--seconds", type=float, default=1.0)
    options = parser.parse_args()
    warm()
    tables = tables_of(options.entities, options.events)
    bound = bind(definitions(), graph_of(tables))
    tiled = measure("tiles", bound, tables, options.seconds)
    crowds.MOST = options.events + options.entities * 200
    exact = measure("events", bound, tables, options.seconds)
    ours, theirs = (np.array(values, np.float64).ravel() for values in (tiled, exact))
    print(f"largest difference: {np.max(np.abs(ours - theirs) / np.maximum(np.abs(theirs), 1e-300)):.1e} of the value")


if __name__ == "__main__":
    main()
