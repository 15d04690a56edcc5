from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from penstock.learning.judging import metrics

coarse = st.integers(0, 10).map(lambda n: n / 10)  # many ties
rows = st.lists(st.tuples(st.booleans(), coarse), min_size=2, max_size=60)


def columns(pairs):
    return np.array([float(t) for t, _ in pairs]), np.array([s for _, s in pairs])


@given(rows)
def test_auroc_counts_ties_as_halves_as_scikit_learn_does(pairs):
    truth, score = columns(pairs)
    if len(set(truth)) == 2:
        assert metrics.auroc(truth, score) == pytest.approx(reference.roc_auc_score(truth, score))
    else:
        assert np.isnan(metrics.auroc(truth, score))


@given(rows)
def test_average_precision_takes_tied_scores_together(pairs):
    truth, score = columns(pairs)
    if truth.any():
        expected = reference.average_precision_score(truth, score)
        assert metrics.average_precision(truth, score) == pytest.approx(expected)
    else:
        assert np.isnan(metrics.average_precision(truth, score))


@given(rows)
def test_log_loss_and_brier_are_the_textbook_ones(pairs):
    truth, score = columns(pairs)
    inside = np.clip(score, 0.01, 0.99)
    assert metrics.log_loss(truth, inside) == pytest.approx(reference.log_loss(truth, inside, labels=[0, 1]))
    assert metrics.brier(truth, score) == pytest.approx(np.mean((truth - score) ** 2))


@given(st.lists(st.tuples(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3)), min_size=2, max_size=50))
def test_errors_of_numbers_agree_with_scikit_learn(pairs):
    truth, said = np.array(pairs).T
    assert metrics.mae(truth, said) == pytest.approx(reference.mean_absolute_error(truth, said))
    assert metrics.rmse(truth, said) == pytest.approx(reference.root_mean_squared_error(truth, said))
    if np.ptp(truth) > 1e-3:
        assert metrics.r2(truth, said) == pytest.approx(reference.r2_score(truth, said))


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=50))
def test_accuracy_and_macro_f1_agree_with_scikit_learn(pairs):
    truth, said = np.array(pairs).T
    assert metrics.accuracy(truth, said) == pytest.approx(reference.accuracy_score(truth, said))
    assert metrics.macro_f1(truth, said) == pytest.approx(reference.f1_score(truth, said, average="macro"))


def test_multiclass_log_loss_agrees_with_scikit_learn():
    rng = np.random.default_rng(0)
    p, truth = rng.dirichlet([1, 1, 1], 50), rng.integers(0, 3, 50)
    assert metrics.multiclass_log_loss(truth, p) == pytest.approx(reference.log_loss(truth, p, labels=[0, 1, 2]))
    assert metrics.multiclass_log_loss(np.array([-1]), p[:1]) > 30  # a class that nobody could predict


def test_multilabel_measures_agree_with_scikit_learn():
    rng = np.random.default_rng(1)
    truth, p = (rng.random((80, 4)) < 0.4).astype(float), rng.random((80, 4)).round(1)
    found = metrics.multilabel(truth, p)
    assert found["auroc_micro"] == pytest.approx(reference.roc_auc_score(truth, p, average="micro"))
    assert found["auroc_macro"] == pytest.approx(reference.roc_auc_score(truth, p, average="macro"))
    assert found["ap_micro"] == pytest.approx(reference.average_precision_score(truth, p, average="micro"))
    assert found["ap_macro"] == pytest.approx(reference.average_precision_score(truth, p, average="macro"))
    assert found["f1_micro"] == pytest.approx(reference.f1_score(truth, p >= 0.5, average="micro"))


def test_ndcg_agrees_with_scikit_learn_when_all_items_are_ranked():
    rng = np.random.default_rng(2)
    hits = rng.random((30, 8)) < 0.3
    hits[:, 0] |= ~hits.any(axis=1)
    scores = np.tile(-np.arange(8.0), (30, 1))
    expected = reference.ndcg_score(hits.astype(float), scores)
    assert metrics.ndcg_at(hits, hits.sum(axis=1)) == pytest.approx(expected)


def test_ranking_measures_leave_out_rows_to_which_nothing_came():
    hits, relevant = np.array([[True, False], [False, False]]), np.array([3, 0])
    assert metrics.recall_at(hits, relevant) == pytest.approx(1 / 3)
    assert metrics.map_at(hits, relevant) == pytest.approx(1 / 2)
    assert np.isnan(metrics.map_at(hits[1:], relevant[1:]))


def test_a_calibrated_forecast_has_little_calibration_error_and_a_boastful_one_much():
    rng = np.random.default_rng(3)
    p = rng.random(20_000)
    truth = (rng.random(20_000) < p).astype(float)
    assert metrics.calibration_error(truth, p) < 0.01
    assert metrics.calibration_error(truth, np.where(p > 0.5, 1.0, 0.0)) == pytest.approx(0.25, abs=0.02)
