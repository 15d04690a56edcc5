"""The oracle of checks: one plain loop a check, in Python alone."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from penstock.quality.check import Check

Row = dict[str, object]


def offending(check: Check, rows: Sequence[Row], parents: Mapping[str, Sequence[Row]]) -> tuple[int, list[Row]]:
    """How many rows a check looks at, and those that break it."""
    if check.kind == "unique":
        return _unique(check, rows)
    judged = [row for row in rows if check.kind == "not_null" or all(row[name] is not None for name in check.columns)]
    holds = _HOLDS[check.kind]
    return len(judged), [row for row in judged if not holds(check, row, parents)]


def _unique(check: Check, rows: Sequence[Row]) -> tuple[int, list[Row]]:
    equal = check.flag("nulls_equal")
    judged = [row for row in rows if equal or all(row[name] is not None for name in check.columns)]
    seen = Counter(tuple(row[name] for name in check.columns) for row in judged)
    return len(judged), [row for row in judged if seen[tuple(row[name] for name in check.columns)] > 1]


def _in_range(check: Check, row: Row, parents: Mapping[str, Sequence[Row]]) -> bool:
    value, given = row[check.columns[0]], dict(check.options)
    if isinstance(value, float) and math.isnan(value):
        return False
    tests = {
        "min": lambda bound: value >= bound,
        "max": lambda bound: value <= bound,
        "above": lambda bound: value > bound,
        "below": lambda bound: value < bound,
    }
    return all(test(given[name]) for name, test in tests.items() if name in given)


def _matches(check: Check, row: Row, parents: Mapping[str, Sequence[Row]]) -> bool:
    return (re.search(check.text("pattern"), str(row[check.columns[0]])) is not None) == check.flag("matches")


def _has_parent(check: Check, row: Row, parents: Mapping[str, Sequence[Row]]) -> bool:
    wanted = tuple(row[name] for name in check.columns)
    return any(tuple(parent[name] for name in check.names("to")) == wanted for parent in parents[check.text("table")])


_HOLDS: dict[str, Callable[[Check, Row, Mapping[str, Sequence[Row]]], bool]] = {
    "not_null": lambda check, row, parents: row[check.columns[0]] is not None,
    "accepted": lambda check, row, parents: row[check.columns[0]] in check.values("values"),
    "range": _in_range,
    "regex": _matches,
    "foreign_key": _has_parent,
}
