"""A project's service while much happens at once: reading, asking about the past, pushing, definitions that change."""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.errors import FailedError, RequestError, SourceError, StoreError
from penstock.online.reading import STALE
from penstock.serving.app import ServingApp
from penstock.serving.faults import detail
from penstock.serving.naming import check_names
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


def sync(folder: Path) -> list[str]:
    """The views that are brought into step; whoever has read them notices at once."""
    found = [one.view for one in opened(folder).online.sync()]
    time.sleep(STALE)
    return found


def rows(customer: int, plan: str) -> pa.Table:
    when = pa.array([10**6 * 1_750_000_000], pa.timestamp("us", "UTC"))
    return pa.table({"customer_id": [customer], "plan": [plan], "event_timestamp": when})


def test_asking_about_the_past_holds_up_nobody_who_reads_a_changed_definition(folder: Path) -> None:
    service, asked = opened(folder).service(), threading.Event()
    assert service.read(["counted:n"], {"customer_id": [1]}).values[0][0] is not None
    write(folder, "features/counted.pql", COUNTED.replace("COUNT(orders.*", "MAX(orders.amount"))
    sync(folder)
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
    service._pushed[2].feeds[0]._failure = ValueError("nobody foresaw this")
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
    sync(folder)
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
    sync(folder)
    file.write_text(file.read_text().replace('columns = ["plan"]', 'columns = ["plan"]\nttl = "30000 days"'))
    with pytest.raises(RequestError, match="ONLINE_OTHER_VERSION: the online store holds another version of plans"):
        service.push("plans", rows(1, "c"), "online_and_offline")
    sync(folder)
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


def test_what_breaks_is_served_on_as_the_store_holds_it(folder: Path) -> None:
    """One view changes and another breaks: the first is served by its new definition, the other by its old one."""
    file = folder / "penstock.toml"
    services = '\n[services.both]\nfeatures = ["plans:plan", "counted:n"]\n'
    more = '\n[features.more]\ninputs = { n = "counted:n" }\nexpressions = { twice = "n * 2" }\n'
    file.write_text(file.read_text() + services + more)
    service, keys = opened(folder).service(), {"customer_id": [1, 2]}
    asked = ["plans:plan", "counted:n", "more:twice"]
    plans, counts, twice = service.read(asked, keys).values
    write(folder, "features/counted.pql", COUNTED.replace("orders", "odrers"))
    file.write_text(file.read_text().replace('columns = ["plan"]', 'columns = { plan = "plan", since = "since" }'))
    assert sync(folder) == ["plans"]
    assert service.read(asked, keys).values == [plans, counts, twice]
    assert service.read(["plans:since", "counted:n"], keys).values[1] == counts
    assert service.read(["both"], keys).values == [plans, counts]
    assert not service.bound.broken
    with pytest.raises(RequestError, match="there is no table 'odrers'"):
        service.historical(pa.table({"customer_id": [1], "cutoff": ["2024-02-01"]}), ["counted:n"])
    with pytest.raises(RequestError, match="there is no table 'odrers'"):
        service.push("counted", rows(1, "c"), "online")
    file.write_text(file.read_text().replace('columns = { plan = "plan", since = "since" }', 'columns = ["plan"]'))
    assert sync(folder) == ["plans"]
    assert service.read(asked, keys).values == [plans, counts, twice]  # carried on a second time
    write(folder, "features/counted.pql", COUNTED.replace("COUNT(orders.*", "MAX(orders.amount"))
    sync(folder)
    assert all(isinstance(one, float) for one in service.read(["counted:n"], keys).values[0])
    service.close()


def test_views_that_change_together_are_answered_on_until_each_is_switched(folder: Path) -> None:
    service, keys, file = opened(folder).service(), {"customer_id": [1, 2]}, folder / "penstock.toml"
    [counts] = service.read(["counted:n"], keys).values
    [plans] = service.read(["plans:plan"], keys).values
    file.write_text(file.read_text().replace('columns = ["plan"]', 'columns = ["plan"]\nttl = "1 days"'))
    write(folder, "features/counted.pql", COUNTED.replace("COUNT(orders.*", "10 * COUNT(orders.*"))
    opened(folder).online.sync(["counted"])
    time.sleep(STALE)
    tenfold = [10 * one for one in counts]
    for _ in range(2):
        assert service.read(["counted:n"], keys).values == [tenfold]
        assert service.read(["plans:plan"], keys).values == [plans]
        service._current()  # as who pushes meanwhile
    sync(folder)
    assert service.read(["plans:plan", "counted:n"], keys).values == [[None, None], tenfold]
    service.close()


def test_a_new_feature_is_served_to_who_asks_for_nothing_else(folder: Path) -> None:
    """Nobody need ask for what was there before so that a server notices what came since."""
    service, keys = opened(folder).service(), {"customer_id": [1]}
    assert service.read(["plans:plan"], keys).statuses == [[1]]
    file = folder / "penstock.toml"
    file.write_text(file.read_text().replace('columns = ["plan"]', 'columns = { plan = "plan", since = "since" }'))
    with pytest.raises(RequestError, match="no feature 'since'"):
        service.read(["plans:since"], keys)  # before the store has it
    service._looked = 0.0
    sync(folder)
    app = ServingApp(service)
    body = b'{"features": ["plans:since"], "entities": {"customer_id": [1]}}'
    assert app.quick({}, body) is None  # a thread looks
    answer = asyncio.run(app._read(body, ""))
    assert b'"statuses":["PRESENT"]' in answer.body
    write(folder, "features/largest.pql", COUNTED.replace("n = COUNT(orders.*", "most = MAX(orders.amount"))
    service._looked = 0.0
    sync(folder)
    assert isinstance(service.read(["largest:most"], keys).values[0][0], float)
    assert not service.look_again()  # not so soon again
    app.close()
    service.close()


def test_who_asks_for_what_is_broken_did_nothing_wrong(folder: Path) -> None:
    """A server that never knew the view sound says that it is broken, and serves the others."""
    write(folder, "features/counted.pql", COUNTED.replace("orders", "odrers"))
    services = '\n[services.both]\nfeatures = ["plans:plan", "counted:n"]\n'
    (folder / "penstock.toml").write_text((folder / "penstock.toml").read_text() + services)
    service = opened(folder).service()
    assert len(service.read(["plans:plan"], {"customer_id": [1]}).values[0]) == 1
    for asked in ((None, ["counted:n"]), ("both", [])):
        with pytest.raises(FailedError, match="is broken") as caught:
            check_names(service.bound, *asked)
        assert detail(caught.value)[0] == 503
    service.close()


@pytest.mark.parametrize("code", ["SOURCE_BUSY", "SOURCE_UNREACHABLE", "SOURCE_UNKNOWN_COLUMN", "SOURCE_VALUES_MISFIT"])
def test_who_asks_for_what_a_source_cannot_give_did_nothing_wrong(code: str) -> None:
    assert detail(SourceError(code, "the database is away"))[0] == 503
