from __future__ import annotations

from itertools import count

import numpy as np
import pytest

from penstock.learning.fitting.booster import Examples
from penstock.learning.fitting.choose import chance_loss
from penstock.learning.fitting.folds import folds
from penstock.learning.fitting.learners import Data, Trees
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.fitting.tune import searched
from tests.learning.worlds import worlds

TREES = Trees("boosted trees", {"objective": "binary", "metric": "binary_logloss"})


class Few(Options):
    """The effort of a search, with few trials."""

    trials = 4


def data(options):
    rng = np.random.default_rng(0)
    values = np.asfortranarray(rng.normal(size=(900, 4)).astype(np.float32))
    target = (values[:, 0] + rng.normal(size=900) > 0).astype(float)
    cutoff = np.repeat([0, 1, 2], 300)
    return Data("chance", Examples(values, target), cutoff, folds(cutoff[:600], cutoff[600:], 1), options)


def test_the_same_search_finds_the_same_and_nothing_worse_than_the_usual():
    given = data(Few(effort="normal", threads=1))
    loss = chance_loss(given)
    first, again = (searched(TREES, given, loss) for _ in range(2))
    assert first == again
    assert first.notes == ()
    usual, found = (
        np.mean([loss(trees.search(given, fold, 10_000).said, fold) for fold in range(2)])
        for trees in (TREES, first.trees)
    )
    assert found <= usual


def test_a_search_that_the_clock_ends_says_so():
    given = data(Few(effort="normal", threads=1, seconds=2.0))
    ticks = count()
    found = searched(TREES, given, chance_loss(given), clock=lambda: float(next(ticks)))
    assert found.notes == ("The search for parameters was ended by the clock, after 2 of 4 trials.",)


def test_more_effort_searches_and_averages_seeds():
    train, validation, test = worlds("binary", 300)
    options = Few(effort="normal", threads=1, seconds=600.0)
    trained = fit("binary", train, validation, options=options)
    boosted = [model for model in getattr(trained.model, "models", (trained.model,)) if model.kind == "boosted"]
    assert {len(model.boosters) for model in boosted} == {3}
    again = fit("binary", train, validation, options=options)
    assert again.predict(test).equals(trained.predict(test))


@pytest.mark.parametrize("effort", ["normal", "best"])
def test_an_effort_means_numbers(effort):
    options = Options(effort=effort)
    assert options.trials > 0
    assert options.search_seconds > 0
    assert len(options.seeds) >= 3
    assert len(Options(effort=effort, bag=2, seed=5).seeds) == 2
