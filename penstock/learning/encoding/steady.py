"""Models that learn next to nothing: what the entity did before, and what is usual.

They are what every other model must beat, and members of a blend where that fails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.calibration.calibrate import log_odds, sigmoid
from penstock.learning.encoding.matrix import Values

Floats: TypeAlias = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Steady:
    """The mean of the target's earlier windows, as if it had been ``usual`` in ``weight`` windows more.

    ``past`` are columns of the matrix and what to add to each. An entity without a past gets the usual. With
    ``chance`` the answer is a probability, and contributions are parts of its log-odds.
    """

    past: tuple[tuple[int, float], ...]
    usual: float
    weight: float = 0.0
    chance: bool = False
    kind = "steady"

    def predict(self, values: Values, *, threads: int = 0) -> Floats:  # noqa: ARG002  the same for every model
        """A probability or number a row."""
        above, known = self._above(values)
        mean: Floats = self.usual + above.sum(axis=1) / np.maximum(known + self.weight, 1e-9)
        return mean

    def _above(self, values: Values) -> tuple[Floats, Floats]:
        """What each known window had more than usual, and how many are known."""
        if not self.past:
            return np.zeros((len(values), 0)), np.zeros(len(values))
        columns = np.column_stack([values[:, place].astype(np.float64) + shift for place, shift in self.past])
        known = ~np.isnan(columns)
        return np.where(known, columns - self.usual, 0.0), known.sum(axis=1).astype(np.float64)

    def answer(self, score: Floats) -> Floats:
        """The answer to a row whose contributions sum to this score."""
        return sigmoid(score) if self.chance else score

    def contributions(self, values: Values, *, threads: int = 0) -> Floats:
        """What each window of the past adds to the usual."""
        above, known = self._above(values)
        parts = above / np.maximum(known + self.weight, 1e-9)[:, None]
        start = self.usual
        if self.chance:
            start = float(log_odds(np.array([self.usual]))[0])
            total = parts.sum(axis=1)
            moved = log_odds(self.predict(values, threads=threads)) - start
            parts = parts * np.where(total != 0, moved / np.where(total != 0, total, 1.0), 0.0)[:, None]
        whole = np.zeros((len(values), values.shape[1] + 1))
        for (place, _), part in zip(self.past, parts.T, strict=True):
            whole[:, place] += part
        whole[:, -1] = start
        return whole

    def importance(self, columns: int) -> Floats:
        """The same for each window of the past."""
        return np.bincount([place for place, _ in self.past], minlength=columns).astype(np.float64)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"kind": self.kind, "past": self.past, "usual": self.usual, "weight": self.weight,
                "chance": self.chance}  # fmt: skip

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Steady:
        """What `to_dict` wrote."""
        past = tuple((place, shift) for place, shift in plain["past"])
        return cls(past, plain["usual"], plain["weight"], plain["chance"])


Lag: TypeAlias = tuple[int, tuple[tuple[float, int], ...]]


@dataclass(frozen=True)
class Habit:
    """The classes of the entity's earlier windows, as if there had been ``weight`` more with the usual ``shares``.

    ``lags``: (column of the matrix, (value, class) …), nearest first; the nearest counts fully, each older one less.
    """

    lags: tuple[Lag, ...]
    shares: tuple[float, ...]
    weight: float
    kind = "habit"

    def predict(self, values: Values, *, threads: int = 0) -> Floats:  # noqa: ARG002  the same for every model
        """Rows × classes: probabilities."""
        counts = np.sum([self.weight * np.tile(self.shares, (len(values), 1)), *self._seen(values)], axis=0)
        shares: Floats = counts / counts.sum(axis=1, keepdims=True)
        return shares

    def _seen(self, values: Values) -> list[Floats]:
        """For each window rows × classes: its weight where it had that class."""
        seen = [np.zeros((len(values), len(self.shares))) for _ in self.lags]
        for age, (place, known) in enumerate(self.lags):
            for value, answer in known:
                seen[age][:, answer] += (values[:, place] == np.float32(value)) / (1.0 + age)
        return seen

    def answer(self, score: Floats) -> Floats:
        """The score itself: classes have no single one."""
        return score

    def contributions(self, values: Values, *, threads: int = 0) -> Floats:
        """Rows × classes × (columns + 1): the change in the log of each class's probability, shared by the windows."""
        usual = np.log(np.clip(self.shares, 1e-12, 1.0))
        moved = np.log(np.clip(self.predict(values, threads=threads), 1e-12, 1.0)) - usual
        seen = [part.sum(axis=1) for part in self._seen(values)]
        total = np.maximum(np.sum(seen, axis=0), 1e-12) if seen else np.ones(len(values))
        whole = np.zeros((len(values), len(self.shares), values.shape[1] + 1))
        for (place, _), part in zip(self.lags, seen, strict=True):
            whole[:, :, place] += moved * (part / total)[:, None]
        whole[..., -1] = usual
        return whole

    def importance(self, columns: int) -> Floats:
        """More for nearer windows."""
        sizes = [1.0 / (1.0 + age) for age in range(len(self.lags))]
        return np.bincount([place for place, _ in self.lags], sizes, minlength=columns).astype(np.float64)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"kind": self.kind, "lags": self.lags, "shares": self.shares, "weight": self.weight}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Habit:
        """What `to_dict` wrote."""
        lags = tuple((place, tuple((value, answer) for value, answer in known)) for place, known in plain["lags"])
        return cls(lags, tuple(plain["shares"]), plain["weight"])


def shares_of(codes: Sequence[int] | npt.NDArray[Any], classes: int) -> tuple[float, ...]:
    """The share of each class among rows, as if each had been seen once more."""
    counts = np.bincount(np.asarray(codes, np.int64), minlength=classes) + 1.0
    return tuple((counts / counts.sum()).tolist())
