"""A bound on how many features are made: where there would be too many, the least likely ones go, and that is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from penstock.aggregates import AGGREGATES, Family
from penstock.features.definitions import Feature
from penstock.plan import aggregates

MOST_FEATURES, FEWEST_FEATURES = 800, 300
MOST_VALUES = 75_000_000
"""Features times rows: as many values fit in about half a gigabyte."""
MOST_COSTLY = 300
"""Of features that keep more than a few sums for a window: extremes, frequencies, medians, trends."""
_CHEAP = {Family.COUNT, Family.SUMS, Family.ORDER, Family.AGE}


def most_features(rows: int | None) -> int:
    """How many features are affordable for so many rows.

    >>> most_features(None), most_features(150_000), most_features(10_000_000)
    (800, 500, 300)
    """
    return MOST_FEATURES if not rows else max(FEWEST_FEATURES, min(MOST_FEATURES, MOST_VALUES // rows))


def affordable(features: Iterable[Feature], most: int) -> tuple[list[Feature], list[str]]:
    """The likeliest ``most`` features, in the order they came, and a sentence on what was left out."""
    first: dict[str, Feature] = {}
    for feature in features:
        first.setdefault(feature.name, feature)
    made = list(first.values())
    ranked = _by_likelihood(made)
    kept: set[int] = set()
    costly = 0
    for place in ranked:
        dear = _is_costly(made[place])
        if len(kept) < most and not (dear and costly >= MOST_COSTLY):
            kept.add(place)
            costly += dear
    cut = Counter(feature.family for place, feature in enumerate(made) if place not in kept)
    if not cut:
        return made, []
    told = ", ".join(f"{number:,} of {family}" for family, number in cut.most_common())
    note = f"Of {len(made):,} features that could be made, the likeliest {len(kept):,} were; left out: {told}."
    return [feature for place, feature in enumerate(made) if place in kept], [note]


def _by_likelihood(made: list[Feature]) -> list[int]:
    """Places in the order in which features are kept: by rank, and within a rank one of each family in turn."""
    before: Counter[tuple[int, str]] = Counter()
    turns = []
    for feature in made:
        turns.append(before[feature.rank, feature.family])
        before[feature.rank, feature.family] += 1
    return sorted(range(len(made)), key=lambda place: (made[place].rank, turns[place]))


def _is_costly(feature: Feature) -> bool:
    return any(AGGREGATES[a.function].family not in _CHEAP for a in aggregates(feature.expression))


__all__ = ["affordable", "most_features"]
