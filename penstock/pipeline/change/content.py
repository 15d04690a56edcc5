"""How alike the values of two columns are, told from their prints alone."""

from __future__ import annotations

import math

from penstock.pipeline.change.prints import ColumnPrint

FEW = 48
"""Up to so many different values, their shares are compared."""
_ENOUGH, _TIMES = 5, 4


def same_values(ours: ColumnPrint, theirs: ColumnPrint) -> float | None:
    """How alike, from 0 (nothing in common) to 1 (as if from one column); None where there is too little to tell."""
    if min(ours.filled, theirs.filled) < _ENOUGH or "other" in (ours.family, theirs.family):
        return None
    nulls, overlap = 1 - abs(ours.nulls - theirs.nulls), _overlap(ours, theirs)
    if ours.family != theirs.family:
        return nulls * overlap
    if max(ours.distinct, theirs.distinct) <= FEW:
        return nulls * (0.3 * overlap + 0.7 * _shares(ours, theirs))
    repeats = _uniqueness(ours, theirs)
    if ours.family == "text":
        return nulls * max(overlap, 0.3 * overlap + 0.7 * _letters(ours, theirs) * repeats)
    return nulls * max(_spread(ours, theirs) * (0.8 + 0.2 * overlap), 0.8 * _goes_on(ours, theirs)) * repeats


def _overlap(ours: ColumnPrint, theirs: ColumnPrint) -> float:
    """What the values have in common; of a few rows beside many, how many of theirs were known."""
    common, inside = ours.sketch.overlap(theirs.sketch)
    return inside if _unequal(ours, theirs) else math.sqrt(common * inside)


def _unequal(ours: ColumnPrint, theirs: ColumnPrint) -> bool:
    return max(ours.filled, theirs.filled) > _TIMES * min(ours.filled, theirs.filled)


def _shares(ours: ColumnPrint, theirs: ColumnPrint) -> float:
    """What the most frequent values' shares have in common."""
    mine, others = dict(ours.common), dict(theirs.common)
    both = sum(min(mine.get(value, 0.0), others.get(value, 0.0)) for value in {*mine, *others})
    rest = min(1 - sum(mine.values()), 1 - sum(others.values()))
    return min(1.0, both + max(0.0, rest))


def _spread(ours: ColumnPrint, theirs: ColumnPrint) -> float:
    """How close the quantiles are, in units of the spread; times are allowed to have moved on."""
    mine, others = (_bent(print_) for print_ in (ours, theirs))
    if not mine or not others:
        return 0.0
    if ours.family == "instant" and mine[0] <= others[0] <= mine[-1] + 0.2 * (mine[-1] - mine[0]):
        later = others[3] - mine[3]
        return max(_apart(mine, others), 0.9 * _apart(mine, [value - later for value in others]))
    return _apart(mine, others)


def _apart(mine: list[float], others: list[float]) -> float:
    width = max(mine[-2] - mine[1], others[-2] - others[1], 1e-9 * max(map(abs, (*mine, *others))), 1e-12)
    apart = sum(abs(a - b) for a, b in zip(mine[1:-1], others[1:-1], strict=True)) / (len(mine) - 2) / width
    return math.exp(-2.5 * apart)


def _goes_on(ours: ColumnPrint, theirs: ColumnPrint) -> float:
    """Whether numbers or instants begin where the others ended, as those of new rows do."""
    if ours.least is None or ours.greatest is None or theirs.least is None or theirs.greatest is None:
        return 0.0
    width, other = ours.greatest - ours.least, theirs.greatest - theirs.least
    if min(width, other) <= 0:
        return 0.0
    gap = min(abs(theirs.least - ours.greatest), abs(ours.least - theirs.greatest)) / max(width, other)
    steps, others = width / ours.filled, other / theirs.filled
    alike = max(min(width, other) / max(width, other), min(steps, others) / max(steps, others))
    return math.exp(-20 * gap) * math.sqrt(alike)


def _bent(column: ColumnPrint) -> list[float]:
    """Quantiles on a scale on which long tails do not count for all."""
    if column.family == "instant":
        return list(column.quantiles)
    return [math.asinh(value) for value in column.quantiles]


def _letters(ours: ColumnPrint, theirs: ColumnPrint) -> float:
    """How alike the make-up of texts is: their length, and the sorts of letters in them."""
    if not ours.letters or not theirs.letters:
        return 0.0
    longer = max(ours.length or 0.0, theirs.length or 0.0, 1.0)
    length = abs((ours.length or 0.0) - (theirs.length or 0.0)) / longer
    apart = sum(abs(a - b) for a, b in zip(ours.letters, theirs.letters, strict=True))
    return math.exp(-2.5 * (length + apart))


def _uniqueness(ours: ColumnPrint, theirs: ColumnPrint) -> float:
    """Whether both repeat their values about as often, for as many rows as they have."""
    few, many = sorted((ours, theirs), key=lambda column: column.filled)
    expected = float(few.filled)
    if many.distinct < 0.9 * many.filled:
        expected = many.distinct * -math.expm1(-few.filled / many.distinct)
    if not _unequal(ours, theirs):
        expected = many.distinct / max(1, many.filled) * few.filled
    mine, others = few.distinct / few.filled, expected / few.filled
    return math.sqrt((min(mine, others) + 0.02) / (max(mine, others) + 0.02))
