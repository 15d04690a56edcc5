"""What it costs to read features of a few entities from an online store, beside Feast's SDK where that is there.

    python -m benchmarks.online [--entities 2000] [--events 200] [--seconds 1] [--feast PYTHON]

Twenty latest features, and fifty windowed ones over 200 events an entity, of 1 and of 100 entities: LMDB, in process.
"""

from __future__ import annotations

import argparse
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from penstock.engine.kernels import warm
from penstock.engine.relational import Relational
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions, Entity, ExpressionView, LatestView
from penstock.features.views.entities import EntityRows
from penstock.lake import SourceRows
from penstock.online.build import built
from penstock.online.catalogue import VIEW, fresh, written
from penstock.online.holdings import kept_for
from penstock.online.loading import span_for
from penstock.online.reading import OnlineReader
from penstock.online.rebuild import first_parts
from penstock.online.store import OnlineStore
from penstock.online.stores.lmdb import LmdbStore
from penstock.online.texts import Texts
from penstock.plan import Rows
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table
from penstock.settings import Settings
from penstock.window import Unit

DAY = Unit.DAYS.microseconds
NOW = 20_000 * DAY + 12_345
LATEST = 20
WINDOWS = (1, 3, 7, 14, 30, 60, 90, 200)
FUNCTIONS = ("COUNT", "SUM", "AVG", "MAX")
SETTINGS = Settings(memory=2 << 30, threads=2, cache=None)


def database(entities: int, events: int) -> dict[str, pa.Table]:
    """Drivers, their newest statistics, and their trips."""
    rng = np.random.default_rng(5)
    ids, count = np.arange(entities), entities * events
    when = pa.array(np.full(entities, NOW - DAY), pa.timestamp("us"))
    columns = {f"f{n}": rng.normal(size=entities) for n in range(LATEST)}
    happened = NOW - rng.integers(0, 200 * DAY, count)
    trips = {
        "trip_id": np.arange(count),
        "driver_id": np.repeat(ids, events),
        "at": pa.array(happened, pa.timestamp("us")),
        "fare": np.round(rng.lognormal(3, 1, count), 2),
        "tip": np.round(rng.lognormal(1, 1, count), 2),
    }
    drivers = pa.table({"driver_id": ids})
    return {"drivers": drivers, "stats": pa.table({"driver_id": ids, "at": when, **columns}), "trips": pa.table(trips)}


def _columns(table: pa.Table, keys: tuple[str, ...]) -> tuple[Column, ...]:
    kinds = {"at": (Dtype.TIMESTAMP, Kind.TIMESTAMP)} | dict.fromkeys(keys, (Dtype.INT, Kind.ID))
    return tuple(Column(name, *kinds.get(name, (Dtype.FLOAT, Kind.NUMERICAL))) for name in table.column_names)


def graph_of(tables: dict[str, pa.Table]) -> Graph:
    """The schema, with links to the drivers."""
    keys = ("driver_id", "trip_id")
    return Graph(
        (
            Table("drivers", _columns(tables["drivers"], keys), "driver_id"),
            Table("stats", _columns(tables["stats"], keys), None, "at"),
            Table("trips", _columns(tables["trips"], keys), "trip_id", "at"),
        ),
        (Link("stats", "driver_id", "drivers"), Link("trips", "driver_id", "drivers")),
    )


def definitions() -> Definitions:
    """Twenty latest features, and fifty windowed ones."""
    windowed = {
        f"{function}_{column}_{days}".lower(): f"{function}(trips.{column}, -{days}, 0, days)"
        for column in ("fare", "tip")
        for function in FUNCTIONS
        for days in WINDOWS
    }
    return Definitions(
        {"driver": Entity("driver", ("driver_id",), "drivers")},
        {
            "stats": LatestView("stats", "driver", "stats", {f"f{n}": f"f{n}" for n in range(LATEST)}),
            "trips": ExpressionView("trips", "driver", dict(list(windowed.items())[:50])),
        },
    )


