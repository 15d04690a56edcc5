"""What is asked of lineage: downstream, upstream, as a tree, for machines, as a picture."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock.pipeline.derive import Lineage, lineage_of
from tests.pipeline.derive.shop import loaded

TEXTS = {
    "clean": "SELECT order_id, customer_id, amount * 2 AS twice FROM orders WHERE status <> 'test'",
    "totals": "SELECT customer_id, sum(twice) AS total FROM clean GROUP BY customer_id",
    "named": "SELECT c.name, t.total FROM totals AS t JOIN customers AS c USING (customer_id)",
    "constants": "SELECT 1 AS one",
}


@pytest.fixture
def lineage(tmp_path: Path) -> Lineage:
    return lineage_of(loaded(tmp_path, **TEXTS).values())


def test_downstream_is_all_that_a_column_ends_up_in(lineage: Lineage) -> None:
    assert lineage.downstream(("orders", "amount")) == (("clean", "twice"), ("named", "total"), ("totals", "total"))
    assert lineage.downstream(("orders", "status")) == (("clean", None), ("named", None), ("totals", None))
    assert lineage.downstream(("orders", "customer_id")) == (
        ("clean", "customer_id"), ("named", None), ("totals", None), ("totals", "customer_id"),
    )  # fmt: skip
    assert lineage.downstream(("clean", "twice")) == (("named", "total"), ("totals", "total"))
    assert lineage.downstream(("orders", "placed_at")) == ()
    assert lineage.downstream(("nowhere", "x")) == ()


def test_upstream_ends_in_tables_that_nothing_derives(lineage: Lineage) -> None:
    assert lineage.upstream("named", "total") == (("orders", "amount"),)
    assert lineage.upstream("named") == (
        ("customers", "customer_id"), ("orders", "customer_id"), ("orders", "status"),
    )  # fmt: skip
    assert lineage.upstream("constants", "one") == lineage.upstream("constants") == ()


def test_upstream_and_the_derivations_agree(tmp_path: Path) -> None:
    made = loaded(tmp_path, **TEXTS)
    lineage = lineage_of(made.values())
    for name, one in made.items():
        assert set(lineage.upstream(name)) == one.uses
        for column, origins in one.lineage.items():
            assert set(lineage.upstream(name, column)) == origins


def test_readers_are_the_tables_that_rest_on_one(lineage: Lineage) -> None:
    assert lineage.readers("orders") == ("clean", "named", "totals")
    assert lineage.readers("customers") == ("named",)
    assert lineage.readers("named") == ()


def test_lineage_prints_as_a_tree(lineage: Lineage) -> None:
    assert str(lineage).splitlines() == [
        "customers",
        "└── named",
        "orders",
        "└── clean",
        "    └── totals",
        "        └── named",
        "constants",
    ]


def test_lineage_goes_to_machines_and_to_mermaid(lineage: Lineage) -> None:
    told = lineage.to_dict()
    assert told["totals"] == {
        "reads": ["clean"],
        "columns": {"customer_id": ["clean.customer_id"], "total": ["clean.twice"]},
        "uses": ["clean.customer_id"],
    }
    picture = lineage.to_mermaid().splitlines()
    assert picture[0] == "flowchart LR"
    assert sum("-->" in line for line in picture) == 4
    assert '    t0[("orders")]' in picture
