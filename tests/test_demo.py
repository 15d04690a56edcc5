"""The demo's database: reproducible, whole, and its true probabilities are true."""

from __future__ import annotations

import hashlib
from datetime import UTC, date, datetime
from itertools import pairwise
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from penstock import demo
from penstock.demo import Demo
from penstock.errors import RequestError

DAY = 86_400_000_000
MONTH = 30 * DAY


@pytest.fixture(scope="module")
def small() -> Demo:
    return demo.generate(seed=3, subscribers=300)


@pytest.fixture(scope="module")
def large() -> Demo:
    return demo.generate(seed=11, subscribers=3_000)


def digests(made: Demo) -> dict[str, str]:
    found = {}
    for name, rows in made.tables.items():
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, rows.schema) as writer:
            writer.write_table(rows)
        found[name] = hashlib.sha256(sink.getvalue()).hexdigest()
    return found


def pooled(made: Demo, cutoffs: list[int]) -> tuple[np.ndarray, np.ndarray]:
    """Realised targets and true probabilities of all the cutoffs."""
    targets, chances = [], []
    for cutoff in cutoffs:
        outcome, truth = demo.outcome(made, cutoff), demo.true_probability(made, cutoff)
        assert outcome["entity"].equals(truth["entity"])
        targets.append(outcome["target"].to_numpy(zero_copy_only=False))
        chances.append(truth["probability"].to_numpy())
    return np.concatenate(targets), np.concatenate(chances)


def surprise(targets: np.ndarray, chances: np.ndarray) -> float:
    """How many standard deviations the count of targets lies from its expectation."""
    return float(abs(targets.sum() - chances.sum()) / np.sqrt((chances * (1 - chances)).sum()))


def auroc(targets: np.ndarray, chances: np.ndarray) -> float:
    ranks = np.argsort(np.argsort(chances)) + 1.0
    ones = targets.sum()
    return float((ranks[targets].sum() - ones * (ones + 1) / 2) / (ones * (len(targets) - ones)))


def renewals(made: Demo, fewest_before: int = 3) -> list[int]:
    """The renewal dates whose next 30 days are over, after some months of history."""
    return list(range(made.start + fewest_before * MONTH, made.end, MONTH))


def test_one_seed_makes_the_same_bytes_of_every_table(small: Demo):
    assert digests(demo.generate(seed=3, subscribers=300)) == digests(small)


def test_another_seed_makes_other_people(small: Demo):
    others = digests(demo.generate(seed=4, subscribers=300))
    assert {name for name, digest in digests(small).items() if digest == others[name]} == {"plans"}


def test_no_column_says_who_left(small: Demo):
    assert {name: rows.column_names for name, rows in small.tables.items()} == {
        "plans": ["plan_id", "name", "monthly_price", "data_gb"],
        "subscribers": ["subscriber_id", "plan_id", "segment", "region", "birth_date", "signed_up_at"],
        "usage_events": ["usage_id", "subscriber_id", "happened_at", "kind", "amount"],
        "support_interactions": ["interaction_id", "subscriber_id", "happened_at", "channel", "reason", "resolved"],
    }


def test_keys_are_unique_and_links_lead_to_a_row(small: Demo):
    for table, key in demo.KEYS.items():
        column = small.tables[table][key]
        assert column.null_count == 0
        assert len(column.unique()) == len(column) > 0
    for table, column, parent in demo.LINKS:
        assert pc.all(pc.is_in(small.tables[table][column], small.tables[parent][demo.KEYS[parent]])).as_py()


@pytest.mark.parametrize("table", ["usage_events", "support_interactions"])
def test_whatever_happens_happens_after_signing_up_and_within_the_recording(small: Demo, table: str):
    rows, people = small.tables[table], small.tables["subscribers"]
    happened = rows["happened_at"].cast(pa.int64()).to_numpy()
    signed_up = people["signed_up_at"].cast(pa.int64()).to_numpy()[rows["subscriber_id"].to_numpy() - 1]
    assert (happened >= signed_up).all()
    assert (happened >= small.start).all() and (happened < small.end).all()
    assert (np.diff(happened) >= 0).all()


