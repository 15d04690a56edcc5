"""Limits: which entities may be named, and what the strict dialect leaves out.

The reference dialect is two profiles: *training*, which asks about every entity, and *asking*, which asks a model that
exists already about some. The strict dialect accepts what at least one of the two accepts; Penstock's own dialect
accepts whatever is good PQL.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from penstock.errors import QueryError
from penstock.expression import Among, Compare, Constant, Expr, IsNull, Match
from penstock.language.scope import Scope
from penstock.language.tasks import links_entities
from penstock.language.tree import Aggregation, Column, Predict
from penstock.language.typed import NUMBERS, check_dtypes, label
from penstock.schema import Kind

MOST_IDS, MOST_RANKED = 1000, 20
_COMPARISON = Compare | IsNull | Among | Match


@dataclass(frozen=True)
class Limit:
    """Something that a profile does not do, and where the query asks for it."""

    code: str
    message: str
    place: Expr | None


def check_extensions(scope: Scope, tree: Predict) -> None:
    """Refuses the first thing that only Penstock's own dialect has. Raises ``QueryError``."""
    for extension in tree.extensions:
        raise scope.error(
            extension.kumo,
            f"the strict dialect does not have {extension.what}",
            extension.span,
            "Leave dialect='kumo' out: Penstock's own dialect has it.",
        )


def check_ids(scope: Scope, tree: Predict) -> None:
    """The ids after FOR are constants of the key's type. Raises ``QueryError``."""
    ids = tree.ids
    if ids is None:
        return
    for value in ids.values:
        if value.value is None:
            raise scope.error("PQL_TYPE_NULL_COMPARISON", "no entity has the key NULL", value, "Name an entity.")
        check_dtypes(scope, Compare("=", tree.entity, value, span=value.span))


def check_limits(scope: Scope, tree: Predict) -> None:
    """FOR names entities, FOR EACH does not; the strict dialect also keeps to one profile. Raises ``QueryError``."""
    asking = list(_asking(scope, tree))
    training = list(_training(scope, tree))
    if scope.strict and asking and training:
        raise _refused(scope, tree, asking[0] if tree.ids is not None else training[0])
    for limit in _structure(tree):
        raise _refused(scope, tree, limit)


def _refused(scope: Scope, tree: Predict, limit: Limit) -> QueryError:
    place = limit.place.span if limit.place is not None else tree.entity.span
    return scope.error(limit.code, limit.message, place, _hint(limit, tree))


def _hint(limit: Limit, tree: Predict) -> str:
    if limit.code.startswith(("PQL_MODEL_FOR", "PQL_MODEL_ENTITY_ID")):
        return f"Write FOR EACH {tree.entity}, FOR {tree.entity} = 1 or FOR {tree.entity} IN (1, 2)."
    return "Leave dialect='kumo' out, or ask with FOR EACH and name the entities when predicting."


def _structure(tree: Predict) -> Iterator[Limit]:
    if not tree.each and tree.ids is None:
        yield Limit("PQL_MODEL_FOR_REQUIRES_ENTITY_IDS", f"FOR {tree.entity} does not say which", tree.entity)
    if tree.each and tree.ids is not None:
        yield Limit(
            "PQL_MODEL_ENTITY_IDS_WITH_FOR_EACH", "FOR EACH is about all entities, and some are named", tree.entity
        )
    if tree.ids is not None and tree.ids.op not in ("=", "IN"):
        yield Limit("PQL_MODEL_ENTITY_ID_OPERATOR", f"{tree.ids.op} does not name entities", tree.entity)


def _training(scope: Scope, tree: Predict) -> Iterator[Limit]:
    """What cannot be asked of every entity."""
    if not tree.each:
        yield Limit("PQL_MODEL_FOR_REQUIRES_PRETRAINED", "in training, FOR EACH is about every entity", tree.entity)
    if tree.ids is not None:
        yield Limit("PQL_MODEL_ENTITY_IDS_REQUIRE_PRETRAINED", "in training, no entities are named", tree.entity)
    if label(scope, tree.target).kind is Kind.MULTICATEGORICAL and tree.spec.word is None:
        yield Limit("PQL_TASK_PROBLEM_TYPE_REQUIRED", f"{tree.target} has several values", tree.target)


