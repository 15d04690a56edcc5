"""Linear models: a weighted sum of columns made comparable. With few rows, or where all is noise, hard to beat.

Numbers with long tails become logarithms, all are centred and scaled; a category has a column a value, and what is
often NULL one that says so. The weights are those of ridge regression and of logistic regression with an L2 penalty,
found here by Newton's method so that neither learning nor serving needs to load a library that takes seconds to
import; the tests compare them with scikit-learn's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.calibration.calibrate import sigmoid
from penstock.learning.encoding.matrix import Values
from penstock.learning.fitting.booster import Examples
from penstock.learning.fitting.models import softmax
from penstock.learning.fitting.scale import PLAIN, Scale, straight, unit_of

Floats: TypeAlias = npt.NDArray[np.float64]
Link: TypeAlias = Literal["none", "logistic", "softmax"]

_REACH = 5.0
"""Columns are cut off at so many deviations: a line must not run away with one odd value."""
_MOST_CODES = 20
_RARE = 0.01
_LONG_TAIL = 10.0
_STEPS = {"logistic": 25, "softmax": 200}
_DIGITS = 9
_ENOUGH = 1e-7
"""Fitting ends when a step lowers the mean loss by less."""


@dataclass(frozen=True)
class Terms:
    """The columns of a linear model, each from one column (``place``) of the matrix.

    ``numbers``: (place, unit of the logarithm or 0, mean, deviation). ``absent``: (place, share that is NULL).
    ``codes``: (place, code, share that has it). All are centred, so that 0 is the usual.
    """

    numbers: tuple[tuple[int, float, float, float], ...]
    absent: tuple[tuple[int, float], ...]
    codes: tuple[tuple[int, float, float], ...]

    @property
    def places(self) -> npt.NDArray[np.int64]:
        """The column of the matrix that each term comes from."""
        return np.array([term[0] for term in (*self.numbers, *self.absent, *self.codes)], np.int64)

    def design(self, values: Values) -> Floats:
        """Rows × terms."""
        parts = [_scaled(values, self.numbers), *self._flags(values)]
        return np.concatenate(parts, axis=1)

    def _flags(self, values: Values) -> tuple[Floats, Floats]:
        absent, codes = np.array(self.absent).reshape(-1, 2), np.array(self.codes).reshape(-1, 3)
        missing = np.isnan(values[:, absent[:, 0].astype(np.int64)]) - absent[:, 1]
        return missing, (values[:, codes[:, 0].astype(np.int64)] == codes[:, 1]) - codes[:, 2]

    @classmethod
    def of(cls, values: Values, categorical: tuple[int, ...]) -> Terms:
        """The terms worth having for these rows."""
        known = ~np.isnan(values)
        shares = 1 - known.mean(axis=0)
        numbers = [_number(place, values[known[:, place], place].astype(np.float64))
                   for place in range(values.shape[1]) if place not in categorical]  # fmt: skip
        patterns: dict[bytes, tuple[int, float]] = {}
        for place in np.flatnonzero((shares >= _RARE) & (shares <= 1 - _RARE)).tolist():
            patterns.setdefault(known[:, place].tobytes(), (place, round(float(shares[place]), _DIGITS)))
        codes = [code for place in categorical for code in _codes(place, values[:, place])]
        return cls(tuple(n for n in numbers if n is not None), tuple(patterns.values()), tuple(codes))


def _number(place: int, known: Floats) -> tuple[int, float, float, float] | None:
    if not len(known) or known.min() == known.max():
        return None
    middle, far = np.quantile(np.abs(known), [0.5, 0.99])
    unit = unit_of(known) if far > _LONG_TAIL * middle else 0.0
    bent = _bent(known, np.array(unit))
    deviation = float(bent.std())
    return (place, unit, _short(bent.mean()), _short(deviation)) if deviation > 1e-12 else None


def _codes(place: int, column: Values) -> list[tuple[int, float, float]]:
    found, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    shares = counts / max(1, len(column))
    common = [place for place in np.argsort(-counts, kind="stable")[:_MOST_CODES] if shares[place] >= _RARE]
    return [(place, float(found[c]), _short(shares[c])) for c in common]


def _scaled(values: Values, numbers: tuple[tuple[int, float, float, float], ...]) -> Floats:
    place, unit, mean, deviation = np.array(numbers).reshape(-1, 4).T
    bent = _bent(values[:, place.astype(np.int64)].astype(np.float64), unit)
    scaled: Floats = np.nan_to_num(np.clip((bent - mean) / deviation, -_REACH, _REACH), copy=False)
    return scaled


def _bent(numbers: Floats, unit: Floats) -> Floats:
    """Signed logarithms where the column's unit is not 0."""
    logs = np.sign(numbers) * np.log1p(np.abs(numbers) / np.where(unit > 0, unit, 1.0))
    bent: Floats = np.where(unit > 0, logs, numbers)
    return bent


