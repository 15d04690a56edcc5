"""The sweep against its floor (sorting the events) and against the best single SQL statement for the same values.

    python -m benchmarks.sweep [--scale 10] [--limit 300] [--repeat 5] [--no-sql]

A million (customer, cutoff) rows, 42 features over two million events of customers whose activity is Zipf-skewed; all
times ``scale``. Two spines: *random* customers at random cutoffs, and *busy*: the events of the busiest customers.
Sorting is timed with the sweep: from DuckDB tables to one array a feature.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median

import duckdb
import numpy as np
import pyarrow as pa

from penstock.engine.sweep import Request, Segments, Spine, sweep
from penstock.window import Lookback, Window

DAY = 86_400_000_000
YEARS = 730
DAYS = (7, 30, 90, 365)
WINDOWS: list[Window | None] = [*(Lookback(-days, 0) for days in DAYS), Lookback(None, 0)]
SPINES = ("random", "busy")
THREADS = 2
SORTED_EVENTS = """
    SELECT customer, epoch_us(happened) AS happened, price, product, channel
    FROM events ORDER BY customer, happened, id"""


def generate(path: Path, scale: int) -> None:
    """Write the tables ``events``, ``random`` and ``busy``: the same ones for the same scale."""
    rng = np.random.default_rng(7)
    customers, count, rows = 100_000 * scale, 2_000_000 * scale, 1_000_000 * scale
    weight = np.cumsum(np.arange(1, customers + 1) ** -0.8)
    customer = rng.permutation(customers)[np.searchsorted(weight / weight[-1], rng.random(count))].astype(np.int32)
    happened = np.sort(rng.integers(0, YEARS * DAY, count))
    events = {
        "id": np.arange(count),
        "customer": customer,
        "happened": pa.array(happened, pa.timestamp("us")),
        "price": np.round(rng.lognormal(3, 1, count), 2),
        "product": rng.integers(0, 500, count).astype(np.int32),
        "channel": (rng.random(count) ** 2 * 12).astype(np.int32),
    }
    asked = np.repeat(rng.integers(0, customers, rows // 10).astype(np.int32), 10)
    shuffle = rng.permutation(rows)
    cutoff = rng.integers(60 * DAY, YEARS * DAY, rows)
    activity = np.bincount(customer, minlength=customers)[customer]
    busiest = np.sort(np.argsort(-activity, kind="stable")[:rows])
    spines = {"random": (asked[shuffle], cutoff), "busy": (customer[busiest], happened[busiest])}
    with duckdb.connect(str(path)) as connection:
        _create(connection, "events", events)
        for name, (who, when) in spines.items():
            _create(
                connection,
                name,
                {"row_id": np.arange(rows), "customer": who, "cutoff": pa.array(when, pa.timestamp("us"))},
            )


def _create(connection: duckdb.DuckDBPyConnection, name: str, columns: dict[str, object]) -> None:
    connection.register("given", pa.table(columns))
    connection.execute(f"CREATE TABLE {name} AS FROM given")
    connection.unregister("given")


def connect(path: Path) -> duckdb.DuckDBPyConnection:
    """The generated database, on two threads."""
    return duckdb.connect(str(path), read_only=True, config={"threads": THREADS})


# ---------------------------------------------------------------- the three contestants


def sort_alone(connection: duckdb.DuckDBPyConnection) -> None:
    """The floor: read the events and sort them by key and time into a table."""
    connection.execute(f"CREATE OR REPLACE TEMP TABLE sorted AS {SORTED_EVENTS}")


def sort_and_sweep(connection: duckdb.DuckDBPyConnection, spine: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """The rows' numbers, in the order swept, and a column for each feature."""
    events = _arrays(connection, SORTED_EVENTS)
    rows = _arrays(
        connection,
        f"SELECT row_id, customer, epoch_us(cutoff) AS cutoff FROM {spine} ORDER BY customer, cutoff, row_id",
    )
    keys = np.arange(max(events["customer"][-1], rows["customer"][-1]) + 2, dtype=np.int32)
    segments = Segments(np.searchsorted(events["customer"], keys), events["happened"])
    swept = Spine(np.searchsorted(rows["customer"], keys), rows["cutoff"])
    asked = requests(events)
    results = sweep(segments, swept, WINDOWS, list(asked.values()), threads=THREADS)
    features = {name: result for name, result in zip(asked, results, strict=True) if isinstance(result, np.ndarray)}
    return rows["row_id"], features | {"price": events["price"]}


