"""Types: what each expression's values are, and which may be compared, aggregated and predicted."""

from __future__ import annotations

import datetime as dt
import re
from typing import NamedTuple

from penstock.aggregates import AGGREGATES
from penstock.errors import QueryError
from penstock.expression import FUNCTIONS, Among, Arithmetic, Call, Compare, Constant, Expr, Match
from penstock.language.scope import Scope
from penstock.language.tree import Aggregation, Column, is_condition
from penstock.plan import Age, Aggregate, Field, Input
from penstock.schema import Dtype, Kind

NUMBERS = (Dtype.INT, Dtype.FLOAT)
_GROUPS = {
    Dtype.INT: "a number",
    Dtype.FLOAT: "a number",
    Dtype.BOOL: "a truth value",
    Dtype.STRING: "a text",
    Dtype.TIMESTAMP: "an instant",
    Dtype.LIST: "a list",
    Dtype.OTHER: "a value of an unknown type",
}
_SUMS = ("AVG", "SUM", "STDDEV", "VAR", "MEDIAN", "TREND")
_UNPREDICTABLE = (Kind.TEXT, Kind.TIMESTAMP, Kind.IGNORED)


class Label(NamedTuple):
    """What the values of an expression are: how they are kept, and what they mean."""

    dtype: Dtype
    kind: Kind

    @property
    def group(self) -> str:
        """What a value of this dtype is called, with its article."""
        return _GROUPS[self.dtype]

    @property
    def noun(self) -> str:
        """What a value of this dtype is called."""
        return self.group.split(" ", 1)[1]


def label(scope: Scope, node: Expr) -> Label:
    """What the values of an expression with resolved names are."""
    if is_condition(node):
        return Label(Dtype.BOOL, Kind.CATEGORICAL)
    if isinstance(node, Column):
        return _of_column(scope, node)
    if isinstance(node, Aggregation):
        return _of_aggregation(scope, node)
    if isinstance(node, Arithmetic):
        return Label(Dtype.FLOAT if node.op == "/" else _wider(scope, node), Kind.NUMERICAL)
    if isinstance(node, Call):
        return Label(FUNCTIONS[node.function].gives, FUNCTIONS[node.function].kind)
    if isinstance(node, Constant):
        return Label(_of_constant(node), Kind.NUMERICAL)
    if isinstance(node, Field):
        return Label(node.dtype, node.kind)
    if isinstance(node, Input):
        return Label(node.dtype, Kind.NUMERICAL if node.dtype in NUMBERS else Kind.CATEGORICAL)
    if isinstance(node, Aggregate):
        return Label(node.dtype, Kind.NUMERICAL if node.dtype in NUMBERS else Kind.CATEGORICAL)
    return Label(Dtype.FLOAT if isinstance(node, Age) else Dtype.INT, Kind.NUMERICAL)


def _of_column(scope: Scope, node: Column) -> Label:
    if node.wildcard:
        return Label(Dtype.INT, Kind.CATEGORICAL)
    column = scope.table(node.table).column(node.column)
    return Label(column.dtype, column.kind)


def _of_aggregation(scope: Scope, node: Aggregation) -> Label:
    if node.function == "LIST_DISTINCT":
        return Label(Dtype.LIST, Kind.MULTICATEGORICAL)
    value = _of_column(scope, node.column)
    spec = AGGREGATES[node.function]
    dtype = spec.result(None if node.column.wildcard else value.dtype)
    return Label(dtype, Kind.NUMERICAL if spec.result_dtype or node.function == "SUM" else value.kind)


def _wider(scope: Scope, node: Arithmetic) -> Dtype:
    sides = {label(scope, node.left).dtype, label(scope, node.right).dtype}
    return Dtype.FLOAT if Dtype.FLOAT in sides else Dtype.INT


def _of_constant(node: Constant) -> Dtype:
    if isinstance(node.value, bool):
        return Dtype.BOOL
    if isinstance(node.value, int):
        return Dtype.INT
    if isinstance(node.value, float):
        return Dtype.FLOAT
    return Dtype.TIMESTAMP if isinstance(node.value, dt.date) else Dtype.STRING


def check_dtypes(scope: Scope, expression: Expr) -> None:
    """Every comparison compares like with like, and every sum adds numbers. Raises ``QueryError``."""
    for node in reversed(list(expression.walk())):
        if isinstance(node, Aggregation):
            _check_aggregated(scope, node)
        elif isinstance(node, Arithmetic):
            _check_calculated(scope, node)
        elif isinstance(node, Call):
            _check_called(scope, node)
        elif isinstance(node, Compare):
            _check_compared(scope, node)
        elif isinstance(node, Among):
            _check_members(scope, node)
        elif isinstance(node, Match):
            _check_matched(scope, node)


