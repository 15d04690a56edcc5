"""Intervals around predicted numbers that hold nine in ten, from rows that training never saw.

Split conformal prediction (Lei et al. 2018) within bins of the prediction (Mondrian), so that the interval is wide
where errors are large. In each bin it is the shortest of several: both tails are free (many zeros need no lower tail),
and the bounds may be the label's own or those of the error, plain or relative. Choosing the shortest flatters, and a
count can only be held by whole steps; both are mended by the level at which every bin is fitted, chosen so that rows
left out of the fit are covered nine times in ten.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.fitting.scale import bent, straight, unit_of

Floats: TypeAlias = npt.NDArray[np.float64]
Groups: TypeAlias = npt.NDArray[np.int64]
Cells: TypeAlias = tuple[tuple[float, ...], ...]

COVERAGE = 0.9
WAYS = LABEL, ERROR, RELATIVE = 0, 1, 2
"""What a bin's bounds are: the label's own values, or the error, plain or on a logarithmic scale. The labels' own hold
even if a later model is off by a little everywhere, so another way must be narrower by a tenth."""

_ROWS_PER_BIN = 100
_MOST_BINS = 10
_TAILS = np.linspace(0.0, 1.0, 11)
_LEVELS = np.round(np.arange(0.80, 0.995, 0.01), 2)
_FOLDS = 5
_FEWEST = 10
_ENOUGH = 1_000  # calibration rows from which on the newest window is better alone than with an older one beside it
_LOOKED_AT = 200
_AIM = 0.91  # a little more: new rows come later, and models were chosen by how well they did on the rows at hand
_MANY = 8  # whole numbers from which on an error can be told apart from a label
_TOO_FEW = 1.5  # how much worse it is to cover too few rows than too many


@dataclass(frozen=True)
class Conformal:
    """Intervals around predicted numbers.

    Bins of the prediction per ``group`` (such as the step of a forecast): ``edges`` separate them. In each bin the
    bounds ``below`` and ``above`` are one of `WAYS`, a logarithmic scale having ``unit``. ``spread`` is the reach of
    the label itself, against which confidence is measured; ``least`` and ``most`` are bounds that the label never
    crosses; ``whole`` says that it is always a whole number, as the bounds then are.
    """

    edges: Cells
    ways: Cells
    below: Cells
    above: Cells
    unit: float
    spread: float
    least: float | None = None
    most: float | None = None
    whole: bool = False

    def interval(self, prediction: Floats, group: Groups | None = None) -> tuple[Floats, Floats]:
        """(low, high) with low <= prediction <= high. A group beyond those seen takes the last one's bins."""
        groups = np.zeros(len(prediction), np.int64) if group is None else np.clip(group, 0, len(self.edges) - 1)
        low, high = np.empty(len(prediction)), np.empty(len(prediction))
        for number in np.unique(groups):
            rows = groups == number
            cell = np.searchsorted(np.array(self.edges[number]), prediction[rows], "right")
            way = np.array(self.ways[number], np.int64)[cell]
            below, above = (np.array(cells[number])[cell] for cells in (self.below, self.above))
            low[rows], high[rows] = self.around(prediction[rows], way, below, above)
        return low, high

    def around(self, prediction: Floats, way: Groups, below: Floats, above: Floats) -> tuple[Floats, Floats]:
        """(low, high) of each prediction by its own way and bounds."""
        low, high = (self.within(moved(prediction, by, way, self.unit)) for by in (below, above))
        if self.whole:
            inner = np.ceil(low - 1e-9), np.floor(high + 1e-9)
            some = inner[0] <= inner[1]  # whether a whole number lies inside; if not, the nearest on either side
            low, high = np.where(some, inner[0], np.floor(low)), np.where(some, inner[1], np.ceil(high))
        return np.minimum(low, prediction), np.maximum(high, prediction)

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
        return cls(edges, ways, below, above, *(plain[k] for k in ("unit", "spread", "least", "most", "whole")))


def moved(prediction: Floats, by: Floats, way: Groups | int, unit: float) -> Floats:
    """A bound: the label itself, or the prediction moved by an error, plain or relative."""
    relative = straight(bent(prediction, unit) + by, unit)
    return np.where(np.equal(way, LABEL), by, np.where(np.equal(way, ERROR), prediction + by, relative))


