"""Rows that were pushed to the store alone: what was served of them is told as such, and nothing else is."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import RefusedError
from penstock.featurestore import ProjectService
from penstock.online.verifying import Verified
from penstock.project import Project, open_project
from tests.pipeline.shop import asked, made, write

VIEWS = """FOR EACH customers.customer_id
orders_ever = COUNT(orders.*, -INF, 0, days)
spend = SUM(orders.amount, -INF, 0, days)
"""
LATEST = """
[features.last]
entity = "customers"
table = "orders"
columns = ["amount"]

[features.buyer]
entity = "buyers"
table = "orders"
columns = ["amount"]

[entities.buyers]
key = "customer_id"
"""
NEWEST = dt.datetime(2025, 6, 1, tzinfo=dt.UTC)


@pytest.fixture
def service(tmp_path: Path) -> Iterator[ProjectService]:
    folder = made(tmp_path, customers=12)
    write(folder, "features/orders.pql", VIEWS)
    (folder / "penstock.toml").write_text((folder / "penstock.toml").read_text() + LATEST)
    opened = open_project(folder)
    opened.run()
    opened.online.sync()
    serving = opened.service()
    yield serving
    serving.close()


def push(
    service: ProjectService, customer: int, order: int, amount: float, to: str = "online", view: str = "last"
) -> None:
    rows = {"customer_id": [customer], "order_id": [order], "amount": [amount], "event_timestamp": [NEWEST]}
    service.push(view, pa.table(rows), to)  # type: ignore[arg-type]


def read(service: ProjectService, *customers: int) -> list[list[object]]:
    features = ["orders:orders_ever", "orders:spend", "last:amount", "buyer:amount"]
    return service.read(features, {"customer_id": list(customers)}).values


def causes(found: Verified) -> dict[str, dict[str, int]]:
    return {one.feature: dict(one.causes) for one in found.features if one.causes}


def reopened(service: ProjectService) -> Project:
    return open_project(service.online.site.file.folder)


def test_what_rests_on_them_is_told_and_refuses_nothing(service: ProjectService) -> None:
    before = read(service, 3, 5)
    push(service, 3, 90_001, 7.25)
    after = read(service, 3, 5)
    assert [column[0] for column in after] == [before[0][0] + 1, before[1][0] + 7.25, 7.25, 7.25]  # type: ignore[operator]
    assert [column[1] for column in after] == [column[1] for column in before]
    found = reopened(service).online.verify(sample=0)
    once = {"online push": 1}
    assert causes(found) == dict.fromkeys(["buyer:amount", "last:amount", "orders:orders_ever", "orders:spend"], once)
    assert (found.passed, found.alone, found.differing) == (True, 4, 0)
    assert {one.mismatch + one.missing + one.extra for one in found.features} == {0}
    found.must_pass()


def test_an_entity_that_the_lake_does_not_know_is_told_as_well(service: ProjectService) -> None:
    push(service, 777, 90_001, 7.25, view="buyer")
    assert read(service, 777)[3] == [7.25]
    service.online.log.clear()
    service.read(["buyer:amount"], {"customer_id": [777]})
    found = reopened(service).online.verify(["buyer"], sample=0)
    assert causes(found) == {"buyer:amount": {"online push": 1}}
    with pytest.raises(RefusedError, match="ONLINE_UNVERIFIED"):
        found.must_pass()


@pytest.mark.parametrize("anew", [False, True])
def test_once_an_entity_was_made_again_nothing_is_put_down_to_them(
    service: ProjectService, anew: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("penstock.online.beside._GRACE", 0)
    push(service, 3, 90_001, 7.25)
    read(service, 3)
    service.close()
    with asked(service.online.site.file.folder) as shop:
        shop.execute("INSERT INTO orders VALUES (90002, 3, 8.5, '2025-05-01 00:00:00')")
    project = reopened(service)
    project.run()
    project.online.sync(anew=anew)
    assert project.online.read(["last:amount"], {"customer_id": [3]}).values == [[8.5]]
    found = project.online.verify(sample=12)
    assert (found.passed, found.alone) == (True, 4)
    (last,) = [one for one in project.online.log.entries() if one.view == "last"][-1:]
    told = {name: getattr(last, name) for name in last.__struct_fields__}
    project.online.log.add([type(last)(**{**told, "values": ((1.5,),), "at": project.site.now()})])
    assert causes(project.online.verify(["last"], sample=0))["last:amount"] == {"online push": 1, "unknown": 1}


def test_rows_for_both_leave_no_trace_of_the_kind(service: ProjectService) -> None:
    push(service, 3, 90_001, 7.25, "online_and_offline")
    read(service, 3)
    found = reopened(service).online.verify(sample=0)
    assert (found.passed, found.alone) == (True, 0)
