"""What a label set said at every instant: the vote is taken anew whenever a label comes, with what was known then.

Nothing that is known later has a part in what was decided before, the labellers' weights included: they are estimated
from the labels known so far, again each time these have grown by a fifth.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.learning.labelling.label import in_microseconds
from penstock.learning.labelling.vote import accuracies, vote
from penstock.learning.labelling.votes import Item, Value, votes_from

_GROWTH, _FIRST = 1.2, 20


@dataclass(frozen=True)
class Decision:
    """From ``known`` on, this is what is decided of an item: a value, or None where nothing is.

    ``gone`` says that no label of it is left; ``happened`` is the item's time, or when it was first spoken of.
    """

    item: Item
    happened: int
    known: int
    value: Value | None
    surety: float
    gone: bool = False


@dataclass
class _Table:
    """The labels that hold so far, item by item, and what was decided of each.

    ``open`` are items as they were at an instant, not yet voted on: with one set of weights, all are voted on at once.
    """

    weights: Mapping[str, float] | None
    least: float
    said: dict[Item, dict[str, tuple[Any, ...]]] = field(default_factory=dict)
    first: dict[Item, int] = field(default_factory=dict)
    values: set[Value] = field(default_factory=set)
    decided: dict[Item, tuple[Value | None, bool]] = field(default_factory=dict)
    open: list[tuple[Item, int, int, list[tuple[Any, ...]]]] = field(default_factory=list)
    learnt: Mapping[str, float] = field(default_factory=dict)
    seen: int = 0
    next_estimate: float = _FIRST

    def hear(self, row: Mapping[str, Any]) -> Item:
        """Take in one version of a label."""
        item = row["entity"], row["happened"]
        self.first.setdefault(item, row["known"])
        mine = self.said.setdefault(item, {})
        if row["deleted"]:
            mine.pop(row["labeller"], None)
        else:
            surety = 1.0 if row["confidence"] is None else row["confidence"]
            mine[row["labeller"]] = (*item, row["labeller"], row["value"], surety, row["source"])
            self.values.add(row["value"])
        self.seen += 1
        return item

    def weigh(self) -> None:
        """Estimate the labellers' accuracies anew."""
        self.next_estimate = self.seen * _GROWTH
        self.learnt = accuracies(votes_from([row for mine in self.said.values() for row in mine.values()]))

    def note(self, items: Iterable[Item], known: int) -> None:
        """Note that these items are to be voted on as they are now."""
        ordered = sorted(items, key=lambda i: (i[0], i[1] is not None, i[1] or 0))
        self.open += [(item, known, len(self.values), list(self.said[item].values())) for item in ordered]

    def decide(self) -> Iterator[Decision]:
        """The decisions on what is open that are not as before."""
        rows = [(str(at), None, *row[2:]) for at, (*_, said) in enumerate(self.open) for row in said]
        votes = votes_from(rows)
        several = np.array([self.open[int(name)][2] for name, _ in votes.items], np.int64)
        rates = self.learnt if self.weights is None else self.weights
        verdict = vote(votes, rates, least=self.least, several=several)
        told = zip(verdict.values, verdict.surety, strict=True)
        found = {int(name): answer for (name, _), answer in zip(verdict.items, told, strict=True)}
        for at, (item, known, _, said) in enumerate(self.open):
            value, surety = found.get(at, (None, 0.0))
            if self.decided.get(item, (None, True)) != (value, not said):
                self.decided[item] = value, not said
                happened = self.first[item] if item[1] is None else item[1]
                yield Decision(item, happened, known, value, 0.0 if value is None else surety, not said)
        self.open.clear()


def decisions(
    history: pa.Table, weights: Mapping[str, float] | None = None, *, least: float = 0.5
) -> Iterator[Decision]:
    """Every decision about every item of a label set's history, in the order they became known.

    ``weights`` are the labellers' accuracies, if they are known otherwise; None estimates them as labels come.
    """
    table = _Table(weights, least)
    for known, rows in groupby(_plain(history), key=lambda row: row["known"]):
        touched: Iterable[Item] = dict.fromkeys([table.hear(row) for row in rows])
        if weights is None and table.seen >= table.next_estimate:
            yield from table.decide()
            table.weigh()
            touched = table.said
        table.note(touched, known)
    yield from table.decide()


def _plain(history: pa.Table) -> list[dict[str, Any]]:
    order = [(name, "ascending") for name in ("known", "entity", "happened", "labeller")]
    return list(in_microseconds(history).sort_by(order).to_pylist())


__all__ = ["Decision", "decisions"]
