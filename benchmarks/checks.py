"""Twenty checks of one table against the floor: reading each column that they look at once.

    python -m benchmarks.checks [--rows 1000000] [--repeat 5] [--key]

The floor is one SELECT a column, which does no more than touch every value (``bit_xor(hash(column))``), through the
same door to the same files, one after the other on one connection. The checks are twelve conditions, two of uniqueness,
a link, a custom SELECT and four that compare with the last good version. ``--key`` gives the table a key, so that both
sides read its current rows.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import numpy as np
import pyarrow as pa

from benchmarks.sweep import peak_memory
from penstock.lake.sql import Sql
from penstock.lake.versioned import Lake, Roles, Scan, VersionedTable, open_lake
from penstock.lake.versioned.scan import quoted
from penstock.quality.check import check
from penstock.quality.contract import Contract
from penstock.quality.profiling import profile
from penstock.quality.run import run_checks

BATCH = 250_000
CUSTOMERS = 50_000
SCHEMA = pa.schema(
    [
        ("order_id", pa.int64()),
        ("code", pa.string()),
        ("customer_id", pa.int64()),
        ("status", pa.string()),
        ("amount", pa.float64()),
        ("tax", pa.float64()),
        ("units", pa.int32()),
        ("email", pa.string()),
        ("placed", pa.timestamp("us")),
        ("paid", pa.timestamp("us")),
    ]
)
CONTRACT = Contract(
    "orders",
    (
        check("row_count", min=1),
        check("not_null", "order_id"),
        check("unique", "order_id"),
        check("not_null", "code"),
        check("unique", "code"),
        check("regex", "code", pattern="^ORD-[0-9]{9}$"),
        check("not_null", "customer_id"),
        check("foreign_key", "customer_id", table="customers", to=["customer_id"]),
        check("accepted", "status", values=["new", "paid", "sent", "lost"]),
        check("range", "amount", min=0, max=1e9),
        check("range", "tax", min=0, below=1e9, mostly=0.99),
        check("range", "units", min=1, max=50),
        check("regex", "email", pattern="@example[.]com$", severity="warn"),
        check("freshness", "placed", at_most="100000 days"),
        check("expression", condition="tax <= amount"),
        check("sql", query="SELECT * FROM orders WHERE paid < placed"),
        check("volume", drop=0.1),
        check("mean", "amount"),
        check("share", "status"),
        check("wasserstein", "amount"),
    ),
)
assert len(CONTRACT.checks) == 20


def batches(rows: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The orders: the same ones for the same number."""
    rng = np.random.default_rng(11)
    for first in range(0, rows, BATCH):
        number = np.arange(first, min(first + BATCH, rows))
        count = len(number)
        amount = np.round(rng.lognormal(3, 1, count), 2)
        placed = rng.integers(0, 10**15, count)
        columns = [
            number * 7919 % max(rows, 1) if np.gcd(7919, max(rows, 1)) == 1 else number,
            pa.array([f"ORD-{one:09d}" for one in number]),
            rng.integers(0, CUSTOMERS, count),
            pa.array(np.array(["new", "paid", "sent", "lost"])[rng.integers(0, 4, count)]),
            amount,
            np.round(amount * 0.2, 2),
            rng.integers(1, 51, count).astype(np.int32),
            pa.array([f"user{one}@example.com" for one in rng.integers(0, CUSTOMERS, count)]),
            pa.array(placed, pa.timestamp("us")),
            pa.array(placed + rng.integers(0, 10**9, count), pa.timestamp("us")),
            pa.nulls(count, pa.timestamp("us")),
            pa.nulls(count, pa.bool_()),
        ]
        yield pa.RecordBatch.from_arrays([pa.array(column) for column in columns], schema=schema)


def stored(lake: Lake, rows: int, key: bool) -> VersionedTable:
    """The lake's table of orders."""
    table = lake.create("orders", SCHEMA, Roles(("order_id",) if key else ()))
    table.commit(table.stage(batches(rows, table.schema)), batch="all")
    return table


def floor(scan: Scan) -> float:
    """The seconds that it takes to touch every value of each column that the checks look at."""
    with Sql({"orders": scan}) as sql:
        sql.describe("SELECT * FROM orders")
        start = time.perf_counter()
        for name in SCHEMA.names:
            sql.arrow(f"SELECT bit_xor(hash({quoted(name)})) AS touched FROM orders")
        return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table (default 1,000,000)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of which the median counts (default 5)")
    parser.add_argument("--key", action="store_true", help="give the table a key: current rows are read")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        scan = stored(open_lake(Path(folder)), given.rows, given.key).scan()
        customers = pa.table({"customer_id": np.arange(CUSTOMERS)})
        before = profile(scan, ["amount", "status"])
        floors, checks, report = [], [], None
        for turn in range(given.repeat + 1):
            touched = floor(scan)
            start = time.perf_counter()
            report = run_checks(CONTRACT, {"orders": scan, "customers": customers}, before=before)
            if turn:
                floors.append(touched)
                checks.append(time.perf_counter() - start)
        if report is None or not report.passed:
            raise SystemExit(f"the checks should pass:\n{report}")
        ratio = median(checks) / median(floors)
        print(f"{given.rows:,} rows{', with a key' if given.key else ''}; medians of {given.repeat} runs")
        print(f"floor: {len(SCHEMA)} columns, one scan each  {median(floors):8.3f} s")
        print(f"{len(CONTRACT.checks)} checks                       {median(checks):8.3f} s  = {ratio:.2f} x the floor")
        print(f"peak memory {peak_memory():.2f} GB")
        for result in sorted(report.results, key=lambda result: -result.seconds)[:6]:
            print(f"    {result.seconds:7.3f} s  {result.check.name}")


if __name__ == "__main__":
    main()
