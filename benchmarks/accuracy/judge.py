"""What a prediction is worth: the same measures for everybody, on the same test rows.

A prediction is an array with one row a test row: (rows,) probabilities; (rows, 2) numbers, of which the first is judged
by its absolute error and the second by its squared one, so that who can say the median and the mean may say both;
(rows, classes) or (rows, labels) probabilities; for rankings (rows, k), whether the item at that place came.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.judging import metrics, outcomes

Array: TypeAlias = npt.NDArray[Any]
Metrics: TypeAlias = dict[str, float]

BIGGER = {"auroc", "ap", "accuracy", "auroc_micro", "ap_micro", "map", "ndcg", "recall"}
"""The measures of which more is better; of the others less is."""
PRIMARY: Mapping[str, str] = {**outcomes.PRIMARY, "ranking": "map"}
DRAWS = 200
LEVEL = 0.9


@dataclass(frozen=True)
class Judge:
    """A task's test rows: what came of them (for rankings how many items did), and whose they are."""

    task: str
    truth: Array
    owner: Array

    @property
    def primary(self) -> str:
        """The measure that counts."""
        return PRIMARY[self.task]

    def measure(self, said: Array, rows: Array | slice = slice(None)) -> Metrics:
        """Every measure of a prediction, on some of the rows."""
        return _MEASURES[self.task](self.truth[rows], said[rows])

    def one(self, said: Array, name: str, rows: Array | slice = slice(None)) -> float:
        """One measure, without the work of the others where that is dear."""
        quick = _QUICK.get(name)
        return self.measure(said, rows)[name] if quick is None else quick(self.truth[rows], said[rows])

    def draws(self, seed: int = 0, times: int = DRAWS) -> Iterator[Array]:
        """Rows drawn anew: entities with replacement, each with all its rows."""
        order = np.argsort(self.owner, kind="stable")
        sizes = np.bincount(self.owner)
        sizes = sizes[sizes > 0]
        starts = np.cumsum(sizes) - sizes
        random = np.random.default_rng(seed)
        for _ in range(times):
            chosen = random.integers(0, len(sizes), len(sizes))
            lengths = sizes[chosen]
            offset = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
            yield order[np.repeat(starts[chosen], lengths) + offset]

    def interval(self, said: Array, name: str, than: Array | None = None) -> tuple[float, float]:
        """The 90 per cent interval of a measure, or of how much better it is than another prediction's."""
        values = []
        for rows in self.draws():
            value = self.one(said, name, rows)
            values.append(value if than is None else better(name, value, self.one(than, name, rows)))
        known = [value for value in values if not math.isnan(value)]
        if not known:
            return math.nan, math.nan
        low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
        return float(low), float(high)


def better(name: str, ours: float, theirs: float) -> float:
    """By how much ours is better: a difference where more is better; of errors the share of theirs that ours saves.

    >>> better("auroc", 0.8, 0.75) > 0, better("mae", 9.0, 10.0)
    (True, 0.1)
    """
    if name in BIGGER:
        return ours - theirs
    return (theirs - ours) / theirs if theirs else math.nan


def _chances(truth: Array, said: Array) -> Metrics:
    return {
        "auroc": metrics.auroc(truth, said),
        "ap": metrics.average_precision(truth, said),
        "log_loss": metrics.log_loss(truth, said),
        "calibration_error": metrics.calibration_error(truth, said),
    }


def _numbers(truth: Array, said: Array) -> Metrics:
    return {"mae": metrics.mae(truth, said[:, 0]), "rmse": metrics.rmse(truth, said[:, 1])}


def _classes(truth: Array, said: Array) -> Metrics:
    return {
        "accuracy": metrics.accuracy(truth, said.argmax(axis=1)),
        "log_loss": metrics.multiclass_log_loss(truth, said),
    }


def _labels(truth: Array, said: Array) -> Metrics:
    flat, score = truth.ravel(), said.ravel()
    return {"ap_micro": metrics.average_precision(flat, score), "auroc_micro": metrics.auroc(flat, score)}


def _ranks(truth: Array, said: Array) -> Metrics:
    return {
        "map": metrics.map_at(said, truth),
        "ndcg": metrics.ndcg_at(said, truth),
        "recall": metrics.recall_at(said, truth),
    }


_MEASURES: Mapping[str, Callable[[Array, Array], Metrics]] = {
    "binary": _chances,
    "regression": _numbers,
    "forecasting": _numbers,
    "multiclass": _classes,
    "multilabel": _labels,
    "ranking": _ranks,
}
_QUICK: Mapping[str, Callable[[Array, Array], float]] = {
    "auroc": metrics.auroc,
    "mae": lambda truth, said: metrics.mae(truth, said[:, 0]),
    "rmse": lambda truth, said: metrics.rmse(truth, said[:, 1]),
    "accuracy": lambda truth, said: metrics.accuracy(truth, said.argmax(axis=1)),
    "ap_micro": lambda truth, said: metrics.average_precision(truth.ravel(), said.ravel()),
    "map": lambda truth, said: metrics.map_at(said, truth),
}
