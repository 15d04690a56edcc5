"""A project killed at any moment, again and again, while its source changes: every row is there, each version once."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from itertools import pairwise
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from penstock.project import Project
from tests.conftest import ROOT
from tests.pipeline.shop import PROJECT, opened, write

KILLS = 120 if os.environ.get("CI") else 62
TABLES = {
    "customers": "customer_id INTEGER PRIMARY KEY, plan TEXT",
    "orders": "order_id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers, amount INTEGER, at INTEGER",
}
KEYS = {"customers": "customer_id", "orders": "order_id", "spend": "customer_id"}
SPEND = "SELECT customer_id, sum(amount) AS total, count(*) AS orders FROM orders GROUP BY customer_id"
CONTRACT = 'table = "orders"\nversion = 1\n\n[[checks]]\ncheck = "range"\ncolumn = "amount"\nmin = 0\n'
SLOW = """
import time
from pathlib import Path

import pyarrow as pa

import penstock


@penstock.table(key="plan")
def slow(customers: pa.Table) -> pa.Table:
    if customers.num_rows and not Path({free!r}).exists():
        Path({begun!r}).touch()
        time.sleep(60)
    return customers.group_by("plan").aggregate([("customer_id", "count")])
"""
Order = Callable[[float | None], dict[str, float]]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project over an empty shop, with a derived table and a contract."""
    with shop(tmp_path) as connection:
        for name, columns in TABLES.items():
            connection.execute(f"CREATE TABLE {name} ({columns})")
        connection.execute("PRAGMA journal_mode = WAL")
    write(tmp_path, "penstock.toml", PROJECT.replace('time = "since"\n', "").replace('time = "placed_at"\n', ""))
    write(tmp_path, "tables/spend.sql", f"-- key: customer_id\n{SPEND}")
    write(tmp_path, "contracts/orders.toml", CONTRACT)
    return tmp_path


