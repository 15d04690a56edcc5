"""Expressions as SQL text: two-valued logic, quoted names, typed literals.

The caller says how a leaf is read; everything between the leaves is said here, once.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from functools import singledispatch
from typing import TypeAlias

from penstock.expression import Among, Arithmetic, Call, Compare, Constant, Expr, IsNull, Logic, Match, Not, Value
from penstock.plan import Aggregate, Field, Input
from penstock.schema import Dtype

Leaf: TypeAlias = Callable[[Expr], str]


def identifier(name: str) -> str:
    """A name in double quotes, whatever it holds.

    >>> print(identifier('a "b" c'))
    "a ""b"" c"
    """
    return '"' + name.replace('"', '""') + '"'


def literal(value: Value) -> str:
    """A value as a typed SQL literal; instants are UTC.

    >>> literal("it's"), literal(None), literal(dt.date(2024, 1, 31)), literal(True)
    ("'it''s'", 'NULL', "TIMESTAMP '2024-01-31 00:00:00'", 'TRUE')
    """
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, dt.datetime):
        return f"TIMESTAMP '{value.strftime('%Y-%m-%d %H:%M:%S.%f')}'"
    if isinstance(value, dt.date):
        return f"TIMESTAMP '{value.isoformat()} 00:00:00'"
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    return repr(value)


@singledispatch
def sql(expression: Expr, leaf: Leaf) -> str:
    """The expression as SQL; ``leaf`` gives the text of what is not an operation."""
    return leaf(expression)


@sql.register
def _(expression: Constant, _leaf: Leaf) -> str:
    return literal(expression.value)


@sql.register
def _(expression: Compare, leaf: Leaf) -> str:
    operator = "<>" if expression.op == "!=" else expression.op
    return f"coalesce({sql(expression.left, leaf)} {operator} {sql(expression.right, leaf)}, FALSE)"


@sql.register
def _(expression: IsNull, leaf: Leaf) -> str:
    return f"({sql(expression.operand, leaf)} IS {'NOT ' if expression.negated else ''}NULL)"


@sql.register
def _(expression: Among, leaf: Leaf) -> str:
    values = ", ".join(literal(value.value) for value in expression.values)
    return f"coalesce({sql(expression.operand, leaf)} IN ({values}), FALSE)"


@sql.register
def _(expression: Match, leaf: Leaf) -> str:
    operand, value = sql(expression.operand, leaf), literal(expression.value.value)
    function = "list_contains" if is_list(expression.operand) else "contains"
    if is_list(expression.operand) and isinstance(expression.operand, Field | Input):
        operand = f"CAST({operand} AS VARCHAR[])"  # of such lists it is asked which texts they contain
    matched = {
        "CONTAINS": f"{function}({operand}, {value})",
        "LIKE": f"({operand} LIKE {value})",
        "STARTS WITH": f"starts_with({operand}, {value})",
        "ENDS WITH": f"suffix({operand}, {value})",
    }[expression.pattern]
    return f"({'NOT ' if expression.negated else ''}coalesce({matched}, FALSE))"


@sql.register
def _(expression: Not, leaf: Leaf) -> str:
    return f"(NOT {sql(expression.operand, leaf)})"


@sql.register
def _(expression: Logic, leaf: Leaf) -> str:
    return f"({sql(expression.left, leaf)} {expression.op} {sql(expression.right, leaf)})"


@sql.register
def _(expression: Arithmetic, leaf: Leaf) -> str:
    left, right = (f"CAST({sql(side, leaf)} AS DOUBLE)" for side in (expression.left, expression.right))
    return f"({left} / nullif({right}, 0))" if expression.op == "/" else f"({left} {expression.op} {right})"


@sql.register
def _(expression: Call, leaf: Leaf) -> str:
    return _CALLS[expression.function](expression, [sql(operand, leaf) for operand in expression.operands])


def _numbers(texts: list[str]) -> str:
    return f"[{', '.join(f'CAST({text} AS DOUBLE)' for text in texts)}]"


def _first(_expression: Call, texts: list[str]) -> str:
    holds = ", ".join(f"coalesce(CAST({text} AS DOUBLE) > 0, FALSE)" for text in texts)
    return f"CAST(nullif(list_position([{holds}], TRUE), 0) AS BIGINT)"


def _streak(expression: Call, texts: list[str]) -> str:
    """The list of operands is bound to ``l`` by mapping over a list of one, so that each of them is written once."""
    sign = "CASE WHEN l[1] THEN 1 ELSE -1 END" if all(map(is_truth, expression.operands)) else "1"
    run = f"coalesce(list_position(list_transform(l, lambda x: x != l[1]), TRUE) - 1, len(l)) * {sign}"
    known = f"list_filter([{', '.join(texts)}], lambda x: x IS NOT NULL)"
    return f"CAST(list_transform([{known}], lambda l: CASE WHEN len(l) > 0 THEN {run} END)[1] AS BIGINT)"


_CALLS: dict[str, Callable[[Call, list[str]], str]] = {
    "MEAN_OF": lambda _call, texts: f"list_avg({_numbers(texts)})",
    "SPREAD_OF": lambda _call, texts: f"list_stddev_samp({_numbers(texts)})",
    "STREAK_OF": _streak,
    "FIRST_OF": _first,
    "PAIR": lambda _call, texts: f"(CAST({texts[0]} AS VARCHAR) || ' → ' || CAST({texts[1]} AS VARCHAR))",
}
"""How each function of several expressions is worked out."""


def is_truth(expression: Expr) -> bool:
    """Whether an expression is true or false."""
    leaf = isinstance(expression, Field | Aggregate | Input) and expression.dtype is Dtype.BOOL
    constant = isinstance(expression, Constant) and isinstance(expression.value, bool)
    return leaf or constant or isinstance(expression, Compare | IsNull | Among | Match | Not | Logic)


def is_list(expression: Expr) -> bool:
    """Whether a leaf holds lists."""
    return isinstance(expression, Field | Aggregate | Input) and expression.dtype is Dtype.LIST
