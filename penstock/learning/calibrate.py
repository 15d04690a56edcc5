"""Intervals that mean what they say, from rows that training never saw.

Probabilities: inductive Venn-Abers predictors (Vovk, Petej & Fedorova 2015). For each new score, isotonic regression
is fitted to the calibration rows plus that score once labelled 0 and once labelled 1; the two values bound the
probability. Numbers: split conformal prediction (Lei et al. 2018) on signed residuals, within bins of the prediction
(Mondrian), so that the interval is wide where errors are large. Both hold whatever the model, as long as calibration
rows and new rows are exchangeable; calibration rows are therefore the newest that training leaves out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.scale import bent, straight, unit_of

Floats: TypeAlias = npt.NDArray[np.float64]

COVERAGE = 0.9
_TIE_BREAK = 0.01
_ROWS_PER_BIN = 100
_MOST_BINS = 10


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


# ---------------------------------------------------------------- numbers


Cells: TypeAlias = tuple[tuple[float, ...], ...]


@dataclass(frozen=True)
class Conformal:
    """Intervals around predicted numbers.

    Bins of the prediction per ``group`` (such as the step of a forecast): ``edges`` separate them. In each bin the
    bounds ``below`` and ``above`` are one of `WAYS`: the labels' own quantiles, or those of the error, plain or on a
    logarithmic scale with ``unit``. ``spread`` is the reach of the label itself, against which confidence is measured;
    ``least`` and ``most`` are bounds that the label never crosses.
    """

    edges: Cells
    ways: Cells
    below: Cells
    above: Cells
    unit: float
    spread: float
    least: float | None = None
    most: float | None = None

    def interval(self, prediction: Floats, group: npt.NDArray[np.int64] | None = None) -> tuple[Floats, Floats]:
        """(low, high) with low <= prediction <= high. A group beyond those seen takes the last one's bins."""
        groups = np.zeros(len(prediction), np.int64) if group is None else np.clip(group, 0, len(self.edges) - 1)
        low, high = np.empty(len(prediction)), np.empty(len(prediction))
        for number in np.unique(groups):
            rows = groups == number
            cell = np.searchsorted(np.array(self.edges[number]), prediction[rows], "right")
            way = np.array(self.ways[number], np.int64)[cell]
            for bound, cells in ((low, self.below), (high, self.above)):
                bound[rows] = self._moved(prediction[rows], np.array(cells[number])[cell], way)
        return np.minimum(self.within(low), prediction), np.maximum(self.within(high), prediction)

    def _moved(self, prediction: Floats, by: Floats, way: npt.NDArray[np.int64]) -> Floats:
        relative = straight(bent(prediction, self.unit) + by, self.unit)
        return np.select([way == LABEL, way == ERROR], [by, prediction + by], relative)

    def within(self, values: Floats) -> Floats:
        """Values moved to where the label can be."""
        least = -np.inf if self.least is None else self.least
        return np.clip(values, least, np.inf if self.most is None else self.most)

    def confidence(self, low: Floats, high: Floats) -> Floats:
        """1 - width of the interval relative to the label's spread, in [0, 1]."""
        return np.clip(1 - (high - low) / self.spread, 0.0, 1.0)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Conformal:
        """What `to_dict` wrote."""
        edges, ways, below, above = (tuple(map(tuple, plain[k])) for k in ("edges", "ways", "below", "above"))
        return cls(edges, ways, below, above, *(plain[k] for k in ("unit", "spread", "least", "most")))


WAYS = LABEL, ERROR, RELATIVE = 0, 1, 2
"""What a bin's bounds are quantiles of. The labels' own hold even if a later model is off by a little everywhere, so
another way must be narrower by a tenth."""


def conformal(
    prediction: Floats, truth: Floats, labels: Floats, group: npt.NDArray[np.int64] | None = None
) -> Conformal:
    """Fit on calibration rows. ``labels`` are all that is known of the target: its spread and where it never goes."""
    groups = np.zeros(len(truth), np.int64) if group is None else group
    unit = unit_of(labels)
    parts = [_binned(prediction[groups == g], truth[groups == g], unit) for g in range(int(groups.max()) + 1)]
    edges, ways, below, above = zip(*parts, strict=True)
    spread = float(np.subtract(*np.quantile(labels, [0.95, 0.05]))) or float(np.ptp(labels)) or 1.0
    least = 0.0 if labels.min() >= 0 else None
    most = 1.0 if least is not None and labels.max() <= 1 else 0.0 if labels.max() <= 0 else None
    return Conformal(edges, ways, below, above, unit, spread, least, most)


def _binned(prediction: Floats, truth: Floats, unit: float) -> Cells:
    """(edges, ways, below, above) of equally filled bins of the prediction."""
    bins = int(np.clip(len(truth) // _ROWS_PER_BIN, 1, _MOST_BINS))
    edges = np.unique(np.quantile(prediction, np.arange(1, bins) / bins)) if bins > 1 else np.zeros(0)
    cell = np.searchsorted(edges, prediction, "right")
    cells = [np.flatnonzero(cell == c) for c in range(len(edges) + 1)]
    found = [_narrowest(*_rows(prediction, truth, rows), unit) for rows in cells]
    ways, below, above = zip(*found, strict=True)
    return tuple(edges.tolist()), ways, below, above


def _rows(prediction: Floats, truth: Floats, rows: npt.NDArray[np.int64]) -> tuple[Floats, Floats]:
    """The rows of a bin; all rows for a bin without any."""
    return (prediction[rows], truth[rows]) if len(rows) else (prediction, truth)


def _narrowest(prediction: Floats, truth: Floats, unit: float) -> tuple[int, float, float]:
    """(way, below, above) of the way with the narrowest intervals for these rows."""
    if not len(truth):
        return ERROR, 0.0, 0.0
    sizes = {LABEL: truth, ERROR: truth - prediction, RELATIVE: bent(truth, unit) - bent(prediction, unit)}
    bounds = {way: (-_upper(-size), _upper(size)) for way, size in sizes.items()}
    base = bent(prediction, unit)
    widths = {way: 1.1 * (high - low) for way, (low, high) in bounds.items()}
    widths[LABEL] /= 1.1
    widths[RELATIVE] = 1.1 * float(np.mean(np.subtract(*(straight(base + by, unit) for by in bounds[RELATIVE][::-1]))))
    way = min(WAYS, key=lambda w: widths[w])
    return way, *bounds[way]


def _upper(sizes: Floats) -> float:
    """The smallest of these that a new one exceeds with chance (1 - coverage) / 2 at most; the largest if too few."""
    place = int(np.ceil((len(sizes) + 1) * (1 + COVERAGE) / 2)) - 1
    return float(np.sort(sizes)[min(place, len(sizes) - 1)])