@contextmanager
def shop(folder: Path) -> Iterator[sqlite3.Connection]:
    """The source, open; each statement is a transaction."""
    with closing(sqlite3.connect(folder / "shop.sqlite", isolation_level=None, timeout=60)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        yield connection


@contextmanager
def killer(folder: Path) -> Iterator[tuple[Order, Callable[[float | None], None], Callable[[], dict[str, float]]]]:
    """Has the project run in `killable`: an order with its answer, or the one and the other apart."""
    command = [sys.executable, "-m", "tests.pipeline.killable"]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(), text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said, heard = process.stdin, process.stdout

        def send(seconds: float | None) -> None:
            said.write(json.dumps({"folder": str(folder), "seconds": seconds}) + "\n")
            said.flush()

        def answer() -> dict[str, float]:
            return json.loads(heard.readline())

        def order(seconds: float | None) -> dict[str, float]:
            send(seconds)
            return answer()

        yield order, send, answer
        said.close()


def environment() -> dict[str, str]:
    return {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONWARNINGS": "ignore"}


def changed(connection: sqlite3.Connection, luck: random.Random) -> None:
    """Customers and orders come, change and go; sometimes an amount is what its contract forbids, for a while."""
    connection.execute("UPDATE orders SET amount = -amount WHERE amount < 0")
    for _ in range(luck.randint(1, 5)):
        customer, order = luck.randint(1, 40), luck.randint(1, 400)
        connection.execute("INSERT OR REPLACE INTO customers VALUES (?, ?)", (customer, luck.choice("abc")))
        row = (order, customer, luck.randint(0, 99), luck.randint(0, 9))
        connection.execute("INSERT OR REPLACE INTO orders VALUES (?, ?, ?, ?)", row)
        connection.execute("DELETE FROM orders WHERE order_id = ?", (luck.randint(1, 400),))
        if luck.random() < 0.2:
            connection.execute("DELETE FROM customers WHERE customer_id = ?", (luck.randint(1, 40),))
    if luck.random() < 0.15:
        connection.execute("UPDATE orders SET amount = -1 WHERE order_id = (SELECT max(order_id) FROM orders)")


def test_killing_a_project_loses_and_doubles_nothing(folder: Path):
    luck = random.Random(11)
    with shop(folder) as connection, killer(folder) as (order, send, answer):
        changed(connection, luck)
        took = [order(None)["took"] for _ in range(3)][-1]
        for _ in range(KILLS):
            send(luck.uniform(0, 1.8 * took))
            changed(connection, luck)
            told = answer()
            assert told["killed"], f"the child ended by itself: {told}"
        connection.execute("UPDATE orders SET amount = -amount WHERE amount < 0")
        assert order(None)["code"] == 0
        killed = {run.name for run in opened(folder).site.journal.runs(10_000) if run.state == "killed"}
        assert killed == KEYS.keys(), "each stage was killed on the way"
        must_be_whole(folder, connection)


def must_be_whole(folder: Path, connection: sqlite3.Connection) -> None:
    """The lake is what the source is, its history has nothing twice, and all that is kept beside it can be read."""
    project = opened(folder)
    for name in TABLES:
        rows = Counter(connection.execute(f"SELECT * FROM {name}").fetchall())
        assert Counter(tuple(row.values()) for row in project.rows(name).to_pylist()) == rows
    totals = Counter(connection.execute(SPEND).fetchall())
    assert Counter(tuple(row.values()) for row in project.rows("spend").to_pylist()) == totals
    for name, key in KEYS.items():
        must_be_histories(project.rows(name, log=True).to_pylist(), key)
        batches = [version.batch for version in project.site.lake.table(name).versions()]
        assert len(batches) == len(set(batches))
    assert project.site.lake.verify() == ()
    assert {run.state for run in project.site.journal.runs(10_000)} <= {"done", "unchanged", "failed", "killed"}
    assert all(run.state in ("done", "unchanged") for run in project.runs[:3])
    must_belong(project)


def must_be_histories(rows: list[dict[str, object]], key: str) -> None:
    """Of each key the versions are known one after another, and each differs from the one before."""
    own = defaultdict(list)
    for row in sorted(rows, key=lambda row: "" if row["_known"] is None else str(row["_known"])):
        own[row[key]].append(row)
    for versions in own.values():
        assert len({row["_known"] for row in versions}) == len(versions)
        told = [{name: value for name, value in row.items() if name != "_known"} for row in versions]
        assert all(one != other for one, other in pairwise(told))


def must_belong(project: Project) -> None:
    """In quarantine are batches that the contract refused, and no drafts."""
    for refused in project.refused():
        assert (refused["table"], refused["kind"]) == ("orders", "batch")
        assert "amount" in str(refused["why"])
    left = {path.relative_to(project.site.quarantine).as_posix() for path in project.site.quarantine.rglob("*")}
    batches = {f"orders/{refused['batch']}" for refused in project.refused()}
    inside = {f"{batch}/{name}" for batch in batches for name in ("rows.parquet", "batch.json")}
    known = {name for table in (*KEYS, "slow") for name in (table, f"{table}/.lock")}
    assert left <= known | batches | inside
    for name in inside & {path for path in left if path.endswith(".parquet")}:
        assert min(pq.read_table(project.site.quarantine / name)["amount"].to_pylist()) < 0


# ---------------------------------------------------------------- two at once, and the keyboard


@contextmanager
def waiting_run(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """``penstock run`` in a process of its own, in the middle of a stage that goes on until it is freed or ended."""
    begun = folder / "begun"
    write(folder, "tables/slow.py", SLOW.format(begun=str(begun), free=str(folder / "free")))
    with subprocess.Popen(
        command(folder), env=environment(), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        try:
            until = time.monotonic() + 60
            while not begun.exists():
                assert process.poll() is None, process.communicate()
                assert time.monotonic() < until, "the slow stage did not begin"
                time.sleep(0.02)
            yield process
        finally:
            process.kill()


def command(folder: Path) -> list[str]:
    return [sys.executable, "-m", "penstock", "run", "--project", str(folder)]


@pytest.fixture
def filled(folder: Path) -> Path:
    """The project with some rows in its shop."""
    with shop(folder) as connection:
        luck = random.Random(2)
        for _ in range(20):
            changed(connection, luck)
        connection.execute("UPDATE orders SET amount = -amount WHERE amount < 0")
    return folder


def test_a_second_run_at_the_same_time_is_refused(filled: Path):
    with waiting_run(filled) as first:
        second = subprocess.run(
            command(filled), env=environment(), cwd=ROOT, text=True, capture_output=True, check=False, timeout=60
        )
        assert second.returncode in (1, 2)
        assert f"another run of this project is at work (process {first.pid})" in second.stderr
        assert "Traceback" not in second.stderr
        (running,) = [run for run in opened(filled).runs if run.state == "running"]
        assert running.name == "slow"
    (filled / "free").touch()
    assert {run.name: run.state for run in opened(filled).run()}["slow"] == "done"


def test_an_interrupted_run_ends_with_130_and_the_next_goes_on(filled: Path):
    with waiting_run(filled) as process:
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
        assert process.returncode == 130
        assert "Traceback" not in said
    project = opened(filled)
    (ended,) = [run for run in project.runs if run.name == "slow"]
    assert (ended.state, ended.failure) == ("killed", "interrupted")
    assert "slow" not in project.site.lake.names() or project.site.lake.table("slow").newest() is None
    (filled / "free").touch()
    assert {run.name: run.state for run in project.run()} == {
        "customers": "unchanged", "orders": "unchanged", "slow": "done", "spend": "done"
    }  # fmt: skip
    with shop(filled) as connection:
        must_be_whole(filled, connection)
