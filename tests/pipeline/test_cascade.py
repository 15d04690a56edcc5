"""One column is renamed at the source: one line mends it, and from source to prediction nothing else changes."""

from __future__ import annotations

import pytest

from penstock.errors import RefusedError
from tests.pipeline.shop import PROJECT, do, instant, made, opened, states, write

SPEND = "-- key: order_id\n-- time: placed_at\nSELECT order_id, customer_id, amount * 2 AS twice, placed_at FROM orders"
CONTRACT = 'table = "orders"\nversion = 1\n\n[[checks]]\ncheck = "range"\ncolumn = "amount"\nmin = 0\n'
RENAMED = PROJECT.replace(
    'links = { customer_id = "customers" }',
    'links = { customer_id = "customers" }\nrenames = { amount = "payment_amount" }',
).replace("COUNT(orders.*, 0, 30, days) = 0", "SUM(orders.amount, 0, 30, days) > 20")
ASKED = PROJECT.replace("COUNT(orders.*, 0, 30, days) = 0", "SUM(orders.amount, 0, 30, days) > 20")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    folder = made(tmp_path, customers=80)
    write(folder, "penstock.toml", ASKED)
    write(folder, "tables/spend.sql", SPEND)
    write(folder, "contracts/orders.toml", CONTRACT)
    opened(folder).run()
    return folder


def kept_answers(tmp_path) -> dict[str, int]:
    """The files in which trained answers are kept, and when each was written."""
    return {str(path): path.stat().st_mtime_ns for path in (tmp_path / "penstock-cache").rglob("*") if path.is_file()}


def test_a_rename_is_one_line(folder, tmp_path):
    project = opened(folder)
    answered = project.predict("churn").to_arrow()
    learnt = kept_answers(tmp_path)
    assert learnt
    do(folder, "ALTER TABLE orders RENAME COLUMN amount TO payment_amount")

    plan = project.plan()
    told = str(plan)
    assert [step.stage.name for step in plan.refused] == ["orders"]
    assert plan.refused[0].why == "breaks derived table spend, check orders.amount_range, query churn"
    assert 'renames = { amount = "payment_amount" }' in told
    for dependant in ("derived table spend", "check orders.amount_range", "query churn"):
        assert dependant in told
    with pytest.raises(RefusedError, match="nothing was done: orders would fail"):
        project.apply()

    assert states(project) == {"customers": "unchanged", "orders": "failed", "spend": "unchanged"}
    meanwhile = opened(folder).predict("churn").to_arrow()
    assert meanwhile.equals(answered), "everything answers from the last good version"

    write(folder, "penstock.toml", RENAMED)
    project = opened(folder)
    assert project.plan().refused == ()
    assert states(project) == {"customers": "unchanged", "orders": "unchanged", "spend": "unchanged"}
    again = project.predict("churn").to_arrow()
    assert again.equals(answered)
    assert kept_answers(tmp_path) == learnt, "no model is trained again"


def test_history_before_and_after_reads_as_one_column(folder):
    before = opened(folder).rows("orders")
    do(
        folder,
        "ALTER TABLE orders RENAME COLUMN amount TO payment_amount",
        f"INSERT INTO orders VALUES (90000, 1, 77.5, '{instant(301)}')",
    )
    write(folder, "penstock.toml", RENAMED)
    project = opened(folder)
    assert states(project) == {"customers": "unchanged", "orders": "done", "spend": "done"}
    rows = {row["order_id"]: row["amount"] for row in project.rows("orders").to_pylist()}
    assert rows == {**dict(zip(before["order_id"].to_pylist(), before["amount"].to_pylist(), strict=True)), 90000: 77.5}
    assert {row["order_id"]: row["twice"] for row in project.rows("spend").to_pylist()}[90000] == 155.0
    assert (project.check()[0].passed, project.status().healthy) == (True, True)


def test_a_column_that_is_gone_is_refused_while_something_uses_it(folder):
    rows = opened(folder).rows("orders")
    do(folder, "ALTER TABLE orders DROP COLUMN amount")
    project = opened(folder)
    assert "amount (double) is gone" in str(project.plan())
    assert states(project)["orders"] == "failed"
    assert project.rows("orders").equals(rows)
    assert "derived table spend" in (next(run for run in project.runs if run.name == "orders").failure or "")


def test_a_column_that_is_gone_and_accepted_reads_as_null_from_then_on(folder):
    (folder / "tables" / "spend.sql").unlink()
    (folder / "contracts" / "orders.toml").unlink()
    write(folder, "penstock.toml", PROJECT.replace('time = "placed_at"', 'time = "placed_at"\ndrops = "amount"'))
    do(folder, "ALTER TABLE orders DROP COLUMN amount", f"INSERT INTO orders VALUES (90000, 1, '{instant(301)}')")
    project = opened(folder)
    assert states(project)["orders"] == "done"
    assert {row["order_id"]: row["amount"] for row in project.rows("orders").to_pylist()}[90000] is None


def test_an_added_column_and_a_wider_type_pass(folder):
    do(folder, "ALTER TABLE customers ADD COLUMN city TEXT", "UPDATE customers SET city = 'Oslo' WHERE customer_id < 9")
    project = opened(folder)
    assert project.plan().refused == ()
    assert states(project)["customers"] == "done"
    cities = [row["city"] for row in project.rows("customers").to_pylist()]
    assert (cities.count("Oslo"), cities.count(None)) == (9, 71)


def test_two_columns_that_could_be_the_one_are_never_guessed(folder):
    do(
        folder,
        "ALTER TABLE orders ADD COLUMN amount_net REAL",
        "ALTER TABLE orders ADD COLUMN amount_raw REAL",
        "UPDATE orders SET amount_net = amount, amount_raw = amount",
        "ALTER TABLE orders DROP COLUMN amount",
    )
    plan = opened(folder).plan()
    assert [step.stage.name for step in plan.refused] == ["orders"]
    assert "amount may now be called amount_net or amount_raw: too close to call" in str(plan)


def test_a_declared_rename_of_what_is_not_there_is_told(folder):
    text = RENAMED.replace("payment_amount", "paid")
    write(folder, "penstock.toml", text)
    do(folder, "ALTER TABLE orders RENAME COLUMN amount TO payment_amount")
    (step,) = opened(folder).plan().refused
    assert "neither 'amount' nor 'paid'" in step.why
