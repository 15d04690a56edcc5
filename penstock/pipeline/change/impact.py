"""What a change of columns breaks, by name, through derived tables too."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from penstock.pipeline.change.changes import Added, Change, Changes, Doubtful, Renamed, Retyped
from penstock.pipeline.change.uses import Use

Kind: TypeAlias = Literal["table", "derived table", "feature", "model", "endpoint", "write-back", "check", "query"]
Downstream: TypeAlias = Callable[[tuple[str, str]], Iterable[Use]]
"""All that a column ends up in: derived columns, and None for a table whose rows it decides."""


@dataclass(frozen=True)
class Dependant:
    """Something that reads columns; in ``uses`` a None in place of a column is the whole table."""

    kind: Kind
    name: str
    uses: frozenset[Use]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class Broken:
    """A dependant that a change breaks, and how it comes to it."""

    change: Change
    dependant: Dependant
    why: str

    def __str__(self) -> str:
        return f"{self.dependant}: {self.why}"

    def to_dict(self) -> dict[str, object]:
        """The breakage as plain values."""
        return {
            "change": self.change.to_dict(),
            "kind": self.dependant.kind,
            "name": self.dependant.name,
            "why": self.why,
        }


def nowhere(_: tuple[str, str]) -> tuple[Use, ...]:
    """Where columns end up when no table is derived."""
    return ()


def impact(
    changes: Changes, table: str, dependants: Iterable[Dependant], downstream: Downstream = nowhere
) -> tuple[Broken, ...]:
    """What each change of a table's columns breaks, in the dependants' order, each dependant once a change.

    Added columns, wider types and declared renames break nothing.
    """
    known = tuple(dependants)
    return tuple(broken for change in changes.all for broken in _broken(change, table, known, downstream))


def _broken(change: Change, table: str, dependants: Iterable[Dependant], downstream: Downstream) -> Iterator[Broken]:
    if harmless(change):
        return
    for column in _columns(change):
        own = (table, column)
        after = tuple(downstream(own))
        for dependant in dependants:
            found = next((place for place in (own, *after) if _reads(dependant, place)), None)
            if found is not None:
                yield Broken(change, dependant, _why(own, found))


def _columns(change: Change) -> tuple[str, ...]:
    """Our columns that a change concerns."""
    if isinstance(change, Doubtful):
        return (change.column, *(name for name, _ in change.candidates))
    return (change.column,)


def harmless(change: Change) -> bool:
    """Whether everything goes on as before.

    A doubt that is no swap breaks nothing by itself: its column counts as dropped as well.
    """
    if isinstance(change, Added) or (isinstance(change, Retyped) and change.kind == "widening"):
        return True
    if isinstance(change, Renamed):
        return change.declared
    return isinstance(change, Doubtful) and not change.swapped


def _reads(dependant: Dependant, place: Use) -> bool:
    table, column = place
    if column is None:
        return any(used == table for used, _ in dependant.uses)
    return (table, column) in dependant.uses or (table, None) in dependant.uses


def _why(own: tuple[str, str], found: Use) -> str:
    column = f"{own[0]}.{own[1]}"
    if found == own:
        return f"reads {column}"
    what = f"the rows of {found[0]}, which {column} decides" if found[1] is None else _from(found, column)
    return f"reads {what}"


def _from(found: Use, column: str) -> str:
    return f"{found[0]}.{found[1]}, which comes from {column}"
