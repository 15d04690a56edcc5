"""How good predictions were. Each function states its definition; ties count as ties; NaN where it is undefined.

Truth and predictions are numpy arrays of one length. Everything is plain numpy, so that evaluating and serving need
no other library; the tests compare with scikit-learn.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
TINY = 1e-15
"""Probabilities are taken as so far from 0 and 1 at least where their logarithm counts."""


def auroc(truth: Array, score: Array) -> float:
    """The chance that a positive scores above a negative, a tie counting half. NaN with one class only.

    >>> auroc(np.array([0, 1, 1]), np.array([0.2, 0.2, 0.9]))
    0.75
    """
    positive = truth.astype(bool)
    wins, losses = int(positive.sum()), int((~positive).sum())
    if not wins or not losses:
        return float("nan")
    ranks = _mean_ranks(score)
    return float((ranks[positive].sum() - wins * (wins + 1) / 2) / (wins * losses))


def _mean_ranks(values: Array) -> Array:
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2)[place]


def average_precision(truth: Array, score: Array) -> float:
    """Precision at each distinct score, weighted by the recall it adds. NaN without a positive.

    >>> round(average_precision(np.array([0, 1, 1]), np.array([0.1, 0.4, 0.3])), 3)
    1.0
    """
    positive = truth.astype(bool)
    if not positive.any():
        return float("nan")
    order = np.argsort(-score, kind="stable")
    hits = np.cumsum(positive[order])
    last = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    precision, recall = hits[last] / (last + 1), hits[last] / hits[-1]
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def log_loss(truth: Array, probability: Array) -> float:
    """Mean negative log-likelihood of a truth value, in nats."""
    p = np.clip(probability, TINY, 1 - TINY)
    return float(-np.mean(np.where(truth.astype(bool), np.log(p), np.log1p(-p))))


def brier(truth: Array, probability: Array) -> float:
    """Mean squared distance of the probability from what happened (0 or 1)."""
    return float(np.mean((probability - truth) ** 2))


def calibration_error(truth: Array, probability: Array, bins: int = 10) -> float:
    """Expected calibration error: over ``bins`` equally filled bins, the mean distance of the mean probability from
    the share that happened. Rows with the same probability that two bins share are parted as if they were alike.

    >>> calibration_error(np.array([0, 0, 1, 1]), np.array([0.0, 0.0, 1.0, 1.0]), bins=2)
    0.0
    """
    said, place, counts = np.unique(probability, return_inverse=True, return_counts=True)
    counted = np.concatenate([[0], np.cumsum(counts)])
    off = np.concatenate([[0.0], np.cumsum(said * counts - np.bincount(place, truth, minlength=len(said)))])
    size, more = divmod(len(truth), bins)
    edges = np.arange(bins + 1) * size + np.minimum(np.arange(bins + 1), more)
    return float(np.abs(np.diff(np.interp(edges, counted, off))).sum() / max(1, len(truth)))


def mae(truth: Array, prediction: Array) -> float:
    """Mean absolute error, in the target's unit."""
    return float(np.mean(np.abs(truth - prediction)))


def rmse(truth: Array, prediction: Array) -> float:
    """Root of the mean squared error, in the target's unit."""
    return float(np.sqrt(np.mean((truth - prediction) ** 2)))


def r2(truth: Array, prediction: Array) -> float:
    """The share of the target's variance that is explained; below 0 is worse than the mean. NaN for a constant."""
    spread = float(np.sum((truth - truth.mean()) ** 2))
    return float(1 - np.sum((truth - prediction) ** 2) / spread) if spread > 0 else float("nan")


def coverage(truth: Array, low: Array, high: Array) -> float:
    """The share of truths that lie in their interval."""
    return float(np.mean((truth >= low) & (truth <= high)))


def accuracy(truth: Array, prediction: Array) -> float:
    """The share of predictions that are right."""
    return float(np.mean(truth == prediction))


def macro_f1(truth: Array, prediction: Array) -> float:
    """The mean over classes (of the truth or the predictions) of F1 = 2 TP / (2 TP + FP + FN)."""
    classes = np.union1d(truth, prediction)
    return float(np.mean([_f1(truth == c, prediction == c) for c in classes]))


def _f1(truth: Array, prediction: Array) -> float:
    hits, wrong = np.sum(truth & prediction), np.sum(truth != prediction)
    return float(2 * hits / (2 * hits + wrong)) if hits + wrong else 0.0


def multiclass_log_loss(truth: Array, probabilities: Array) -> float:
    """Mean negative log of the probability given to the true class; ``truth`` holds columns, -1 for a class unknown."""
    given = np.where(truth >= 0, probabilities[np.arange(len(truth)), np.maximum(truth, 0)], 0.0)
    return float(-np.mean(np.log(np.clip(given, TINY, 1.0))))


def multilabel(truth: Array, probabilities: Array) -> dict[str, float]:
    """Micro (all cells together) and macro (mean over labels that occur and do not always) AUROC and AP, micro F1 and
    calibration error.

    Both arrays are rows × labels. F1 takes a label as predicted from a probability of one half.
    """
    flat, scores = truth.astype(bool).ravel(), probabilities.ravel()
    usable = [j for j in range(truth.shape[1]) if 0 < truth[:, j].sum() < len(truth)]
    areas = [auroc(truth[:, j], probabilities[:, j]) for j in usable]
    precisions = [average_precision(truth[:, j], probabilities[:, j]) for j in usable]
    return {
        "auroc_micro": auroc(flat, scores),
        "auroc_macro": float(np.mean(areas)) if areas else float("nan"),
        "ap_micro": average_precision(flat, scores),
        "ap_macro": float(np.mean(precisions)) if precisions else float("nan"),
        "f1_micro": _f1(flat, scores >= 0.5),
        "calibration_error": calibration_error(flat, scores),
    }


def map_at(hits: Array, relevant: Array) -> float:
    """MAP@k: mean over rows of (sum over i <= k of precision@i where the i-th is relevant) / min(k, relevant).

    ``hits`` is rows × k, true where the item at that place was relevant; ``relevant`` counts each row's relevant
    items. Rows without any are left out, as in all three ranking measures.

    >>> map_at(np.array([[True, False, True]]), np.array([2]))
    0.8333333333333333
    """
    return _mean(by_row(hits, relevant)["map"])


def ndcg_at(hits: Array, relevant: Array) -> float:
    """NDCG@k with gain 1 for a relevant item: its discounted gain over that of the best possible order."""
    return _mean(by_row(hits, relevant)["ndcg"])


def recall_at(hits: Array, relevant: Array) -> float:
    """Recall@k: the share of a row's relevant items among its first k."""
    return _mean(by_row(hits, relevant)["recall"])


def by_row(hits: Array, relevant: Array) -> dict[str, Array]:
    """map, ndcg and recall of each row that has a relevant item, in the rows' order."""
    hits, relevant = hits[relevant > 0], relevant[relevant > 0]
    places = np.arange(1, hits.shape[1] + 1)
    least, discounts = np.minimum(relevant, hits.shape[1]), 1 / np.log2(places + 1)
    best = np.concatenate([[0.0], np.cumsum(discounts)])[least]
    return {
        "map": np.sum(np.cumsum(hits, axis=1) / places * hits, axis=1) / least,
        "ndcg": (hits * discounts).sum(axis=1) / best,
        "recall": hits.sum(axis=1) / relevant,
    }


def _mean(values: Array) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
