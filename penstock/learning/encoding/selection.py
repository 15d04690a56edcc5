"""Which ways of encoding a feature are kept: those with which a short trial predicts later rows best.

Categories of many values can be codes, rates of what came of them, or both; texts can be read for which way they
lean, for what they are about, for both, or left. None of these is right everywhere, so each is tried on sampled
training rows and judged on validation rows, which come later. Of the winner, columns of rates and themes that no tree
used are left out one by one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.encoding.encoders import Category, Frequency, Values
from penstock.learning.encoding.matrix import Encoding
from penstock.learning.encoding.screen import View, views
from penstock.learning.encoding.targets import Rate
from penstock.learning.encoding.textual import Size, Theme
from penstock.learning.fitting.booster import Examples, train
from penstock.learning.fitting.models import Options, parameters
from penstock.learning.rows.dataset import Samples, drawn

Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = tuple[int, ...]

SAMPLE, LATER = 6_000, 10_000
_SURE = 0.5
_MANY = ("multiclass", "multilabel")
"""Tasks with more answers than a short trial looks at: rates are of the commonest, only codes tell all apart."""
_USELESS = "it does not help to predict later rows"
_ROUNDS, _PATIENCE, _FEWEST_ROUNDS = 100, 10, 40
_METRICS = {"binary": "binary_logloss", "regression": "l2"}
_TOLD: Mapping[str, Any] = {"learning_rate": 0.15, "max_bin": 31}


@dataclass(frozen=True)
class Trial:
    """How far off a choice of columns was on each later row (rows × views, less is better), and each column's gain."""

    places: Places
    losses: Floats
    gains: Floats

    def beats(self, other: Trial) -> bool:
        """Whether it is better by more than `_SURE` standard errors of the difference, each view counting the same."""
        better = ((other.losses - self.losses) / np.maximum(other.losses.mean(axis=0), 1e-12)).mean(axis=1)
        return bool(better.mean() > _SURE * better.std() / np.sqrt(max(1, len(better))))


def chosen(
    task: str,
    encoding: Encoding,
    rows: tuple[Samples, Values],
    later: tuple[Samples, Values],
    options: Options,
) -> tuple[Encoding, Values, Values]:
    """The part of the encoding to learn with, and of both matrices; all of it, at no cost, if there is no choice.

    ``rows`` and ``later`` are training and validation samples, each with the matrix that the encoding made of them.
    """
    groups = _groups(encoding)
    if not (groups.rates or groups.texts):
        return encoding, rows[1], later[1]
    places = list(_best(task, encoding, groups, (rows, later), options))
    mine, theirs = (np.asfortranarray(values[:, places]) for _, values in (rows, later))
    part = encoding.at(places)
    gone = [(name, _USELESS) for name in encoding.features if name not in part.features]
    return replace(part, dropped=(*encoding.dropped, *gone)), mine, theirs


def _best(
    task: str, encoding: Encoding, groups: _Groups, parts: Sequence[tuple[Samples, Values]], options: Options
) -> Places:
    """The columns of the best trial, without those that were to choose from and no tree used."""
    sides = [_side(task, *part, parts[0][0], most, options) for part, most in zip(parts, (SAMPLE, LATER), strict=True)]
    optional = {*groups.rates, *groups.texts}
    every = tuple(range(len(encoding.encoders)))
    plain = tuple(place for place in every if place not in optional)
    best = _tried(encoding, sides, plain or every, options)
    for places in groups.rivals(plain, instead=task not in _MANY) if plain else ():
        rival = _tried(encoding, sides, places, options)
        best = rival if rival.beats(best) else best
    settled = best.places
    for more in groups.readings() if plain else ():
        rival = _tried(encoding, sides, tuple(sorted(settled + more)), options)
        best = rival if rival.beats(best) else best
    used = dict(zip(best.places, best.gains, strict=True))
    return tuple(place for place in best.places if place not in optional or used[place] > 0) or best.places


@dataclass(frozen=True)
class _Groups:
    """Columns that are rates, columns that say the same categories otherwise, and columns read from texts."""

    rates: Places
    codes: Places
    themes: Places
    slants: Places

    @property
    def texts(self) -> Places:
        """All that is read from texts."""
        return tuple(sorted(self.themes + self.slants))

    def rivals(self, plain: Places, *, instead: bool) -> Iterator[Places]:
        """What to try against codes alone: codes and rates; and, if they may be, rates instead of codes."""
        if self.rates:
            yield tuple(sorted(plain + self.rates))
        if self.rates and self.codes and instead:
            yield tuple(sorted({*plain, *self.rates} - {*self.codes}))

    def readings(self) -> Iterator[Places]:
        """What to try for texts: which way they lean; what they are about; both."""
        yield from dict.fromkeys(part for part in (self.slants, self.themes, self.texts) if part)


def _groups(encoding: Encoding) -> _Groups:
    every = list(enumerate(encoding.encoders))
    rated = {e.feature for _, e in every if isinstance(e, Rate)}
    leaning = tuple(place for place, e in every if isinstance(e, Theme) and e.outcome >= 0)
    return _Groups(
        tuple(place for place, e in every if isinstance(e, Rate)),
        tuple(place for place, e in every if isinstance(e, Category | Frequency) and e.feature in rated),
        tuple(place for place, e in every if isinstance(e, Size | Theme) and place not in leaning),
        leaning,
    )


def _side(
    task: str, samples: Samples, values: Values, like: Samples, most: int, options: Options
) -> tuple[Values, list[View]]:
    """A sample of rows: their part of the matrix, and what a short trial learns of them (the classes of ``like``)."""
    picked = drawn(samples, most, options.seed)
    return np.asfortranarray(values[picked]), views(task, samples.take(picked), like)


def _tried(encoding: Encoding, sides: Sequence[tuple[Values, list[View]]], places: Places, options: Options) -> Trial:
    """One short trial for each view."""
    codes = set(encoding.categorical)
    categorical = tuple(number for number, place in enumerate(places) if place in codes)
    values = [np.asfortranarray(values[:, places]) for values, _ in sides]
    trials = list(zip(*(view for _, view in sides), strict=True))
    rounds = max(_FEWEST_ROUNDS, _ROUNDS // len(trials))
    losses, gains = [], np.zeros(len(places))
    for (objective, target), (_, truth) in trials:
        examples = [Examples(v, t, categorical) for v, t in zip(values, (target, truth), strict=True)]
        told = {**parameters(options, examples[0]), **_TOLD, "objective": objective, "metric": _METRICS[objective]}
        grown = train(examples[0], examples[1], told, rounds=rounds, patience=_PATIENCE)
        gains += grown.booster.importance(len(places))
        losses.append(_losses(objective, truth, grown.booster.predict(values[1], threads=options.threads)))
    return Trial(places, np.column_stack(losses), gains)


def _losses(objective: str, truth: Floats, said: Floats) -> Floats:
    """How far off each row is: log loss of a probability, squared error of a number."""
    if objective == "binary":
        chance = np.clip(np.where(truth > 0, said, 1 - said), 1e-9, 1.0)
        return np.asarray(-np.log(chance), np.float64)
    return np.asarray((truth - said) ** 2, np.float64)
