"""Which column identifies a row: declared, or unique, never NULL, and named as keys are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

from penstock.inference.facts import ColumnFacts, Facts, TableFacts
from penstock.inference.words import says_id, singular, stem, without_id, words
from penstock.schema import Dtype

MOST_COMPOSITE = 4
FEW_NULLS = 0.5
"""The share of rows that may lack a key whose name is plain; elsewhere none may."""
LONGEST_KEY = 64.0
SURE = 4
"""The rank from which a name alone says that a column should be the key."""

GENERIC = frozenset({("id",), ("key",), ("uuid",), ("guid",), ("pk",), ("row", "id"), ("code",)})
"""Names of keys that do not say whose key they are."""

_KEYABLE = frozenset({Dtype.INT, Dtype.STRING, Dtype.FLOAT})


@dataclass(frozen=True)
class KeyChoice:
    """The key of a table (empty: none), why, and what to say about it."""

    columns: tuple[str, ...] = ()
    why: str = ""
    notes: tuple[str, ...] = ()


def choose_key(table: TableFacts, facts: Facts, known: str | None = None) -> KeyChoice:
    """The key of a table. ``known`` names a clock that tells versions of a row apart."""
    if table.key:
        return KeyChoice(table.key, f"key {'+'.join(table.key)}: declared")
    declared = [columns for columns in table.unique if _never_null(table, columns)]
    if declared:
        best = min(declared, key=lambda columns: (len(columns), -max(_rank(table, c, facts)[0] for c in columns)))
        return KeyChoice(best, f"key {'+'.join(best)}: declared unique")
    ranked = sorted((_rank(table, c.name, facts), -at) for at, c in enumerate(table.columns) if _may_be_key(c))
    notes: list[str] = []
    for (score, why), place in reversed(ranked):
        column = table.columns[-place]
        if score and _identifies(table, column, known, sure=score >= SURE):
            nulls = _nulls_note(table, column)
            return KeyChoice((column.name,), f"key {column.name}: {why}, every value once", nulls)
        if score >= SURE:
            notes.append(_repeats_note(table, column))
    if known is None and (composite := _composite(table)):
        return KeyChoice(composite, f"key {'+'.join(composite)}: the smallest combination that never repeats")
    return KeyChoice(notes=tuple(notes[:1]))


_BY_PLACE = "first column"
_BY_ENDING = "named as identifiers are"


def _never_null(table: TableFacts, columns: tuple[str, ...]) -> bool:
    return not any(table.column(name).nulls for name in columns)


def _may_be_key(column: ColumnFacts) -> bool:
    return column.dtype in _KEYABLE


def _rank(table: TableFacts, name: str, facts: Facts) -> tuple[int, str]:
    """How much a name looks like this table's key, and in what words."""
    own, said, bare = stem(table.name), words(name), without_id(name)
    if bare == own and says_id(name):
        return 6, "named after the table"
    if said in GENERIC:
        return 5, f"named {name}"
    column = table.column(name)
    if (*said[:-1], singular(said[-1])) == own and column.dtype is Dtype.STRING:
        return 5, "named like the table"
    if says_id(name) and bare == own[-len(bare) :] != ():
        return 4, "named after the table"
    if name == table.columns[0].name and says_id(name):
        return 3, f"{_BY_PLACE}, {_BY_ENDING}"
    if any(name == c.name for other in facts.tables if other is not table for c in other.columns) and not _dated(said):
        return _weak(column, 2, "other tables name it")
    if says_id(name):
        return 2, _BY_ENDING
    return _weak(column, 1, _BY_PLACE) if name == table.columns[0].name and len(table.columns) > 1 else (0, "")


def _weak(column: ColumnFacts, score: int, why: str) -> tuple[int, str]:
    """What place and company are worth: little for a number that is not named as identifiers are."""
    if says_id(column.name):
        return score, why
    telling = column.dtype is Dtype.STRING and column.mean_length <= LONGEST_KEY
    return (1, why) if telling else (0, "")


def _dated(said: tuple[str, ...]) -> bool:
    return said[-1] in {"date", "time", "name", "at"}


def _identifies(table: TableFacts, column: ColumnFacts, known: str | None, *, sure: bool) -> bool:
    if column.dtype is Dtype.FLOAT and not column.whole:
        return False
    if not column.filled or column.nulls > (FEW_NULLS * table.rows if sure else 0):
        return table.rows == 0
    if column.unique:
        return True
    return known is not None and known != column.name and table.unique_together((column.name, known))


def _nulls_note(table: TableFacts, column: ColumnFacts) -> tuple[str, ...]:
    if not column.nulls:
        return ()
    return (f"{table.name}.{column.name}: {column.nulls:,} of {table.rows:,} rows have no key; they are nobody's",)


def _repeats_note(table: TableFacts, column: ColumnFacts) -> str:
    where = f"{table.name}.{column.name} is named like a key"
    if column.nulls > FEW_NULLS * table.rows:
        return f"{where}, but {column.nulls:,} of {table.rows:,} rows have NULL there"
    if column.dtype is Dtype.FLOAT and not column.whole:
        return f"{where}, but holds fractions"
    return f"{where}, but {column.filled - len(column.distinct):,} of {table.rows:,} rows repeat a value"


def _composite(table: TableFacts) -> tuple[str, ...]:
    """The smallest combination of identifier-like columns that never repeats; of equals the first."""
    likely = [
        c.name
        for c in table.columns
        if _may_be_key(c) and says_id(c.name) and not c.nulls and (c.dtype is not Dtype.FLOAT or c.whole)
    ]
    for size in range(2, min(len(likely), MOST_COMPOSITE) + 1):
        for names in combinations(likely, size):
            if table.unique_together(names):
                return names
    return ()
