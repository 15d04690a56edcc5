"""The weighted vote: how right each labeller is, found without knowing the truth, and what they say together.

The model is Dawid and Skene's (Maximum likelihood estimation of observer error-rates, 1979) with one number a
labeller: how often what it says is right, the wrong values being equally likely. Labellers err independently of one
another, given the truth. A prior worth a few votes keeps those of whom little is known near the usual rate. One number
rather than a matrix, because labelling functions often say one value only, of which a matrix would learn nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from penstock.learning.labelling.votes import Floats, Ints, Item, Value, Votes

USUAL, WORTH = 0.7, 5.0
"""How right a labeller is taken to be before anything is known of it, and how many votes that is worth."""
_LEAST, _MOST = 0.01, 0.99
_ROUNDS, _ENOUGH = 200, 1e-7


@dataclass(frozen=True)
class Verdict:
    """What is decided of each item: its value (None: undecided) and how sure that is, from 0 to 1.

    ``accuracy`` is what the labellers were weighted by.
    """

    items: tuple[Item, ...]
    values: tuple[Value | None, ...]
    surety: tuple[float, ...]
    accuracy: Mapping[str, float]


def accuracies(votes: Votes) -> dict[str, float]:
    """How often each labeller is right, estimated from how they agree, and from gold labels where there are some.

    Items with one vote and no gold label say nothing of that. Numbers are not estimated: all are the usual rate. The
    result does not depend on the order of rows.
    """
    usual = dict.fromkeys(votes.labellers, USUAL)
    telling = _telling(votes)
    if votes.numeric or len(votes.values) < 2 or not telling.any():
        return usual
    chance = _start(votes)
    found = _accuracy(votes, telling, chance)
    for _ in range(_ROUNDS):
        before, shares = found, chance[np.unique(votes.item[telling])].sum(axis=0) + 1.0
        chance = _chances(votes, found, shares / shares.sum())
        found = _accuracy(votes, telling, chance)
        if float(np.abs(found - before).max()) < _ENOUGH:
            break
    return dict(zip(votes.labellers, found.tolist(), strict=True))


def _telling(votes: Votes) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    """Which votes can be compared: with another vote, or with gold."""
    several = votes.counts.sum(axis=1) > 1
    told: np.ndarray[tuple[int], np.dtype[np.bool_]] = (several | (votes.gold >= 0))[votes.item]
    return told


def _start(votes: Votes) -> Floats:
    """Each item's values by the share of votes, gold where it is known."""
    shares = np.zeros((len(votes.items), len(votes.values)))
    np.add.at(shares, (votes.item, votes.value), votes.weight)
    shares += 1e-9
    return _golden(votes, shares / shares.sum(axis=1, keepdims=True))


def _golden(votes: Votes, chance: Floats) -> Floats:
    known = np.flatnonzero(votes.gold >= 0)
    chance[known] = 0.0
    chance[known, votes.gold[known]] = 1.0
    return chance


def _accuracy(votes: Votes, telling: np.ndarray[tuple[int], np.dtype[np.bool_]], chance: Floats) -> Floats:
    right, said = np.full(len(votes.labellers), USUAL * WORTH), np.full(len(votes.labellers), WORTH)
    weight = votes.weight * telling
    np.add.at(right, votes.labeller, weight * chance[votes.item, votes.value])
    np.add.at(said, votes.labeller, weight)
    rates: Floats = np.clip(right / said, _LEAST, _MOST)
    return rates


def _chances(votes: Votes, accuracy: Floats, shares: Floats) -> Floats:
    """How likely each value is for each item: (items, values), rows sum to 1; gold is certain."""
    several = max(2, len(votes.values))
    weight = votes.weight * np.log(accuracy * (several - 1) / (1 - accuracy))[votes.labeller]
    told = np.zeros((len(votes.items), len(shares))) + np.log(shares)
    np.add.at(told, (votes.item, votes.value), weight)
    told = np.exp(told - told.max(axis=1, keepdims=True))
    return _golden(votes, told / told.sum(axis=1, keepdims=True))


