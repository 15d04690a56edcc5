"""Which columns that went are which that came: one to one, best as a whole, and only where nothing else is close."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Pair = tuple[str, str]
_MANY = 100
"""Pairs of one island above which every way of pairing is not weighed as a whole."""


@dataclass(frozen=True)
class Assigned:
    """The sure pairs (ours, theirs), and for each doubtful column of ours what it may be of theirs, best first."""

    sure: tuple[Pair, ...]
    doubtful: Mapping[str, tuple[str, ...]]


def assigned(odds: Mapping[Pair, float], least: float, margin: float) -> Assigned:
    """Pairs whose log odds are at least ``least``, and better by ``margin`` than any other pair of either column.

    A pair is doubtful whose odds are even or better but not so clear. Two columns that may each be either of two stay
    doubtful, unless one way of pairing both is better by ``margin`` than the other.

    >>> assigned({("a", "x"): 5.0, ("b", "y"): 4.0, ("b", "x"): 1.0}, 2.0, 2.0).sure
    (('a', 'x'), ('b', 'y'))
    >>> assigned({("a", "x"): 5.0, ("a", "y"): 4.5}, 2.0, 2.0)
    Assigned(sure=(), doubtful={'a': ('x', 'y')})
    """
    sure = [pair for island in _islands(odds) for pair in _sure(island, least, margin)]
    taken = {name for pair in sure for name in pair}
    doubtful: dict[str, tuple[str, ...]] = {}
    for ours in sorted({ours for ours, _ in odds} - taken):
        open_ = [(-value, theirs) for (mine, theirs), value in odds.items() if mine == ours and theirs not in taken]
        close = tuple(theirs for value, theirs in sorted(open_) if value <= 0)
        if close:
            doubtful[ours] = close
    return Assigned(tuple(sorted(sure)), doubtful)


def _islands(odds: Mapping[Pair, float]) -> list[dict[Pair, float]]:
    """The pairs with odds above even, in groups that share no column: each can be looked at alone."""
    group: dict[tuple[int, str], tuple[int, str]] = {}

    def first(node: tuple[int, str]) -> tuple[int, str]:
        while group.setdefault(node, node) != node:
            group[node] = group[group[node]]
            node = group[node]
        return node

    above = sorted(pair for pair, value in odds.items() if value > 0)
    for ours, theirs in above:
        group[first((0, ours))] = first((1, theirs))
    islands: dict[tuple[int, str], dict[Pair, float]] = {}
    for pair in above:
        islands.setdefault(first((0, pair[0])), {})[pair] = odds[pair]
    return list(islands.values())


def _sure(odds: Mapping[Pair, float], least: float, margin: float) -> list[Pair]:
    """The sure pairs of an island; on a large one, those that no other pair of either column comes near."""
    if len(odds) > _MANY:
        rival = _rivals(odds)
        return [pair for pair, value in odds.items() if value >= max(least, rival[pair] + margin)]
    best = _best(odds)
    return [pair for pair in best if odds[pair] >= least and _loss(odds, best, pair) >= margin]


def _rivals(odds: Mapping[Pair, float]) -> dict[Pair, float]:
    """For each pair the best odds of another pair of either of its columns; 0 where there is none."""
    values: dict[tuple[int, str], list[float]] = {}
    for pair, value in odds.items():
        for node in enumerate(pair):
            values.setdefault(node, [0.0]).append(value)
    two = {node: sorted(held)[-2:] for node, held in values.items()}
    return {
        pair: max(two[node][0] if two[node][1] == value else two[node][1] for node in enumerate(pair))
        for pair, value in odds.items()
    }


def _loss(odds: Mapping[Pair, float], best: tuple[Pair, ...], pair: Pair) -> float:
    """How much worse the best whole without this pair is."""
    without = {other: value for other, value in odds.items() if other != pair}
    return sum(odds[one] for one in best) - sum(odds[one] for one in _best(without))


def _best(odds: Mapping[Pair, float]) -> tuple[Pair, ...]:
    """The pairs, no column twice, whose odds above even add up to most: shortest augmenting paths."""
    rows = sorted({ours for (ours, _), value in odds.items() if value > 0})
    columns = sorted({theirs for (_, theirs), value in odds.items() if value > 0})
    if not rows:
        return ()
    nobody = len(columns)
    cost = [[-max(0.0, odds.get((row, column), 0.0)) for column in columns] + [0.0] * len(rows) for row in rows]
    found = _hungarian(cost)
    pairs = [(rows[i], columns[j]) for i, j in enumerate(found) if j < nobody and cost[i][j] < 0]
    return tuple(sorted(pairs))


def _hungarian(cost: list[list[float]]) -> list[int]:
    """For each row the column, all different, at least cost in all; there are no fewer columns than rows.

    >>> _hungarian([[1.0, 2.0], [1.0, 4.0]])
    [1, 0]
    """
    width = len(cost[0])
    over, down, owner = [0.0] * len(cost), [0.0] * (width + 1), [-1] * (width + 1)
    for row in range(len(cost)):
        owner[width], at = row, width
        least, came, done = [float("inf")] * width, [width] * width, [False] * (width + 1)
        while owner[at] >= 0:
            done[at] = True
            for column in range(width):
                slack = cost[owner[at]][column] - over[owner[at]] - down[column]
                if not done[column] and slack < least[column]:
                    least[column], came[column] = slack, at
            to = min((c for c in range(width) if not done[c]), key=lambda c: (least[c], c))
            step = least[to]
            for column in range(width + 1):
                if done[column]:
                    over[owner[column]] += step
                    down[column] -= step
                elif column < width:
                    least[column] -= step
            at = to
        while at != width:
            owner[at], at = owner[came[at]], came[at]
    found = [-1] * len(cost)
    for column in range(width):
        if owner[column] >= 0:
            found[owner[column]] = column
    return found
