"""What there is to see inside a model: what it leans on, who its test rows were, and what it left out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from penstock.features.definitions import FeatureSet
from penstock.features.phrases import phrase
from penstock.learning.fitting.trained import STEP, Trained
from penstock.learning.ranking.orders import ORDERS
from penstock.learning.reasons.cohorts import View, said, views
from penstock.learning.reasons.explain import titled
from penstock.learning.reasons.importance import Shares, Weight, by_link, by_source, by_table
from penstock.learning.rows.dataset import Samples

DROPPED = 300
"""How many dropped features are kept by name."""


@dataclass(frozen=True)
class Insight:
    """Importance by feature, by table and by link (each most first), cohorts of the strongest features, and the
    features that were dropped, each with why; of very many the first `DROPPED`, and how many more there are.

    Of a ranking ``tables`` are the sources of its own columns, and there are neither links nor cohorts.
    """

    weights: tuple[Weight, ...]
    tables: Shares
    links: Shares
    views: tuple[View, ...]
    dropped: tuple[tuple[str, str], ...]
    more_dropped: int = 0

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {
            "weights": [weight.to_dict() for weight in self.weights],
            "tables": [list(part) for part in self.tables],
            "links": [list(part) for part in self.links],
            "views": [view.to_dict() for view in self.views],
            "dropped": [list(part) for part in self.dropped],
            "more_dropped": self.more_dropped,
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Insight:
        """What `to_dict` wrote."""
        tables, links = (tuple((name, share) for name, share in plain[part]) for part in ("tables", "links"))
        dropped = tuple((name, why) for name, why in plain["dropped"])
        weights = tuple(map(Weight.from_dict, plain["weights"]))
        seen = tuple(map(View.from_dict, plain["views"]))
        return cls(weights, tables, links, seen, dropped, plain["more_dropped"])


def insight(trained: Trained, features: FeatureSet, test: Samples, predictions: pa.Table | None = None) -> Insight:
    """What can be seen inside a model of these features, with the test rows' cohorts.

    ``predictions`` are those of the test rows, in their order, where they have been made already.
    """
    shares = trained.importance
    told = phrases(features)
    weights = tuple(Weight(name, titled(told.get(name, name)), share) for name, share in shares)
    if trained.task == "ranking":
        return Insight(weights, by_source(shares), (), (), ())
    seen = views(trained, test, told, said=None if predictions is None else said(trained, predictions))
    dropped = trained.encoding.dropped
    parts = by_table(features, shares), by_link(features, shares), seen
    return Insight(weights, *parts, dropped[:DROPPED], max(0, len(dropped) - DROPPED))


def phrases(features: FeatureSet) -> dict[str, str]:
    """Each feature in words, and the columns that are no expressions: a forecast's step, a ranking's own."""
    own = {name: noun for name, (noun, _) in ORDERS.items()}
    return {STEP: "frame ahead", **own, **{name: phrase(e) for name, e in features.expressions.items()}}
