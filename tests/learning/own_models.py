"""A class of model as a user may write it, found by its name."""

from __future__ import annotations

import numpy as np


class Nearest:
    """The mean of the target among training rows that are on the same side of the median of the first column."""

    def __init__(self, middle, below, above):
        self.middle, self.below, self.above = middle, below, above

    @classmethod
    def fit(cls, values, target, *, space, classes, categorical, options):
        assert space in ("chance", "number")
        assert classes == 1
        assert all(values[:, place].max() >= 1 for place in categorical)
        assert options.model == "tests.learning.own_models:Nearest"
        middle = float(np.nanmedian(values[:, 0]))
        side = values[:, 0] > middle
        return cls(middle, float(target[~side].mean()), float(target[side].mean()))

    def predict(self, values, *, threads=0):
        assert threads >= 0
        return np.where(values[:, 0] > self.middle, self.above, self.below)

    def to_dict(self):
        return {"middle": self.middle, "below": self.below, "above": self.above}

    @classmethod
    def from_dict(cls, plain):
        return cls(**plain)

    def __eq__(self, other):
        return self.to_dict() == other.to_dict()

    __hash__ = None


class Shares:
    """Classes by their shares in training, with parts and importance of its own."""

    def __init__(self, shares):
        self.shares = shares

    @classmethod
    def fit(cls, values, target, *, space, classes, categorical, options):
        assert space == "classes"
        return cls((np.bincount(target.astype(int), minlength=classes) / len(target)).tolist())

    def predict(self, values, *, threads=0):
        return np.tile(self.shares, (len(values), 1))

    def contributions(self, values):
        whole = np.zeros((len(values), len(self.shares), values.shape[1] + 1))
        whole[..., 0] = np.log(self.shares)
        return whole

    def importance(self, columns):
        return np.eye(columns)[0]

    def to_dict(self):
        return {"shares": self.shares}

    @classmethod
    def from_dict(cls, plain):
        return cls(plain["shares"])


class Half:
    def fit(self):
        """All it has."""
