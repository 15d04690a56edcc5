"""Mean, spread and quantiles of numbers that come in batches, in one pass and bounded memory."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Numbers = npt.NDArray[np.float64]


@dataclass
class Spread:
    """Count, mean and sum of squared distances of finite numbers, and every ``step``-th of all numbers for quantiles.

    Batches are joined by the formula of Chan, Golub and LeVeque (1979), which loses nothing where the mean is large.

    >>> found = Spread(1)
    >>> found.add(np.array([1.0, 2.0, np.nan]))
    >>> found.add(np.array([6.0]))
    >>> found.values, found.mean, found.squares, found.quantiles(3)
    (3, 3.0, 14.0, (1.0, 2.0, 6.0))
    """

    step: int
    values: int = 0
    mean: float = 0.0
    squares: float = 0.0
    least: float = float("inf")
    most: float = float("-inf")
    passed: int = 0
    kept: list[Numbers] = field(default_factory=list, repr=False)

    def add(self, batch: Numbers) -> None:
        """Take numbers in; those that are not finite (a missing one is NaN) are left out."""
        self.kept.append(batch[-self.passed % self.step :: self.step])
        self.passed += len(batch)
        finite = batch[np.isfinite(batch)]
        if not len(finite):
            return
        with np.errstate(over="ignore", invalid="ignore"):
            self._join(finite)
        self.least, self.most = min(self.least, float(finite.min())), max(self.most, float(finite.max()))

    def _join(self, finite: Numbers) -> None:
        mean, whole = finite.mean(), self.values + len(finite)
        away = mean - self.mean
        between = np.square(away) * self.values * (len(finite) / whole)
        self.squares = float(self.squares + np.square(finite - mean).sum() + between)
        self.mean = float(self.mean + away * (len(finite) / whole))
        self.values = whole

    def quantiles(self, count: int) -> tuple[float, ...]:
        """The quantiles at the levels 1/2n, 3/2n, … for a count n: each one of the numbers that were kept."""
        kept = np.concatenate(self.kept) if self.kept else np.empty(0)
        kept = np.sort(kept[np.isfinite(kept)])
        places = ((2 * np.arange(count) + 1) * len(kept) + 2 * count - 1) // (2 * count) - 1
        return tuple(kept[places].tolist()) if len(kept) else ()
