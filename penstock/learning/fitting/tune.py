"""A search for the parameters of boosted trees (Optuna's TPE), judged on the same windows as everything else.

The number of trials ends it; a ceiling of seconds may end it sooner, and then the notes say so, for only then can
another run of the same question come out differently.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from penstock.learning.fitting.blend import Loss
from penstock.learning.fitting.learners import Data, Trees
from penstock.learning.fitting.models import Options, parameters

Clock: TypeAlias = Callable[[], float]
Told: TypeAlias = dict[str, Any]

_ROWS = {"fast": 4_000, "normal": 10_000, "best": 30_000}


@dataclass(frozen=True)
class Searched:
    """The trees with the best parameters found, and what there is to say about the search."""

    trees: Trees
    notes: tuple[str, ...] = ()


def searched(trees: Trees, data: Data, loss: Loss, clock: Clock = time.monotonic) -> Searched:
    """The best parameters on the mean of the folds; the usual ones are tried first, and stay where none is better."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    options = data.options
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=options.seed))
    study.enqueue_trial(_usual(options, data))
    end, done = clock() + options.search_seconds, 0
    while done < options.trials and (done == 0 or clock() < end):
        trial = study.ask()
        study.tell(trial, _tried(trees, data, loss, _asked(trial)))
        done += 1
    return Searched(_named(trees, study), _cut(options, done))


def _usual(options: Options, data: Data) -> Told:
    usual = {"lambda_l1": 1e-3, **parameters(options, data.examples)}
    names = ("num_leaves", "min_data_in_leaf", "feature_fraction", "bagging_fraction", "lambda_l1", "lambda_l2",
             "max_bin")  # fmt: skip
    return {name: usual[name] for name in names}


def _asked(trial: Any) -> Told:
    """Parameters from where the search thinks they may be good."""
    return {
        "num_leaves": trial.suggest_int("num_leaves", 4, 63, log=True),
        "min_data_in_leaf": trial.suggest_int("min_data_in_leaf", 5, 300, log=True),
        "feature_fraction": trial.suggest_float("feature_fraction", 0.1, 1.0),
        "bagging_fraction": trial.suggest_float("bagging_fraction", 0.4, 1.0),
        "lambda_l1": trial.suggest_float("lambda_l1", 1e-3, 10.0, log=True),
        "lambda_l2": trial.suggest_float("lambda_l2", 0.1, 100.0, log=True),
        "max_bin": trial.suggest_categorical("max_bin", [31, 63, 127, 255]),
    }


def _tried(trees: Trees, data: Data, loss: Loss, told: Told) -> float:
    rows, tried = _ROWS[data.options.effort], replace(trees, told={**trees.told, **told})
    said = [tried.search(data, fold, rows).said for fold in range(len(data.folds))]
    return float(np.mean([loss(one, fold) for fold, one in enumerate(said)]))


def _named(trees: Trees, study: Any) -> Trees:
    if study.best_trial.number == 0:
        return trees
    return replace(trees, name=f"{trees.name}, tuned", told={**trees.told, **study.best_params})


def _cut(options: Options, done: int) -> tuple[str, ...]:
    if done == options.trials:
        return ()
    return (f"The search for parameters was ended by the clock, after {done} of {options.trials} trials.",)
