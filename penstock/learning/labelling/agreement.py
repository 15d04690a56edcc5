"""How labellers agree: pairs of them, all together, how much each covers, contradicts, and gets right."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from penstock.learning.labelling.vote import accuracies, vote
from penstock.learning.labelling.votes import Floats, Ints, Votes


@dataclass(frozen=True)
class LabellerReport:
    """One labeller: how many votes, the share of items it speaks of, of its votes the share that somebody else also
    spoke of, and the share that somebody contradicts; how right it is by the model, and by gold (NaN: no gold)."""

    labeller: str
    votes: int
    coverage: float
    overlaps: float
    conflicts: float
    estimated: float
    gold: float
    on_gold: int


@dataclass(frozen=True)
class Pair:
    """Two labellers on the items of both: how many, the share they agree on, and Cohen's kappa (1960)."""

    one: str
    other: str
    items: int
    agreement: float
    kappa: float


@dataclass(frozen=True)
class Agreement:
    """How a label set's labellers agree.

    ``fleiss`` is Fleiss' kappa (1971) over items with several votes, ``alpha`` Krippendorff's (2011), of numbers by
    their squared differences. ``majority`` and ``weighted`` are how often the plain and the weighted vote are right on
    gold items that they decide. NaN: undefined.
    """

    items: int
    conflicts: int
    labellers: tuple[LabellerReport, ...]
    pairs: tuple[Pair, ...]
    fleiss: float
    alpha: float
    majority: float
    weighted: float

    def to_dict(self) -> dict[str, object]:
        """All of it as plain values for JSON; what is undefined is None."""
        told = asdict(self)
        return {name: _plain(value) for name, value in told.items()}

    def __str__(self) -> str:
        head = ("labeller", "votes", "coverage", "overlaps", "conflicts", "estimated", "on gold")
        rows = [(r.labeller, f"{r.votes:,}", *map(_share, (r.coverage, r.overlaps, r.conflicts, r.estimated, r.gold)))
                for r in self.labellers]  # fmt: skip
        lines = _aligned([head, *rows])
        pairs = [(f"{p.one} / {p.other}", f"{p.items:,}", _share(p.agreement), _share(p.kappa)) for p in self.pairs]
        lines += ["", *_aligned([("pair", "items", "agree", "kappa"), *pairs])] if pairs else []
        kappas = f"Krippendorff's alpha {_share(self.alpha)}, Fleiss' kappa {_share(self.fleiss)}"
        lines += ["", f"{self.items:,} items, {self.conflicts:,} in conflict; {kappas}"]
        if not math.isnan(self.weighted):
            lines.append(f"right on gold: majority {_share(self.majority)}, weighted vote {_share(self.weighted)}")
        return "\n".join(lines)


def agreement(votes: Votes) -> Agreement:
    """How the labellers of these votes agree; gold labels judge, and are nobody's votes."""
    rates = accuracies(votes)
    counts = votes.counts
    several = counts.sum(axis=1) > 1
    split = (counts > 0).sum(axis=1) > 1
    table = votes.table()
    reports = tuple(_report(votes, place, rates[who], several, split) for place, who in enumerate(votes.labellers))
    pairs = tuple(_pair(votes, table, one, other) for one in range(len(votes.labellers))
                  for other in range(one + 1, len(votes.labellers)))  # fmt: skip
    return Agreement(
        len(votes.items),
        int(split.sum()),
        reports,
        tuple(pair for pair in pairs if pair.items),
        math.nan if votes.numeric else _fleiss(counts),
        _alpha(votes, counts),
        _right(votes, None),
        _right(votes, rates),
    )


def _report(votes: Votes, place: int, rate: float, several: np.ndarray, split: np.ndarray) -> LabellerReport:
    mine = votes.labeller == place
    item, value = votes.item[mine], votes.value[mine]
    judged = votes.gold[item] >= 0
    return LabellerReport(
        votes.labellers[place],
        int(mine.sum()),
        len(item) / max(1, len(votes.items)),
        _mean(several[item]),
        _mean(split[item]),
        rate,
        _mean(votes.gold[item][judged] == value[judged]),
        int(judged.sum()),
    )


