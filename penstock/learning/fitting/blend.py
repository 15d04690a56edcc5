"""Blends: what several models say, weighed by how well they did on later rows.

Models that err differently are better together, and what the entity always did, or a plain constant, is a member like
any other: where there is nothing to learn, the blend becomes it. Weights are found by adding one vote at a time
(Caruana et al. 2004), which cannot fit noise the way a regression of the outcome on all members can.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.calibration.calibrate import log_odds, sigmoid
from penstock.learning.encoding.matrix import Values
from penstock.learning.fitting.models import Model, softmax

Floats: TypeAlias = npt.NDArray[np.float64]
Space: TypeAlias = Literal["chance", "number", "classes"]
Loss: TypeAlias = Callable[[Floats, int], float]
"""The loss of what is said about a fold's later rows, by the fold's place."""

VOTES = 20
_LEAST = 0.05
_PATIENCE = 6
_STILL = 1e-9
_LEAST_CHANCE = 1e-9


@dataclass(frozen=True)
class Blend:
    """Models and their weights, which sum to 1.

    Chances are mixed as log-odds, the chances of several classes as logarithms, numbers as they are.
    """

    models: tuple[Model, ...]
    weights: tuple[float, ...]
    space: Space
    kind = "blend"

    def predict(self, values: Values, *, threads: int = 0) -> Floats:
        """A probability or number a row; with several classes one column each."""
        return mixed([model.predict(values, threads=threads) for model in self.models], self.weights, self.space)

    def answer(self, score: Floats) -> Floats:
        """The answer to a row whose contributions sum to this score."""
        return sigmoid(score) if self.space == "chance" else score

    def contributions(self, values: Values, *, threads: int = 0) -> Floats:
        """The members' own, weighed. Of a number they are made parts of the number itself, whatever the member's scale.

        A member on a curved scale is taken as straight between where it starts and where the row ends up.
        """
        parts = [model.contributions(values, threads=threads) for model in self.models]
        if self.space == "number":
            parts = [_straightened(model, part) for model, part in zip(self.models, parts, strict=True)]
        whole: Floats = np.sum([weight * part for weight, part in zip(self.weights, parts, strict=True)], axis=0)
        return whole

    def importance(self, columns: int) -> Floats:
        """The members' shares of their importance, weighed."""
        found = [model.importance(columns) for model in self.models]
        shares = [weight * one / max(one.sum(), 1e-12) for weight, one in zip(self.weights, found, strict=True)]
        whole: Floats = np.sum(shares, axis=0)
        return whole

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        models = [model.to_dict() for model in self.models]
        return {"kind": self.kind, "models": models, "weights": self.weights, "space": self.space}


def mixed(said: Sequence[Floats], weights: Sequence[float], space: Space) -> Floats:
    """What several say as one; the rows (and classes) of all are the same."""
    scores = [_ONTO[space](one) for one in said]
    return _BACK[space](np.sum([weight * one for weight, one in zip(weights, scores, strict=True)], axis=0))


def _logs(shares: Floats) -> Floats:
    return np.log(np.clip(shares, _LEAST_CHANCE, 1.0))


def _same(numbers: Floats) -> Floats:
    return numbers


_ONTO: Mapping[str, Callable[[Floats], Floats]] = {"chance": log_odds, "number": _same, "classes": _logs}
_BACK: Mapping[str, Callable[[Floats], Floats]] = {"chance": sigmoid, "number": _same, "classes": softmax}


def _straightened(model: Model, parts: Floats) -> Floats:
    """Contributions that sum to the model's answer."""
    start, score = parts[:, -1], parts.sum(axis=1)
    low, high = model.answer(start), model.answer(score)
    moved = score - start
    slope = np.where(np.abs(moved) > _STILL, (high - low) / np.where(np.abs(moved) > _STILL, moved, 1.0), 0.0)
    straight = parts * slope[:, None]
    straight[:, -1] = high - straight[:, :-1].sum(axis=1)
    return straight


# ---------------------------------------------------------------- weights


def weigh(said: Sequence[Sequence[Floats]], space: Space, loss: Loss) -> tuple[tuple[float, ...], float]:
    """(weights, mean loss over the folds) of models, by what each said about each fold's later rows.

    From the best alone, at most `VOTES` votes are added one by one, each to the model that then helps most; of all the
    mixtures on the way the best is taken, and weights of less than a twentieth are dropped. A tie goes to the earlier
    model.
    """
    count = len(said)
    votes = np.zeros(count)
    best, lowest = votes, np.inf
    while votes.sum() < min(VOTES, best.sum() + _PATIENCE) and (count > 1 or not votes.any()):
        losses = [mean_loss(said, (votes + np.eye(count)[place]) / (votes.sum() + 1), space, loss)
                  for place in range(count)]  # fmt: skip
        votes = votes + np.eye(count)[int(np.argmin(losses))]
        if lowest == np.inf or min(losses) < lowest - 1e-6 * abs(lowest):
            best, lowest = votes, min(losses)
    weights = np.where(best < _LEAST * best.sum(), 0.0, best)
    return tuple((weights / weights.sum()).round(6).tolist()), float(lowest)


def mean_loss(said: Sequence[Sequence[Floats]], weights: Floats, space: Space, loss: Loss) -> float:
    """The mean over the folds of the loss of a mixture."""
    used: list[int] = np.flatnonzero(weights).tolist()
    shares: list[float] = weights[used].tolist()
    mixtures = [mixed([said[m][fold] for m in used], shares, space) for fold in range(len(said[0]))]
    return float(np.mean([loss(mixture, fold) for fold, mixture in enumerate(mixtures)]))
