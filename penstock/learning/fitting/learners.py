"""Learners: each makes one kind of model, for a fold to be judged, and at last from all rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.encoding.steady import Habit, Lag, Steady, shares_of
from penstock.learning.fitting.blend import Space
from penstock.learning.fitting.booster import Bins, Examples, Grown, binned, train
from penstock.learning.fitting.folds import Fold
from penstock.learning.fitting.linear import Design, Link, fit_linear
from penstock.learning.fitting.models import Boosted, Model, Options, grow, link_of, parameters, regrow
from penstock.learning.fitting.scale import PLAIN, Scale
from penstock.learning.rows.dataset import Rows
from penstock.window import Instants

Floats: TypeAlias = npt.NDArray[np.float64]
Past: TypeAlias = tuple[tuple[int, float], ...]
Part: TypeAlias = tuple[Examples, Examples]

_TRIAL_ROWS = 4_000
_FEWEST_FOLD_ROWS = 4_000
_CLASSES = 6
_LINEAR_ROWS = {"fast": 10_000, "normal": 40_000, "best": 80_000}


@dataclass(frozen=True)
class Data:
    """All rows to learn from, oldest first, and the folds that judge; ``space`` says what is learnt.

    ``past`` are the columns that hold the target of earlier windows, and what to add to each; ``lags`` the same for
    ``classes`` classes.
    """

    space: Space
    examples: Examples
    cutoff: Instants
    folds: tuple[Fold, ...]
    options: Options
    past: Past = ()
    lags: tuple[Lag, ...] = ()
    classes: int = 1

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """What each fold learns from (at most as many rows as the options say, evenly spread), and is judged by."""
        return tuple((taken(self.examples, self.learnt(fold)), taken(self.examples, fold.later)) for fold in self.folds)

    def learnt(self, fold: Fold) -> Rows:
        """The rows that a fold learns from; fewer with many classes, for each of which a round grows a tree."""
        most = max(_FEWEST_FOLD_ROWS, self.options.fold_rows * _CLASSES // max(_CLASSES, self.classes))
        return fold.rows[:: max(1, -(-len(fold.rows) // most))]

    @cached_property
    def trials(self) -> tuple[tuple[Part, Bins], ...]:
        """A few rows of each fold, in bins once for all that is tried on them."""
        found = []
        for rows, later in self.parts:
            part = _some(rows, _TRIAL_ROWS), _some(later, _TRIAL_ROWS)
            found.append((part, binned(*part, parameters(self.options, part[0]))))
        return tuple(found)

    @cached_property
    def whole(self) -> Examples:
        """What the last model learns from: all rows, or what the newest fold's does."""
        return self.examples if self.options.refit else taken(self.examples, self.folds[-1].rows)

    @cached_property
    def designs(self) -> tuple[Design, ...]:
        """What linear models learn from in each fold."""
        return tuple(Design.of(rows, _LINEAR_ROWS[self.options.effort]) for rows, _ in self.parts)

    @cached_property
    def design(self) -> Design:
        """What the last linear models learn from."""
        return Design.of(self.whole, _LINEAR_ROWS[self.options.effort])

    @property
    def rows(self) -> Rows:
        """The places of the rows that judge, fold by fold."""
        return np.concatenate([fold.later for fold in self.folds])


def taken(examples: Examples, rows: Rows) -> Examples:
    """These rows."""
    return replace(examples, values=np.asfortranarray(examples.values[rows]), target=examples.target[rows])


@dataclass(frozen=True)
class Judged:
    """What a model said about a fold's later rows without having seen them, and the rounds it was grown for."""

    said: Floats
    rounds: int = 0


class Learner(Protocol):
    """Makes models of one kind."""

    @property
    def name(self) -> str:
        """What notes call it."""
        ...

    def judge(self, data: Data, fold: int) -> Judged:
        """Learn a fold's rows, and say what comes of its later rows."""
        ...

    def make(self, data: Data, rounds: int) -> Model:
        """Learn all rows."""
        ...


