"""When derived rows were known: with the rows that they come from, or when they were built."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import RefusedError
from tests.pipeline.derive.shop import SECOND, Shop

WIDE = """-- key: order_id
-- time: placed_at
-- links: customer_id -> customers
SELECT o.order_id, o.customer_id, c.city, o.amount, o.placed_at
FROM orders AS o LEFT JOIN customers AS c USING (customer_id) WHERE o.amount < 100"""
TOTALS = "-- key: city\nSELECT city, sum(amount) AS total FROM wide WHERE city IS NOT NULL GROUP BY city"


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.put("orders", (1, 1, 10.0, "new", 100 * SECOND), (2, 2, 20.0, "new", 200 * SECOND))
    made.put("customers", (1, "Ada", "Oslo"), (2, "Bo", "Rome"))
    return made


def versions(shop: Shop, table: str, **key: object) -> list[tuple[object, ...]]:
    """The versions of one row: when it was known (None: when it happened), whether it is gone, a value."""
    ((name, value),) = key.items()
    last = {"wide": "city", "totals": "total", "bag": "amount", "own": "amount"}[table]
    return [(row["_known"], row["_deleted"], row[last]) for row in shop.log(table) if row[name] == value]


def test_a_row_is_known_when_the_last_of_its_rows_is(shop: Shop) -> None:
    shop.write(wide=WIDE)
    shop.derive(at=1000)
    assert versions(shop, "wide", order_id=1) == [(None, False, "Oslo")]
    shop.put("orders", (3, 2, 30.0, "new", 300 * SECOND), known=550)
    shop.derive(at=1001)
    assert versions(shop, "wide", order_id=3) == [(550, False, "Rome")]
    shop.put("customers", (2, "Bo", "Lima"), known=600)
    shop.derive(at=1002)
    assert versions(shop, "wide", order_id=3) == [(550, False, "Rome"), (600, False, "Lima")]
    assert versions(shop, "wide", order_id=2) == [(None, False, "Rome"), (600, False, "Lima")]
    assert versions(shop, "wide", order_id=1) == [(None, False, "Oslo")]


def test_what_vanishes_leaves_a_tombstone_that_keeps_the_history(shop: Shop) -> None:
    shop.write(wide=WIDE)
    shop.derive()
    shop.put("orders", (1, None, None, None, None), known=700, deleted=True)
    shop.put("orders", (2, 2, 500.0, "new", 200 * SECOND), known=800)
    assert shop.derive()["wide"].deleted == 2
    assert versions(shop, "wide", order_id=1) == [(None, False, "Oslo"), (800, True, "Oslo")]
    assert versions(shop, "wide", order_id=2) == [(None, False, "Rome"), (800, True, "Rome")]
    shop.put("orders", (1, 1, 11.0, "new", 100 * SECOND), known=900)
    assert shop.derive()["wide"].added == 1
    assert versions(shop, "wide", order_id=1)[-1] == (900, False, "Oslo")


def test_a_row_known_before_it_happened_is_known_when_it_happened(shop: Shop) -> None:
    shop.write(wide=WIDE)
    shop.put("orders", (9, 1, 9.0, "planned", 5_000 * SECOND), known=10)
    shop.derive()
    assert versions(shop, "wide", order_id=9) == [(None, False, "Oslo")]
    shop.put("orders", (9, 2, 9.0, "planned", 5_000 * SECOND), known=20)
    shop.derive()
    (first, second) = versions(shop, "wide", order_id=9)
    assert (first[0], second[2]) == (None, "Rome")
    assert second[0] == 5_000.000001, "a version comes after the one before it"


def test_what_many_rows_make_is_known_when_it_was_built(shop: Shop) -> None:
    shop.write(wide=WIDE, totals=TOTALS)
    shop.derive(at=1000)
    assert versions(shop, "totals", city="Oslo") == [(1000, False, 10.0)]
    shop.put("orders", (3, 1, 5.0, "new", 300 * SECOND), known=550)
    shop.derive(at=1001)
    assert versions(shop, "totals", city="Oslo") == [(1000, False, 10.0), (1001, False, 15.0)]
    assert versions(shop, "totals", city="Rome") == [(1000, False, 20.0)]
    shop.derive(at=900)
    shop.put("customers", (2, "Bo", "Oslo"), known=560)
    shop.derive(at=990)  # the clock went back
    assert versions(shop, "totals", city="Oslo")[-1] == (1001.000001, False, 35.0)
    assert versions(shop, "totals", city="Rome")[-1] == (1000.000001, True, 20.0)


def test_a_file_can_say_when_its_rows_were_known(shop: Shop) -> None:
    own = "-- key: customer_id\n-- known: latest\n"
    shop.write(own=own + "SELECT customer_id, max(placed_at) AS latest, max(amount) AS amount FROM orders GROUP BY ALL")
    shop.derive(at=1000)
    assert versions(shop, "own", customer_id=2) == [(200, False, 20.0)]
    shop.put("orders", (3, 2, 30.0, "new", 300 * SECOND), known=550)
    shop.derive(at=1001)
    assert versions(shop, "own", customer_id=2) == [(200, False, 20.0), (300, False, 30.0)]


def test_without_a_key_rows_that_stay_keep_their_clock(shop: Shop) -> None:
    shop.write(bag="SELECT status, sum(amount) AS amount FROM orders GROUP BY order_id, status")
    shop.put("orders", (3, 1, 10.0, "new", 1 * SECOND))
    shop.derive(at=1000)
    assert [row["_known"] for row in shop.log("bag")] == [1000, 1000, 1000]
    shop.put("orders", (3, 1, 30.0, "new", 1 * SECOND), (4, 1, 10.0, "new", 1 * SECOND), known=500)
    done = shop.derive(at=1001)["bag"]
    assert (done.added, done.deleted) == (1, 0)
    shop.put("orders", (1, 1, 11.0, "new", 1 * SECOND), known=510)
    done = shop.derive(at=1002)["bag"]
    assert (done.added, done.deleted) == (1, 1)
    assert sorted((row["amount"], row["_known"]) for row in shop.log("bag")) == [
        (10.0, 1000), (11.0, 1002), (20.0, 1000), (30.0, 1001)
    ]  # fmt: skip
    assert len(shop.current("bag", version=1)) == 3, "the version before is still there"


def test_sums_that_differ_in_their_last_digits_are_the_same(shop: Shop) -> None:
    shop.write(totals="-- key: city\nSELECT 'all' AS city, sum(amount) AS total FROM orders")
    shop.put("orders", *((n, 1, 0.1 * n, "new", SECOND) for n in range(3, 60)))
    shop.derive(at=1000)
    shop.put("orders", (100, 1, 1e-14, "new", SECOND), known=500)
    assert shop.derive(at=1001)["totals"].changed == 0


def test_a_table_defined_late_shows_what_was_true_before(shop: Shop) -> None:
    shop.put("orders", (1, 1, 11.0, "paid", 100 * SECOND), known=500)
    shop.put("orders", (2, None, None, None, None), known=600, deleted=True)
    shop.put("orders", (1, 1, 900.0, "paid", 100 * SECOND), known=700)
    shop.put("customers", (1, "Ada", "Lima"), known=550)
    inner = WIDE.replace("LEFT JOIN", "JOIN")
    shop.write(wide=inner.replace("c.city, o.amount", "o.amount, c.city"))
    assert shop.derive(at=1000)["wide"].added == 0
    assert versions(shop, "wide", order_id=1) == [
        (None, False, "Oslo"), (500, False, "Oslo"), (550, False, "Lima"), (700, True, "Lima")
    ]  # fmt: skip
    assert versions(shop, "wide", order_id=2) == [(None, False, "Rome"), (600, True, "Rome")]
    assert shop.current("wide") == []


def test_two_rows_of_one_key_are_refused(shop: Shop) -> None:
    shop.write(twice="-- key: customer_id\nSELECT status AS customer_id, amount FROM orders")
    with pytest.raises(RefusedError, match="DERIVE_DUPLICATE_KEY: twice: 2 rows have customer_id = new") as caught:
        shop.derive()
    assert "GROUP BY" in str(caught.value)
    assert shop.table("twice").newest() is None


def test_a_row_without_a_key_is_refused(shop: Shop) -> None:
    shop.write(wide="-- key: city\nSELECT c.city FROM orders LEFT JOIN customers AS c ON c.customer_id = order_id + 1")
    with pytest.raises(RefusedError, match="DERIVE_NO_KEY: wide: a row has no city, which wide"):
        shop.derive()


def test_roles_and_versions_of_inputs_are_kept_with_the_table(shop: Shop) -> None:
    shop.write(wide=WIDE, totals=TOTALS)
    shop.derive()
    table = shop.table("wide")
    newest = table.newest()
    assert newest is not None
    assert (table.roles.key, table.roles.happened, dict(table.roles.links or {}), table.roles.origin) == (
        ("order_id",), "placed_at", {"customer_id": "customers"}, "tables/wide.sql"
    )  # fmt: skip
    assert newest.facts["inputs"] == '{"customers": 1, "orders": 1}'
    assert newest.facts["definition"] == shop.loaded()[0].fingerprint
