"""Expressions over plain values: what `penstock.engine.compile` says in SQL, said in Python, to the bit.

A request asks about few entities, for which a query costs more than its answer. Each expression becomes a function of
columns once; values are plain Python: int, float, bool, str, list, None for NULL, and instants in microseconds.
"""

from __future__ import annotations

import datetime as dt
import math
import operator
import re
from collections.abc import Callable, Sequence
from functools import singledispatch
from itertools import takewhile
from typing import Any, TypeAlias

from penstock.engine.compile import is_truth
from penstock.expression import FUNCTIONS, Among, Arithmetic, Call, Compare, Constant, Expr, IsNull, Logic, Match, Not
from penstock.plan import Aggregate, Field, Input
from penstock.schema import Dtype
from penstock.window import instant

Column: TypeAlias = list[Any]
Place: TypeAlias = Callable[[Expr], int]
Evaluator: TypeAlias = Callable[[Sequence[Column], int], Column]
"""Columns (by the places of their leaves) and how many rows there are, to a value a row."""

_EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  instants are UTC without a zone


def evaluator(expression: Expr, place: Place) -> Evaluator:
    """The expression as a function of columns; ``place`` says which column a leaf is.

    >>> from penstock.expression import Arithmetic, Constant
    >>> half = evaluator(Arithmetic("/", Constant(1), Constant(2)), lambda leaf: 0)
    >>> half([], 3)
    [0.5, 0.5, 0.5]
    """
    return _make(expression, place)


@singledispatch
def _make(expression: Expr, place: Place) -> Evaluator:
    number = place(expression)
    return lambda columns, _rows: columns[number]


@_make.register
def _(expression: Constant, _place: Place) -> Evaluator:
    value = plain(expression)
    return lambda _columns, rows: [value] * rows


@_make.register
def _(expression: Compare, place: Place) -> Evaluator:
    left, right = expression.left, expression.right
    floats = _as_double(left) or _as_double(right)
    holds: Callable[[Any, Any], bool] = (_OF_DOUBLES if floats else _OPERATORS)[expression.op]
    first, second = (_doubles(side, place) if floats else _make(side, place) for side in (left, right))
    return lambda columns, rows: [
        a is not None and b is not None and holds(a, b)
        for a, b in zip(first(columns, rows), second(columns, rows), strict=True)
    ]


@_make.register
def _(expression: IsNull, place: Place) -> Evaluator:
    operand, negated = _make(expression.operand, place), expression.negated
    return lambda columns, rows: [(value is None) != negated for value in operand(columns, rows)]


@_make.register
def _(expression: Among, place: Place) -> Evaluator:
    floats = any(map(_as_double, (expression.operand, *expression.values)))
    operand = _doubles(expression.operand, place) if floats else _make(expression.operand, place)
    values = {_double(value) if floats else plain(value) for value in expression.values} - {None}
    return lambda columns, rows: [value is not None and value in values for value in operand(columns, rows)]


@_make.register
def _(expression: Match, place: Place) -> Evaluator:
    operand, negated = _make(expression.operand, place), expression.negated
    matches = _matcher(expression)
    return lambda columns, rows: [(value is not None and matches(value)) != negated for value in operand(columns, rows)]


@_make.register
def _(expression: Not, place: Place) -> Evaluator:
    operand = _make(expression.operand, place)
    return lambda columns, rows: [None if value is None else not value for value in operand(columns, rows)]


@_make.register
def _(expression: Logic, place: Place) -> Evaluator:
    left, right = _make(expression.left, place), _make(expression.right, place)
    both = _and if expression.op == "AND" else _or
    return lambda columns, rows: list(map(both, left(columns, rows), right(columns, rows)))


def _and(left: bool | None, right: bool | None) -> bool | None:
    """As SQL has it, for leaves that are truth values may be NULL."""
    if left is None or right is None:
        return None if left in (None, True) and right in (None, True) else False
    return bool(left and right)


def _or(left: bool | None, right: bool | None) -> bool | None:
    if left is None or right is None:
        return True if left or right else None
    return bool(left or right)


