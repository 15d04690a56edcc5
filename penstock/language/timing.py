"""Time: targets and assumptions look ahead, filters and features look back, and nothing looks both ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from penstock.errors import QueryError
from penstock.expression import Among, Arithmetic, Call, Compare, Expr, IsNull, Logic, Match, Not
from penstock.language.routes import to_stream
from penstock.language.scope import Scope
from penstock.language.tree import Aggregation, Column, Predict, is_condition
from penstock.plan import Age, Aggregate, Calendar
from penstock.schema import Kind
from penstock.window import Lookahead, Unit


@dataclass(frozen=True)
class Clause:
    """A part of a query and what it may hold."""

    name: str
    ahead: bool = True
    back: bool = True
    static: bool = True
    windows: bool = True
    word: str | None = None


WHERE = Clause("WHERE", ahead=False)
FEATURE = Clause("a feature", ahead=False)
TARGET = Clause("the target", back=False)
ASSUMING = Clause("ASSUMING", back=False, static=False)


def is_temporal(expression: Expr) -> bool:
    """Whether the expression is about a window of time."""
    return any(isinstance(node, Aggregation) and node.window is not None for node in expression.walk())


def check_times(scope: Scope, tree: Predict) -> None:
    """Every window lies where its clause looks. Raises ``QueryError``."""
    temporal = is_temporal(tree.target)
    root = tree.entity.table
    if tree.assuming is not None and not temporal:
        raise scope.error(
            "PQL_TIME_ASSUMING_REQUIRES_TEMPORAL",
            f"{tree.target} is about no window of time, so nothing can be assumed about it",
            tree.assuming,
            "Drop ASSUMING, or predict an aggregate over a window.",
        )
    if tree.where is not None:
        check_clause(scope, tree.where, root, replace(WHERE, windows=temporal))
    check_clause(scope, tree.target, root, replace(TARGET, static=not temporal, word=tree.spec.word))
    if tree.assuming is not None:
        check_clause(scope, tree.assuming, root, ASSUMING)


def check_clause(scope: Scope, expression: Expr, root: str, clause: Clause) -> None:
    """The windows of one clause about a row of ``root``."""
    if clause.ahead:
        _check_no_calls(scope, expression, clause)
    for part in _terms(expression):
        terms = list(_operands(part))
        mixed = not scope.strict and len(terms) > 1 and any(_looks_ahead(term) for term in terms)
        for term in terms:
            if isinstance(term, Aggregation):
                back = clause.back or (mixed and _looks_back(term))
                label = term is expression
                _check_aggregation(scope, term, root, replace(clause, back=back), label)
            elif isinstance(term, Age | Calendar) and clause.ahead:
                raise _static_in_target(scope, term, clause)
        if not clause.static and not any(isinstance(term, Aggregation) for term in terms):
            raise _needs_window(scope, part, clause)
        if not clause.static and any(isinstance(term, Column) for term in terms):
            raise _needs_window(scope, part, clause)


def _check_no_calls(scope: Scope, expression: Expr, clause: Clause) -> None:
    for node in expression.walk():
        if isinstance(node, Call):
            raise scope.error(
                "PQL_TARGET_FEATURE_ONLY_FUNCTION",
                f"{node.function} describes the past: it can be a feature or filter entities, and has no place in "
                f"{clause.name}",
                node,
                "Use arithmetic and conditions on aggregates, or use it after WHERE.",
            )


def check_bound(scope: Scope, expression: Expr) -> None:
    """What is bound already looks back, too. Raises ``QueryError``."""
    for node in expression.walk():
        if isinstance(node, Aggregate) and isinstance(node.window, Lookahead):
            message = f"{FEATURE.name} looks back, and {node} looks ahead"
            raise scope.error("PQL_TIME_FUTURE_NOT_ALLOWED", message, node, "End its window at 0 or before.")


def _terms(expression: Expr) -> Iterator[Expr]:
    """The comparisons below AND, OR and NOT; or the value itself."""
    if is_condition(expression) and not isinstance(expression, Compare | IsNull | Among | Match):
        for child in expression.children:
            yield from _terms(child)
    else:
        yield expression


def _operands(part: Expr) -> Iterator[Expr]:
    """The leaves that a comparison or a calculation works on."""
    if isinstance(part, Compare | IsNull | Among | Match | Arithmetic | Call | Logic | Not):
        for child in part.children:
            yield from _operands(child)
    elif isinstance(part, Aggregation | Column | Age | Calendar):
        yield part


def _looks_ahead(term: Expr) -> bool:
    return (
        isinstance(term, Aggregation)
        and term.window is not None
        and term.window.start is not None
        and term.window.start >= 0
    )


def _looks_back(term: Aggregation) -> bool:
    return term.window is not None and term.window.end <= 0


def _static_in_target(scope: Scope, term: Expr, clause: Clause) -> QueryError:
    return scope.error(
        "PQL_TARGET_NOT_A_TARGET",
        f"{term} is known already, so it has no place in {clause.name}",
        term,
        "Use it in WHERE or in a feature.",
    )


def _needs_window(scope: Scope, part: Expr, clause: Clause) -> QueryError:
    if clause.word is not None or clause.name == TARGET.name:
        return scope.error(
            "PQL_TIME_MIXED_STATIC_AND_TEMPORAL",
            f"{part} is about no window of time, and the rest of the target is",
            part,
            "Move conditions on columns into WHERE, after FOR EACH.",
        )
    return scope.error(
        "PQL_TIME_STATIC_CONDITION_NOT_ALLOWED",
        f"{part} is about no window of time, so it assumes nothing about the future",
        part,
        f"Move it into WHERE, or assume an aggregate: {clause.name} COUNT(…, 0, 30) > 0.",
    )


def _check_aggregation(scope: Scope, node: Aggregation, root: str, clause: Clause, label: bool) -> None:
    if _is_age(node):
        _check_age(scope, node, root, clause)
        return
    anchored = node.of is not None
    if node.where is not None:
        inside = Clause(clause.name, ahead=clause.ahead, windows=clause.windows)
        check_clause(scope, node.where, node.column.table, inside)
    if node.of is not None and clause.ahead:
        raise _static_in_target(scope, node.of, clause)
    if node.window is None:
        _check_static(scope, node, clause, label)
        return
    if not clause.windows:
        raise scope.error(
            "PQL_TIME_TEMPORAL_AGGREGATION_NOT_ALLOWED",
            f"{clause.name} has a window and the target has none, so there is no moment to count from",
            node,
            "Use columns only, or predict an aggregate over a window.",
        )
    if scope.table(node.column.table).happened is None and not (anchored or _stream_has_clock(scope, node, root)):
        raise _no_clock(scope, node)
    _check_direction(scope, node, clause)


def _is_age(node: Aggregation) -> bool:
    return node.function == "TIME_SINCE" and node.window is None and not node.column.wildcard


def _check_age(scope: Scope, node: Aggregation, root: str, clause: Clause) -> None:
    if clause.ahead:
        raise _static_in_target(scope, node, clause)
    many = any(link.table == node.column.table for link in scope.graph.links_to(root))
    if many and node.column.table != root:
        raise scope.error(
            "PQL_TIME_AGGREGATION_NEEDS_RANGE",
            f"{node} has no window, and {root} has many rows of {node.column.table}",
            node,
            f"Write TIME_SINCE({node.column}, -INF, 0).",
        )


def _stream_has_clock(scope: Scope, node: Aggregation, root: str) -> bool:
    """Whether a table without a time is reached through one that has: its rows, or columns, take that time."""
    try:
        route = to_stream(scope, root, node)
    except QueryError:
        return False
    return not scope.strict and route.timed(scope)


def _no_clock(scope: Scope, node: Aggregation) -> QueryError:
    table = scope.table(node.column.table)
    return scope.error(
        "PQL_TIME_TABLE_HAS_NO_TIME_COLUMN",
        f"{table.name} has no time, so none of its rows can lie in a window",
        node,
        f"Declare which column of {table.name} says when a row happened, or predict a column instead.",
        candidates=[column.name for column in table.columns if column.kind is Kind.TIMESTAMP],
    )


def _check_direction(scope: Scope, node: Aggregation, clause: Clause) -> None:
    window = node.window
    if window is None:
        return
    if window.unit is Unit.ROWS and clause.ahead:
        raise scope.error(
            "PQL_TIME_ROWS_NOT_ALLOWED",
            f"{clause.name} is about a span of time, and {node} counts rows",
            node,
            "Say how long instead, such as (0, 30, days); windows of rows belong in features and in WHERE.",
        )
    if window.end > 0 and not clause.ahead:
        raise scope.error(
            "PQL_TIME_FUTURE_NOT_ALLOWED",
            f"{clause.name} looks back, and {node} looks ahead",
            node,
            "End its window at 0 or before; conditions on the future belong after ASSUMING.",
        )
    if (window.start is None or window.start < 0) and not clause.back:
        raise scope.error(
            "PQL_TIME_PAST_NOT_ALLOWED",
            f"{clause.name} looks ahead, and {node} looks back",
            node,
            f"Start its window at 0 or later, such as (0, {max(window.end, 1)}, {window.unit}); "
            "conditions on the past belong in WHERE.",
        )


def _check_static(scope: Scope, node: Aggregation, clause: Clause, label: bool) -> None:
    """Without a window: only a ranking of a foreign key (and, in a feature, rows of a table without a time).

    Between rows without a time there are no gaps.
    """
    column, in_target = node.column, clause.name == TARGET.name
    lists = in_target and node.function == "LIST_DISTINCT"
    if clause.name == FEATURE.name and scope.table(column.table).happened is None and node.function != "GAP":
        return
    ranks = clause.word != "CLASSIFY"
    if lists and label and ranks and scope.is_foreign_key(column.table, column.column):
        return
    code = "PQL_TIME_AGGREGATION_NEEDS_RANGE"
    if lists:
        code = _why_not_static(scope, column, ranks)
    raise scope.error(
        code,
        f"{node} has no window",
        node,
        f"Say which rows to count: {node.function}({column}, {'0, 30' if clause.ahead else '-30, 0'}, days).",
    )


def _why_not_static(scope: Scope, column: Column, ranks: bool) -> str:
    if not ranks:
        return "PQL_TIME_LIST_DISTINCT_NEEDS_RANGE_FOR_RANK"
    if scope.table(column.table).column(column.column).kind is Kind.CATEGORICAL:
        return "PQL_TIME_LIST_DISTINCT_NEEDS_RANGE_IN_TARGET"
    return "PQL_TIME_LIST_DISTINCT_NEEDS_RANGE_OR_FOREIGN_KEY"
