"""What a check says of staged rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

from penstock.lake.versioned import Staged, VersionedTable


@dataclass(frozen=True)
class Verdict:
    """Whether staged rows may be committed, the reasons why not (one sentence each), and the check's own results.

    >>> Verdict(True)
    Verdict(passed=True, reasons=(), results=None)
    """

    passed: bool
    reasons: tuple[str, ...] = ()
    results: object = None


Check: TypeAlias = Callable[[VersionedTable, Staged], Verdict]
"""Looks at a table and rows that are staged beside it, before they are committed."""

__all__ = ["Check", "Verdict"]
