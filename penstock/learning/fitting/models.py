"""Models: a matrix in, numbers out.

`Model` is what the rest of the house knows. `Boosted` are gradient boosted trees (Ke et al. 2017), grown with early
stopping on later rows, then once more on all rows with the number of rounds so found. Rows are never re-weighted, so
that probabilities keep meaning what they say when one class is rare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.calibration.calibrate import sigmoid
from penstock.learning.encoding.matrix import Values
from penstock.learning.fitting.booster import Booster, Examples, Grown, train
from penstock.learning.fitting.scale import PLAIN, Scale, straight
from penstock.learning.rows.dataset import Rows

Floats: TypeAlias = npt.NDArray[np.float64]
Progress: TypeAlias = Callable[[float], None]
Effort: TypeAlias = Literal["fast", "normal", "best"]
Loss: TypeAlias = Literal["auto", "mae", "rmse"]


@dataclass(frozen=True)
class Options:
    """How to learn: seed, threads (0 all), how hard to try, and what a number should be close to.

    ``loss`` chooses what models of numbers are judged by: the absolute error, the squared one, or both.
    ``refit`` trains once more with the validation rows. ``rows`` is the most to learn from and ``features`` the most
    to keep, ``bag`` how many seeds are averaged; by default all follow from the effort. ``horizon`` is how far a label
    reaches, in microseconds (0: not known). ``model`` is "auto" (whatever validates), "boosted", "linear", "blend", or
    ``package.module:Class`` of a class of one's own. ``seconds`` ends the search for parameters early; ``fast`` does
    not search, and nothing in it depends on the clock.
    """

    seed: int = 0
    threads: int = 0
    effort: Effort = "fast"
    refit: bool = True
    loss: Loss = "auto"
    rows: int | None = None
    features: int | None = None
    horizon: int = 0
    model: str = "auto"
    bag: int | None = None
    seconds: float | None = None

    @property
    def most_rows(self) -> int:
        """How many rows of training, and of validation, are used."""
        return self.rows or {"fast": 100_000, "normal": 200_000, "best": 1_000_000}[self.effort]

    @property
    def most_features(self) -> int:
        """How many features survive the screen."""
        return self.features or {"fast": 120, "normal": 200, "best": 300}[self.effort]

    @property
    def seeds(self) -> range:
        """The seeds whose boosters are averaged."""
        return range(self.seed, self.seed + (self.bag or {"fast": 1, "normal": 3, "best": 6}[self.effort]))

    @property
    def most_folds(self) -> int:
        """How many windows of time judge."""
        return {"fast": 2, "normal": 3, "best": 3}[self.effort]

    @property
    def fold_rows(self) -> int:
        """The most rows to learn from when judging."""
        return {"fast": 20_000, "normal": 60_000, "best": 200_000}[self.effort]

    @property
    def trials(self) -> int:
        """How many sets of parameters are tried."""
        return {"fast": 0, "normal": 12, "best": 60}[self.effort]

    @property
    def search_seconds(self) -> float:
        """When the search for parameters ends, however many were tried."""
        return self.seconds or {"fast": 0.0, "normal": 15.0, "best": 150.0}[self.effort]


_RATE: Mapping[Effort, float] = {"fast": 0.08, "normal": 0.04, "best": 0.02}


class Model(Protocol):
    """A fitted model. Frozen; goes to JSON and back with equal predictions."""

    @property
    def kind(self) -> str:
        """The name by which its class is found again."""
        ...

    def predict(self, values: Values, *, threads: int = 0) -> Floats:
        """A probability or number a row; with several classes or labels one column each."""
        ...

    def contributions(self, values: Values, *, threads: int = 0) -> Floats:
        """Each column's part in the score, last where it starts: rows × (classes ×) (columns + 1)."""
        ...

    def answer(self, score: Floats) -> Floats:
        """The answer to a row whose contributions sum to this score. Not asked of models of classes and labels."""
        ...

    def importance(self, columns: int) -> Floats:
        """How much each column matters: its total gain, or another size that is 0 for what is not used."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        ...


@dataclass(frozen=True)
class Boosted:
    """Boosters that differ by their seed alone: their scores are averaged, then made an answer on a scale.

    ``link`` makes of a score a probability ("logistic"), one a class ("softmax"), or a size ("exp").
    """

    boosters: tuple[Booster, ...]
    scale: Scale = PLAIN
    link: str = "none"
    kind = "boosted"

    def predict(self, values: Values, *, threads: int = 0) -> Floats:
        """A probability or number a row; with several classes one column each."""
        answer = self._averaged(values, threads)
        return self.scale.back(answer, values) if self.scale != PLAIN else answer

    def _averaged(self, values: Values, threads: int) -> Floats:
        if len(self.boosters) == 1:
            return self.boosters[0].predict(values, threads=threads)
        scores = [booster.predict(values, threads=threads, raw=True) for booster in self.boosters]
        return LINKS[self.link](np.mean(scores, axis=0))

    def answer(self, score: Floats) -> Floats:
        """The answer to a row whose contributions sum to this score; not of classes."""
        return straight(LINKS[self.link](score), self.scale.unit)

    def contributions(self, values: Values, *, threads: int = 0) -> Floats:
        """TreeSHAP values (Lundberg et al. 2020), in the score's unit: log-odds, logs, or the target's own.

        What a row starts from, on a scale that knows its past, is shared by the columns of that past.
        """
        width = values.shape[1] + 1
        parts = [b.contributions(values, threads=threads).reshape(len(values), -1, width) for b in self.boosters]
        whole: Floats = parts[0] if len(parts) == 1 else np.mean(parts, axis=0)
        for place, _ in self.scale.past:
            whole[:, 0, place] += self.scale.start(values) / len(self.scale.past)
        return whole[:, 0] if whole.shape[1] == 1 else whole

    def importance(self, columns: int) -> Floats:
        """Total gain of each column."""
        gains: Floats = np.mean([booster.importance(columns) for booster in self.boosters], axis=0)
        return gains

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; a booster is its model text."""
        texts = [booster.text for booster in self.boosters]
        return {"kind": self.kind, "boosters": texts, "scale": self.scale.to_dict(), "link": self.link}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Boosted:
        """What `to_dict` wrote."""
        return cls(tuple(map(Booster, plain["boosters"])), Scale.from_dict(plain["scale"]), plain["link"])


