"""The metrics of many weightings at once: what a bootstrap asks for.

``weights`` is replicates × rows, how often each row counts; every function answers with one value a replicate, the
same that `metrics` gives for rows repeated so often. NaN where that is undefined. Sorting is done once for all
replicates, so that a replicate costs a few passes over the rows.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.judging.metrics import TINY, Array

Floats: TypeAlias = npt.NDArray[np.float64]
Measured: TypeAlias = dict[str, Floats]


def mean(values: Array, weights: Floats) -> Floats:
    """The mean of a value a row."""
    return _divided(weights @ values.astype(np.float64), weights.sum(axis=1))


def _divided(part: Floats, whole: Floats) -> Floats:
    ratio: Floats = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
    return ratio


# ---------------------------------------------------------------- yes or no


def _grouped(truth: Array, score: Array, weights: Floats) -> tuple[Array, Floats, Floats]:
    """(score, weight that is true, weight that is not) of each distinct score, ascending."""
    order = np.argsort(score, kind="stable")
    ordered = score[order]
    starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
    yes = truth[order].astype(bool)
    weights = weights[:, order]
    positive = np.add.reduceat(np.where(yes, weights, 0.0), starts, axis=1)
    return ordered[starts], positive, np.add.reduceat(weights, starts, axis=1) - positive


def _area(positive: Floats, negative: Floats) -> Floats:
    below = np.cumsum(negative, axis=1) - negative / 2
    wins = np.einsum("ij,ij->i", positive, below)
    return _divided(wins, positive.sum(axis=1) * negative.sum(axis=1))


def _precision(positive: Floats, negative: Floats) -> Floats:
    hits = np.cumsum(positive[:, ::-1], axis=1)
    seen = hits + np.cumsum(negative[:, ::-1], axis=1)
    precision = np.divide(hits, seen, out=np.zeros_like(hits), where=seen > 0)
    return _divided(np.einsum("ij,ij->i", positive[:, ::-1], precision), hits[:, -1])


def _gap(score: Array, positive: Floats, negative: Floats, bins: int = 10) -> Floats:
    return np.array([_one_gap(score, p, p + n, bins) for p, n in zip(positive, negative, strict=True)])


def _one_gap(score: Array, positive: Floats, weight: Floats, bins: int) -> float:
    there = weight > 0
    if not there.any():
        return float("nan")
    counted = np.concatenate([[0.0], np.cumsum(weight[there])])
    off = np.concatenate([[0.0], np.cumsum((weight * score - positive)[there])])
    whole = counted[-1]
    size, more = divmod(whole, bins)
    places = np.arange(bins + 1)
    return float(np.abs(np.diff(np.interp(places * size + np.minimum(places, more), counted, off))).sum() / whole)


def auroc(truth: Array, score: Array, weights: Floats) -> Floats:
    """As `metrics.auroc`."""
    return _area(*_grouped(truth, score, weights)[1:])


def average_precision(truth: Array, score: Array, weights: Floats) -> Floats:
    """As `metrics.average_precision`."""
    return _precision(*_grouped(truth, score, weights)[1:])


def calibration_error(truth: Array, probability: Array, weights: Floats) -> Floats:
    """As `metrics.calibration_error`."""
    return _gap(*_grouped(truth, probability, weights))


def chances(truth: Array, probability: Array, weights: Floats) -> Measured:
    """All metrics of yes or no."""
    score, positive, negative = _grouped(truth, probability, weights)
    p = np.clip(probability, TINY, 1 - TINY)
    return {
        "auroc": _area(positive, negative),
        "ap": _precision(positive, negative),
        "log_loss": mean(-np.where(truth.astype(bool), np.log(p), np.log1p(-p)), weights),
        "calibration_error": _gap(score, positive, negative),
        "brier": mean((probability - truth) ** 2, weights),
    }


# ---------------------------------------------------------------- numbers, classes, labels


def amounts(truth: Array, prediction: Array, weights: Floats) -> Measured:
    """All metrics of numbers but the coverage."""
    centred, off = truth - truth.mean(), (truth - prediction) ** 2
    spread = mean(centred**2, weights) - mean(centred, weights) ** 2
    squared = mean(off, weights)
    varies = spread > 1e-12 * max(1e-300, float(np.mean(centred**2)))
    return {
        "mae": mean(np.abs(truth - prediction), weights),
        "rmse": np.sqrt(squared),
        "r2": 1 - np.divide(squared, spread, out=np.full(len(spread), np.nan), where=varies),
    }


def classes(truth: Array, probabilities: Floats, weights: Floats) -> Measured:
    """All metrics of one of several classes; ``truth`` holds columns, -1 for a class unknown."""
    likeliest = probabilities.argmax(axis=1)
    right = truth == likeliest
    given = np.where(truth >= 0, probabilities[np.arange(len(truth)), np.maximum(truth, 0)], 0.0)
    sure = probabilities.max(axis=1)
    return {
        "accuracy": mean(right, weights),
        "macro_f1": _macro_f1(truth, likeliest, weights),
        "log_loss": mean(-np.log(np.clip(given, TINY, 1.0)), weights),
        "calibration_error": calibration_error(right, sure, weights),
    }


def _macro_f1(truth: Array, prediction: Array, weights: Floats) -> Floats:
    found = np.union1d(truth, prediction)
    said, came = prediction[:, None] == found, truth[:, None] == found
    hits, wrong = (weights @ marked.astype(np.float64) for marked in (said & came, said != came))
    there = hits + wrong > 0
    each = np.divide(2 * hits, 2 * hits + wrong, out=np.zeros_like(hits), where=there)
    return _divided(each.sum(axis=1), there.sum(axis=1).astype(np.float64))


def labels(truth: Array, probabilities: Floats, weights: Floats) -> Measured:
    """All metrics of several labels; both arrays are rows × labels."""
    yes, said = truth.astype(bool), probabilities >= 0.5
    flat = np.repeat(weights, truth.shape[1], axis=1)
    score, positive, negative = _grouped(yes.ravel(), probabilities.ravel(), flat)
    hits = weights @ (yes & said).sum(axis=1).astype(np.float64)
    wrong = weights @ (yes != said).sum(axis=1).astype(np.float64)
    each = [_grouped(yes[:, j], probabilities[:, j], weights)[1:] for j in range(truth.shape[1])]
    return {
        "auroc_micro": _area(positive, negative),
        "auroc_macro": _over([_usable(_area(*g), *g) for g in each]),
        "ap_micro": _precision(positive, negative),
        "ap_macro": _over([_usable(_precision(*g), *g) for g in each]),
        "f1_micro": np.divide(2 * hits, 2 * hits + wrong, out=np.zeros_like(hits), where=hits + wrong > 0),
        "calibration_error": _gap(score, positive, negative),
    }


def _usable(values: Floats, positive: Floats, negative: Floats) -> Floats:
    there: Any = (positive.sum(axis=1) > 0) & (negative.sum(axis=1) > 0)
    return np.where(there, values, np.nan)


def _over(columns: list[Floats]) -> Floats:
    """The mean of what is defined."""
    grid = np.column_stack(columns)
    known = ~np.isnan(grid)
    return _divided(np.where(known, grid, 0.0).sum(axis=1), known.sum(axis=1).astype(np.float64))