# ---------------------------------------------------------------- fitting


@dataclass(frozen=True)
class _Form:
    """How a bin's interval is shaped: the way, and which share of what may lie outside lies below."""

    way: int
    tail: float

    def bounds(self, sizes: Floats, level: float) -> tuple[float, float]:
        """(below, above) that hold a share ``level`` of the sorted sizes, and of a new one."""
        count = min(len(sizes), int(np.ceil((len(sizes) + 1) * level)))
        first = round(self.tail * (len(sizes) - count))
        return float(sizes[first]), float(sizes[first + count - 1])


def conformal(
    prediction: Floats, truth: Floats, labels: Floats, group: Groups | None = None, cutoff: Groups | None = None
) -> Conformal:
    """Fit on calibration rows. ``labels`` are all that is known of the target: its spread and where it never goes.

    Where the rows are of several windows (by ``cutoff``), the newest that are enough are fitted to, at the level at
    which each window is covered by what the others give. The order of the rows does not matter.
    """
    groups = np.zeros(len(truth), np.int64) if group is None else group
    bare, cutoffs = _bare(labels), np.zeros(len(truth), np.int64) if cutoff is None else cutoff
    level = _level(bare, _parts(prediction, truth, groups, cutoffs))
    rows = newest(cutoffs, groups)
    return _fitted(bare, _parts(prediction[rows], truth[rows], groups[rows], cutoffs[rows]), level)


def newest(cutoff: Groups, group: Groups | None = None) -> Groups:
    """The rows of the newest windows that together have enough rows (in each group) to calibrate on."""
    if not len(cutoff):
        return np.zeros(0, np.int64)
    wanted = _ENOUGH * (1 if group is None else len(np.unique(group)))
    times, counts = np.unique(cutoff, return_counts=True)
    enough = np.cumsum(counts[::-1]) >= wanted
    first = times[::-1][int(np.argmax(enough))] if enough.any() else times[0]
    return np.flatnonzero(cutoff >= first)


@dataclass(frozen=True)
class _Part:
    """The rows of one group, in an order that does not depend on the one they came in; ``fold`` parts them."""

    prediction: Floats
    truth: Floats
    fold: Groups

    def take(self, rows: Groups) -> _Part:
        return _Part(self.prediction[rows], self.truth[rows], self.fold[rows])


def _parts(prediction: Floats, truth: Floats, groups: Groups, cutoff: Groups) -> list[_Part]:
    """The rows by group. Folds are windows, those with few rows apart together with the next; or rows in turn."""
    times, counts = np.unique(cutoff, return_counts=True)
    window = (np.cumsum(counts) - counts) // max(_ENOUGH, -(-len(cutoff) // _FOLDS))
    fold = window[np.searchsorted(times, cutoff)]
    order = np.lexsort((truth, prediction, groups))
    turns = np.arange(len(truth)) % _FOLDS if len(np.unique(fold)) < 2 else fold[order]
    whole = _Part(prediction[order], truth[order], turns)
    return [whole.take(np.flatnonzero(groups[order] == g)) for g in range(int(groups.max()) + 1)]


def _bare(labels: Floats) -> Conformal:
    """Intervals without bins, that know what labels can be."""
    spread = float(np.subtract(*np.quantile(labels, [0.95, 0.05]))) or float(np.ptp(labels)) or 1.0
    least = 0.0 if labels.min() >= 0 else None
    most = 1.0 if least is not None and labels.max() <= 1 else 0.0 if labels.max() <= 0 else None
    whole = bool(np.all(labels == np.round(labels)))
    return Conformal((), (), (), (), unit_of(labels), spread, least, most, whole)


def _fitted(bare: Conformal, parts: list[_Part], level: float) -> Conformal:
    """Bins of each group, each with the interval of its rows at a level."""
    binned = [_bins(part.prediction) for part in parts]
    edges = tuple(tuple(cuts.tolist()) for cuts, _ in binned)
    found = [
        [_interval(bare, part.prediction[rows], part.truth[rows], level) for rows in cells]
        for part, (_, cells) in zip(parts, binned, strict=True)
    ]
    ways, below, above = (tuple(tuple(cell[i] for cell in group) for group in found) for i in range(3))
    return replace(bare, edges=edges, ways=ways, below=below, above=above)


