"""What became of a source's columns: frozen values that say themselves in a line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

from penstock.pipeline.change.retyped import Retyping


@dataclass(frozen=True)
class Added:
    """A column that was not known."""

    column: str
    type: str

    def __str__(self) -> str:
        return f"{self.column} ({self.type}) was added"

    def to_dict(self) -> dict[str, object]:
        """The change as plain values."""
        return {"kind": "added", "column": self.column, "type": self.type}


@dataclass(frozen=True)
class Dropped:
    """A column that is gone."""

    column: str
    type: str

    def __str__(self) -> str:
        return f"{self.column} ({self.type}) is gone"

    def to_dict(self) -> dict[str, object]:
        """The change as plain values."""
        return {"kind": "dropped", "column": self.column, "type": self.type}


@dataclass(frozen=True)
class Retyped:
    """A column (by our name) whose values have another type."""

    column: str
    before: str
    after: str
    kind: Retyping

    def __str__(self) -> str:
        told = {"widening": "wider", "narrowing": "narrower", "other": "of another kind"}[self.kind]
        return f"{self.column} is {told}: {self.before} became {self.after}"

    def to_dict(self) -> dict[str, object]:
        """The change as plain values."""
        types = {"before": self.before, "after": self.after}
        return {"kind": "retyped", "column": self.column, **types, "retyping": self.kind}


@dataclass(frozen=True)
class Renamed:
    """Our column ``ours`` that the source now calls ``theirs``.

    ``likeness`` is the probability that it is one column (1 where it is ``declared``), ``evidence`` says in words why.
    """

    ours: str
    theirs: str
    likeness: float
    evidence: str
    declared: bool = False

    @property
    def column(self) -> str:
        """Our name."""
        return self.ours

    def __str__(self) -> str:
        how = "as declared" if self.declared else f"{self.likeness:.0%} likely: {self.evidence}"
        return f"{self.ours} is now called {self.theirs} ({how})"

    def to_dict(self) -> dict[str, object]:
        """The change as plain values."""
        told = {"ours": self.ours, "theirs": self.theirs, "likeness": round(self.likeness, 4)}
        return {"kind": "renamed", **told, "evidence": self.evidence, "declared": self.declared}


@dataclass(frozen=True)
class Doubtful:
    """A column that may be one of several, or may have changed places with one: said, and never guessed.

    A column that is gone and may be one of those that came counts as dropped, and those as added. ``swapped`` says that
    both names are still there, but each column's values look like the other's.
    """

    column: str
    candidates: tuple[tuple[str, float], ...]
    swapped: bool = False

    def __str__(self) -> str:
        names = " or ".join(name for name, _ in self.candidates)
        if self.swapped:
            return f"{self.column} and {names} may have changed places: each has the other's values"
        return f"{self.column} may now be called {names}: too close to call"

    def to_dict(self) -> dict[str, object]:
        """The doubt as plain values."""
        told = [{"name": name, "likeness": round(likeness, 4)} for name, likeness in self.candidates]
        return {"kind": "doubtful", "column": self.column, "candidates": told, "swapped": self.swapped}


Change: TypeAlias = Added | Dropped | Retyped | Renamed | Doubtful


@dataclass(frozen=True)
class Changes:
    """All that changed, by our names in their order; ``notes`` say what changed without meaning anything.

    No column is both renamed and dropped, nor both a rename's and added.
    """

    renamed: tuple[Renamed, ...] = ()
    retyped: tuple[Retyped, ...] = ()
    dropped: tuple[Dropped, ...] = ()
    added: tuple[Added, ...] = ()
    doubtful: tuple[Doubtful, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def all(self) -> tuple[Change, ...]:
        """Every change, what may break something first."""
        return (*self.dropped, *self.retyped, *self.renamed, *self.doubtful, *self.added)

    def __bool__(self) -> bool:
        return bool(self.all)

    def __str__(self) -> str:
        told = [str(change) for change in self.all] + [f"note: {note}" for note in self.notes]
        return "\n".join(told) or "nothing changed"

    def to_dict(self) -> dict[str, object]:
        """The changes as plain values for JSON."""
        return {"changes": [change.to_dict() for change in self.all], "notes": list(self.notes)}
