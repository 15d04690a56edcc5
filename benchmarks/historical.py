"""Latest values for training: 20 features of the newest of 10 million rows, for a million rows of a spine.

    python -m benchmarks.historical [--rows 10000000] [--spine 1000000] [--repeat 3] [--shuffled] [--feast PYTHON]

Penstock against DuckDB's ASOF join of the same tables, which carries the 20 columns through the join; each contestant
in a process of its own, from Arrow tables in memory to an Arrow table in the spine's order. Memory is what the process
took at most beyond those tables. Feast runs where a Python that has it is named.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa
from pyarrow import feather
from pyarrow import parquet as pq

from benchmarks.sweep import peak_memory
from penstock.engine.relational import Relational
from penstock.features.historical import historical
from penstock.features.views.binding import bind
from penstock.features.views.declared import Definitions, Entity, LatestView
from penstock.features.views.entities import EntityRows
from penstock.schema import Column, Dtype, Graph, Kind, Table
from penstock.settings import Settings

DAY = 86_400_000_000
SPAN = 365 * DAY
FEATURES = [f"f{number}" for number in range(20)]
THREADS = 2
MEMORY = 4 << 30
TIMES_KEYS = 100
"""How many rows a key has on average."""
FEAST_MEMORY, FEAST_SECONDS = 24 << 30, 900
"""What Feast may take: of address space, and of time."""


def generate(folder: Path, rows: int, spine: int, *, shuffled: bool) -> None:
    """Write the tables ``readings`` and ``spine``: the same ones for the same sizes."""
    rng = np.random.default_rng(5)
    keys = max(1, rows // TIMES_KEYS)
    happened = rng.integers(0, SPAN, rows)
    readings = {"driver": rng.integers(0, keys, rows), "ts": happened if shuffled else np.sort(happened)}
    columns = {name: np.round(rng.normal(50, 20, rows), 2) for name in FEATURES}
    asked = {"driver": rng.integers(0, keys + keys // 100, spine), "cutoff": rng.integers(0, SPAN, spine)}
    for name, told, clock in (("readings", readings | columns, "ts"), ("spine", asked, "cutoff")):
        told[clock] = pa.array(told[clock], pa.timestamp("us"))
        feather.write_feather(pa.table(told), folder / f"{name}.arrow", "uncompressed", chunksize=1_000_000)


def load(folder: Path) -> tuple[pa.Table, pa.Table]:
    """The tables in memory."""
    readings, spine = (feather.read_table(folder / f"{name}.arrow", memory_map=False) for name in ("readings", "spine"))
    return readings, spine


# ---------------------------------------------------------------- the contestants


@dataclass(frozen=True)
class Rows:
    """One table in memory, as an engine sees it."""

    graph: Graph
    table: pa.Table
    fingerprint: str = "readings"

    def read(self, _table: str, columns: Sequence[str]) -> pa.Table:
        """These columns."""
        return self.table.select(list(columns))


def penstock(readings: pa.Table, spine: pa.Table) -> pa.Table:
    """The values by `penstock.features.historical.historical`."""
    dtypes = {"driver": Dtype.INT, "ts": Dtype.TIMESTAMP} | dict.fromkeys(FEATURES, Dtype.FLOAT)
    columns = tuple(Column(name, dtype, Kind.NUMERICAL) for name, dtype in dtypes.items())
    graph = Graph((Table("readings", columns, happened="ts"),))
    view = LatestView("stats", "driver", "readings", {name: name for name in FEATURES})
    bound = bind(Definitions({"driver": Entity("driver", ("driver",))}, {"stats": view}), graph)
    rows = EntityRows(Rows(graph, readings), bound.joins, bound.graph)
    return historical(bound, Relational(rows, Settings(MEMORY, THREADS, None)), spine, "stats:*")


def asof(readings: pa.Table, spine: pa.Table) -> pa.Table:
    """The values by one ASOF join, in the spine's order."""
    import duckdb

    with duckdb.connect(config={"threads": THREADS}) as connection:
        connection.register("readings", readings)
        connection.register("spine", spine.append_column("row", pa.array(np.arange(len(spine)))))
        taken = ", ".join(f"r.{name}" for name in FEATURES)
        text = f"""SELECT s.driver, s.cutoff, {taken} FROM spine s ASOF LEFT JOIN readings r
            ON s.driver = r.driver AND s.cutoff >= r.ts ORDER BY s.row"""
        return connection.sql(text).to_arrow_table()


CONTESTANTS: dict[str, Callable[[pa.Table, pa.Table], pa.Table]] = {"penstock": penstock, "asof": asof}