def softmax(scores: Floats) -> Floats:
    """Rows × classes of scores as probabilities that sum to 1."""
    powers = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Floats = powers / powers.sum(axis=1, keepdims=True)
    return shares


def _same(scores: Floats) -> Floats:
    return scores


def _sizes(scores: Floats) -> Floats:
    return np.exp(np.minimum(scores, _MOST_LOG))


LINKS: Mapping[str, Callable[[Floats], Floats]] = {
    "none": _same,
    "logistic": sigmoid,
    "softmax": softmax,
    "exp": _sizes,
}
_MOST_LOG = 60.0
_LINK_OF = {"binary": "logistic", "multiclass": "softmax", "tweedie": "exp", "poisson": "exp"}


def link_of(told: Mapping[str, Any]) -> str:
    """The link of LightGBM's objective."""
    return _LINK_OF.get(str(told["objective"]), "none")


@dataclass(frozen=True)
class Fit:
    """A fitted model, what its like predicted for rows without having seen them, and what was chosen.

    ``rows`` are those rows: their places among training rows, then validation rows; oldest windows first.
    """

    model: Model
    held_out: Floats
    rows: Rows
    notes: tuple[str, ...] = ()


# ---------------------------------------------------------------- growing


def parameters(options: Options, examples: Examples) -> dict[str, Any]:
    """LightGBM's parameters for so many rows and columns."""
    rows, columns = examples.values.shape
    return {
        "learning_rate": _RATE[options.effort],
        "num_leaves": 15,
        "min_data_in_leaf": int(np.clip(rows // 250, 5, 40)),
        "min_data_per_group": int(np.clip(rows // 100, 5, 100)),
        "feature_fraction": round(float(np.clip(0.2 + 10 / max(1, columns), 0.25, 1.0)), 3),
        "bagging_fraction": 0.8,
        "bagging_freq": 1,
        "lambda_l2": 5.0,
        "max_bin": 63,
        "seed": options.seed,
        "num_threads": options.threads,
    }


def rate(options: Options) -> float:
    """The learning rate of an effort."""
    return _RATE[options.effort]


def limits(options: Options) -> tuple[int, int]:
    """(most rounds, patience) for an effort."""
    return {"fast": (400, 25), "normal": (1_200, 50), "best": (3_000, 100)}[options.effort]


def grow(train_on: Examples, stop_on: Examples, told: Mapping[str, Any], options: Options, progress: Progress) -> Grown:
    """Boosted trees with early stopping."""
    rounds, patience = limits(options)
    rounds = max(30, min(rounds, 4 * rounds // int(told.get("num_class", 1))))
    chosen = {**parameters(options, train_on), **told}
    return train(train_on, stop_on, chosen, rounds=rounds, patience=patience, progress=progress)


def regrow(examples: Examples, rounds: int, told: Mapping[str, Any], options: Options, progress: Progress) -> Booster:
    """Boosted trees on all rows, with as many rounds as early stopping found."""
    chosen = {**parameters(options, examples), **told}
    return train(examples, None, chosen, rounds=max(1, rounds), progress=progress).booster


def both(first: Examples, second: Examples) -> Examples:
    """The rows of both."""
    values = np.asfortranarray(np.concatenate([first.values, second.values]))
    groups = None if first.groups is None or second.groups is None else np.concatenate([first.groups, second.groups])
    return replace(first, values=values, target=np.concatenate([first.target, second.target]), groups=groups)