def test_new_subscribers_keep_signing_up(small: Demo):
    signed_up = small.tables["subscribers"]["signed_up_at"].cast(pa.int64()).to_numpy()
    quarters = np.histogram(signed_up, np.arange(small.start, small.end + 1, 3 * MONTH))[0]
    assert len(quarters) == 6
    assert quarters.min() > 10


def test_the_recording_ends_where_it_was_asked_to():
    made = demo.generate(subscribers=20, months=2, end=date(2024, 3, 1))
    assert datetime.fromtimestamp(made.end / 1e6, UTC) == datetime(2024, 3, 1, tzinfo=UTC)
    assert made.end - made.start == 2 * MONTH


def test_the_population_is_those_with_usage_in_the_last_thirty_days(small: Demo):
    cutoff, usage = small.end - 45 * DAY - 12_345, small.tables["usage_events"]
    happened = usage["happened_at"].cast(pa.int64()).to_numpy()
    who = usage["subscriber_id"].to_numpy()
    recent = set(who[(happened > cutoff - MONTH) & (happened <= cutoff)].tolist())
    later = set(who[(happened > cutoff) & (happened <= cutoff + MONTH)].tolist())
    outcome = demo.outcome(small, cutoff).to_pylist()
    assert {row["entity"] for row in outcome} == recent == set(demo.population(small, cutoff).tolist())
    assert {row["entity"] for row in outcome if row["target"]} == recent - later


def test_the_true_probabilities_hold_at_renewal_dates(large: Demo):
    targets, chances = pooled(large, renewals(large, 1))
    assert surprise(targets, chances) < 3.5
    for low, high in pairwise([0, 0.01, 0.03, 0.1, 0.3, 0.6, 1.0]):
        bin_ = (chances > low) & (chances <= high)
        assert bin_.sum() > 100
        assert surprise(targets[bin_], chances[bin_]) < 3.5


@pytest.mark.parametrize("days", [1.6, 7, 13.37, 22.123, 29.9])
def test_the_true_probabilities_hold_at_any_other_instant(large: Demo, days: float):
    targets, chances = pooled(large, [cutoff - int(days * DAY) for cutoff in renewals(large, 1)])
    open_ = chances < 1  # of the others the law knows that they have left
    assert targets[~open_].all()
    assert surprise(targets[open_], chances[open_]) < 3.5


def test_a_second_more_or_less_hardly_changes_a_probability(small: Demo):
    cutoff = small.end - MONTH
    late, early = (demo.true_probability(small, at)["probability"].to_numpy() for at in (cutoff, cutoff - 1_000_000))
    assert np.allclose(late, early, atol=1e-3)


def test_churn_is_as_usual_and_can_be_foreseen_but_not_surely(large: Demo):
    targets, chances = pooled(large, renewals(large))
    assert 0.06 < targets.mean() < 0.10
    assert 0.85 < auroc(targets, chances) < 0.92


def test_a_complaint_that_becomes_a_cancel_request_is_worse_than_either_alone(large: Demo):
    churned: dict[str, list[bool]] = {"neither": [], "complaint": [], "cancel": [], "escalated": [], "reversed": []}
    for cutoff in renewals(large):
        stories = told(large, cutoff)
        for row in demo.outcome(large, cutoff).to_pylist():
            churned[stories.get(row["entity"], "neither")].append(row["target"])
    rate = {story: np.mean(targets) for story, targets in churned.items()}
    assert rate["escalated"] > 2.5 * max(rate["complaint"], rate["cancel"], rate["reversed"])
    assert min(rate["complaint"], rate["cancel"]) > 1.2 * rate["neither"]


def told(made: Demo, cutoff: int) -> dict[int, str]:
    """What each subscriber has said up to the cutoff, since the last follow-up."""
    support = made.tables["support_interactions"]
    past = support.filter(pc.less_equal(support["happened_at"].cast(pa.int64()), cutoff))
    said: dict[int, list[str]] = {}
    for who, reason in zip(past["subscriber_id"].to_pylist(), past["reason"].to_pylist(), strict=True):
        if reason == "follow_up":
            said[who] = []
        elif reason in ("complaint", "cancel_request"):
            said.setdefault(who, []).append(reason)
    return {who: story(reasons) for who, reasons in said.items() if reasons}