def fill(store: OnlineStore, bound: Bound, rows: Rows) -> None:
    """All views as they are now."""
    relational = Relational(EntityRows(rows, bound.joins, bound.graph), SETTINGS)
    for view in bound.views.values():
        kept = kept_for(view, bound.graph)
        state = fresh(kept)
        spaces = dict(state.spaces)
        for holding in kept.holdings:
            found = built(holding, relational, at=NOW)
            span = 0 if holding.newest else span_for(holding, found)
            spaces[holding.fingerprint] = type(spaces[holding.fingerprint])(spaces[holding.fingerprint].name, span)
            for some in first_parts(holding, spaces[holding.fingerprint], found, Texts(store, state.texts)):
                store.write(some)
        made = type(state)(state.view, state.version, spaces, state.texts, kept=NOW)
        store.write([], {VIEW + view.kept: written(made)})


def timed(work: Callable[[], object], seconds: float) -> tuple[float, float, float]:
    """The median and the 99th percentile of many runs, and their processor's time on average, in microseconds."""
    taken, end, used = [], time.perf_counter() + seconds, time.process_time()
    while time.perf_counter() < end or len(taken) < 20:
        start = time.perf_counter()
        work()
        taken.append(time.perf_counter() - start)
    middle, late = np.percentile(np.array(taken) * 1e6, [50, 99])
    return float(middle), float(late), (time.process_time() - used) / len(taken) * 1e6


def report(reader: OnlineReader, entities: int, seconds: float) -> Iterator[str]:
    """A line for each way of asking."""
    rng = np.random.default_rng(7)
    for view, what in (("stats:*", "20 latest"), ("trips:*", "50 windowed")):
        for count in (1, 100):
            asked = [rng.integers(0, entities, count).tolist() for _ in range(200)]
            turns = iter(range(10**9))
            half, late, used = timed(lambda: reader.read(view, {"driver_id": asked[next(turns) % 200]}), seconds)  # noqa: B023
            yield f"{what:>12} x {count:>3} entities: p50 {half:8.1f} us, p99 {late:8.1f} us, processor {used:8.1f} us"


FEAST = """
import sys, time, datetime as dt, numpy as np, pandas as pd
from feast import FeatureStore, Entity, FeatureView, Field, FileSource
from feast.types import Float64
from feast.repo_config import RepoConfig
folder, entities, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
rng, now = np.random.default_rng(5), dt.datetime.now(dt.timezone.utc)
frame = pd.DataFrame({"driver_id": np.arange(entities), "at": now - dt.timedelta(days=1),
                      **{f"f{n}": rng.normal(size=entities) for n in range(20)}})
frame.to_parquet(folder + "/stats.parquet")
store = FeatureStore(config=RepoConfig(project="bench", provider="local", registry=folder + "/registry.db",
    online_store={"type": "sqlite", "path": folder + "/online.db"}, offline_store={"type": "file"},
    entity_key_serialization_version=3))
driver = Entity(name="driver", join_keys=["driver_id"])
view = FeatureView(name="stats", entities=[driver], schema=[Field(name=f"f{n}", dtype=Float64) for n in range(20)],
    source=FileSource(path=folder + "/stats.parquet", timestamp_field="at"))
store.apply([driver, view])
store.materialize(now - dt.timedelta(days=2), now)
names = [f"stats:f{n}" for n in range(20)]
for count in (1, 100):
    asked = [{"driver_id": int(i)} for i in rng.integers(0, entities, count)]
    taken, end = [], time.perf_counter() + seconds
    while time.perf_counter() < end or len(taken) < 20:
        start = time.perf_counter()
        store.get_online_features(features=names, entity_rows=asked)
        taken.append(time.perf_counter() - start)
    half, late = np.percentile(np.array(taken) * 1e6, [50, 99])
    print(f"Feast, 20 latest x {count:>3} entities: p50 {half:8.1f} us, p99 {late:8.1f} us")
"""
"""Feast's SDK over its SQLite store, in a Python of its own."""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entities", type=int, default=2_000)
    parser.add_argument("--events", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=1.0)
    parser.add_argument("--feast", metavar="PYTHON", help="a Python that has feast")
    options = parser.parse_args()
    warm()
    tables = database(options.entities, options.events)
    bound = bind(definitions(), graph_of(tables))
    with tempfile.TemporaryDirectory() as folder:
        store = LmdbStore(Path(folder) / "online")
        fill(store, bound, SourceRows(SourceRows.of(tables).source, graph_of(tables)))
        for line in report(OnlineReader(bound, store, lambda: NOW), options.entities, options.seconds):
            print(line)
        store.close()
        if options.feast:
            subprocess.run(
                [options.feast, "-c", FEAST, folder, str(options.entities), str(options.seconds)], check=True
            )


if __name__ == "__main__":
    main()