@dataclass(frozen=True)
class Trees:
    """Boosted trees with an objective, on a scale; ``newest`` is the share of the cutoffs that is learnt from."""

    name: str
    told: Mapping[str, Any] = field(hash=False)
    scale: Scale = PLAIN
    newest: float = 1.0

    def judge(self, data: Data, fold: int) -> Judged:
        """With early stopping on the later rows."""
        rows, later = data.parts[fold]
        rows = self._recent(rows, data.cutoff[data.learnt(data.folds[fold])])
        grown = grow(self._scaled(rows), self._scaled(later), self.told, data.options, _silent)
        return self._judged(grown, data, fold)

    def trial(self, data: Data, fold: int) -> Judged:
        """As `judge`, with few rows and short: enough to compare."""
        (some, later), bins = data.trials[fold]
        told = {**parameters(data.options, some), "learning_rate": 0.2, **self.told}
        grown = train(self._scaled(some), self._scaled(later), told, rounds=60, patience=8, bins=bins)
        return self._judged(grown, data, fold)

    def search(self, data: Data, fold: int, rows: int) -> Judged:
        """As `trial`, with more rows and for longer: enough to tell parameters apart."""
        some, later = (_some(part, rows) for part in data.parts[fold])
        told = {**parameters(data.options, some), "learning_rate": 0.1, **self.told}
        return self._judged(train(self._scaled(some), self._scaled(later), told, rounds=300, patience=15), data, fold)

    def _judged(self, grown: Grown, data: Data, fold: int) -> Judged:
        later = data.parts[fold][1]
        said = grown.booster.predict(later.values, threads=data.options.threads)
        return Judged(self._back(said, later), grown.rounds)

    def make(self, data: Data, rounds: int) -> Boosted:
        """As many rounds as the folds took, once a seed."""
        cutoff = data.cutoff if data.options.refit else data.cutoff[data.folds[-1].rows]
        examples = self._scaled(self._recent(data.whole, cutoff))
        told = [{**self.told, "seed": seed} for seed in data.options.seeds]
        boosters = tuple(regrow(examples, rounds, one, data.options, _silent) for one in told)
        return Boosted(boosters, self.scale, link_of(self.told))

    def _recent(self, examples: Examples, cutoff: Instants) -> Examples:
        if self.newest == 1:
            return examples
        times = np.unique(cutoff)
        kept = np.flatnonzero(cutoff >= times[int(len(times) * (1 - self.newest))])
        return taken(examples, kept) if np.ptp(examples.target[kept]) > 0 else examples

    def _scaled(self, examples: Examples) -> Examples:
        if self.scale == PLAIN:
            return examples
        return replace(examples, target=self.scale.onto(examples.target, examples.values))

    def _back(self, said: Floats, examples: Examples) -> Floats:
        return said if self.scale == PLAIN else self.scale.back(said, examples.values)


def _some(examples: Examples, rows: int) -> Examples:
    """Enough rows for a trial, evenly spread."""
    stride = -(-len(examples.target) // rows)
    if stride == 1 or np.ptp(examples.target[::stride]) == 0:
        return examples
    return replace(examples, values=examples.values[::stride], target=examples.target[::stride])


def _silent(_done: float) -> None:
    """Progress that nobody asked for."""


@dataclass(frozen=True)
class Line:
    """A linear model; ``penalty`` is a share of the rows."""

    name: str
    link: Link
    penalty: float
    scale: Scale = PLAIN

    def judge(self, data: Data, fold: int) -> Judged:
        """Learn a fold's rows."""
        return Judged(self._fitted(data.designs[fold], data).predict(data.parts[fold][1].values))

    def make(self, data: Data, rounds: int) -> Model:  # noqa: ARG002  the same for every learner
        """Learn all rows."""
        return self._fitted(data.design, data)

    def _fitted(self, design: Design, data: Data) -> Model:
        penalty = self.penalty * len(design.target)
        return fit_linear(design, self.link, penalty=penalty, scale=self.scale, classes=data.classes)


@dataclass(frozen=True)
class Pasts:
    """What the entity did before; without ``weight`` (None) what is usual, whoever it is.

    ``newest`` is how many of its earlier windows count (None: all).
    """

    name: str
    weight: float | None = 0.0
    median: bool = False
    newest: int | None = None

    def judge(self, data: Data, fold: int) -> Judged:
        """Learn a fold's rows."""
        rows, later = data.parts[fold]
        return Judged(self._fitted(rows, data).predict(later.values))

    def make(self, data: Data, rounds: int) -> Model:  # noqa: ARG002
        """Learn all rows."""
        return self._fitted(data.whole, data)

    def _fitted(self, examples: Examples, data: Data) -> Model:
        past = () if self.weight is None else data.past[: self.newest]
        if data.space == "classes":
            lags = () if self.weight is None else data.lags
            return Habit(lags, shares_of(examples.target, data.classes), self.weight or 1.0)
        usual = float(np.median(examples.target) if self.median else examples.target.mean())
        return Steady(past, usual, self.weight or 0.0, data.space == "chance")
