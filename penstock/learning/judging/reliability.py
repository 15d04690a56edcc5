"""Reliability: in rows about which much the same was said, how often it was right."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Floats: TypeAlias = npt.NDArray[np.float64]
Rows: TypeAlias = npt.NDArray[np.int64]
BINS = 10


@dataclass(frozen=True)
class Bin:
    """Rows with predictions from ``low`` to ``high``: how many, the mean of what was ``said``, and what ``came``.

    Of probabilities ``came`` is the share for which it came true; of numbers, the share that lay in their interval.
    """

    low: float
    high: float
    rows: int
    said: float
    came: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Bin:
        """What `to_dict` wrote."""
        return cls(**plain)


def reliability(said: Floats, came: Floats, bins: int = BINS) -> tuple[Bin, ...]:
    """Equally filled bins of what was said, and the share that came; rows of which the same was said stay together.

    The order of the rows does not matter.

    >>> for part in reliability(np.array([0.1, 0.1, 0.5, 1.0]), np.array([0.0, 1.0, 1.0, 1.0]), bins=2):
    ...     print(part)
    Bin(low=0.1, high=0.1, rows=2, said=0.1, came=0.5)
    Bin(low=0.5, high=1.0, rows=2, said=0.75, came=1.0)
    """
    values, place, counts = np.unique(said, return_inverse=True, return_counts=True)
    if not len(values):
        return ()
    middle = np.cumsum(counts) - counts / 2
    number = np.minimum((middle * bins / len(said)).astype(np.int64), bins - 1)
    sums = np.bincount(place, came, minlength=len(values)).astype(np.float64)
    cells = [np.flatnonzero(number == n) for n in np.unique(number)]
    return tuple(_bin(values[cell], counts[cell].astype(np.int64), sums[cell]) for cell in cells)


def _bin(values: Floats, counts: Rows, sums: Floats) -> Bin:
    rows = int(counts.sum())
    said = float(np.sum(values * counts) / rows)
    return Bin(float(values[0]), float(values[-1]), rows, said, float(sums.sum() / rows))


def table(bins: Sequence[Bin], head: tuple[str, str]) -> list[str]:
    """The bins as lines of text under what they say and what came."""
    rows = [("predictions", "rows", *head)]
    rows += [(f"{_n(b.low)} to {_n(b.high)}", f"{b.rows:,}", _n(b.said), _n(b.came)) for b in bins]
    widths = [max(len(row[i]) for row in rows) for i in range(4)]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]


def _n(value: float) -> str:
    return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"
