"""What trees of a number are grown to make small, and on which scale.

Counts, many zeros, long tails and entities of very different size each have an objective that suits them, and the
target does not say which: what later rows say decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.fitting.learners import Trees
from penstock.learning.fitting.models import Effort
from penstock.learning.fitting.scale import Scale, unit_of

Floats: TypeAlias = npt.NDArray[np.float64]
Past: TypeAlias = Sequence[tuple[int, float]]

_SQUARED = {"objective": "regression", "metric": "l2"}
_ABSOLUTE = {"objective": "regression_l1", "metric": "l1"}
_TWEEDIE = {"objective": "tweedie", "metric": "tweedie", "tweedie_variance_power": 1.2}
_POISSON = {"objective": "poisson", "metric": "poisson"}


def objectives(target: Floats, past: Past = (), effort: Effort = "fast") -> tuple[Trees, ...]:
    """The objectives worth trying for such a target; ``past`` are the columns that hold what it was before."""
    logs, changes = Scale(unit_of(target)), Scale(unit_of(target), tuple(past))
    found = [
        Trees("squared error", _SQUARED),
        Trees("absolute error", _ABSOLUTE),
        Trees("absolute error of logs", _ABSOLUTE, logs),
    ]
    if past:
        found += [
            Trees("squared error of the change in logs", _SQUARED, changes),
            Trees("absolute error of the change in logs", _ABSOLUTE, changes),
        ]
    if target.min() >= 0:
        found.append(Trees("Tweedie deviance", _TWEEDIE))
    return tuple(found) if effort == "fast" else (*found, *_thorough(target, logs))


def _thorough(target: Floats, logs: Scale) -> list[Trees]:
    """Objectives that seldom win, for those who have the time."""
    found = [Trees("squared error of logs", _SQUARED, logs), Trees("Huber loss", _huber(target))]
    return [*found, Trees("Poisson deviance", _POISSON)] if target.min() >= 0 else found


def _huber(target: Floats) -> dict[str, str | float]:
    """Squared for small errors, absolute for those beyond the target's usual distance from its median."""
    distance = float(np.mean(np.abs(target - np.median(target)))) or 1.0
    return {"objective": "huber", "metric": "huber", "alpha": round(distance, 9)}
