"""Targets: what may be predicted for an entity, once it is known what the names mean."""

from __future__ import annotations

from collections.abc import Iterator

from penstock.expression import Expr
from penstock.language.scope import Scope
from penstock.language.tree import Aggregation, Column, Predict
from penstock.plan import Aggregate


def check_target(scope: Scope, tree: Predict, bound: Expr) -> None:
    """The target asks for something: not its own key, nor a list that leads back. Raises ``QueryError``."""
    target = tree.target
    if isinstance(target, Aggregation) and isinstance(bound, Aggregate) and not target.column.wildcard:
        _check_listed(scope, tree, target, bound)


def check_not_own_key(scope: Scope, tree: Predict) -> None:
    """The entity's key is known, so it cannot be predicted. Raises ``QueryError``."""
    for column in _columns(tree.target):
        if (column.table, column.column) == (tree.entity.table, tree.entity.column):
            raise scope.error(
                "PQL_TARGET_IS_ENTITY_KEY",
                f"{column} is the entity's own key, which is known",
                column,
                "Predict another column, or an aggregate.",
                candidates=[
                    f"{column.table}.{c.name}" for c in scope.table(column.table).columns if c.name != column.column
                ],
            )


def _columns(expression: Expr) -> Iterator[Column]:
    """The columns of a target that are read from a row, not aggregated."""
    if isinstance(expression, Column):
        yield expression
    elif not isinstance(expression, Aggregation):
        for child in expression.children:
            yield from _columns(child)


def _check_listed(scope: Scope, tree: Predict, target: Aggregation, bound: Aggregate) -> None:
    table, name = target.column.table, target.column.column
    lists = target.function == "LIST_DISTINCT"
    if lists and scope.is_own_key(table, name):
        raise scope.error(
            "PQL_TARGET_AGGREGATION_ON_PRIMARY_KEY",
            f"{target.column} is the key of {table}: every row has another",
            target,
            f"List a column that points to a parent, or COUNT({table}.*, …).",
            candidates=map(str, scope.graph.links_from(table)),
        )
    if not scope.is_linked_key(table, name):
        return
    if target.function in ("FIRST", "LAST"):
        raise scope.error(
            "PQL_TARGET_AGGREGATION_ON_FOREIGN_KEY",
            f"{target.function} of {target.column} would be a single row of another table",
            target,
            f"Rank them: LIST_DISTINCT({target.column}, 0, 30, days) RANK TOP 10.",
        )
    if lists:
        _check_link_target(scope, tree, target, bound)


def _check_link_target(scope: Scope, tree: Predict, target: Aggregation, bound: Aggregate) -> None:
    table, name = target.column.table, target.column.column
    first = bound.stream.hops[0]
    if first.table == table and name in first.columns:
        others = [link for link in scope.graph.links_from(table) if name not in link.columns]
        raise scope.error(
            "PQL_TARGET_EMPTY",
            f"{target.column} points back to {tree.entity.table}, which is the entity itself",
            target,
            "List another link of the table, or ask for each row of another table.",
            candidates=[f"FOR EACH {link.to}.{key}" for link in others for key in scope.table(link.to).keys],
        )
    if tree.spec.word == "CLASSIFY":
        return
    for column in () if target.where is None else target.where.walk():
        if isinstance(column, Column) and column.table == tree.entity.table:
            raise scope.error(
                "PQL_TARGET_FILTER_REFERENCES_ENTITY",
                f"{column} says something about the entity, not about what is ranked",
                column,
                "Move the condition into WHERE, after FOR EACH.",
            )
    if target.window is None:
        _check_timeless(scope, target)


def _check_timeless(scope: Scope, target: Aggregation) -> None:
    timed = [f"{table.name}.{table.happened}" for table in scope.graph if table.happened]
    if scope.table(target.column.table).happened is not None:
        raise scope.error(
            "PQL_TARGET_LIST_DISTINCT_NEEDS_TIME_RANGE",
            f"{target.column.table} has a time, so the list needs a window",
            target,
            f"Write LIST_DISTINCT({target.column}, 0, 30, days).",
            candidates=timed,
        )
    if timed:
        raise scope.error(
            "PQL_TARGET_LIST_DISTINCT_TIME_COLUMNS",
            "without a window, everything that has a time could be a leak",
            target,
            f"Give {target.column.table} a time and the list a window, or take the times out of the schema.",
            candidates=timed,
        )
