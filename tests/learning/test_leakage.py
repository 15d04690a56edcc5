"""The audit of columns: what was overwritten later is left out, what merely goes with activity stays."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import penstock as ps
from penstock.learning.leaks.findings import Finding
from penstock.learning.leaks.leakage import inspect
from tests.learning.snapshots import (
    DAY,
    DAYS,
    HONEST,
    OVERWRITTEN,
    START,
    Buying,
    Shop,
    fading,
    instants,
    regular,
    seasonal,
    snapshot,
    world_of,
)

UNTIL = START + (DAYS - 60) * DAY


def found(tables: dict[str, pa.Table], until: int = UNTIL, links: bool = False) -> dict[str, Finding]:
    """The findings of all columns (and of links from tables without a time), by what they are about."""
    return audit(ps.connect(tables), until, links)


def audit(db: ps.Database, until: int = UNTIL, links: bool = False) -> dict[str, Finding]:
    places = [(table.name, column.name) for table in db.graph for column in table.columns]
    undated = [k for k in db.graph.links if links and db.graph.table(k.table).happened is None]
    return {finding.what: finding for finding in inspect(db.rows, places, undated, until)}


SHOPS = {
    "usual": Shop(),
    "without a clock": Shop(clock=False),
    "small": Shop(customers=500),
    "rare buyers": Shop(rate=0.01),
    "short stays": Shop(hazard=1 / 60),
    "short stays without a clock": Shop(hazard=1 / 60, clock=False),
}


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("name", SHOPS)
def test_what_was_overwritten_is_left_out_and_what_merely_goes_with_activity_stays(name: str, seed: int):
    findings = found(snapshot(SHOPS[name], seed))
    left_out = {what for what, finding in findings.items() if finding.action == "dropped"}
    assert left_out == {f"users.{column}" for column in OVERWRITTEN}
    assert {what for what in findings if what.partition(".")[2] in HONEST} <= {"users.contract"}


@pytest.mark.parametrize("clock", [True, False])
@pytest.mark.parametrize("world", [regular, seasonal, fading])
def test_regular_habits_seasons_and_fading_interest_are_not_taken_for_leaks(world: Buying, clock: bool):
    findings = found(world_of(world, clock, seed=0))
    assert {what for what, finding in findings.items() if finding.action == "dropped"} == {"users.all_orders"}


def test_a_strong_cause_of_leaving_is_asked_about_since_no_test_tells_it_from_an_effect():
    finding = found(snapshot(Shop(), 0))["users.contract"]
    assert finding.action == "asked"
    assert finding.evidence.startswith("explains later orders beyond earlier ones, partial correlation 0.")


def test_a_counter_of_an_unknown_kind_and_name_is_known_by_what_it_makes_of_past_and_future():
    tables = snapshot(Shop(), 3)
    users = tables["users"].rename_columns(["zeal" if n == "karma" else n for n in tables["users"].column_names])
    finding = found({**tables, "users": users})["users.zeal"]
    assert finding.action == "dropped"
    assert "and is made of both: held still, it turns how they go together from 0." in finding.evidence


def test_totals_are_recognised_and_said():
    findings = found(snapshot(Shop(), 0))
    assert findings["users.total"].evidence.startswith("it is the count of orders for ")
    assert findings["users.ltv"].evidence.startswith("it is the sum of orders.amount for ")
    assert findings["users.total"].evidence.endswith("% of the rows, later ones included")


def test_a_total_known_with_its_row_is_no_leak():
    """An order's lines come with the order: how many there are is known from the first."""
    rng = np.random.default_rng(0)
    lines = rng.integers(1, 6, 1000)
    at = instants(np.sort(rng.random(1000) * 600))
    orders = {"order_id": np.arange(1000), "placed_at": at, "size": lines}
    order = np.repeat(np.arange(1000), lines)
    rows = {"line_id": np.arange(len(order)), "order_id": order, "placed_at": at.take(pa.array(order))}
    assert found({"orders": pa.table(orders), "lines": pa.table(rows)}) == {}


