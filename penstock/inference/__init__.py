"""From facts to a graph: keys, links, clocks and kinds, each with its reason; doubt is said, never guessed away."""

from __future__ import annotations

from penstock.inference.facts import ColumnFacts, DeclaredLink, Facts, TableFacts
from penstock.inference.infer import declared, infer
from penstock.inference.overrides import link, set_column, set_table, unlink

__all__ = [
    "ColumnFacts",
    "DeclaredLink",
    "Facts",
    "TableFacts",
    "declared",
    "infer",
    "link",
    "set_column",
    "set_table",
    "unlink",
]
