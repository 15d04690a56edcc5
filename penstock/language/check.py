"""From text to a checked query: every phase in order, each in its own file, the first mistake ends it."""

from __future__ import annotations

from collections.abc import Mapping

from penstock.errors import QueryError
from penstock.expression import Constant, Expr
from penstock.language import limits, naming, targets, tasks, timing, typed
from penstock.language.binding import bind
from penstock.language.parser import parse, parse_expression
from penstock.language.query import Query
from penstock.language.scope import Scope
from penstock.language.tree import Aggregation, Column, Name, Predict, microseconds
from penstock.plan import Calendar, Input
from penstock.schema import Dtype, Graph

DIALECTS = ("kumo",)


def check_query(text: str, graph: Graph, dialect: str | None, named: Mapping[str, str]) -> Query:
    """The query as it fits the schema. Raises ``QueryError``."""
    scope = Scope(graph, text, strict=_is_strict(dialect))
    tree = parse(text)
    if scope.strict:
        limits.check_extensions(scope, tree)
    tree = naming.resolved(scope, naming.with_named(scope, tree, named))
    _check_types(scope, tree)
    tasks.check_task(scope, tree)
    timing.check_times(scope, tree)
    root = tree.entity.table
    where = None if tree.where is None else bind(scope, tree.where, root, filters_entity=True)
    target = bind(scope, tree.target, root)
    assuming = None if tree.assuming is None else bind(scope, tree.assuming, root)
    targets.check_target(scope, tree, target)
    limits.check_limits(scope, tree)
    targets.check_not_own_key(scope, tree)
    value = typed.label(scope, tree.target)
    return Query(
        text=text,
        tree=tree,
        task=tasks.task(tree, value, tasks.links_entities(scope, tree.target)),
        entity=root,
        key=tree.entity.column,
        target=target,
        where=where,
        assuming=assuming,
        steps=tree.spec.steps,
        top_k=tree.spec.top_k,
        ids=None if tree.ids is None else tuple(constant.value for constant in tree.ids.values),
        as_of=_as_of(tree),
        static=not timing.is_temporal(tree.target),
        label=value,
        graph=graph,
        dialect=dialect,
    )


def check_feature(feature: str | Expr, graph: Graph, entity_table: str) -> Expr:
    """A feature of the rows of a table, bound to the schema: it looks back only. Raises ``QueryError``."""
    text = feature if isinstance(feature, str) else str(feature)
    scope = Scope(graph, text)
    scope.table(entity_table)
    tree = parse_expression(text) if isinstance(feature, str) else feature
    expression = naming.spelled(scope, tree)
    naming.check_wildcards(scope, expression)
    typed.check_dtypes(scope, expression)
    typed.check_kinds(scope, expression, feature=True)
    timing.check_clause(scope, expression, entity_table, timing.FEATURE)
    timing.check_bound(scope, expression)
    return bind(scope, expression, entity_table)


def check_calculation(text: str, inputs: Mapping[str, Dtype]) -> Expr:
    """An expression over values that are given by name, of these dtypes. Raises ``QueryError``."""
    scope = Scope(Graph(()), text)

    def change(node: Expr) -> Expr:
        if isinstance(node, Name) and node.name in inputs:
            return Input(node.name, inputs[node.name], span=node.span)
        if isinstance(node, Name | Column | Aggregation | Calendar):
            hint = "Calculate with inputs and the request's columns; a name that is no plain word is in backticks."
            name = str(node)
            raise scope.error("PQL_INPUT_UNKNOWN", f"{name} is no input", node, hint, name=name, candidates=inputs)
        return node

    expression = parse_expression(text, inputs).map(change)
    typed.check_dtypes(scope, expression)
    return bind(scope, expression, "")


def _is_strict(dialect: str | None) -> bool:
    if dialect is None or dialect in DIALECTS:
        return dialect is not None
    raise QueryError(
        "PQL_DIALECT_UNKNOWN",
        f"there is no dialect {dialect!r}",
        name=dialect,
        candidates=DIALECTS,
        hint="Leave it out for the whole language, or say 'kumo' for the strict dialect.",
    )


def _check_types(scope: Scope, tree: Predict) -> None:
    for expression in (tree.where, tree.target, tree.assuming):
        if expression is not None:
            typed.check_dtypes(scope, expression)
    limits.check_ids(scope, tree)
    for expression in (tree.where, tree.target, tree.assuming):
        if expression is not None:
            typed.check_kinds(scope, expression)
    typed.check_predictable(scope, tree.target)


def _as_of(tree: Predict) -> int | None:
    moment = tree.as_of
    return None if not isinstance(moment, Constant) or moment.value is None else microseconds(moment.value)  # type: ignore[arg-type]
