"""What the values of a column mean: identifiers, numbers, categories, texts, instants."""

from __future__ import annotations

from penstock.inference.facts import ColumnFacts
from penstock.inference.words import says_id, words
from penstock.schema import Dtype, Kind

MOST_CATEGORIES = 10_000
LONG_TEXT = 60.0
_CODES = frozenset({
    "type", "status", "state", "category", "class", "code", "kind", "group", "segment", "gender", "sex", "zip",
    "postcode", "postal", "zipcode", "flag", "mode", "channel", "region", "tier", "reason", "color", "colour",
    "label", "country", "city",
})  # fmt: skip
_FEW = 20
_MANY_REPEATS = 0.5


def choose_kind(column: ColumnFacts, *, identifies: bool = False) -> tuple[Kind, str]:
    """The kind of a column and why; ``identifies`` says that it is part of a key or a link."""
    if column.dtype is Dtype.OTHER:
        return Kind.IGNORED, f"values of type {column.declared or 'unknown'} are not used"
    if identifies:
        return Kind.ID, "part of a key or a link"
    if column.dtype is Dtype.TIMESTAMP:
        return Kind.TIMESTAMP, "instants"
    if not column.filled and len(column.values):
        return Kind.IGNORED, "every value is NULL"
    if column.dtype is Dtype.LIST:
        return Kind.MULTICATEGORICAL, "lists"
    if column.dtype is Dtype.BOOL:
        return Kind.CATEGORICAL, "true or false"
    if column.dtype is Dtype.STRING:
        return _kind_of_text(column)
    return _kind_of_number(column)


def _kind_of_number(column: ColumnFacts) -> tuple[Kind, str]:
    if column.dtype is Dtype.FLOAT and not (says_id(column.name) and column.whole):
        return Kind.NUMERICAL, "numbers with fractions"
    repeats = len(column.distinct) <= _MANY_REPEATS * column.filled and len(column.distinct) <= MOST_CATEGORIES
    if says_id(column.name):
        return (Kind.CATEGORICAL, "an identifier that repeats") if repeats else (Kind.ID, "named as identifiers are")
    if words(column.name)[-1:] and words(column.name)[-1] in _CODES and repeats:
        return Kind.CATEGORICAL, "whole numbers named as codes are"
    return Kind.NUMERICAL, "whole numbers"


def _kind_of_text(column: ColumnFacts) -> tuple[Kind, str]:
    distinct = len(column.distinct)
    if column.mean_length > LONG_TEXT:
        return Kind.TEXT, f"{column.mean_length:.0f} characters on average"
    if distinct <= MOST_CATEGORIES and (
        distinct <= _MANY_REPEATS * column.filled or (distinct <= _FEW and not column.unique)
    ):
        return Kind.CATEGORICAL, f"{distinct:,} values that repeat"
    if says_id(column.name):
        return Kind.ID, "named as identifiers are"
    return Kind.TEXT, f"{distinct:,} different texts in {column.filled:,} rows"


def plain_kind(dtype: Dtype) -> Kind:
    """The kind that a dtype alone stands for, when nothing is inferred.

    >>> plain_kind(Dtype.INT), plain_kind(Dtype.STRING)
    (<Kind.NUMERICAL: 'numerical'>, <Kind.CATEGORICAL: 'categorical'>)
    """
    return _PLAIN[dtype]


_PLAIN = {
    Dtype.INT: Kind.NUMERICAL,
    Dtype.FLOAT: Kind.NUMERICAL,
    Dtype.BOOL: Kind.CATEGORICAL,
    Dtype.STRING: Kind.CATEGORICAL,
    Dtype.TIMESTAMP: Kind.TIMESTAMP,
    Dtype.LIST: Kind.MULTICATEGORICAL,
    Dtype.OTHER: Kind.IGNORED,
}
