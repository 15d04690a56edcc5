"""Versioned tables against their floors: small files and SQLite alone for commits, plain read_parquet for reading.

    python -m benchmarks.lake [--rows 5000000] [--snapshots 1000] [--repeat 5]

Commits: ten rows each, at growing numbers of versions, and with all but fifty versions forgotten every fifty commits.
Point in time: a version's rows in a new process, from opening the lake to the last row (imports apart).
Current rows: a table of ``rows`` keys of which some were updated once, asked for a sum over every column.
"""

from __future__ import annotations

import argparse
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from penstock.lake.sql import Sql
from penstock.lake.versioned import Lake, Roles, Scan, VersionedTable, open_lake

COLUMNS = ("amount", "quantity", "channel", "placed", "weight")
SCHEMA = pa.schema(
    [("id", pa.int64()), ("amount", pa.float64()), ("quantity", pa.int64()), ("channel", pa.string()),
     ("placed", pa.timestamp("us")), ("weight", pa.float64())]
)  # fmt: skip
ROLES = Roles(key=("id",), happened="placed")
SUMS = "count(*), sum(amount), sum(quantity), max(channel), max(placed), sum(weight)"
GROUP = 500_000


def timed(work: Callable[[], object]) -> float:
    """Seconds that it took."""
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def middle(repeat: int, work: Callable[[], object]) -> float:
    """The median of several runs, after one that does not count."""
    work()
    return median(timed(work) for _ in range(repeat))


def line(name: str, seconds: float, floor: float | None = None) -> None:
    """One line of the table."""
    ratio = "" if floor is None else f"{seconds / floor:8.2f} ×"
    print(f"  {name:58} {seconds * 1000:9.1f} ms {ratio}", flush=True)


def batches(keys: np.ndarray, schema: pa.Schema, known: int | None = None) -> Iterator[pa.RecordBatch]:
    """Rows of these keys, the same ones for the same keys."""
    for first in range(0, len(keys), GROUP):
        ids = keys[first : first + GROUP]
        rng = np.random.default_rng(int(ids[0]))
        columns = [
            pa.array(ids),
            pa.array(np.round(rng.lognormal(3, 1, len(ids)), 2)),
            pa.array(rng.integers(0, 20, len(ids))),
            pa.array(rng.integers(0, 12, len(ids)).astype("U2")),
            pa.array(rng.integers(0, 10**15, len(ids)), pa.timestamp("us")),
            pa.array(rng.random(len(ids))),
            pa.nulls(len(ids), pa.timestamp("us"))
            if known is None
            else pa.array([known] * len(ids), pa.timestamp("us")),
            pa.nulls(len(ids), pa.bool_()),
        ]
        yield pa.RecordBatch.from_arrays(columns, schema=schema)


# ------------------------------------------------------------------------------------------------- commits


def small(table: VersionedTable, at: int) -> float:
    """Stage and commit ten new rows."""
    rows = list(batches(np.arange(at * 10, at * 10 + 10), table.schema))
    return timed(lambda: table.commit(table.stage(rows), batch=f"batch {at}", facts={"offset": str(at)}))