FEAST = """
import resource, sys, time
resource.setrlimit(resource.RLIMIT_AS, (LIMIT, LIMIT))
from datetime import timedelta
from pathlib import Path
import pandas as pd
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, RepoConfig, ValueType
from feast.types import Float64
folder = Path(sys.argv[1])
config = RepoConfig(project="bench", provider="local", registry=str(folder / "registry.db"),
    offline_store={"type": sys.argv[2]}, online_store={"type": "sqlite", "path": str(folder / "online.db")},
    entity_key_serialization_version=3)
store = FeatureStore(config=config)
driver = Entity(name="driver", join_keys=["driver"], value_type=ValueType.INT64)
source = FileSource(path=str(folder / "readings.parquet"), timestamp_field="ts")
names = [f"f{n}" for n in range(20)]
view = FeatureView(name="stats", entities=[driver], ttl=timedelta(0), source=source,
    schema=[Field(name=n, dtype=Float64) for n in names])
store.apply([driver, view])
spine = pd.read_parquet(folder / "spine.parquet").rename(columns={"cutoff": "event_timestamp"})
start = time.perf_counter()
found = store.get_historical_features(spine, [f"stats:{n}" for n in names]).to_arrow()
seconds = time.perf_counter() - start
peak = int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1e6
print(f"{seconds} {peak} {found.num_rows}")
"""


# ---------------------------------------------------------------- measuring


def held() -> float:
    """The memory this process holds now, in GB; from here on its peak is counted anew, where the system can."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        clear.write_text("5")
    return peak_memory()


def measure(name: str, folder: Path, repeat: int) -> dict[str, object]:
    """Seconds by the clock and of the processors (medians after a first run), GB beyond the tables, and sums."""
    work, (readings, spine) = CONTESTANTS[name], load(folder)
    work(readings.slice(0, 1000), spine.slice(0, 1000))  # compiles and imports what is needed
    before, seconds, busy = held(), [], []
    for _ in range(repeat):
        found = None
        start, used = time.perf_counter(), time.process_time()
        found = work(readings, spine)
        seconds.append(time.perf_counter() - start)
        busy.append(time.process_time() - used)
    assert found is not None
    values = [found[feature].combine_chunks().to_numpy(zero_copy_only=False) for feature in FEATURES]
    told = [float(np.nansum(one)) for one in values] + [float(np.isnan(values[0]).sum())]
    return {"seconds": median(seconds), "busy": median(busy), "memory": peak_memory() - before, "sums": told}


def child(name: str, folder: Path, repeat: int) -> dict[str, object]:
    """A contestant measured in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.historical", "--measure", name, str(folder), "--repeat", str(repeat)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def feast(python: str, folder: Path, store: str) -> str:
    """What Feast takes with one of its offline stores, reading Parquet files; or why it gave nothing."""
    for name, table in zip(("readings", "spine"), load(folder), strict=True):
        pq.write_table(table, folder / f"{name}.parquet")
    command = [python, "-c", FEAST.replace("LIMIT", str(FEAST_MEMORY)), str(folder), store]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=FEAST_SECONDS)
    except subprocess.TimeoutExpired:
        return f"no answer within {FEAST_SECONDS} s"
    if done.returncode:
        last = done.stderr.strip().splitlines()[-1:] or [f"ended by signal {-done.returncode}"]
        return f"no answer: {last[0][:90]}"
    seconds, peak, rows = done.stdout.split()[-3:]
    return f"{float(seconds):7.2f} s   {float(peak):6.2f} GB in all   {int(rows):,} rows"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=10_000_000, help="rows of the source (default 10,000,000)")
    parser.add_argument("--spine", type=int, default=1_000_000, help="rows of the spine (default 1,000,000)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median counts (default 3)")
    parser.add_argument("--shuffled", action="store_true", help="the source's rows in no order of time")
    parser.add_argument("--feast", metavar="PYTHON", help="a Python in which Feast is installed")
    parser.add_argument("--measure", nargs=2, metavar=("NAME", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.measure[0], Path(given.measure[1]), given.repeat)))
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        generate(folder, given.rows, given.spine, shuffled=given.shuffled)
        order = "in no order" if given.shuffled else "in order of time"
        print(f"{given.spine:,} rows of a spine, {given.rows:,} rows {order}, {len(FEATURES)} features")
        found = {name: child(name, folder, given.repeat) for name in CONTESTANTS}
        for name, told in found.items():
            taken = f"{told['seconds']:7.2f} s   ({told['busy']:6.2f} s of processors)"
            print(f"{name:18} {taken}   {told['memory']:6.2f} GB beyond the tables", flush=True)
        print("values equal" if found["penstock"]["sums"] == found["asof"]["sums"] else "values DIFFER")
        if given.feast is None:
            print("Feast was left out: name a Python that has it, --feast PYTHON")
            return
        for store in ("dask", "duckdb"):
            print(f"{'feast (' + store + ')':18} {feast(given.feast, folder, store)}", flush=True)


if __name__ == "__main__":
    main()
