"""While a derived table's SQL changes: a store holds rows of one making for each version of a view, never of two,
whoever syncs, streams and takes pushes meanwhile, by whatever definitions; and what was answered can be proved.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.featurestore import ProjectService
from penstock.lake.recipes import recipes_of
from penstock.online.reading import STALE
from penstock.online.sync import sync
from tests.pipeline.shop import asked, do, made, opened, write

TIMES = """-- key: order_id
-- time: placed_at
-- links: customer_id -> customers
SELECT order_id, customer_id, placed_at, amount * {factor} AS much FROM orders
"""
VIEW = """FOR EACH customers.customer_id
much = SUM(times.much, -INF, 0, days)
orders = COUNT(orders.*, -INF, 0, days)
plan = customers.plan
"""
OTHER = """FOR EACH customers.customer_id
most = MAX(times.much, -INF, 0, days)
"""
MORE = """
[features.plans]
entity = "customers.customer_id"
table = "customers"
columns = ["plan"]

[online]
store = "kept"
"""
CUSTOMERS = 3
BEFORE, BETWEEN, AFTER = range(3)
ORDERS = [(BETWEEN, BETWEEN), (AFTER, AFTER), (BETWEEN, AFTER), (BEFORE, BETWEEN), (AFTER, BEFORE)]
"""When old definitions sync, and when rows are pushed: before the table is derived, until the switch, after."""


@dataclass
class World:
    """A project whose derived table is defined anew again and again, and what each making of it comes to."""

    folder: Path
    factor: int = 2
    pushed: int = 0
    made: dict[str, tuple[int, list[float]]] = field(default_factory=dict)

    def define(self, factor: int) -> None:
        self.factor = factor
        write(self.folder, "tables/times.sql", TIMES.format(factor=factor))

    def derive(self) -> None:
        assert {one.state for one in opened(self.folder).run("derive")} <= {"done", "unchanged"}
        now = opened(self.folder)
        with asked(self.folder) as shop:
            amounts = list(shop.execute("SELECT customer_id, amount FROM orders"))
        sums = [sum(amount for one, amount in amounts if one == customer) for customer in range(CUSTOMERS)]
        self.made[now.features.bound.views["view"].fingerprint] = self.factor, sums

    def push(self, service: ProjectService) -> None:
        """A customer changes the plan, by the way of a push."""
        self.pushed += 1
        when = pa.array([dt.datetime.now(dt.UTC)], pa.timestamp("us", "UTC"))
        rows = {"customer_id": [1], "plan": [f"plan {self.pushed}"], "event_timestamp": when}
        service.push("plans", pa.table(rows), "online_and_offline")

    def check(self, service: ProjectService) -> None:
        """What is answered is of the making that the store says that it holds, and of now otherwise."""
        time.sleep(STALE)
        version = opened(self.folder).online.status()["view"].version
        factor, sums = self.made[version]
        found = service.read(["view:much", "view:plan"], {"customer_id": list(range(CUSTOMERS))})
        assert found.values[0] == pytest.approx([factor * one for one in sums])
        if self.pushed:
            assert found.values[1][1] == f"plan {self.pushed}"

    def verify(self) -> None:
        found = opened(self.folder).online.verify(sample=CUSTOMERS)
        assert (found.differing, found.superseded) == (0, 0), found.to_dict()
        assert found.passed


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made(tmp_path, customers=CUSTOMERS, days=30)
    write(tmp_path, "features/view.pql", VIEW)
    write(tmp_path, "features/other.pql", OTHER)
    write(tmp_path, "penstock.toml", (tmp_path / "penstock.toml").read_text() + MORE)
    found = World(tmp_path)
    found.define(2)
    assert {one.state for one in opened(tmp_path).run()} == {"done"}
    found.derive()
    yield found


def test_whoever_goes_by_old_definitions_in_whatever_order_mixes_nothing(world: World) -> None:
    """One derives and switches; another syncs by what it read before, and a server takes pushes, before, between and
    after."""
    service = opened(world.folder).service()
    for number, (sync_at, push_at) in enumerate(ORDERS):
        old = opened(world.folder)
        assert "view" in old.features.bound.views
        world.define(3 + number)
        for moment in (BEFORE, BETWEEN, AFTER):
            if moment == BETWEEN:
                world.derive()
            if moment == AFTER:
                opened(world.folder).online.sync(["other"])
                world.check(service)  # which has read the definitions anew for the other view
                opened(world.folder).online.sync()
            if moment == sync_at:
                old.online.sync()
            if moment == push_at:
                world.push(service)
            world.check(service)
        assert (
            opened(world.folder).online.status()["view"].version
            == opened(world.folder).features.bound.views["view"].fingerprint
        )
        world.verify()
    service.close()


def test_between_derive_and_switch_all_goes_on_as_it_was_whoever_begins_then(world: World) -> None:
    world.define(7)
    world.derive()
    service = opened(world.folder).service()
    world.check(service)
    world.push(service)
    world.check(service)
    do(world.folder, "INSERT INTO orders VALUES (9001, 2, 5.5, '2024-01-20 00:00:00')")
    assert opened(world.folder).run("ingest")
    held = opened(world.folder).online.status()["view"].version
    with service._pushes:
        assert service._pushed is not None
        assert service._pushed[2].settle(60)
    time.sleep(STALE)
    orders = service.read(["view:orders"], {"customer_id": [2]}).values[0][0]
    with asked(world.folder) as shop:
        assert shop.execute("SELECT count(*) FROM orders WHERE customer_id = 2").fetchone() == (orders,)
    world.check(service)
    world.verify()
    assert opened(world.folder).online.status()["view"].version == held
    opened(world.folder).online.sync()
    assert opened(world.folder).online.status()["view"].version != held
    service.close()


def test_nobody_goes_back_to_what_is_made_otherwise_by_now(world: World) -> None:
    old = opened(world.folder).features.bound
    world.define(7)
    world.derive()
    project = opened(world.folder)
    project.online.sync()
    held = {name: one.names for name, one in project.online.status().items()}
    with pytest.raises(SourceError, match="LAKE_REMADE: the rows of times are made by another definition"):
        sync(old, project.site.lake, project.online.store, settings=project.settings, now=project.site.now)
    assert {name: one.names for name, one in project.online.status().items()} == held


def test_of_versions_that_are_kept_no_longer_nobody_reads_others(world: World) -> None:
    before = opened(world.folder)
    assert before.features.bound.recipes == recipes_of(before.site.lake.tables())
    world.define(7)
    world.derive()
    opened(world.folder).site.lake.expire(1)
    with pytest.raises(SourceError, match=r"LAKE_REMADE: .*older ones are kept no longer"):
        before.features.historical(pa.table({"customer_id": [1], "cutoff": [dt.datetime(2024, 2, 1)]}), ["view:much"])  # noqa: DTZ001


def test_a_column_of_another_type_is_there_with_its_rows_or_not_at_all(world: World) -> None:
    """Versions have the columns that belong to their rows, also when they are read by number."""
    write(world.folder, "tables/times.sql", TIMES.format(factor=2).replace("amount * 2", "CAST(amount AS BIGINT)"))
    assert {one.name: one.state for one in opened(world.folder).run("derive")} == {"times": "done"}
    table = opened(world.folder).site.lake.table("times")
    kinds = {number: dict(zip(s.names, s.types, strict=True)) for number in (1, 2) for s in [table.scan(number).schema]}
    assert [kinds[number]["much"] for number in (1, 2)] == [pa.float64(), pa.int64()]
    assert kinds[1].keys() == kinds[2].keys()
    assert opened(world.folder).rows("times", "2").column_names == opened(world.folder).rows("times").column_names


def test_a_stream_goes_on_by_the_definitions_that_were_switched_to(world: World) -> None:
    folder = world.folder
    stream = '\n[streams.clicks]\nurl = "folder:inbox"\nkey = "click_id"\n'
    text = (folder / "penstock.toml").read_text() + stream + 'links = { customer_id = "customers" }\n'
    write(folder, "penstock.toml", text)
    write(folder, "inbox/1.jsonl", '{"click_id": 1, "customer_id": 1}\n')
    stop = threading.Event()
    streaming = threading.Thread(target=opened(folder).stream, kwargs={"stop": stop})
    streaming.start()
    try:
        until(lambda: "clicks" in opened(folder).site.lake)
        write(folder, "features/view.pql", VIEW + "clicks = COUNT(clicks.*)\n")
        for number in (2, 3):
            world.define(number)
            assert "failed" not in {one.state for one in opened(folder).run()}
            write(folder, f"inbox/{number}.jsonl", f'{{"click_id": {number}, "customer_id": 1}}\n')
            until(lambda count=number: clicked(folder) == count)  # type: ignore[misc]
    finally:
        stop.set()
        streaming.join()


def clicked(folder: Path) -> object:
    return opened(folder).online.read(["view:clicks"], {"customer_id": [1]}).values[0][0]


def until(is_so: Callable[[], bool]) -> None:
    """Wait for what comes within moments."""
    end = time.monotonic() + 120
    while not is_so():
        assert time.monotonic() < end
        time.sleep(0.1)
