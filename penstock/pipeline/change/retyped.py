"""What a change of type is: wider, narrower, or another kind of value."""

from __future__ import annotations

import re
from typing import Literal

from penstock.pipeline.change.prints import family_of

Retyping = Literal["widening", "narrowing", "other"]

_WIDER = {
    ("int32", "int64"), ("float", "double"),
}  # fmt: skip
_NARROWER = {
    ("double", "int64"), ("double", "int32"), ("float", "int32"), ("float", "int64"), ("timestamp[us]", "date32[day]"),
}  # fmt: skip


def retyping(before: str, after: str) -> Retyping:
    """What becomes of a column of one Arrow type when its source gives another.

    A *widening* holds every value there was, and a lake table's column can be widened in place. A *narrowing* cannot
    hold some. Anything else (numbers that become texts, whole numbers that become fractions) is *other*.

    >>> retyping("int32", "int64"), retyping("double", "int64"), retyping("int64", "string")
    ('widening', 'narrowing', 'other')
    >>> retyping("decimal128(9, 2)", "decimal128(12, 2)"), retyping("decimal128(9, 2)", "decimal128(12, 4)")
    ('widening', 'other')
    """
    if (before, after) in _WIDER:
        return "widening"
    if (after, before) in _WIDER or (before, after) in _NARROWER:
        return "narrowing"
    ours, theirs = _digits(before), _digits(after)
    if ours and theirs and ours[1] == theirs[1]:
        return "widening" if theirs[0] >= ours[0] else "narrowing"
    if ours and family_of(after) == "number" and after.startswith("int"):
        return "narrowing"
    return "other"


def holds(known: str, values: str) -> bool:
    """Whether a column of one type holds every value of another, as it is or as text.

    >>> holds("double", "int64"), holds("string", "date32[day]"), holds("int64", "double")
    (True, True, False)
    """
    if known in {"string", values}:
        return True
    if values.startswith("int") and (known == "double" or known.startswith("decimal")):
        return True
    return retyping(values, known) == "widening" or (known, values) == ("timestamp[us]", "date32[day]")


def _digits(kind: str) -> tuple[int, int] | None:
    """A decimal type's digits in all, and behind the point."""
    found = re.fullmatch(r"decimal\d+\((\d+), (\d+)\)", kind)
    return (int(found[1]), int(found[2])) if found else None