def _arrays(connection: duckdb.DuckDBPyConnection, query: str) -> dict[str, np.ndarray]:
    table = connection.sql(query).to_arrow_table().combine_chunks()
    return {name: table[name].chunk(0).to_numpy() for name in table.column_names}


def requests(events: dict[str, np.ndarray]) -> dict[str, Request]:
    """The 42 features by name."""
    columns = {"count": None, "distinct": events["product"], "mode": events["channel"]}
    functions = {"count": "COUNT", "sum": "SUM", "avg": "AVG", "std": "STDDEV", "min": "MIN", "max": "MAX"}
    functions |= {"distinct": "COUNT_DISTINCT", "mode": "MODE"}
    asked = {
        f"{name}_{window}": Request(function, window, columns.get(name, events["price"]))
        for window in range(len(WINDOWS))
        for name, function in functions.items()
    }
    latest = len(WINDOWS) - 1
    return asked | {"last": Request("LAST", latest), "since": Request("TIME_SINCE", latest)}


def statement(spine: str) -> str:
    """The SQL that took least time of those tried.

    Each (row, event) pair falls in one age band; a partial aggregate a band, then the bands of a window together.
    Different values and modes come from counts a (row, value), the last event from an ASOF join.
    """
    bands = " ".join(f"WHEN happened > cutoff - INTERVAL {days} DAY THEN {band}" for band, days in enumerate(DAYS))
    pairs = f"FROM {spine} AS s JOIN events AS e ON e.customer = s.customer AND e.happened <= s.cutoff"
    band = f"CASE {bands} ELSE {len(DAYS)} END AS band"
    windows = range(len(WINDOWS))
    numbers = ", ".join(_numbers_of(window) for window in windows)
    distinct = ", ".join(f"count(*) FILTER (band <= {w}) AS distinct_{w}" for w in windows)
    counts = ", ".join(f"count(*) FILTER (band <= {w}) AS n_{w}" for w in windows)
    modes = ", ".join(f"999 - max(n_{w} * 1000 + 999 - channel) FILTER (n_{w} > 0) % 1000 AS mode_{w}" for w in windows)
    return f"""
        WITH partial AS (
            SELECT row_id, {band}, count(*) AS n, sum(price) AS s, sum(price * price) AS q, min(price) AS lo,
                max(price) AS hi {pairs} GROUP BY ALL),
        numbers AS (SELECT row_id, {numbers} FROM partial GROUP BY row_id),
        products AS (
            SELECT row_id, min(band) AS band FROM (SELECT row_id, product, {band} {pairs}) GROUP BY row_id, product),
        distincts AS (SELECT row_id, {distinct} FROM products GROUP BY row_id),
        channels AS (
            SELECT row_id, channel, {counts} FROM (SELECT row_id, channel, {band} {pairs}) GROUP BY row_id, channel),
        modes AS (SELECT row_id, {modes} FROM channels GROUP BY row_id),
        latest AS (
            SELECT row_id, price AS last, epoch_us(cutoff) - epoch_us(happened) AS since
            FROM {spine} AS s ASOF JOIN events AS e ON e.customer = s.customer AND e.happened <= s.cutoff)
        SELECT * FROM {spine} LEFT JOIN numbers USING (row_id) LEFT JOIN distincts USING (row_id)
            LEFT JOIN modes USING (row_id) LEFT JOIN latest USING (row_id)"""


def _numbers_of(window: int) -> str:
    only = f"FILTER (band <= {window})"
    n, s, q = f"sum(n) {only}", f"sum(s) {only}", f"sum(q) {only}"
    return f"""{n} AS count_{window}, {s} AS sum_{window}, {s} / {n} AS avg_{window}, min(lo) {only} AS min_{window},
        max(hi) {only} AS max_{window},
        CASE WHEN {n} > 1 THEN sqrt(greatest(0, {q} - ({s}) * ({s}) / {n}) / ({n} - 1)) END AS std_{window}"""


# ---------------------------------------------------------------- measuring


