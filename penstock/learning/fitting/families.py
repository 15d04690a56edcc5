"""Which learners compete for each kind of answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from penstock.learning.fitting.blend import Loss
from penstock.learning.fitting.choose import blended, chance_loss, class_loss, levelled, number_loss, shortlist
from penstock.learning.fitting.learners import Data, Learner, Line, Pasts, Trees
from penstock.learning.fitting.models import Fit, Progress, rate
from penstock.learning.fitting.named import KNOWN, Owns
from penstock.learning.fitting.objectives import objectives
from penstock.learning.fitting.scale import Scale, unit_of
from penstock.learning.fitting.tune import Searched, searched

_FEW_CELLS = 1_500_000
"""With fewer numbers to learn from, growing trees for a second objective costs little."""
_MOST_LINEAR_CLASSES = 12
_OLDER = (0.5, 0.25)
_CHANCE = {"objective": "binary", "metric": "binary_logloss"}
_WEAK, _STRONG = 0.03, 0.3
"""Penalties of linear models, as shares of the rows."""


def chances(data: Data, progress: Progress) -> Fit:
    """Yes or no (target 1 or 0)."""
    trees = Trees("boosted trees", _CHANCE)
    lines = [Line("linear", "logistic", _WEAK)]
    if data.options.effort != "fast":
        lines.append(Line("linear, held short", "logistic", _STRONG))
    past: list[Learner] = [Pasts("own past rate", 1.0)] if data.past else []
    rest = [*lines, *past, Pasts("the usual rate", None)]
    found = _chosen(data, [trees], rest, chance_loss(data), progress)
    return replace(found, held_out=levelled(data, found.held_out))


def several(data: Data, progress: Progress) -> Fit:
    """One of several classes (target their number)."""
    quick = rate(data.options) * min(4.0, data.classes / 2) ** 0.9  # a round grows a tree a class
    told = {"objective": "multiclass", "metric": "multi_logloss", "num_class": data.classes, "learning_rate": quick}
    lines = [Line("linear", "softmax", _WEAK), Line("linear, held short", "softmax", _STRONG)]
    past: list[Learner] = [Pasts("own past shares", weight) for weight in (1.0, 0.2)] if data.lags else []
    lines = lines if data.classes <= _MOST_LINEAR_CLASSES else []
    rest = [*lines, *past, Pasts("the usual shares", None)]
    return _chosen(data, [Trees("boosted trees", told)], rest, class_loss(data), progress)


def numbers(data: Data, progress: Progress) -> Fit:
    """A number, by the objectives that validate best."""
    loss = number_loss(data)
    target = data.examples.target
    logs = Scale(unit_of(target))
    lines = [Line("linear", "none", _WEAK), Line("linear, held short", "none", _STRONG),
             Line("linear in logs", "none", _STRONG, logs)]  # fmt: skip
    past: list[Learner] = [Pasts("own mean", 0.0), Pasts("own mean, held short", 2.0),
                           Pasts("own last", 0.0, newest=1)] if data.past else []  # fmt: skip
    rest = [*lines, *past, Pasts("the mean", None), Pasts("the median", None, median=True)]
    small = data.examples.values.size <= _FEW_CELLS
    most = {"fast": 2 if small else 1, "normal": 3, "best": 4}[data.options.effort]
    trees = list(objectives(target, data.past, data.options.effort))
    if data.options.model in KNOWN and data.options.model != "linear":
        trees = shortlist(data, trees, past, loss, most)
    return _chosen(data, trees, rest, loss, progress)


def _chosen(data: Data, trees: Sequence[Trees], rest: Sequence[Learner], loss: Loss, progress: Progress) -> Fit:
    """The blend of the learners that the options ask for."""
    asked = data.options.model
    if asked == "linear":
        return blended(data, [one for one in rest if isinstance(one, Line)], loss, progress)
    if asked not in KNOWN:
        return blended(data, [Owns(asked)], loss, progress)
    found = Searched(trees[0]) if not data.options.trials else searched(trees[0], data, loss)
    if data.options.effort != "fast":
        others = [found.trees] if found.trees != trees[0] else []
        trees = [*trees, *others, *(_younger(found.trees, share) for share in _OLDER)]
    return blended(data, [*trees, *([] if asked == "boosted" else rest)], loss, progress, found.notes)


def _younger(trees: Trees, share: float) -> Trees:
    return replace(trees, name=f"{trees.name} of the newest {share:.0%} of cutoffs", newest=share)