def _asking(scope: Scope, tree: Predict) -> Iterator[Limit]:
    """What cannot be asked of a model that exists already."""
    yield from _structure(tree)
    if tree.ids is not None and len(tree.ids.values) > MOST_IDS:
        yield Limit("PQL_MODEL_ENTITY_ID_LIST_TOO_LONG", f"more than {MOST_IDS} entities are named", tree.entity)
    yield from _asking_lists(scope, tree)
    for expression, root, is_target in (
        (tree.where, tree.entity.table, False),
        (tree.target, tree.entity.table, True),
        (tree.assuming, tree.entity.table, False),
    ):
        if expression is not None:
            yield from _asking_joins(expression, root)
            yield from _asking_comparisons(scope, expression)
            yield from _asking_aggregates(scope, expression, lists=is_target, nested=False)
    yield from _asking_keys(scope, tree.target)


def _asking_lists(scope: Scope, tree: Predict) -> Iterator[Limit]:
    target = tree.target
    if isinstance(target, Column) and tree.spec.word == "CLASSIFY":
        yield Limit("PQL_MODEL_NO_STATIC_MULTILABEL", "several labels of a column need training", target)
    if not isinstance(target, Aggregation) or target.function != "LIST_DISTINCT":
        return
    if tree.spec.word == "CLASSIFY" or not links_entities(scope, target):
        yield Limit("PQL_MODEL_NO_MULTILABEL", "several labels need training", target)
        return
    if target.window is None:
        yield Limit("PQL_MODEL_NO_STATIC_LINK_PREDICTION", f"{target} has no window", target)
    if (tree.spec.top_k or 0) > MOST_RANKED:
        yield Limit("PQL_MODEL_TOP_K_TOO_LARGE", f"at most {MOST_RANKED} are ranked", target)


def _asking_joins(expression: Expr, root: str) -> Iterator[Limit]:
    if isinstance(expression, Column):
        if expression.table != root and not expression.wildcard:
            yield Limit("PQL_MODEL_NO_IMPLICIT_JOIN", f"{expression} is a column of another table", expression)
    elif isinstance(expression, Aggregation):
        if expression.where is not None:
            yield from _asking_joins(expression.where, expression.column.table)
    else:
        for child in expression.children:
            yield from _asking_joins(child, root)


def _asking_comparisons(scope: Scope, expression: Expr) -> Iterator[Limit]:
    for node in expression.walk():
        if not isinstance(node, _COMPARISON):
            continue
        ordered = isinstance(node, Compare) and node.op not in ("=", "!=") and _is_text(node.right)
        if isinstance(node, Match) or ordered:
            yield Limit("PQL_MODEL_NO_STRING_COMPARISON", "texts are compared for equality only", node)
        kind = label(scope, node.children[0]).kind
        if kind not in (Kind.NUMERICAL, Kind.CATEGORICAL, Kind.TIMESTAMP, Kind.ID):
            yield Limit("PQL_MODEL_UNSUPPORTED_COLUMN_OPERATION", f"columns of kind {kind} cannot be compared", node)


def _is_text(node: Expr) -> bool:
    return isinstance(node, Constant) and isinstance(node.value, str)


def _asking_aggregates(scope: Scope, expression: Expr, *, lists: bool, nested: bool) -> Iterator[Limit]:
    if isinstance(expression, Aggregation):
        yield from _asking_aggregate(scope, expression, lists=lists, nested=nested)
        nested = True
    lists = lists and not isinstance(expression, _COMPARISON)
    for child in expression.children:
        yield from _asking_aggregates(scope, child, lists=lists, nested=nested)


def _asking_aggregate(scope: Scope, node: Aggregation, *, lists: bool, nested: bool) -> Iterator[Limit]:
    if node.function in ("FIRST", "LAST", "COUNT_DISTINCT"):
        yield Limit("PQL_MODEL_UNSUPPORTED_AGGREGATION", f"{node.function} needs training", node)
    dtype = label(scope, node.column).dtype
    if dtype not in NUMBERS and node.function != "LIST_DISTINCT":
        yield Limit("PQL_MODEL_UNSUPPORTED_AGGREGATION_COLUMN", f"{node.column} is no number", node)
    if node.function == "LIST_DISTINCT" and not lists:
        yield Limit("PQL_MODEL_AGGREGATION_NEEDS_FOREIGN_KEY", "lists can only be ranked", node)
    if nested:
        yield Limit("PQL_MODEL_NO_NESTED_AGGREGATION", f"{node} stands inside another aggregate", node)


def _asking_keys(scope: Scope, target: Expr) -> Iterator[Limit]:
    """Keys as targets, outside of comparisons."""
    column = target.column if isinstance(target, Aggregation) else target
    counted = isinstance(target, Aggregation) and target.function in ("COUNT", "LIST_DISTINCT")
    if isinstance(column, Column) and not column.wildcard and not counted and scope.is_key(column.table, column.column):
        yield Limit("PQL_MODEL_NO_KEY_COLUMN_REFERENCE", f"{column} is a key", column)
