"""The schema of a database: columns, tables with their two clocks, links, and the graph they make."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property

from penstock.errors import SchemaError


class Dtype(StrEnum):
    """How a column's values are kept. Every instant is UTC with microseconds, whatever its source said."""

    INT = "int"
    FLOAT = "float"
    BOOL = "bool"
    STRING = "string"
    TIMESTAMP = "timestamp"
    LIST = "list"
    OTHER = "other"

    __hash__ = str.__hash__  # that of enumerations is written in Python, and answers look dtypes up by the dozen


class Kind(StrEnum):
    """What a column's values mean, whatever their dtype."""

    ID = "ID"
    NUMERICAL = "numerical"
    CATEGORICAL = "categorical"
    MULTICATEGORICAL = "multicategorical"
    TEXT = "text"
    TIMESTAMP = "timestamp"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its name, dtype and kind, and why the kind was chosen (empty when declared).

    ``items`` is the dtype of what its lists hold, where those are read as they are; None: as texts.
    """

    name: str
    dtype: Dtype
    kind: Kind
    why: str = field(default="", compare=False)
    items: Dtype | None = field(default=None, repr=False)


@dataclass(frozen=True)
class Table:
    """A table: its columns, its key, and its clocks.

    ``happened`` names the column that says when a row's event took place and ``known`` the one that says when this
    database learnt of it (None: at once). Rows with one key and different ``known`` are versions of one row: the
    newest one known at an instant is what was true then; where ``deleted`` is true the row was gone.
    ``ends`` names the column after which a row, as an entity, no longer exists.
    """

    name: str
    columns: tuple[Column, ...]
    key: str | tuple[str, ...] | None = None
    happened: str | None = None
    known: str | None = None
    deleted: str | None = None
    ends: str | None = None
    rows: int | None = None
    why: tuple[str, ...] = field(default=(), compare=False)

    @property
    def keys(self) -> tuple[str, ...]:
        """The key's columns; empty without a key."""
        return names(self.key)

    def column(self, name: str) -> Column:
        """The column called so. Raises ``SchemaError`` with the ones that exist."""
        for column in self.columns:
            if column.name == name:
                return column
        raise SchemaError(
            "SCHEMA_UNKNOWN_COLUMN",
            f"{self.name} has no column {name!r}",
            name=name,
            candidates=self.offered,
        )

    @property
    def offered(self) -> tuple[str, ...]:
        """The names of the columns that people ask for: all but those that a lake keeps in each table itself.

        >>> columns = tuple(Column(name, Dtype.INT, Kind.ID) for name in ("id", "_known", "_deleted"))
        >>> Table("orders", columns, known="_known", deleted="_deleted").offered
        ('id',)
        """
        return tuple(column.name for column in self.columns if column.name not in self.own)

    @property
    def own(self) -> tuple[str, ...]:
        """The columns that a lake keeps in each table itself: when a row was known, and whether it is a deletion."""
        return () if self.deleted is None or self.known is None else (self.known, self.deleted)

    def has(self, name: str) -> bool:
        """Whether the table has a column called so."""
        return any(column.name == name for column in self.columns)


@dataclass(frozen=True, slots=True)
class Link:
    """Each row of ``table`` points by ``column`` to at most one row of ``to``, by that table's key.

    A composite link names several columns, in the order of the key's.
    """

    table: str
    column: str | tuple[str, ...]
    to: str
    why: str = field(default="", compare=False)

    @property
    def columns(self) -> tuple[str, ...]:
        """The pointing columns."""
        return names(self.column)

    def __str__(self) -> str:
        return f"{self.table}.{'+'.join(self.columns)}"


@dataclass(frozen=True)
class Graph:
    """Tables and the links between them; ``notes`` say what was ambiguous or odd."""

    tables: tuple[Table, ...]
    links: tuple[Link, ...] = ()
    notes: tuple[str, ...] = field(default=(), compare=False)

    @cached_property
    def _by_name(self) -> dict[str, Table]:
        return {table.name: table for table in self.tables}

    def __iter__(self) -> Iterator[Table]:
        return iter(self.tables)

    def __contains__(self, name: object) -> bool:
        return name in self._by_name

    def table(self, name: str) -> Table:
        """The table called so. Raises ``SchemaError`` with the ones that exist."""
        if name not in self._by_name:
            raise SchemaError(
                "SCHEMA_UNKNOWN_TABLE", f"there is no table {name!r}", name=name, candidates=self._by_name
            )
        return self._by_name[name]

    def links_from(self, table: str) -> tuple[Link, ...]:
        """The links by which ``table`` points to its parents."""
        return tuple(link for link in self.links if link.table == table)

    def links_to(self, table: str) -> tuple[Link, ...]:
        """The links by which other tables (or itself) point to ``table``."""
        return tuple(link for link in self.links if link.to == table)

    def __str__(self) -> str:
        return "\n".join(
            [*map(_described, self.tables), *map(_linked, self.links), *(f"note: {n}" for n in self.notes)]
        )

    def to_dict(self) -> dict[str, object]:
        """The graph as plain values for JSON."""
        return {
            "tables": [_plain_table(table) for table in self.tables],
            "links": [{"table": k.table, "column": k.column, "to": k.to, "why": k.why} for k in self.links],
            "notes": list(self.notes),
        }

    def to_mermaid(self) -> str:
        """The graph as a Mermaid entity-relationship diagram."""
        lines = ["erDiagram"]
        for table in self.tables:
            lines += [f"    {_plain(table.name)} {{", *(f"        {_typed(table, c)}" for c in table.columns), "    }"]
        lines += [f'    {_plain(k.to)} ||--o{{ {_plain(k.table)} : "{"+".join(k.columns)}"' for k in self.links]
        return "\n".join(lines)


def _plain_table(table: Table) -> dict[str, object]:
    roles = ("name", "key", "happened", "known", "deleted", "ends", "rows")
    columns = [{"name": c.name, "dtype": c.dtype, "kind": c.kind, "why": c.why} for c in table.columns]
    return {**{role: getattr(table, role) for role in roles}, "columns": columns, "why": list(table.why)}


def names(column: str | tuple[str, ...] | None) -> tuple[str, ...]:
    """One name, several, or none, as a tuple.

    >>> names("a"), names(("a", "b")), names(None)
    (('a',), ('a', 'b'), ())
    """
    if column is None:
        return ()
    return (column,) if isinstance(column, str) else tuple(column)


def _described(table: Table) -> str:
    rows = "" if table.rows is None else f" ({table.rows:,} rows)"
    clocks = [f"{role} {name}" for role in ("happened", "known", "deleted", "ends") if (name := getattr(table, role))]
    head = f"{table.name}{rows}: key {'+'.join(table.keys) or 'none'}; {', '.join(clocks) or 'no time'}"
    columns = [f"  {c.name}: {c.kind} ({c.dtype})" + (f"  — {c.why}" if c.why else "") for c in table.columns]
    return "\n".join([head, *(f"  {reason}" for reason in table.why), *columns])


def _linked(link: Link) -> str:
    return f"{link} -> {link.to}" + (f"  ({link.why})" if link.why else "")


def _plain(name: str) -> str:
    return name if re.fullmatch(r"\w+", name) else '"' + name.replace('"', "'") + '"'


def _typed(table: Table, column: Column) -> str:
    mark = " PK" if column.name in table.keys else ""
    return f"{column.dtype} {re.sub(r'[^0-9A-Za-z_]', '_', column.name)}{mark}"