def _short(number: float) -> float:
    """Nine digits: what is left of them is noise of the order in which a machine adds."""
    return float(f"{number:.{_DIGITS}g}")


@dataclass(frozen=True)
class Linear:
    """``weights`` has for each answer one weight a term, ``offsets`` what it starts from; ``link`` makes of their sum
    a probability, one a class, or (``none``) a number on ``scale``."""

    terms: Terms
    weights: tuple[tuple[float, ...], ...]
    offsets: tuple[float, ...]
    link: Link
    scale: Scale = PLAIN
    kind = "linear"

    def predict(self, values: Values, *, threads: int = 0) -> Floats:  # noqa: ARG002  the same for every model
        """A probability or number a row; with several classes one column each."""
        # not by BLAS, which sums a row in another order when it comes with others
        sums = np.einsum("ij,kj->ik", self.terms.design(values), np.array(self.weights))
        scores = sums + np.array(self.offsets)
        if self.link == "softmax":
            return softmax(scores)
        score = scores[:, 0]
        return sigmoid(score) if self.link == "logistic" else self.scale.back(score, values)

    def answer(self, score: Floats) -> Floats:
        """The answer to a row whose contributions sum to this score; not of classes."""
        return sigmoid(score) if self.link == "logistic" else straight(score, self.scale.unit)

    def contributions(self, values: Values, *, threads: int = 0) -> Floats:  # noqa: ARG002
        """Weight times what the row has more than usual, by column; exact, for the score is their sum."""
        design, places = self.terms.design(values), self.terms.places
        whole = np.zeros((len(values), len(self.weights), values.shape[1] + 1))
        for answer, weights in enumerate(self.weights):
            for term, part in enumerate(weights):
                whole[:, answer, places[term]] += design[:, term] * part
        whole[..., -1] = self.offsets
        for place, _ in self.scale.past:
            whole[:, 0, place] += self.scale.start(values) / len(self.scale.past)
        return whole if len(self.weights) > 1 else whole[:, 0]

    def importance(self, columns: int) -> Floats:
        """The size of each column's weights, times how much its terms vary."""
        varies = [1.0] * len(self.terms.numbers) + [
            (share * (1 - share)) ** 0.5 for *_, share in (*self.terms.absent, *self.terms.codes)
        ]
        size = np.abs(np.array(self.weights)).sum(axis=0) * np.array(varies)
        return np.bincount(self.terms.places, size, minlength=columns).astype(np.float64)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"kind": self.kind, **asdict(self)}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Linear:
        """What `to_dict` wrote."""
        terms = Terms(*(tuple(map(tuple, plain["terms"][k])) for k in ("numbers", "absent", "codes")))
        weights = tuple(map(tuple, plain["weights"]))
        return cls(terms, weights, tuple(plain["offsets"]), plain["link"], Scale.from_dict(plain["scale"]))


# ---------------------------------------------------------------- fitting