def _bins(prediction: Floats) -> tuple[Floats, list[Groups]]:
    """The edges of equally filled bins of the prediction, and the rows of each; all rows for a bin without any."""
    bins = int(np.clip(len(prediction) // _ROWS_PER_BIN, 1, _MOST_BINS))
    edges = np.unique(np.quantile(prediction, np.arange(1, bins) / bins)) if bins > 1 else np.zeros(0)
    cell = np.searchsorted(edges, prediction, "right")
    cells = [np.flatnonzero(cell == c) for c in range(len(edges) + 1)]
    return edges, [rows if len(rows) else np.arange(len(prediction)) for rows in cells]


def _interval(bare: Conformal, prediction: Floats, truth: Floats, level: float) -> tuple[int, float, float]:
    """(way, below, above) of the narrowest interval of a bin at a level."""
    if not len(truth):
        return ERROR, 0.0, 0.0
    sizes = _sizes(prediction, truth, bare.unit)
    form = _narrowest(bare, prediction, sizes)
    return form.way, *form.bounds(sizes[form.way], level)


def _sizes(prediction: Floats, truth: Floats, unit: float) -> dict[int, Floats]:
    """What is bounded, by way, sorted."""
    relative = bent(truth, unit) - bent(prediction, unit)
    return {way: np.sort(size) for way, size in zip(WAYS, (truth, truth - prediction, relative), strict=True)}


def _narrowest(bare: Conformal, prediction: Floats, sizes: Mapping[int, Floats]) -> _Form:
    """The shape with the narrowest interval; of a few whole numbers always the label's own."""
    some = prediction[:: -(-len(prediction) // _LOOKED_AT)]
    few = bare.whole and sizes[LABEL][round(0.95 * (len(prediction) - 1))] - sizes[LABEL][0] < _MANY
    forms = _FORMS[: len(_TAILS)] if few else _FORMS
    ends = [form.bounds(sizes[form.way], COVERAGE) for form in forms]
    low, high = _each(bare, some, [form.way for form in forms], ends)
    widths = (high - low).mean(axis=1) * [1.0 if form.way == LABEL else 1.1 for form in forms]
    return forms[int(np.argmin(widths))]


_FORMS = tuple(_Form(way, float(tail)) for way in WAYS for tail in _TAILS)


def _each(
    bare: Conformal, prediction: Floats, ways: Sequence[int], ends: Sequence[tuple[float, float]]
) -> tuple[Floats, Floats]:
    """(low, high) of each prediction by each way and its ends: ways × predictions."""
    shape = (len(ways), len(prediction))
    below, above = (np.repeat(np.array(end), shape[1]) for end in zip(*ends, strict=True))
    found = bare.around(np.tile(prediction, shape[0]), np.repeat(np.array(ways), shape[1]), below, above)
    return found[0].reshape(shape), found[1].reshape(shape)


def _level(bare: Conformal, parts: list[_Part]) -> float:
    """The level of fit at which rows left out of it are covered as often as promised; the nearest there is."""
    covered, rows = np.zeros(len(_LEVELS)), 0
    for part in parts:
        for cell in _bins(part.prediction)[1]:
            found = _left_out(bare, part.take(cell))
            covered, rows = covered + found[0], rows + found[1]
    off = covered / max(1, rows) - _AIM
    off = np.where(off < 0, -_TOO_FEW * off, off)
    return float(_LEVELS[np.lexsort((np.abs(_LEVELS - COVERAGE), np.round(off, 3)))[0]])


def _left_out(bare: Conformal, part: _Part) -> tuple[Floats, int]:
    """How many rows of a bin are covered, at each level, by the interval that the other folds give; of how many."""
    covered, rows = np.zeros(len(_LEVELS)), 0
    for number in np.unique(part.fold):
        out, rest = (part.take(np.flatnonzero(mask)) for mask in (part.fold == number, part.fold != number))
        if len(rest.truth) < _FEWEST:
            continue
        sizes = _sizes(rest.prediction, rest.truth, bare.unit)
        form = _narrowest(bare, rest.prediction, sizes)
        ends = [form.bounds(sizes[form.way], level) for level in _LEVELS]
        low, high = _each(bare, out.prediction, [form.way] * len(ends), ends)
        covered += np.sum((out.truth >= low) & (out.truth <= high), axis=1)
        rows += len(out.truth)
    return covered, rows
