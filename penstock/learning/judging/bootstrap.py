"""The noise in a metric: the bootstrap, clustered by entity (Efron 1979; Field & Welsh 2007).

Rows of one entity resemble each other, so that it is entities that are drawn with replacement, with all their rows.
A draw is a weight for each row, and metrics of weights (`weighted`) make hundreds of draws cheap.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from penstock.learning.judging.weighted import Floats, Measured
from penstock.learning.rows.dataset import Array, Rows, hashed

Measure: TypeAlias = Callable[[Rows, Floats], Measured]
"""The metrics of some rows in each replicate, from the rows' weights (replicates × rows)."""

LEVEL = 0.9
REPLICATES = 300
MOST = 20_000
_FEWEST = 30
_AT_ONCE = 1_000_000


@dataclass(frozen=True)
class Draws:
    """How often each entity is drawn in each replicate.

    ``rows`` are the rows used, in an order that does not depend on the one they came in; ``cluster`` is the entity of
    each; ``counts`` is replicates × entities. Where only a part of the entities is used, ``shrink`` < 1 says by how
    much the spread of all of them is smaller.
    """

    rows: Rows
    cluster: Rows
    counts: npt.NDArray[np.uint16]
    shrink: float = 1.0

    def measured(self, measure: Measure) -> Measured:
        """Each metric in every replicate; first of all with every row once."""
        ones = np.ones((1, len(self.rows)))
        step = max(1, _AT_ONCE // max(1, len(self.rows)))
        blocks = [self.counts[i : i + step, self.cluster] for i in range(0, len(self.counts), step)]
        parts = [measure(self.rows, ones), *(measure(self.rows, block.astype(np.float64)) for block in blocks)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def spread(self, values: Floats) -> Floats:
        """How far each replicate lies from all rows; ``values`` are one metric's from `measured`."""
        off: Floats = self.shrink * (values[1:] - values[0])
        return off[~np.isnan(off)]

    def interval(self, values: Floats, around: float) -> tuple[float, float]:
        """The percentile interval of a metric whose value for all rows is ``around``; NaN where it is undefined."""
        low, _, high = self._quantiles(values)
        return float(around + low), float(around + high)

    def _quantiles(self, values: Floats) -> Floats:
        spread = self.spread(values)
        if not len(spread) or self.counts.shape[1] < 2:
            return np.full(3, np.nan)
        found: Floats = np.quantile(spread, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2])
        return found

    def intervals(self, measured: Measured, around: Mapping[str, float]) -> dict[str, tuple[float, float]]:
        """The interval of each metric that is among those measured.

        A calibration error is larger in every replicate, since fewer different rows leave larger gaps by chance: its
        interval is moved down by that, to 0 at least.
        """
        found = {name: self.interval(measured[name], value) for name, value in around.items() if name in measured}
        if "calibration_error" in found:
            low, middle, high = self._quantiles(measured["calibration_error"])
            ends = [float(np.maximum(around["calibration_error"] + end - middle, 0.0)) for end in (low, high)]
            found["calibration_error"] = (ends[0], ends[1])
        return found


def draws(
    entity: Array,
    cutoff: Rows,
    step: Rows | None = None,
    *,
    seed: int = 0,
    replicates: int = REPLICATES,
    most: int = MOST,
) -> Draws:
    """Draw the rows' entities with replacement; where there are more than ``most`` rows, some entities stand for all.

    The same rows in any order give the same draws.
    """
    name = hashed(entity, seed)
    ahead = np.zeros(len(name), np.int64) if step is None else step
    order = np.lexsort((ahead, cutoff, name))
    fresh = np.diff(name[order], prepend=name[order[:1]] + np.uint64(1)) != 0
    cluster = np.cumsum(fresh) - 1
    found = int(cluster[-1]) + 1 if len(cluster) else 0
    kept = found if len(order) <= most else max(min(found, _FEWEST), int(cluster[most]))
    inside = cluster < kept
    rng = np.random.default_rng(seed)
    counts = np.array(
        [np.bincount(rng.integers(0, kept, kept), minlength=kept) for _ in range(replicates if kept else 0)]
    )
    counts = counts.reshape(len(counts), kept).astype(np.uint16)
    return Draws(order[inside], cluster[inside], counts, float(np.sqrt(kept / found)) if found else 1.0)