def posts(growing: bool) -> dict[str, pa.Table]:
    """Posts with a score, a rate of reading, and a price in tenths that went down over the years."""
    rng = np.random.default_rng(1)
    day = np.sort(rng.random(3000) * 600)
    score = rng.poisson((640 - day) / 60) if growing else rng.poisson(5, 3000)
    table = {"post_id": np.arange(3000), "created_at": instants(day), "score": score, "price": np.round(90 - day / 10)}
    return {"posts": pa.table({**table, "comment_count": score + rng.poisson(9, 3000), "size": rng.poisson(5, 3000)})}


def test_a_number_named_like_a_counter_must_grow_with_its_row():
    findings = found(posts(growing=True))
    assert {what: finding.action for what, finding in findings.items()} == {
        "posts.score": "dropped", "posts.comment_count": "dropped"
    }  # fmt: skip
    assert findings["posts.score"].evidence.startswith("grows with its row's age, 0.")
    assert found(posts(growing=False)) == {}


def test_a_date_set_anew_is_left_out_and_one_that_is_planned_or_set_once_stays():
    tables = snapshot(Shop(), 0)
    joined = tables["users"]["joined_at"].cast(pa.int64()).to_numpy()
    seen = tables["users"]["last_seen"]
    users = tables["users"].append_column("visit", seen).drop_columns(["last_seen"])
    users = users.append_column("contract_end", pa.array(joined + 365 * DAY, pa.timestamp("us")))
    findings = found({**tables, "users": users})
    assert findings["users.visit"].kind == "last seen"
    assert findings["users.visit"].evidence == "it follows each row's last orders, and none comes after it"
    assert "users.contract_end" not in findings
    assert "users.left_at" not in findings


def test_a_clock_that_comes_after_what_happened_is_asked_about():
    tables = snapshot(Shop(clock=False), 0)
    users = tables["users"].select(["user_id", "height"]).append_column("visit", tables["users"]["last_seen"])
    db = ps.connect({**tables, "users": users})
    db.set("users", time="visit")
    finding = audit(db)["users.visit"]
    assert (finding.kind, finding.action) == ("last seen", "asked")
    assert finding.evidence.startswith("it is taken for the time at which rows began, yet ")
    assert finding.evidence.endswith("% of their orders came before")


