"""A difference between two predictors in one metric, and whether it is more than noise."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from penstock.learning.judging.bootstrap import Draws
from penstock.learning.judging.weighted import Floats

_UP = {"auroc", "ap", "accuracy", "macro_f1", "r2", "map", "ndcg", "recall", "f1_micro"}
_DOWN = {"log_loss", "calibration_error", "brier", "mae", "rmse"}


def better_is(name: str) -> int:
    """1 where more of a metric is better, -1 where less is, 0 where neither.

    >>> better_is("auroc_micro"), better_is("mae"), better_is("coverage")
    (1, -1, 0)
    """
    stem = name.partition("@")[0]
    known = {stem, stem.removesuffix("_micro").removesuffix("_macro")}
    return 1 if known & _UP else -1 if known & _DOWN else 0


def arrow(name: str) -> str:
    """↑ where more is better, ↓ where less is, nothing where neither.

    >>> arrow("auroc_micro"), arrow("map@10"), arrow("mae"), arrow("coverage")
    ('↑', '↑', '↓', '')
    """
    return {1: "↑", -1: "↓", 0: ""}[better_is(name)]


@dataclass(frozen=True)
class Difference:
    """One predictor's ``metric`` minus that of another, named ``rival``, on the same rows.

    ``low`` and ``high`` bound it in 90 % of bootstrap replicates; ``better`` is the share of replicates in which the
    first is the better one, a tie counting half (NaN where neither direction is better).
    """

    metric: str
    rival: str
    value: float
    low: float
    high: float
    better: float

    @property
    def verdict(self) -> str:
        """*better*, *worse*, or *as good* but for noise; *other* or *alike* where neither direction is better."""
        told = 0 if math.isnan(self.low) or self.low <= 0 <= self.high else 1 if self.low > 0 else -1
        side = better_is(self.metric)
        if side == 0:
            return "other" if told else "alike"
        return {1: "better", 0: "as good", -1: "worse"}[told * side]

    def __str__(self) -> str:
        return f"{self.metric} {signed(self.value)} ({signed(self.low)} to {signed(self.high)})"

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; what is undefined is None."""
        return {name: None if _undefined(value) else value for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Difference:
        """What `to_dict` wrote."""
        told: dict[str, Any] = {name: math.nan if value is None else value for name, value in plain.items()}
        return cls(**told)


def signed(value: float) -> str:
    """A difference as people read it; – where it is undefined.

    >>> signed(0.0312), signed(-1234.5), signed(-1e-9), signed(float("nan"))
    ('+0.031', '-1,234', '0.000', '–')
    """
    if math.isnan(value):
        return "–"
    told = f"{value:+,.3f}" if abs(value) < 1000 else f"{value:+,.0f}"
    return told.lstrip("+-") if float(told.replace(",", "")) == 0 else told


def _undefined(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def difference(metric: str, rival: str, draws: Draws, first: Floats, second: Floats, value: float) -> Difference:
    """Of one metric, from both predictors' values in the same replicates (as `Draws.measured` gives them).

    ``value`` is the difference over all rows.
    """
    low, high = draws.interval(first - second, value)
    ahead = (draws.spread(first - second) + value) * better_is(metric)
    share = float(((ahead > 0) + (ahead == 0) / 2).mean()) if len(ahead) and better_is(metric) else math.nan
    return Difference(metric, rival, value, low, high, share)
