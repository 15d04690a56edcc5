"""The choice among learners: each is judged on every fold, and a blend weighed by the mean over them goes on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.calibration.calibrate import log_odds, sigmoid
from penstock.learning.fitting.blend import Blend, Loss, mixed, weigh
from penstock.learning.fitting.learners import Data, Judged, Learner, Trees
from penstock.learning.fitting.models import Fit, Model, Progress
from penstock.learning.judging.metrics import log_loss, multiclass_log_loss

Floats: TypeAlias = npt.NDArray[np.float64]
Table: TypeAlias = list[list[Judged]]

_SHOWN = 4
_COMPARED = 4_000
_SHIFTS, _STILL = 30, 1e-3


def blended(data: Data, learners: Sequence[Learner], loss: Loss, progress: Progress, told: tuple[str, ...] = ()) -> Fit:
    """The blend of learners that is best on the folds, learnt from all rows; with what it said of the rows that judge.

    ``told`` are notes on how the learners came to be these.
    """
    judged = _judged(data, learners, lambda done: progress(0.6 * done))
    weights, _ = weigh([[one.said for one in row] for row in judged], data.space, loss)
    used = [place for place, weight in enumerate(weights) if weight > 0]
    models = []
    for done, place in enumerate(used):
        models.append(learners[place].make(data, _rounds(judged[place])))
        progress(0.6 + 0.4 * (done + 1) / len(used))
    model: Model = models[0] if len(used) == 1 else Blend(tuple(models), tuple(weights[p] for p in used), data.space)
    said = [[judged[place][fold].said for place in used] for fold in range(len(data.folds))]
    held_out = np.concatenate([mixed(one, [weights[p] for p in used], data.space) if len(used) > 1 else one[0]
                               for one in said])  # fmt: skip
    return Fit(model, held_out, data.rows, (*told, _note(data, learners, judged, weights, loss)))


def _judged(data: Data, learners: Sequence[Learner], progress: Progress) -> Table:
    table: Table = []
    for learner in learners:
        table.append([learner.judge(data, fold) for fold in range(len(data.folds))])
        progress(len(table) / len(learners))
    return table


def _rounds(row: Sequence[Judged]) -> int:
    return max(1, round(float(np.mean([one.rounds for one in row]))))


def _note(data: Data, learners: Sequence[Learner], judged: Table, weights: Sequence[float], loss: Loss) -> str:
    """Who is in the blend, and how good each was alone."""
    alone = [np.mean([loss(one.said, fold) for fold, one in enumerate(row)]) for row in judged]
    parts = ", ".join(f"{weights[p]:.0%} {learners[p].name}" for p in np.argsort(-np.array(weights), kind="stable")
                      if weights[p] > 0)  # fmt: skip
    best: list[int] = np.argsort(alone, kind="stable")[:_SHOWN].tolist()
    scores = ", ".join(f"{learners[p].name} {alone[p]:.3f}" for p in best)
    windows = "one window" if len(data.folds) == 1 else f"{len(data.folds)} windows"
    return f"Model: {parts}, the best mixture on {windows} of later rows (loss of each alone: {scores})."


def shortlist(data: Data, learners: Sequence[Trees], others: Sequence[Learner], loss: Loss, most: int) -> list[Trees]:
    """At most so many that a short trial finds best beside ``others``, by their votes in a blend; best first."""
    if len(learners) <= most:
        return list(learners)
    folds = range(len(data.folds))
    said = [[one.trial(data, fold).said for fold in folds] for one in learners]
    alone = [float(np.mean([loss(one, fold) for fold, one in enumerate(row)])) for row in said]
    said += [[one.judge(data, fold).said for fold in folds] for one in others]
    weights, _ = weigh(said, data.space, loss)
    order = sorted(range(len(learners)), key=lambda place: (-weights[place], alone[place]))
    return [learners[place] for place in order[:most]]


# ---------------------------------------------------------------- losses


def chance_loss(data: Data) -> Loss:
    """Log loss, relative to that of the best constant, after the best shift of all log-odds.

    Whether later rows say yes more often is for calibration to mend; here members are compared.
    """
    truths = [_thinned(later.target) for _, later in data.parts]
    usual = [max(log_loss(truth, np.full(len(truth), truth.mean())), 1e-12) for truth in truths]
    return lambda said, fold: log_loss(truths[fold], shifted(_thinned(said), truths[fold])) / usual[fold]


def _thinned(rows: Floats) -> Floats:
    """Enough of them to compare, evenly spread."""
    return rows[:: -(-len(rows) // _COMPARED)]


def shifted(said: Floats, truth: Floats) -> Floats:
    """Chances whose log-odds are moved, all alike, until their mean is the truth's (as if of two rows more)."""
    scores, wanted, moved = log_odds(said), (truth.sum() + 1) / (len(truth) + 2), 0.0
    for _ in range(_SHIFTS):
        chance = sigmoid(scores + moved)
        step = float((wanted - chance.mean()) / max(np.mean(chance * (1 - chance)), 1e-4))
        moved += max(-1.0, min(1.0, step))
        if abs(step) < _STILL:
            break
    return sigmoid(scores + moved)