def check_kinds(scope: Scope, expression: Expr, *, feature: bool = False) -> None:
    """Keys are not added up (nor, in a query, counted by value). Raises ``QueryError``."""
    summing = _SUMS if feature else (*_SUMS, "COUNT_DISTINCT")
    for node in expression.walk():
        if not isinstance(node, Aggregation) or node.function not in summing:
            continue
        column = node.column
        if _of_column(scope, column).kind is Kind.ID or scope.is_key(column.table, column.column):
            raise scope.error(
                "PQL_TYPE_AGGREGATION_ON_KEY_COLUMN",
                f"{node.function} does not work on {column}, which is a key",
                node,
                f"Use COUNT, or LIST_DISTINCT, or {node.function} of a column that is no key.",
            )


def check_predictable(scope: Scope, target: Expr) -> None:
    """Texts and instants cannot be predicted. Raises ``QueryError``."""
    kind, dtype = label(scope, target).kind, label(scope, target).dtype
    if kind in _UNPREDICTABLE or dtype is Dtype.OTHER:
        raise scope.error(
            "PQL_TYPE_TARGET_STYPE_NOT_PREDICTABLE",
            f"{target} is of kind {kind}, which cannot be predicted",
            target,
            f"Compare it with something, such as {target} IS NULL, or predict a number or a category.",
        )


def _check_aggregated(scope: Scope, node: Aggregation) -> None:
    dtype = _of_column(scope, node.column).dtype
    if node.function in _SUMS and dtype not in NUMBERS:
        raise scope.error(
            "PQL_TYPE_AGGREGATION_NEEDS_NUMERIC",
            f"{node.function} works on numbers, and {node.column} is {_GROUPS[dtype]}",
            node,
            f"Use COUNT({node.column.table}.* WHERE {node.column} = …, …), or a column of numbers.",
            candidates=_numeric_columns(scope, node.column.table),
        )
    if node.function == "TIME_SINCE" and node.window is None and dtype is not Dtype.TIMESTAMP:
        raise scope.error(
            "PQL_TYPE_TIME_SINCE_NEEDS_INSTANT",
            f"{node.column} is {_GROUPS[dtype]}, and TIME_SINCE without a window needs an instant",
            node,
            f"Give it a window: TIME_SINCE({node.column}, -INF, 0).",
        )


def _numeric_columns(scope: Scope, table: str) -> list[str]:
    keys = scope.table(table)
    return [
        c.name for c in keys.columns if c.dtype in NUMBERS and not scope.is_key(table, c.name) and c.kind is not Kind.ID
    ]


def _check_calculated(scope: Scope, node: Arithmetic) -> None:
    for side in (node.left, node.right):
        if isinstance(side, Constant) and side.value is None:
            raise scope.error("PQL_TYPE_NULL_COMPARISON", "NULL is no number", side, "Leave it out.")
        found = label(scope, side)
        if found.dtype not in NUMBERS:
            raise scope.error(
                "PQL_TYPE_ARITHMETIC_NEEDS_NUMERIC",
                f"{node.op} works on numbers, and {side} is {found.group}",
                side,
                "Calculate with counts, sums and columns of numbers.",
            )


def _check_called(scope: Scope, node: Call) -> None:
    """Numbers and truth values where they are calculated with; like beside like where they are compared."""
    for side in node.operands:
        found = label(scope, side)
        if isinstance(side, Constant) and side.value is None:
            raise scope.error("PQL_TYPE_NULL_COMPARISON", "NULL says nothing", side, "Leave it out.")
        if found.dtype in (Dtype.LIST, Dtype.OTHER):
            raise _uncallable(scope, node, side, "single values", "Count its values, or take the LAST one.")
        if FUNCTIONS[node.function].numeric and found.dtype not in (*NUMBERS, Dtype.BOOL):
            raise _uncallable(scope, node, side, "numbers and conditions", f"Compare it with something: {side} = ….")
        if node.function == "STREAK_OF" and found.group != label(scope, node.operands[0]).group:
            what = f"values of one type (the first is {label(scope, node.operands[0]).group})"
            raise _uncallable(scope, node, side, what, "Give it one expression over several windows.")


def _uncallable(scope: Scope, node: Call, side: Expr, what: str, hint: str) -> QueryError:
    message = f"{node.function} works on {what}, and {side} is {label(scope, side).group}"
    return scope.error("PQL_TYPE_FUNCTION_OPERAND", message, side, hint)


