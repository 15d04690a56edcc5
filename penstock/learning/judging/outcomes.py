"""Outcomes: what was said of rows beside what came of them, and every metric of a task from that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from penstock.learning.judging import metrics, weighted
from penstock.learning.judging.bootstrap import MOST
from penstock.learning.judging.metrics import Array
from penstock.learning.judging.reliability import Bin, reliability
from penstock.learning.judging.weighted import Floats, Measured
from penstock.learning.rows.dataset import Rows

Metrics: TypeAlias = dict[str, float]


@dataclass(frozen=True)
class Outcomes:
    """What came (``truth``) and what was ``said``, row by row.

    Yes or no: 0 or 1, a probability. Numbers: two numbers, and in ``inside`` whether the true one lay in its interval.
    Classes: their column (-1 unknown), rows × classes of probabilities. Labels: rows × labels of both. A ranking: how
    many items came, rows × places of whether the item there was one.
    """

    task: str
    truth: Array
    said: Array
    inside: Array | None = None

    def take(self, rows: Rows) -> Outcomes:
        """These rows, in this order."""
        inside = None if self.inside is None else self.inside[rows]
        return Outcomes(self.task, self.truth[rows], self.said[rows], inside)

    def metrics(self) -> Metrics:
        """Every metric of the task."""
        found = _PLAIN[self.task](self.truth, self.said)
        return found if self.inside is None else {**found, "coverage": float(np.mean(self.inside))}

    def measure(self, rows: Rows, weights: Floats) -> Measured:
        """Every metric of some rows in each replicate, by the rows' weights (replicates × rows)."""
        found = _WEIGHTED[self.task](self.truth[rows], self.said[rows], weights)
        return found if self.inside is None else {**found, "coverage": weighted.mean(self.inside[rows], weights)}

    def bins(self) -> tuple[Bin, ...]:
        """The reliability table: of classes, of the likeliest one; of labels, of all together; none of a ranking."""
        if self.task == "binary":
            return reliability(self.said, self.truth)
        if self.task == "multiclass":
            right = self.truth == self.said.argmax(axis=1)
            return reliability(self.said.max(axis=1), right.astype(np.float64))
        if self.task == "multilabel":
            return reliability(self.said.ravel(), self.truth.ravel().astype(np.float64))
        return () if self.inside is None else reliability(self.said, self.inside.astype(np.float64))

    def remarks(self) -> tuple[str, ...]:
        """What a reader should know about these outcomes, in sentences."""
        teller = _REMARKS.get(self.task)
        return () if teller is None or not len(self.truth) else tuple(teller(self))

    @property
    def most_rows(self) -> int:
        """How many rows a bootstrap of the task takes on: fewer where a row has many labels."""
        return MOST // (self.said.shape[1] if self.task == "multilabel" else 1)

    @property
    def primary(self) -> str:
        """The metric by which predictors of the task are compared first."""
        return f"map@{self.said.shape[1]}" if self.task == "ranking" else PRIMARY[self.task]


PRIMARY: Mapping[str, str] = {
    "binary": "auroc",
    "regression": "mae",
    "forecasting": "mae",
    "multiclass": "accuracy",
    "multilabel": "ap_micro",
}


def _chance_remarks(found: Outcomes) -> Iterator[str]:
    said, came = float(np.mean(found.said)), float(np.mean(found.truth))
    if abs(said - came) > max(_FAR, 3 * (came * (1 - came) / len(found.truth)) ** 0.5):
        yield (
            f"It came for {came:.1%} of the test rows, and {said:.1%} was said on the average: how often it comes has "
            "changed since the rows that probabilities were fitted to."
        )


def _amount_remarks(found: Outcomes) -> Iterator[str]:
    values, counts = np.unique(found.truth, return_counts=True)
    most = counts.max() / len(found.truth)
    if found.inside is not None and most > _NEARLY_ALL and float(np.mean(found.inside)) > _NEARLY_ALL:
        yield (
            f"{most:.1%} of the test rows are {values[counts.argmax()]:g}, so that the shortest interval covers more "
            "than 90 %."
        )


