"""A graph from facts: inferred, or only what is declared."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import pyarrow.compute as pc

from penstock.inference.clocks import Clocks, choose_clocks
from penstock.inference.containment import unified
from penstock.inference.facts import ColumnFacts, Facts, TableFacts
from penstock.inference.keys import KeyChoice, choose_key
from penstock.inference.kinds import choose_kind, plain_kind
from penstock.inference.links import choose_links
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table


def infer(facts: Facts) -> Graph:
    """The graph that the facts speak for: declared constraints first, then names, types and values.

    Every table, column and link says why it is so; what was ambiguous or odd is in the notes.
    """
    clocks = {table.name: choose_clocks(table) for table in facts.tables}
    chosen = {table.name: choose_key(table, facts, clocks[table.name].known) for table in facts.tables}
    keys = {name: choice.columns for name, choice in chosen.items()}
    links, notes = choose_links(facts, keys)
    dtypes = _dtypes(facts, keys, links)
    tables = tuple(_table(table, chosen[table.name], clocks[table.name], links, dtypes) for table in facts.tables)
    notes = [
        *facts.notes,
        *(note for table in facts.tables for note in (*chosen[table.name].notes, *clocks[table.name].notes)),
        *_column_notes(facts),
        *notes,
        *_unknown_entities(facts, keys, links),
    ]
    return Graph(tables, tuple(links), tuple(notes))


def declared(facts: Facts) -> Graph:
    """The graph with only what the source itself declares: no links, times or dates in text are guessed."""
    keys = {table.name: table.key for table in facts.tables}
    links = tuple(
        Link(table.name, _one_or_many(_in_key_order(d.columns, d.to_columns, keys[d.to])) or "", d.to, "declared")
        for table in facts.tables
        for d in table.links
        if d.to in keys and set(d.to_columns or keys[d.to]) == set(keys[d.to]) and len(d.columns) == len(keys[d.to])
    )
    tables = tuple(_declared_table(table, links) for table in facts.tables)
    return Graph(tables, links, facts.notes)


def _declared_table(table: TableFacts, links: Iterable[Link]) -> Table:
    identifying = {name for link in links if link.table == table.name for name in link.columns} | set(table.key)
    columns = tuple(
        Column(c.name, c.plain_dtype, Kind.ID if c.name in identifying else plain_kind(c.plain_dtype), "declared")
        for c in table.columns
    )
    why = (f"key {'+'.join(table.key)}: declared",) if table.key else ()
    return Table(table.name, columns, key=_one_or_many(table.key), rows=table.rows, why=why)


def _in_key_order(columns: Sequence[str], to: Sequence[str], key: Sequence[str]) -> tuple[str, ...]:
    pointed = dict(zip(to or key, columns, strict=True))
    return tuple(pointed[part] for part in key)


def _one_or_many(columns: tuple[str, ...]) -> str | tuple[str, ...] | None:
    if not columns:
        return None
    return columns[0] if len(columns) == 1 else columns


# ---------------------------------------------------------------- tables and columns


def _table(
    table: TableFacts, key: KeyChoice, clocks: Clocks, links: Iterable[Link], dtypes: Mapping[tuple[str, str], Dtype]
) -> Table:
    pointing = {name for link in links if link.table == table.name for name in link.columns}
    identifying = pointing | set(key.columns)
    columns = tuple(
        _column(c, dtypes.get((table.name, c.name), c.dtype), identifies=c.name in identifying) for c in table.columns
    )
    return Table(
        table.name,
        columns,
        key=_one_or_many(key.columns),
        happened=clocks.happened,
        known=clocks.known,
        deleted=clocks.deleted,
        ends=clocks.ends,
        rows=table.rows,
        why=tuple(filter(None, (key.why, *clocks.why))),
    )


def _column(facts: ColumnFacts, dtype: Dtype, *, identifies: bool) -> Column:
    kind, why = choose_kind(facts, identifies=identifies)
    if kind in {Kind.ID, Kind.CATEGORICAL} and dtype is Dtype.FLOAT and facts.whole:
        dtype = Dtype.INT
    return Column(facts.name, dtype, kind, f"{why}; {facts.note}" if facts.note else why)


def _dtypes(facts: Facts, keys: Mapping[str, tuple[str, ...]], links: Iterable[Link]) -> dict[tuple[str, str], Dtype]:
    """Dtypes that differ from the values' own: whole floats as ints in keys, and links like the keys they point to."""
    found: dict[tuple[str, str], Dtype] = {}
    for table in facts.tables:
        for name in keys[table.name]:
            if table.column(name).whole:
                found[table.name, name] = Dtype.INT
    for link in links:
        for name, part in zip(link.columns, keys[link.to], strict=True):
            dtype = unified(facts.table(link.table).column(name), facts.table(link.to).column(part))
            if dtype is not None and (name,) != keys[link.table]:
                found[link.table, name] = found.get((link.to, part), dtype)
    return found


def _column_notes(facts: Facts) -> list[str]:
    return [f"{table.name}.{c.name}: {c.note}" for table in facts.tables for c in table.columns if c.note]


def _unknown_entities(facts: Facts, keys: Mapping[str, tuple[str, ...]], links: Sequence[Link]) -> list[str]:
    """Rows keyed -1 or 0 that stand apart from all other keys: they gather what belongs to nobody."""
    notes = []
    for table in facts.tables:
        key = keys[table.name]
        if len(key) != 1 or not table.column(key[0]).whole:
            continue
        for mark in _marks(table.column(key[0])):
            rows = sum(_count(facts, link, mark) for link in links if link.to == table.name)
            notes.append(
                f"{table.name}.{key[0]} holds {mark}, which often stands for an unknown one: {rows:,} rows "
                "point to it; leave it out with WHERE if so"
            )
    return notes


def _marks(key: ColumnFacts) -> list[int]:
    holds = {mark: bool(pc.any(pc.equal(key.values, mark)).as_py()) for mark in (-2, -1, 0, 1)}
    found = [-1] if holds[-1] and not holds[-2] else []
    return [*found, 0] if holds[0] and not holds[1] and len(key.distinct) > 2 else found


def _count(facts: Facts, link: Link, mark: int) -> int:
    if len(link.columns) != 1:
        return 0
    column = facts.table(link.table).column(link.columns[0])
    return int(pc.sum(pc.equal(column.values, mark)).as_py() or 0) if column.whole else 0
