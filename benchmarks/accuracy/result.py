"""What came of one task: everybody's measures, and how ours compare."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks.accuracy.judge import BIGGER, Metrics, better

OURS = "Penstock"
ONE_TABLE, BY_HAND = "one table", "by hand"
MAJORITY = ("majority", "mean", "median", "popularity")
OWN_PAST = ("own past rate", "own mean", "last value", "seasonal naive", "own last", "own history")


@dataclass(frozen=True)
class Result:
    """One task: who said how well, the 90 per cent interval of ours and of the lead over the best other.

    ``lead`` is by how much ours is better than the best other by the primary measure: a difference where more is
    better, else the share of their error that ours saves. ``missing`` says who has no figure, and why; ``poison`` what
    became of the law that nothing after a cutoff changes a prediction, where it was tried.
    """

    name: str
    kind: str
    rows: Mapping[str, int]
    entities: int
    primary: str
    scores: Mapping[str, Metrics]
    interval: tuple[float, float]
    best: str
    lead: float
    lead_interval: tuple[float, float]
    coverage: float | None
    seconds: float
    features: int
    missing: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, float] = field(default_factory=dict)
    poison: str = ""

    @property
    def ours(self) -> Metrics:
        """Our measures."""
        return self.scores[OURS]

    @property
    def below(self) -> bool:
        """Whether ours is worse than the best other by more than noise."""
        return self.lead_interval[1] < 0

    @property
    def calibration(self) -> float | None:
        """The calibration error, of yes or no."""
        return self.ours.get("calibration_error")

    def lead_over(self, other: str, measure: str | None = None) -> float | None:
        """By how much ours is better than one other, or one of a group of them."""
        name = measure or self.primary
        said = self.scores.get(other)
        return None if said is None or name not in said else better(name, self.ours[name], said[name])

    def group(self, names: tuple[str, ...], measure: str | None = None) -> str | None:
        """The best of a group of peers."""
        name = measure or self.primary
        known = [n for n in names if n in self.scores and not math.isnan(self.scores[n][name])]
        if not known:
            return None
        return min(known, key=lambda n: self.scores[n][name] * (-1 if name in BIGGER else 1))

    def to_dict(self) -> dict[str, Any]:
        """For JSON; what is undefined is None."""
        plain: dict[str, Any] = _plain(asdict(self))
        return plain

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Result:
        """What `to_dict` wrote."""
        scores = {who: {m: _number(v) for m, v in said.items()} for who, said in plain["scores"].items()}
        pairs = {name: tuple(map(_number, plain[name])) for name in ("interval", "lead_interval")}
        return cls(**{**plain, "scores": scores, "lead": _number(plain["lead"]), **pairs})


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def groups(results: list[Result]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The peers in the order of the table: a heading, and the names that stand under it."""
    yield "majority, mean", MAJORITY
    yield "own past", OWN_PAST
    yield ONE_TABLE, (ONE_TABLE,)
    yield BY_HAND, (BY_HAND,)
    told = {name for result in results for name in result.scores}
    for name in sorted(n for n in told if n.startswith("featuretools")):
        yield name, (name,)
