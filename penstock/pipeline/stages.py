"""A stage: one thing that a project does to one table, as a value that says what it is before it is done."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from penstock.errors import PenstockError
from penstock.pipeline.journal import Outcome

Kind = Literal["ingest", "derive", "features"]
KINDS: tuple[Kind, ...] = ("ingest", "derive", "features")
"""In the order in which they are walked."""
Progress: TypeAlias = Callable[[str, float], None]


@dataclass(frozen=True)
class Stage:
    """One thing to do: what it makes, in a sentence, from which tables, and how.

    ``fingerprint`` tells all that the result rests on, so that a stage whose newest run ended well with the same one
    is skipped; empty where only doing it can tell (a server's tables). ``touched`` says that the lake is not as that
    run left it: then it is done. ``broken`` says why it cannot be done at all, ``wanting`` why a part of it cannot.
    """

    kind: Kind
    name: str
    sentence: str
    needs: tuple[str, ...] = ()
    fingerprint: str = ""
    touched: bool = False
    broken: PenstockError | None = None
    wanting: PenstockError | None = None
    do: Callable[[Progress], Outcome] = field(repr=False, compare=False, default=lambda progress: Outcome())

    def is_done(self, fingerprint: str) -> bool:
        """Whether a run that ended well with this fingerprint need not be done again."""
        return bool(self.fingerprint) and not self.touched and self.fingerprint == fingerprint

    def __str__(self) -> str:
        return f"{self.kind} {self.name}: {self.sentence}"
