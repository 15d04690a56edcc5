"""Synthesised features written down: expressions that stay what they are, whatever rows come."""

from __future__ import annotations

from dataclasses import replace

from penstock import language
from penstock.errors import QueryError
from penstock.features.definitions import Feature, FeatureSet
from penstock.features.phrases import phrase
from penstock.features.views.binding import bind
from penstock.features.views.declared import Definitions, ExpressionView
from penstock.plan import quoted
from penstock.schema import Graph


def fitting(features: FeatureSet, definitions: Definitions, graph: Graph) -> FeatureSet:
    """Those of the features that fit the tables as definitions see them.

    They were made where links are guessed from values, too, which definitions do not rest on.
    """
    entity = f"{quoted(features.table)}.{quoted(features.key)}"
    alone = ExpressionView("made", entity, {"key": entity})
    bound = bind(replace(definitions, views={alone.name: alone}, services={}), graph)
    bound.must_not_be_broken("view", alone.name)
    table = bound.views[alone.name].entity.table
    return features.only(one.name for one in features.features if _fits(one.name, bound.graph, table))


def _fits(text: str, graph: Graph, table: str) -> bool:
    try:
        language.feature(text, graph, table)
    except QueryError:
        return False
    return True


def written(features: FeatureSet, query: str, most: int) -> tuple[str, int]:
    """A PQL file with the features that matter most likely, at most so many, and how many they are.

    >>> from penstock.plan import Calendar
    >>> print(written(FeatureSet("users", "id", (Feature(Calendar("MONTH")),)), "churn", 9)[0], end="")
    -- description: Features made for: churn
    FOR EACH users.id
    <BLANKLINE>
    f0 = MONTH(CUTOFF)  # month
    """
    ranked = sorted(features.features, key=lambda one: one.rank)[:most]
    kept = [one for one in features.features if one in ranked]
    head = [f"-- description: Features made for: {' '.join(query.split())}"]
    head += [f"FOR EACH {quoted(features.table)}.{quoted(features.key)}", ""]
    return "\n".join([*head, *(_line(at, one) for at, one in enumerate(kept)), ""]), len(kept)


def _line(at: int, feature: Feature) -> str:
    return f"f{at} = {feature.name}  # {' '.join(phrase(feature.expression).split())}"
