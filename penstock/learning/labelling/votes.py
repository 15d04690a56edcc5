"""Who said what of which item: labels as arrays, in an order of their own, whatever the order of the rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from penstock.errors import RequestError
from penstock.learning.labelling.label import GOLD

Ints: TypeAlias = npt.NDArray[np.int64]
Floats: TypeAlias = npt.NDArray[np.float64]
Value: TypeAlias = "bool | float | str"
Item: TypeAlias = "tuple[str, int | None]"
"""An entity and the time that is spoken of, in microseconds (None: the entity as such)."""


@dataclass(frozen=True)
class Votes:
    """One vote a row: ``item`` and ``labeller`` and ``value`` are places in what is named, ``weight`` the confidence.

    ``gold`` holds for each item the place of its true value, as far as a label of the source gold says it, else -1;
    such labels are no votes.
    """

    items: tuple[Item, ...]
    labellers: tuple[str, ...]
    values: tuple[Value, ...]
    item: Ints
    labeller: Ints
    value: Ints
    weight: Floats
    gold: Ints

    def __len__(self) -> int:
        return len(self.item)

    @property
    def numeric(self) -> bool:
        """Whether the values are numbers, of which a middle can be taken."""
        return bool(self.values) and all(isinstance(v, float) for v in self.values)

    @property
    def counts(self) -> Ints:
        """How many votes each item has for each value: (items, values)."""
        found = np.zeros((len(self.items), max(1, len(self.values))), np.int64)
        np.add.at(found, (self.item, self.value), 1)
        return found

    def table(self) -> Ints:
        """The place of the value that each labeller gave each item: (items, labellers), -1 where none."""
        found = np.full((len(self.items), len(self.labellers)), -1, np.int64)
        found[self.item, self.labeller] = self.value
        return found


def votes_of(labels: pa.Table) -> Votes:
    """The votes in labels (columns ``entity``, ``value``; ``happened``, ``labeller``, ``source``, ``confidence``).

    As `LabelSet.at` gives them. Raises ``RequestError`` for a table without entities or values.
    """
    for name in ("entity", "value"):
        if name not in labels.column_names:
            raise RequestError("LABELS_COLUMN", f"the labels have no column {name!r}", name=name,
                               candidates=labels.column_names)  # fmt: skip
    return votes_from(list(zip(*(_column(labels, name) for name in _PARTS), strict=True)))


_PARTS = ("entity", "happened", "labeller", "value", "confidence", "source")
_ABSENT = {"labeller": "unnamed", "confidence": 1.0, "source": ""}


def _column(labels: pa.Table, name: str) -> list[Any]:
    if name not in labels.column_names:
        return [_ABSENT.get(name)] * labels.num_rows
    column = labels[name]
    values = (column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column).to_pylist()
    return [_ABSENT.get(name) if value is None else value for value in values]


def votes_from(rows: list[tuple[Any, ...]]) -> Votes:
    """The votes in rows of entity, happened, labeller, value, confidence and source."""
    said = sorted((row for row in rows if row[3] is not None), key=_order)
    items = sorted({(str(row[0]), row[1]) for row in said}, key=_item_order)
    values = sorted({row[3] for row in said})
    common = [row for row in said if row[5] != GOLD]
    labellers = sorted({row[2] for row in common})
    place, who, what = ({name: at for at, name in enumerate(names)} for names in (items, labellers, values))
    return Votes(
        tuple(items),
        tuple(labellers),
        tuple(values),
        np.array([place[str(row[0]), row[1]] for row in common], np.int64),
        np.array([who[row[2]] for row in common], np.int64),
        np.array([what[row[3]] for row in common], np.int64),
        np.array([row[4] for row in common], np.float64),
        _gold([(place[str(row[0]), row[1]], what[row[3]]) for row in said if row[5] == GOLD], len(items)),
    )


def _order(row: tuple[Any, ...]) -> tuple[object, ...]:
    return (*_item_order((str(row[0]), row[1])), row[2], row[5], row[3], row[4])


def _item_order(item: Item) -> tuple[str, bool, int]:
    return item[0], item[1] is not None, item[1] or 0


def _gold(told: list[tuple[int, int]], items: int) -> Ints:
    """The gold value of each item; -1 where there is none, or several that differ."""
    found = np.full(items, -1, np.int64)
    for item, value in told:
        found[item] = value if found[item] in (-1, value) else -2
    return np.where(found == -2, -1, found)


__all__ = ["Floats", "Ints", "Item", "Value", "Votes", "votes_from", "votes_of"]