@dataclass(frozen=True)
class Design:
    """Rows made ready for linear models: their terms, and as matrix (a last column of ones for the offset)."""

    terms: Terms
    columns: Floats
    values: Values
    target: Floats

    @classmethod
    def of(cls, examples: Examples, most: int = 20_000) -> Design:
        """At most so many rows, evenly spread."""
        stride = max(1, -(-len(examples.target) // most))
        values, target = examples.values[::stride], examples.target[::stride]
        terms = Terms.of(values, examples.categorical)
        return cls(terms, np.column_stack([terms.design(values), np.ones(len(values))]), values, target)

    @cached_property
    def gram(self) -> Floats:
        """Every column times every other."""
        return self.columns.T @ self.columns


def fit_linear(design: Design, link: Link, *, penalty: float, scale: Scale = PLAIN, classes: int = 1) -> Linear:
    """The linear model of these rows; of ``classes`` classes for the link "softmax".

    ``penalty`` is that of scikit-learn's ``Ridge(alpha)`` and ``LogisticRegression(C=1/penalty)``: the offset has none.
    """
    penalties = np.append(np.full(design.columns.shape[1] - 1, penalty), 0.0)
    if link == "none":
        target = scale.onto(design.target, design.values)
        found = _solved(design.gram, penalties, design.columns.T @ target)[:, None]
    elif link == "logistic":
        found = _logistic(design.columns, design.target, penalties)[:, None]
    else:
        found = _classes(design, np.eye(classes)[design.target.astype(np.int64)], penalties)
    short = [[_short(w) for w in column] for column in found.T]
    return Linear(design.terms, tuple(tuple(c[:-1]) for c in short), tuple(c[-1] for c in short), link, scale)


def _solved(gram: Floats, penalties: Floats, right: Floats) -> Floats:
    """The weights at which gram and penalty balance; a hair of penalty keeps columns that say the same apart."""
    tiny = 1e-9 * max(1.0, float(np.trace(gram)))
    return np.asarray(np.linalg.solve(gram + np.diag(penalties + tiny / len(gram)), right), np.float64)


def _logistic(design: Floats, target: Floats, penalties: Floats) -> Floats:
    """Newton's method; a step is halved until the loss falls. A curvature serves for two steps, for it costs most."""
    rate = np.clip(target.mean(), 1e-6, 1 - 1e-6)
    weights = np.append(np.zeros(design.shape[1] - 1), np.log(rate / (1 - rate)))
    loss = _log_loss(design @ weights, target, weights, penalties)
    curvature = np.zeros((0, 0))
    for number in range(_STEPS["logistic"]):
        chance = sigmoid(design @ weights)
        if number % 2 == 0:
            curvature = (design * np.maximum(chance * (1 - chance), 1e-9)[:, None]).T @ design
        gradient = design.T @ (chance - target) + penalties * weights
        better, after = _halved(design, target, weights, _solved(curvature, penalties, gradient), penalties, loss)
        gained, weights, loss = loss - after, better, after
        if gained < _ENOUGH * len(target) and number % 2 == 0:
            break
    return weights


def _halved(
    design: Floats, target: Floats, weights: Floats, step: Floats, penalties: Floats, before: float
) -> tuple[Floats, float]:
    """The weights after the largest of the step, its half, its quarter … that lowers the loss; and the loss."""
    for _ in range(12):
        moved = weights - step
        loss = _log_loss(design @ moved, target, moved, penalties)
        if loss <= before:
            return moved, loss
        step = step / 2
    return weights, before


def _log_loss(score: Floats, target: Floats, weights: Floats, penalties: Floats) -> float:
    return float(np.sum(np.logaddexp(0.0, score) - target * score) + np.sum(penalties * weights**2) / 2)


def _classes(design: Design, truth: Floats, penalties: Floats) -> Floats:
    """Multinomial logistic regression with one curvature that bounds them all (Böhning 1992)."""
    inverse = np.linalg.inv(design.gram / 2 + np.diag(penalties + 1e-6))
    weights = np.zeros((design.columns.shape[1], truth.shape[1]))
    for _ in range(_STEPS["softmax"]):
        gradient = design.columns.T @ (softmax(design.columns @ weights) - truth) + penalties[:, None] * weights
        step = inverse @ gradient
        weights = weights - step
        if np.abs(step).max() < 1e-4:
            break
    return weights