def _pair(votes: Votes, table: Ints, one: int, other: int) -> Pair:
    both = (table[:, one] >= 0) & (table[:, other] >= 0)
    first, second = table[both, one], table[both, other]
    names = votes.labellers[one], votes.labellers[other]
    kappa = math.nan if votes.numeric else cohen(first, second, len(votes.values))
    return Pair(*names, int(both.sum()), _mean(first == second), kappa)


def cohen(first: Ints, second: Ints, values: int) -> float:
    """Cohen's kappa: agreement beyond what two such labellers would reach by chance; NaN where chance alone is certain.

    >>> round(cohen(np.array([0, 0, 1, 1]), np.array([0, 1, 1, 1]), 2), 3)
    0.5
    """
    if not len(first):
        return math.nan
    shares = [np.bincount(said, minlength=values) / len(said) for said in (first, second)]
    chance = float(shares[0] @ shares[1])
    return math.nan if math.isclose(chance, 1.0) else (float(np.mean(first == second)) - chance) / (1 - chance)


def _fleiss(counts: Ints) -> float:
    """Fleiss' kappa, items with different numbers of votes included."""
    votes = counts.sum(axis=1)
    counts, votes = counts[votes > 1], votes[votes > 1]
    if not len(votes):
        return math.nan
    agreed = float(np.mean(((counts**2).sum(axis=1) - votes) / (votes * (votes - 1))))
    shares = counts.sum(axis=0) / counts.sum()
    chance = float(shares @ shares)
    return math.nan if math.isclose(chance, 1.0) else (agreed - chance) / (1 - chance)


def _alpha(votes: Votes, counts: Ints) -> float:
    """Krippendorff's alpha: 1 less observed over expected disagreement, over items with several votes."""
    each = counts.sum(axis=1)
    held: Floats = counts[each > 1].astype(np.float64)
    each = each[each > 1]
    if not len(each):
        return math.nan
    pairs = _squares(votes, held) if votes.numeric else each**2 - (held**2).sum(axis=1)
    seen = float((pairs / (each - 1)).sum())
    pooled: Floats = held.sum(axis=0, keepdims=True)
    all_votes = float(pooled.sum())
    apart = _squares(votes, pooled) if votes.numeric else all_votes**2 - (pooled**2).sum(axis=1)
    expected = float(apart[0]) / (all_votes - 1)
    return math.nan if expected == 0 else 1 - seen / expected


def _squares(votes: Votes, counts: Floats) -> Floats:
    """The squared differences of all ordered pairs of an item's numbers, added up."""
    numbers = np.array(votes.values, np.float64)
    numbers = numbers - numbers.mean()
    added: Floats = 2 * (counts.sum(axis=1) * (counts @ numbers**2) - (counts @ numbers) ** 2)
    return added


def _right(votes: Votes, rates: dict[str, float] | None) -> float:
    """How often the vote is right on gold items, gold itself left out; what it leaves undecided does not count."""
    judged = np.flatnonzero(votes.gold >= 0)
    blind = Votes(votes.items, votes.labellers, votes.values, votes.item, votes.labeller, votes.value, votes.weight,
                  np.full(len(votes.items), -1, np.int64))  # fmt: skip
    if not len(judged) or not len(votes):
        return math.nan
    said = vote(blind, rates).values
    heard = set(votes.item.tolist())
    pairs = [(said[at], votes.values[votes.gold[at]]) for at in judged.tolist() if at in heard]
    return _mean([mine == true for mine, true in pairs if mine is not None])


def _mean(told: Sequence[bool] | np.ndarray) -> float:
    return float(np.mean(told)) if len(told) else math.nan


def _share(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.3f}"


def _aligned(rows: Sequence[Iterable[str]]) -> list[str]:
    held = [list(row) for row in rows]
    widths = [max(map(len, column)) for column in zip(*held, strict=True)]
    padded = ((row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])) for row in held)
    return ["  ".join(cells).rstrip() for cells in padded]


def _plain(value: object) -> object:
    if isinstance(value, float):
        return None if math.isnan(value) else value
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


__all__ = ["Agreement", "LabellerReport", "Pair", "agreement", "cohen"]