def _check_compared(scope: Scope, node: Compare) -> None:
    left, right = label(scope, node.left), label(scope, node.right)
    if left.dtype is Dtype.LIST:
        raise _whole_list(scope, node, right, "PQL_TYPE_CONSTANT_MISMATCH")
    if left.group != right.group or left.dtype is Dtype.OTHER:
        raise _mismatch(scope, node, left, right, node.right)
    if left.dtype is Dtype.BOOL and node.op not in ("=", "!="):
        raise scope.error("PQL_TYPE_BOOL_COMPARISON", f"{node.op} cannot compare truth values", node, "Use = or !=.")


def _whole_list(scope: Scope, node: Expr, value: Label, code: str) -> QueryError:
    operand = node.children[0]
    return scope.error(
        "PQL_TYPE_OPERATOR_ON_LIST" if value.dtype is Dtype.STRING else code,
        f"{operand} is a list, which cannot be compared as a whole",
        node,
        f"Ask what it contains: {operand} CONTAINS 'x'.",
    )


def _mismatch(scope: Scope, node: Expr, left: Label, right: Label, value: Expr) -> QueryError:
    operand = node.children[0]
    if left.dtype is Dtype.STRING and isinstance(value, Constant):
        hint = f"Put it in quotes: '{value}'."
    elif left.dtype is Dtype.TIMESTAMP:
        hint = "Write an instant without quotes: 2024-01-31 or 2024-01-31 12:00:00."
    elif left.dtype is Dtype.BOOL:
        hint = "Compare it with TRUE or FALSE."
    else:
        hint = f"Compare it with {left.group}."
    message = f"{operand} is {left.group} and {value} is {right.group}"
    return scope.error("PQL_TYPE_CONSTANT_MISMATCH", message, node, hint)


def _check_members(scope: Scope, node: Among) -> None:
    left = label(scope, node.operand)
    if left.dtype is Dtype.LIST:
        raise _whole_list(scope, node, label(scope, node.values[0]), "PQL_TYPE_ARRAY_ELEMENT_MISMATCH")
    for value in node.values:
        if value.value is None or label(scope, value).group != left.group:
            what = "NULL" if value.value is None else label(scope, value).group
            raise scope.error(
                "PQL_TYPE_ARRAY_ELEMENT_MISMATCH",
                f"{node.operand} is {left.group} and the list holds {value}, {what}",
                value,
                "Add OR … IS NULL for NULL; all other values must be of the column's type.",
            )


def _check_matched(scope: Scope, node: Match) -> None:
    operand, value = label(scope, node.operand), node.value
    if operand.dtype is Dtype.LIST:
        _check_contained(scope, node)
        return
    if operand.dtype is not Dtype.STRING:
        raise scope.error(
            "PQL_TYPE_OPERATOR_NEEDS_STRING",
            f"{node.pattern} works on texts, and {node.operand} is {operand.group}",
            node,
            "Use =, <, > or IN.",
        )
    if not isinstance(value.value, str):
        raise _no_text(scope, node)


def _no_text(scope: Scope, node: Match) -> QueryError:
    return scope.error(
        "PQL_TYPE_OPERATOR_NEEDS_STRING",
        f"{node.pattern} looks for a text, and {node.value} is none",
        node.value,
        f"Put it in quotes: '{node.value}'.",
    )


def _check_contained(scope: Scope, node: Match) -> None:
    if node.pattern != "CONTAINS":
        raise _whole_list(scope, node, label(scope, node.value), "PQL_TYPE_OPERATOR_NEEDS_STRING")
    if scope.strict and not isinstance(node.value.value, str):
        raise _no_text(scope, node)
    element = _element(scope, node.operand)
    value = label(scope, node.value)
    if node.value.value is None:
        raise _no_text(scope, node)
    if value.group != _GROUPS[element] and not (element in NUMBERS and _is_number(node.value.value, element)):
        raise scope.error(
            "PQL_TYPE_CONSTANT_MISMATCH",
            f"{node.operand} is a list and {node.value} is {value.group}: none of its elements is",
            node,
            f"Look for {_GROUPS[element]}.",
        )


def _element(scope: Scope, operand: Expr) -> Dtype:
    if isinstance(operand, Aggregation):
        dtype = _of_column(scope, operand.column).dtype
        return Dtype.STRING if dtype is Dtype.LIST else dtype
    return Dtype.STRING


def _is_number(value: object, element: Dtype) -> bool:
    """Whether a text says a number that could be an element."""
    pattern = r"-?[0-9]{1,18}" if element is Dtype.INT else r"-?[0-9]{1,18}([.][0-9]{1,18})?"
    return isinstance(value, str) and re.fullmatch(pattern, value) is not None
