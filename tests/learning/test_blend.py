from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.learning.calibration.calibrate import log_odds
from penstock.learning.encoding.steady import Habit, Steady
from penstock.learning.fitting.blend import Blend, mean_loss, mixed, weigh
from penstock.learning.fitting.booster import Examples, train
from penstock.learning.fitting.linear import Design, fit_linear
from penstock.learning.fitting.models import Boosted
from penstock.learning.fitting.scale import Scale
from penstock.learning.fitting.trained import _MODELS

TOLD = {"objective": "tweedie", "metric": "tweedie", "num_leaves": 7, "seed": 1}


def squared(truths):
    return lambda said, fold: float(np.mean((said - truths[fold]) ** 2))


@given(st.integers(0, 10_000), st.integers(1, 5))
def test_a_blend_is_no_worse_than_its_best_member_and_its_weights_sum_to_one(seed, members):
    rng = np.random.default_rng(seed)
    truths = [rng.normal(size=40), rng.normal(size=30)]
    said = [[truth + rng.normal(size=len(truth)) * rng.uniform(0.1, 2) for truth in truths] for _ in range(members)]
    weights, loss = weigh(said, "number", squared(truths))
    alone = [mean_loss(said, row, "number", squared(truths)) for row in np.eye(members)]
    assert sum(weights) == pytest.approx(1, abs=1e-5)
    assert all(weight == 0 or weight >= 0.05 for weight in weights)
    assert loss <= min(alone) + 1e-12


def test_models_that_err_differently_are_mixed_and_a_useless_one_is_left_out():
    rng = np.random.default_rng(0)
    truths = [rng.normal(size=2000)]
    said = [[truths[0] + rng.normal(size=2000)], [truths[0] + rng.normal(size=2000)], [10 * rng.normal(size=2000)]]
    weights, _ = weigh(said, "number", squared(truths))
    assert weights[2] == 0
    assert weights[0] == pytest.approx(0.5, abs=0.1)


def test_where_there_is_nothing_to_learn_the_constant_wins():
    rng = np.random.default_rng(0)
    truths = [rng.normal(size=500), rng.normal(size=500)]
    said = [[rng.normal(size=500) for _ in truths], [np.zeros(500) for _ in truths]]
    assert weigh(said, "number", squared(truths))[0] == (0.0, 1.0)


def test_chances_are_mixed_as_log_odds():
    both = mixed([np.array([0.9]), np.array([0.1])], (0.5, 0.5), "chance")
    np.testing.assert_allclose(both, 0.5)
    np.testing.assert_allclose(log_odds(mixed([np.array([0.9]), np.array([0.5])], (0.5, 0.5), "chance")),
                               log_odds(np.array([0.9])) / 2)  # fmt: skip


def members():
    """A size grown on logs, a line on a scale that knows the past, and the past itself."""
    rng = np.random.default_rng(0)
    values = np.asfortranarray(rng.lognormal(size=(500, 3)).astype(np.float32))
    values[rng.random(500) < 0.1, 1] = np.nan
    examples = Examples(values, np.exp(rng.normal(size=500)) * values[:, 0])
    grown = Boosted((train(examples, None, TOLD, rounds=20).booster,), link="exp")
    line = fit_linear(Design.of(examples), "none", penalty=3.0, scale=Scale(0.5, ((0, 0.0),)))
    return values, (grown, line, Steady(((0, 0.0), (1, 2.0)), 1.5, 1.0))


def test_parts_of_a_number_sum_to_it_whatever_the_members_scales():
    values, models = members()
    blend = Blend(models, (0.5, 0.3, 0.2), "number")
    np.testing.assert_allclose(blend.contributions(values).sum(axis=1), blend.predict(values), rtol=1e-9)


def test_a_blend_and_its_members_come_back_from_plain_values():
    values, models = members()
    for model in (*models, Blend(models, (0.5, 0.3, 0.2), "number"), Habit(((2, ((1.0, 0),)),), (0.25, 0.75), 1.0)):
        back = _MODELS[model.kind](model.to_dict())
        assert back == model
        np.testing.assert_array_equal(back.predict(values), model.predict(values))
        assert model.importance(3).shape == (3,)


def test_seeds_are_averaged_on_the_score():
    values, (grown, *_) = members()
    target = (values[:, 0] > 1).astype(float)
    told = {"objective": "binary", "metric": "binary_logloss", "num_leaves": 7, "bagging_fraction": 0.5,
            "bagging_freq": 1}  # fmt: skip
    bag = [train(Examples(values, target), None, {**told, "seed": seed}, rounds=10).booster for seed in range(3)]
    model = Boosted(tuple(bag), link="logistic")
    scores = np.mean([booster.predict(values, raw=True) for booster in bag], axis=0)
    np.testing.assert_allclose(log_odds(model.predict(values)), scores, atol=1e-9)
    np.testing.assert_allclose(model.contributions(values).sum(axis=1), scores, atol=1e-9)
    single = replace(grown, boosters=(grown.boosters[0], grown.boosters[0]))
    np.testing.assert_allclose(single.predict(values), grown.predict(values), rtol=1e-12)


def test_what_an_entity_did_before_counts_more_the_more_is_known_of_it():
    steady = Steady(((0, 0.0), (1, 0.0)), usual=10.0, weight=1.0)
    values = np.array([[0, 0], [0, np.nan], [np.nan, np.nan]], np.float32)
    np.testing.assert_allclose(steady.predict(values), [10 / 3, 5, 10])
    np.testing.assert_allclose(steady.contributions(values).sum(axis=1), [10 / 3, 5, 10])
    chances = Steady(((0, 0.0),), usual=0.2, weight=1.0, chance=True)
    said = chances.predict(np.array([[1], [0], [np.nan]], np.float32))
    np.testing.assert_allclose(said, [0.6, 0.1, 0.2])
    score = chances.contributions(np.array([[1], [0], [np.nan]], np.float32)).sum(axis=1)
    np.testing.assert_allclose(chances.answer(score), said)


def test_a_habit_is_the_classes_of_the_windows_before():
    habit = Habit(((0, ((1.0, 0), (2.0, 1))), (1, ((1.0, 0), (2.0, 1)))), (0.5, 0.5), weight=1.0)
    values = np.array([[1, 2], [1, np.nan], [np.nan, np.nan]], np.float32)
    np.testing.assert_allclose(habit.predict(values)[:, 0], [1.5 / 2.5, 1.5 / 2, 0.5])
    parts = habit.contributions(values)
    np.testing.assert_allclose(np.exp(parts.sum(axis=-1)), habit.predict(values))
