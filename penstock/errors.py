"""Every error Penstock raises on purpose.

    PenstockError
    ├── RequestError        the request was wrong (exit status 2)
    │   ├── QueryError      a PQL query that cannot be read or does not fit the schema
    │   ├── SchemaError     a table, column or link that does not exist or cannot be what was asked
    │   └── SourceError     a source that cannot be opened or read
    ├── RefusedError        the request was right but the data cannot answer it (exit status 1)
    └── FailedError         the request was right but this machine could not do it (exit status 1)

A few codes end otherwise than their class does: a source or a lake that fails is no fault of the request.

An error has four parts: what is wrong, where (the underlined place), what exists, and what to try.
They are fields, so that a terminal, an HTTP answer and a page can render the same thing.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_FAILURES = (
    "JOURNAL_UNREADABLE", "LAKE_BUSY", "LAKE_CATALOGUE", "LAKE_DAMAGED", "LAKE_MOVED", "SOURCE_UNREACHABLE",
    "SOURCE_UNREADABLE", "STREAM_LOST", "TAIL_BUSY", "TAIL_DAMAGED",
)  # fmt: skip
_STATUSES: Mapping[str, int] = {**dict.fromkeys(_FAILURES, 1), "INGEST_UNKNOWN_BATCH": 2, "INGEST_RANGE": 2}
"""Exit statuses of codes whose class says another: 1 where something failed, 2 where the request was wrong."""


@dataclass(frozen=True, slots=True)
class Span:
    """A half-open range of characters ``[start, end)`` of a query's text.

    >>> Span(2, 5).line_and_column("ab\\ncde")
    (1, 3)
    """

    start: int
    end: int

    def line_and_column(self, text: str) -> tuple[int, int]:
        """The place as people count it: line and column from 1."""
        before = text[: self.start]
        return before.count("\n") + 1, self.start - (before.rfind("\n") + 1) + 1

    def underline(self, text: str) -> str:
        """The line of ``text`` that holds the span, with the span underlined below it."""
        first = text.rfind("\n", 0, self.start) + 1
        last = text.find("\n", self.start)
        line = text[first:] if last < 0 else text[first:last]
        width = max(1, min(self.end, first + len(line)) - self.start)
        return f"  {line}\n  {' ' * (self.start - first)}{'~' * width}"


class PenstockError(Exception):
    """What went wrong, where, what exists, and what to try.

    ``code`` is stable and may be matched on; ``span`` is a place in ``text``; ``name`` is the name that was
    not found and ``candidates`` the names that exist.

    >>> error = QueryError(
    ...     "X",
    ...     "no column 'amuont'",
    ...     text="SUM(a.amuont)",
    ...     span=Span(6, 12),
    ...     name="amuont",
    ...     candidates=("amount", "id"),
    ...     hint="Name a column of a.",
    ... )
    >>> print(error)
    X: no column 'amuont'
    <BLANKLINE>
      SUM(a.amuont)
            ~~~~~~
      exists: amount, id
      Did you mean 'amount'?
      Name a column of a.
    """

    exit_status = 1

    def __init__(
        self,
        code: str,
        message: str,
        *,
        text: str | None = None,
        span: Span | None = None,
        name: str | None = None,
        candidates: Iterable[str] = (),
        hint: str | None = None,
    ) -> None:
        self.code, self.message, self.text, self.span = code, message, text, span
        self.exit_status = _STATUSES.get(code, type(self).exit_status)
        self.name, self.candidates, self.hint = name, tuple(candidates), hint
        super().__init__(str(self))

    @property
    def suggestion(self) -> str | None:
        """The candidate closest to the name that was not found, if one is close."""
        if self.name is None:
            return None
        folded = {candidate.casefold(): candidate for candidate in self.candidates}
        close = difflib.get_close_matches(self.name.casefold(), list(folded), n=1)
        return folded[close[0]] if close else None

    def __str__(self) -> str:
        return "\n".join(self._lines())

    def _lines(self) -> list[str]:
        lines = [f"{self.code}: {self.message}"]
        if self.text is not None and self.span is not None:
            lines += ["", self.span.underline(self.text)]
        if self.candidates:
            lines.append(f"  exists: {_shortened(self.candidates)}")
        if self.suggestion:
            lines.append(f"  Did you mean '{self.suggestion}'?")
        if self.hint:
            lines.append(f"  {self.hint}")
        return lines

    def to_dict(self) -> dict[str, object]:
        """The same parts for machines (``--json``, HTTP)."""
        return {
            "code": self.code,
            "message": self.message,
            "text": self.text,
            "span": None if self.span is None else [self.span.start, self.span.end],
            "name": self.name,
            "candidates": list(self.candidates),
            "suggestion": self.suggestion,
            "hint": self.hint,
        }


class RequestError(PenstockError):
    """The request was wrong: nothing was done."""

    exit_status = 2


class QueryError(RequestError):
    """A PQL query that cannot be read, or that does not fit the schema."""


class SchemaError(RequestError):
    """A table, column or link that does not exist, or cannot be what was asked of it."""


class SourceError(RequestError):
    """A source that cannot be opened or read."""


class RefusedError(PenstockError):
    """The request was right, but the data cannot answer it honestly."""


class FailedError(PenstockError):
    """The request was right, but this machine could not do it: a full disk, missing rights."""


class StoreError(FailedError):
    """An online store that does not answer, is full, or holds what nobody wrote."""


def is_interrupt(error: Exception) -> bool:
    """Whether an engine says, in words of its own, that somebody stopped it.

    >>> is_interrupt(RuntimeError("Query interrupted")), is_interrupt(RuntimeError("out of luck"))
    (True, False)
    """
    return "interrupted" in str(error).casefold()


def system_error(error: OSError) -> FailedError:
    """What the system said, with the file that it is about: ``SYSTEM_ERROR``.

    >>> system_error(PermissionError(13, "Permission denied", "/srv/lake")).message
    'permission denied: /srv/lake'
    """
    return FailedError("SYSTEM_ERROR", system_reason(error))


def system_reason(error: OSError) -> str:
    """What the system said in one line: the reason in its own words, then the file."""
    reason = error.strerror or " ".join(str(error).split()) or type(error).__name__
    inner = re.search(r".*\[errno \d+\] (.+)$", reason, re.IGNORECASE)  # Arrow's own words stand before the system's
    reason = inner[1] if inner else reason
    reason = reason if reason[1:2].isupper() else reason[:1].lower() + reason[1:]
    files = [os.fsdecode(file) for file in (error.filename, error.filename2) if isinstance(file, str | bytes)]
    return f"{reason}: {' -> '.join(files)}" if files else reason


def _shortened(names: tuple[str, ...], most: int = 20) -> str:
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown}, … ({len(names)} in all)"
