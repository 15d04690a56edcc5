"""Ingesting a table against its floor: PostgreSQL against its driver alone, CSV against DuckDB's own reading.

    python -m benchmarks.ingest [--rows 10000000] [--repeat 3] [--postgres URL] [--only postgres | csv]

One table of eleven columns with a key. *PostgreSQL*: the floor is ADBC reading the same columns, batch by batch, and
dropping them. *CSV*: the floor is DuckDB's ``read_csv`` written as Parquet (zstd). Ours is a first load: read, fitted
to the lake's types, written as Parquet, committed as one version; then the same table compared with the lake, where
nothing differs, and again after one row in a thousand changed (PostgreSQL). The server is ``--postgres``, or
``PENSTOCK_TEST_POSTGRES``; the table it makes there is dropped in the end.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.sweep import peak_memory

TABLE = "penstock_benchmark_ingest"
CREATED = f"""
    CREATE TABLE {TABLE} (
        id bigint PRIMARY KEY, customer int NOT NULL, at timestamptz NOT NULL, updated timestamptz,
        amount numeric(12, 2), price double precision, quantity smallint, ok boolean,
        status text, city varchar(40), note text)"""
FILLED = f"""
    INSERT INTO {TABLE}
    SELECT i, (i * 7919) % 100003, '2023-01-01'::timestamptz + i * interval '3 seconds',
        CASE WHEN i % 5 = 0 THEN '2024-01-01'::timestamptz + i * interval '1 second' END,
        (i % 1000003) / 100.0, ((i * 31) % 99991) / 7.0, i % 50, i % 3 = 0,
        (ARRAY['new', 'paid', 'sent', 'returned'])[1 + i % 4], 'city ' || (i * 13) % 997,
        CASE WHEN i % 10 = 0 THEN 'a note of order ' || i END
    FROM generate_series(1::bigint, {{rows}}) AS i"""
COLUMNS = "id, customer, at, updated, amount, price, quantity, ok, status, city, note"


# ---------------------------------------------------------------- PostgreSQL


@contextmanager
def connected(url: str) -> Iterator[Any]:
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        yield cursor


def prepare_postgres(url: str, rows: int) -> None:
    with connected(url) as cursor:
        for text in (f"DROP TABLE IF EXISTS {TABLE}", CREATED, FILLED.format(rows=rows), f"VACUUM ANALYZE {TABLE}"):
            cursor.execute(text)


def driver_alone(url: str) -> None:
    """The floor: all columns, a batch at a time."""
    with connected(url) as cursor:
        cursor.execute(f"SELECT {COLUMNS} FROM {TABLE}")
        for _ in cursor.fetch_record_batch():
            pass


def change_some(url: str) -> None:
    with connected(url) as cursor:
        cursor.execute(f"UPDATE {TABLE} SET quantity = quantity + 1 WHERE id % 1000 = 0")


def from_postgres(url: str, place: Path) -> None:
    take(url, TABLE, place, ())


# ---------------------------------------------------------------- CSV


def prepare_csv(path: Path, rows: int) -> None:
    import duckdb

    with duckdb.connect() as connection:
        connection.execute(f"""
            COPY (SELECT i AS id, (i * 7919) % 100003 AS customer, TIMESTAMP '2023-01-01' + to_seconds(i * 3) AS at,
                CASE WHEN i % 5 = 0 THEN TIMESTAMP '2024-01-01' + to_seconds(i) END AS updated,
                round((i % 1000003) / 100.0, 2) AS amount, ((i * 31) % 99991) / 7.0 AS price, i % 50 AS quantity,
                i % 3 = 0 AS ok, ['new', 'paid', 'sent', 'returned'][1 + i % 4] AS status,
                'city ' || (i * 13) % 997 AS city, CASE WHEN i % 10 = 0 THEN 'a note, of order ' || i END AS note
            FROM range(1, {rows + 1}) AS t(i)) TO '{path}' (HEADER, DELIMITER ',')""")


def duckdb_alone(path: Path, place: Path) -> None:
    """The floor: DuckDB reads the file and writes it as Parquet."""
    import duckdb

    place.mkdir(parents=True, exist_ok=True)
    with duckdb.connect() as connection:
        target = place / "floor.parquet"
        connection.execute(f"COPY (FROM read_csv('{path}')) TO '{target}' (FORMAT parquet, COMPRESSION zstd)")


def from_csv(path: Path, place: Path) -> None:
    take(str(path), path.stem, place, ("id",))


# ---------------------------------------------------------------- measuring


def take(source: str, table: str, place: Path, key: tuple[str, ...]) -> None:
    from penstock.lake.ingest import Intake, ingest
    from penstock.lake.versioned import open_lake

    intake = Intake("t", source, table, mode="compare", key=key)
    ingest(intake, open_lake(place / "lake"), quarantine=place / "quarantine")


def measured(what: str, source: str, place: Path) -> tuple[float, float]:
    """Seconds and peak memory (GB) of a process that does one thing."""
    command = [sys.executable, "-m", "benchmarks.ingest", "--measure", what, source, str(place)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(told[0]), float(told[1])


def measure(what: str, source: str, place: Path) -> None:
    works: dict[str, Callable[[], None]] = {
        "driver": lambda: driver_alone(source),
        "postgres": lambda: from_postgres(source, place),
        "duckdb": lambda: duckdb_alone(Path(source), place),
        "csv": lambda: from_csv(Path(source), place),
    }
    with tempfile.TemporaryDirectory() as folder:
        take_little(Path(folder))
    start = time.perf_counter()
    works[what]()
    print(time.perf_counter() - start, peak_memory())


def take_little(folder: Path) -> None:
    """Import whatever is needed, so that what is measured is the work."""
    import adbc_driver_postgresql.dbapi
    import duckdb

    source = folder / "little.csv"
    source.write_text("id,v\n1,a\n", encoding="utf-8")
    take(str(source), "little", folder, ("id",))
    assert adbc_driver_postgresql.dbapi
    assert duckdb


def times(what: str, source: str, place: Path, repeat: int, *, again: bool = False) -> tuple[float, float]:
    """The median of some runs; each in an empty place, or with ``again`` in one that has it all."""
    found = []
    for _ in range(repeat):
        if not again:
            shutil.rmtree(place, ignore_errors=True)
        found.append(measured(what, source, place))
    return median(seconds for seconds, _ in found), max(memory for _, memory in found)


def show(what: str, rows: int, found: tuple[float, float], floor: float | None = None) -> None:
    seconds, memory = found
    ratio = "" if floor is None else f"= {seconds / floor:4.2f} x the floor"
    print(f"{what:44} {seconds:8.2f} s  {rows / seconds / 1e6:5.2f} M rows/s  {memory:5.2f} GB  {ratio}", flush=True)


def report_postgres(url: str, place: Path, rows: int, repeat: int) -> None:
    prepare_postgres(url, rows)
    try:
        floor = times("driver", url, place, repeat)
        show("PostgreSQL: ADBC alone", rows, floor)
        show("PostgreSQL: first load", rows, times("postgres", url, place, repeat), floor[0])
        show("PostgreSQL: compare, nothing differs", rows, times("postgres", url, place, repeat, again=True), floor[0])
        change_some(url)
        show("PostgreSQL: compare, 1 in 1,000 differs", rows, measured("postgres", url, place), floor[0])
    finally:
        with connected(url) as cursor:
            cursor.execute(f"DROP TABLE {TABLE}")


def report_csv(place: Path, rows: int, repeat: int) -> None:
    path = place.parent / "orders.csv"
    prepare_csv(path, rows)
    floor = times("duckdb", str(path), place, repeat)
    show(f"CSV ({path.stat().st_size / 1e9:.2f} GB): DuckDB into Parquet", rows, floor)
    show("CSV: first load", rows, times("csv", str(path), place, repeat), floor[0])
    show("CSV: compare, nothing differs", rows, times("csv", str(path), place, repeat, again=True), floor[0])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the table (default 1,000,000)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of which the median counts (default 3)")
    parser.add_argument("--postgres", default=os.environ.get("PENSTOCK_TEST_POSTGRES"), metavar="URL")
    parser.add_argument("--only", choices=("postgres", "csv"), help="one of the two sources")
    parser.add_argument("--measure", nargs=3, metavar=("WHAT", "SOURCE", "PLACE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        measure(given.measure[0], given.measure[1], Path(given.measure[2]))
        return
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder) / "work"
        if given.only != "csv" and given.postgres:
            report_postgres(given.postgres, place, given.rows, given.repeat)
        if given.only != "postgres":
            report_csv(place, given.rows, given.repeat)


if __name__ == "__main__":
    main()
