"""What each check adds to the one pass over a table, and what is made of the values that come back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from penstock.lake.versioned.scan import quoted
from penstock.quality.check import Check
from penstock.quality.conditions import Condition, Keys, condition, given, has_condition
from penstock.quality.kinds import duration, microseconds
from penstock.quality.report import Result
from penstock.quality.sentences import bounds

EMPTY = pa.table({})
Judge = Callable[[Check, Sequence[object], int], Result]


@dataclass(frozen=True)
class Look:
    """A check with its SQL aggregates (none, where it is no matter of counting) and the condition of offence.

    They are part of the one pass, unless it is asked ``apart``.
    """

    check: Check
    aggregates: tuple[str, ...] = ()
    offends: str = field(default="", repr=False)
    apart: bool = False

    def judge(self, values: Sequence[object], now: int) -> Result:
        """The result that values of `aggregates` give, for a check of the whole table."""
        return _JUDGES[self.check.kind](self.check, values, now)


def look(check: Check, schema: pa.Schema, keys: Keys) -> Look:
    """How a check is looked at. Raises ``SchemaError`` or ``RequestError`` where the table does not fit it."""
    if has_condition(check):
        found = condition(check, schema, keys)
        return Look(check, _counts(check, found), found.offends, check.kind in _APART)
    if check.kind == "row_count":
        return Look(check, (_count(given(check)),))
    if check.kind == "freshness":
        name = quoted(check.columns[0])
        return Look(
            check, (_count(given(check)), f"epoch_us(CAST(max({name}) FILTER (WHERE {given(check)}) AS TIMESTAMP))")
        )
    return Look(check)


_APART = frozenset({"foreign_key"})
"""A link is asked in a pass of its own columns: else every column would have to go through its join."""


def _counts(check: Check, found: Condition) -> tuple[str, str]:
    """How many rows are looked at, and how many offend. Counting a column's values is the fastest way to say so."""
    if check.where or len(check.columns) != 1 or check.kind == "expression":
        return _count(found.judged), _count(found.offends)
    values = f"count({quoted(check.columns[0])})"
    return ("count(*)", f"count(*) - {values}") if check.kind == "not_null" else (values, _count(found.offends))


def _count(condition: str) -> str:
    return "count(*)" if condition == "TRUE" else f"count_if({condition})"


def seen_row(observed: str, expected: str) -> pa.Table:
    """The row that a failed check of a whole table returns."""
    return pa.table({"observed": [observed], "expected": [expected]})


def _of_table(check: Check, passed: bool, rows: int, observed: str, expected: str) -> Result:
    sample = EMPTY if passed else seen_row(observed, expected)
    return Result(check, passed, int(not passed), rows, sample, observed, expected, 0.0)


def _row_count(check: Check, values: Sequence[object]) -> Result:
    rows = int(str(values[0] or 0))
    least, most = check.number("min"), check.number("max")
    passed = (least is None or rows >= least) and (most is None or rows <= most)
    return _of_table(check, passed, rows, f"{rows:,} rows", bounds(check))


def _freshness(check: Check, values: Sequence[object], now: int) -> Result:
    rows, newest = int(str(values[0] or 0)), values[1]
    expected = f"at most {check.text('at_most')} old"
    if not isinstance(newest, int):
        return _of_table(check, False, rows, "no time at all", expected)
    age, limit = now - newest, microseconds(check.text("at_most")) or 0
    says = f"{duration(age)} old" if age >= 0 else f"{duration(-age)} in the future"
    return _of_table(check, age <= limit, rows, says, expected)


_JUDGES: Mapping[str, Judge] = {
    "row_count": lambda check, values, now: _row_count(check, values),
    "freshness": _freshness,
}
