"""Probabilities that mean what they say, from rows that training never saw.

Probabilities: inductive Venn-Abers predictors (Vovk, Petej & Fedorova 2015). For each new score, isotonic regression
is fitted to the calibration rows plus that score once labelled 0 and once labelled 1; the two values bound the
probability. That holds whatever the model, as long as calibration rows and new rows are exchangeable; calibration rows
are therefore the newest that training leaves out. Numbers have their intervals in `conformal`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]

_TIE_BREAK = 0.01


@dataclass(frozen=True)
class Steps:
    """A step function of the score: ``values`` has one element more than ``edges``."""

    edges: tuple[float, ...]
    values: tuple[float, ...]

    @classmethod
    def through(cls, edges: Floats, values: Floats) -> Steps:
        """The same function with only the edges where it changes."""
        values = np.round(values, 12)
        changes = np.flatnonzero(np.diff(values))
        return cls(tuple(edges[changes].tolist()), tuple(values[[*changes, len(values) - 1]].tolist()))

    def at(self, scores: Floats, *, closed: Literal["left", "right"]) -> Floats:
        """The value at each score; an edge belongs to the step it opens (``left``) or ends (``right``)."""
        place = np.searchsorted(np.array(self.edges), scores, "right" if closed == "left" else "left")
        return np.array(self.values)[place]


@dataclass(frozen=True)
class VennAbers:
    """Calibrated probabilities with their bounds.

    ``p0`` and ``p1`` are the isotonic value of a new score when it is labelled 0 and 1. ``slope`` and ``offset``
    (Platt, on log-odds) make the single probability.
    """

    p0: Steps
    p1: Steps
    slope: float
    offset: float

    def interval(self, scores: Floats) -> tuple[Floats, Floats]:
        """The Venn-Abers bounds of each score; low <= high."""
        zero, one = self.p0.at(scores, closed="left"), self.p1.at(scores, closed="right")
        return np.minimum(zero, one), np.maximum(zero, one)

    def probability(self, scores: Floats) -> tuple[Floats, Floats, Floats]:
        """(probability, low, high) of each score, with low <= probability <= high and the order of scores kept.

        The probability is Platt's, held inside the bounds but for a hundredth of its distance, so that scores that
        differ keep differing; the bounds are stretched by as much.
        """
        low, high = self.interval(scores)
        smooth = sigmoid(self.slope * log_odds(scores) + self.offset)
        single = (1 - _TIE_BREAK) * np.clip(smooth, low, high) + _TIE_BREAK * smooth
        return single, np.minimum(low, single), np.maximum(high, single)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> VennAbers:
        """What `to_dict` wrote."""
        p0, p1 = (Steps(tuple(plain[k]["edges"]), tuple(plain[k]["values"])) for k in ("p0", "p1"))
        return cls(p0, p1, plain["slope"], plain["offset"])


def venn_abers(scores: Floats, truth: npt.NDArray[Any]) -> VennAbers:
    """Fit on calibration rows: scores (the model's probabilities) and what happened (0 or 1).

    Exact, and linear once sorted (Vovk, Petej & Fedorova 2015, algorithms 1 and 2).
    """
    distinct, place = np.unique(scores, return_inverse=True)
    weight = np.bincount(place).astype(float)
    total = np.bincount(place, truth.astype(float)).astype(float)
    one = [*_labelled_one(weight, total), 1.0]
    zero = [0.0, *(1 - value for value in reversed(_labelled_one(weight[::-1], (weight - total)[::-1])))]
    slope, offset = platt(scores, truth)
    return VennAbers(Steps.through(distinct, np.array(zero)), Steps.through(distinct, np.array(one)), slope, offset)


def _labelled_one(weight: Floats, total: Floats) -> list[float]:
    """For each distinct score, ascending, the isotonic value of a new row labelled 1 there (or just below it).

    The value is a slope of the greatest convex minorant of the cumulative sums. The new row starts before all others,
    as the step from (-1, -1) to (0, 0), and moves right past one score at a time; only corners left of it change.
    """
    points = list(zip(np.cumsum(weight).tolist(), np.cumsum(total).tolist(), strict=True))
    corners: list[tuple[float, float]] = []
    for point in [(-1.0, -1.0), (0.0, 0.0), *points]:
        while len(corners) > 1 and _turn(corners[-2], corners[-1], point) <= 0:
            corners.pop()
        corners.append(point)
    stack = corners[::-1]
    before, here, slopes = (-1.0, -1.0), (0.0, 0.0), []
    for after in points:
        (x0, y0), (x1, y1) = stack[-1], stack[-2]
        slopes.append((y1 - y0) / (x1 - x0))
        moved = (before[0] + after[0] - here[0], before[1] + after[1] - here[1])
        if _turn(stack[-1], stack[-2], moved) < 0:
            stack.pop()
            while len(stack) > 1 and _turn(moved, stack[-1], stack[-2]) <= 0:
                stack.pop()
            stack.append(moved)
        before, here = moved, after
    return slopes


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    """Above 0 where the path a, b, c turns left."""
    return (b[0] - a[0]) * (c[1] - b[1]) - (b[1] - a[1]) * (c[0] - b[0])


def sigmoid(log_odds: Floats) -> Floats:
    """Probability from log-odds, without overflow."""
    return np.exp(-np.logaddexp(0.0, -log_odds))


def log_odds(probability: Floats) -> Floats:
    """Log-odds from probability; 0 and 1 are taken as a little inside."""
    p = np.clip(probability, 1e-9, 1 - 1e-9)
    return np.log(p) - np.log1p(-p)


def platt(scores: Floats, truth: npt.NDArray[Any]) -> tuple[float, float]:
    """(slope, offset) on log-odds that fit best, by Newton's method; the slope stays above 0.

    Labels are smoothed as Platt (1999) does, so that few rows give no certainty.
    """
    positives = float(truth.sum())
    high, low = (positives + 1) / (positives + 2), 1 / (len(truth) - positives + 2)
    wanted = np.where(truth.astype(bool), high, low)
    design = np.column_stack([log_odds(scores), np.ones(len(scores))])
    weights = np.array([1.0, 0.0])
    for _ in range(50):
        p = sigmoid(design @ weights)
        gradient = design.T @ (p - wanted) + 1e-3 * (weights - [1.0, 0.0])
        curvature = (design * (p * (1 - p))[:, None]).T @ design + 1e-3 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - np.clip(step, -2.0, 2.0)
        if np.abs(step).max() < 1e-9:
            break
    return max(float(weights[0]), 1e-3), float(weights[1])


def temperature(probabilities: Floats, truth: npt.NDArray[np.int64]) -> float:
    """The power to raise class probabilities to (then normalise) that fits best, found by halving in [0.1, 3].

    ``truth`` holds columns; rows with -1 are left out.
    """
    known = truth >= 0
    logs, columns = np.log(np.clip(probabilities[known], 1e-12, 1.0)), truth[known]
    if not len(columns):
        return 1.0

    def slope(power: float) -> float:
        p = tempered(probabilities[known], power)
        return float(np.sum((p * logs).sum(axis=1) - logs[np.arange(len(columns)), columns]))

    low, high = 0.1, 3.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if slope(middle) > 0 else (middle, high)
    return round((low + high) / 2, 6)


def tempered(probabilities: Floats, power: float) -> Floats:
    """Class probabilities raised to a power and normalised."""
    logs = power * np.log(np.clip(probabilities, 1e-12, 1.0))
    p = np.exp(logs - logs.max(axis=1, keepdims=True))
    normalised: Floats = p / p.sum(axis=1, keepdims=True)
    return normalised
