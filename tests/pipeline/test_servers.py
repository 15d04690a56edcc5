"""Projects over PostgreSQL and MariaDB: loaded, kept up with, changed under their hands, told the truth by a plan."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from penstock.errors import RefusedError
from tests.lake.ingest.test_sources import on_postgres
from tests.pipeline.servers import (
    SHOP,
    USES,
    WAITS,
    Server,
    again,
    failures,
    must_rest,
    postgres_server,
    project,
    values,
)
from tests.pipeline.shop import states


def test_a_first_load_takes_keys_and_links_as_declared(server: Server, tmp_path: Path):
    server.tables(*SHOP)
    one = project(tmp_path, server.url)
    assert set(states(one).values()) == {"done"}
    graph = one.database().graph
    assert {table.name: table.key for table in graph} == {"customers": "id", "orders": ("a", "b"), "parcels": "id"}
    assert {(str(link.column), link.table, link.to) for link in graph.links} == {
        ("customer_id", "orders", "customers"),
        (str(("order_a", "order_b")), "parcels", "orders"),
        ("parent", "parcels", "parcels"),
    }
    assert one.rows("orders").num_rows == 2
    must_rest(one)


def test_links_follow_tables_and_columns_that_have_other_names_here(server: Server, tmp_path: Path):
    server.tables(*SHOP)
    more = '[tables.purchases]\nfrom = "orders"\nrenames = { client = "customer_id", left = "a" }\n'
    one = project(tmp_path, server.url, more)
    assert set(states(one).values()) == {"done"}
    assert one.site.lake.table("purchases").roles.key == ("left", "b")
    assert dict(one.site.lake.table("purchases").roles.links or {}) == {"client": "customers"}
    assert dict(one.site.lake.table("parcels").roles.links or {}) == {
        "order_a+order_b": "purchases",
        "parent": "parcels",
    }
    assert {link.to for link in one.database().graph.links_from("parcels")} == {"purchases", "parcels"}
    must_rest(one)


def test_what_is_said_of_a_table_later_holds(server: Server, tmp_path: Path):
    server.tables(*SHOP)
    one = project(tmp_path, server.url)
    one.run()
    one = project(tmp_path, server.url, USES)
    assert "time" not in str(one.plan().verdicts)
    assert set(states(one).values()) == {"unchanged"}
    assert one.database().graph.table("orders").happened == "at"
    one = project(tmp_path, server.url, USES + 'links = { note = "customers" }\n')
    one.run()
    assert dict(one.site.lake.table("orders").roles.links or {}) == {"note": "customers"}
    assert {link.column: link.to for link in one.database().graph.links_from("orders")}["note"] == "customers"


def test_a_plan_reads_no_rows(server: Server, tmp_path: Path):
    """It comes to its end while all rows are locked away from every reader."""
    server.tables(*SHOP)
    one = project(tmp_path, server.url)
    one.run()
    with locked(server, "customers", "orders", "parcels"), ThreadPoolExecutor(1) as pool:
        plan = pool.submit(again(one).plan).result(WAITS)
    assert ([step.prospect for step in plan.steps], plan.verdicts) == (["runs"] * 3, ())


@contextmanager
def locked(server: Server, *tables: str) -> Iterator[None]:
    if server.do is on_postgres:
        import psycopg

        with psycopg.connect(server.url) as connection:
            connection.execute(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
            yield
    else:
        from penstock.lake.mysql import connect

        with closing(connect(server.url)) as connection, connection.cursor() as cursor:
            cursor.execute(f"LOCK TABLES {', '.join(f'{table} WRITE' for table in tables)}")
            yield


def test_a_watermark_finds_what_is_new_and_what_is_late(server: Server, tmp_path: Path):
    server.tables(
        "CREATE TABLE events (id int PRIMARY KEY, v int, at TIME)",
        "INSERT INTO events VALUES (1, 1, '2024-01-01 10:00:00'), (2, 2, '2024-01-01 11:00:00')",
    )
    one = project(tmp_path, server.url, '[tables.events]\nmode = "incremental"\nwatermark = "at"\ntime = "at"\n')
    assert states(one) == {"events": "done"}
    server.tables(
        "INSERT INTO events VALUES (3, 3, '2024-01-01 12:00:00'), (4, 4, '2024-01-01 10:50:00')",
        "UPDATE events SET v = 20, at = '2024-01-01 11:30:00' WHERE id = 2",
        "DELETE FROM events WHERE id = 1",
    )
    (run,) = one.run()
    assert (run.facts["read"], run.facts["added"], run.facts["changed"]) == (3, 2, 1)
    assert values(one, "events", "v") == {1: 1, 2: 20, 3: 3, 4: 4}
    known = {row["id"]: row["_known"] for row in one.rows("events", log=True).to_pylist()}
    assert known[1] is None
    assert known[4] is not None, "a late row is known from when it came"
    server.tables("INSERT INTO events VALUES (5, 5, '2024-01-01 11:50:00'), (6, 6, '2023-01-01 00:00:00')")
    one.run()
    assert values(one, "events", "v") == {1: 1, 2: 20, 3: 3, 4: 4, 5: 5}, "six is too late for the overlap"
    one.backfill("events", "2022-01-01", "2024-01-01")
    assert values(one, "events", "v")[6] == 6
    must_rest(one)


def test_comparison_finds_what_came_changed_and_went(server: Server, tmp_path: Path):
    server.tables(*SHOP)
    one = project(tmp_path, server.url)
    one.run()
    server.tables(
        "INSERT INTO orders VALUES (2, 1, NULL, 30, 'é', '2024-02-03 01:02:03', 9)",
        "UPDATE orders SET amount = NULL WHERE b = 2",
        "DELETE FROM parcels WHERE id = 2",
    )
    assert states(one) == {"customers": "unchanged", "orders": "done", "parcels": "done"}
    assert values(one, "orders", "amount", "code") == {7: 10, 8: None, 9: 30}
    assert values(one, "parcels", "weight") == {1: 5}
    assert values(again(one), "orders", "note", "code")[9] == "é"
    assert one.rows("parcels", "1").num_rows == 2
    must_rest(one)


# ---------------------------------------------------------------- changes of columns and tables


def test_a_rename_is_refused_by_name_until_it_is_written_down(server: Server, tmp_path: Path):
    server.tables(*SHOP)
    one = project(tmp_path, server.url, USES)
    one.run()
    server.tables("ALTER TABLE orders RENAME COLUMN amount TO paid", "UPDATE customers SET plan = 'z' WHERE id = 1")
    plan = again(one).plan()
    assert [step.stage.name for step in plan.refused] == ["orders"]
    assert "breaks query spent" in str(plan)
    assert 'renames = { amount = "paid" }' in str(plan)
    assert states(again(one)) == {"customers": "done", "orders": "failed", "parcels": "unchanged"}
    one = project(tmp_path, server.url, f'{USES}renames = {{ amount = "paid" }}\n')
    assert one.plan().refused == ()
    server.tables("INSERT INTO orders VALUES (5, 5, 1, 50, 'n', '2024-03-01', 55)")
    assert states(one)["orders"] == "done"
    assert values(one, "orders", "amount", "code") == {7: 10, 8: 20, 55: 50}
    must_rest(one)


def test_a_rename_that_nothing_minds_is_refused_in_the_plan_as_in_the_run(server: Server, tmp_path: Path):
    server.tables(*SHOP)
    one = project(tmp_path, server.url)
    one.run()
    server.tables("ALTER TABLE orders RENAME COLUMN note TO remark")
    plan = again(one).plan()
    assert [step.stage.name for step in plan.refused] == ["orders"]
    assert 'renames = { note = "remark" }' in str(plan)
    with pytest.raises(RefusedError, match="nothing was done: orders would fail"):
        again(one).apply()
    assert failures(again(one)).keys() == {"orders"}
    one = project(tmp_path, server.url, '[tables.orders]\nrenames = { note = "remark" }\n')
    assert states(one)["orders"] == "unchanged"
    must_rest(one)


def test_a_column_that_is_gone(server: Server, tmp_path: Path):
    server.tables(*SHOP)
    one = project(tmp_path, server.url)
    one.run()
    server.tables("ALTER TABLE orders DROP COLUMN note", "ALTER TABLE customers DROP COLUMN plan")
    assert again(one).plan().refused == ()
    assert set(states(again(one)).values()) == {"unchanged"}
    server.tables("INSERT INTO orders VALUES (2, 1, 1, 30, '2024-02-03', 9)")
    assert states(again(one))["orders"] == "done"
    assert values(one, "orders", "note", "code") == {7: "x", 8: "y", 9: None}
    gone = USES.replace("[tables", '[tables.customers]\ndrops = "plan"\n[tables')
    one = project(tmp_path, server.url, f'{gone}drops = "note"\n')
    server.tables("ALTER TABLE orders DROP COLUMN amount")
    told = str(again(one).plan())
    assert "amount (int32) is gone" in told
    assert "breaks query spent" in told
    assert failures(again(one)).keys() == {"orders"}
    assert values(again(one), "orders", "amount", "code") == {7: 10, 8: 20, 9: 30}
    one = project(tmp_path, server.url, f'{gone}drops = ["amount", "note"]\n')
    assert one.plan().refused == ()
    server.tables("INSERT INTO orders VALUES (3, 1, 1, '2024-02-04', 10)")
    assert states(one)["orders"] == "done"
    assert values(one, "orders", "amount", "code") == {7: 10, 8: 20, 9: 30, 10: None}
    assert states(again(one))["orders"] == "unchanged"


def test_a_wider_type_and_a_new_column_pass(server: Server, tmp_path: Path):
    server.tables(*SHOP)
    one = project(tmp_path, server.url, USES)
    one.run()
    server.retyped("orders", "amount", "bigint")
    server.tables(
        "ALTER TABLE orders ADD COLUMN tip decimal(9,2)",
        "UPDATE orders SET amount = 5000000000, tip = 1.25 WHERE code = 7",
    )
    plan = again(one).plan()
    assert plan.refused == ()
    assert "amount is wider: int32 became int64" in str(plan)
    assert states(again(one))["orders"] == "done"
    assert values(one, "orders", "amount", "code") == {7: 5_000_000_000, 8: 20}
    assert str(values(one, "orders", "tip", "code")[7]) == "1.25"
    must_rest(one)


@pytest.mark.parametrize(("table", "column", "before", "after"), [
    ("orders", "amount", "bigint", "int"), ("orders", "amount", "varchar(9)", "int"),
    ("orders", "note", "varchar(9)", "int"), ("parcels", "weight", "bigint", "int"),
    ("parcels", "weight", "int", "varchar(9)"), ("parcels", "weight", "int", "double precision"),
])  # fmt: skip
def test_another_type_is_refused_in_the_plan_as_in_the_run(
    server: Server, tmp_path: Path, table: str, column: str, before: str, after: str
):
    server.tables(*SHOP)
    server.tables("UPDATE orders SET note = '5'")
    server.retyped(table, column, before)
    one = project(tmp_path, server.url, USES.replace("SUM(orders.amount", "COUNT(orders.*"))
    one.run()
    rows = one.rows(table)
    server.retyped(table, column, after)
    plan = again(one).plan()
    assert [step.stage.name for step in plan.refused] == [table]
    assert f"{column} is {'narrower' if before == 'bigint' else 'of another kind'}" in str(plan)
    assert failures(again(one)).keys() == {table}
    assert again(one).rows(table).equals(rows), "the last good version stays"
    one = project(tmp_path, server.url, f'[tables.{table}]\ndrops = "{column}"\n')
    assert [step.stage.name for step in one.plan().refused] == [table], "a column that is there is not lost"
    server.retyped(table, column, before)
    must_rest(one)


def test_a_table_that_vanished_keeps_its_rows_and_one_that_came_is_taken(server: Server, tmp_path: Path):
    server.tables(*SHOP)
    one = project(tmp_path, server.url)
    one.run()
    server.tables(
        "DROP TABLE parcels", "CREATE TABLE later (id int PRIMARY KEY, v int)", "INSERT INTO later VALUES (1, 2)"
    )
    plan = again(one).plan()
    assert {step.stage.name for step in plan.steps} == {"customers", "orders", "later"}
    assert plan.notes == ("parcels: nothing makes this table any more; it stays as it is",)
    assert states(again(one))["later"] == "done"
    assert values(one, "later", "v") == {1: 2}
    assert again(one).rows("parcels").num_rows == 2
    one = project(tmp_path, server.url, '[tables.parcels]\nmode = "compare"\n')
    (step,) = one.plan().refused
    assert step.stage.name == "parcels"
    assert "has no table 'parcels'" in step.why
    assert failures(one).keys() == {"parcels"}


def test_names_that_are_hard_to_write(server: Server, tmp_path: Path):
    names = [
        "select",
        "Order",
        "with space",
        "a.b",
        "a+b",
        "q'uote",
        'dou"ble',
        "back`tick",
        "per%cent",
        "semi;colon",
        "é",
    ]
    for name in names:
        quoted, at = server.name(name), server.name("a+b" if name == "a+b" else "Group By")
        server.tables(
            f"CREATE TABLE {quoted} ({quoted} int PRIMARY KEY, {at if at != quoted else server.name('x')} int)",
            f"INSERT INTO {quoted} VALUES (1, 2)",
        )
    one = project(tmp_path, server.url)
    assert states(one) == dict.fromkeys(names, "done")
    for name in names:
        assert list(one.rows(name).to_pylist()[0].values()) == [1, 2]
        server.tables(f"INSERT INTO {server.name(name)} VALUES (2, 3)")
    assert states(again(one)) == dict.fromkeys(names, "done")
    assert {table.name for table in again(one).database().graph} == set(names)
    must_rest(one)


@pytest.mark.parametrize("name", ["../up", "..", "a/b", "back\\slash"])
def test_a_name_that_leads_elsewhere_is_refused_alone(server: Server, tmp_path: Path, name: str):
    quoted = server.name(name)
    server.tables(*SHOP[:1], f"CREATE TABLE {quoted} (id int PRIMARY KEY)", f"INSERT INTO {quoted} VALUES (1)")
    inside = tmp_path / "inside"
    inside.mkdir()
    one = project(inside, server.url)
    assert states(one) == {"customers": "done", name: "failed"}
    assert "cannot name a table of the lake" in failures(again(one))[name]
    assert {path.name for path in tmp_path.iterdir()} <= {"inside", "penstock-cache"}
    one = project(inside, server.url, f"[tables.plain]\nfrom = {json.dumps(name)}\n")
    assert states(one) == {"customers": "unchanged", "plain": "done"}
    must_rest(one)


def test_a_schema_of_its_own(postgres_url: str, tmp_path: Path):
    server = postgres_server(postgres_url)
    server.tables(*SHOP)
    server.tables(
        'CREATE SCHEMA other; CREATE TABLE other."Orders" ("Id" int PRIMARY KEY, "at" timestamptz, '
        "customer int REFERENCES public.customers)",
        "INSERT INTO other.\"Orders\" VALUES (1, '2024-01-01 02:00+02', 1)",
    )
    one = project(tmp_path, f"{postgres_url}?schema=other")
    assert states(one) == {"Orders": "done"}
    assert values(one, "Orders", "customer", "Id") == {1: 1}
    must_rest(one)
