"""Models of numbers: which error to make small, on which scale, chosen by a short trial on the validation rows.

Counts, many zeros, long tails and entities of very different size each have an objective that suits them, and the
target does not say which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.booster import Examples, train
from penstock.learning.models import Boosted, Fit, Options, Progress, fitted, parameters
from penstock.learning.scale import PLAIN, Scale, unit_of

Floats: TypeAlias = npt.NDArray[np.float64]
Past: TypeAlias = Sequence[tuple[int, float]]

_TRIAL_ROWS = 8_000
_SQUARED = {"objective": "regression", "metric": "l2"}
_ABSOLUTE = {"objective": "regression_l1", "metric": "l1"}


@dataclass(frozen=True)
class Objective:
    """What the trees of a number are grown to make small, and on which scale."""

    name: str
    told: Mapping[str, Any] = field(hash=False)
    scale: Scale = PLAIN

    def examples(self, examples: Examples) -> Examples:
        """The examples with their target on the objective's scale."""
        return replace(examples, target=self.scale.onto(examples.target, examples.values))


def objectives(target: Floats, past: Past = ()) -> tuple[Objective, ...]:
    """The objectives worth trying for such a target; ``past`` are the columns that hold what it was before."""
    logs, changes = Scale(unit_of(target)), Scale(unit_of(target), tuple(past))
    found = [
        Objective("squared error", _SQUARED),
        Objective("absolute error", _ABSOLUTE),
        Objective("absolute error of logs", _ABSOLUTE, logs),
    ]
    if past:
        found += [
            Objective("squared error of the change in logs", _SQUARED, changes),
            Objective("absolute error of the change in logs", _ABSOLUTE, changes),
        ]
    if target.min() >= 0:
        found.append(Objective("Tweedie deviance", _TWEEDIE))
    return tuple(found)


_TWEEDIE = {"objective": "tweedie", "metric": "tweedie", "tweedie_variance_power": 1.2}


def fit_number(train_on: Examples, stop_on: Examples, options: Options, progress: Progress, past: Past = ()) -> Fit:
    """A number, by the objective that validates best."""
    trials = objectives(np.concatenate([train_on.target, stop_on.target]), past)
    some = (_some(train_on), _some(stop_on))
    losses = [_trial(objective, *some, options) for objective in trials]
    chosen = trials[int(np.argmin(losses))]
    parts = (chosen.examples(train_on), chosen.examples(stop_on))
    booster, held_out, rounds = fitted(*parts, chosen.told, options, progress)
    tried = ", ".join(f"{o.name} {loss:.3f}" for o, loss in zip(trials, losses, strict=True))
    note = f"Objective: {chosen.name}, the best on validation rows (loss relative to the best constant: {tried})."
    return Fit(Boosted((booster,), chosen.scale), chosen.scale.back(held_out, stop_on.values), rounds, (note,))


def _some(examples: Examples) -> Examples:
    """Enough rows for a trial, evenly spread."""
    stride = -(-len(examples.target) // _TRIAL_ROWS)
    if np.ptp(examples.target[::stride]) == 0:
        return examples
    return replace(examples, values=examples.values[::stride], target=examples.target[::stride])


def _trial(objective: Objective, train_on: Examples, stop_on: Examples, options: Options) -> float:
    """The validation loss of a short training, relative to the best constant's."""
    told = {**parameters(options, train_on), **objective.told, "learning_rate": 0.2}
    grown = train(objective.examples(train_on), objective.examples(stop_on), told, rounds=60, patience=8)
    said = objective.scale.back(grown.booster.predict(stop_on.values, threads=options.threads), stop_on.values)
    truth, before = stop_on.target, train_on.target
    absolute = _ratio(np.abs(truth - said).mean(), np.abs(truth - np.median(before)).mean())
    squared = _ratio(np.mean((truth - said) ** 2) ** 0.5, np.mean((truth - before.mean()) ** 2) ** 0.5)
    return {"mae": absolute, "rmse": squared, "auto": (absolute + squared) / 2}[options.loss]


def _ratio(part: np.floating[Any], whole: np.floating[Any]) -> float:
    return float(part / whole) if whole > 0 else float(part > 0)