def story(reasons: list[str]) -> str:
    if len(set(reasons)) == 1:
        return "complaint" if reasons[0] == "complaint" else "cancel"
    return "escalated" if reasons[0] == "complaint" else "reversed"


def test_churn_is_commoner_where_usage_falls_below_what_is_usual_for_the_subscriber(large: Demo):
    falling, steady = [], []
    who, happened = large.usage
    for cutoff in renewals(large, 6):
        outcome = demo.outcome(large, cutoff)
        entity, target = outcome["entity"].to_numpy() - 1, outcome["target"].to_numpy(zero_copy_only=False)
        recent, before = (
            np.bincount(who[(happened > cutoff - low * MONTH) & (happened <= cutoff - high * MONTH)], minlength=3_000)
            for low, high in ((1, 0), (5, 1))
        )
        enough = before[entity] >= 30
        ratio = 4 * recent[entity] / np.maximum(before[entity], 1)
        falling.append(target[enough & (ratio < 0.5)])
        steady.append(target[enough & (ratio > 0.8)])
    assert np.concatenate(falling).mean() > 3 * np.concatenate(steady).mean()


def test_a_longer_tenure_and_a_cheaper_plan_keep_subscribers(large: Demo):
    people = large.tables["subscribers"]
    prices = large.tables["plans"]["monthly_price"].to_numpy()[people["plan_id"].to_numpy() - 1]
    signed_up = people["signed_up_at"].cast(pa.int64()).to_numpy()
    dear, cheap, fresh, loyal = [], [], [], []
    for cutoff in renewals(large):
        truth = demo.true_probability(large, cutoff)
        row, chance = truth["entity"].to_numpy() - 1, truth["probability"].to_numpy()
        calm = large.latent.states[(cutoff - large.start) // DAY - 1, row] == 0
        dear.append(chance[calm & (prices[row] > 30)])
        cheap.append(chance[calm & (prices[row] < 20)])
        fresh.append(chance[calm & (signed_up[row] > cutoff - 3 * MONTH)])
        loyal.append(chance[calm & (signed_up[row] < cutoff - 12 * MONTH)])
    assert np.concatenate(dear).mean() > np.concatenate(cheap).mean()
    assert np.concatenate(fresh).mean() > np.concatenate(loyal).mean()


def test_a_demo_of_nobody_is_refused():
    with pytest.raises(RequestError, match="DEMO_SIZE: a demo of 0 subscribers over 18 months is empty"):
        demo.generate(subscribers=0)


def test_the_future_beyond_the_recording_is_not_told(small: Demo):
    assert demo.true_probability(small, small.end).num_rows > 0
    with pytest.raises(RequestError, match="DEMO_CUTOFF: the cutoff lies outside what was recorded: after 2025-01-06"):
        demo.true_probability(small, small.end + 1)
    with pytest.raises(RequestError, match=r"up to 2026-05-31T00:00:00"):
        demo.outcome(small, small.end)


def test_written_tables_read_back_the_same_with_keys_and_links(small: Demo, tmp_path: Path):
    path = demo.write(small, tmp_path / "new" / "demo.duckdb")
    assert demo.write(small, path) == path
    assert [file.name for file in path.parent.iterdir()] == ["demo.duckdb"]
    with duckdb.connect(path, read_only=True) as connection:
        for name, rows in small.tables.items():
            read = connection.sql(f"SELECT * FROM {name} ORDER BY ALL").to_arrow_table()
            assert read.cast(rows.schema).equals(rows.combine_chunks())
        declared = connection.sql("SELECT constraint_type, count(*) FROM duckdb_constraints() GROUP BY ALL").fetchall()
    assert dict(declared)["PRIMARY KEY"] == len(demo.KEYS)
    assert dict(declared)["FOREIGN KEY"] == len(demo.LINKS)
