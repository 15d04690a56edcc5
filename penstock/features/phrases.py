"""Expressions in plain words, for reasons: "invoices in the last 30 days", "average price over all time"."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import singledispatch

from penstock.aggregates import AGGREGATES
from penstock.expression import FUNCTIONS, Arithmetic, Call, Compare, Constant, Expr, IsNull, Logic, Not
from penstock.plan import Age, Aggregate, Anchor, Calendar, Field, Input, Latest, Peers
from penstock.quality.kinds import duration
from penstock.window import Unit, Window


@singledispatch
def phrase(expression: Expr) -> str:
    """The expression as a noun phrase; its PQL where English would only be longer.

    >>> from penstock.plan import Stream
    >>> from penstock.schema import Dtype, Kind, Link
    >>> from penstock.window import Lookback
    >>> orders = Stream("users", (Link("orders", "user_id", "users"),))
    >>> phrase(Aggregate("COUNT", orders, None, Lookback(-30, 0)))
    'orders in the last 30 days'
    >>> price = Field("orders", "price", Dtype.FLOAT, Kind.NUMERICAL)
    >>> phrase(Aggregate("AVG", orders, price, Lookback(-5, 0, Unit.ROWS)))
    'average price of the last 5 orders'
    >>> phrase(Aggregate("GAP", orders, None, Lookback(-30, 0)))
    'days between orders in the last 30 days'
    """
    return str(expression)


@phrase.register
def _(expression: Field) -> str:
    return f"{expression.column} of {expression.table}" if expression.hops else expression.column


@phrase.register
def _(expression: Peers) -> str:
    return "among all" if expression.field is None else f"among those of the same {phrase(expression.field)}"


@phrase.register
def _(expression: Age) -> str:
    return f"days since {phrase(expression.field)}"


@phrase.register
def _(expression: Latest) -> str:
    days = "" if expression.ttl is None else f", no older than {duration(expression.ttl)}"
    return f"newest {expression.column} of {expression.stream.table}{days}"


@phrase.register
def _(expression: Input) -> str:
    return expression.name


@phrase.register
def _(expression: Calendar) -> str:
    return {"MONTH": "month", "WEEKDAY": "day of the week", "DAY": "day of the month", "HOUR": "hour"}[expression.part]


@phrase.register
def _(expression: Compare) -> str:
    compared = {"=": "is", "!=": "is not", ">": "above", "<": "below", ">=": "at least", "<=": "at most"}[expression.op]
    return f"{phrase(expression.left)} {compared} {phrase(expression.right)}"


@phrase.register
def _(expression: Constant) -> str:
    return str(expression.value) if isinstance(expression.value, str) else str(expression)


@phrase.register
def _(expression: Logic) -> str:
    return f"{phrase(expression.left)} {expression.op.lower()} {phrase(expression.right)}"


@phrase.register
def _(expression: Not) -> str:
    return f"not {phrase(expression.operand)}"


@phrase.register
def _(expression: IsNull) -> str:
    return f"{phrase(expression.operand)} is {'known' if expression.negated else 'missing'}"


@phrase.register
def _(expression: Arithmetic) -> str:
    peers = _peers(expression.right)
    if expression.op == "/" and peers is not None and _peers(expression.left) is None:
        return f"{phrase(expression.left)} relative to the mean {phrase(peers)}"
    words = {"/": "relative to", "+": "plus", "-": "minus", "*": "times"}[expression.op]
    return f"{phrase(expression.left)} {words} {phrase(expression.right)}"


def _peers(expression: Expr) -> Peers | None:
    """Whose mean it is, if it is one of peers: an aggregate of them, or one of their rows by how many they are."""
    first = expression.left if isinstance(expression, Arithmetic) and expression.op == "/" else expression
    anchor = first.stream.anchor if isinstance(first, Aggregate) else None
    return anchor if isinstance(anchor, Peers) else None


@phrase.register
def _(expression: Call) -> str:
    english, operands = FUNCTIONS[expression.function].english, expression.operands
    timeless = {operand.map(_without_window) for operand in operands}
    if len(timeless) == 1 and expression.function != "PAIR":
        return f"{english} {phrase(timeless.pop())} over {len(operands)} windows{_of_what_length(operands)}"
    if expression.function == "PAIR" and _is_step(*operands):
        return f"latest step in {phrase(operands[1]).removeprefix('last ')}"
    more = phrase(operands[1]) if len(operands) == 2 else f"{len(operands) - 1} more"
    return f"{english} {phrase(operands[0])} and {more}"


def _is_step(before: Expr, after: Expr) -> bool:
    """Whether these are the last but one and the last of the same."""
    if not (isinstance(before, Aggregate) and isinstance(after, Aggregate)):
        return False
    return after.function == "LAST_N" and (before.n, after.n) == (2, 1) and replace(before, n=1) == after


def _without_window(node: Expr) -> Expr:
    return replace(node, window=None) if isinstance(node, Aggregate) else node


def _of_what_length(operands: Sequence[Expr]) -> str:
    """The length of the windows in the operands, where they share one."""
    windows = [node.window for operand in operands for node in operand.walk() if isinstance(node, Aggregate)]
    lengths = {f" of {w.length} {w.unit}" if w is not None and w.length else "" for w in windows}
    return lengths.pop() if len(lengths) == 1 else ""


@phrase.register
def _(expression: Aggregate) -> str:
    rows, when = _rows(expression)
    what = rows if expression.value is None else f"{phrase(expression.value)} of {rows}"
    english = AGGREGATES[expression.function].english
    if expression.function == "COUNT":
        said = f"number of {what}" if _in_rows(expression.window) else what
    elif expression.function == "GAP":
        said = f"{english} {rows}" + (f" with {phrase(expression.value)}" if expression.value is not None else "")
    elif expression.function == "TIME_SINCE":
        unit = "days" if expression.window is None else str(expression.window.unit.clock)
        among = "of " if _in_rows(expression.window) else ""
        said, when = f"{unit} since the last {among}{rows}", "" if when == " so far" else when
    elif expression.function == "LAST_N":
        said, when = f"{_ordinal(expression.n or 1)} {what}", "" if when == " so far" else when
    else:
        said = f"{english} {what}"
    return f"{said}{when}{_whose(expression.stream.anchor)}"


def _whose(anchor: Anchor | None) -> str:
    if anchor is None:
        return ""
    if isinstance(anchor, Aggregate):
        return f", for the {phrase(anchor)}"
    return f", {phrase(anchor)}" if isinstance(anchor, Peers) else f", for its {phrase(anchor)}"


def _rows(expression: Aggregate) -> tuple[str, str]:
    """The rows that an aggregate is about, and when: a window of rows says both at once."""
    rows, window = expression.stream.table.replace("_", " ") + _kept(expression), expression.window
    if window is None or not _in_rows(window):
        return rows, _when(window)
    count = window.length or 0
    last = f"the last {count} {rows}" if count > 1 else f"the last row of {rows}"
    return last if window.end == 0 else f"the {count} {rows} before the last {-window.end}", ""


def _in_rows(window: Window | None) -> bool:
    return window is not None and window.unit is Unit.ROWS


def _kept(expression: Aggregate) -> str:
    where = expression.stream.where
    if where is None:
        return ""
    if isinstance(where, Compare) and where.op == "=" and isinstance(where.left, Field):
        return f" with {where.left.column} {phrase(where.right)}"
    return f" where {phrase(where)}"


def _when(window: Window | None) -> str:
    if window is not None and window.end == -1 and window.unit is Unit.SECONDS:
        return " until just before" if window.start is None else f" in the {_span(-window.start)} until just before"
    words = getattr(window, "phrase", "")
    return f" {words}" if words else ""


def _span(seconds: int) -> str:
    """So many seconds in the largest unit that they fill."""
    whole = {name: length for name, length in _LENGTHS.items() if seconds % length == 0}
    unit, length = next(iter(whole.items()))
    return f"{seconds // length} {unit}{'' if seconds == length else 's'}"


_LENGTHS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}


def _ordinal(n: int) -> str:
    return {1: "last", 2: "second last", 3: "third last"}.get(n, f"{n}-th last")
