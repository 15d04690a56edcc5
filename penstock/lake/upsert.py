"""Replacing rows by their key, in SQL: the statements that every database gets, in its own words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import SourceError
from penstock.lake.canonical import Canonical, canonical, items_of, listed
from penstock.schema import Dtype

STAGE = "penstock_stage"
"""The temporary table that rows are put into before they replace others."""


@dataclass(frozen=True)
class Words:
    """How a database writes names and types; ``key_text`` is the type of text in a key.

    ``lists`` are the types of lists by what they hold, beside those of texts; what is not there is kept as a text.
    """

    quoted: Callable[[str], str]
    types: Mapping[Dtype, str]
    key_text: str
    lists: Mapping[Dtype, str] = field(default_factory=dict)

    def place(self, table: str) -> str:
        """A table's name, which may hold its schema's."""
        return ".".join(map(self.quoted, table.split(".")))

    def listed(self, names: Sequence[str]) -> str:
        """Names with commas between them."""
        return ", ".join(map(self.quoted, names))


@dataclass(frozen=True)
class Incoming:
    """Rows on their way to a table, in canonical dtypes; ``items`` are the dtypes of what lists hold but for texts."""

    rows: pa.Table
    dtypes: Mapping[str, Dtype]
    table: str
    key: tuple[str, ...]
    items: Mapping[str, Dtype] = field(default_factory=dict)

    @property
    def names(self) -> list[str]:
        """The columns' names."""
        return list(self.dtypes)

    def flat(self, *kept: Dtype) -> pa.Table:
        """The rows with lists as text: of texts with ``; `` between them, of anything but ``kept`` as JSON."""
        flat = self.rows
        for name, dtype in self.dtypes.items():
            items = self.items.get(name)
            if dtype is Dtype.LIST and (items or Dtype.STRING) not in kept:
                column = flat.column(name)
                told = pc.binary_join(column, "; ") if items is None else _as_json(column)
                flat = flat.set_column(flat.column_names.index(name), name, told)
        return flat


def _as_json(lists: pa.ChunkedArray) -> pa.Array:
    return pa.array([None if one is None else json.dumps(one, default=str) for one in lists.to_pylist()], pa.string())


def incoming(rows: pa.Table, table: str, key: Sequence[str]) -> Incoming:
    """The rows made ready. Raises ``SourceError`` when the key is no column of theirs, holds NULL or repeats."""
    read = {name: _read(rows.column(name)) for name in rows.column_names}
    for name in key:
        if name not in read:
            raise SourceError("WRITE_KEY", f"the rows have no column {name!r}", name=name, candidates=read)
        if read[name].values.null_count:
            raise SourceError("WRITE_KEY", f"the key column {name!r} holds NULL: rows could not be found again")
    made = Incoming(
        pa.table({name: found.values for name, found in read.items()}),
        {name: found.dtype for name, found in read.items()},
        table,
        tuple(key),
        {name: items for name in read if (items := _items(rows.column(name))) is not None},
    )
    if key and made.rows.group_by(list(key)).aggregate([]).num_rows < rows.num_rows:
        raise SourceError("WRITE_KEY", f"several rows have the same {', '.join(key)}")
    return made


def _items(column: pa.ChunkedArray) -> Dtype | None:
    found = items_of(column.type)
    return None if found is Dtype.STRING else found


def _read(column: pa.ChunkedArray) -> Canonical:
    """The values in their dtype; lists with their items as they are."""
    items = _items(column)
    return canonical(column) if items is None else Canonical(listed(column, items), Dtype.LIST)


def created(coming: Incoming, words: Words) -> str:
    """The statement that makes the table where there is none."""
    parts = [f"{words.quoted(name)} {_type(name, dtype, coming, words)}" for name, dtype in coming.dtypes.items()]
    parts += [f"PRIMARY KEY ({words.listed(coming.key)})"] if coming.key else []
    return f"CREATE TABLE IF NOT EXISTS {words.place(coming.table)} ({', '.join(parts)})"


def _type(name: str, dtype: Dtype, coming: Incoming, words: Words) -> str:
    if name in coming.key:
        return f"{words.key_text if dtype is Dtype.STRING else words.types[dtype]} NOT NULL"
    items = coming.items.get(name)
    return words.types[dtype] if items is None else words.lists.get(items, words.types[Dtype.STRING])


def deleted(coming: Incoming, words: Words) -> str:
    """The statement that takes away the rows whose key comes again; all of them where there is no key."""
    target = f"DELETE FROM {words.place(coming.table)}"
    if not coming.key:
        return target
    key = words.listed(coming.key)
    return f"{target} WHERE ({key}) IN (SELECT {key} FROM {STAGE})"


def inserted(coming: Incoming, words: Words) -> str:
    """The statement that puts the staged rows in."""
    names = words.listed(coming.names)
    return f"INSERT INTO {words.place(coming.table)} ({names}) SELECT {names} FROM {STAGE}"


def staged(coming: Incoming, words: Words) -> str:
    """The statement that makes an empty stage like the table."""
    empty = f"SELECT {words.listed(coming.names)} FROM {words.place(coming.table)} WHERE 1 = 0"
    return f"CREATE TEMPORARY TABLE {STAGE} AS {empty}"


def check_columns(coming: Incoming, existing: Sequence[str]) -> None:
    """Raise ``SourceError`` when the table that is there lacks a column of the rows."""
    for name in coming.names:
        if name not in existing:
            raise SourceError(
                "WRITE_MISFIT",
                f"the table {coming.table} is there, but has no column {name!r}",
                name=name,
                candidates=existing,
                hint="Name another table, or drop this one.",
            )
