"""What came of a contract's checks: one result each, printed as a table."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

import pyarrow as pa

from penstock.quality.check import Check
from penstock.quality.profile import Profile

SHOWN = 5
"""So many offending rows are shown."""


@dataclass(frozen=True)
class Result:
    """One check's result: of ``rows`` looked at, ``failed_rows`` offend, the first five of which are the ``sample``.

    For checks of a whole table the offending row is one that tells what was seen. ``error`` says why a check could not
    be run; then it has not passed.
    """

    check: Check
    passed: bool
    failed_rows: int
    rows: int
    sample: pa.Table = field(repr=False)
    observed: str
    expected: str
    seconds: float
    error: str = ""

    @property
    def reason(self) -> str:
        """One sentence that says what was asked and what was seen."""
        seen = self.error or f"{self.observed}, expected {self.expected}"
        return f"{self.check.name}: {self.check.sentence}: {seen}"

    def to_dict(self) -> dict[str, object]:
        """The result for machines; values that JSON lacks are texts."""
        check = self.check
        return {
            "name": check.name,
            "check": check.kind,
            "columns": list(check.columns),
            "sentence": check.sentence,
            "place": check.place,
            "fingerprint": check.fingerprint,
            "severity": check.severity,
            "passed": self.passed,
            "failed_rows": self.failed_rows,
            "rows": self.rows,
            "observed": self.observed,
            "expected": self.expected,
            "error": self.error,
            "seconds": round(self.seconds, 6),
            "sample": [{name: _plain(value) for name, value in row.items()} for row in self.sample.to_pylist()],
        }


@dataclass(frozen=True)
class Report:
    """The results of one run of a table's contract, at an instant (microseconds since 1970)."""

    table: str
    version: int
    fingerprint: str
    instant: int
    results: tuple[Result, ...]
    profile: Profile | None = field(default=None, repr=False)

    @property
    def passed(self) -> bool:
        """Whether no check of severity ``error`` failed."""
        return not any(result.check.severity == "error" for result in self.failures)

    @property
    def failures(self) -> tuple[Result, ...]:
        """The results that did not pass, errors first."""
        failed = (result for result in self.results if not result.passed)
        return tuple(sorted(failed, key=lambda result: result.check.severity != "error"))

    def to_dict(self) -> dict[str, object]:
        """The report for machines."""
        return {
            "table": self.table,
            "version": self.version,
            "fingerprint": self.fingerprint,
            "instant": self.instant,
            "passed": self.passed,
            "results": [result.to_dict() for result in self.results],
        }

    def __str__(self) -> str:
        when = instant_text(self.instant)
        count = f"{len(self.results) - len(self.failures)} of {len(self.results)} checks passed"
        lines = [f"{self.table}: {count} ({when})"]
        if self.results:
            lines += _table([("", "check", "seen", "expected"), *map(_line, self.results)])
        for result in self.failures:
            lines += _samples(result)
        return "\n".join(lines)


def instant_text(instant: int) -> str:
    """An instant as people read it, in UTC.

    >>> instant_text(0)
    '1970-01-01 00:00:00 UTC'
    """
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=instant)).strftime(
        "%Y-%m-%d %H:%M:%S UTC"
    )


def _line(result: Result) -> tuple[str, str, str, str]:
    mark = "ok" if result.passed else "FAILED" if result.check.severity == "error" else "warning"
    return mark, result.check.name, result.error.partition("\n")[0] or result.observed, result.expected


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _samples(result: Result) -> list[str]:
    if not result.sample.num_rows:
        return []
    names = result.sample.column_names
    told = [", ".join(f"{name}={_written(row[name])}" for name in names) for row in result.sample.to_pylist()]
    return ["", f"{result.check.name}: {result.check.sentence}", *(f"  {line}" for line in told)]


def _written(value: object) -> str:
    """A value as people write it: instants and exact numbers as they read, texts in quotes.

    >>> _written(dt.datetime(2026, 1, 31, 12)), _written("a")
    ('2026-01-31 12:00:00', "'a'")
    """
    return str(value) if isinstance(value, dt.date | dt.time | dt.timedelta | Decimal) else repr(value)


def _plain(value: object) -> object:
    if isinstance(value, float) and value - value != 0:
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