def floor_of_commits(folder: Path, schema: pa.Schema, repeat: int) -> float:
    """One Parquet file of ten rows, and one row updated in a SQLite file."""
    connection = sqlite3.connect(folder / "floor.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("CREATE TABLE t (a TEXT)")
    connection.execute("INSERT INTO t VALUES ('')")
    rows = pa.Table.from_batches(list(batches(np.arange(10), schema)))

    def both() -> None:
        pq.write_table(rows, folder / "floor.parquet", compression="zstd")
        connection.execute("UPDATE t SET a = a || 'x'")

    found = middle(repeat * 10, both)
    connection.close()
    return found


def commits(lake: Lake, folder: Path, snapshots: int, repeat: int) -> VersionedTable:
    """Commit latency as versions pile up, and with the old ones forgotten."""
    table = lake.create("small", SCHEMA, ROLES)
    floor = floor_of_commits(folder, table.schema, repeat)
    print(f"Commit of ten rows, staged and committed ({snapshots} versions)")
    line("floor: one Parquet file and one row of SQLite", floor)
    took = [small(table, at) for at in range(snapshots)]
    for at in sorted({1, 100, snapshots // 2, snapshots}):
        line(f"at {at} versions", median(took[max(at - 20, 0) : at + 20]), floor)
    line(f"at {snapshots} versions, the slowest of the last hundred", max(took[-100:]), floor)
    kept = lake.create("kept", SCHEMA, ROLES)
    took = []
    for at in range(snapshots // 2):
        took.append(small(kept, at))
        if at % 50 == 49:
            took[-1] += timed(lambda: _forget(lake, kept))
    line("with all but fifty forgotten every fifty, median", median(took[-200:]), floor)
    line("with all but fifty forgotten every fifty, mean", sum(took[-200:]) / len(took[-200:]), floor)
    line("compaction of the small files", timed(table.compact))
    return table


def _forget(lake: Lake, kept: VersionedTable) -> None:
    from datetime import timedelta

    lake.expire(50, pinned={"small": [v.number for v in lake.table("small").versions()]}, grace=timedelta(days=1))
    kept.refresh()


READS = """
import sys, time
import penstock.lake.sql, penstock.lake.versioned.manifests, pyiceberg.catalog.sql, pyiceberg.io.pyarrow, duckdb
from penstock.lake.versioned import open_lake
began = time.perf_counter()
table = open_lake(sys.argv[1]).table("small")
opened = time.perf_counter()
scan = table.scan(int(sys.argv[2]))
with penstock.lake.sql.Sql({"t": scan}) as sql:
    rows = sql.arrow("SELECT * FROM t")
done = time.perf_counter()
con = duckdb.connect(config={"threads": 2})
files = [str(file) for file in scan.files]
start = time.perf_counter()
con.execute("SELECT * FROM read_parquet($1)", [files]).to_arrow_table()
print(opened - began, done - began, time.perf_counter() - start, rows.num_rows)
"""


def points_in_time(lake: Lake, snapshots: int, repeat: int) -> None:
    """A version's rows among many versions, in new processes."""
    print(f"Rows of version n of {snapshots}, in a new process (floor: read_parquet of the same files)")
    for version in sorted({1, snapshots // 2, snapshots}):
        told = [
            subprocess.run(
                [sys.executable, "-c", READS, lake.place, str(version)], capture_output=True, text=True, check=True
            ).stdout.split()
            for _ in range(repeat)
        ]
        opened, whole, floor = (median(float(run[at]) for run in told) for at in range(3))
        line(f"version {version} ({told[0][3]} rows; opening alone {opened * 1000:.0f} ms)", whole, floor)


# ------------------------------------------------------------------------------------------------- reading


def plain(scan: Scan) -> Callable[[], object]:
    """DuckDB's own reading of a scan's files."""
    files = ", ".join(f"'{file}'" for file in scan.files)

    def read() -> object:
        with duckdb.connect(config={"threads": 2}) as connection:
            return connection.execute(f"SELECT {SUMS} FROM read_parquet([{files}])").fetchall()

    return read


def asked(table: VersionedTable, of: str) -> Callable[[], object]:
    """The same sums of a table's rows, from its scan on."""

    def read() -> object:
        with Sql({"t": table.scan()}, rows="log" if of == "log" else "current") as sql:
            return sql.arrow(f"SELECT {SUMS} FROM t")

    return read


def reading(lake: Lake, rows: int, repeat: int) -> None:
    """The log and the current rows, some of them updated."""
    print(f"Sums over {rows:,} keys (floor: read_parquet of the same files)")
    keys = np.arange(rows)
    for share in (0, 1, 50):
        table = lake.create(f"updated_{share}", SCHEMA, ROLES)
        staged = table.stage(batches(keys, table.schema))
        took = timed(lambda table=table, staged=staged: table.commit(staged, batch="first"))
        if share:
            again = np.sort(np.random.default_rng(share).choice(rows, rows * share // 100, replace=False))
            table.commit(table.stage(batches(again, table.schema, 10**15)), batch="second")
        else:
            line("commit of the first load, keys looked at", took)
        floor = middle(repeat, plain(table.scan()))
        line(f"{share} % updated: floor", floor)
        line(f"{share} % updated: the log", middle(repeat, asked(table, "log")), floor)
        line(f"{share} % updated: current rows", middle(repeat, asked(table, "current")), floor)
        if share == 1:
            line("1 % updated: compaction", timed(lambda table=table: table.compact(rows * 4)))
            line("1 % updated, compacted: current rows", middle(repeat, asked(table, "current")), floor)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--snapshots", type=int, default=1_000)
    parser.add_argument("--repeat", type=int, default=5)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        lake = open_lake(Path(folder) / "lake")
        commits(lake, Path(folder), given.snapshots, given.repeat)
        points_in_time(lake, given.snapshots, given.repeat)
        reading(lake, given.rows, given.repeat)


if __name__ == "__main__":
    main()
