from __future__ import annotations

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import isotonic_regression

from penstock.learning.calibration import calibrate

coarse = st.integers(0, 20).map(lambda n: n / 20)


def by_definition(scores, truth, score):
    """Isotonic regression with the new row labelled 0, and again labelled 1."""
    found = []
    for label in (0.0, 1.0):
        _, place = np.unique(np.append(scores, score), return_inverse=True)
        weight = np.bincount(place).astype(float)
        mean = np.bincount(place, np.append(truth, label)) / weight
        found.append(isotonic_regression(mean, sample_weight=weight)[place[-1]])
    return found


@given(st.lists(st.tuples(coarse, st.booleans()), min_size=1, max_size=40), st.lists(coarse, min_size=1, max_size=5))
def test_venn_abers_is_isotonic_regression_with_the_new_row_labelled_both_ways(known, asked):
    scores, truth = np.array([s for s, _ in known]), np.array([float(t) for _, t in known])
    low, high = calibrate.venn_abers(scores, truth).interval(np.array(asked))
    expected = np.array([by_definition(scores, truth, score) for score in asked])
    np.testing.assert_allclose(np.column_stack([low, high]), expected, atol=1e-9)


def test_venn_abers_agrees_with_the_published_package():
    package = pytest.importorskip("venn_abers", reason="the package venn-abers is not installed")
    rng = np.random.default_rng(0)
    scores, asked = rng.random(300), rng.random(100)
    truth = (rng.random(300) < scores).astype(float)
    theirs = package.VennAbers()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # theirs
        theirs.fit(np.column_stack([1 - scores, scores]), truth)
        _, bounds = theirs.predict_proba(np.column_stack([1 - asked, asked]))
    low, high = calibrate.venn_abers(scores, truth).interval(asked)
    np.testing.assert_allclose(np.column_stack([low, high]), bounds, atol=1e-9)


@given(st.lists(st.tuples(coarse, st.booleans()), min_size=1, max_size=40))
def test_the_probability_lies_in_its_interval_and_keeps_the_order_of_scores(known):
    scores, truth = np.array([s for s, _ in known]), np.array([float(t) for _, t in known])
    asked = np.linspace(0.001, 0.999, 200)
    single, low, high = calibrate.venn_abers(scores, truth).probability(asked)
    assert np.all((low >= 0) & (low <= single) & (single <= high) & (high <= 1))
    assert np.all(np.diff(single) > 0)


def test_venn_abers_mends_a_model_that_boasts():
    rng = np.random.default_rng(1)
    honest = rng.random(8000)
    truth = (rng.random(8000) < honest).astype(float)
    boastful = calibrate.sigmoid(3 * calibrate.log_odds(honest))
    single, low, high = calibrate.venn_abers(boastful[:4000], truth[:4000]).probability(boastful[4000:])
    assert np.abs(single - honest[4000:]).mean() < 0.02
    bins = np.array_split(np.argsort(single), 10)
    shares = np.array([truth[4000:][part].mean() for part in bins])
    bounds = np.array([(low[part].mean() - 0.05, high[part].mean() + 0.05) for part in bins])
    assert np.all((bounds[:, 0] <= shares) & (shares <= bounds[:, 1]))


def test_one_class_among_the_calibration_rows_still_gives_an_interval():
    found = calibrate.venn_abers(np.array([0.2, 0.3, 0.4]), np.zeros(3))
    single, low, high = found.probability(np.array([0.25, 0.9]))
    assert np.all((low <= single) & (single <= high) & (low >= 0) & (single < 0.5))


def test_temperature_cools_a_model_that_boasts():
    rng = np.random.default_rng(5)
    honest = rng.dirichlet([1, 1, 1], 5000)
    truth = np.array([rng.choice(3, p=p) for p in honest])
    boastful = calibrate.tempered(honest, 2.0)
    assert calibrate.temperature(boastful, truth) == pytest.approx(0.5, abs=0.05)


def test_calibration_goes_to_json_and_back():
    scores, truth = np.linspace(0, 1, 50), (np.arange(50) % 3 == 0).astype(float)
    fitted = calibrate.venn_abers(scores, truth)
    assert calibrate.VennAbers.from_dict(fitted.to_dict()) == fitted