def levelled(data: Data, held_out: Floats) -> Floats:
    """Chances of the rows that judge, each fold moved to the level of what came of it.

    How often a window says yes is the window's own luck as well, of which the next knows nothing: the model learnt from
    all windows and is nearer the mark than any one of them. Calibration is to learn the rest: how far chances must be
    drawn apart or together.
    """
    ends = np.cumsum([len(fold.later) for fold in data.folds])[:-1]
    parts = zip(np.split(held_out, ends), data.parts, strict=True)
    return np.concatenate([shifted(part, later.target) for part, (_, later) in parts])


def class_loss(data: Data) -> Loss:
    """Log loss, relative to that of the shares in training."""
    truths = [later.target.astype(np.int64) for _, later in data.parts]
    usual = [_class_loss(truth, np.tile(_shares(rows.target, data.classes), (len(truth), 1)))
             for truth, (rows, _) in zip(truths, data.parts, strict=True)]  # fmt: skip
    return lambda said, fold: _class_loss(truths[fold], said) / max(usual[fold], 1e-12)


def _shares(target: Floats, classes: int) -> Floats:
    counts = np.bincount(target.astype(np.int64), minlength=classes) + 1.0
    shares: Floats = counts / counts.sum()
    return shares


def _class_loss(truth: npt.NDArray[np.int64], said: Floats) -> float:
    return multiclass_log_loss(truth, 0.99 * said + 0.01 / said.shape[1])


def number_loss(data: Data) -> Loss:
    """Mean absolute error relative to the training median's, root mean squared error to the mean's, or both.

    Of both the absolute one counts twice, since a single row may decide the other. What the constants are off by is
    averaged over the folds: a quiet window must not count more than a busy one.
    """
    truths = [later.target for _, later in data.parts]
    off = [(_absolute(truth, np.median(rows.target)), _squared(truth, rows.target.mean()))
           for truth, (rows, _) in zip(truths, data.parts, strict=True)]  # fmt: skip
    absolute, squared = (max(float(size), 1e-12) for size in np.mean(off, axis=0))

    def loss(said: Floats, fold: int) -> float:
        parts = _absolute(truths[fold], said) / absolute, _squared(truths[fold], said) / squared
        return {"mae": parts[0], "rmse": parts[1], "auto": (2 * parts[0] + parts[1]) / 3}[data.options.loss]

    return loss


def _absolute(truth: Floats, said: Floats | np.floating[Any]) -> float:
    return float(np.abs(truth - said).mean())


def _squared(truth: Floats, said: Floats | np.floating[Any]) -> float:
    return float(np.mean((truth - said) ** 2) ** 0.5)
