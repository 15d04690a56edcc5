"""Whether the values of one column are found among the keys of a table, and how many are not."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.inference.facts import ColumnFacts, TableFacts, combined
from penstock.schema import Dtype

WHOLE_NUMBER = r"^-?[0-9]{1,18}$"


@dataclass(frozen=True)
class Containment:
    """Of ``filled`` rows with a value, ``dangling`` point nowhere and ``unknown`` hold a mark such as -1 or 0.

    ``example`` is one of the dangling values; ``matched`` counts the different values that are found.
    """

    filled: int
    dangling: int = 0
    unknown: int = 0
    matched: int = 0
    example: object = None

    @property
    def share(self) -> float:
        """The share of the rows with a value that point nowhere (marks of the unknown left out)."""
        return self.dangling / max(self.filled - self.unknown, 1)

    @property
    def shown(self) -> str:
        """The example as it is written."""
        return f"{self.example:.0f}" if isinstance(self.example, float) else repr(self.example)

    @property
    def words(self) -> str:
        """In English, what was found."""
        if not self.filled:
            return "there are no values to check"
        found = f"{self.dangling:,} of {self.filled:,} rows point nowhere (such as {self.shown})"
        said = [found if self.dangling else f"every {'other ' if self.unknown else ''}value is found there"]
        return "; ".join(said + ([f"{self.unknown:,} rows hold a mark of the unknown"] if self.unknown else []))


def containment(child: ColumnFacts, parent: ColumnFacts) -> Containment | None:
    """How far the child's values are among the parent's, number and text compared by value; None if they cannot be."""
    comparable = _comparable(child, parent)
    if comparable is None:
        return None
    found = pc.is_in(comparable[0], value_set=comparable[1])
    strays = pc.filter(child.distinct, pc.invert(found))
    if not len(strays):
        return Containment(child.filled, matched=len(found))
    unknown = pc.filter(strays, _marks(strays))
    lost = int(pc.sum(pc.is_in(child.values, value_set=strays, skip_nulls=True)).as_py() or 0)
    marked = int(pc.sum(pc.is_in(child.values, value_set=unknown, skip_nulls=True)).as_py() or 0) if len(unknown) else 0
    example = next((v for v in strays[: len(unknown) + 1].to_pylist() if v not in unknown.to_pylist()), None)
    return Containment(child.filled, lost - marked, marked, len(found) - len(strays), example)


def _marks(values: pa.Array) -> pa.Array:
    """Where a value stands for "unknown"."""
    if pa.types.is_string(values.type):
        return pc.is_in(pc.utf8_lower(values), value_set=pa.array(["", "-1", "0", "unknown", "n/a", "none", "null"]))
    return pc.or_(pc.equal(values, 0), pc.equal(values, -1))


def unified(child: ColumnFacts, parent: ColumnFacts) -> Dtype | None:
    """The dtype that both are to be read as so that equal values meet: the key's own; None where there is none.

    A key of whole floats is read as ints.
    """
    target = Dtype.INT if parent.whole else parent.dtype
    if target is Dtype.STRING and child.whole:
        return target
    if target is Dtype.INT and not child.whole:
        return target if child.dtype is Dtype.STRING and _numbers(child.distinct) is not None else None
    return target if child.whole == parent.whole and Dtype.OTHER not in (child.dtype, parent.dtype) else None


def _comparable(child: ColumnFacts, parent: ColumnFacts) -> tuple[pa.Array, pa.Array] | None:
    if child.whole and parent.whole:
        return pc.cast(child.distinct, pa.int64()), pc.cast(parent.distinct, pa.int64())
    if child.dtype is Dtype.STRING and parent.dtype is Dtype.STRING:
        return child.distinct, parent.distinct
    if child.dtype is Dtype.STRING and parent.whole:
        numbers = _numbers(child.distinct)
        return None if numbers is None else (numbers, pc.cast(parent.distinct, pa.int64()))
    if child.whole and parent.dtype is Dtype.STRING:
        return pc.cast(pc.cast(child.distinct, pa.int64()), pa.string()), parent.distinct
    return None


def _numbers(texts: pa.Array) -> pa.Array | None:
    if not pc.all(pc.match_substring_regex(texts, WHOLE_NUMBER)).as_py():
        return None
    return pc.cast(texts, pa.int64())


def contained_together(
    child: TableFacts, columns: Sequence[str], parent: TableFacts, key: Sequence[str]
) -> Containment | None:
    """The same for several columns at once; a row with any NULL points nowhere and is not counted."""
    pairs = [(child.column(a), parent.column(b)) for a, b in zip(columns, key, strict=True)]
    if any(a.dtype is not b.dtype for a, b in pairs):
        return None
    vocabularies = [b.distinct for _, b in pairs]
    keys = np.unique(combined([b.values for _, b in pairs], vocabularies))
    rows = combined([a.values for a, _ in pairs], vocabularies)
    filled = np.ones(child.rows, bool)
    for a, _ in pairs:
        filled &= pc.is_valid(a.values).to_numpy()
    found = np.isin(rows, keys[keys >= 0]) & filled
    return Containment(int(filled.sum()), int(filled.sum() - found.sum()), matched=len(np.unique(rows[found])))
