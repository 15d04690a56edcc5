"""Any of several labels, by one booster that is asked about each label in turn.

For every row and label it sees the row's features, which label is meant, how common that is, and in which of the
entity's own past windows it occurred. Labels so learn from one another, and a rare one needs no model of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.encoding.matrix import Encoding, Holds, Values
from penstock.learning.fitting.booster import Booster, Examples
from penstock.learning.fitting.models import Fit, Options, Progress, both, grow, regrow

Floats: TypeAlias = npt.NDArray[np.float64]
Places: TypeAlias = tuple[tuple[int, ...], ...]

MOST_CELLS = 150_000
"""The most rows × labels to learn from."""
_TOLD: Mapping[str, Any] = {"objective": "binary", "metric": "binary_logloss", "learning_rate": 0.15}
_AT_ONCE = 1 << 17


@dataclass(frozen=True)
class Labelled:
    """One booster for all labels. ``shares`` are the labels' shares in training.

    ``own`` has for each label the columns of the matrix that say whether the entity's past windows held it, nearest
    first; -1 where the matrix has none.
    """

    booster: Booster
    shares: tuple[float, ...]
    own: Places
    kind = "labelled"

    def predict(self, values: Values, *, threads: int = 0) -> Floats:
        """Rows × labels: the probability of each."""
        step = max(1, _AT_ONCE // len(self.shares))
        parts = [values[start : start + step] for start in range(0, max(1, len(values)), step)]
        said = [self.booster.predict(asked(part, self.shares, self.own), threads=threads) for part in parts]
        return np.concatenate(said).reshape(len(values), len(self.shares))

    def answer(self, score: Floats) -> Floats:
        """The score itself: labels have no single one."""
        return score

    def contributions(self, values: Values, *, threads: int = 0) -> Floats:
        """Rows × labels × (columns + 1): each column's part in the log-odds of each label; last, where it starts.

        Which label is meant belongs to where it starts; what the past held, to the column that says so.
        """
        width, lags = values.shape[1], len(self.own[0])
        parts = self.booster.contributions(asked(values, self.shares, self.own), threads=threads)
        parts = parts.reshape(len(values), len(self.shares), -1)
        whole = np.concatenate([parts[..., :width], parts[..., -1:]], axis=2)
        whole[..., -1] += parts[..., width : width + 2].sum(axis=2)
        for label, places in enumerate(self.own):
            for lag in range(lags):  # the place -1 is where it starts
                whole[:, label, places[lag]] += parts[:, label, width + 2 + lag] + parts[:, label, -2] / lags
        return whole

    def importance(self, columns: int) -> Floats:
        """Total gain of each column; what the past held counts for the columns that say so."""
        lags = len(self.own[0])
        gains = self.booster.importance(columns + 3 + lags)
        summed = np.append(gains[:columns], 0.0)
        for places in self.own:
            for lag, place in enumerate(places):
                summed[place] += (gains[columns + 2 + lag] + gains[-1] / lags) / len(self.own)
        return summed[:-1]

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"kind": self.kind, "booster": self.booster.text, "shares": self.shares, "own": self.own}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Labelled:
        """What `to_dict` wrote."""
        return cls(Booster(plain["booster"]), tuple(plain["shares"]), tuple(map(tuple, plain["own"])))


def asked(values: Values, shares: Sequence[float], own: Places) -> Values:
    """Each row once a label: its columns, the label's number and share, whether each past window held it, and the share
    of those that did (NaN where none is known)."""
    rows, columns = values.shape
    count, lags = len(shares), len(own[0])
    padded = np.column_stack([values, np.full(rows, np.nan, np.float32)])
    long = np.empty((rows, count, columns + 3 + lags), np.float32)
    long[:, :, :columns] = values[:, None, :]
    long[:, :, columns] = np.arange(count)
    long[:, :, columns + 1] = shares
    for lag in range(lags):
        long[:, :, columns + 2 + lag] = padded[:, [places[lag] for places in own]]
    before = long[:, :, columns + 2 : columns + 2 + lags]
    known = np.sum(~np.isnan(before), axis=2)
    long[:, :, -1] = np.where(known > 0, np.nansum(before, axis=2) / np.maximum(known, 1), np.nan)
    return long.reshape(rows * count, columns + 3 + lags)


def past_places(encoding: Encoding, own_past: Sequence[str], labels: Sequence[Any]) -> Places:
    """For each label the columns that say whether each past window held it; -1 where there is none."""
    place = {(e.feature, e.element): i for i, e in enumerate(encoding.encoders) if isinstance(e, Holds)}
    return tuple(tuple(place.get((name, str(label)), -1) for name in own_past) for label in labels)


def fit_labels(
    train_on: Examples,
    stop_on: Examples,
    truths: tuple[Floats, Floats],
    shares: Sequence[float],
    own: Places,
    options: Options,
    progress: Progress,
) -> Fit:
    """Learn all labels at once; ``truths`` are rows × labels of 0 and 1, of training and of validation."""
    rows, stop = (_long(part, truth, shares, own) for part, truth in zip((train_on, stop_on), truths, strict=True))
    grown = grow(rows, stop, _TOLD, options, lambda done: progress(0.6 * done))
    held_out = grown.booster.predict(stop.values, threads=options.threads)
    booster = grown.booster
    if options.refit:
        booster = regrow(both(rows, stop), grown.rounds, _TOLD, options, lambda done: progress(0.6 + 0.4 * done))
    places = len(train_on.target) + np.arange(len(stop_on.target))
    return Fit(Labelled(booster, tuple(shares), own), held_out, places)


def _long(examples: Examples, truth: Floats, shares: Sequence[float], own: Places) -> Examples:
    stride = -(-truth.size // MOST_CELLS)
    values = asked(examples.values[::stride], shares, own)
    return Examples(values, truth[::stride].ravel(), (*examples.categorical, examples.values.shape[1]))
