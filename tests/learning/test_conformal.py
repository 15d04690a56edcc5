from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.learning.calibration.conformal import Conformal, conformal, newest

coarse = st.integers(-8, 40).map(lambda n: n / 4)
pairs = st.lists(st.tuples(coarse, coarse), min_size=1, max_size=60)


def covered(fitted, prediction, truth, group=None):
    low, high = fitted.interval(prediction, group)
    return float(np.mean((truth >= low) & (truth <= high)))


def halves(prediction, truth):
    half = len(truth) // 2
    return conformal(prediction[:half], truth[:half], truth), prediction[half:], truth[half:]


def counts(rng, rows):
    prediction = rng.gamma(2, 5, rows)
    return prediction, rng.poisson(prediction).astype(float)


def sparse_counts(rng, rows):
    prediction = rng.gamma(0.5, 0.8, rows)
    return prediction, rng.poisson(prediction).astype(float)


def zero_inflated(rng, rows):
    chance = rng.beta(1, 3, rows)
    return chance * 30, np.where(rng.random(rows) < chance, rng.gamma(2, 20, rows), 0.0)


def symmetric(rng, rows):
    prediction = rng.normal(size=rows)
    return prediction, prediction + rng.normal(size=rows)


def skewed(rng, rows):
    prediction = rng.gamma(2, 5, rows)
    return prediction, prediction * rng.lognormal(0, 0.7, rows)


@pytest.mark.parametrize("world", [counts, sparse_counts, zero_inflated, symmetric, skewed])
def test_intervals_cover_nine_in_ten_of_rows_like_those_they_were_fitted_on(world):
    fitted, prediction, truth = halves(*world(np.random.default_rng(2), 12_000))
    assert covered(fitted, prediction, truth) == pytest.approx(0.9, abs=0.025)


def test_few_calibration_rows_are_enough_on_the_average():
    rng = np.random.default_rng(3)
    found = []
    for _ in range(30):
        prediction, truth = skewed(rng, 1150)
        fitted = conformal(prediction[:150], truth[:150], truth)
        found.append(covered(fitted, prediction[150:], truth[150:]))
    assert np.mean(found) == pytest.approx(0.9, abs=0.03)


def test_the_interval_is_wide_where_errors_are_large():
    fitted, prediction, _ = halves(*counts(np.random.default_rng(4), 8000))
    low, high = fitted.interval(prediction)
    assert (high - low)[prediction > 15].mean() > 2 * (high - low)[prediction < 5].mean()
    assert low.min() >= 0  # counts are never below 0


def test_skewed_errors_have_shorter_intervals_than_equal_tails_would_give():
    fitted, prediction, truth = halves(*zero_inflated(np.random.default_rng(5), 12_000))
    low, high = fitted.interval(prediction)
    equal = np.subtract(*np.quantile(truth, [0.95, 0.05]))
    assert np.mean(high - low) < 0.8 * equal


@given(pairs, st.lists(coarse, min_size=1, max_size=20))
def test_the_interval_holds_the_prediction_and_confidence_lies_between_0_and_1(rows, asked):
    prediction, truth = np.array(rows).T
    fitted = conformal(prediction, truth, truth)
    asked = fitted.within(np.array(asked))
    low, high = fitted.interval(asked)
    assert np.all((low <= asked) & (asked <= high))
    confidence = fitted.confidence(low, high)
    assert np.all((confidence >= 0) & (confidence <= 1))


@given(pairs, st.randoms())
def test_the_order_of_calibration_rows_does_not_matter(rows, lot):
    mixed = lot.sample(rows, len(rows))
    (p, t), (q, u) = np.array(rows).T, np.array(mixed).T
    assert conformal(p, t, t) == conformal(q, u, t)
    early = [np.round(4 * column).astype(np.int64) % 2 for column in (p + t, q + u)]  # windows follow from the rows
    assert conformal(p, t, t, None, early[0]) == conformal(q, u, t, None, early[1])


@given(st.lists(st.tuples(coarse, st.integers(0, 6)), min_size=1, max_size=80))
def test_the_ends_around_a_count_are_counts_or_the_prediction(rows):
    prediction, truth = np.array(rows, float).T
    fitted = conformal(prediction, truth, truth)
    asked = fitted.within(np.linspace(-1, 12, 40))
    for end in fitted.interval(asked):
        assert np.all((end == np.round(end)) | (end == asked))


def test_where_nearly_all_are_zero_the_interval_is_zero():
    rng = np.random.default_rng(6)
    prediction, truth = rng.random(4000) * 0.1, (rng.random(4000) < 0.03).astype(float) * 5
    low, high = conformal(prediction, truth, truth).interval(prediction)
    assert np.all(low == 0)
    assert np.all(high == prediction)


def test_each_step_of_a_forecast_has_its_own_interval():
    rng = np.random.default_rng(4)
    step = np.repeat([0, 1], 1000)
    truth = rng.normal(scale=np.where(step == 0, 1.0, 10.0))
    fitted = conformal(np.zeros(2000), truth, truth, step)
    low, high = fitted.interval(np.zeros(3), np.array([0, 1, 7]))
    widths = high - low
    assert widths[1] > 5 * widths[0]
    assert widths[2] == widths[1]  # a step beyond those seen takes the last one's


def test_the_newest_window_counts_if_it_has_enough_rows():
    cutoff = np.repeat([10, 20, 30], [500, 2000, 900])
    assert newest(cutoff).tolist() == list(range(500, 3400))
    assert newest(np.repeat([10, 20], [5000, 1000])).tolist() == list(range(5000, 6000))
    assert len(newest(np.repeat([10, 20], [50, 60]))) == 110
    steps = np.tile([0, 1], 1700)
    assert newest(cutoff, steps).tolist() == list(range(500, 3400))


def test_windows_that_differ_widen_the_interval():
    rng = np.random.default_rng(8)
    cutoff = np.repeat([10, 20, 30], 1500)
    prediction = rng.normal(size=4500)
    alike = prediction + rng.normal(size=4500)
    shaken = alike + np.repeat([-1.0, 1.0, 0.0], 1500)
    calm, wary = (conformal(prediction, truth, truth, None, cutoff) for truth in (alike, shaken))
    newest_alone = conformal(prediction[3000:], shaken[3000:], shaken)
    asked = np.linspace(-2, 2, 50)
    widths = [np.mean(np.subtract(*fitted.interval(asked)[::-1])) for fitted in (calm, wary, newest_alone)]
    assert widths[1] > 1.15 * widths[0]
    assert widths[1] > 1.15 * widths[2]
    assert widths[0] == pytest.approx(widths[2], rel=0.1)


def test_intervals_go_to_json_and_back():
    scores, truth = np.linspace(0, 1, 50), (np.arange(50) % 3 == 0).astype(float)
    around = conformal(scores, truth, truth)
    assert Conformal.from_dict(json.loads(json.dumps(around.to_dict()))) == around
