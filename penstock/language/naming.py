"""Names: which table and column each one means, and which target a bare name stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace

from penstock.aggregates import AGGREGATES
from penstock.errors import Span
from penstock.expression import Expr
from penstock.language.parser import parse_target
from penstock.language.scope import Scope
from penstock.language.tree import Aggregation, Column, Name, Predict, Spec


def resolved(scope: Scope, tree: Predict) -> Predict:
    """The query with every name spelled as the schema spells it. Raises ``QueryError`` for one that does not exist."""
    where, assuming = tree.where, tree.assuming
    entity = _column(scope, tree.entity)
    tree = replace(
        tree,
        entity=entity,
        where=None if where is None else spelled(scope, where),
        target=spelled(scope, tree.target),
        assuming=None if assuming is None else spelled(scope, assuming),
    )
    _entity_is_a_key(scope, tree.entity)
    for expression in (tree.where, tree.target, tree.assuming):
        if expression is not None:
            check_wildcards(scope, expression)
    return tree


def spelled(scope: Scope, expression: Expr) -> Expr:
    """The expression with every name spelled as the schema spells it."""

    def change(node: Expr) -> Expr:
        if isinstance(node, Column):
            return _column(scope, node)
        if isinstance(node, Aggregation) and node.via:
            return replace(node, via=tuple(_link(scope, link) for link in node.via))
        if isinstance(node, Name):
            raise _nameless(scope, node, ())
        return node

    return expression.map(change)


def check_wildcards(scope: Scope, expression: Expr) -> None:
    """``table.*`` stands only where rows are counted."""
    allowed = [n.column for n in expression.walk() if isinstance(n, Aggregation) and AGGREGATES[n.function].star]
    for node in expression.walk():
        if isinstance(node, Column) and node.wildcard and not any(node is column for column in allowed):
            raise scope.error(
                "PQL_SCHEMA_WILDCARD_POSITION",
                f"{node} stands for whole rows, which can only be counted",
                node,
                f"Use COUNT({node}, …), or name a column of {node.table}.",
                candidates=scope.table(node.table).offered,
            )


def with_named(scope: Scope, tree: Predict, named: Mapping[str, str]) -> Predict:
    """The query with named targets replaced by what they stand for, each at the place of its name."""
    spec = tree.spec

    def change(node: Expr, seen: tuple[str, ...] = ()) -> Expr:
        nonlocal spec
        if not isinstance(node, Name):
            return node
        if node.name not in named or node.name in seen:
            raise _nameless(scope, node, named, circular=node.name in seen)
        target, its_spec, _ = parse_target(named[node.name])
        if its_spec != Spec():
            spec = _only_spec(scope, tree, node, spec, its_spec)
        placed = target.map(lambda part: replace(part, span=node.span))
        return placed.map(lambda part: change(part, (*seen, node.name)))

    return replace(tree, target=tree.target.map(change), spec=spec)


def _only_spec(scope: Scope, tree: Predict, node: Name, spec: Spec, its_spec: Spec) -> Spec:
    if spec == Spec() and isinstance(tree.target, Name):
        return replace(its_spec, span=node.span)
    raise scope.error(
        "PQL_TASK_NAMED_TARGET",
        f"{node.name} says {its_spec} itself, so it must be the whole target and nothing may follow it",
        node,
        f"Write PREDICT {node.name} FOR EACH …, or name a target without {its_spec.word}.",
    )


def _nameless(scope: Scope, node: Name, named: Iterable[str], circular: bool = False) -> Exception:
    if circular:
        return scope.error(
            "PQL_TARGET_CIRCULAR_NAME", f"{node.name} is defined by itself", node, "Write its definition out once."
        )
    return scope.error(
        "PQL_TARGET_UNKNOWN_NAME",
        f"there is no target named {node.name}",
        node,
        "Name it first, or write a target such as COUNT(orders.*, 0, 30, days); a column is written table.column.",
        name=node.name,
        candidates=named,
    )


def _column(scope: Scope, column: Column) -> Column:
    tables = [table.name for table in scope.graph.tables]
    table = _match(scope, column.table, tables)
    if table is None:
        raise scope.error(
            "PQL_SCHEMA_UNKNOWN_TABLE",
            f"there is no table {column.table!r}",
            _part(scope, column, 0),
            "Name one of the tables that exist.",
            name=column.table,
            candidates=tables,
        )
    if column.wildcard:
        return replace(column, table=table)
    names = [known.name for known in scope.table(table).columns]
    name = _match(scope, column.column, names)
    if name is None:
        raise scope.error(
            "PQL_SCHEMA_UNKNOWN_COLUMN",
            f"{table} has no column {column.column!r}",
            _part(scope, column, 1),
            f"Name one of the columns of {table}.",
            name=column.column,
            candidates=scope.table(table).offered,
        )
    return replace(column, table=table, column=name)


def _part(scope: Scope, column: Column, which: int) -> Expr | Span:
    """The place of the table's or of the column's name alone; the whole column's where its text is elsewhere."""
    if column.span is None or scope.text[column.span.start : column.span.end].replace("`", "") != (
        f"{column.table}.{column.column}"
    ):
        return column
    start, end = column.span.start, column.span.end
    names = [*re.finditer(r"`[^`]+`|[^`.]+", scope.text[start:end])]
    return Span(start + names[which].start(), start + names[which].end()) if len(names) == 2 else column


def _match(scope: Scope, name: str, known: list[str]) -> str | None:
    """The exact name; else, outside the strict dialect, the only one that differs in case alone."""
    if name in known or scope.strict:
        return name if name in known else None
    alike = [candidate for candidate in known if candidate.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None


def _link(scope: Scope, column: Column) -> Column:
    found = _column(scope, column)
    if any(found.column in link.columns for link in scope.graph.links_from(found.table)):
        return found
    raise scope.error(
        "PQL_JOIN_UNKNOWN_LINK",
        f"{found} is no link",
        column,
        "VIA names the columns that point from child to parent.",
        name=str(found),
        candidates=map(str, scope.graph.links),
    )


def _entity_is_a_key(scope: Scope, entity: Column) -> None:
    table = scope.table(entity.table)
    if table.keys == (entity.column,):
        return
    if len(table.keys) > 1:
        together = " and ".join(table.keys)
        hint = f"The key of {table.name} is {together} together; ask about a table with a key of one column."
    elif table.keys:
        hint = f"Write FOR EACH {table.name}.{table.keys[0]}."
    else:
        hint = f"{table.name} has no key: declare one, or ask about a table that has."
    raise scope.error("PQL_SCHEMA_ENTITY_NOT_PRIMARY_KEY", f"{entity} is not the key of {table.name}", entity, hint)
