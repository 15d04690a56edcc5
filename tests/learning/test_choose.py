from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.learning.encoding.steady import Steady
from penstock.learning.fitting.booster import Examples
from penstock.learning.fitting.choose import blended, chance_loss, class_loss, levelled, number_loss, shifted
from penstock.learning.fitting.folds import folds
from penstock.learning.fitting.learners import Data, Judged, Pasts
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.judging.evaluate import evaluate
from penstock.learning.rows.dataset import joined
from tests.learning.worlds import chance, world, worlds


def data(space, targets, options=None, **told):
    """Windows of one column each, with these targets."""
    values = np.asfortranarray(np.concatenate(targets)[:, None].astype(np.float32))
    cutoff = np.repeat(np.arange(len(targets)), [len(target) for target in targets])
    before = len(targets[-1])
    parted = folds(cutoff[:-before], cutoff[-before:], 1, 3)
    return Data(space, Examples(values, np.concatenate(targets)), cutoff, parted, options or Options(), **told)


@given(st.integers(0, 1000), st.floats(0.02, 0.98))
def test_chances_are_moved_to_what_came_and_keep_their_order(seed, rate):
    rng = np.random.default_rng(seed)
    said, truth = chance(rng.normal(size=400) * 2), (rng.random(400) < rate).astype(float)
    moved = shifted(said, truth)
    assert moved.mean() == pytest.approx((truth.sum() + 1) / 402, abs=1e-3)
    assert np.array_equal(np.argsort(moved, kind="stable"), np.argsort(said, kind="stable"))


def test_a_window_s_own_level_is_not_held_against_chances():
    rng = np.random.default_rng(0)
    rates = (0.3, 0.6, 0.2)
    given = data("chance", [(rng.random(2000) < rate).astype(float) for rate in rates])
    held = np.full(len(given.rows), 0.35)
    parts = np.split(levelled(given, held), np.cumsum([len(f.later) for f in given.folds])[:-1])
    for part, (_, later) in zip(parts, given.parts, strict=True):
        assert part.mean() == pytest.approx(later.target.mean(), abs=0.01)
    loss = chance_loss(given)
    assert loss(np.full(len(given.parts[0][1].target), 0.9), 0) == pytest.approx(1, abs=0.01)


def test_a_quiet_window_counts_no_more_than_a_busy_one():
    rng = np.random.default_rng(0)
    given = data("number", [rng.poisson(rate, 500).astype(float) for rate in (5, 50, 1)])
    loss = number_loss(given)
    off = [np.abs(loss(later.target + 1.0, fold) - loss(later.target, fold)) for fold, (_, later) in
           enumerate(given.parts)]  # fmt: skip
    assert off[0] == pytest.approx(off[1])


def test_the_losses_of_constants_are_one():
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 3, 600).astype(float)
    given = data("classes", [truth[:200], truth[200:400], truth[400:]], classes=3)
    usual = np.tile(np.bincount(given.parts[-1][0].target.astype(int)) / len(given.parts[-1][0].target), (200, 1))
    assert class_loss(given)(usual, len(given.folds) - 1) == pytest.approx(1, abs=0.01)


class Told:
    """A learner whose answers are known beforehand."""

    name = "told"

    def __init__(self, noise):
        self.noise = noise

    def judge(self, data, fold):
        rng = np.random.default_rng(fold)
        truth = data.parts[fold][1].target
        return Judged(truth + self.noise * rng.normal(size=len(truth)), rounds=10 * (fold + 1))

    def make(self, data, rounds):
        return Steady((), float(rounds))


def test_rounds_are_averaged_and_what_was_said_is_kept_with_its_rows():
    rng = np.random.default_rng(0)
    given = data("number", [rng.normal(size=100) for _ in range(4)])
    fitted = blended(given, [Told(0.1), Pasts("the mean", None)], number_loss(given), lambda _: None)
    assert len(given.folds) == 3
    assert fitted.model == Steady((), 20.0)
    assert fitted.held_out.shape == fitted.rows.shape == (300,)
    assert np.abs(fitted.held_out - given.examples.target[fitted.rows]).mean() < 0.2
    assert given.cutoff[fitted.rows].tolist() == sorted(given.cutoff[fitted.rows].tolist())
    assert fitted.notes[0].startswith(
        "Model: 100% told, the best mixture on 3 windows of later rows (loss of each alone:"
    )


def windows(target, count=6, rows=500):
    """Windows of one world, whose target is a function of (features, random numbers, the window's number)."""
    parts = []
    for number in range(count):
        part = world("regression", 30 * (number + 1), rows)
        rng = np.random.default_rng(number)
        parts.append(replace(part, target=pa.array(target(part.features, rng, number))))
    train = parts[0]
    for part in parts[1:-2]:
        train = joined(train, part)
    return train, parts[-2], parts[-1]


def test_where_there_is_nothing_to_learn_the_model_is_the_best_constant():
    train, validation, test = windows(lambda features, rng, number: rng.lognormal(0, 1, len(features)))
    trained = fit("regression", train, validation, options=Options(threads=1))
    evaluation = evaluate(trained, test, train=train, validation=validation, threads=1)
    for measure in ("mae", "rmse"):
        best = min(said[measure] for said in evaluation.baselines.values())
        assert evaluation.metrics[measure] < 1.06 * best


def test_what_an_entity_always_did_is_not_lost():
    def target(features, rng, number):
        return np.nan_to_num(features["past"].to_numpy()) + 0.1 * rng.normal(size=len(features))

    train, validation, test = windows(target)
    trained = fit("regression", train, validation, options=Options(threads=1))
    evaluation = evaluate(trained, test, train=train, validation=validation, threads=1)
    assert evaluation.metrics["mae"] < 1.02 * evaluation.baselines["own mean"]["mae"]


def test_a_line_is_found_where_trees_need_more_rows():
    train, validation, test = (world("binary", cutoff, 150) for cutoff in (30, 60, 90))
    columns = [f"n{i}" for i in range(6)]

    def along(part):
        signal = sum(np.nan_to_num(part.features[name].to_numpy()) for name in columns)
        rng = np.random.default_rng(int(part.cutoff[0]) % 1000)
        target = pa.array(rng.random(len(part)) < chance(1.5 * signal))
        return replace(part, features=part.features.select(columns), target=target, own_past=[], static=[])

    parts = [along(part) for part in (train, validation, test)]
    both, trees = (
        evaluate(fit("binary", *parts[:2], options=Options(threads=1, model=model)), parts[2], train=parts[0],
                 validation=parts[1], threads=1).metrics["auroc"]
        for model in ("auto", "boosted")
    )  # fmt: skip
    assert both > trees + 0.02


def test_a_single_cutoff_is_judged_by_the_validation_rows_alone():
    train, validation, _ = worlds("binary", 300)
    same = replace(validation, cutoff=train.cutoff[: len(validation)])
    assert "on one window of later rows" in fit("binary", train, same, options=Options(threads=1)).notes[-1]


def test_the_last_model_learns_from_validation_rows_unless_told_not_to():
    train, validation, test = worlds("regression", 400)
    high = replace(validation, target=pa.array(np.asarray(validation.target) + 1000.0))
    with_them, without = (
        fit("regression", train, high, options=Options(threads=1, refit=refit, model="linear")).output(test).mean()
        for refit in (True, False)
    )
    assert with_them > without + 50
