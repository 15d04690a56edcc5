"""Expressions: conditions, arithmetic, columns, constants and aggregates.

::

    expression  = or ;  or = and {OR and} ;  and = not {AND not} ;  not = NOT not | comparison
    comparison  = sum [operator sum | IS [NOT] NULL | [NOT] IN list | pattern text]
    sum         = product {(+|-) product} ;  product = factor {(*|/) factor}
    factor      = -factor | (expression) | constant | column | aggregation | PART(CUTOFF) | call | name
    call        = FUNCTION(expression, expression {, expression})
"""

from __future__ import annotations

from typing import Literal, cast, get_args

from penstock.aggregates import AGGREGATES
from penstock.expression import (
    FUNCTIONS,
    Among,
    Arithmetic,
    Call,
    Compare,
    Constant,
    Expr,
    IsNull,
    Logic,
    Match,
    Not,
    Operator,
)
from penstock.language import literals
from penstock.language.cursor import Cursor
from penstock.language.lexer import T, Token, names
from penstock.language.tree import RESERVED, Aggregation, Column, Name, Same, is_condition
from penstock.plan import Calendar
from penstock.window import Unit, Window

KUMO_FUNCTIONS = ("COUNT", "SUM", "AVG", "MIN", "MAX", "COUNT_DISTINCT", "FIRST", "LAST", "LIST_DISTINCT")
PARTS = ("MONTH", "WEEKDAY", "DAY", "HOUR")
OPERATORS = cast("tuple[str, ...]", get_args(Operator))
_INT32 = range(-(2**31), 2**31)
_CONDITION = "Write a condition such as orders.price > 10, users.vip = TRUE or COUNT(orders.*, 0, 30) = 0."
_WINDOW = "Write the window as start, end[, unit], such as SUM(orders.price, 0, 30, days)."


def condition(at: Cursor) -> Expr:
    """An expression that is true or false."""
    start = at.here
    found = expression(at)
    if not is_condition(found):
        at.fail(f"expected a condition, found the value {found}", span=at.since(start), hint=_CONDITION)
    return found


def expression(at: Cursor) -> Expr:
    """Any expression: a value or a condition."""
    start = at.here
    left = _conjunction(at)
    while at.word("OR"):
        left = _joined(at, "OR", start, left, _conjunction(at))
    return left


def _conjunction(at: Cursor) -> Expr:
    start = at.here
    left = _negation(at)
    while at.word("AND"):
        left = _joined(at, "AND", start, left, _negation(at))
    return left


def _joined(at: Cursor, op: Literal["AND", "OR"], start: Token, left: Expr, right: Expr) -> Expr:
    for side in (left, right):
        if not is_condition(side):
            at.fail(f"{op} joins conditions, and {side} is a value", span=side.span, hint=_CONDITION)
    return Logic(op, left, right, span=at.since(start))


def _negation(at: Cursor) -> Expr:
    start = at.here
    if not at.word("NOT"):
        return _comparison(at)
    with at.deeper():
        operand = _negation(at)
    if not is_condition(operand):
        at.fail(f"NOT negates a condition, and {operand} is a value", span=operand.span, hint=_CONDITION)
    return Not(operand, span=at.since(start))


def _comparison(at: Cursor) -> Expr:
    start = at.here
    left = _sum(at)
    negated = False
    if at.at_word("NOT") and at.after.upper in ("IN", "LIKE", "CONTAINS"):
        negated = True
    elif not (at.at_sign(*OPERATORS) or at.at_word("IS") or at.at_word("IN") or _pattern_ahead(at)):
        return left
    if is_condition(left):
        at.fail("a condition cannot be compared", span=left.span, hint="Use NOT, AND and OR, or drop the comparison.")
    if isinstance(left, Constant):
        at.fail(f"a comparison cannot begin with the constant {left}", span=left.span, hint="Put the constant last.")
    if at.at_sign(*OPERATORS):
        return _relation(at, start, left, at.take().text)
    if negated and at.word("NOT", "IN"):
        at.extend("NOT IN", at.since(start))
        return Not(Among(left, _members(at), span=at.since(start)), span=at.since(start))
    if at.word("IN"):
        return Among(left, _members(at), span=at.since(start))
    return _is(at, start, left) if at.at_word("IS") else _match(at, start, left, negated)


def _pattern_ahead(at: Cursor) -> bool:
    return any(at.at_word(*words) for words in (("LIKE",), ("CONTAINS",), ("STARTS", "WITH"), ("ENDS", "WITH")))


