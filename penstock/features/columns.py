"""What the entity's own row says, and its parents' rows."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.features.definitions import Feature
from penstock.features.ground import Ground
from penstock.features.ways import parents
from penstock.plan import Age, Field
from penstock.schema import Dtype, Kind, Link, Table


def own_columns(ground: Ground) -> Iterator[Feature]:
    """The entity's own columns, all but its key and what is predicted."""
    table = ground.entity
    target = {
        node.column for node in ground.query.target.walk() if isinstance(node, Field) and node.table == table.name
    }
    yield from (f for f in _columns(ground, table, (), "the entity's columns", 0) if _column_of(f) not in target)


def parents_columns(ground: Ground) -> Iterator[Feature]:
    """Columns of the entity's parents and grandparents, where one shortest way leads to them."""
    for hops in parents(ground.graph, ground.entity.name):
        yield from _columns(ground, ground.graph.table(hops[-1].to), hops, "columns of its parents", len(hops))


def _column_of(feature: Feature) -> str:
    leaf = feature.expression.field if isinstance(feature.expression, Age) else feature.expression
    return leaf.column if isinstance(leaf, Field) else ""


def _columns(ground: Ground, table: Table, hops: tuple[Link, ...], family: str, rank: int) -> Iterator[Feature]:
    """Numbers, categories, texts, whom the row points to, and how long ago each instant was."""
    pointing = {link.columns[0] for link in ground.graph.links_from(table.name) if len(link.columns) == 1}
    for column in ground.survey.usable(table, (Kind.NUMERICAL, Kind.CATEGORICAL, Kind.TEXT, Kind.ID)):
        if column.kind is Kind.ID and column.name not in pointing:
            continue
        yield Feature(Field(table.name, column.name, column.dtype, column.kind, hops), family=family, rank=rank)
    for column in table.columns:
        if column.dtype is Dtype.TIMESTAMP and column.name not in (table.known, table.ends):
            age = Age(Field(table.name, column.name, column.dtype, column.kind, hops))
            yield Feature(age, family=family, rank=rank)


__all__ = ["own_columns", "parents_columns"]