@_make.register
def _(expression: Arithmetic, place: Place) -> Evaluator:
    left, right = _doubles(expression.left, place), _doubles(expression.right, place)
    calculate: Callable[[float, float], float | None] = _CALCULATIONS[expression.op]
    return lambda columns, rows: [
        None if a is None or b is None else calculate(a, b)
        for a, b in zip(left(columns, rows), right(columns, rows), strict=True)
    ]


@_make.register
def _(expression: Call, place: Place) -> Evaluator:
    numeric = FUNCTIONS[expression.function].numeric
    mixed = expression.function == "STREAK_OF" and any(map(_as_double, expression.operands))
    operands = [(_doubles if numeric or mixed else _make)(operand, place) for operand in expression.operands]
    work = _CALLS[expression.function](expression)
    return lambda columns, rows: list(map(work, *(operand(columns, rows) for operand in operands)))


# ---------------------------------------------------------------- numbers as DuckDB has them


def plain(constant: Constant) -> Any:
    """A constant's value: an instant in microseconds, the others as they are."""
    value = constant.value
    return instant(value) if isinstance(value, dt.date) else value


def dtype_of(expression: Expr) -> Dtype | None:
    """What an expression's values are; None for NULL."""
    if isinstance(expression, Constant):
        kinds = ((bool, Dtype.BOOL), (int, Dtype.INT), (float, Dtype.FLOAT), (str, Dtype.STRING))
        found = [dtype for kind, dtype in kinds if isinstance(expression.value, kind)]
        return found[0] if found else Dtype.TIMESTAMP if isinstance(expression.value, dt.date) else None
    if isinstance(expression, Call):
        return FUNCTIONS[expression.function].gives
    if isinstance(expression, Compare | IsNull | Among | Match | Not | Logic):
        return Dtype.BOOL
    if isinstance(expression, Arithmetic):
        return Dtype.FLOAT
    found_dtype = getattr(expression, "dtype", None)
    if found_dtype is None:  # ages are told in days, parts of the cutoff as whole numbers
        return Dtype.FLOAT if hasattr(expression, "field") else Dtype.INT
    return Dtype(found_dtype)


def _as_double(expression: Expr) -> bool:
    """Whether what it is compared with becomes a double: a number written with a point alone is exact."""
    if isinstance(expression, Constant):
        return isinstance(expression.value, float) and "e" in repr(expression.value)
    return dtype_of(expression) is Dtype.FLOAT


def _doubles(expression: Expr, place: Place) -> Evaluator:
    """The expression's values as doubles."""
    if isinstance(expression, Constant):
        value = _double(expression)
        return lambda _columns, rows: [value] * rows
    made = _make(expression, place)
    if dtype_of(expression) is Dtype.FLOAT:
        return made
    return lambda columns, rows: [None if value is None else float(value) for value in made(columns, rows)]


def _double(constant: Constant) -> float | None:
    """A constant as a double: of a number written with a point, its digits over a power of ten."""
    value = constant.value
    if value is None or isinstance(value, str | dt.date):
        return None
    text = repr(value)
    if not isinstance(value, float) or "e" in text or not math.isfinite(value):
        return float(value)
    whole, _, fraction = text.partition(".")
    return float(int(whole + fraction)) / 10.0 ** len(fraction)


_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def _above(a: float, b: float) -> bool:
    """NaN is above all other numbers, and equal to itself."""
    return a > b or (a != a and b == b)


def _equal(a: float, b: float) -> bool:
    return a == b or (a != a and b != b)


_OF_DOUBLES: dict[str, Callable[[Any, Any], bool]] = {
    "=": _equal,
    "!=": lambda a, b: not _equal(a, b),
    "<": lambda a, b: _above(b, a),
    "<=": lambda a, b: not _above(a, b),
    ">": _above,
    ">=": lambda a, b: not _above(b, a),
}
_CALCULATIONS: dict[str, Callable[[float, float], float | None]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: None if b == 0 else a / b,
}