def _relation(at: Cursor, start: Token, left: Expr, op: str) -> Expr:
    value = at.here
    right = _sum(at)
    span = at.since(start)
    if isinstance(right, Name) and right.name not in at.names:
        hint = f"Compare with {', '.join(at.names)}, or put a text in quotes: '{value.text}'." if at.names else ""
        at.fail(f"expected a constant, found {value.text!r}", span=value.span, hint=hint or _constant_hint(value))
    if is_condition(right):
        at.fail("a condition cannot be compared", span=right.span, hint="Use NOT, AND and OR instead.")
    if not isinstance(right, Constant):
        at.extend("comparing two expressions", right.span or span)
    elif right.value is None and op not in ("=", "!="):
        at.fail(
            f"{op} cannot compare with NULL",
            span=span,
            code="PQL_TYPE_NULL_COMPARISON",
            hint="Use IS NULL or IS NOT NULL.",
        )
    elif right.value is None:
        return IsNull(left, op == "!=", span=span)
    return Compare(cast("Operator", op), left, right, span=span)


def _is(at: Cursor, start: Token, left: Expr) -> Expr:
    if at.word("IS", "IN"):
        at.fail(
            "IS IN is not used any more", span=at.since(start), code="PQL_TYPE_OPERATOR_DEPRECATED", hint="Write IN."
        )
    negated = at.word("IS", "NOT") is not None
    if not negated:
        at.word("IS")
    if at.word("NULL"):
        return IsNull(left, negated, span=at.since(start))
    value = constant(at)
    return Compare("!=" if negated else "=", left, value, span=at.since(start))


def _match(at: Cursor, start: Token, left: Expr, negated: bool) -> Expr:
    if at.word("NOT", "LIKE") or at.word("LIKE"):
        text = at.here
        if text.kind is not T.TEXT:
            at.fail(f"LIKE needs a text, found {at.found}", hint="Write the pattern in quotes: LIKE '%x%'.")
        with at.literal(text):
            return literals.like(left, constant(at), negated, at.since(start))
    pattern = next(
        words for words in (("NOT", "CONTAINS"), ("CONTAINS",), ("STARTS", "WITH"), ("ENDS", "WITH")) if at.word(*words)
    )
    if at.at_sign("("):
        at.fail(
            "a pattern is one text, not a list", code="PQL_TYPE_OPERATOR_NEEDS_STRING", hint="Join several with OR."
        )
    value = constant(at)
    name = cast("Literal['CONTAINS', 'STARTS WITH', 'ENDS WITH']", " ".join(pattern).removeprefix("NOT "))
    return Match(name, left, value, negated, span=at.since(start))


def _members(at: Cursor) -> tuple[Constant, ...]:
    if not at.at_sign("("):
        at.fail(f"IN needs a list, found {at.found}", code="PQL_TYPE_OPERATOR_NEEDS_ARRAY", hint="Write IN (1, 2).")
    opening = at.take()
    values = [constant(at)]
    while at.sign(","):
        values.append(constant(at))
    at.need_sign(")", "Close the list of IN with a parenthesis; it holds constants only.")
    if len(values) == 1:
        at.extend("IN with one value", at.since(opening))
    return tuple(values)


def _sum(at: Cursor) -> Expr:
    start = at.here
    left = _product(at)
    while at.at_sign("+", "-"):
        left = _calculated(at, start, left, at.take(), _product(at))
    return left


def _product(at: Cursor) -> Expr:
    start = at.here
    left = _factor(at)
    while at.at_sign("*", "/"):
        left = _calculated(at, start, left, at.take(), _factor(at))
    return left


def _calculated(at: Cursor, start: Token, left: Expr, sign: Token, right: Expr) -> Expr:
    for side in (left, right):
        if is_condition(side):
            at.fail(
                f"{sign.text} needs numbers, and {side} is a condition",
                span=side.span,
                hint="Compare after calculating.",
            )
    at.extend("arithmetic", at.since(start))
    return Arithmetic(cast("Literal['+', '-', '*', '/']", sign.text), left, right, span=at.since(start))


def _factor(at: Cursor) -> Expr:
    start = at.here
    if at.at_sign("-") and at.after.kind not in (T.INT, T.DECIMAL):
        at.take()
        with at.deeper():
            operand = _factor(at)
        return _calculated(at, start, Constant(0, span=start.span), start, operand)
    if at.at_sign("("):
        return _parenthesised(at)
    if start.kind is T.COLUMN:
        return column(at)
    if start.kind is T.WORD and at.after.text == "(":
        if start.upper in FUNCTIONS:
            return _call(at)
        return _calendar(at) if start.upper in PARTS else aggregation(at)
    if start.kind is T.QUOTED or (start.kind is T.WORD and start.upper not in RESERVED):
        at.take()
        at.extend("named targets", start.span)
        return Name(start.text.strip("`"), span=start.span)
    return constant(at)


