"""Windows of time that judge what is learnt: the validation rows, and before them the newest of the training rows.

One window is a matter of luck: a holiday, a cup year, a month of sales. What is chosen, how long trees grow, and what
calibrates are therefore judged on several windows, each by a model that saw only rows from before it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from penstock.learning.rows.dataset import FEWEST_ROWS, Rows
from penstock.window import Instants

_FEWEST_LATER = 10


@dataclass(frozen=True)
class Fold:
    """Rows to learn from, and later rows to be judged by: places among the training rows, then the validation rows."""

    rows: Rows
    later: Rows


def folds(train: Instants, validation: Instants, horizon: int, most: int = 2) -> tuple[Fold, ...]:
    """At most so many folds, oldest first; the last learns from all training rows and is judged by all validation rows.

    ``horizon`` is how far a label reaches (microseconds): rows whose label looks into the rows that judge are left out
    of their fold. Older folds are judged by the newest training cutoffs that together have half as many rows as
    validation; where training has one cutoff, or too few rows before, there are none.

    >>> [(fold.rows.tolist(), fold.later.tolist()) for fold in folds(np.repeat([0, 7, 14], 20), np.repeat(21, 2), 7)]
    ... # doctest: +ELLIPSIS
    [([0, 1, ..., 39], [40, ..., 59]), ([0, 1, ..., 59], [60, 61])]
    """
    found = [Fold(_before(train, validation, horizon), len(train) + np.arange(len(validation)))]
    rest = np.arange(len(train))
    while len(found) < most:
        older = _older(train, rest, len(validation), horizon)
        if older is None:
            break
        found.append(older)
        rest = rest[train[rest] < train[older.later].min()]
    return tuple(reversed(found))


def _before(train: Instants, validation: Instants, horizon: int) -> Rows:
    """The training rows whose labels end before validation begins; all, where time does not part them or few would
    be left."""
    start = validation.min()
    kept = np.flatnonzero(train <= start - horizon)
    parted = len(train) and train.max() < start
    return kept if parted and len(kept) >= max(FEWEST_ROWS, len(train) // 4) else np.arange(len(train))


def _older(train: Instants, rest: Rows, wanted: int, horizon: int) -> Fold | None:
    """A fold judged by the newest of these rows; None where too few come before them."""
    size = max(1, min(wanted // 2, len(rest) // 3))
    edge = np.sort(train[rest])[-size] if len(rest) else 0
    later, rows = rest[train[rest] >= edge], rest[(train[rest] < edge) & (train[rest] <= edge - horizon)]
    return Fold(rows, later) if len(later) >= _FEWEST_LATER and len(rows) >= FEWEST_ROWS else None
