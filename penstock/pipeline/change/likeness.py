"""How likely it is that a column that came is one that went, under another name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from penstock.pipeline.change.content import FEW, same_values
from penstock.pipeline.change.names import alike, opposed
from penstock.pipeline.change.prints import ColumnPrint


@dataclass(frozen=True)
class Evidence:
    """What speaks for and against a rename, each from 0 to 1.

    ``values`` None says that there were too few to tell. ``usual`` is how alike the values of the columns that stayed
    are to what they were: in a table that was loaded again nearly 1, among new rows less. ``telling`` grows with the
    number of different values: two truth values say little. ``same`` is true of the very same values.
    """

    name: float
    opposed: bool
    type: float
    place: float
    values: float | None
    usual: float
    telling: float = 1.0
    same: bool = False

    @property
    def odds(self) -> float:
        """The logarithm of the odds that it is one column."""
        values = _UNTOLD if self.values is None else self.values
        short = 0.0 if self.values is None else max(0.0, self.usual - values)
        names = (self.name, self.name == 1, self.opposed)
        told = (1, *names, self.type, self.place, values, short, self.telling, self.telling * values)
        return sum(weight * float(value) for weight, value in zip(_WEIGHTS, told, strict=True)) + _SAME * self.same

    @property
    def likeness(self) -> float:
        """The probability that it is one column."""
        return 1 / (1 + math.exp(-self.odds))

    def __str__(self) -> str:
        """The evidence in words, the strongest first."""
        names = "the names differ" if self.name < 0.3 else "like names" if self.name < 1 else "the same words"
        told = ["the names tell columns apart" if self.opposed else names]
        told += ["same type"] if self.type == 1 else ["a type of the same kind"] if self.type else ["another type"]
        told += ["same place"] if self.place == 1 else ["a near place"] if self.place else ["another place"]
        if self.values is None:
            return ", ".join([*told, "too few values to compare"])
        if self.same:
            return ", ".join([*told, "the very same values"])
        return ", ".join([*told, f"values {self.values:.0%} alike (usual here: {self.usual:.0%})"])


_UNTOLD, _SAME = 0.5, 3.0
_WEIGHTS = (-9.6, 5.88, 3.67, -7.26, 5.68, 3.94, 0.24, -4.71, -1.75, 4.7)
"""Of a logistic regression over renames made up on tables of five databases; each was also judged by the others."""


def evidence(
    ours: ColumnPrint,
    theirs: ColumnPrint,
    places: tuple[Mapping[str, Place], Mapping[str, Place]],
    usual: Mapping[str, float],
    table: str = "",
) -> Evidence:
    """What speaks for ``theirs`` being ``ours``; ``places`` are those of the columns before and after."""
    return Evidence(
        alike(ours.name, theirs.name, table),
        opposed(ours.name, theirs.name),
        1.0 if ours.type == theirs.type else 0.5 if ours.family == theirs.family else 0.0,
        near(places[0][ours.name], places[1][theirs.name]),
        same_values(ours, theirs),
        usual.get(sort_of(ours), usual[""]),
        min(1.0, math.log2(max(1, min(ours.distinct, theirs.distinct))) / 6),
        ours.distinct > 2 and replace(theirs, name=ours.name, position=ours.position) == ours,
    )


Place = tuple[str, int, str, int]
"""The nearest column before that stayed and the steps to it, and the same after."""


def places(columns: Sequence[ColumnPrint], stayed: frozenset[str]) -> dict[str, Place]:
    """Where each column stands among those that stayed."""
    ordered = [column.name for column in sorted(columns, key=lambda column: column.position)]
    left, right = _anchors(ordered, stayed), _anchors(ordered[::-1], stayed)
    return {name: (*left[name], *right[name]) for name in ordered}


def _anchors(names: Sequence[str], stayed: frozenset[str]) -> dict[str, tuple[str, int]]:
    found, last, steps = {}, "", 0
    for name in names:
        steps += 1
        found[name] = (last, steps)
        if name in stayed:
            last, steps = name, 0
    return found


def near(ours: Place, theirs: Place) -> float:
    """1 for the same place among those that stayed, a half for the same gap."""
    if ours[:2] == theirs[:2] or ours[2:] == theirs[2:]:
        return 1.0
    return 0.5 if (ours[0], ours[2]) == (theirs[0], theirs[2]) else 0.0


def usual_likeness(before: Mapping[str, ColumnPrint], after: Mapping[str, ColumnPrint]) -> dict[str, float]:
    """How alike the values of columns that stayed are to what they were, by sort of column; a guess where none tell."""
    told: dict[str, list[float]] = {}
    for name in before:
        value = same_values(before[name], after[name]) if name in after else None
        if value is not None:
            told.setdefault(sort_of(before[name]), []).append(value)
    everything = [value for values in told.values() for value in values]
    usual = {sort: median(values) for sort, values in told.items()}
    return usual | {"": median(everything) if len(everything) > 1 else _USUAL}


def sort_of(column: ColumnPrint) -> str:
    """Columns whose values are compared in one way."""
    return "few" if column.distinct <= FEW else column.family


_USUAL = 0.8
