"""Killed at any moment, again and again, while rows are written: nothing is lost and nothing is there twice."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest

from penstock.lake.ingest import Intake, ingest
from penstock.lake.versioned import open_lake
from tests.conftest import ROOT
from tests.lake.ingest.history import current, log
from tests.lake.ingest.killable import Order

KILLS = 70 if os.environ.get("CI") else 15
"""How often each of the three loops is killed."""
CREATED = 'CREATE TABLE t (id INTEGER PRIMARY KEY, "at" BIGINT NOT NULL, v TEXT)'
Execute = Callable[[str], object]


@contextmanager
def killer() -> Iterator[Callable[[Order], dict[str, float]]]:
    """A function that has an order obeyed by `killable`."""
    command = [sys.executable, "-m", "tests.lake.ingest.killable"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None

        def obey(order: Order) -> dict[str, float]:
            send(order)
            return json.loads(process.stdout.readline())

        def send(order: Order) -> None:
            process.stdin.write(order.line() + "\n")
            process.stdin.flush()

        obey.send, obey.answer = send, lambda: json.loads(process.stdout.readline())  # type: ignore[attr-defined]
        yield obey
        process.stdin.close()


def written(execute: Execute, luck: random.Random, at: int, *, deletes: bool) -> int:
    """Some rows come, change and go; ``at`` is the greatest watermark so far."""
    for _ in range(luck.randint(1, 6)):
        at += luck.randint(0, 2)
        value, key = f"'v{luck.randint(0, 9)}'", luck.randint(1, 300)
        late = at - luck.randint(0, 3)
        execute(f'DELETE FROM t WHERE id = {key} AND "at" <= {late}')
        execute(f"INSERT INTO t SELECT {key}, {late}, {value} WHERE NOT EXISTS (SELECT 1 FROM t WHERE id = {key})")
        if deletes and luck.random() < 0.3:
            execute(f"DELETE FROM t WHERE id = {luck.randint(1, 300)}")
    return at


@contextmanager
def sqlite_source(path: Path) -> Iterator[tuple[str, Execute]]:
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = OFF")
    try:
        yield str(path), lambda text: connection.execute(text).fetchall()
    finally:
        connection.close()


@contextmanager
def postgres_source(url: str) -> Iterator[tuple[str, Execute]]:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS t")
        yield url, connection.execute


@pytest.mark.parametrize("case", ["sqlite compare", "sqlite incremental", "postgres incremental"])
def test_killing_loses_and_doubles_nothing(case: str, tmp_path: Path, request: pytest.FixtureRequest):
    kind, mode = case.split()
    source = (
        sqlite_source(tmp_path / "t.sqlite")
        if kind == "sqlite"
        else postgres_source(request.getfixturevalue("postgres_url"))
    )
    luck = random.Random(case)
    with source as (url, execute), killer() as obey:
        execute(CREATED)
        at = written(execute, luck, 10, deletes=False)
        order = Order(url, str(tmp_path), mode, "at" if mode == "incremental" else None)
        took = [obey(order)["took"] for _ in range(3)][-1]
        for _ in range(KILLS):
            order.seconds = luck.uniform(0, 1.5 * took)
            obey.send(order)
            at = written(execute, luck, at, deletes=mode == "compare")
            answer = obey.answer()
            assert answer["killed"], f"the child ended by itself: {answer}"
        must_hold(url, execute, tmp_path, mode)


def must_hold(url: str, execute: Execute, place: Path, mode: str) -> None:
    """After one more ingestion the lake is what the source is, and its log has no version twice."""
    lake = open_lake(place / "lake")
    how = {"mode": mode, "watermark": "at" if mode == "incremental" else None, "overlap": 4}
    ingest(Intake("t", url, "t", **how), lake, quarantine=place / "quarantine")  # type: ignore[arg-type]
    execute('CREATE TABLE seen AS SELECT id, "at", v FROM t')
    rows = execute("SELECT * FROM seen")
    found = Counter((r["id"], r["at"], r["v"]) for r in current(lake))
    assert found == Counter(rows if isinstance(rows, list) else rows.fetchall())  # type: ignore[attr-defined]
    execute("DROP TABLE seen")
    must_be_histories(log(lake))
    batches = [version.batch for version in lake.table("t").versions()]
    assert len(batches) == len(set(batches))


def must_be_histories(rows: list[dict[str, object]]) -> None:
    """Of each key the versions are known one after another, and each differs from the one before."""
    own = defaultdict(list)
    for row in sorted(rows, key=lambda r: -1 if r["_known"] is None else r["_known"]):
        own[row["id"]].append(row)
    for versions in own.values():
        assert len({r["_known"] for r in versions}) == len(versions)
        told = [(r["at"], r["v"], r["_deleted"]) for r in versions]
        assert all(one != other for one, other in pairwise(told))


def test_a_killed_first_load_goes_on_from_its_last_slice(tmp_path: Path):
    rows, slices = 120_000, 30
    with sqlite_source(tmp_path / "t.sqlite") as (url, execute), killer() as obey:
        execute(CREATED)
        execute(
            "INSERT INTO t WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < "
            f"{rows}) SELECT i, i % 1000, 'v' || i FROM n"
        )
        order = Order(url, str(tmp_path / "whole"), "compare", slice_rows=rows // slices)
        took = obey(order)["took"]
        order.place = str(tmp_path / "killed")
        luck, kills = random.Random(4), 0
        lake = open_lake(tmp_path / "killed" / "lake")
        while "t" not in lake or lake.table("t").newest() is None:
            order.seconds = luck.uniform(0.2, 0.7) * took
            kills += bool(obey(order)["killed"])
            assert kills < 10 * slices, "it does not come to an end"
        table = lake.table("t")
        order.seconds = None
        obey(order)  # the last one may have been killed after its commit: the next forgets what it left
        assert [version.rows for version in table.versions()] == [rows]
        must_hold(url, execute, tmp_path / "killed", "compare")
        assert len(log(lake)) == rows
        assert not (tmp_path / "killed" / "quarantine" / "t" / ".slices").exists()
