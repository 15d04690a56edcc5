"""Whether a column knows what came after: what it says of the future beyond the past, and what it makes of the two.

A cause and an effect of activity both go with it, so that going with the future proves nothing. What tells them apart
is what happens when the column is held still. Past and future go together because both have a cause in common; hold
an honest cause still and they go together less, down to not at all. A column that was *made from* both is a collider
(Pearl 2009, section 1.2): hold it still and they move against each other, for what the past did not contribute the
future must have. An honest column never does that, however strong.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from penstock.learning.calibration.calibrate import Floats
from penstock.learning.leaks.activity import Stream, Watched
from penstock.learning.rows.dataset import Rows as Places

MOST_COMPARED = 5_000
FEWEST_COMPARED = 100
_QUANTILES = (0.3, 0.55, 0.8)
_RIDGE = 1e-9


@dataclass(frozen=True)
class Sight:
    """What a column says of one stream of rows, around one cutoff inside the data.

    ``forward`` is the partial correlation with the count of later rows, given the count of earlier ones and the row's
    age; ``backward`` the same with the two exchanged. ``together`` is the correlation of the two counts given age,
    ``held`` the one given the column as well. ``rows`` is how many were compared.
    """

    stream: str
    forward: float
    backward: float
    together: float
    held: float
    rows: int

    @property
    def collides(self) -> float:
        """How many standard errors the held correlation lies below zero; 0 where counts do not go together anyway."""
        return -self.held * float(np.sqrt(self.rows)) if self.together >= 0.1 and self.held < 0 else 0.0


@dataclass(frozen=True)
class Around:
    """A stream around a cutoff, prepared for looking at any number of columns: ranks of counts, and what is given."""

    stream: str
    places: Places
    age: Floats
    past: Floats
    future: Floats

    def sight(self, values: Floats, *, categories: bool) -> Sight | None:
        """What a column says; None where it does not vary among the compared rows."""
        values = values[self.places]
        if values.min() == values.max():
            return None
        column = _basis(values, 40, linear=not categories)
        held = _left(self._counts, np.column_stack([self._aged, column]))
        return Sight(
            self.stream,
            _gain(self._counts[:, 1], self._after_past, column),
            _gain(self._counts[:, 0], self._after_future, column),
            self._together,
            correlation(held[:, 0], held[:, 1]),
            len(values),
        )

    @cached_property
    def _counts(self) -> Floats:
        return np.column_stack([ranks(self.past), ranks(self.future)])

    @cached_property
    def _aged(self) -> Floats:
        return np.column_stack([np.ones(len(self.age)), _basis(self.age, 8)])

    @cached_property
    def _after_past(self) -> Floats:
        return np.column_stack([self._aged, _basis(self.past, 8)])

    @cached_property
    def _after_future(self) -> Floats:
        return np.column_stack([self._aged, _basis(self.future, 8)])

    @cached_property
    def _together(self) -> float:
        left = _left(self._counts, self._aged)
        return correlation(left[:, 0], left[:, 1])


def around(watched: Watched, stream: Stream) -> list[Around]:
    """The stream around three cutoffs; rows count from when they were born, or from the first that happened to them."""
    if len(stream.when) < FEWEST_COMPARED:
        return []
    many, found = len(watched), []
    born = stream.first(many) if watched.born is None else watched.born
    for quantile in _QUANTILES:
        cutoff = int(np.quantile(stream.when, quantile))
        places = np.flatnonzero(born <= cutoff)[:MOST_COMPARED]
        past, future = (c[places] for c in (stream.count(many, None, cutoff), stream.count(many, cutoff)))
        if len(places) >= FEWEST_COMPARED and min(np.ptp(past), np.ptp(future)) > 0:
            age = (cutoff - born[places]).astype(np.float64)
            found.append(Around(stream.table, places, age, past, future))
    return found


def ranks(values: Floats) -> Floats:
    """Mid-ranks with mean 0 and variance 1 (all 0 where nothing varies).

    >>> ranks(np.array([1.0, 5.0, 5.0])).round(2).tolist()
    [-1.41, 0.71, 0.71]
    """
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    middle = np.cumsum(count) - (count + 1) / 2
    centred: Floats = middle[place] - middle[place].mean()
    spread = centred.std()
    return centred / spread if spread > 0 else centred


def correlation(first: Floats, second: Floats) -> float:
    """Pearson's, of centred values; 0 where one does not vary."""
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / scale if scale > 1e-9 * len(first) else 0.0


def rank_correlation(first: Floats, second: Floats) -> float:
    """Spearman's; 0 where one does not vary."""
    return correlation(ranks(first), ranks(second))


def _basis(values: Floats, most: int, *, linear: bool = True) -> Floats:
    """A column as indicators of its values, or of its quantiles if there are many, beside its rank."""
    levels = np.unique(values)
    if len(levels) > most:
        levels = np.unique(np.quantile(values, np.linspace(0, 1, 13)[1:-1], method="lower"))
    code = np.searchsorted(levels, values, side="left")
    indicators: Floats = (code[:, None] == np.unique(code)[None, 1:]).astype(np.float64)
    return np.column_stack([indicators, ranks(values)]) if linear else indicators


def _left(targets: Floats, given: Floats) -> Floats:
    """What a linear regression on the given columns leaves of the targets."""
    gram = given.T @ given
    gram[np.diag_indices_from(gram)] += _RIDGE * len(targets)
    left: Floats = targets - given @ np.linalg.solve(gram, given.T @ targets)
    return left


def _gain(target: Floats, given: Floats, column: Floats) -> float:
    """The partial correlation ratio: the root of the share of what is left that the column explains, adjusted."""
    both = np.column_stack([given, column])
    before, after = (float(r @ r) for r in (_left(target, given), _left(target, both)))
    size, free = len(target), len(target) - both.shape[1]
    if before <= 1e-9 * size or free <= 0:
        return 0.0
    return float(np.sqrt(max(0.0, 1 - (after / free) / (before / (size - given.shape[1])))))