def _parenthesised(at: Cursor) -> Expr:
    opening = at.take()
    with at.deeper():
        inside = expression(at)
    if at.at_sign(",") and isinstance(inside, Constant):
        at.fail(
            "a list can only follow IN",
            span=at.since(opening),
            code="PQL_TYPE_OPERATOR_ON_ARRAY",
            hint="Write IN (1, 2).",
        )
    at.need_sign(")", "Every opening parenthesis needs a closing one.")
    if not is_condition(inside):
        at.extend("parentheses around a value", at.since(opening))
    return inside


def constant(at: Cursor) -> Constant:
    """A constant: a text, a number, a date with or without a time, TRUE, FALSE or NULL."""
    start = at.here
    for word, value in (("TRUE", True), ("FALSE", False), ("NULL", None)):
        if at.word(word):
            return Constant(value, span=start.span, written=start.text)
    minus = at.sign("-") if at.after.kind in (T.INT, T.DECIMAL) else None
    if minus and minus.span.end != at.here.span.start:
        at.extend("a space after the minus of a number", start.span)
    token = at.here
    if token.kind not in (T.TEXT, T.INT, T.DECIMAL, T.DATE):
        at.fail(f"expected a constant, found {at.found}", hint=_constant_hint(token))
    at.take()
    with at.literal(start):
        if token.kind is T.TEXT:
            return Constant(literals.text(token.text), span=start.span, written=token.text)
        if token.kind is T.DATE:
            time = at.take() if at.here.kind is T.TIME else None
            day = literals.moment(token.text, time.text) if time else literals.date(token.text)
            written = f"{token.text} {time.text}" if time else token.text
            return Constant(day, span=at.since(start), written=written)
        read = literals.whole if token.kind is T.INT else literals.decimal
        written = ("-" if minus else "") + token.text
        return Constant(read(written), span=at.since(start), written=written)


def _constant_hint(token: Token) -> str:
    if token.upper in AGGREGATES:
        return f"What {token.upper} works on stands in parentheses: {token.upper}(orders.price, 0, 30, days)."
    if token.upper in RESERVED:
        return f"{token.upper} is a word of the language, and something is missing before it."
    if token.kind is T.WORD:
        return f"Put a text in quotes: '{token.text}'."
    if token.text in ("=", ">"):
        return "Equal is written =, and unequal !=."
    if token.text == "(":
        return "A list can only follow IN, and holds no other list."
    return "Constants are texts in quotes, numbers, dates such as 2024-01-31, TRUE, FALSE and NULL."


def column(at: Cursor) -> Column:
    """``table.column`` or ``table.*``."""
    token = at.here
    if token.kind is not T.COLUMN:
        at.fail(f"expected a column, found {at.found}", hint=_column_hint(at))
    at.take()
    return Column(*names(token), span=token.span)


def _column_hint(at: Cursor) -> str:
    if at.at_sign("*"):
        return "Rows are counted with their table's name: COUNT(orders.*, …)."
    if at.after.text == "(":
        return "An aggregate works on a column; aggregates of aggregates do not exist."
    return "A column is written table.column, such as orders.price."


def _calendar(at: Cursor) -> Calendar:
    start = at.take()
    at.take()
    at.need_word("CUTOFF", hint=f"{start.upper} tells a part of the cutoff: {start.upper}(CUTOFF).")
    at.need_sign(")", f"Write {start.upper}(CUTOFF).")
    at.extend(f"{start.upper}(CUTOFF)", at.since(start))
    return Calendar(cast("Literal['MONTH', 'WEEKDAY', 'DAY', 'HOUR']", start.upper), span=at.since(start))


def _call(at: Cursor) -> Call:
    """A function of several expressions, separated by commas."""
    start, function = at.here, FUNCTIONS[at.here.upper]
    at.word(function.name)
    at.take()
    with at.deeper():
        operands = [expression(at)]
        while at.sign(","):
            operands.append(expression(at))
    at.need_sign(")", f"Close the parenthesis of {function.name}; its expressions are separated by commas.")
    if len(operands) < 2 or (function.pair and len(operands) > 2):
        at.fail(
            f"{function.name} takes two expressions{'' if function.pair else ' or more'}, not {len(operands)}",
            span=at.since(start),
            hint="Separate them with commas, the nearest in time first.",
        )
    at.extend(f"the function {function.name}", at.since(start))
    return Call(function.name, tuple(operands), span=at.since(start))


