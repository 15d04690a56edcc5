"""Surviving schema change: what changed between two looks at a source, what that breaks, and what to write down."""

from __future__ import annotations

from penstock.pipeline.change.changes import Added, Change, Changes, Doubtful, Dropped, Renamed, Retyped
from penstock.pipeline.change.compare import by_our_names, compare
from penstock.pipeline.change.impact import Broken, Dependant, Downstream, impact
from penstock.pipeline.change.prints import ColumnPrint, from_text, prints, to_text
from penstock.pipeline.change.uses import Use, uses_of, uses_of_query
from penstock.pipeline.change.verdict import Verdict, advice, judged

__all__ = [
    "Added",
    "Broken",
    "Change",
    "Changes",
    "ColumnPrint",
    "Dependant",
    "Doubtful",
    "Downstream",
    "Dropped",
    "Renamed",
    "Retyped",
    "Use",
    "Verdict",
    "advice",
    "by_our_names",
    "compare",
    "from_text",
    "impact",
    "judged",
    "prints",
    "to_text",
    "uses_of",
    "uses_of_query",
]
