"""Categories as what usually came of them, learnt out of time.

A category of many values says little by its name, but much by how its rows have ended. What a row may know of that is
what was over by its own cutoff: a training row at cutoff c is told of the rows of its category whose label window was
complete by c; rows to be predicted are told of all training rows. Where no window was complete by any cutoff, as where
there is one cutoff only, time cannot part the rows: each is then told of the entities of the other folds.
(Micci-Barreca 2001; the out-of-time order is that of Prokhorenkova et al. 2018.)

What is told is by how many standard deviations the category's mean, shrunk, differs from the mean of all rows known by
then, in coarse steps. A plain mean would move with the times, and its exact value would give away the cutoff or the
fold, and with it what came of the row's neighbours. Only among a thousand cutoffs and more are the steps fine.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.encoding.encoders import Column, Values, codes_of, texts
from penstock.learning.rows.dataset import Rows, hashed
from penstock.window import Instants

Floats: TypeAlias = npt.NDArray[np.float64]

MOST_RATED = 10_000
FOLDS = 5
LEAST = 0.003
_FINE, _COARSE = 2.0**16, 2.0**8
_LIMIT = 1000.0
_WEAKEST, _STRONGEST = 1.0, 1e6
_REVISIONS = 12
_COARSE_STEPS, _FINE_STEPS, _MANY_CUTOFFS = 32, 1024, 1000
_TINY = 2.0**-7


@dataclass(frozen=True)
class Past:
    """What came of training rows, and when it was known.

    ``truth`` has a column an outcome (yes or no as 1 and 0, numbers on a scale that keeps them within ±1000);
    a row's is complete ``horizon`` microseconds after its ``cutoff``. ``fold`` parts the entities where time cannot.
    """

    truth: Floats
    cutoff: Instants
    horizon: int
    fold: Rows

    @classmethod
    def of(cls, truth: Floats, cutoff: Instants, horizon: int, entity: Any) -> Past:
        """The past of these rows, with a fold for each entity by its hash."""
        return cls(truth, cutoff, horizon, (hashed(entity, 0) % np.uint64(FOLDS)).astype(np.int64))

    def bears_out(self, outcome: int, told: Values) -> bool:
        """Whether what rows were told explains at least `LEAST` of how their outcome differs within their cutoff."""
        place = np.unique(self.cutoff, return_inverse=True)[1]
        if place.max(initial=-1) + 1 > len(place) / 2:  # rows with times of their own
            place = np.zeros(len(place), np.int64)
        known = np.nan_to_num(told.astype(float))
        first, second = (_centred(part, place) for part in (known, self.truth[:, outcome]))
        across, sizes = float((first * second).sum()), float((first**2).sum() * (second**2).sum())
        return across > 0 and across**2 >= LEAST * sizes

    def known_before(self) -> tuple[Rows, Rows]:
        """Each row's place among the cutoffs, and for each cutoff how many of the oldest were complete by then.

        A row is never complete at its own cutoff, however short the horizon.
        """
        cutoffs, place = np.unique(self.cutoff, return_inverse=True)
        return place, np.searchsorted(cutoffs, cutoffs - max(self.horizon, 1), side="right")


@dataclass(frozen=True)
class Rate:
    """A category as what usually came of it: how far its rows' mean of outcome number ``outcome`` is from all rows'.

    0 for a category never seen; ``null`` is NULL's own.
    """

    feature: str
    outcome: int
    values: tuple[str, ...]
    rates: tuple[float, ...]
    null: float
    kind = "rate"

    def encode(self, column: Column) -> Values:
        """The rate of each row's category; never NaN."""
        return np.array((0.0, *self.rates, self.null), np.float32)[_places(column, self.values)]


def rates(feature: str, column: Column, values: list[str], past: Past) -> Iterator[tuple[Rate, Values]]:
    """For each outcome the encoder, and its column for the training rows: what each was allowed to know.

    ``values`` are the categories worth telling apart. 0 for rows before which nothing was complete.
    """
    told = tuple(values[:MOST_RATED])
    code = _places(column, told)
    known = past.known_before()
    by_time = bool(known[1].any())
    for outcome in range(past.truth.shape[1]):
        truth = np.clip(past.truth[:, outcome], -_LIMIT, _LIMIT)
        tally = _Tally.of(code, len(told) + 2, truth, *known)
        own = tally.by_time() if by_time else _by_fold(code, len(told) + 2, truth, past.fold)
        final = tally.rates(tally.cutoffs)
        yield Rate(feature, outcome, told, tuple(final[1:-1].tolist()), float(final[-1])), own


def _centred(numbers: Floats, group: Rows) -> Floats:
    means = np.bincount(group, weights=numbers) / np.maximum(np.bincount(group), 1)
    centred: Floats = numbers - means[group]
    return centred


def _places(column: Column, values: tuple[str, ...]) -> Rows:
    """1, 2, … for the values, 0 for any other, and one more than the last for NULL."""
    codes = codes_of(texts(column), values)
    codes[np.isnan(codes)] = len(values) + 1
    return codes.astype(np.int64)


