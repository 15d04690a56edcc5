"""The weighted vote and its agreement: planted accuracies come back, and the formulas are those of the literature."""

from __future__ import annotations

import json
import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.errors import RequestError
from penstock.learning.labelling import accuracies, agreement, vote, votes_of
from penstock.learning.labelling.vote import USUAL

PLANTED = {"ann": 0.95, "bob": 0.85, "cy": 0.75, "di": 0.65, "ed": 0.55}


def simulated(seed: int, classes: int = 2, items: int = 1500, gold: int = 0) -> tuple[pa.Table, dict[str, object]]:
    """Labels by labellers who are right as often as planted, and the truth."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, items)
    rows = []
    for who, right in PLANTED.items():
        wrong = (truth + rng.integers(1, classes, items)) % classes
        said = np.where(rng.random(items) < right, truth, wrong)
        rows += [(n, int(said[n]), who, "people") for n in np.flatnonzero(rng.random(items) < 0.7)]
    rows += [(n, int(truth[n]), "judge", "gold") for n in range(gold)]
    value = (lambda v: v == 1) if classes == 2 else (lambda v: f"class {v}")
    table = pa.table({
        "entity": [str(n) for n, *_ in rows], "value": [value(v) for _, v, *_ in rows],
        "labeller": [w for *_, w, _ in rows], "source": [s for *_, s in rows],
    })  # fmt: skip
    return table, {str(n): value(v) for n, v in enumerate(truth.tolist())}


def right(verdict, truth) -> float:
    pairs = zip(verdict.items, verdict.values, strict=True)
    return float(np.mean([value == truth[item[0]] for item, value in pairs]))


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_planted_accuracies_are_found_without_the_truth(seed: int, classes: int):
    labels, _ = simulated(seed, classes)
    found = accuracies(votes_of(labels))
    assert {who: rate for who, rate in found.items() if abs(rate - PLANTED[who]) > 0.06} == {}


@pytest.mark.parametrize("classes", [2, 4])
@pytest.mark.parametrize("seed", range(4))
def test_the_weighted_vote_is_right_more_often_than_the_majority(seed: int, classes: int):
    labels, truth = simulated(seed, classes)
    votes = votes_of(labels)
    weighted, majority = vote(votes, accuracies(votes)), vote(votes)
    assert right(weighted, truth) > right(majority, truth) > 1 / classes


@pytest.mark.parametrize("seed", range(6))
def test_the_vote_of_those_who_guess_is_no_worse_than_guessing(seed: int):
    rng = np.random.default_rng(seed)
    truth = rng.random(400) < 0.5
    rows = [(str(n), bool(rng.random() < 0.5), f"guess {who}") for who in range(4) for n in range(400)]
    table = pa.table({"entity": [r[0] for r in rows], "value": [r[1] for r in rows], "labeller": [r[2] for r in rows]})
    votes = votes_of(table)
    verdict = vote(votes, accuracies(votes))
    decided = [(item, v) for item, v in zip(verdict.items, verdict.values, strict=True) if v is not None]
    assert np.mean([v == truth[int(item[0])] for item, v in decided]) > 0.42


def test_gold_labels_make_the_estimates_better_and_decide_their_items():
    far = dict.fromkeys((0, 1500), 0.0)
    for gold in far:
        labels, truth = simulated(1, gold=gold, items=1500)
        found = accuracies(votes_of(labels))
        far[gold] = sum(abs(found[who] - rate) for who, rate in PLANTED.items())
    assert far[1500] < far[0]
    assert right(vote(votes_of(labels), found), truth) == 1.0


def test_a_labeller_of_one_value_is_weighted_by_how_right_it_is():
    """A rule that can only say yes says it of the right ones or not; a matrix of confusions would learn nothing."""
    rng = np.random.default_rng(0)
    truth = rng.random(1000) < 0.5
    rows = [(str(n), bool(t if rng.random() < 0.9 else not t), who) for who in "abc" for n, t in enumerate(truth)]
    rows += [(str(n), True, "good rule") for n, t in enumerate(truth) if rng.random() < (0.5 if t else 0.05)]
    rows += [(str(n), True, "bad rule") for n, t in enumerate(truth) if rng.random() < 0.3]
    table = pa.table({"entity": [r[0] for r in rows], "value": [r[1] for r in rows], "labeller": [r[2] for r in rows]})
    found = accuracies(votes_of(table))
    assert found["good rule"] > 0.85
    assert 0.4 < found["bad rule"] < 0.6


@settings(deadline=None, max_examples=40)
@given(st.data())
def test_votes_do_not_depend_on_the_order_of_rows(data):
    labels, _ = simulated(data.draw(st.integers(0, 5)), classes=data.draw(st.sampled_from([2, 3])), items=30, gold=5)
    mixed = labels.take(pa.array(data.draw(st.permutations(range(labels.num_rows)))))
    one, other = votes_of(labels), votes_of(mixed)
    assert accuracies(one) == accuracies(other)
    assert vote(one, accuracies(one)) == vote(other, accuracies(other))
    assert agreement(one).to_dict() == agreement(other).to_dict()


def of(*rows: tuple[object, ...], **columns) -> pa.Table:
    names = ("entity", "value", "labeller", "confidence", "source")
    return pa.table({name: [row[at] for row in rows] for at, name in enumerate(names) if at < len(rows[0])} | columns)


def test_a_tie_is_undecided_and_weights_break_it():
    votes = votes_of(of(("1", True, "a"), ("1", False, "b")))
    assert vote(votes).values == (None,)
    assert vote(votes, {"a": 0.8, "b": 0.7}).values == (True,)
    assert vote(votes, {"a": 0.8, "b": 0.7}, least=0.9).values == (None,)


def test_confidence_weighs_a_vote():
    votes = votes_of(of(("1", "x", "a", 0.9), ("1", "y", "b", 0.4), ("2", "x", "a", 0.0), ("3", "y", "a", None)))
    verdict = vote(votes)
    assert verdict.values == ("x", None, "y")
    assert verdict.surety[0] > 0.5


def test_of_numbers_the_weighted_middle_is_taken():
    votes = votes_of(of(("1", 1.0, "a"), ("1", 2.0, "b"), ("1", 100.0, "c"), ("2", 4.0, "a"), ("2", 6.0, "b")))
    assert vote(votes).values == (2.0, 5.0)
    assert accuracies(votes) == dict.fromkeys("abc", USUAL)
    assert vote(votes_of(of(("1", 4.0, "a", 0.0)))).values == (None,)


def test_gold_decides_and_gold_that_differs_does_not():
    rows = [("1", True, "a", 1.0, ""), ("1", False, "j", 1.0, "gold"), ("2", True, "a", 1.0, "")]
    rows += [("2", False, "j", 1.0, "gold"), ("2", True, "k", 1.0, "gold")]
    assert vote(votes_of(of(*rows))).values == (False, True)


def test_no_votes_no_verdict():
    empty = votes_of(pa.table({"entity": pa.array([], pa.string()), "value": pa.array([], pa.bool_())}))
    assert (accuracies(empty), vote(empty).values, agreement(empty).items) == ({}, (), 0)
    with pytest.raises(RequestError, match="LABELS_COLUMN: the labels have no column 'value'"):
        votes_of(pa.table({"entity": ["1"]}))


# ---------------------------------------------------------------- agreement


def pairs_of(labels: dict[str, dict[int, object]]) -> pa.Table:
    return of(*[(str(item), value, who) for who, said in labels.items() for item, value in said.items()])


KRIPPENDORFF = {  # the example of "Computing Krippendorff's alpha-reliability" (2011): four observers, twelve units
    "a": {1: 1, 2: 2, 3: 3, 4: 3, 5: 2, 6: 1, 7: 4, 8: 1, 9: 2},
    "b": {1: 1, 2: 2, 3: 3, 4: 3, 5: 2, 6: 2, 7: 4, 8: 1, 9: 2, 10: 5, 12: 3},
    "c": {2: 3, 3: 3, 4: 3, 5: 2, 6: 3, 7: 4, 8: 2, 9: 2, 10: 5, 11: 1},
    "d": {1: 1, 2: 2, 3: 3, 4: 3, 5: 2, 6: 4, 7: 4, 8: 1, 9: 2, 10: 5, 11: 1},
}


def test_krippendorffs_alpha_is_the_one_of_his_own_example():
    nominal = {who: {item: str(value) for item, value in said.items()} for who, said in KRIPPENDORFF.items()}
    numbers = {who: {item: float(value) for item, value in said.items()} for who, said in KRIPPENDORFF.items()}
    assert agreement(votes_of(pairs_of(nominal))).alpha == pytest.approx(0.743, abs=5e-4)
    assert agreement(votes_of(pairs_of(numbers))).alpha == pytest.approx(0.849, abs=5e-4)


def test_fleiss_kappa_is_the_one_of_his_own_table():
    """Ten subjects, fourteen raters, five categories: kappa 0.210."""
    counts = [[0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
              [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7]]  # fmt: skip
    rows = []
    for item, row in enumerate(counts):
        said = [category for category, count in enumerate(row) for _ in range(count)]
        rows += [(str(item), f"c{category}", f"rater {rater:02}") for rater, category in enumerate(said)]
    assert agreement(votes_of(of(*rows))).fleiss == pytest.approx(0.210, abs=5e-4)


def test_cohens_kappa_is_that_of_scikit_learn():
    from sklearn.metrics import cohen_kappa_score

    labels, _ = simulated(3, classes=3, items=200)
    votes = votes_of(labels)
    table = votes.table()
    for pair in agreement(votes).pairs:
        one, other = votes.labellers.index(pair.one), votes.labellers.index(pair.other)
        both = (table[:, one] >= 0) & (table[:, other] >= 0)
        assert pair.items == both.sum()
        assert pair.kappa == pytest.approx(cohen_kappa_score(table[both, one], table[both, other]))


def test_a_report_tells_coverage_conflicts_and_what_gold_says():
    labels = of(
        ("1", True, "a", 1.0, ""), ("2", True, "a", 1.0, ""), ("3", False, "a", 1.0, ""), ("1", False, "b", 1.0, ""),
        ("2", True, "b", 1.0, ""), ("4", True, "b", 1.0, ""), ("1", True, "j", 1.0, "gold"),
        ("2", True, "j", 1.0, "gold"),
    )  # fmt: skip
    told = agreement(votes_of(labels))
    a, b = told.labellers
    assert (a.votes, a.coverage, a.overlaps, a.conflicts, a.gold, a.on_gold) == (3, 0.75, 2 / 3, 1 / 3, 1.0, 2)
    assert (b.gold, told.items, told.conflicts, told.pairs[0].agreement) == (0.5, 4, 1, 0.5)
    assert told.weighted == 1.0
    text = str(told)
    assert text.splitlines()[0].split() == [
        "labeller",
        "votes",
        "coverage",
        "overlaps",
        "conflicts",
        "estimated",
        "on",
        "gold",
    ]
    assert "4 items, 1 in conflict" in text
    assert "right on gold: majority 1.000" in text
    assert json.loads(json.dumps(told.to_dict()))["labellers"][0]["labeller"] == "a"


def test_what_is_undefined_is_said_to_be():
    told = agreement(votes_of(of(("1", True, "a"), ("2", True, "a"))))
    assert all(math.isnan(value) for value in (told.alpha, told.fleiss, told.majority, told.weighted))
    assert told.to_dict()["alpha"] is None
    assert "–" in str(told)
    same = agreement(votes_of(of(("1", True, "a"), ("1", True, "b"))))
    assert math.isnan(same.alpha)
    assert math.isnan(same.pairs[0].kappa)
