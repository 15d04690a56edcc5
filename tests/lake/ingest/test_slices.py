"""A first load that stopped goes on from its last slice, whatever the database and its key."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from penstock.lake.ingest import Intake, Verdict, ingest
from penstock.lake.versioned import Staged, VersionedTable, open_lake
from tests.lake.ingest.history import current
from tests.lake.ingest.test_sources import on_mysql, on_postgres

ROWS = [(a, b, f"v{a}{b}" if (a, b) != (2, 3) else None) for a in range(-2, 5) for b in range(5)]


class StoppedError(Exception):
    """Something went wrong after all was staged."""


def stopping(table: VersionedTable, staged: Staged) -> Verdict:
    raise StoppedError


def source(kind: str, tmp_path: Path, request: pytest.FixtureRequest) -> tuple[str, str]:
    """A table ``t (a, b, v)`` with a key of two columns (PostgreSQL's ``uuid`` too), and a statement's way to it."""
    values = ", ".join(f"({a}, {b}, {'NULL' if v is None else repr(v)})" for a, b, v in ROWS)
    created = "CREATE TABLE t (a int, b decimal(9, 0), v varchar(9), PRIMARY KEY (a, b))"
    if kind == "uuid":
        created = "CREATE TABLE t (a int, b uuid, v text, PRIMARY KEY (b, a))"
        values = ", ".join(
            f"({a}, '{b:08x}-0000-4000-8000-{a + 9:012x}', {'NULL' if v is None else repr(v)})" for a, b, v in ROWS
        )
    statements = ("DROP TABLE IF EXISTS t", created, f"INSERT INTO t VALUES {values}")
    if kind == "mysql":
        url = request.getfixturevalue("mysql_url")
        on_mysql(url, *statements)
    elif kind == "sqlite":
        url = str(tmp_path / "s.sqlite")
        run_sqlite(url, statements[0], created.replace("decimal(9, 0)", "int"), *statements[2:])
    else:
        url = request.getfixturevalue("postgres_url")
        on_postgres(url, *statements)
    return url, "UPDATE t SET v = 'changed' WHERE a = -2"


def run_sqlite(path: str, *statements: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


@pytest.mark.parametrize("kind", ["postgres", "uuid", "mysql", "sqlite"])
def test_a_load_that_stopped_goes_on(kind: str, tmp_path: Path, request: pytest.FixtureRequest):
    url, change = source(kind, tmp_path, request)
    lake, place = open_lake(tmp_path / "lake"), tmp_path / "quarantine"
    intake = Intake("t", url, mode="compare")
    with pytest.raises(StoppedError):
        ingest(intake, lake, quarantine=place, check=stopping, slice_rows=4)
    assert lake.table("t").newest() is None
    {"sqlite": run_sqlite, "mysql": on_mysql}.get(kind, on_postgres)(url, change)
    done = ingest(intake, lake, quarantine=place, slice_rows=4)
    assert (done.read, done.added, done.rejected) == (len(ROWS), len(ROWS), 0)
    assert sorted((r["a"], r["v"] or "") for r in current(lake)) == sorted((a, v or "") for a, _, v in ROWS)
    later = ingest(intake, lake, quarantine=place, slice_rows=4)
    assert (later.added, later.changed, later.deleted) == (0, 5, 0)


def test_rows_that_were_rejected_in_a_slice_are_kept(tmp_path: Path):
    url = str(tmp_path / "s.sqlite")
    run_sqlite(
        url,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INT)",
        "INSERT INTO t VALUES (1, 1), (2, 'two'), (3, 3), (4, 4), (5, 'five'), (6, 6)",
    )
    lake, place = open_lake(tmp_path / "lake"), tmp_path / "quarantine"
    with pytest.raises(StoppedError):
        ingest(Intake("t", url, mode="compare"), lake, quarantine=place, check=stopping, slice_rows=2)
    done = ingest(Intake("t", url, mode="compare"), lake, quarantine=place, slice_rows=2)
    assert (done.read, done.added, done.rejected) == (6, 4, 2)
    rejected = pq.read_table(*(place / "t").glob("*.parquet")).to_pylist()
    assert [(row["row"], row["reason"]) for row in rejected] == [
        (2, "n: 'two' is no int64"),
        (5, "n: 'five' is no int64"),
    ]
    assert not (place / "t" / ".slices").exists()