def test_a_number_that_counts_up_with_the_clock_is_a_key():
    table = pa.table({"code": [f"r{n % 977}x{n}" for n in range(1500)], "at": instants(np.arange(1500) / 3.0),
                      "position": np.arange(1500) * 3, "week": np.arange(1500) // 21})  # fmt: skip
    findings = found({"events": table})
    assert {what: finding.kind for what, finding in findings.items()} == {"events.position": "key"}
    assert findings["events.position"].evidence == "every value once, in the order of at"


def test_a_number_given_out_with_the_first_event_is_a_key_even_without_a_clock():
    tables = snapshot(Shop(clock=False), 0)
    user, at = tables["orders"]["user_id"].to_numpy(), tables["orders"]["at"].cast(pa.int64()).to_numpy()
    first = np.full(2001, at.max() + 1)
    np.minimum.at(first, user, at)
    number = np.argsort(np.argsort(first[1:], kind="stable"))
    users = tables["users"].select(["user_id", "height"]).append_column("position", pa.array(number))
    findings = found({**tables, "users": users})
    assert findings["users.position"].evidence == "every value once, in the order of each row's first orders"
    assert set(findings) == {"users.position"}


@pytest.mark.parametrize("log", [True, False])
def test_rows_without_a_time_are_left_out_if_their_number_knows_the_future(log: bool):
    """Letters that were sent over all the years, one for two orders or so, and interests declared at the beginning."""
    rng = np.random.default_rng(5)
    tables = snapshot(Shop(), 5)
    talent = tables["users"]["talent"].to_numpy()
    many = rng.binomial(tables["users"]["total"].to_numpy(), 0.5) if log else rng.poisson(talent / talent.mean() * 3)
    letters = pa.table({"letter_id": np.arange(many.sum()), "user_id": np.repeat(np.arange(1, 2001), many)})
    users = tables["users"].select(["user_id", "joined_at", "height"])
    findings = found({"users": users, "orders": tables["orders"], "letters": letters}, links=True)
    finding = findings.pop("letters.*")
    assert (finding.kind, finding.action) == ("no clock", "dropped" if log else "kept")
    assert finding.evidence.startswith("they cannot be dated, ")
    assert findings == {}


def test_rows_that_are_followed_by_others_are_left_out_even_if_they_are_no_part_of_them():
    """Offers of one week each, some of them still to come at any cutoff: who gets one buys more in that week."""
    rng = np.random.default_rng(7)
    user, week = np.repeat(np.arange(1500), rng.poisson(2, 1500))[:, None], rng.integers(0, 100, (3200, 1))
    user, week = user[:2900].ravel(), week[:2900].ravel()
    bought = np.repeat(np.arange(len(user)), rng.poisson(1.5, len(user)))
    other = rng.integers(0, 1500, 2000)
    day = np.concatenate([week[bought] * 7 + rng.random(len(bought)) * 7, rng.random(2000) * 700])
    who = np.concatenate([user[bought], other])
    tables = {
        "users": pa.table({"user_id": np.arange(1500), "height": rng.normal(170, 9, 1500)}),
        "orders": pa.table({"order_id": np.arange(len(who)), "user_id": who, "at": instants(day)}),
        "offers": pa.table({"offer_id": np.arange(len(user)), "user_id": user}),
    }
    assert found(tables, links=True)["offers.*"].action == "dropped"


def test_a_column_whose_kind_was_set_by_hand_stays():
    db = ps.connect(snapshot(Shop(), 0))
    db.set("users.total", kind="numerical")
    finding = audit(db)["users.total"]
    assert finding.action == "kept"
    assert finding.evidence.endswith("; its kind was set by hand")


def test_a_table_that_says_when_its_values_were_known_is_not_looked_at():
    db = ps.connect(snapshot(Shop(), 0))
    db.set("users", known="joined_at")
    assert audit(db) == {}


def test_with_too_few_rows_a_name_is_asked_about():
    tables = snapshot(Shop(customers=25), 0)
    findings = found(tables)
    assert findings["users.karma"].action == "asked"
    assert findings["users.karma"].evidence == "named as what changes, with too few rows to test it"


def test_no_row_that_happened_later_changes_a_finding():
    tables = snapshot(Shop(customers=800), 4)
    late = tables["orders"]["at"].cast(pa.int64()).to_numpy() > UNTIL
    kept = tables["orders"].filter(pa.array(~late))
    twice = pa.concat_tables([tables["orders"], tables["orders"].filter(pa.array(late))])
    twice = twice.set_column(0, "order_id", pa.array(np.arange(len(twice))))
    assert found({**tables, "orders": kept}) == found(tables) == found({**tables, "orders": twice})


def test_the_order_of_the_rows_changes_no_finding():
    tables, rng = snapshot(Shop(customers=800), 6), np.random.default_rng(0)
    mixed = {name: table.take(pa.array(rng.permutation(len(table)))) for name, table in tables.items()}
    assert found(mixed) == found(tables)


@pytest.mark.parametrize("key", ["none", "number", "text"])
def test_of_many_rows_some_are_drawn_whatever_their_order(key: str):
    rng, many = np.random.default_rng(8), 60_000
    day = rng.integers(0, 600, many)
    reads = rng.poisson((640 - day) / 60)
    table = pa.table({"at": instants(day.astype(float)), "reads": reads, "size": rng.integers(0, 9, many)})
    if key != "none":
        names = [f"row {n}" for n in range(many)] if key == "text" else np.arange(many)
        table = table.add_column(0, "post_id", pa.array(names))
    findings = found({"posts": table})
    assert {what: finding.action for what, finding in findings.items()} == {"posts.reads": "dropped"}
    assert found({"posts": table.take(pa.array(rng.permutation(many)))}) == findings
