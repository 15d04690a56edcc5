"""What a label is: somebody's word about one row of a table, with the time it is about and the time it was known."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import pyarrow as pa

from penstock.errors import RequestError
from penstock.schema import Dtype, Kind

INSTANT = pa.timestamp("us")
LABELS = pa.schema([
    ("entity", pa.string()), ("happened", INSTANT), ("known", INSTANT), ("written", pa.string()),
    ("labeller", pa.string()), ("source", pa.string()), ("confidence", pa.float64()), ("note", pa.string()),
])  # fmt: skip
"""The columns of labels that were read and not yet kept.

``happened`` is the time a label is about (NULL: it holds of the entity as such), ``known`` when it was learnt (NULL:
when it is added), ``written`` the value as it was written, ``confidence`` 0 to 1 (NULL: not said, counted as 1).
"""
REJECTED = pa.schema([("place", pa.string()), ("reason", pa.string())])
GOLD = "gold"
"""The source of labels that are taken as true when others are judged."""

_TRUTHS = {"true": True, "false": False, "yes": True, "no": False, "t": True, "f": False, "y": True, "n": False}
_BITS = {"1": True, "0": False, "1.0": True, "0.0": False}


class ValueKind(StrEnum):
    """What the values of a label set are."""

    TRUTH = "truth"
    NUMBER = "number"
    CATEGORY = "category"

    @property
    def arrow(self) -> pa.DataType:
        """How such values are kept."""
        return {"truth": pa.bool_(), "number": pa.float64(), "category": pa.string()}[self.value]

    @property
    def dtype(self) -> Dtype:
        """The dtype of the column that such labels make."""
        return {"truth": Dtype.BOOL, "number": Dtype.FLOAT, "category": Dtype.STRING}[self.value]

    @property
    def column_kind(self) -> Kind:
        """The kind of the column that such labels make."""
        return Kind.NUMERICAL if self is ValueKind.NUMBER else Kind.CATEGORICAL


def value_kind(named: str) -> ValueKind:
    """The kind called so. Raises ``RequestError`` with the ones that exist."""
    try:
        return ValueKind(named)
    except ValueError:
        raise RequestError(
            "LABELS_UNKNOWN_KIND", f"labels cannot be {named!r}", name=named, candidates=ValueKind
        ) from None


def typed(written: str, kind: ValueKind) -> bool | float | str | None:
    """What is written, as a value of the kind; None where it is none.

    >>> typed("Yes", ValueKind.TRUTH), typed("2.50", ValueKind.NUMBER), typed("2.50", ValueKind.CATEGORY)
    (True, 2.5, '2.50')
    >>> typed("perhaps", ValueKind.TRUTH), typed("nan", ValueKind.NUMBER)
    (None, None)
    """
    if kind is ValueKind.CATEGORY:
        return written
    if kind is ValueKind.TRUTH:
        word = written.strip().lower()
        return _TRUTHS.get(word, _BITS.get(word))
    try:
        number = float(written)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def kind_of(written: Iterable[str]) -> ValueKind:
    """The narrowest kind that all these texts fit; bare 0 and 1 are numbers, unless words of truth stand beside them.

    >>> kind_of(["yes", "no", "1"]), kind_of(["0", "1"]), kind_of(["yes", "maybe"])
    (<ValueKind.TRUTH: 'truth'>, <ValueKind.NUMBER: 'number'>, <ValueKind.CATEGORY: 'category'>)
    """
    texts = set(written)
    if all(typed(text, ValueKind.NUMBER) is not None for text in texts):
        return ValueKind.NUMBER if texts else ValueKind.CATEGORY
    fits = all(typed(text, ValueKind.TRUTH) is not None for text in texts)
    return ValueKind.TRUTH if fits else ValueKind.CATEGORY


def text_of(value: object) -> str | None:
    """A value as text: the same for equal values, however they were typed; None for NULL and for an empty text.

    >>> text_of(True), text_of(3.0), text_of(" no "), text_of(float("nan"))
    ('true', '3', 'no', None)
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 2.0**53:
        return str(int(value))
    return str(value).strip() or None


def in_microseconds(rows: pa.Table) -> pa.Table:
    """Labels with ``happened`` and ``known`` as whole numbers, the instants they are."""
    for name in ("happened", "known"):
        rows = rows.set_column(rows.column_names.index(name), name, rows[name].cast(pa.int64()))
    return rows


@dataclass(frozen=True)
class Labels:
    """Labels as a door read them: ``rows`` (`LABELS`), the ``rejected`` ones with place and reason, what was skipped.

    ``kind`` is what the values are, where the door knows.
    """

    rows: pa.Table
    rejected: pa.Table = field(default_factory=REJECTED.empty_table)
    skipped: Mapping[str, int] = field(default_factory=dict)
    kind: ValueKind | None = None

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    def __str__(self) -> str:
        told = [f"{len(self):,} labels"]
        told += [f"{count:,} skipped: {why}" for why, count in self.skipped.items() if count]
        if self.rejected.num_rows:
            told.append(f"{self.rejected.num_rows:,} rejected, the first {self.first_rejected}")
        return "; ".join(told)

    @property
    def first_rejected(self) -> str:
        """Place and reason of the first rejected label; empty where there is none."""
        if not self.rejected.num_rows:
            return ""
        row = self.rejected.slice(0, 1).to_pylist()[0]
        return f"{row['place']}: {row['reason']}"


__all__ = ["GOLD", "LABELS", "Labels", "ValueKind", "in_microseconds", "kind_of", "text_of", "typed", "value_kind"]
