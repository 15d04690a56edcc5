"""What constants are worth: texts with their escapes, numbers, dates, and the short forms of LIKE."""

from __future__ import annotations

import calendar
import datetime as dt
import math
import re
from typing import Final

from penstock.errors import Span
from penstock.expression import Constant, Expr, Match

WHOLE_NUMBERS: Final = range(-(2**63), 2**63)
"""What an int64 can hold."""

_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "/": "/", "\\": "\\", "'": "'", '"': '"'}


class BadLiteralError(ValueError):
    """A constant that cannot be read; the parser turns it into a ``QueryError`` with its place."""

    def __init__(self, message: str, hint: str, code: str = "PQL_VALUE_INVALID_LITERAL") -> None:
        super().__init__(message)
        self.message, self.hint, self.code = message, hint, code


def text(written: str) -> str:
    r"""The text inside quotes, with its escapes resolved.

    >>> text(r"'it\'s'"), text('"caf\\u00e9"')
    ("it's", 'café')
    """
    value = re.sub(r"\\(u[0-9a-fA-F]{4}|.)", _unescaped, written[1:-1], flags=re.DOTALL)
    if any(0xD800 <= ord(letter) < 0xE000 for letter in value):
        raise BadLiteralError("this text holds half a character", "Write the character itself instead of its escape.")
    return value


def _unescaped(match: re.Match[str]) -> str:
    escape = match.group(1)
    if len(escape) == 5:
        return chr(int(escape[1:], 16))
    if escape not in _ESCAPES:
        raise BadLiteralError(
            f"\\{escape} is no escape",
            "Escapes are \\\\ \\' \\\" \\/ \\b \\f \\n \\r \\t and \\u0000.",
            "PQL_PARSE_SYNTAX",
        )
    return _ESCAPES[escape]


def whole(written: str) -> int:
    """A whole number that fits 64 bits.

    >>> whole("-30")
    -30
    """
    value = int(written) if len(written) < 25 else 2**64
    if value not in WHOLE_NUMBERS:
        raise BadLiteralError(
            f"{written[:24]} is outside the 64-bit whole numbers",
            "Use a number between -9223372036854775808 and 9223372036854775807.",
            "PQL_VALUE_INT_OUT_OF_RANGE",
        )
    return value


def decimal(written: str) -> float:
    """A number with a decimal point or an exponent."""
    value = float(written)
    if math.isinf(value):
        raise BadLiteralError(f"{written} is too large", "Use a number below 1.8e308.")
    return value


def date(written: str) -> dt.date:
    """A day: year first, or month/day/year (day first where the first number can be no month).

    >>> date("2024-01-31") == date("1/31/2024") == date("31.1.2024")
    True
    """
    first, second, third = re.split("[/.-]", written)
    hint = "Write the day as year-month-day, such as 2024-01-31, from year 1000 on."
    if len(first) == 4 and max(len(second), len(third)) <= 2:
        year, month, day = int(first), int(second), int(third)
    elif len(third) == 4 and max(len(first), len(second)) <= 2:
        year, month, day = int(third), int(first), int(second)
        month, day = (day, month) if month > 12 else (month, day)
    else:
        raise BadLiteralError(f"{written[:24]} is no date", hint)
    if year < 1000:
        raise BadLiteralError(f"{written} is no date", hint)
    days = calendar.monthrange(year, month)[1] if month in range(1, 13) else 31
    wrong = _outside(month=(month, range(1, 13)), day=(day, range(1, days + 1)))
    if wrong:
        raise BadLiteralError(f"{written} is no date{wrong}", hint)
    return dt.date(year, month, day)


def moment(day: str, time: str) -> dt.datetime:
    """A day and a time of day, in UTC.

    >>> moment("2024-01-31", "7:05:00")
    datetime.datetime(2024, 1, 31, 7, 5)
    """
    whole_day = date(day)
    hour, minute, second = (int(part[:4]) for part in time.split(":"))
    wrong = _outside(hour=(hour, range(24)), minute=(minute, range(60)), second=(second, range(60)))
    if wrong:
        raise BadLiteralError(f"{time} is no time of day{wrong}", "Write it as hours:minutes:seconds.")
    return dt.datetime.combine(whole_day, dt.time(hour, minute, second))


def _outside(**parts: tuple[int, range]) -> str:
    """The first part that is outside its range, in words of our own: Python's differ from version to version.

    >>> _outside(hour=(7, range(24)), minute=(60, range(60)))
    ': minute must be in 0..59'
    """
    wrong = (f": {name} must be in {most[0]}..{most[-1]}" for name, (value, most) in parts.items() if value not in most)
    return next(wrong, "")


def like(operand: Expr, value: Constant, negated: bool, span: Span) -> Match:
    """``LIKE`` and ``NOT LIKE`` in their plainest form: the usual patterns are CONTAINS, STARTS WITH or ENDS WITH.

    >>> x, a = Constant("x"), Constant("%a%")
    >>> print(like(x, a, True, Span(0, 1)), like(x, Constant("a%"), False, Span(0, 1)))
    'x' NOT CONTAINS 'a' 'x' STARTS WITH 'a'
    """
    pattern = str(value.value)
    starts, ends = pattern.startswith("%"), pattern.endswith("%")
    inner = _without_percents(value)
    if not (starts or ends):
        raise BadLiteralError(
            "a LIKE pattern begins or ends with %", "Use = for equality, or add a % where anything may follow.",
            "PQL_PARSE_SYNTAX",
        )  # fmt: skip
    if negated and not (starts and ends):
        raise BadLiteralError(
            "NOT LIKE needs a % at both ends", "Write NOT (… LIKE 'x%') for the negation of other patterns.",
            "PQL_PARSE_SYNTAX",
        )  # fmt: skip
    if "%" in str(inner.value):
        return Match("LIKE", operand, value, negated, span=span)
    if starts and ends:
        return Match("CONTAINS", operand, inner, negated, span=span)
    return Match("ENDS WITH" if starts else "STARTS WITH", operand, inner, span=span)


def _without_percents(value: Constant) -> Constant:
    """The text of a pattern without the percent signs at its ends."""
    inner, written = str(value.value).strip("%"), value.written
    if written is not None:
        written = written[0] + written[1:-1].strip("%") + written[-1]
    return Constant(inner, span=value.span, written=written)