def vote(
    votes: Votes, accuracy: Mapping[str, float] | None = None, *, least: float = 0.5, several: Ints | None = None
) -> Verdict:
    """What the labellers say together, each weighted by its accuracy (None: all alike, the majority).

    Every value counts as equally likely before: ``several`` values for each item (default: as many as were given to
    any, 2 at least). An item is undecided where two values are equally likely, or the likeliest that somebody gave is
    not likelier than ``least``. Of numbers the weighted middle is taken, and its surety is the share of the weight
    within a tenth of it. Gold labels decide their items.
    """
    given = accuracy or {}
    known = {who: float(np.clip(given.get(who, USUAL), _LEAST, _MOST)) for who in votes.labellers}
    if not votes.items:
        return Verdict((), (), (), known)
    rates = np.array([known[who] for who in votes.labellers])
    if votes.numeric:
        return _middle(votes, rates, known)
    possible = np.maximum(2, len(votes.values) if several is None else several) * np.ones(len(votes.items))
    chance = _said(votes, rates, possible)
    order = np.sort(chance, axis=1)
    tied = np.isclose(order[:, -1], order[:, -2]) if chance.shape[1] > 1 else np.zeros(len(chance), bool)
    top, decided = order[:, -1], ~tied & (order[:, -1] > least)
    best = zip(chance.argmax(axis=1).tolist(), decided.tolist(), strict=True)
    return Verdict(
        votes.items, tuple(votes.values[at] if yes else None for at, yes in best), tuple(top.tolist()), known
    )


def _said(votes: Votes, rates: Floats, possible: Floats) -> Floats:
    """How likely each value is that somebody gave the item, among all that are possible; 0 for the others."""
    odds = np.log((rates / (1 - rates))[votes.labeller] * (possible[votes.item] - 1))
    told = np.zeros((len(votes.items), len(votes.values)))
    np.add.at(told, (votes.item, votes.value), votes.weight * odds)
    named = votes.counts > 0
    high = np.maximum(told.max(axis=1, keepdims=True), 0)
    share = np.where(named, np.exp(told - high), 0.0)
    others = np.maximum(possible - named.sum(axis=1), 0)[:, None] * np.exp(-high)
    return _golden(votes, share / (share.sum(axis=1, keepdims=True) + others))


def _middle(votes: Votes, rates: Floats, known: Mapping[str, float]) -> Verdict:
    numbers = np.array(votes.values, np.float64)
    weights, order = votes.weight * rates[votes.labeller], np.lexsort((votes.value, votes.item))
    starts = np.searchsorted(votes.item[order], np.arange(len(votes.items) + 1))
    values: list[Value | None] = []
    surety: list[float] = []
    for item in range(len(votes.items)):
        mine = order[starts[item] : starts[item + 1]]
        if votes.gold[item] >= 0:
            values.append(float(numbers[votes.gold[item]]))
            surety.append(1.0)
            continue
        middle, share = _weighted_middle(numbers[votes.value[mine]], weights[mine])
        values.append(middle)
        surety.append(share)
    return Verdict(votes.items, tuple(values), tuple(surety), known)


def _weighted_middle(numbers: Floats, weights: Floats) -> tuple[float | None, float]:
    """The middle of sorted numbers by weight (between two, their mean), and the share of the weight near it."""
    total = float(weights.sum())
    if not total:
        return None, 0.0
    reached = np.cumsum(weights)
    low = int(np.searchsorted(reached, total / 2 - 1e-12))
    high = int(np.searchsorted(reached, total / 2 + 1e-12))
    middle = float(numbers[low] + numbers[min(high, len(numbers) - 1)]) / 2
    near = np.abs(numbers - middle) <= abs(middle) / 10 + 1e-12
    return middle, float(weights[near].sum()) / total


__all__ = ["Verdict", "accuracies", "vote"]
