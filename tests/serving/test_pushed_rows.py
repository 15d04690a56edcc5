"""Rows pushed to a project whose tables are compared with their source: there for training and for serving after every
run, until the source has shown them and lets them go."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.project import open_project
from tests.pipeline.shop import do, instant, made

PROJECT = """
[features.plans]
entity = "customers.customer_id"
table = "customers"
columns = ["plan"]

[features.counted]
entity = "customers.customer_id"
expressions = { orders_ever = "COUNT(orders.*, -INF, 0, days)" }

[features.sums]
entity = "orders.order_id"
table = "orders"
columns = ["amount", "customer_id"]

[online]
store = ".penstock/online"
"""
WHEN = dt.datetime(2024, 6, 1, tzinfo=dt.UTC)
LATER = dt.datetime(2100, 1, 1, tzinfo=dt.UTC)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made(tmp_path, customers=5, days=60)
    file = tmp_path / "penstock.toml"
    file.write_text(file.read_text() + PROJECT)
    run(tmp_path)
    return tmp_path


def run(folder: Path) -> None:
    """Bring everything in, and the store into step."""
    assert {one.state for one in open_project(folder).run()} <= {"done", "unchanged"}


def pushed(folder: Path) -> None:
    """A customer, for the lake, and an order of theirs, for the store too, of which the source knows nothing."""
    service = open_project(folder).service()
    customer = {"customer_id": [77], "plan": ["pushed"], "event_timestamp": [WHEN]}
    order = {"order_id": [9_001], "customer_id": [77], "amount": [2.5], "event_timestamp": [WHEN]}
    service.push("plans", pa.table(customer), "offline")
    service.push("sums", pa.table(order), "online_and_offline")
    service.close()


def trained(folder: Path) -> list[dict[str, object]]:
    spine = pa.table({"customer_id": [77], "at": pa.array([LATER], pa.timestamp("us", "UTC"))})
    return open_project(folder).features.historical(spine, ["plans:plan", "counted:orders_ever"]).to_pylist()


def served(folder: Path) -> list[object]:
    found = open_project(folder).online.read(["plans:plan", "counted:orders_ever"], {"customer_id": [77]}).values
    return [column[0] for column in found]


def test_pushed_rows_outlast_runs_until_the_source_lets_them_go(folder: Path):
    pushed(folder)
    for _ in range(2):
        run(folder)
        assert served(folder) == ["pushed", 1]
        assert [(row["plan"], row["orders_ever"]) for row in trained(folder)] == [("pushed", 1)]
        do(folder, "UPDATE customers SET plan = 'other' WHERE customer_id = 1")
    assert open_project(folder).online.verify(sample=0).differing == 0
    do(
        folder,
        f"INSERT INTO customers VALUES (77, 'shown', '{instant(3)}')",
        f"INSERT INTO orders VALUES (9001, 77, 2.5, '{instant(4)}')",
    )
    run(folder)
    assert served(folder) == ["shown", 1]
    do(folder, "DELETE FROM orders WHERE order_id = 9001", "DELETE FROM customers WHERE customer_id = 77")
    run(folder)
    assert served(folder) == [None, None]
    assert open_project(folder).online.verify(sample=0).differing == 0
