"""A project's service while much happens at once: reading, asking about the past, pushing, definitions that change."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.errors import FailedError, RequestError, StoreError
from tests.pipeline.shop import made, opened, write

VIEWS = """
[features.plans]
entity = "customers.customer_id"
table = "customers"
columns = ["plan"]

[online]
store = ".penstock/online"
"""
COUNTED = """FOR EACH customers.customer_id
n = COUNT(orders.*, -INF, 0, days)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made(tmp_path, customers=4, days=60)
    file = tmp_path / "penstock.toml"
    file.write_text(file.read_text() + VIEWS)
    write(tmp_path, "features/counted.pql", COUNTED)
    opened(tmp_path).run()
    return tmp_path


def rows(customer: int, plan: str) -> pa.Table:
    when = pa.array([10**6 * 1_750_000_000], pa.timestamp("us", "UTC"))
    return pa.table({"customer_id": [customer], "plan": [plan], "event_timestamp": when})


def test_asking_about_the_past_holds_up_nobody_who_reads_a_changed_definition(folder: Path) -> None:
    service, asked = opened(folder).service(), threading.Event()
    assert service.read(["counted:n"], {"customer_id": [1]}).values[0][0] is not None
    write(folder, "features/counted.pql", COUNTED.replace("COUNT(orders.*", "MAX(orders.amount"))
    opened(folder).online.sync()
    found: list[Any] = []

    def read() -> None:
        found.append(service.read(["counted:n"], {"customer_id": [1]}).values[0][0])
        asked.set()

    with service._past:  # somebody reads a long past
        thread = threading.Thread(target=read)
        thread.start()
        assert asked.wait(30)
    thread.join()
    assert isinstance(found[0], float)
    service.close()


def test_pushes_go_on_after_definitions_changed_and_after_a_feed_that_ended(folder: Path) -> None:
    service = opened(folder).service()
    assert service.push("plans", rows(1, "c"), "online_and_offline") == 1
    before = service._pushing("plans", "online")
    service._end_pushing()
    with pytest.raises(FailedError, match="PUSH_ENDED"):
        before.push("plans", rows(1, "d"))
    assert service.push("plans", rows(1, "d"), "online_and_offline") == 1
    assert service._pushed is not None
    service._pushed[2]._failure = ValueError("nobody foresaw this")
    assert service.push("plans", rows(2, "e"), "online_and_offline") == 1
    assert service.read(["plans:plan"], {"customer_id": [1, 2]}).values == [["d", "e"]]
    service.close()


def test_what_was_pushed_is_in_a_version_once_the_service_is_closed(folder: Path) -> None:
    service = opened(folder).service()
    service.push("plans", rows(1, "pushed"), "offline")
    service.close()
    later = opened(folder)
    newest = later.site.lake.table("customers").newest()
    assert newest is not None
    assert newest.rows == 5
    later.online.sync()
    assert later.online.read(["plans:plan"], {"customer_id": [1]}).values == [["pushed"]]


def test_who_pushes_or_materializes_undoes_no_definition(folder: Path) -> None:
    pushing, syncing = opened(folder).service(), opened(folder).service()
    assert pushing.bound.views.keys() == syncing.bound.views.keys()
    write(folder, "features/counted.pql", COUNTED.replace("COUNT(orders.*", "MAX(orders.amount"))
    opened(folder).online.sync()
    switched = opened(folder).online.status()["counted"].version
    syncing.sync(["counted"])
    pushing.push("plans", rows(1, "c"), "online_and_offline")
    now = opened(folder)
    assert now.online.status()["counted"].version == switched == now.features.bound.views["counted"].fingerprint
    for service in (pushing, syncing):
        service.close()


def test_rows_for_a_view_that_is_defined_otherwise_are_refused_and_others_taken(folder: Path) -> None:
    service, file = opened(folder).service(), folder / "penstock.toml"
    assert "counted" in service.bound.views
    write(folder, "features/counted.pql", COUNTED.replace("COUNT(orders.*", "MAX(orders.amount"))
    opened(folder).online.sync()
    file.write_text(file.read_text().replace('columns = ["plan"]', 'columns = ["plan"]\nttl = "30000 days"'))
    with pytest.raises(RequestError, match="ONLINE_OTHER_VERSION: the online store holds another version of plans"):
        service.push("plans", rows(1, "c"), "online_and_offline")
    opened(folder).online.sync()
    assert service.push("plans", rows(1, "c"), "online_and_offline") == 1
    assert service.read(["plans:plan"], {"customer_id": [1]}).values == [["c"]]
    service.close()


def test_rows_for_the_lake_are_taken_while_the_store_is_away(folder: Path) -> None:
    service = opened(folder).service()
    assert service.push("plans", rows(1, "c"), "online_and_offline") == 1
    service.online.store.close()
    assert service.push("plans", rows(2, "d"), "offline") == 1
    with pytest.raises(StoreError, match="STORE_LOST"):
        service.push("plans", rows(2, "d"), "online_and_offline")
    with suppress(FailedError):
        service.close()
    later = opened(folder)
    later.online.sync()
    assert later.online.read(["plans:plan"], {"customer_id": [1, 2]}).values == [["c", "d"]]
