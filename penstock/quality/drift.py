"""How far two samples of one column lie apart, and how far they would by chance alone.

The population stability index is Jeffreys' divergence of two histograms (Siddiqi, *Credit Risk Scorecards*, 2006). With
``n`` and ``m`` rows of the same distribution in ``b`` bins it is about ``(1/n + 1/m)`` times a chi-squared variable of
``b - 1`` degrees of freedom (Yurdakul & Naranjo, *Statistical properties of the population stability index*, Journal of
Risk Model Validation 14, 2020). The Wasserstein distance of two samples of one distribution is on average at most
``sqrt(1/n + 1/m)`` times the integral of ``sqrt(F (1 - F))`` (Bobkov & Ledoux, *One-dimensional empirical measures,
order statistics, and Kantorovich transport distances*, 2019). Thresholds are widened by so much, so that small samples
raise no alarm by chance.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import pairwise

Z = 3.0
"""Standard deviations of chance that are let pass: about one false alarm in 700 looks."""


def psi(before: Sequence[float], after: Sequence[float]) -> float:
    """The population stability index of two histograms over the same bins, from counts.

    Half a row is added to each bin, so that an empty one does not make it infinite (Jeffreys' prior).

    >>> psi([50, 50], [50, 50]), round(psi([500, 500], [250, 750]), 3)
    (0.0, 0.274)
    """
    old, new = _shares(before), _shares(after)
    return sum((q - p) * math.log(q / p) for p, q in zip(old, new, strict=True))


def _shares(counts: Sequence[float]) -> list[float]:
    whole = sum(counts) + 0.5 * len(counts)
    return [(count + 0.5) / whole for count in counts]


def psi_by_chance(rows_before: int, rows_after: int, bins: int) -> float:
    """What the index stays below by chance in all but about one look in 700."""
    if bins < 2:
        return 0.0
    return (1 / rows_before + 1 / rows_after) * chi_squared(bins - 1, Z)


def chi_squared(degrees: int, z: float) -> float:
    """The quantile of a chi-squared variable that a normal one has at ``z`` (Wilson & Hilferty, 1931)."""
    spread = 2 / (9 * degrees)
    return degrees * float(1 - spread + z * math.sqrt(spread)) ** 3


def wasserstein(before: Sequence[float], after: Sequence[float]) -> float:
    """The Wasserstein distance of order 1 of two lists of quantiles at the same evenly spread levels, each in order.

    >>> wasserstein([1, 2, 3], [2, 3, 4])
    1.0
    """
    return sum(abs(new - old) for old, new in zip(before, after, strict=True)) / len(before)


def wasserstein_by_chance(quantiles: Sequence[float], rows_before: int, rows_after: int) -> float:
    """What the distance of two samples stays below by chance, for a distribution with these quantiles.

    Twice the bound of the average: the distance is concentrated around it.
    """
    size = len(quantiles)
    roots = (math.sqrt((level + 1) / size * (1 - (level + 1) / size)) for level in range(size - 1))
    integral = sum(root * (high - low) for root, (low, high) in zip(roots, pairwise(quantiles), strict=True))
    return 2 * math.sqrt(1 / rows_before + 1 / rows_after) * integral


def mean_by_chance(stds: tuple[float, float], rows: tuple[int, int]) -> float:
    """What two means differ by, by chance (Welch, 1947)."""
    return Z * math.sqrt(sum(std**2 / count for std, count in zip(stds, rows, strict=True)))


def share_by_chance(hits: tuple[float, float], rows: tuple[int, int]) -> float:
    """What two shares differ by, by chance: the pooled standard error, with one hit and one miss added."""
    pooled = (sum(hits) + 1) / (sum(rows) + 2)
    return Z * math.sqrt(pooled * (1 - pooled) * (1 / rows[0] + 1 / rows[1]))


def edges(quantiles: Sequence[float], bins: int) -> tuple[float, ...]:
    """Where bins end that hold about as many rows each, from evenly spread quantiles; equal ends count once.

    >>> edges([1, 2, 3, 4, 5, 6, 7, 8], 4)
    (2, 4, 6)
    """
    size = len(quantiles)
    return tuple(sorted({quantiles[max(0, math.ceil(size * at / bins) - 1)] for at in range(1, bins)}))


def histogram(quantiles: Sequence[float], ends: Sequence[float], rows: float) -> list[float]:
    """How many of the rows fall into each bin (up to and with its end; the last has none), from their quantiles.

    >>> histogram([1, 2, 3, 4], (2, 4), 100)
    [50.0, 50.0, 0.0]
    """
    below = [0, *(bisect_right(quantiles, end) for end in ends), len(quantiles)]
    return [(high - low) * rows / len(quantiles) for low, high in pairwise(below)]


def side_by_side(
    before: Mapping[str, int], after: Mapping[str, int], rows_before: int, rows_after: int
) -> tuple[list[float], list[float]]:
    """The counts of two lists of categories over the same bins: those that the first names, and all others."""
    old = [float(count) for count in before.values()]
    new = [float(after.get(name, 0)) for name in before]
    rests = max(0.0, rows_before - sum(old)), max(0.0, rows_after - sum(new))
    return ([*old, rests[0]], [*new, rests[1]]) if any(rests) else (old, new)
