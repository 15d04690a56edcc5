"""Labelling functions: PQL sees what was known at the cutoff, SQL what is known now, and each is a labeller."""

from __future__ import annotations

import pyarrow as pa
import pytest

import penstock as ps
from penstock.errors import QueryError, RequestError, SourceError
from penstock.learning.labelling import PqlFunction, SqlFunction, apply_pql, apply_sql
from tests.learning.labelling.places import ENDS, Clock, Place
from tests.small import DAY, shop

NOW = Clock()
TABLES = shop(users=20)


def spine(days: int = 0) -> pa.Table:
    when = pa.array([ENDS - days * DAY] * 20, pa.timestamp("us"))
    return pa.table({"entity": list(range(1, 21)), "cutoff": when})


def naive(user: int, cutoff: int) -> int:
    """How many orders in the 30 days up to a cutoff."""
    rows = zip(
        TABLES["orders"]["user_id"].to_pylist(), TABLES["orders"]["placed_at"].cast(pa.int64()).to_pylist(), strict=True
    )
    return sum(who == user and cutoff - 30 * DAY < at <= cutoff for who, at in rows)


@pytest.mark.parametrize("days", [0, 60])
def test_a_condition_labels_whom_it_fits_at_the_cutoff(days: int):
    rule = PqlFunction("busy", "COUNT(orders.*, -30, 0) > 3", "busy", confidence=0.75)
    labels = apply_pql([rule], ps.connect(TABLES), "users", spine(days), now=NOW)
    cutoff = ENDS - days * DAY
    assert labels.rows["entity"].to_pylist() == [str(u) for u in range(1, 21) if naive(u, cutoff) > 3]
    assert set(labels.rows["happened"].cast(pa.int64()).to_pylist()) == {cutoff}
    assert set(labels.rows["confidence"].to_pylist()) == {0.75}
    assert set(labels.rows["labeller"].to_pylist()) == {"busy"}
    assert set(labels.rows["source"].to_pylist()) == {"function"}
    assert set(labels.rows["known"].to_pylist()) == {None}


def test_otherwise_labels_the_rest_and_undefined_is_not_held():
    rule = PqlFunction("tall", "users.height > 5", True, otherwise=False)
    labels = apply_pql([rule], ps.connect(TABLES), "users", spine(), now=NOW)
    held = dict(zip(labels.rows["entity"].to_pylist(), labels.rows["written"].to_pylist(), strict=True))
    heights = dict(enumerate(TABLES["users"]["height"].to_pylist(), 1))
    assert held == {str(u): "true" if (heights[u] or 0) > 5 else "false" for u in range(1, 21)}


def test_several_functions_are_several_labellers():
    rules = [PqlFunction("a", "COUNT(orders.*, -30, 0) > 3", True), PqlFunction("b", "users.city = 'Oslo'", False)]
    labels = apply_pql(rules, ps.connect(TABLES), "users", spine(), now=NOW)
    assert set(labels.rows["labeller"].to_pylist()) == {"a", "b"}
    assert labels.kind == "truth"


def test_conditions_must_be_conditions_that_look_back():
    db = ps.connect(TABLES)
    with pytest.raises(QueryError, match="PQL_TIME_FUTURE_NOT_ALLOWED"):
        apply_pql([PqlFunction("a", "COUNT(orders.*, 0, 30) > 3", True)], db, "users", spine(), now=NOW)
    with pytest.raises(QueryError, match="there is no table 'ordes'"):
        apply_pql([PqlFunction("a", "COUNT(ordes.*, -30, 0) > 3", True)], db, "users", spine(), now=NOW)
    with pytest.raises(RequestError, match="LABELS_NO_CONDITION: the labelling function a is no condition"):
        apply_pql([PqlFunction("a", "COUNT(orders.*, -30, 0)", True)], db, "users", spine(), now=NOW)
    with pytest.raises(RequestError, match="two labelling functions are called a"):
        apply_pql([PqlFunction("a", "users.height > 1", True)] * 2, db, "users", spine(), now=NOW)
    with pytest.raises(RequestError, match="there are no labelling functions"):
        apply_pql([], db, "users", spine(), now=NOW)
    with pytest.raises(RequestError, match="give values of several kinds: category, truth"):
        apply_pql([PqlFunction("a", "users.height > 1", True), PqlFunction("b", "users.height > 1", "tall")], db,
                  "users", spine(), now=NOW)  # fmt: skip


def test_nobody_fits_and_so_nobody_is_labelled():
    labels = apply_pql(
        [PqlFunction("a", "users.height > 1000000", True)], ps.connect(TABLES), "users", spine(), now=NOW
    )
    assert (len(labels), labels.rejected.num_rows) == (0, 0)


def test_sql_labels_what_it_selects():
    query = """
        SELECT user_id AS entity, max(placed_at) AS happened, count(*) > 10 AS value, 0.5 AS confidence
        FROM orders GROUP BY user_id
    """
    labels = apply_sql([SqlFunction("many", query)], TABLES, now=NOW)
    assert labels.kind == "truth"
    rows = labels.rows.to_pylist()
    orders = TABLES["orders"]["user_id"].to_pylist()
    assert {r["entity"]: r["written"] for r in rows} == {
        str(u): "true" if orders.count(u) > 10 else "false" for u in set(orders)
    }
    assert {(r["labeller"], r["source"], r["confidence"]) for r in rows} == {("many", "function", 0.5)}


def test_sql_abstains_by_null_and_its_mistakes_are_said():
    null = SqlFunction("some", "SELECT user_id AS entity, CASE WHEN user_id < 3 THEN 'low' END AS value FROM users")
    assert len(apply_sql([null], TABLES, now=NOW)) == 2
    with pytest.raises(SourceError, match=r"SQL_FAILED: .*Table with name nowhere"):
        apply_sql([SqlFunction("a", "SELECT * FROM nowhere")], TABLES, now=NOW)
    with pytest.raises(SourceError, match="the labelling function a gives no column 'value'\n  exists: entity"):
        apply_sql([SqlFunction("a", "SELECT user_id AS entity FROM users")], TABLES, now=NOW)
    with pytest.raises(SourceError, match="SQL_FAILED"):
        apply_sql([SqlFunction("a", "SELECT * FROM read_csv('/etc/passwd')")], TABLES, now=NOW)


def test_sql_reads_lake_tables_and_its_labels_are_known_when_added(place: Place):
    query = "SELECT entity, happened, NOT value AS value FROM labels"
    told = {"entity": [1, 2], "value": ["yes", "no"]}
    place.store.add("fraud", ps_table(told), entity="users")
    labels = apply_sql(
        [SqlFunction("contrary", query)], {"labels": place.store.set("fraud").table.scan()}, now=place.clock
    )
    place.later()
    place.store.add("fraud", labels)
    rows = place.store.set("fraud").at()
    mine = [row for row in rows.to_pylist() if row["labeller"] == "contrary"]
    assert [(row["entity"], row["value"]) for row in mine] == [("1", False), ("2", True)]


def ps_table(told):
    from penstock.learning.labelling import from_table

    return from_table(told, now=NOW)