def aggregation(at: Cursor) -> Aggregation:
    """``FUNCTION(column [VIA links] [WHERE condition] [, n] [, start, end[, unit]]) [OF anchor]``."""
    start, function = at.here, at.here.upper
    if start.kind is not T.WORD or function not in AGGREGATES:
        at.fail(
            f"there is no aggregate {start.text}",
            name=start.text,
            candidates=(*AGGREGATES, *FUNCTIONS),
            hint="Use one of them.",
        )
    at.word(function)
    if function not in KUMO_FUNCTIONS:
        at.extend(f"the aggregate {function}", start.span)
    at.need_sign("(", f"What {function} works on stands in parentheses: {function}(orders.price, 0, 30, days).")
    with at.deeper():
        of_what, via = column(at), _via(at)
        where = condition(at) if at.word("WHERE") else None
        n = _count(at) if function == "LAST_N" else None
        window = _window(at) if at.sign(",") else None
    at.need_sign(")", f"Close the parenthesis of {function}; {_WINDOW[0].lower()}{_WINDOW[1:]}")
    of = _anchor(at, start) if at.word("OF") else None
    return Aggregation(function, of_what, where, window, n, via, of, span=at.since(start))


def _anchor(at: Cursor, start: Token) -> Aggregation | Column | Same:
    """``link``, ``LAST(link)``, ``SAME column`` or ``ALL``."""
    at.extend("OF LAST(…)", at.since(start))
    first = at.here
    if first.kind is T.COLUMN:
        return column(at)
    if at.word("ALL"):
        return Same(span=first.span)
    if at.word("SAME"):
        return Same(column(at), span=at.since(first))
    with at.deeper():
        return aggregation(at)


def _via(at: Cursor) -> tuple[Column, ...]:
    first = at.word("VIA")
    if not first:
        return ()
    at.extend("VIA", first)
    links = [column(at)]
    while at.at_sign(",") and at.after.kind is T.COLUMN:
        at.take()
        links.append(column(at))
    return tuple(links)


def _count(at: Cursor) -> int:
    at.need_sign(",", "LAST_N(orders.status, 2, -90, 0, days) is the second last status.")
    start = at.here
    n = at.integer("which of the last values", "LAST_N(orders.status, 2, -90, 0, days) is the second last status.")
    if n < 1:
        at.fail(f"there is no {n}-th last value", span=start.span, hint="Count from 1, the last.")
    return n


def _window(at: Cursor) -> Window:
    start = at.here
    opens = _start(at)
    at.need_sign(",", _WINDOW)
    ends = at.integer("the end of the window", _WINDOW)
    unit = _unit(at) if at.sign(",") else Unit.DAYS
    span = at.since(start)
    if unit is Unit.ROWS:
        at.extend("windows of rows", span)
    if opens is not None and opens >= ends:
        at.fail(
            f"the window starts at {opens} and must end later than that, not at {ends}",
            span=span,
            hint="Swap or change them.",
        )
    if unit is Unit.ROWS and (opens is None or ends > 0):
        at.fail(
            "rows are counted back from the moment, a number of them",
            span=span,
            hint="The last 5 rows are -5, 0, rows; all rows so far are -INF, 0, days.",
        )
    if ends not in _INT32 or (opens is not None and opens not in _INT32):
        at.fail("a window of this length cannot be", span=span, hint="Use a larger unit, or -INF for no beginning.")
    return Window(opens, ends, unit)


def _start(at: Cursor) -> int | None:
    if at.at_sign("-") and at.after.upper in ("INF", "INFINITY"):
        minus = at.take()
        if minus.span.end != at.here.span.start:
            at.extend("a space inside -INF", minus.span)
        at.word(at.here.upper)
        return None
    return at.integer("the start of the window", _WINDOW)


def _unit(at: Cursor) -> Unit:
    token = at.here
    plural = token.upper.lower() if token.upper.endswith("S") else f"{token.upper.lower()}s"
    if token.kind is not T.WORD or plural not in [str(unit) for unit in Unit]:
        at.fail(
            f"expected a unit of time, found {at.found}",
            hint="A year is 12 months, a quarter 3 months." if token.kind is T.WORD else _WINDOW,
            name=token.text or None,
            candidates=tuple(Unit),
        )
    at.word(token.upper)
    if plural != token.upper.lower():
        at.extend("units in the singular", token.span)
    return Unit(plural)
