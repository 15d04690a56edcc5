"""Some rows of a source as they are now: those of which a column has one of some values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias, runtime_checkable

import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.source import RawTable, Source

AnyOf: TypeAlias = Mapping[str, pa.Array]
"""By column the values of which a row has one, in any of the columns. int64 or string; others are not looked for."""
MOST = 10_000
"""With more values than these all rows are read."""
_FITS = {
    "int": re.compile(r"\b(tiny|small|medium|big|huge)?(int|integer)\d*\b|serial", re.IGNORECASE),
    "text": re.compile(r"char|text|string", re.IGNORECASE),
}


@runtime_checkable
class Selective(Protocol):
    """A source that can be asked for some of its rows."""

    def read_where(self, table: str, columns: Sequence[str], any_of: AnyOf) -> pa.Table:
        """These columns of at least the rows that are meant, as they are now, with the types of the source."""
        ...


def read_where(source: Source, table: str, columns: Sequence[str], any_of: AnyOf | None) -> pa.Table:
    """These columns of the rows that ``any_of`` means (None: of all), and perhaps of more.

    A database is asked anew for them; any other source reads the columns whole.
    """
    if isinstance(source, Selective):
        return source.read_where(table, columns, {} if any_of is None else any_of)
    found = source.read(table, columns)
    if not any_of or not all(name in columns and found[name].type == keys.type for name, keys in any_of.items()):
        return found
    kept: Any = pa.scalar(False)
    for name, keys in any_of.items():
        kept = pc.or_(kept, pc.is_in(found[name], value_set=keys))
    return found.filter(kept)


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


def condition(
    any_of: AnyOf, table: RawTable, name: Callable[[str], str], mark: Callable[[int, str], str]
) -> tuple[str, list[int | str]]:
    """``WHERE`` for the rows meant, and its parameters; nothing where SQL would not compare like with like.

    ``name`` writes a column, ``mark`` the n-th parameter from 1, which is one of this column.

    >>> from penstock.lake.source import RawColumn
    >>> orders = RawTable("orders", (RawColumn("user_id", "BIGINT"),))
    >>> condition({"user_id": pa.array([3, 5])}, orders, str, lambda *_: "?")
    (' WHERE user_id IN (?, ?)', [3, 5])
    """
    types = {column.name: column.type for column in table.columns}
    if not any_of or sum(map(len, any_of.values())) > MOST:
        return "", []
    texts: list[str] = []
    parameters: list[int | str] = []
    for column, keys in any_of.items():
        if not _fit(keys, types.get(column, "")):
            return "", []
        marks = [mark(len(parameters) + number, column) for number in range(1, len(keys) + 1)]
        texts.append(f"{name(column)} IN ({', '.join(marks)})" if marks else "1 = 0")
        parameters += keys.to_pylist()
    return f" WHERE {' OR '.join(texts)}", parameters


def _fit(keys: pa.Array, declared: str) -> bool:
    kind = "int" if pa.types.is_integer(keys.type) else "text" if pa.types.is_string(keys.type) else None
    return kind is not None and _FITS[kind].search(declared) is not None


__all__ = ["AnyOf", "Connected", "Selective", "condition", "read_where", "release"]