# ---------------------------------------------------------------- texts and lists


def _matcher(expression: Match) -> Callable[[Any], bool]:
    wanted = plain(expression.value)
    if expression.pattern == "LIKE":
        return _like(wanted)
    if expression.pattern == "CONTAINS":
        element = _element(expression.operand, wanted)
        if isinstance(expression.operand, Field | Input):
            return lambda value: element in map(_item, value) if isinstance(value, list) else wanted in value
        return lambda value: element in value if isinstance(value, list) else wanted in value
    if expression.pattern == "STARTS WITH":
        return lambda value: value.startswith(wanted)
    return lambda value: value.endswith(wanted)


def _item(value: Any) -> Any:
    """What a list of a column or of an input holds, as a text."""
    return str(value).lower() if isinstance(value, bool) else str(value) if isinstance(value, int) else value


def _element(operand: Expr, wanted: Any) -> Any:
    """What is looked for in a list: a number where the list has numbers, though it is written as a text."""
    value = operand.value if isinstance(operand, Aggregate) else None
    if value is None or not isinstance(wanted, str) or value.dtype not in (Dtype.INT, Dtype.FLOAT):
        return wanted
    return int(wanted) if value.dtype is Dtype.INT else float(wanted)


def _like(pattern: str) -> Callable[[Any], bool]:
    """``%`` stands for any text, ``_`` for one character; nothing escapes them."""
    parts = {"%": ".*", "_": "."}
    fits = re.compile("".join(parts.get(mark) or re.escape(mark) for mark in pattern), re.DOTALL).fullmatch
    return lambda value: fits(value) is not None


def written(value: Any, dtype: Dtype | None) -> str:
    """A value as text, as `PAIR` writes it.

    >>> written(1.0, Dtype.FLOAT), written(True, Dtype.BOOL), written(86_400_500_000, Dtype.TIMESTAMP)
    ('1.0', 'true', '1970-01-02 00:00:00.5')
    """
    if dtype is Dtype.TIMESTAMP:
        text = (_EPOCH + dt.timedelta(microseconds=value)).isoformat(" ")
        return text.rstrip("0") if "." in text else text
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value)


# ---------------------------------------------------------------- functions of several expressions


def _mean(*values: float | None) -> float | None:
    """Summed in order, as DuckDB does."""
    known = [value for value in values if value is not None]
    return sum_of(known) / len(known) if known else None


def sum_of(values: Sequence[float]) -> float:
    """The sum, rounded after each step from the first on (Python's own ``sum`` compensates since 3.12)."""
    total = 0.0
    for value in values:
        total += value
    return total


def _spread(*values: float | None) -> float | None:
    """Welford's steps (1962), as DuckDB takes them."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return None
    mean = squares = 0.0
    for count, value in enumerate(known, 1):
        before = value - mean
        mean += before / count
        squares += before * (value - mean)
    return math.sqrt(squares / (len(known) - 1)) if squares >= 0 else math.nan


def _first(*values: float | None) -> int | None:
    return next((n for n, value in enumerate(values, 1) if value is not None and _above(value, 0)), None)


def _streak(expression: Call) -> Callable[..., Any]:
    signed = all(map(is_truth, expression.operands))

    def streak(*values: Any) -> int | None:
        known = [value for value in values if value is not None]
        if not known:
            return None
        run = len(list(takewhile(lambda value: _equal(value, known[0]), known)))
        return -run if signed and not known[0] else run

    return streak


def _pair(expression: Call) -> Callable[..., Any]:
    first, second = map(dtype_of, expression.operands)
    return lambda a, b: None if a is None or b is None else f"{written(a, first)} → {written(b, second)}"


_CALLS: dict[str, Callable[[Call], Callable[..., Any]]] = {
    "MEAN_OF": lambda _call: _mean,
    "SPREAD_OF": lambda _call: _spread,
    "FIRST_OF": lambda _call: _first,
    "STREAK_OF": _streak,
    "PAIR": _pair,
}
