"""Some rows of a source as they are now: those that have one of some keys, of one column or of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import reduce
from typing import Any, Protocol, TypeAlias, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.source import Source, must_have

AnyOf: TypeAlias = Sequence[pa.Table]
"""Tables of keys, their columns called as the rows': a row is meant that has what a row of one of them has. NULL is no
key. Without any table all rows are meant.
"""
MOST = 100_000
"""With more keys than these all rows are read."""
MOST_BYTES = 8 << 20
"""So it is with keys of more bytes: no database takes a question of any size."""


@runtime_checkable
class Selective(Protocol):
    """A source that can be asked for some of its rows."""

    def read_where(self, table: str, columns: Sequence[str], any_of: AnyOf) -> pa.Table:
        """These columns of at least the rows that are meant, as they are now, with the types of the source."""
        ...


def read_where(source: Source, table: str, columns: Sequence[str], any_of: AnyOf = ()) -> pa.Table:
    """These columns of the rows that ``any_of`` means, and perhaps of more.

    A database is asked anew for them; any other source reads the columns whole.
    """
    if isinstance(source, Selective):
        return source.read_where(table, columns, any_of)
    there = source.tables().get(table)
    if there is not None:
        must_have(source.name, table, (column.name for column in there.columns), columns)
    found = source.read(table, columns)
    wanted = [_within(found, keys) for keys in any_of]
    return found if not wanted or None in wanted else found.filter(reduce(pc.or_kleene, wanted))


def _within(rows: pa.Table, keys: pa.Table) -> Any:
    """Which rows have in each column some of its keys; None where no column can be compared."""
    told = [name for name in keys.column_names if name in rows.column_names and rows[name].type == keys[name].type]
    each = [pc.is_in(rows[name], value_set=keys[name], skip_nulls=True) for name in told]
    return reduce(pc.and_, each) if each else None


def distinct(keys: pa.Table) -> pa.Table:
    """Each key once, without those of which a part is NULL."""
    if keys.num_columns == 1:
        return pa.table({keys.column_names[0]: pc.unique(keys[0]).drop_null()})
    return keys.drop_null().group_by(keys.column_names, use_threads=False).aggregate([])


@runtime_checkable
class Connected(Protocol):
    """A source that keeps connections for who asks again."""

    def close(self) -> None:
        """Let go of them."""
        ...


def release(source: Source) -> None:
    """Let go of the connections that a source keeps, if it does."""
    if isinstance(source, Connected):
        source.close()


# ------------------------------------------------------------ in SQL


@dataclass(frozen=True)
class Part:
    """A column of keys as a database compares it: the SQL of the column, the type for the keys in SQL, and the keys.

    Keys that cannot be there are NULL.
    """

    column: str
    type: str
    keys: pa.Array


def parts_of(any_of: AnyOf, part: Callable[[str, pa.Array], Part | None]) -> list[list[Part]]:
    """How each table of keys is asked for, with the rows that have all their parts; nothing: all rows are to be read.

    ``part`` gives None for a column that SQL would not compare as like with like. Keys are asked for by the others.
    """
    if sum(map(len, any_of)) > MOST or sum(keys.nbytes for keys in any_of) > MOST_BYTES:
        return []
    found = []
    for keys in any_of:
        parts = [part(name, column.combine_chunks()) for name, column in zip(keys.column_names, keys, strict=True)]
        found.append(_there([one for one in parts if one is not None]))
    return found if all(found) else []


def _there(parts: list[Part]) -> list[Part]:
    """The parts of those keys that can be there."""
    if not any(part.keys.null_count for part in parts):
        return parts
    whole = reduce(pc.and_, (part.keys.is_valid() for part in parts))
    return [replace(part, keys=part.keys.filter(whole)) for part in parts]


def only(keys: pa.Array, there: pa.Array) -> pa.Array:
    """The keys that can be there, and NULL for the others."""
    return pc.if_else(there, keys, pa.scalar(None, keys.type))


def columns_in(parts: Iterable[Part]) -> str:
    """The columns of a key as SQL compares them: in brackets where they are several."""
    told = [part.column for part in parts]
    return told[0] if len(told) == 1 else f"({', '.join(told)})"


def selected(columns: Iterable[str], place: str, conditions: Sequence[str]) -> str:
    """A SELECT of the rows that meet any of the conditions, each once; without conditions of all.

    Each condition has a SELECT of its own, for which the database can use the index that is made for it.

    >>> selected(["x"], "t", ["a = 1", "b = 2"])
    'SELECT x FROM t WHERE a = 1 UNION ALL SELECT x FROM t WHERE b = 2 AND (a = 1) IS NOT TRUE'
    """
    rows = f"SELECT {', '.join(columns)} FROM {place}"
    parts = []
    for number, condition in enumerate(conditions):
        before = "".join(f" AND ({one}) IS NOT TRUE" for one in conditions[:number])
        parts.append(f"{rows} WHERE {condition}{before}")
    return " UNION ALL ".join(parts) or rows


__all__ = [
    "AnyOf", "Connected", "Part", "Selective", "columns_in", "distinct", "only", "parts_of", "read_where", "release",
    "selected",
]  # fmt: skip