def _class_remarks(found: Outcomes) -> Iterator[str]:
    unknown = float(np.mean(found.truth < 0))
    if unknown > _SOME:
        yield f"{unknown:.1%} of the test rows have a class that was too rare in training to be predicted: all missed."


def _order_remarks(found: Outcomes) -> Iterator[str]:
    yield "A score puts the items of one row in order; it is no probability."
    none = float(np.mean(found.truth == 0))
    if none > 0:
        yield f"For {none:.1%} of the test rows nothing came; the metrics are over the others."


_FAR = 0.03
_NEARLY_ALL = 0.93
_SOME = 0.01
_REMARKS: Mapping[str, Callable[[Outcomes], Iterator[str]]] = {
    "binary": _chance_remarks,
    "regression": _amount_remarks,
    "forecasting": _amount_remarks,
    "multiclass": _class_remarks,
    "ranking": _order_remarks,
}


def places_hit(hit: Array, row: Rows, place: Rows, relevant: Array, places: int) -> Array:
    """Rows × places: whether the item there, from place 1, was relevant."""
    grid = np.zeros((len(relevant), places), bool)
    grid[row[hit], place[hit] - 1] = True
    return grid


def chance_metrics(truth: Array, probability: Floats) -> Metrics:
    """Of yes or no."""
    return {
        "auroc": metrics.auroc(truth, probability),
        "ap": metrics.average_precision(truth, probability),
        "log_loss": metrics.log_loss(truth, probability),
        "calibration_error": metrics.calibration_error(truth, probability),
        "brier": metrics.brier(truth, probability),
    }


def amount_metrics(truth: Array, prediction: Floats) -> Metrics:
    """Of numbers."""
    return {
        "mae": metrics.mae(truth, prediction),
        "rmse": metrics.rmse(truth, prediction),
        "r2": metrics.r2(truth, prediction),
    }


def class_metrics(truth: Array, probabilities: Floats) -> Metrics:
    """Of one of several classes: the likeliest is the prediction; a class never trained on counts as missed.

    The calibration error is that of the likeliest class.
    """
    likeliest = probabilities.argmax(axis=1)
    return {
        "accuracy": metrics.accuracy(truth, likeliest),
        "macro_f1": metrics.macro_f1(truth, likeliest),
        "log_loss": metrics.multiclass_log_loss(truth, probabilities),
        "calibration_error": metrics.calibration_error(truth == likeliest, probabilities.max(axis=1)),
    }


def order_metrics(relevant: Array, hits: Array) -> Metrics:
    """Of a ranking, over the rows to which anything came."""
    places = hits.shape[1]
    return {
        f"map@{places}": metrics.map_at(hits, relevant),
        f"ndcg@{places}": metrics.ndcg_at(hits, relevant),
        f"recall@{places}": metrics.recall_at(hits, relevant),
    }


def _weighted_order(relevant: Array, hits: Array, weights: Floats) -> Measured:
    """As `order_metrics`: each is a mean over rows."""
    there = weights[:, relevant > 0]
    rows = metrics.by_row(hits, relevant)
    return {f"{name}@{hits.shape[1]}": weighted.mean(values, there) for name, values in rows.items()}


_PLAIN: Mapping[str, Callable[[Array, Array], Metrics]] = {
    "binary": chance_metrics,
    "regression": amount_metrics,
    "forecasting": amount_metrics,
    "multiclass": class_metrics,
    "multilabel": metrics.multilabel,
    "ranking": order_metrics,
}
_WEIGHTED: Mapping[str, Callable[[Array, Array, Floats], Measured]] = {
    "binary": weighted.chances,
    "regression": weighted.amounts,
    "forecasting": weighted.amounts,
    "multiclass": weighted.classes,
    "multilabel": weighted.labels,
    "ranking": _weighted_order,
}
