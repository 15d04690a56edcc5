from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.learning.judging.outcomes import Outcomes
from penstock.learning.judging.reliability import Bin, reliability

rows = st.lists(st.tuples(st.integers(0, 12).map(lambda n: n / 12), st.booleans()), min_size=1, max_size=80)


@given(rows)
def test_bins_part_the_rows_and_keep_ties_together(pairs):
    said, came = (np.array(column, float) for column in zip(*pairs, strict=True))
    bins = reliability(said, came)
    assert 1 <= len(bins) <= 10
    assert sum(part.rows for part in bins) == len(said)
    assert sum(part.said * part.rows for part in bins) == pytest.approx(said.sum())
    assert sum(part.came * part.rows for part in bins) == pytest.approx(came.sum())
    for before, after in itertools.pairwise(bins):
        assert before.high < after.low
    for part in bins:
        inside = (said >= part.low) & (said <= part.high)
        assert part.rows == inside.sum()
        assert part.said == pytest.approx(said[inside].mean())
        assert part.came == pytest.approx(came[inside].mean())


@given(rows, st.randoms())
def test_the_order_of_the_rows_does_not_matter(pairs, lot):
    columns = (np.array(column, float) for column in zip(*pairs, strict=True))
    mixed = (np.array(column, float) for column in zip(*lot.sample(pairs, len(pairs)), strict=True))
    assert reliability(*columns) == reliability(*mixed)


def test_bins_of_different_predictions_are_equally_filled():
    said = np.random.default_rng(0).random(1003)
    assert {part.rows for part in reliability(said, said > 0.5)} <= {100, 101}


def test_a_bin_goes_to_json_and_back():
    part = Bin(0.1, 0.2, 3, 0.15, 1 / 3)
    assert Bin.from_dict(part.to_dict()) == part


def test_no_rows_have_no_bins():
    assert reliability(np.zeros(0), np.zeros(0)) == ()


def test_a_change_in_how_often_it_comes_is_remarked():
    truth = np.repeat([1.0, 0.0], [300, 700])
    assert Outcomes("binary", truth, np.full(1000, 0.32)).remarks() == ()
    (said,) = Outcomes("binary", truth, np.full(1000, 0.5)).remarks()
    assert said.startswith("It came for 30.0% of the test rows, and 50.0% was said on the average: ")


def test_intervals_that_cannot_cover_less_are_remarked():
    truth, inside = np.repeat([0.0, 4.0], [960, 40]), np.repeat([True, False], [960, 40])
    (said,) = Outcomes("regression", truth, truth, inside).remarks()
    assert said == "96.0% of the test rows are 0, so that the shortest interval covers more than 90 %."
    assert Outcomes("regression", np.arange(1000.0), truth, inside).remarks() == ()
    assert Outcomes("regression", truth, truth).remarks() == ()


def test_classes_that_cannot_be_predicted_and_rows_to_which_nothing_came_are_remarked():
    truth = np.repeat([0, 1, -1], [50, 40, 10])
    (said,) = Outcomes("multiclass", truth, np.full((100, 2), 0.5)).remarks()
    assert said == "10.0% of the test rows have a class that was too rare in training to be predicted: all missed."
    assert Outcomes("multiclass", np.zeros(9, int), np.full((9, 2), 0.5)).remarks() == ()
    assert Outcomes("multilabel", np.zeros((9, 2)), np.full((9, 2), 0.5)).remarks() == ()
    told = Outcomes("ranking", np.repeat([0, 2], [1, 3]), np.zeros((4, 3), bool)).remarks()
    assert told[1] == "For 25.0% of the test rows nothing came; the metrics are over the others."
