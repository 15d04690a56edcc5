"""Models: a matrix in, numbers out.

`Model` is what the rest of the house knows. `fit_*` grow gradient boosted trees (Ke et al. 2017) with early stopping on
the validation rows, then once more on training and validation rows together with the number of rounds so found. Rows
are never re-weighted, so that probabilities keep meaning what they say when one class is rare.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.booster import Booster, Examples, Grown, train
from penstock.learning.matrix import Values
from penstock.learning.scale import PLAIN, Scale

Floats: TypeAlias = npt.NDArray[np.float64]
Progress: TypeAlias = Callable[[float], None]
Effort: TypeAlias = Literal["fast", "normal", "best"]
Loss: TypeAlias = Literal["auto", "mae", "rmse"]


@dataclass(frozen=True)
class Options:
    """How to learn: seed, threads (0 all), how hard to try, and what a number should be close to.

    ``loss`` chooses what the objective of numbers is judged by: the absolute error, the squared one, or both.
    ``refit`` trains once more with the validation rows. ``rows`` is the most to learn from and ``features`` the most
    to keep; by default both follow from the effort. ``horizon`` is how far a label reaches, in microseconds (0: not
    known).
    """

    seed: int = 0
    threads: int = 0
    effort: Effort = "fast"
    refit: bool = True
    loss: Loss = "auto"
    rows: int | None = None
    features: int | None = None
    horizon: int = 0

    @property
    def most_rows(self) -> int:
        """How many rows of training, and of validation, are used."""
        return self.rows or {"fast": 40_000, "normal": 200_000, "best": 1_000_000}[self.effort]

    @property
    def most_features(self) -> int:
        """How many features survive the screen."""
        return self.features or {"fast": 120, "normal": 200, "best": 300}[self.effort]


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

    def importance(self, columns: int) -> Floats:
        """How much each column matters: its total gain."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        ...


@dataclass(frozen=True)
class Boosted:
    """Boosters whose answers stand side by side, on a scale; mostly one."""

    boosters: tuple[Booster, ...]
    scale: Scale = PLAIN
    kind = "boosted"

    def predict(self, values: Values, *, threads: int = 0) -> Floats:
        """A probability or number a row; with several classes or labels one column each."""
        answers = [booster.predict(values, threads=threads) for booster in self.boosters]
        answer = answers[0] if len(answers) == 1 else np.column_stack(answers)
        return self.scale.back(answer, values) if self.scale != PLAIN else answer

    def contributions(self, values: Values, *, threads: int = 0) -> Floats:
        """TreeSHAP values (Lundberg et al. 2020), in the score's unit: log-odds, logs, or the target's own.

        What a row starts from, on a scale that knows its past, is shared by the columns of that past.
        """
        width = values.shape[1] + 1
        parts = [b.contributions(values, threads=threads).reshape(len(values), -1, width) for b in self.boosters]
        whole = np.concatenate(parts, axis=1)
        for place, _ in self.scale.past:
            whole[:, 0, place] += self.scale.start(values) / len(self.scale.past)
        return whole[:, 0] if whole.shape[1] == 1 else whole

    def importance(self, columns: int) -> Floats:
        """Total gain of each column."""
        gains: Floats = np.sum([booster.importance(columns) for booster in self.boosters], axis=0)
        return gains

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; a booster is its model text."""
        return {"kind": self.kind, "boosters": [b.text for b in self.boosters], "scale": self.scale.to_dict()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Boosted:
        """What `to_dict` wrote."""
        return cls(tuple(map(Booster, plain["boosters"])), Scale.from_dict(plain["scale"]))


@dataclass(frozen=True)
class Fit:
    """A fitted model, what its like predicted for the validation rows without having seen them, and what was chosen."""

    model: Model
    held_out: Floats
    rounds: int
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


def fitted(
    train_on: Examples, stop_on: Examples, told: Mapping[str, Any], options: Options, progress: Progress
) -> tuple[Booster, Floats, int]:
    """A booster, what its like said of the validation rows without having seen them, and its rounds."""
    grown = grow(train_on, stop_on, told, options, lambda done: progress(0.6 * done))
    held_out = grown.booster.predict(stop_on.values, threads=options.threads)
    if not options.refit:
        return grown.booster, held_out, grown.rounds
    whole = both(train_on, stop_on)
    final = regrow(whole, grown.rounds, told, options, lambda done: progress(0.6 + 0.4 * done))
    return final, held_out, grown.rounds


def fit_probability(train_on: Examples, stop_on: Examples, options: Options, progress: Progress) -> Fit:
    """Yes or no (target 1 or 0)."""
    told = {"objective": "binary", "metric": "binary_logloss"}
    booster, held_out, rounds = fitted(train_on, stop_on, told, options, progress)
    return Fit(Boosted((booster,)), held_out, rounds)


def fit_classes(train_on: Examples, stop_on: Examples, classes: int, options: Options, progress: Progress) -> Fit:
    """One of several classes (target their number); one probability a class."""
    quick = {"learning_rate": _RATE[options.effort] * min(4.0, classes / 2) ** 0.9}  # a round grows a tree a class
    told = {"objective": "multiclass", "metric": "multi_logloss", "num_class": classes, **quick}
    booster, held_out, rounds = fitted(train_on, stop_on, told, options, progress)
    return Fit(Boosted((booster,)), held_out, rounds)
