"""Projects whose servers go away, whose sources are several, and whose passwords nobody hears."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click.testing
import pytest

from penstock.cli import main
from penstock.project import open_project
from tests.conftest import ROOT
from tests.lake.ingest.test_sources import on_postgres
from tests.pipeline.servers import (
    SHOP,
    USES,
    WAITS,
    Server,
    again,
    failures,
    must_rest,
    mysql_server,
    postgres_server,
    project,
    values,
)
from tests.pipeline.shop import instant, states, write
from tests.pipeline.shop import made as shop_made


def test_a_password_is_in_no_output(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    server.tables(*SHOP)
    parts = urlsplit(server.url)
    hushed = "hush/hush@é%"
    name = f"keeper_{parts.path.strip('/')}"
    if server.do is on_postgres:
        role = f"DO $$ BEGIN CREATE ROLE {name} LOGIN SUPERUSER; EXCEPTION WHEN duplicate_object THEN END $$"
        server.do(server.url, role, f"ALTER ROLE {name} PASSWORD '{hushed}'")
    else:
        grant = f"GRANT ALL ON `{parts.path.strip('/')}`.* TO '{name}'@'%' IDENTIFIED BY '{hushed}'"
        server.do(server.url, f"DROP USER IF EXISTS '{name}'@'%'", grant)
    monkeypatch.setenv("SHOP_PASSWORD", "hush%2Fhush%40%C3%A9%25")
    hidden = parts._replace(netloc=f"{name}:${{SHOP_PASSWORD}}@{parts.hostname}:{parts.port}").geturl()
    one = project(tmp_path, hidden)
    try:
        assert set(states(one).values()) == {"done"}
        told = [str(one.plan()), str(one), repr(one), json.dumps(one.plan().to_dict())]
        runner = click.testing.CliRunner()
        commands = (["plan"], ["run"], ["status"], ["runs", "--json"], ["plan", "--json"], ["data", "list"])
        told += [runner.invoke(main, [*command, "--project", str(tmp_path)]).output for command in commands]
        server.tables("DROP TABLE parcels", "ALTER TABLE orders DROP COLUMN amount")
        monkeypatch.setenv("SHOP_PASSWORD", "hushhush")
        gone = parts._replace(netloc=f"{name}:${{SHOP_PASSWORD}}@{parts.hostname}:1").geturl()
        told += [*failures(project(tmp_path, gone)).values(), str(open_project(tmp_path).plan())]
        must_hide(told, tmp_path)
    finally:
        drop = f"DROP ROLE {name}" if server.do is on_postgres else f"DROP USER '{name}'@'%'"
        server.do(server.url, drop)


def must_hide(told: list[str], folder: Path) -> None:
    assert all(told)
    kept = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    for word in ("hush/hush", "hush%2Fhush", "hushhush"):
        assert not [text for text in told if word in text]
        assert not [data for data in kept if word.encode() in data]


@dataclass(frozen=True)
class Gate:
    """A way to a server: its port, and how to have it break after so many bytes of answers (None: never)."""

    port: int
    breaks: Callable[[int | None], None]


@contextmanager
def gate_to(server: Server) -> Iterator[Gate]:
    """A gate that is shut at the end."""
    parts = urlsplit(server.url)
    port = parts.port or (5432 if server.do is on_postgres else 3306)
    command = [sys.executable, "-m", "tests.pipeline.gate", parts.hostname or "127.0.0.1", str(port)]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said, heard = process.stdin, process.stdout

        def breaks(after: int | None) -> None:
            said.write(f"{'' if after is None else after}\n")
            said.flush()
            assert heard.readline() == "done\n"

        try:
            yield Gate(int(heard.readline()), breaks)
        finally:
            process.kill()


def through(server: Server, gate: Gate) -> str:
    parts = urlsplit(server.url)
    return parts._replace(netloc=f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{gate.port}").geturl()


def test_a_server_that_is_gone_leaves_the_last_good_versions(server: Server, tmp_path: Path):
    server.tables(*SHOP)
    with gate_to(server) as gate:
        one = project(tmp_path, through(server, gate), USES)
        assert set(states(one).values()) == {"done"}
    plan = again(one).plan()
    assert plan.refused
    told = failures(again(one))
    assert "orders" in told
    assert all("cannot be opened" in why for why in told.values())
    assert again(one).rows("orders").num_rows == 2
    assert again(one).database().graph.table("orders").key == ("a", "b")


def test_postgres_going_in_the_middle_leaves_the_last_good_version(postgres_url: str, tmp_path: Path):
    server = postgres_server(postgres_url)
    server.tables(
        "CREATE TABLE large (id int PRIMARY KEY, v text)",
        "INSERT INTO large SELECT n, repeat('x', 90) FROM generate_series(1, 60000) n",
    )
    with gate_to(server) as gate:
        one = project(tmp_path, through(server, gate))
        assert states(one) == {"large": "done"}
        server.tables("UPDATE large SET v = 'changed' WHERE id < 10")
        gate.breaks(1_000_000)
        assert "cannot be read" in failures(again(one))["large"]
        assert set(values(one, "large", "v").values()) == {"x" * 90}
        gate.breaks(None)
        assert states(again(one)) == {"large": "done"}
        assert list(values(one, "large", "v").values()).count("changed") == 9


def test_mariadb_ending_a_reading_leaves_the_last_good_version(mysql_url: str, tmp_path: Path):
    """The reading waits for the table, which another connection holds, and is killed at the server."""
    from penstock.lake.mysql import connect

    server = mysql_server(mysql_url)
    server.tables("CREATE TABLE held (id int PRIMARY KEY, v int)", "INSERT INTO held VALUES (1, 2)")
    one = project(tmp_path, mysql_url)
    assert states(one) == {"held": "done"}
    server.tables("UPDATE held SET v = 3")
    command = [sys.executable, "-m", "penstock", "run", "--project", str(tmp_path)]
    with closing(connect(mysql_url)) as connection, connection.cursor() as cursor:
        cursor.execute("LOCK TABLES held WRITE")
        with subprocess.Popen(
            command, cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        ) as process:
            try:
                end_readings(cursor, process)
                said, _ = process.communicate(timeout=WAITS)
            finally:
                process.kill()  # or it would wait for the table that this connection holds
    assert process.returncode == 1
    assert "held cannot be read" in said
    assert "Traceback" not in said
    assert values(again(one), "held", "v") == {1: 2}
    assert states(again(one)) == {"held": "done"}
    assert values(again(one), "held", "v") == {1: 3}


def end_readings(cursor: Any, process: subprocess.Popen[str]) -> None:
    """Kill every connection that waits for the table, until the process has given up: a pool may try again."""
    until, ended = time.monotonic() + WAITS, 0
    while process.poll() is None and time.monotonic() < until:
        cursor.execute("SHOW FULL PROCESSLIST")
        for row in cursor.fetchall():
            if "FROM `held`" in str(row[7]) and "Waiting" in str(row[6]):
                cursor.execute(f"KILL {int(row[0])}")
                ended += 1
        time.sleep(0.02)
    assert ended, "nothing waited for the table"


def test_a_project_over_both_servers_and_a_folder(postgres_url: str, mysql_url: str, tmp_path: Path):
    postgres, mysql = postgres_server(postgres_url), mysql_server(mysql_url)
    postgres.tables(
        "CREATE TABLE customers (id int PRIMARY KEY, plan text)", "INSERT INTO customers VALUES (1, 'a'), (2, 'b')"
    )
    mysql.tables(
        "CREATE TABLE orders (id int PRIMARY KEY, customer_id int, amount int)",
        "INSERT INTO orders VALUES (1, 1, 5), (2, 1, 6), (3, 2, 7)",
    )
    write(tmp_path, "prices/discounts.csv", "plan,share\na,0.5\nb,0.25\n")
    write(tmp_path, "tables/paid.sql", "-- key: id\nSELECT o.id, o.amount * (1 - d.share) AS paid FROM orders o "
          "JOIN customers c ON c.id = o.customer_id JOIN discounts d USING (plan)")  # fmt: skip
    write(
        tmp_path,
        "penstock.toml",
        f'[sources.crm]\nurl = "{postgres_url}"\n[sources.shop]\nurl = "{mysql_url}"\n'
        '[sources.prices]\nurl = "prices"\n'
        '[tables.discounts]\nkey = "plan"\n[tables.orders]\nlinks = { customer_id = "customers" }\n',
    )
    one = open_project(tmp_path)
    assert set(states(one).values()) == {"done"}
    assert values(one, "paid", "paid") == {1: 2.5, 2: 3.0, 3: 5.25}
    must_rest(one)
    postgres.tables("UPDATE customers SET plan = 'b' WHERE id = 1")
    write(tmp_path, "prices/discounts.csv", "plan,share\na,0.5\nb,0.75\n")
    mysql.tables("INSERT INTO orders VALUES (4, 2, 8)")
    assert set(states(again(one)).values()) == {"done"}
    assert values(one, "paid", "paid") == {1: 1.25, 2: 1.5, 3: 1.75, 4: 2.0}
    must_rest(one)
    mysql.tables("DROP TABLE orders")
    told = again(one).run()
    assert [(run.name, run.state) for run in told if run.state == "failed"] == [("orders", "failed")]
    assert values(one, "paid", "paid") == {1: 1.25, 2: 1.5, 3: 1.75, 4: 2.0}


def test_a_rename_costs_one_line_from_server_to_prediction(server: Server, tmp_path: Path):
    shop_made(tmp_path, customers=60, days=240)
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as shop:
        customers, orders = (shop.execute(f"SELECT * FROM {name}").fetchall() for name in ("customers", "orders"))
    server.tables(
        "CREATE TABLE customers (customer_id int PRIMARY KEY, plan varchar(9), since TIME)",
        "CREATE TABLE orders (order_id int PRIMARY KEY, customer_id int, amount double precision, placed_at TIME, "
        "FOREIGN KEY (customer_id) REFERENCES customers (customer_id))",
        f"INSERT INTO customers VALUES {', '.join(map(str, customers))}",
        f"INSERT INTO orders VALUES {', '.join(map(str, orders))}",
    )
    more = '[queries]\nspent = "PREDICT SUM(orders.amount, 0, 30, days) > 20 FOR EACH customers.customer_id"\n'
    more += '[tables.customers]\ntime = "since"\n[tables.orders]\ntime = "placed_at"\n'
    one = project(tmp_path, server.url, more)
    assert set(states(one).values()) == {"done"}
    answered = one.predict("spent").to_arrow()
    assert answered.num_rows == 60
    server.tables("ALTER TABLE orders RENAME COLUMN amount TO payment_amount")
    assert [step.stage.name for step in again(one).plan().refused] == ["orders"]
    assert "breaks query spent" in str(again(one).plan())
    assert states(again(one)) == {"customers": "unchanged", "orders": "failed"}
    assert again(one).predict("spent").to_arrow().equals(answered)
    one = project(tmp_path, server.url, f'{more}renames = {{ amount = "payment_amount" }}\n')
    assert one.plan().refused == ()
    assert states(one) == {"customers": "unchanged", "orders": "unchanged"}
    assert one.predict("spent").to_arrow().equals(answered)
    server.tables(f"INSERT INTO orders VALUES (999999, 1, 77.5, '{instant(239)}')")
    assert states(again(one))["orders"] == "done"
    assert values(one, "orders", "amount", "order_id")[999999] == 77.5
