"""SQL reads the tables it was given and nothing else."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import SourceError
from penstock.lake.sql import Sql
from penstock.lake.versioned import Roles, Scan, ScanColumn, open_lake

ROWS = pa.table({"id": [1, 2, 3], "name": ["a", "b", None]})


def test_arrow_tables_are_asked():
    with Sql({'odd "name"': ROWS}) as sql:
        assert sql.arrow('SELECT max(id) AS most FROM "odd ""name"""').to_pylist() == [{"most": 3}]
        assert sql.describe('SELECT id, name FROM "odd ""name"""').names == ["id", "name"]


def test_batches_come_one_after_another():
    with Sql({"t": ROWS}) as sql, sql.batches("SELECT * FROM t, range(1000)", size=500) as reader:
        assert sum(batch.num_rows for batch in reader) == 3000


def test_scans_are_asked_for_the_log_or_what_is_true(tmp_path: Path):
    table = open_lake(tmp_path).create("t", ROWS.schema, Roles(key=("id",)))
    for batch, deleted in (("a", None), ("b", True)):
        rows = [{"id": 1, "name": "x", "_known": None if deleted is None else 1, "_deleted": deleted}]
        table.commit(table.stage([pa.RecordBatch.from_pylist(rows, schema=table.schema)]), batch=batch)
    with Sql({"t": table.scan()}) as sql:
        assert sql.arrow("FROM t").num_rows == 0
    with Sql({"t": table.scan()}, rows="log") as sql:
        assert sql.arrow("FROM t")["_deleted"].to_pylist() == [None, True]


def test_conditions_find_what_is_no_number(tmp_path: Path):
    """Extremes in a file leave NaN out: a reader that believes them passes such rows over."""
    values = [1.0, float("nan"), 3.0, float("inf"), None]
    table = open_lake(tmp_path).create("t", pa.schema([("x", pa.float64()), ("y", pa.float32())]), Roles())
    rows = [{"x": value, "y": value} for value in values]
    table.commit(table.stage([pa.RecordBatch.from_pylist(rows, schema=table.schema)]), batch="a")
    with Sql({"t": table.scan()}) as sql:
        asked = "SELECT count(*) FILTER (x > 2) AS kept FROM t WHERE "
        assert sql.arrow(f"{asked} isnan(x)")["kept"].to_pylist() == [1]
        assert sql.arrow(f"{asked} y > 1e9")["kept"].to_pylist() == [2]


@pytest.mark.parametrize(
    "statement",
    [
        "FROM read_parquet('{secret}')",
        "FROM '{secret}'",
        "COPY t TO '{secret}.csv'",
        "ATTACH '{secret}.db'",
        "FROM glob('{folder}/*')",
        "FROM read_text('{secret}')",
        "SET enable_external_access = true",
        "SET allowed_paths = ['{secret}']",
        "INSTALL httpfs",
        "LOAD httpfs",
        "FROM read_csv('https://example.invalid/a.csv')",
    ],
)
def test_nothing_else_is_reached(tmp_path: Path, statement: str):
    secret = tmp_path / "secret.parquet"
    pq.write_table(ROWS, secret)
    with Sql({"t": ROWS}) as sql:
        with pytest.raises(SourceError, match="SQL_FAILED: "):
            sql.arrow(statement.format(secret=secret, folder=tmp_path))
        assert sql.arrow("FROM t").num_rows == 3
    assert {path.name for path in tmp_path.iterdir()} <= {"secret.parquet", "penstock-cache"}


def test_what_fails_while_batches_are_read_is_told():
    texts = pa.table({"x": [*map(str, range(300_000)), "z"]})
    with Sql({"t": texts}) as sql, pytest.raises(SourceError, match=r"SQL_FAILED: .*Could not convert string 'z'"):
        list(sql.batches("SELECT CAST(x AS int) AS x FROM t"))


INTERRUPTED = """
import os, signal, sys, threading, time
from penstock.lake.sql import Sql

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
def again():
    while True:  # the engine looks for signals now and then
        time.sleep(0.3)
        os.kill(os.getpid(), signal.SIGINT)
threading.Thread(target=again, daemon=True).start()
rows = "SELECT x FROM range(3000000000) AS n(x)"
try:
    with Sql({}) as sql:
        if sys.argv[1] == "arrow":
            sql.arrow(f"SELECT count(*) FROM ({rows}) WHERE hash(x) = 1")
        for _ in sql.batches(rows):
            pass
except KeyboardInterrupt:
    os._exit(42)  # at once: the next signal may come while the interpreter ends
"""


@pytest.mark.parametrize("way", ["arrow", "batches"])
def test_an_interrupt_inside_a_query_is_an_interrupt(way: str):
    child = subprocess.run([sys.executable, "-c", INTERRUPTED, way], check=False, capture_output=True, timeout=300)
    assert child.returncode == 42, child.stderr.decode()


def test_what_is_no_select_is_refused():
    with Sql({"t": ROWS}) as sql, pytest.raises(SourceError, match="SQL_FAILED"):
        sql.arrow("SELEC 1")


def test_a_file_that_is_no_parquet_is_named(tmp_path: Path):
    path = tmp_path / "foreign.parquet"
    path.write_bytes(b"PAR1 this is none PAR1")
    with pytest.raises(SourceError, match=r"SQL_FAILED: .*foreign.parquet"), Sql({"t": bare(path)}) as sql:
        sql.arrow("FROM t")


def test_a_missing_file_is_named(tmp_path: Path):
    with Sql({"t": bare(tmp_path / f"{'0' * 32}-ab.parquet")}) as sql, pytest.raises(SourceError, match="is missing"):
        sql.arrow("FROM t")


def bare(path: Path) -> Scan:
    columns = [ScanColumn(1, "id", pa.int64()), ScanColumn(2, "_known", pa.timestamp("us"))]
    return Scan((path,), (*columns, ScanColumn(3, "_deleted", pa.bool_())))