@dataclass(frozen=True)
class _Tally:
    """Running sums of the target by category and cutoff. Whole numbers, so that no order of rows shows in them."""

    code: Rows
    place: Rows
    until: Rows
    count: int
    keys: Rows
    sums: Rows
    squares: Rows
    cutoffs: int

    @classmethod
    def of(cls, code: Rows, count: int, truth: Floats, place: Rows, until: Rows) -> _Tally:
        """The tally of rows of these categories (of ``count``), at these cutoffs."""
        keys = code * (len(until) + 1) + place
        order = np.argsort(keys, kind="stable")
        fine = np.round(truth * _FINE).astype(np.int64)[order]
        coarse = np.round(truth * _COARSE).astype(np.int64)[order]
        return cls(code, place, until, count, keys[order], _running(fine), _running(coarse**2), len(until))

    def upto(self, code: Rows, until: Rows | int) -> tuple[Floats, Floats, Floats]:
        """Of each category the rows, the sum and the sum of squares at the first ``until`` cutoffs."""
        start = np.searchsorted(self.keys, code * (self.cutoffs + 1))
        end = np.searchsorted(self.keys, code * (self.cutoffs + 1) + until)
        sums, squares = self.sums[end] - self.sums[start], self.squares[end] - self.squares[start]
        return (end - start).astype(float), sums / _FINE, squares / _COARSE**2

    def rates(self, until: int) -> Floats:
        """The rate of each category, from the first ``until`` cutoffs; the first is what stands for all others."""
        counts = self.upto(np.arange(self.count), until)
        rows, mean, spread = _moments(*(part.sum() for part in counts))
        far = _far(counts[0], counts[1], mean, spread, strength(*(part[1:] for part in counts)))
        return np.where((np.arange(self.count) > 0) & (rows > 0), self.stepped(far), 0.0)

    def stepped(self, far: Floats) -> Floats:
        """Rounded, the more coarsely the fewer cutoffs there are."""
        steps = _FINE_STEPS if self.cutoffs > _MANY_CUTOFFS else _COARSE_STEPS
        return np.round(far * steps) / steps + 0.0

    def by_time(self) -> Values:
        """What each row was allowed to know; how much to shrink is revised at a few cutoffs only."""
        every = np.arange(self.count)
        revised = np.unique(np.linspace(0, self.cutoffs - 1, _REVISIONS).astype(np.int64))
        strengths = np.array([strength(*(p[1:] for p in self.upto(every, self.until[at]))) for at in revised])
        latest = strengths[np.searchsorted(revised, np.arange(self.cutoffs), side="right") - 1]
        rows, mean, spread = (part[self.place] for part in _moments(*self._totals()))
        counts, sums, _ = self.upto(self.code, self.until[self.place])
        far = _far(counts, sums, mean, spread, latest[self.place])
        return np.where((self.code > 0) & (rows > 0), self.stepped(far), 0.0).astype(np.float32)

    def _totals(self) -> tuple[Floats, Floats, Floats]:
        """For each cutoff the rows complete by then, their sum and sum of squares."""
        place = self.keys % (self.cutoffs + 1)
        order = np.argsort(place, kind="stable")
        rows = np.searchsorted(place[order], self.until)
        sums, squares = (_running(np.diff(part)[order])[rows] for part in (self.sums, self.squares))
        return rows.astype(float), sums / _FINE, squares / _COARSE**2


def _moments(rows: Any, sums: Any, squares: Any) -> tuple[Any, Any, Any]:
    """How many rows, their mean and standard deviation."""
    mean = sums / np.maximum(rows, 1.0)
    return rows, mean, np.sqrt(np.maximum(squares / np.maximum(rows, 1.0) - mean**2, 0.0))


def _far(counts: Floats, sums: Floats, mean: Any, spread: Any, strength: Any) -> Floats:
    """How many standard deviations each mean, shrunk by so many rows of the common one, is from it."""
    far: Floats = (sums - counts * mean) / (counts + strength) / np.maximum(spread, _TINY)
    return far


def _running(numbers: Rows) -> Rows:
    return np.concatenate([[0], np.cumsum(numbers, dtype=np.int64)])


def strength(counts: Floats, sums: Floats, squares: Floats) -> float:
    """How many rows of its own a category needs to count as much as all others do (empirical Bayes).

    The variance within categories by that between them, both from the analysis of variance; where categories differ
    no more than chance makes them, a million.

    >>> strength(np.array([4.0, 4.0]), np.array([0.0, 4.0]), np.array([0.0, 4.0]))
    1.0
    >>> strength(np.array([4.0, 4.0]), np.array([2.0, 2.0]), np.array([2.0, 2.0]))
    1000000.0
    """
    held = counts > 0
    counts, sums, squares = counts[held], sums[held], squares[held]
    rows, groups = counts.sum(), len(counts)
    spread = rows - (counts**2).sum() / max(rows, 1.0)
    if groups < 2 or rows <= groups or spread <= 0:
        return _STRONGEST
    means = sums / counts
    within = max(0.0, float((squares - sums * means).sum() / (rows - groups)))
    between = float(((counts * (means - sums.sum() / rows) ** 2).sum() - (groups - 1) * within) / spread)
    return float(np.clip(within / between, _WEAKEST, _STRONGEST)) if between > 0 else _STRONGEST


def _by_fold(code: Rows, count: int, truth: Floats, fold: Rows) -> Values:
    """What the entities of the other folds say of each row's category."""
    found = np.zeros(len(code), np.float32)
    for number in range(FOLDS):
        mine = fold == number
        others = _Tally.of(code[~mine], count, truth[~mine], np.zeros((~mine).sum(), np.int64), np.zeros(1, np.int64))
        found[mine] = others.rates(1)[code[mine]]
    return found
