"""The next ones to label: the unsure, the contested, no two alike, none labelled already."""

from __future__ import annotations

import pyarrow as pa
import pytest

from penstock.errors import RequestError
from penstock.learning.labelling import queue, votes_of

WHEN = pa.array([0, 0, 0, 0], pa.timestamp("us"))
PREDICTED = pa.table({"entity": [1, 2, 3, 4], "cutoff": WHEN, "probability": [0.99, 0.52, 0.2, 0.45]})


def test_the_unsure_come_first_and_the_labelled_do_not():
    asked = queue(2, PREDICTED)
    assert asked.select(["entity", "reason"]).to_pylist() == [
        {"entity": "2", "reason": "the model is unsure: probability 0.52"},
        {"entity": "4", "reason": "the model is unsure: probability 0.45"},
    ]
    assert queue(9, PREDICTED, labelled=[2, "4"])["entity"].to_pylist() == ["3", "1"]
    scores = queue(9, PREDICTED)["score"].to_pylist()
    assert scores == sorted(scores, reverse=True)
    assert all(0 <= score <= 1 for score in scores)


def test_classes_and_numbers_can_be_unsure_too():
    chances = [0.4, 0.35, 0.25, 0.9, 0.06, 0.04]
    classes = pa.table({"entity": [1] * 3 + [2] * 3, "class": ["a", "b", "c"] * 2, "probability": chances})
    asked = queue(5, classes).to_pylist()
    assert [(row["entity"], row["cutoff"]) for row in asked] == [("1", None), ("2", None)]
    assert asked[0]["reason"] == "the model is unsure: a (0.40) or b (0.35)"
    numbers = pa.table({"entity": [1, 2], "prediction": [5.0, 5.0], "low": [4.0, 0.0], "high": [6.0, 10.0]})
    assert queue(1, numbers).to_pylist() == [
        {"entity": "2", "cutoff": None, "reason": "the model is unsure: between 0 and 10", "score": 1.0}
    ]


def test_a_forecast_is_as_unsure_as_its_widest_step():
    steps = pa.table(
        {"entity": [1, 1, 2, 2], "step": [1, 2] * 2, "low": [0.0, 0.0, 1.0, 0.0], "high": [1.0, 4.0, 2.0, 2.0]}
    )
    assert queue(2, steps).select(["entity", "reason", "score"]).to_pylist() == [
        {"entity": "1", "reason": "the model is unsure: between 0 and 4", "score": 1.0},
        {"entity": "2", "reason": "the model is unsure: between 0 and 2", "score": 0.5},
    ]


def test_the_contested_are_told_by_who_says_what():
    votes = votes_of(pa.table({
        "entity": ["1", "1", "1", "2", "2", "3", "4", "4", "4"],
        "value": [True, True, False, True, False, True, True, False, True],
        "labeller": ["a", "b", "c", "a", "b", "a", "a", "b", "judge"], "source": [""] * 8 + ["gold"],
    }))  # fmt: skip
    assert queue(9, votes=votes).select(["entity", "reason"]).to_pylist() == [
        {"entity": "2", "reason": "labellers disagree: 1 say false, 1 say true"},
        {"entity": "1", "reason": "labellers disagree: 2 say true, 1 say false"},
    ]


def test_one_that_is_both_has_both_reasons():
    votes = votes_of(pa.table({"entity": ["3", "3"], "value": [True, False], "labeller": ["a", "b"]}))
    asked = queue(1, PREDICTED.drop_columns(["cutoff"]), votes)
    assert asked["reason"].to_pylist() == [
        "the model is unsure: probability 0.20; labellers disagree: 1 say false, 1 say true"
    ]
    assert asked["score"].to_pylist() == [1.0]


def test_no_two_alike_while_there_are_others():
    features = pa.table({"entity": [1, 2, 3, 4], "city": ["Oslo", "Oslo", "Rome", "Oslo"], "orders": [1, 9, 9, 9]})
    assert queue(3, PREDICTED, features=features)["entity"].to_pylist() == ["2", "3", "1"]
    assert queue(4, PREDICTED, features=features)["entity"].to_pylist() == ["2", "3", "1", "4"]


def test_equal_scores_are_drawn_by_the_seed_and_by_nothing_else():
    same = pa.table({"entity": list(range(50)), "probability": [0.5] * 50})
    turned = same.take(pa.array(range(49, -1, -1)))
    assert queue(9, same, seed=3) == queue(9, turned, seed=3)
    assert queue(9, same, seed=3) != queue(9, same, seed=4)


def test_there_must_be_something_to_choose_from():
    with pytest.raises(RequestError, match="LABELS_QUEUE: 0 is no number of things to label"):
        queue(0, PREDICTED)
    with pytest.raises(RequestError, match="there is nothing to choose from"):
        queue(1)
    with pytest.raises(RequestError, match="these are no predictions of a class or number\n  exists: entity, cutoff"):
        queue(1, PREDICTED.drop_columns(["probability"]))
    with pytest.raises(RequestError, match="the features have no column 'entity'"):
        queue(1, PREDICTED, features=pa.table({"user": [1]}))
    assert queue(3, PREDICTED, labelled=[1, 2, 3, 4]).num_rows == 0
