"""What a model leans on: each feature's share of the gain, summed by the tables read and by the links crossed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from penstock.expression import Expr
from penstock.features.definitions import FeatureSet
from penstock.learning.fitting.trained import STEP
from penstock.plan import Aggregate, Calendar, Field
from penstock.schema import Link

Shares: TypeAlias = tuple[tuple[str, float], ...]

CUTOFF = "the time of asking"
"""Where a feature of the cutoff itself, or of the step ahead, comes from."""
OTHER = "other features"
"""Where a feature comes from that is no expression of the set."""
OWN_ROW = "no link"
"""What a feature crosses that stays in the entity's own row."""

SOURCES: Mapping[str, str] = {
    "own": "what the entity itself met before",
    "met together": "what is met together",
    "place by met together": "what is met together",
    "entity's": "how busy the entity is",
    "days since entity's": "how busy the entity is",
    "count the other way": "what met the entity",
    "the other way": "what met the entity",
    "days since last the other": "what met the entity",
    "drawn by factors": "what is met together",
    "place by factors": "what is met together",
    "": "how popular the item is",
}
"""Where a ranking's own columns come from, by how their names begin; the longest beginning counts."""


@dataclass(frozen=True)
class Weight:
    """A feature's share of the gain (0 to 1), and the feature in words."""

    feature: str
    phrase: str
    share: float

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"feature": self.feature, "phrase": self.phrase, "share": self.share}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Weight:
        """What `to_dict` wrote."""
        return cls(plain["feature"], plain["phrase"], plain["share"])


def by_table(features: FeatureSet, shares: Iterable[tuple[str, float]]) -> Shares:
    """The gain by table, most first. A feature that reads several tables gives each an equal part, so that nothing is
    counted twice: the sum is the sum of the shares. What reads no table goes to `CUTOFF` or `OTHER`."""
    expressions, found = features.expressions, dict[str, float]()
    for name, share in shares:
        tables = _sources(name, expressions.get(name))
        for table in tables:
            found[table] = found.get(table, 0.0) + share / len(tables)
    return _most_first(found)


def by_link(features: FeatureSet, shares: Iterable[tuple[str, float]]) -> Shares:
    """The gain of the features that cross each link (``table.column``), most first: what would be lost without it.

    A feature two links away counts for both, so the sum may exceed 1. What crosses none goes to `OWN_ROW`.
    """
    expressions, found = features.expressions, dict[str, float]()
    for name, share in shares:
        for link in _crossed(name, expressions.get(name)):
            found[link] = found.get(link, 0.0) + share
    return _most_first(found)


def by_source(shares: Iterable[tuple[str, float]]) -> Shares:
    """The gain of a ranking's own columns by where they come from, most first.

    >>> by_source([("own count", 0.75), ("days since own last", 0.125), ("entities ever", 0.125)])
    (('what the entity itself met before', 0.875), ('how popular the item is', 0.125))
    """
    found = dict[str, float]()
    for name, share in shares:
        source = _source(name)
        found[source] = found.get(source, 0.0) + share
    return _most_first(found)


def _source(name: str) -> str:
    if name.startswith("days since own"):
        return SOURCES["own"]
    return SOURCES[max((start for start in SOURCES if name.startswith(start)), key=len)]


def _most_first(found: Mapping[str, float]) -> Shares:
    ordered = sorted(found.items(), key=lambda item: (-item[1], item[0]))
    return tuple((name, round(share, 6)) for name, share in ordered)


def _sources(name: str, expression: Expr | None) -> tuple[str, ...]:
    """The tables that a feature reads, each once, or what stands in their place."""
    if expression is None:
        return (CUTOFF if name == STEP else OTHER,)
    read = tuple(dict.fromkeys(tables(expression)))
    if read:
        return read
    return (CUTOFF if any(isinstance(node, Calendar) for node in expression.walk()) else OTHER,)


def _crossed(name: str, expression: Expr | None) -> tuple[str, ...]:
    if expression is None:
        return (OWN_ROW if name == STEP else OTHER,)
    return tuple(dict.fromkeys(map(str, links(expression)))) or (OWN_ROW,)


def tables(expression: Expr) -> Iterator[str]:
    """The tables whose rows or columns an expression reads, filters and anchors included, as often as it does."""
    for node in expression.walk():
        if isinstance(node, Field):
            yield node.table
        elif isinstance(node, Aggregate):
            yield node.stream.table
            yield from (table for inner in _inside(node) for table in tables(inner))


def links(expression: Expr) -> Iterator[Link]:
    """The links that an expression crosses, from the entity outwards, as often as it does."""
    for node in expression.walk():
        if isinstance(node, Field):
            yield from node.hops
        elif isinstance(node, Aggregate):
            anchor, where = node.stream.anchor, node.stream.where
            yield from () if anchor is None else links(anchor)
            yield from node.stream.hops
            yield from () if where is None else links(where)


def columns(expression: Expr) -> Iterator[tuple[str, str]]:
    """The columns (table, column) that an expression reads, filters and anchors included."""
    for node in expression.walk():
        if isinstance(node, Field):
            yield node.table, node.column
        elif isinstance(node, Aggregate):
            yield from (column for inner in _inside(node) for column in columns(inner))


def _inside(aggregate: Aggregate) -> list[Expr]:
    """The expressions that belong to an aggregate's stream; its value is its child, and is met by walking."""
    return [inner for inner in (aggregate.stream.where, aggregate.stream.anchor) if inner is not None]
