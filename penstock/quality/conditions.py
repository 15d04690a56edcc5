"""Checks of single rows as SQL conditions: which rows are looked at, and which of those offend."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from penstock.errors import SchemaError
from penstock.lake.versioned.scan import quoted, text
from penstock.quality.check import Check
from penstock.quality.literals import in_type, is_number, is_text, is_time, literal


@dataclass(frozen=True)
class Condition:
    """SQL over one table: ``judged`` is true for the rows that a check looks at, ``offends`` for those that break it.

    A NULL is not looked at, save by ``not_null``: whether a value may be missing is that check's question alone.
    """

    judged: str
    offends: str


Keys = Mapping[str, tuple[str, ...]]
"""The key of each table, for foreign keys that do not say which columns they point to."""


def condition(check: Check, schema: pa.Schema, keys: Keys) -> Condition:
    """The condition of a check whose offending rows can be told one by one.

    Raises ``SchemaError`` or ``RequestError`` where the table has no such column, or one that cannot be asked this.
    """
    must_fit_schema(check, schema)
    return _CONDITIONS[check.kind](check, schema, keys)


def has_condition(check: Check) -> bool:
    """Whether `condition` knows this kind of check."""
    return check.kind in _CONDITIONS


def must_fit_schema(check: Check, schema: pa.Schema) -> None:
    """Raise ``SchemaError`` where a check names a column that is not there, or is of another type than it needs."""
    at = f"{check.place}: " if check.place else ""
    for name in check.columns:
        if name not in schema.names:
            message = f"{at}{check.name} names a column {name!r} that is not there"
            raise SchemaError("CHECK_UNKNOWN_COLUMN", message, name=name, candidates=schema.names)
        kind = schema.field(name).type
        says, fits = _NEEDS.get(check.kind, ("", lambda _: True))
        if not fits(kind):
            message = f"{at}{check.name} needs {says}, and {name} is of type {kind}"
            raise SchemaError("CHECK_COLUMN_TYPE", message)


def given(check: Check) -> str:
    """The SQL condition of the rows that a check is asked of."""
    return f"(\n{check.where}\n)" if check.where else "TRUE"


def _is_simple(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind))


def _is_ordered(kind: pa.DataType) -> bool:
    return is_number(kind) or is_time(kind) or is_text(kind) or bool(pa.types.is_time(kind))


_NEEDS: Mapping[str, tuple[str, Callable[[pa.DataType], bool]]] = {
    "accepted": ("a column of single values", _is_simple),
    "range": ("a column of numbers, texts or times", _is_ordered),
    "regex": ("a column of texts", is_text),
    "freshness": ("a column of dates or times", is_time),
    "mean": ("a column of numbers", is_number),
    "share": ("a column of single values", _is_simple),
    "psi": ("a column of single values", _is_simple),
    "wasserstein": ("a column of numbers or times", lambda kind: is_number(kind) or is_time(kind)),
}


def _of_values(check: Check, holds: str) -> Condition:
    """The condition of a check that looks at rows whose columns are not NULL; of a NULL, ``holds`` must be NULL."""
    present = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in check.columns)
    if not check.where:
        return Condition(present, f"NOT ({holds})")
    return Condition(f"{given(check)} AND {present}", f"{given(check)} AND NOT ({holds})")


def _not_null(check: Check) -> Condition:
    return Condition(given(check), f"{given(check)} AND {quoted(check.columns[0])} IS NULL")


def _accepted(check: Check, schema: pa.Schema) -> Condition:
    name = check.columns[0]
    kind = schema.field(name).type
    listed = ", ".join(literal(in_type(value, kind), kind) for value in check.values("values"))
    return _of_values(check, f"{_value(name, kind)} IN ({listed})")


def _value(name: str, kind: pa.DataType) -> str:
    """A column as conditions name it.

    The extremes that Parquet files note of a column leave NaN out, and DuckDB concludes from them that there is none;
    what TRY gives (here: the value itself) it concludes nothing of.
    """
    return f"TRY({quoted(name)})" if pa.types.is_floating(kind) else quoted(name)


_SIGNS = {"min": ">=", "above": ">", "max": "<=", "below": "<"}


def _range(check: Check, schema: pa.Schema) -> Condition:
    """NaN is greater than any number: it offends every upper bound, and any other range by a test of its own."""
    kind, told = schema.field(check.columns[0]).type, dict(check.options)
    column = _value(check.columns[0], kind)
    bounds = {
        option: literal(value, kind)
        for option in _SIGNS
        if (value := told.get(option)) is not None and not isinstance(value, tuple)
    }
    if bounds.keys() == {"min", "max"}:
        return _of_values(check, f"{column} BETWEEN {bounds['min']} AND {bounds['max']}")
    parts = [f"{column} {_SIGNS[option]} {bound}" for option, bound in bounds.items()]
    if pa.types.is_floating(kind) and not bounds.keys() & {"max", "below"}:
        parts.append(f"NOT isnan({column})")
    return _of_values(check, " AND ".join(parts))


def _regex(check: Check) -> Condition:
    found = f"regexp_matches({quoted(check.columns[0])}, {text(check.text('pattern'))})"
    return _of_values(check, found if check.flag("matches") else f"NOT {found}")


def _foreign_key(check: Check, keys: Keys) -> Condition:
    other = check.text("table")
    if other not in keys:
        message = f"{check.place + ': ' if check.place else ''}{check.name} points to {other!r}, which is not there"
        raise SchemaError("CHECK_UNKNOWN_TABLE", message, name=other, candidates=keys)
    to = check.names("to") or keys[other]
    if len(to) != len(check.columns):
        message = f"{check.name} points with {len(check.columns)} columns to {len(to)} of {other}"
        raise SchemaError("CHECK_LINK_COLUMNS", message, candidates=to, hint='Name them: to = ["…"].')
    columns, there = (", ".join(map(quoted, names)) for names in (check.columns, to))
    present = " AND ".join(f"{quoted(name)} IS NOT NULL" for name in to)
    own = f"({columns})" if len(to) > 1 else columns
    found = _of_values(check, f"{own} IN (SELECT {there} FROM {quoted(other)} WHERE {present})")
    return Condition(found.judged, f"{found.judged} AND {found.offends}")  # NULL IN nothing is false, not NULL


def _expression(check: Check) -> Condition:
    """Like a CHECK constraint of SQL: where the condition is NULL, it holds."""
    return Condition(given(check), f"{given(check)} AND NOT (\n{check.text('condition')}\n)")


_CONDITIONS: Mapping[str, Callable[[Check, pa.Schema, Keys], Condition]] = {
    "not_null": lambda check, schema, keys: _not_null(check),
    "accepted": lambda check, schema, keys: _accepted(check, schema),
    "range": lambda check, schema, keys: _range(check, schema),
    "regex": lambda check, schema, keys: _regex(check),
    "foreign_key": lambda check, schema, keys: _foreign_key(check, keys),
    "expression": lambda check, schema, keys: _expression(check),
}
