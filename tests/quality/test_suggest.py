"""Contracts proposed from data: the data passes them, and they say what a person would."""

from __future__ import annotations

import uuid

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.quality.check import Check, check
from penstock.quality.contract import Contract
from penstock.quality.run import run_checks
from penstock.quality.shapes import pattern_of
from penstock.quality.suggest import suggest
from tests.quality.made_up import SCHEMA, tables

ROWS = 2_000
HOUR = 3_600_000_000
RNG = np.random.default_rng(2)
SHOP = pa.table(
    {
        "order_id": RNG.permutation(ROWS),
        "customer_id": RNG.integers(0, 50, ROWS),
        "code": [f"ORD-{n:06d}" for n in range(ROWS)],
        "email": [f"user{n}@example.com" for n in range(ROWS)],
        "token": [str(uuid.UUID(int=n)) for n in range(ROWS)],
        "status": np.array(["new", "paid", "sent"])[RNG.integers(0, 3, ROWS)],
        "remark": [f"said {'very ' * (n % 9)}much {n}" for n in range(ROWS)],
        "amount": RNG.lognormal(3, 1, ROWS),
        "change": RNG.normal(0, 10, ROWS),
        "rate": RNG.random(ROWS),
        "discount": pa.array(RNG.random(ROWS) * 50, mask=RNG.random(ROWS) < 0.3),
        "constant": [1.0] * ROWS,
        "placed": pa.array(np.arange(ROWS) * HOUR, pa.timestamp("us")),
    }
)
CUSTOMERS = pa.table({"id": range(50), "name": [f"n{n}" for n in range(50)]})
NOW = ROWS * HOUR


def proposed(rows: pa.Table = SHOP, now: int = NOW, **more: object) -> dict[str, Check]:
    contract = suggest(rows, "orders", now=lambda: now, **more)  # type: ignore[arg-type]
    return {one.name: one for one in contract.checks}


@pytest.fixture(scope="module")
def found() -> dict[str, Check]:
    return proposed(links={"customer_id": "customers"}, tables={"customers": CUSTOMERS}, happened="placed")


def many(rows: pa.Table, times: int) -> pa.Table:
    return pa.concat_tables([rows] * times) if rows.num_rows else rows


@settings(max_examples=12)
@given(tables, tables, st.sampled_from([1, 5, 20]))
def test_the_same_data_passes_what_was_proposed_from_it(rows: pa.Table, parents: pa.Table, times: int):
    rows = many(rows, times)
    others = {"parents": parents}
    contract = suggest(rows, "made", links={"id": "parents", "code": "parents"}, tables=others, now=lambda: 0)
    report = run_checks(contract, {"made": rows, **others}, before=rows, now=lambda: 0)
    assert all(result.passed for result in report.results), str(report)
    assert {column for one in contract.checks for column in one.columns} <= set(SCHEMA.names)


def test_what_is_always_there_is_never_null(found: dict[str, Check]):
    assert {name for name in found if name.endswith("_not_null")} == {
        f"{name}_not_null" for name in SHOP.column_names if name != "discount"
    }
    assert found["discount_null_rate"].severity == "warn"


def test_what_identifies_is_unique_and_nothing_else_is(found: dict[str, Check]):
    assert [name for name in found if "unique" in name] == ["code_unique", "order_id_unique"]


def test_few_texts_are_a_list_and_many_are_none(found: dict[str, Check]):
    assert [name for name in found if "accepted" in name] == ["status_accepted"]
    assert found["status_accepted"].values("values") == ("new", "paid", "sent")


def test_numbers_have_ranges_with_room_and_identities_have_none(found: dict[str, Check]):
    ranges = {name: dict(one.options) for name, one in found.items() if one.kind == "range"}
    assert ranges.keys() == {"amount_range", "change_range", "rate_range", "discount_range"}
    assert ranges["rate_range"] == {"min": 0, "max": 1}
    amounts, changes = SHOP["amount"].to_numpy(), SHOP["change"].to_numpy()
    assert ranges["amount_range"]["min"] == 0
    assert 1.4 * amounts.max() < ranges["amount_range"]["max"] < 1.7 * amounts.max()
    assert 2.5 * changes.min() < ranges["change_range"]["min"] < 1.4 * changes.min()


def test_codes_have_patterns_and_prose_has_none(found: dict[str, Check]):
    patterns = {name: one.text("pattern") for name, one in found.items() if one.kind == "regex"}
    assert patterns == {
        "code_regex": "^ORD-[0-9]{6}$",
        "email_regex": r"^[^@\s]+@[^@\s]+\.[^@\s.]+$",
        "token_regex": "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$",
    }


def test_links_whose_rows_are_there_are_foreign_keys(found: dict[str, Check]):
    assert found["customer_id_foreign_key"] == check("foreign_key", "customer_id", table="customers", to=["id"])
    half = proposed(links={"customer_id": "customers"}, tables={"customers": CUSTOMERS.slice(0, 25)})
    assert "customer_id_foreign_key" not in half
    assert "customer_id_foreign_key" not in proposed(links={"customer_id": "customers"})


def test_freshness_follows_the_usual_gap_and_data_that_has_ended_has_none(found: dict[str, Check]):
    assert found["placed_freshness"].text("at_most") == "3 hours"
    assert "placed_freshness" not in proposed(now=NOW + 1_000 * HOUR, happened="placed")


def test_volume_is_watched(found: dict[str, Check]):
    assert found["row_count"].number("min") == 1
    assert found["volume"].number("drop") == 0.2


def test_a_handful_of_rows_proves_nothing():
    few = proposed(SHOP.slice(0, 5), happened="placed")
    assert few.keys() == {"row_count"}
    assert suggest(SHOP.slice(0, 0), "orders") == Contract("orders")


PATTERNS = [
    ([f"{n:05d}" for n in range(40)], "^[0-9]{5}$"),
    ([f"{n}" for n in range(40)], None),
    ([f"DE{n:02d}x.{n}" for n in range(40)], r"^DE[0-9]{2}x\.[0-9]+$"),
    ([f"{chr(65 + n % 26)}{n % 10}" for n in range(40)], "^[A-Z][0-9]$"),
    ([f"https://example.com/{n}" for n in range(40)], r"^https?://\S+$"),
    ([f"2024-01-{n:02d}" for n in range(1, 29)], r"^\d{4}-\d{2}-\d{2}$"),
    ([f"name {n}" for n in range(40)], None),
    (["Ada", "Bob"] * 30, None),
    (["", *(f"A{n}" for n in range(40))], None),
]


@pytest.mark.parametrize(("values", "pattern"), PATTERNS)
def test_patterns_say_what_codes_share(values: list[str], pattern: str | None):
    assert pattern_of(values) == pattern