def timed(*works: Callable[[], object], repeat: int) -> list[float]:
    """The median of some runs of each, in seconds; they take turns, after a first turn that does not count."""
    seconds: list[list[float]] = [[] for _ in works]
    for turn in range(repeat + 1):
        for work, taken in zip(works, seconds, strict=True):
            start = time.perf_counter()
            work()
            if turn > 0:
                taken.append(time.perf_counter() - start)
    return [median(taken) for taken in seconds]


def time_sql(connection: duckdb.DuckDBPyConnection, spine: str, limit: float) -> float | None:
    """How long the SQL took to make its table ``expected``; None if it was stopped at the limit."""
    stop = threading.Timer(limit, connection.interrupt)
    stop.start()
    start = time.perf_counter()
    try:
        connection.execute(f"CREATE OR REPLACE TEMP TABLE expected AS {statement(spine)}")
    except duckdb.InterruptException:
        return None
    finally:
        stop.cancel()
    return time.perf_counter() - start


def differences(connection: duckdb.DuckDBPyConnection, spine: str) -> list[str]:
    """The features whose values differ from those of the SQL: sums by more than 1e-9 of their size, the rest at all."""
    row_ids, features = sort_and_sweep(connection, spine)
    price = features.pop("price")
    features["last"] = np.where(features["last"] >= 0, price[features["last"]], np.nan)
    expected = connection.sql("SELECT * FROM expected ORDER BY row_id").to_arrow_table()
    wrong = []
    for name, values in features.items():
        found = np.empty(len(values))
        found[row_ids] = np.where(values < 0, np.nan, values) if name.startswith(("mode", "since")) else values
        other = expected[name].cast(pa.float64(), safe=False).to_numpy().copy()
        if name.startswith(("count", "sum", "distinct")):
            other[np.isnan(other)] = 0
        close = 1e-6 if name.startswith("std") else 1e-9 if name.startswith(("sum", "avg")) else 0
        if not np.allclose(found, other, rtol=close, atol=close, equal_nan=True):
            wrong.append(name)
    return wrong


def peak_memory() -> float:
    """The most memory this process has held, in GB."""
    status = Path("/proc/self/status")
    if status.exists():
        return int(status.read_text().split("VmHWM:")[1].split()[0]) / 1e6
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def memory_of(path: Path, spine: str) -> float:
    """The peak memory of a process that does nothing but sort and sweep once, in GB."""
    command = [sys.executable, "-m", "benchmarks.sweep", "--measure", str(path), spine]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def report(path: Path, spine: str, *, repeat: int, limit: float, sql: bool) -> None:
    """Measure one spine and print what came of it."""
    with connect(path) as connection:
        alone, whole = partial(sort_alone, connection), partial(sort_and_sweep, connection, spine)
        floor, ours = timed(alone, whole, repeat=repeat)
        print(f"{spine:8} sort alone {floor:7.2f} s   sort and sweep {ours:7.2f} s = {ours / floor:.1f} x sort", end="")
        print(f"   peak memory {memory_of(path, spine):.2f} GB", flush=True)
        if not sql:
            return
        theirs = time_sql(connection, spine, limit)
        if theirs is None:
            print(
                f"{spine:8} SQL stopped after {limit:.0f} s: more than {limit / ours:.0f} x the time of sort and sweep"
            )
            return
        wrong = differences(connection, spine)
        print(
            f"{spine:8} SQL {theirs:.1f} s = {theirs / ours:.1f} x;",
            "values equal" if not wrong else f"DIFFER: {wrong}",
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--scale", type=int, default=1, help="how many times the size (default 1)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of which the median counts (default 5)")
    parser.add_argument(
        "--limit", type=float, default=60, help="stop an SQL statement after so many seconds (default 60)"
    )
    parser.add_argument("--no-sql", action="store_true", help="leave SQL out")
    parser.add_argument("--measure", nargs=2, metavar=("FILE", "SPINE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        with connect(Path(given.measure[0])) as connection:
            sort_and_sweep(connection, given.measure[1])
        print(peak_memory())
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "events.duckdb"
        generate(path, given.scale)
        print(f"{2 * given.scale} M events, {given.scale} M rows, 42 features, {THREADS} threads")
        for spine in SPINES:
            report(path, spine, repeat=given.repeat, limit=given.limit, sql=not given.no_sql)


if __name__ == "__main__":
    main()
