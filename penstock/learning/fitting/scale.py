"""The scale on which a model's trees add up: the target's own, its logarithm, or its change from the entity's past.

Sums and counts differ by orders of magnitude between entities. On a logarithmic scale an error is relative, and as a
change from what the entity did before, even an entity larger than any seen in training is predicted at its own size,
which trees alone cannot do.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.encoding.matrix import Values

Floats: TypeAlias = npt.NDArray[np.float64]
_MOST = 60.0


@dataclass(frozen=True)
class Scale:
    """``unit`` 0 leaves numbers as they are; else they become sign(x) · log(1 + |x| / unit).

    ``past`` are columns of the matrix (and what to add to each) that hold the target of earlier windows; where there
    are any, the model speaks of the difference from their mean. A past that is NULL counts as 0.
    """

    unit: float = 0.0
    past: tuple[tuple[int, float], ...] = ()

    def onto(self, numbers: Floats, values: Values) -> Floats:
        """Numbers (one a row of ``values``) on this scale."""
        return bent(numbers, self.unit) - self.start(values)

    def back(self, scores: Floats, values: Values) -> Floats:
        """What has these scores on this scale."""
        return straight(scores + self.start(values), self.unit)

    def start(self, values: Values) -> Floats:
        """What each row starts from: its past, on the scale; 0 where the scale knows no past."""
        if not self.past:
            return np.zeros(len(values))
        columns = np.column_stack([values[:, place].astype(float) + shift for place, shift in self.past])
        known = ~np.isnan(columns)
        mean = np.where(known, columns, 0.0).sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        return bent(mean, self.unit)

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Scale:
        """What `to_dict` wrote."""
        return cls(plain["unit"], tuple((place, shift) for place, shift in plain["past"]))


PLAIN = Scale()


def bent(numbers: Floats, unit: float) -> Floats:
    """sign(x) · log(1 + |x| / unit); the numbers themselves for unit 0."""
    return np.sign(numbers) * np.log1p(np.abs(numbers) / unit) if unit else numbers


def straight(scores: Floats, unit: float) -> Floats:
    """What `bent` bent."""
    return np.sign(scores) * np.expm1(np.minimum(np.abs(scores), _MOST)) * unit if unit else scores


def unit_of(numbers: Floats) -> float:
    """A small number among those that are not 0, below which differences do not matter: their 10 % quantile.

    >>> unit_of(np.array([0.0, 1.0, 1.0, 2.0, 9.0]))
    1.0
    """
    sizes = np.abs(numbers[numbers != 0])
    return float(np.quantile(sizes, 0.1, method="lower")) if len(sizes) else 1.0
