"""The kinds of checks and what each may be told, as a table."""

from __future__ import annotations

import datetime as dt
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Scalar: TypeAlias = str | int | float | bool | dt.date | dt.datetime
Option: TypeAlias = Scalar | tuple[Scalar, ...]


@dataclass(frozen=True)
class OptionKind:
    """What an option's value must be: in words, and whether a value is."""

    says: str
    fits: Callable[[Option], bool]


@dataclass(frozen=True)
class Kind:
    """A kind of check: how many columns it names, its options, and which of them it needs.

    ``of_rows`` says that it can be said of each row alone, so that ``mostly`` makes sense; ``compares`` that it
    sets the table beside its last good version. ``one_of`` lists options of which at least one must be given.
    """

    columns: tuple[int, int | None]
    options: Mapping[str, OptionKind]
    required: tuple[str, ...] = ()
    one_of: tuple[str, ...] = ()
    of_rows: bool = False
    filters: bool = True
    compares: bool = False


def _is_number(value: Option) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_orderable(value: Option) -> bool:
    return _is_number(value) or isinstance(value, str | dt.date)


def _is_share(value: Option) -> bool:
    return _is_number(value) and float(str(value)) >= 0 and math.isfinite(float(str(value)))


def _is_count(value: Option) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_ORDERED = OptionKind("a number, a text, a date or a time", _is_orderable)
_COUNT = OptionKind("a whole number from 0", _is_count)
_AMOUNT = OptionKind("a number from 0", _is_share)
_TEXT = OptionKind("a text that is not empty", lambda value: isinstance(value, str) and bool(value.strip()))
_FLAG = OptionKind("true or false", lambda value: isinstance(value, bool))
_VALUES = OptionKind("a list of at least one value", lambda value: isinstance(value, tuple) and bool(value))
_NAMES = OptionKind(
    "a list of columns",
    lambda value: isinstance(value, tuple) and bool(value) and all(isinstance(name, str) for name in value),
)
_DURATION = OptionKind(
    "a length of time such as '36 hours'", lambda value: isinstance(value, str) and microseconds(value) is not None
)
_BINS = OptionKind("a whole number from 2 to 100", lambda value: _is_count(value) and 2 <= int(str(value)) <= 100)

_BEYOND = {"min_rows": _COUNT}

KINDS: Mapping[str, Kind] = {
    "row_count": Kind((0, 0), {"min": _COUNT, "max": _COUNT}, one_of=("min", "max")),
    "not_null": Kind((1, 1), {}, of_rows=True),
    "unique": Kind((1, None), {"nulls_equal": _FLAG}, of_rows=True),
    "accepted": Kind((1, 1), {"values": _VALUES}, ("values",), of_rows=True),
    "range": Kind(
        (1, 1),
        {"min": _ORDERED, "max": _ORDERED, "above": _ORDERED, "below": _ORDERED},
        one_of=("min", "max", "above", "below"),
        of_rows=True,
    ),
    "regex": Kind((1, 1), {"pattern": _TEXT, "matches": _FLAG}, ("pattern",), of_rows=True),
    "foreign_key": Kind((1, None), {"table": _TEXT, "to": _NAMES}, ("table",), of_rows=True),
    "freshness": Kind((1, 1), {"at_most": _DURATION}, ("at_most",)),
    "expression": Kind((0, None), {"condition": _TEXT}, ("condition",), of_rows=True),
    "sql": Kind((0, 0), {"query": _TEXT}, ("query",), filters=False),
    "volume": Kind((0, 0), {"drop": _AMOUNT, "rise": _AMOUNT, **_BEYOND}, filters=False, compares=True),
    "null_rate": Kind((1, 1), {"rise": _AMOUNT, **_BEYOND}, filters=False, compares=True),
    "mean": Kind((1, 1), {"shift": _AMOUNT, **_BEYOND}, filters=False, compares=True),
    "share": Kind((1, 1), {"shift": _AMOUNT, "values": _VALUES, **_BEYOND}, filters=False, compares=True),
    "psi": Kind((1, 1), {"max": _AMOUNT, "bins": _BINS, **_BEYOND}, filters=False, compares=True),
    "wasserstein": Kind((1, 1), {"max": _AMOUNT, **_BEYOND}, filters=False, compares=True),
}
"""Every kind by its name, in the order in which contracts list them."""

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86_400, "week": 604_800}


def microseconds(text: str) -> int | None:
    """The microseconds in a length of time such as ``36 hours``; None where the text is none.

    >>> microseconds("36 hours"), microseconds("1.5 days"), microseconds("soon")
    (129600000000, 129600000000, None)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([a-z]+?)s?\s*", text)
    if match is None or match[2] not in _SECONDS:
        return None
    return round(float(match[1]) * _SECONDS[match[2]] * 1_000_000)


def duration(microseconds: int) -> str:
    """A length of time as people say it, in the largest unit of which it holds two, with at most one decimal.

    >>> duration(129_600_000_000), duration(86_400_000_000 * 9), duration(1_500_000)
    ('36 hours', '9 days', '1.5 seconds')
    """
    seconds = microseconds / 1_000_000
    unit = next((unit for unit, size in reversed(_SECONDS.items()) if unit != "week" and seconds >= 2 * size), "second")
    count = round(seconds / _SECONDS[unit], 1)
    return f"{count:g} {unit}{'' if count == 1 else 's'}"
