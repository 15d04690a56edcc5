"""Leakage: what a model used that may know the future, and what is too good to be true. Said, never hidden."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from penstock.expression import Expr
from penstock.features.definitions import FeatureSet
from penstock.inference.words import words
from penstock.language import Query
from penstock.learning.calibrate import Floats
from penstock.learning.dataset import Samples, drawn, known
from penstock.learning.finish import truth_of
from penstock.learning.matrix import numbers
from penstock.learning.metrics import auroc
from penstock.learning.trained import Trained
from penstock.plan import Aggregate, Field
from penstock.schema import Graph, Kind

TOO_GOOD = 0.99
USED = 0.01
"""The share of the gain from which on a feature counts as used."""
SAMPLE = 20_000
FEWEST = 10
"""Of either answer: with fewer, a feature may tell them apart by luck."""

_MUTABLE = frozenset({
    "active", "balance", "changed", "churned", "closed", "count", "counts", "current", "downvotes", "edited",
    "editor", "favorite", "favorites", "follower", "followers", "karma", "last", "latest", "level", "lifetime",
    "like", "likes", "ltv", "modified", "points", "rank", "rating", "recent", "reputation", "score", "scores",
    "status", "stock", "updated", "upvotes", "view", "views", "vote", "votes",
})  # fmt: skip
"""Words of columns that are usually overwritten."""


def audit(query: Query, features: FeatureSet, trained: Trained, test: Samples) -> tuple[str, ...]:
    """Sentences on columns that may have changed since the cutoff, and on one feature that alone tells the answer."""
    if not trained.features:
        return ()
    return (*_mutable(query.graph, features, trained), *_revealing(trained, known(test)))


def _mutable(graph: Graph, features: FeatureSet, trained: Trained) -> Iterator[str]:
    """Columns whose names speak of things that change, in tables that say only when a row began."""
    expressions, shares = features.expressions, dict[tuple[str, str], float]()
    for name, share in trained.importance:
        for field in dict.fromkeys(_fields(expressions[name])) if name in expressions else ():
            if _changes(graph, field):
                place = (field.table, field.column)
                shares[place] = shares.get(place, 0.0) + share
    used = sorted(((share, *place) for place, share in shares.items() if share >= USED), reverse=True)
    if used:
        told = ", ".join(f"{table}.{column} ({share:.0%} of the gain)" for share, table, column in used)
        first = f"{used[0][1]}.{used[0][2]}"
        yield (
            f"These may know the future: {told}. They look like values that change, and their tables hold only the "
            f"latest. If they do, leave them out, as by set({first!r}, kind='ignored'), or say when each was known."
        )


def _fields(expression: Expr) -> Iterator[Field]:
    """Every column that an expression reads, filters included."""
    for node in expression.walk():
        if isinstance(node, Field):
            yield node
        elif isinstance(node, Aggregate):
            inside = (node.value, node.stream.where, node.stream.anchor)
            yield from (f for inner in inside if inner is not None for f in _fields(inner))


def _changes(graph: Graph, field: Field) -> bool:
    table = graph.table(field.table)
    if table.known is not None or field.column in (table.happened, table.ends, table.deleted):
        return False
    return field.kind in (Kind.NUMERICAL, Kind.CATEGORICAL) and bool(_MUTABLE & set(words(field.column)))


def _revealing(trained: Trained, test: Samples) -> Iterator[str]:
    """One feature that tells the answer by itself: a static one, or the one the model leans on most."""
    if trained.task not in ("binary", "regression") or not len(test):
        return
    test = test.take(drawn(test, SAMPLE))
    truth = truth_of(test.target)
    asked = dict.fromkeys([*(f for f in trained.features if f in test.static), *(n for n, _ in trained.importance[:1])])
    for name in asked:
        if name not in test.features.column_names or name in test.own_past:
            continue
        strength = _strength(trained.task, truth, test, name)
        if strength > TOO_GOOD:
            measure = "AUROC" if trained.task == "binary" else "rank correlation"
            yield (
                f"{name} alone reaches {measure} {strength:.3f}, which is too good to be true: check that it is known "
                "at the cutoff, and not made from the answer."
            )


def _strength(task: str, truth: Floats, test: Samples, name: str) -> float:
    """How well the feature alone orders the rows: 0.5 (AUROC) or 0 (correlation) is not at all, 1 perfectly."""
    column = test.features.column(name)
    if not any(word in str(column.type) for word in ("int", "double", "float", "bool")):
        return 0.0
    values = numbers(column)
    if task == "binary":
        if min(truth.sum(), len(truth) - truth.sum()) < FEWEST:
            return 0.0
        filled = np.where(np.isnan(values), np.nanmin(values, initial=0.0) - 1, values)
        area = auroc(truth, filled)
        return 0.0 if np.isnan(area) else max(area, 1 - area)
    there = ~np.isnan(values)
    if there.sum() < 20 or len(np.unique(truth[there])) < 10:
        return 0.0
    ranks = [np.unique(v[there], return_inverse=True)[1].astype(float) for v in (values, truth)]
    if min(np.ptp(r) for r in ranks) == 0:
        return 0.0
    return float(abs(np.corrcoef(ranks[0], ranks[1])[0, 1]))


__all__ = ["audit"]
