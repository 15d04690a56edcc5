from __future__ import annotations

import json

import numpy as np
import pytest

from penstock.learning.fitting.booster import Examples
from penstock.learning.fitting.linear import Design, Linear, fit_linear
from penstock.learning.fitting.scale import Scale
from tests.learning.worlds import chance


def examples(kind="logistic", rows=800, seed=0):
    """Numbers, one with a long tail, one often NULL, and a category."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, 5)).astype(np.float32)
    values[:, 1] = np.exp(2 * values[:, 1])
    values[rng.random(rows) < 0.2, 2] = np.nan
    values[:, 3] = rng.integers(0, 4, rows)
    values[:, 4] = 7
    signal = values[:, 0] + np.log(values[:, 1]) / 2 + np.isnan(values[:, 2]) + 2.0 * (values[:, 3] == 2) - 1
    if kind == "logistic":
        target = (rng.random(rows) < chance(signal)).astype(float)
    elif kind == "softmax":
        target = np.digitize(signal + rng.normal(size=rows), [-1, 1]).astype(float)
    else:
        target = signal + rng.normal(size=rows)
    return Examples(values, target, categorical=(3,))


def test_logistic_regression_finds_the_weights_that_scikit_learn_finds():
    linear_model = pytest.importorskip("sklearn.linear_model")
    design = Design.of(examples())
    found = fit_linear(design, "logistic", penalty=5.0)
    theirs = linear_model.LogisticRegression(C=1 / 5.0, tol=1e-10, max_iter=2000)
    theirs.fit(design.columns[:, :-1], design.target)
    np.testing.assert_allclose(found.weights[0], theirs.coef_[0], atol=2e-4)
    np.testing.assert_allclose(found.offsets, theirs.intercept_, atol=2e-4)


def test_ridge_regression_finds_the_weights_that_scikit_learn_finds():
    linear_model = pytest.importorskip("sklearn.linear_model")
    design = Design.of(examples("number"))
    found = fit_linear(design, "none", penalty=5.0)
    theirs = linear_model.Ridge(alpha=5.0).fit(design.columns[:, :-1], design.target)
    np.testing.assert_allclose(found.weights[0], theirs.coef_, atol=1e-6)
    np.testing.assert_allclose(found.offsets, [theirs.intercept_], atol=1e-6)


def test_classes_get_the_probabilities_that_scikit_learn_gives():
    linear_model = pytest.importorskip("sklearn.linear_model")
    given = examples("softmax")
    design = Design.of(given)
    found = fit_linear(design, "softmax", penalty=5.0, classes=3)
    theirs = linear_model.LogisticRegression(C=1 / 5.0, tol=1e-10, max_iter=2000)
    theirs.fit(design.columns[:, :-1], design.target)
    np.testing.assert_allclose(found.predict(given.values), theirs.predict_proba(design.columns[:, :-1]), atol=2e-3)


@pytest.mark.parametrize(("link", "classes"), [("logistic", 1), ("none", 1), ("softmax", 3)])
def test_parts_sum_to_the_score_and_json_keeps_all(link, classes):
    given = examples({"none": "number"}.get(link, link))
    scale = Scale(0.5, ((0, 1.0),)) if link == "none" else Scale()
    found = fit_linear(Design.of(given), link, penalty=5.0, classes=classes, scale=scale)
    back = Linear.from_dict(json.loads(json.dumps(found.to_dict())))
    assert back == found
    later = examples(seed=1).values
    np.testing.assert_array_equal(back.predict(later), found.predict(later))
    score = found.contributions(later).sum(axis=-1)
    if link != "softmax":
        np.testing.assert_allclose(found.answer(score), found.predict(later), atol=1e-9)
    else:
        powers = np.exp(score)
        np.testing.assert_allclose(powers / powers.sum(axis=1, keepdims=True), found.predict(later), atol=1e-9)
    gains = found.importance(5)
    assert gains.shape == (5,)
    assert gains[4] == 0
    assert gains[0] > 0


def test_one_row_scores_as_it_does_among_many_and_nobody_gets_no_answer():
    found = fit_linear(Design.of(examples()), "logistic", penalty=5.0)
    later = examples(seed=1).values
    np.testing.assert_allclose(found.predict(later[7:8]), found.predict(later)[7:8], rtol=1e-12)
    assert found.predict(later[:0]).shape == (0,)


def test_a_rare_answer_and_columns_that_say_the_same_do_no_harm():
    given = examples(rows=3000)
    doubled = np.column_stack([given.values, given.values[:, :2]])
    rare = np.where(np.arange(3000) % 300 == 0, 1.0, 0.0)
    found = fit_linear(Design.of(Examples(doubled, rare, (3,))), "logistic", penalty=1e-3)
    assert found.predict(doubled).mean() == pytest.approx(rare.mean(), rel=0.01)


def test_values_beyond_all_that_was_seen_are_cut_off():
    found = fit_linear(Design.of(examples("number")), "none", penalty=1.0)
    far = np.tile(examples().values[:1], (2, 1))
    far[:, 0] = [1e3, 1e30]
    assert found.predict(far)[0] == found.predict(far)[1]
