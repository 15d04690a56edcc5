"""Served values against training's: nothing differs while the store is in step, and what differs has its cause."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import RefusedError
from penstock.features.views.bound import BoundView
from penstock.online.answer import Status
from penstock.online.verifying import Entry, Verified
from penstock.project import Project, open_project
from tests.pipeline.shop import asked, made, write

VIEWS = """FOR EACH customers.customer_id
orders_ever = COUNT(orders.*, -INF, 0, days)
spend = SUM(orders.amount, -INF, 0, days)
plan = customers.plan
"""
LATEST = """
[features.last]
entity = "customers"
table = "orders"
columns = ["amount"]
ttl = "20000 days"
"""


@pytest.fixture
def project(tmp_path: Path) -> Project:
    folder = made(tmp_path, customers=12)
    write(folder, "features/orders.pql", VIEWS)
    (folder / "penstock.toml").write_text((folder / "penstock.toml").read_text() + LATEST)
    opened = open_project(folder)
    opened.run()
    opened.online.sync()
    return opened


def read(project: Project) -> None:
    project.online.read(["orders:*", "last:amount"], {"customer_id": [*range(12), 99]})


def causes(found: Verified) -> dict[str, dict[str, int]]:
    return {one.feature: dict(one.causes) for one in found.features if one.causes}


def test_what_is_served_is_what_training_reads(project: Project) -> None:
    read(project)
    found = project.online.verify(sample=5)
    assert found.passed
    names = ("last:amount", "orders:orders_ever", "orders:plan", "orders:spend")
    assert {one.feature: one.checked for one in found.features} == dict.fromkeys(names, 17)
    assert found.unknown_keys == 2  # nobody is customer 99, of whom both views were asked
    found.must_pass()


def test_a_row_that_the_store_had_not_followed_is_told(project: Project) -> None:
    with asked(project.site.file.folder) as shop:
        shop.execute("INSERT INTO orders VALUES (90001, 3, 7.5, '2024-05-01 00:00:00')")
        shop.execute("INSERT INTO orders VALUES (90002, 3, 8.5, '2025-05-01 00:00:00')")
    project.run()
    read(project)
    found = project.online.verify(sample=0)
    late = {"late row": 1}
    assert causes(found) == {"orders:orders_ever": late, "orders:spend": late, "last:amount": late}
    with pytest.raises(RefusedError, match=r"ONLINE_DIFFERS: 3 of 48 .*late row 1"):
        found.must_pass()
    example = next(one for one in found.features if one.feature == "orders:orders_ever").examples[0]
    assert example.trained == example.served + 2  # type: ignore[operator]
    project.online.log.clear()
    project.online.sync()
    read(project)
    assert project.online.verify().passed


def test_rows_of_which_some_had_reached_the_store_are_told_as_late(project: Project) -> None:
    """What streams in reaches a store within moments; an answer in between rests on some of the newest rows."""
    project.online.read(["orders:orders_ever"], {"customer_id": [3]})
    (entry,) = project.online.log.entries()
    for number in range(3):
        with asked(project.site.file.folder) as shop:
            shop.execute(f"INSERT INTO orders VALUES ({90001 + number}, 3, 7.5, '2024-05-01 00:00:00')")
        project.run()
    project.online.log.clear()
    for more, cause in [(2, "late row"), (4, "unknown")]:
        values = ((entry.values[0][0] + more,),)  # type: ignore[operator]
        project.online.log.add([replace_entry(entry, at=project.site.now(), values=values)])
        found = causes(project.online.verify(["orders"], sample=0))
        assert found == {"orders:orders_ever": {cause: 1}}
        project.online.log.clear()


def test_late_deleted_and_changed_rows_leave_what_was_served_right(project: Project) -> None:
    read(project)
    with asked(project.site.file.folder) as shop:
        shop.execute("DELETE FROM orders WHERE order_id % 7 = 0")
        shop.execute("UPDATE orders SET amount = amount + 1 WHERE order_id % 7 = 1")
        shop.execute("UPDATE orders SET customer_id = 5 WHERE order_id % 7 = 2")
        shop.execute("INSERT INTO orders VALUES (90001, 3, 7.5, '2024-01-02 00:00:00')")
        shop.execute("DELETE FROM customers WHERE customer_id = 4")
    project.run()
    assert project.online.verify(sample=0).passed  # before the store follows: those answers were right in their time
    project.online.sync()
    read(project)
    found = project.online.verify()
    assert (found.passed, causes(found)) == (True, {})


LATER = 2_000_000
"""So many microseconds after a switch everybody has noticed it."""


def test_a_definition_that_was_replaced_is_history_and_one_that_lingers_is_told(project: Project) -> None:
    read(project)
    write(project.site.file.folder, "features/orders.pql", VIEWS.replace("SUM(orders.amount", "AVG(orders.amount"))
    changed = open_project(project.site.file.folder)
    changed.online.sync()
    found = changed.online.verify(sample=3)
    assert (found.passed, found.superseded) == (True, 13)
    read(changed)
    old = project.features.bound.views["orders"].fingerprint
    entries = [one for one in changed.online.log.entries() if one.view == "orders" and one.version != old]
    stale = replace_entry(entries[-1], version=old, at=entries[-1].at + LATER, values=wrong(entries[-1], 1, 0.5))
    changed.online.log.add([stale])
    found = changed.online.verify(["orders"], sample=0)
    assert causes(found) == {"orders:spend": {"definition version": 13}}


def test_a_definition_that_came_back_does_not_blame_what_was_served_meanwhile(project: Project) -> None:
    file = project.site.file.folder
    read(project)
    write(file, "features/orders.pql", VIEWS.replace("SUM(orders.amount", "AVG(orders.amount"))
    meanwhile = open_project(file)
    meanwhile.online.sync()
    read(meanwhile)
    write(file, "features/orders.pql", VIEWS)
    back = open_project(file)
    back.online.sync()
    read(back)
    found = back.online.verify(sample=3)
    assert (found.passed, causes(found)) == (True, {})
    lingering = meanwhile.features.bound.views["orders"].fingerprint
    last = list(back.online.log.entries())[-2]
    back.online.log.add([replace_entry(last, version=lingering, at=last.at + 2_000_000, values=wrong(last, 1, 0.5))])
    assert causes(back.online.verify(["orders"], sample=0)) == {"orders:spend": {"definition version": 13}}


def replace_entry(entry: Entry, **parts: object) -> Entry:
    told = {name: parts.get(name, getattr(entry, name)) for name in Entry.__struct_fields__}
    return Entry(**told)


def wrong(entry: Entry, feature: int, value: object) -> tuple[tuple[object, ...], ...]:
    columns = list(entry.values)
    columns[feature] = (value,) * len(entry.keys)
    return tuple(columns)


@pytest.mark.parametrize(
    ("change", "cause"),
    [
        (lambda e: {"values": tuple(tuple(str(v) for v in column) for column in e.values)}, "type"),
        (lambda e: {"values": wrong(e, 0, None), "statuses": ((Status.OUTSIDE_MAX_AGE,) * len(e.keys),)}, "ttl"),
        (lambda e: {"values": wrong(e, 0, -1.0), "kept": e.at + 60_000_000}, "clock"),
        (lambda e: {"values": wrong(e, 0, -1.0)}, "unknown"),
    ],
)
def test_every_cause_is_found(project: Project, change: Callable[[Entry], dict[str, object]], cause: str) -> None:
    project.online.read(["last:amount"], {"customer_id": [1, 2, 3]})
    (entry,) = project.online.log.entries()
    project.online.log.clear()
    project.online.log.add([replace_entry(entry, **change(entry))])
    assert causes(project.online.verify(["last"], sample=0)) == {"last:amount": {cause: 3}}


def test_a_value_of_an_entity_that_no_row_names_should_not_have_been(project: Project) -> None:
    project.online.read(["last:amount"], {"customer_id": [1, 99]})
    (entry,) = project.online.log.entries()
    project.online.log.add([replace_entry(entry, values=wrong(entry, 0, entry.values[0][0]), at=entry.at + 1)])
    found = project.online.verify(["last"], sample=0)
    assert (causes(found), found.unknown_keys) == ({"last:amount": {"key": 1}}, 2)
    assert [(one.extra, one.checked) for one in found.features] == [(1, 3)]


def test_a_value_that_had_grown_too_old_is_told_as_such(project: Project) -> None:
    """What was served although it was older than the view allows."""
    project.online.read(["last:amount"], {"customer_id": [1]})
    bound = project.features.bound

    def aged(view: BoundView) -> BoundView:
        features = tuple(
            replace(one, expression=one.expression.map(lambda n: replace(n, ttl=1) if hasattr(n, "ttl") else n))
            for one in view.features
        )
        return replace(view, features=features, ttl=1)

    project.features.__dict__["bound"] = replace(bound, views={**bound.views, "last": aged(bound.views["last"])})
    assert causes(project.online.verify(["last"], sample=0)) == {"last:amount": {"ttl": 1}}


def test_nothing_compared_is_no_proof(project: Project) -> None:
    found = project.online.verify(sample=0)
    assert not found.passed
    with pytest.raises(RefusedError, match="ONLINE_UNVERIFIED"):
        found.must_pass()
