"""The audit of a question: what is left out is read by no feature, is said, and can be had all the same."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

import penstock as ps
from penstock.features.definitions import FeatureSet
from penstock.learning import ask
from penstock.learning.ask import How
from penstock.learning.judging.evaluation import Evaluation
from penstock.learning.leaks.audit import audited
from penstock.learning.leaks.findings import Finding, told
from penstock.learning.rows.spines import Given
from penstock.schema import Graph
from tests.learning.snapshots import DAY, DAYS, START, Shop, instants, snapshot

QUIET = "PREDICT COUNT(orders.*, 0, 60, days) = 0 FOR EACH users.user_id WHERE COUNT(orders.*, -60, 0, days) > 0"
UNTIL = START + (DAYS - 60) * DAY


@pytest.fixture(scope="module")
def shop() -> ps.Database:
    return ps.connect(snapshot(Shop(customers=600), 0))


def reading(features: FeatureSet, column: str) -> list[str]:
    return [feature.name for feature in features.features if column in feature.name]


def evaluated(db: ps.Database, text: str, leaks: str = "drop") -> Evaluation:
    how = How(leaks="keep" if leaks == "keep" else "drop")
    return ask.evaluate(db.query(text), db.relational, Given(), how)


def test_no_feature_reads_what_was_left_out(shop: ps.Database):
    features, findings = audited(shop.query(QUIET), shop.relational, UNTIL)
    dropped = {finding.what for finding in findings if finding.action == "dropped"}
    assert {"users.total", "users.ltv", "users.status", "users.last_seen", "users.days_quiet"} <= dropped
    assert not [name for what in dropped for name in reading(features, what)]
    assert reading(features, "users.income")
    assert reading(features, "users.left_at")


def test_all_is_kept_if_asked_for_and_still_said(shop: ps.Database):
    features, findings = audited(shop.query(QUIET), shop.relational, UNTIL, keep=True)
    assert reading(features, "users.status")
    assert {finding.what: finding.action for finding in findings}["users.status"] == "kept"


def test_an_evaluation_without_the_leaks_says_what_was_left_out_and_is_worse(shop: ps.Database):
    honest, leaking = evaluated(shop, QUIET), evaluated(shop, QUIET, "keep")
    assert leaking.metrics["auroc"] > honest.metrics["auroc"] + 0.05
    (note,) = [note for note in honest.notes if note.startswith("Left out, as they know the future or the answer: ")]
    assert "users.days_quiet (it tells how many days each row's last orders lies back, however late that was)" in note
    assert note.endswith("To keep a column all the same, set its kind by hand; to keep all, ask with leaks='keep'.")
    assert [n for n in leaking.notes if n.startswith("Kept all the same: ")]
    assert {f["what"] for f in honest.to_dict()["findings"]} >= {"users.days_quiet", "users.total"}


def test_a_column_made_from_the_answer_is_left_out_before_anything_is_learnt():
    """Of this column the audit of the future knows nothing: its rows have no others that point to them."""
    rng = np.random.default_rng(0)
    size, colour = rng.normal(size=400), rng.integers(0, 4, 400)
    answer = (size + rng.normal(size=400) > 0).astype(int)
    kind = {"thing_id": np.arange(400), "size": size, "colour": [f"c{n}" for n in colour], "good": answer > 0}
    copy = pa.table({**kind, "fee": answer * 3.5 + rng.random(400)})
    db = ps.connect({"things": copy})
    evaluation = evaluated(db, "PREDICT things.good FOR EACH things.thing_id")
    assert [(f["what"], f["kind"], f["action"]) for f in evaluation.to_dict()["findings"]] == [
        ("things.fee", "too good", "dropped")
    ]
    assert evaluation.metrics["auroc"] < 0.95


def test_a_category_that_is_the_answer_by_another_name_is_left_out():
    rng = np.random.default_rng(3)
    sort = rng.integers(0, 4, 600)
    things = {"thing_id": np.arange(600), "sort": [f"sort {n}" for n in sort],
              "shelf": [f"shelf {n * 7 % 4}" for n in sort], "weight": sort + rng.normal(size=600),
              "town": [f"t{n}" for n in rng.integers(0, 5, 600)]}  # fmt: skip
    evaluation = evaluated(ps.connect({"things": pa.table(things)}), "PREDICT things.sort FOR EACH things.thing_id")
    (finding,) = evaluation.to_dict()["findings"]
    assert (finding["what"], finding["action"]) == ("things.shelf", "dropped")
    assert finding["evidence"] == "alone it gives the answer of 100.0% of the rows, which is too good to be true"


def test_the_own_past_of_a_target_that_was_counted_later_is_kept_and_asked_about():
    tables = snapshot(Shop(customers=400), 1)
    rng, at = np.random.default_rng(0), tables["orders"]["at"].cast(pa.int64()).to_numpy()
    likes = rng.poisson((START + DAYS * DAY - at) / (60 * DAY))
    tables = {
        "users": tables["users"].select(["user_id", "height"]),
        "orders": tables["orders"].append_column("likes", pa.array(likes)),
    }
    db = ps.connect(tables)
    features, findings = audited(
        db.query("PREDICT SUM(orders.likes, 0, 60, days) FOR EACH users.user_id"), db.relational, UNTIL
    )
    told = {finding.what: finding for finding in findings}
    assert told["orders.likes"].action == "dropped"
    assert told["the target's own past"].evidence.startswith("it reads orders.likes, as the question does: ")
    assert all(feature.past for feature in features.features if "orders.likes" in feature.name)


# ---------------------------------------------------------------- the same moment


def matches(rows: int = 400, goals: bool = True, open_rows: int = 0) -> dict[str, pa.Table]:
    """Matches between teams, with both scores, spectators counted at the gate, and (if asked) the goals."""
    rng = np.random.default_rng(2)
    day = instants(np.sort(rng.integers(0, 600, rows)).astype(float))
    home, away = rng.poisson(1.5, rows), rng.poisson(1.1, rows)
    unknown = np.arange(rows) % max(1, rows // max(1, open_rows)) == 0 if open_rows else np.zeros(rows, bool)
    table = {
        "match_id": np.arange(rows), "home_team": rng.integers(0, 8, rows), "away_team": rng.integers(0, 8, rows),
        "day": day, "home_score": pa.array(home, mask=unknown), "away_score": pa.array(away, mask=unknown),
        "spectators": rng.poisson(900, rows), "minutes_added": pa.array(rng.poisson(4, rows), mask=unknown),
    }  # fmt: skip
    found = {
        "matches": pa.table(table),
        "teams": pa.table({"team_id": np.arange(8), "town": [f"t{n}" for n in range(8)]}),
    }
    if goals:
        match = np.repeat(np.arange(rows), home + away)
        found["goals"] = pa.table(
            {"goal_id": np.arange(len(match)), "match_id": match, "day": day.take(pa.array(match))}
        )
    return found


def moment(tables: dict[str, pa.Table]) -> dict[str, Finding]:
    db = ps.connect(tables)
    db.link("matches.home_team", "teams")
    query = db.query("PREDICT matches.home_score FOR EACH matches.match_id")
    features, findings = audited(query, db.relational, START + 600 * DAY)
    assert not [name for f in findings if f.action == "dropped" for name in reading(features, f.what.rstrip("*"))]
    return {finding.what: finding for finding in findings}


def test_the_other_score_and_the_goals_of_a_match_are_known_only_with_its_score():
    findings = moment(matches())
    assert {what: finding.action for what, finding in findings.items()} == {
        "matches.away_score": "dropped", "goals.*": "dropped"
    }  # fmt: skip
    assert (
        findings["matches.away_score"].evidence
        == "named like home_score but for a word, and in no row there without it"
    )
    assert findings["goals.*"].evidence == (
        "they happen at the very time of their matches, and home_score never exceeds their number"
    )


def test_rows_whose_answer_is_open_show_what_comes_with_it():
    findings = moment(matches(goals=False, open_rows=40))
    assert {what: finding.action for what, finding in findings.items()} == {
        "matches.away_score": "dropped", "matches.minutes_added": "dropped"
    }  # fmt: skip
    assert findings["matches.minutes_added"].evidence == (
        "NULL in 100% of the rows where home_score still is, and there in the others"
    )


def test_what_is_there_while_the_answer_is_open_stays_however_it_is_named():
    tables = matches(goals=False, open_rows=40)
    whole = pa.array(np.random.default_rng(0).poisson(1.1, 400))
    place = tables["matches"].column_names.index("away_score")
    tables["matches"] = tables["matches"].set_column(place, "away_score", whole)
    assert set(moment(tables)) == {"matches.minutes_added"}


def test_a_question_with_a_window_has_no_such_moment():
    db = ps.connect(matches())
    graph: Graph = db.graph
    assert graph.table("goals").happened == "day"
    query = db.query("PREDICT COUNT(goals.*, 0, 30, days) FOR EACH matches.match_id")
    assert audited(query, db.relational, START + 500 * DAY)[1] == ()


# ---------------------------------------------------------------- findings


def test_a_finding_survives_its_plain_form():
    finding = Finding("key", "posts.number", "every value once, in the order of at", "dropped")
    assert Finding.from_dict(finding.to_dict()) == finding
    assert finding.to_dict()["sentence"] == "posts.number was left out (key): every value once, in the order of at."


def test_findings_are_told_by_what_was_done():
    found = [Finding("snapshot", f"t.c{n}", "why", "dropped") for n in range(14)]
    found += [Finding("too good", "t.d", "because", "asked"), Finding("snapshot", "t.e", "so", "kept")]
    out, asked, kept = told(found)
    assert out.startswith("Left out, as they know the future or the answer: t.c0 (why); t.c1 (why); ")
    assert "t.c11 (why); and 2 more. To keep a column" in out
    assert asked.startswith("Kept, though they may know the future or the answer: t.d (because). If one does, leave it")
    assert kept == "Kept all the same: t.e (so)."
    assert told([]) == ()
