"""A graph changed by hand: each function gives a new graph, or says why it cannot."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from enum import Enum

from penstock.errors import SchemaError
from penstock.inference.containment import Containment, contained_together, containment, unified
from penstock.inference.facts import Facts
from penstock.inference.kinds import plain_kind
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table, names


class Keep(Enum):
    """Stands for what is not to be changed, where None means none."""

    AS_IS = "as it is"


AS_IS = Keep.AS_IS
BY_HAND = "set by hand"
"""Why a column is as it is, where a person said so."""


def set_table(
    graph: Graph,
    name: str,
    *,
    key: str | Iterable[str] | Keep | None = AS_IS,
    time: str | Keep | None = AS_IS,
    known: str | Keep | None = AS_IS,
    deleted: str | Keep | None = AS_IS,
    ends: str | Keep | None = AS_IS,
    facts: Facts | None = None,
) -> Graph:
    """The graph with another key or other clocks for one table; None takes one away.

    With ``facts`` the values are looked at: a key that repeats and a time that cannot be read raise ``SchemaError``,
    as do names that do not exist.
    """
    table = graph.table(name)
    if not isinstance(key, Keep):
        columns = names(key if key is None or isinstance(key, str) else tuple(key))
        pointing = {column for link in graph.links_from(name) for column in link.columns}
        table = _keyed(table, columns, facts, known if isinstance(known, str) else table.known, pointing)
    clocks = {"happened": time, "known": known, "ends": ends}
    for role, column in clocks.items():
        if not isinstance(column, Keep):
            table = _clocked(table, role, column, facts)
    if not isinstance(deleted, Keep):
        table = replace(table, deleted=None if deleted is None else _flag(table, deleted))
    return _with_table(graph, table)


def set_column(graph: Graph, column: str, *, kind: str | Kind, facts: Facts | None = None) -> Graph:
    """The graph with another kind for one column, written ``table.column``."""
    table, found = find_column(graph, column)
    try:
        chosen = Kind(kind) if isinstance(kind, Kind) else next(k for k in Kind if k.casefold() == kind.casefold())
    except StopIteration:
        raise SchemaError(
            "SCHEMA_UNKNOWN_KIND", f"there is no kind {kind!r}", name=str(kind), candidates=Kind
        ) from None
    dtype = _timestamp(table, found, facts) if chosen is Kind.TIMESTAMP else found.dtype
    if chosen is Kind.NUMERICAL and dtype not in {Dtype.INT, Dtype.FLOAT, Dtype.BOOL}:
        raise SchemaError("SCHEMA_KIND_MISFIT", f"{column} holds values of dtype {dtype}: it cannot be numerical")
    return _with_table(graph, _with_column(table, replace(found, kind=chosen, dtype=dtype, why=BY_HAND)))


def link(graph: Graph, column: str | Iterable[str], to: str, *, facts: Facts | None = None) -> Graph:
    """The graph with a link from ``table.column`` (several for a composite key) to the key of table ``to``.

    With ``facts`` the values are compared: what points nowhere is said in the notes, and a column of which nothing is
    found there raises ``SchemaError``.
    """
    places = [find_column(graph, c) for c in ([column] if isinstance(column, str) else column)]
    table, columns, parent = places[0][0], tuple(c.name for _, c in places), graph.table(to)
    if not parent.keys:
        raise SchemaError("SCHEMA_NO_KEY", f"{to} has no key to point to", hint=f'Choose it first: set("{to}", key=…).')
    if len(columns) != len(parent.keys) or len({t.name for t, _ in places}) != 1:
        raise SchemaError(
            "SCHEMA_LINK_MISFIT", f"the key of {to} is {', '.join(parent.keys)}: name as many columns of one table"
        )
    made = Link(table.name, columns[0] if len(columns) == 1 else columns, to, BY_HAND)
    found = _check(made, parent, facts)
    for name, part in zip(columns, parent.keys, strict=True):
        dtype = _joined_dtype(table, name, parent, part, facts)
        table = _with_column(table, replace(table.column(name), dtype=dtype, kind=Kind.ID, why=BY_HAND))
    said = (f"{made}: {found.words}",) if found and (found.dangling or found.unknown) else ()
    others = tuple(k for k in graph.links if not (k.table == table.name and k.columns == columns))
    return replace(_with_table(graph, table), links=(*others, made), notes=_without(graph.notes, str(made)) + said)


def unlink(graph: Graph, column: str | Iterable[str]) -> Graph:
    """The graph without the links that leave from ``table.column`` (several for a composite one)."""
    places = [find_column(graph, c) for c in ([column] if isinstance(column, str) else column)]
    leaving = (places[0][0].name, tuple(c.name for _, c in places))
    kept = tuple(k for k in graph.links if (k.table, k.columns) != leaving)
    if len(kept) == len(graph.links):
        raise SchemaError(
            "SCHEMA_UNKNOWN_LINK",
            f"there is no link from {leaving[0]}.{'+'.join(leaving[1])}",
            name=f"{leaving[0]}.{'+'.join(leaving[1])}",
            candidates=map(str, graph.links),
        )
    return replace(graph, links=kept, notes=_without(graph.notes, f"{leaving[0]}.{'+'.join(leaving[1])}"))


def find_column(graph: Graph, column: str) -> tuple[Table, Column]:
    """The table and column that ``table.column`` names; table names may hold dots."""
    for table in sorted(graph.tables, key=lambda t: -len(t.name)):
        if column.startswith(f"{table.name}."):
            return table, table.column(column[len(table.name) + 1 :])
    name, dot, _ = column.rpartition(".")
    if dot:
        graph.table(name)
    raise SchemaError(
        "SCHEMA_COLUMN_NAME",
        f"{column!r} names no column",
        candidates=(t.name for t in graph),
        hint="Write table.column.",
    )


# ---------------------------------------------------------------- parts


def _keyed(
    table: Table, columns: tuple[str, ...], facts: Facts | None, known: str | None, pointing: Collection[str] = ()
) -> Table:
    """The table with this key; what was the key is a value again, unless it is ``pointing`` to another table."""
    for name in columns:
        table.column(name)
    if facts is not None and columns:
        _must_identify(table, columns, facts, known)
    for name in columns:
        column = table.column(name)
        dtype = Dtype.INT if facts and facts.table(table.name).column(name).whole else column.dtype
        table = _with_column(table, replace(column, kind=Kind.ID, dtype=dtype, why=BY_HAND))
    for name in set(table.keys) - set(columns) - set(pointing):
        column = table.column(name)
        table = _with_column(table, replace(column, kind=plain_kind(column.dtype), why="no longer the key"))
    why = (f"key {'+'.join(columns) or 'none'}: {BY_HAND}", *(w for w in table.why if not w.startswith("key ")))
    return replace(table, key=None if not columns else columns[0] if len(columns) == 1 else columns, why=why)


def _must_identify(table: Table, columns: tuple[str, ...], facts: Facts, known: str | None) -> None:
    looked = facts.table(table.name)
    single = looked.column(columns[0])
    if looked.unique_together((*columns, *names(known))) or (len(columns) == 1 and single.unique and single.filled):
        return
    raise SchemaError(
        "SCHEMA_KEY_REPEATS",
        f"{'+'.join(columns)} cannot be the key of {table.name}: its values repeat",
        candidates=(
            c.name for c in looked.columns if c.dtype in {Dtype.INT, Dtype.STRING} and c.unique and not c.nulls
        ),
        hint="A key names one row. If rows are versions, set known= to the column that tells them apart.",
    )


def _clocked(table: Table, role: str, name: str | None, facts: Facts | None) -> Table:
    why = (*(w for w in table.why if not w.startswith(f"{role} ")), f"{role} {name or 'none'}: {BY_HAND}")
    if name is not None:
        column = table.column(name)
        made = replace(column, dtype=_timestamp(table, column, facts), kind=Kind.TIMESTAMP, why=BY_HAND)
        table = _with_column(table, made)
    changes: dict[str, str | None] = {role: name}
    return replace(table, why=why, **changes)  # type: ignore[arg-type]


def _timestamp(table: Table, column: Column, facts: Facts | None) -> Dtype:
    if column.dtype is Dtype.TIMESTAMP:
        return column.dtype
    readable = facts is None or facts.table(table.name).column(column.name).dtype is Dtype.TIMESTAMP
    if column.dtype is Dtype.INT or (column.dtype is Dtype.STRING and readable):
        return Dtype.TIMESTAMP
    raise SchemaError(
        "SCHEMA_NO_TIME",
        f"{table.name}.{column.name} cannot be read as instants (dtype {column.dtype})",
        candidates=(c.name for c in table.columns if c.dtype is Dtype.TIMESTAMP),
        hint="Write dates as 2024-12-31 or 2024-12-31T10:00:00Z.",
    )


def _flag(table: Table, name: str) -> str:
    if table.column(name).dtype in {Dtype.BOOL, Dtype.INT}:
        return name
    raise SchemaError(
        "SCHEMA_NO_FLAG",
        f"{table.name}.{name} cannot say whether a row is deleted (dtype {table.column(name).dtype})",
        candidates=(c.name for c in table.columns if c.dtype is Dtype.BOOL),
    )


def _check(made: Link, parent: Table, facts: Facts | None) -> Containment | None:
    if facts is None:
        return None
    child, key = facts.table(made.table), facts.table(parent.name)
    if len(made.columns) == 1:
        found = containment(child.column(made.columns[0]), key.column(parent.keys[0]))
    else:
        found = contained_together(child, made.columns, key, parent.keys)
    if found is None or (found.filled and not found.matched):
        raise SchemaError(
            "SCHEMA_LINK_EMPTY",
            f"{made} cannot point to {parent.name}: none of its values is found in {'+'.join(parent.keys)}",
        )
    return found


def _joined_dtype(table: Table, name: str, parent: Table, part: str, facts: Facts | None) -> Dtype:
    own, wanted = table.column(name).dtype, parent.column(part).dtype
    if own is wanted:
        return own
    if facts is not None and unified(facts.table(table.name).column(name), facts.table(parent.name).column(part)):
        return wanted
    raise SchemaError(
        "SCHEMA_LINK_MISFIT", f"{table.name}.{name} ({own}) cannot be compared with {parent.name}.{part} ({wanted})"
    )


def _with_column(table: Table, column: Column) -> Table:
    return replace(table, columns=tuple(column if c.name == column.name else c for c in table.columns))


def _with_table(graph: Graph, table: Table) -> Graph:
    return replace(graph, tables=tuple(table if t.name == table.name else t for t in graph.tables))


def _without(notes: tuple[str, ...], place: str) -> tuple[str, ...]:
    return tuple(note for note in notes if not note.startswith((f"{place}:", f"{place} ")))
