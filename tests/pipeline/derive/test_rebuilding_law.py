"""However a derived table was brought up to date, it holds what its query gives of current rows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.pipeline.derive import derive
from tests.pipeline.derive.shop import SECOND, Shop
from tests.plainsql import plain_sql

TABLES = {
    "plain": """-- key: order_id
        -- time: placed_at
        SELECT order_id, amount * 2 AS twice, placed_at FROM orders WHERE amount > 1""",
    "wide": """-- key: order_id
        SELECT o.order_id, o.status, c.city FROM orders AS o LEFT JOIN customers AS c USING (customer_id)""",
    "inner_": """WITH o AS (SELECT * FROM orders)
        SELECT o.amount, c.name FROM o JOIN customers AS c ON c.customer_id = o.customer_id""",
    "bag": "SELECT status, amount FROM orders",
    "both": "SELECT status AS word FROM orders UNION ALL SELECT city FROM customers",
    "again": "-- key: order_id\nSELECT order_id, twice + 1 AS more FROM plain WHERE twice < 9",
    "totals": """-- key: status
        SELECT status, count(*) AS n, sum(amount) AS total FROM orders WHERE status IS NOT NULL GROUP BY status""",
}

order = st.tuples(st.integers(1, 3), st.sampled_from([1.0, 2.0, 3.0]), st.sampled_from(["new", "paid", None]))
bought = st.lists(st.tuples(st.integers(1, 12), order), min_size=1, max_size=3)
moved = st.lists(st.tuples(st.integers(1, 3), st.sampled_from("ABC")), min_size=1, max_size=2)
step = st.one_of(
    st.tuples(st.just("orders"), bought),
    st.tuples(st.just("customers"), moved),
    st.tuples(st.just("delete"), st.integers(1, 12)),
)
steps = st.lists(step, min_size=1, max_size=4)


def take(shop: Shop, step: tuple[str, Any], second: int) -> None:
    """One batch: new orders, changed ones, customers, or a deletion."""
    what, rows = step
    if what == "delete":
        shop.put("orders", (rows, None, None, None, None), known=second, deleted=True)
    elif what == "orders":
        unique = dict(rows).items()
        when = second * SECOND
        shop.put("orders", *((number, who, much, how, when) for number, (who, much, how) in unique), known=second)
    else:
        shop.put("customers", *((number, "N" + city, city) for number, city in dict(rows).items()), known=second)


@hypothesis.settings(max_examples=max(4, hypothesis.settings.default.max_examples // 8))
@given(batches=steps)
def test_a_table_brought_up_to_date_holds_what_its_query_gives(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[str, Any]]
) -> None:
    shop = Shop(tmp_path_factory.mktemp("shop"))
    shop.write(**TABLES)
    for second, step in enumerate(batches, start=10):
        take(shop, step, second)
        shop.derive()
    built = {one.name: one for one in shop.loaded()}
    for name, one in built.items():
        assert shop.current(name) == shop.ask(one.body, *one.reads), name
        for row in shop.log(name):
            assert one.transparent or row["_known"] > 1_000, "known before it was built"
    once = Shop(shop.place / "again")
    for name in ("orders", "customers"):
        table, other = shop.table(name), once.table(name)
        rows = [batch for version in (table.scan(),) for batch in _log(version)]
        other.commit(other.stage(rows), batch="all")
    for one in built.values():
        derive(one, once.lake, quarantine=once.place / "quarantine", now=lambda: 5_000 * SECOND)
        assert once.current(one.name) == shop.current(one.name), one.name


def _log(scan: Any) -> list[Any]:
    with plain_sql({"t": scan}, "log") as sql:
        return sql.arrow("SELECT * FROM t").to_batches()


def started(place: Path, **tables: str) -> Shop:
    """A shop with three orders and two customers, its tables derived once."""
    shop = Shop(place)
    rows = [(n, 1 + n % 2, float(n), "new", n * SECOND) for n in (1, 2, 3)]
    shop.put("orders", *rows)
    shop.put("customers", (1, "Ada", "Oslo"), (2, "Bo", "Rome"))
    shop.write(**tables)
    shop.derive()
    return shop


def modes(shop: Shop) -> dict[str, str]:
    return {name: done.mode for name, done in shop.derive().items()}


def test_new_rows_alone_are_run_where_they_give_all_that_is_new(tmp_path: Path) -> None:
    shop = started(tmp_path, **TABLES)
    assert set(modes(shop).values()) == {"unchanged"}
    shop.put("orders", (4, 1, 4.0, "paid", 4 * SECOND), known=50)
    kept = {"plain", "wide", "inner_", "bag", "again"}
    assert modes(shop) == {name: "incremental" if name in kept else "whole" for name in TABLES}


def test_a_changed_row_runs_the_whole(tmp_path: Path) -> None:
    shop = started(tmp_path, **TABLES)
    shop.put("orders", (2, 1, 7.0, "paid", 2 * SECOND), known=50)
    assert set(modes(shop).values()) == {"whole"}


def test_a_change_on_the_other_side_of_a_join_runs_the_whole(tmp_path: Path) -> None:
    shop = started(tmp_path, wide=TABLES["wide"], inner_=TABLES["inner_"])
    shop.put("customers", (3, "Cy", "Lima"), known=50)
    assert modes(shop) == {"wide": "whole", "inner_": "incremental"}
    shop.put("customers", (4, "Di", "Bern"), known=60)
    shop.put("orders", (5, 4, 1.0, "new", 5 * SECOND), known=60)
    assert modes(shop) == {"wide": "whole", "inner_": "whole"}


def test_incremental_can_be_switched_off(tmp_path: Path) -> None:
    shop = started(tmp_path, bag="-- incremental: off\n" + TABLES["bag"])
    shop.put("orders", (4, 1, 4.0, "paid", 4 * SECOND), known=50)
    assert modes(shop) == {"bag": "whole"}


def test_a_table_that_stays_the_same_has_a_version_that_says_so(tmp_path: Path) -> None:
    shop = started(tmp_path, small="SELECT name FROM customers", none="SELECT order_id FROM orders WHERE amount > 100")
    before = shop.table("none").newest()
    shop.put("orders", (4, 1, 4.0, "paid", 4 * SECOND), known=50)
    done = shop.derive()
    assert (done["none"].added, done["none"].changed, done["none"].deleted) == (0, 0, 0)
    assert done["small"].mode == "unchanged"
    after = shop.table("none").newest()
    assert before is not None
    assert after is not None
    assert after.facts["inputs"] == '{"orders": 2}'
    assert modes(shop) == {"none": "unchanged", "small": "unchanged"}


KEYED = {
    "plain": TABLES["plain"],
    "inner_": """-- key: order_id
        SELECT o.order_id, o.amount, c.city FROM orders AS o JOIN customers AS c USING (customer_id)""",
}


@hypothesis.settings(max_examples=max(4, hypothesis.settings.default.max_examples // 8))
@hypothesis.example(batches=[("orders", [(1, (1, 2.0, "new"))]), ("orders", [(1, (1, 2.0, "new"))])])
@given(batches=steps)
def test_a_table_built_late_has_the_history_of_one_that_was_kept(
    tmp_path_factory: pytest.TempPathFactory, batches: list[tuple[str, Any]]
) -> None:
    kept, late = Shop(tmp_path_factory.mktemp("kept")), Shop(tmp_path_factory.mktemp("late"))
    for shop in (kept, late):
        shop.write(**KEYED)
        for second, one in enumerate(batches, start=10):
            take(shop, one, second)
            if shop is kept:
                shop.derive()
        shop.derive()
    for name in KEYED:
        for second in range(9, 15):
            assert as_known(kept, name, second) == as_known(late, name, second), (name, second)


def as_known(shop: Shop, name: str, second: int) -> list[tuple[Any, ...]]:
    """What was true of a table at a second, by what was known then: the oracle looks at one row after another."""
    newest: dict[Any, dict[str, Any]] = {}
    for row in shop.log(name):
        if row["_known"] is None or row["_known"] <= second + 0.5:
            newest[row["order_id"]] = row
    return sorted(tuple(row.values())[:-2] for row in newest.values() if not row["_deleted"])
