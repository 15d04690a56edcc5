"""A stream as sorted rows: the joins along its path, written once, with both clocks carried through.

The rows of ``root <- a <- b`` are the rows of ``b`` whose link leads to a row of ``a`` whose link leads to a key.
A row happened when ``b`` says, or the nearest table of the path that has a clock. It shows while all rows of its path
show. A column of a parent of ``b`` is looked up as the parent showed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from penstock.engine.compile import Leaf, identifier, sql
from penstock.engine.relational import TYPES, Relational, code_of
from penstock.expression import Expr
from penstock.plan import Aggregate, Field, Peers, Stream, fields_of
from penstock.schema import Graph, Link
from penstock.window import BEGINNING, END


@dataclass(frozen=True)
class Wanted:
    """A column asked of a stream: as it is, or as codes, and NULL in the rows that ``where`` does not keep.

    Without a field it is 1 in the rows kept: what ``COUNT(table.* WHERE …)`` counts.
    """

    field: Field | None
    coded: bool
    where: Expr | None = None

    @property
    def name(self) -> str:
        """The column's name in what flattening gives."""
        what = "*" if self.field is None else f"{' '.join(map(str, self.field.hops))} {self.field}"
        return f"{'code' if self.coded else 'value'} {what} {self.where}"


@dataclass(frozen=True)
class Flat:
    """A stream's rows sorted by (code, happened, tie): codes of keys, instants in microseconds, and columns by name.

    ``[shown_from, shown_until)`` is the time during which a row shows; None: from when it happened, for ever.
    """

    code: np.ndarray
    happened: np.ndarray
    shown_from: np.ndarray | None
    shown_until: np.ndarray | None
    columns: dict[str, pa.ChunkedArray]


@dataclass
class _Join:
    """A FROM clause in the making: its text, the instants met on the way, and the alias of each table reached."""

    relational: Relational
    final: bool
    timed: bool = False
    text: str = ""
    shown_from: list[str] = field(default_factory=list)
    shown_until: list[str] = field(default_factory=list)
    aliases: dict[tuple[Link, ...], str] = field(default_factory=dict)
    needs: dict[tuple[Link, ...], tuple[dict[str, None], dict[str, None]]] = field(default_factory=dict)

    def need(self, hops: tuple[Link, ...], columns: Sequence[str], coded: Sequence[str] = ()) -> None:
        """Note that these columns of the table at the end of ``hops`` (from the stream's table up) will be read."""
        for depth in range(len(hops)):
            self.need(hops[:depth], hops[depth].columns)
        plain, codes = self.needs.setdefault(hops, ({}, {}))
        plain.update(dict.fromkeys(columns))
        codes.update(dict.fromkeys(coded))

    def overlap(self, alias: str) -> str:
        """The condition that a looked-up row shows at some time while what was joined before shows."""
        if self.final or not self.shown_from:
            return ""
        return (
            f" AND {alias}._from < {_least(self.shown_until)} AND {_greatest(self.shown_from)} < {alias}._until"
            f" AND {alias}._until > {alias}._from"
        )


def flatten(
    relational: Relational,
    stream: Stream,
    keys: str,
    wanted: Sequence[Wanted],
    *,
    final: bool,
    order_by: Sequence[Wanted] = (),
    inner: dict[Aggregate, str] | None = None,
    part: tuple[int, int] = (0, 1),
    whole: bool = False,
) -> Flat:
    """The stream's rows for the keys held as ``keys`` (columns ``code``, ``key``), in order.

    ``order_by`` breaks ties that the table's key leaves; ``inner`` maps aggregates in the stream's filter to the held
    tables of their values; ``part`` (p, of) keeps the codes that leave the rest p. With ``whole``, rows that nothing
    tells apart, their clocks included, are in the order of all that they say.
    """
    table = relational.rows.graph.table(stream.table)
    said = [c for c in table.columns if c.name not in (table.known, table.deleted)] if whole else []
    rest = [Wanted(Field(table.name, c.name, c.dtype, c.kind), False) for c in said]
    join = _joined(relational, stream, keys, [*wanted, *order_by, *rest], final=final, inner=inner or {})
    leaf = _leaf(join, inner or {})
    where = f" WHERE code % {part[1]} = {part[0]}" if part[1] > 1 else ""
    condition = "" if stream.where is None else f" WHERE {sql(stream.where, leaf)}"
    base = join.aliases[()]
    tie = [f"{base}.{identifier(k)}" for k in table.keys]
    chosen = [f"k.code AS code, {_happened(join, stream)} AS happened"]
    if join.timed:
        chosen += [f"{_greatest(join.shown_from)} AS shown_from, {_least(join.shown_until)} AS shown_until"]
    chosen += [f"{_read(join, w, leaf)} AS value_{n}" for n, w in enumerate(wanted)]
    chosen += [f"{text} AS tie_{n}" for n, text in enumerate([*tie, *(_tie(join, w, leaf) for w in order_by)])]
    chosen += [f"{_read(join, w, leaf)} AS rest_{n}" for n, w in enumerate(rest)]
    ties = "".join(f", tie_{n}" for n in range(len(tie) + len(order_by)))
    rows = f"SELECT {', '.join(chosen)} FROM {join.text}{condition}"
    clocks = ["shown_from", "shown_until"] if join.timed else []
    columns = ", ".join(["code", "happened", *clocks, *(f"value_{n}" for n in range(len(wanted)))])
    order = ", ".join(["code", f"happened{ties}", *clocks, *(f"rest_{n}" for n in range(len(rest)))])
    return _flat(relational.query(f"SELECT {columns} FROM ({rows}){where} ORDER BY {order}"), wanted)


def _flat(table: pa.Table, wanted: Sequence[Wanted]) -> Flat:
    clocks = [table[n].to_numpy() if n in table.column_names else None for n in ("shown_from", "shown_until")]
    columns = {w.name: table[f"value_{n}"] for n, w in enumerate(wanted)}
    return Flat(table["code"].to_numpy(), table["happened"].to_numpy(), clocks[0], clocks[1], columns)


def _joined(
    relational: Relational,
    stream: Stream,
    keys: str,
    wanted: Sequence[Wanted],
    *,
    final: bool,
    inner: dict[Aggregate, str],
) -> _Join:
    join = _Join(relational, final)
    for w in wanted:
        if w.field is not None:
            join.need(w.field.hops, *(((), (w.field.column,)) if w.coded else ((w.field.column,), ())))
    for node in [leaf for where in (stream.where, *(w.where for w in wanted)) for leaf in _leaves(where)]:
        join.need(node.hops, [node.column])
    _join_down(join, stream, keys)
    for hops in sorted((h for h in join.needs if h), key=len):
        _look_up(join, hops)
    base, table = join.aliases[()], relational.rows.graph.table(stream.table)
    for number, held in enumerate(inner.values()):
        join.text += f" LEFT JOIN {held} n{number} ON n{number}.key = {base}.{identifier(table.keys[0])}"
        join.text += f" AND n{number}.happened = {base}._h"
    return join


def _join_down(join: _Join, stream: Stream, keys: str) -> None:
    """Join the path from the keys to the stream's own table, which gets the alias of no hops."""
    graph = join.relational.rows.graph
    join.text = f"{keys} k"
    steps = list(_steps(graph, stream))
    for depth, step in enumerate(steps):
        alias, last = f"d{depth}", depth == len(steps) - 1
        above = ['k."key"'] if depth == 0 else [f"d{depth - 1}.{identifier(c)}" for c in step.above]
        kinds = [TYPES[graph.table(step.of).column(c).dtype] for c in step.above]
        pairs = zip(step.columns, above if step.above else (), kinds, strict=True)
        on = " AND ".join(
            f"TRY_CAST({alias}.{identifier(c)} AS {kind}) = TRY_CAST({up} AS {kind})" for c, up, kind in pairs
        )
        plain, coded = join.needs.get((), ({}, {})) if last else ({}, {})
        onward = () if last else steps[depth + 1].above
        some = () if step.columns else (graph.table(step.table).columns[0].name,)
        needs = {**plain, **dict.fromkeys((*step.columns, *onward, *some))}, coded
        _join_table(join, alias, step.table, on or "TRUE", needs, passing=not last)
    join.aliases[()] = f"d{len(steps) - 1}"


@dataclass(frozen=True)
class _Step:
    """A table of the way down: its ``columns`` equal the columns ``above`` of the table ``of`` before it.

    The first equals the key asked about, which is of the type of ``above``; with no columns it takes all rows.
    """

    table: str
    columns: tuple[str, ...]
    of: str
    above: tuple[str, ...]


def _steps(graph: Graph, stream: Stream) -> Iterator[_Step]:
    """The tables from what the spine is numbered by down to the stream's own."""
    links = stream.hops
    if isinstance(stream.anchor, Peers):
        field = stream.anchor.field
        if field is not None:  # those who say the same: from the table that says it down to them, and on
            yield _Step(field.table, (field.column,), field.table, (field.column,))
            links = (*reversed(field.hops), *stream.hops)
        elif links:
            yield _Step(links[0].table, (), links[0].to, ())
            links = links[1:]
        else:
            yield _Step(stream.root, (), stream.root, ())
    elif not links:
        keys = graph.table(stream.root).keys[:1]
        yield _Step(stream.root, keys, stream.root, keys)
    for link in links:
        yield _Step(link.table, link.columns, link.to, graph.table(link.to).keys)


def _join_table(
    join: _Join,
    alias: str,
    table: str,
    on: str,
    needs: tuple[dict[str, None], dict[str, None]],
    *,
    passing: bool = False,
) -> None:
    relational, schema = join.relational, join.relational.rows.graph.table(table)
    read = relational.keyed if passing else relational.relation
    text = read(table, list(needs[0]), final=join.final, coded=list(needs[1]))
    join.text += f" JOIN {text} {alias} ON {on}{join.overlap(alias)}"
    join.shown_from.append(f"{alias}._from")
    join.shown_until.append(f"{alias}._until")
    join.timed |= not join.final and (schema.known is not None or (passing and schema.happened is not None))


def _look_up(join: _Join, hops: tuple[Link, ...]) -> None:
    """Join a parent of the stream's rows, by the last of ``hops``."""
    graph, link, alias = join.relational.rows.graph, hops[-1], f"u{len(join.aliases)}"
    parent, below = graph.table(link.to), join.aliases[hops[:-1]]
    plain, coded = join.needs[hops]
    text = join.relational.lookup(link.to, list(plain), final=join.final, coded=list(coded))
    pairs = zip(link.columns, parent.keys, strict=True)
    on = " AND ".join(
        f"TRY_CAST({below}.{identifier(c)} AS {TYPES[parent.column(k).dtype]}) = {alias}.{identifier(k)}"
        for c, k in pairs
    )
    timed = not join.final and (parent.happened is not None or parent.known is not None)
    join.text += f" LEFT JOIN {text} {alias} ON {on}{join.overlap(alias) if timed else ''}"
    if timed:
        join.timed = True
        join.shown_from.append(f"coalesce({alias}._from, {BEGINNING})")
        join.shown_until.append(f"coalesce({alias}._until, {END})")
    join.aliases[hops] = alias


def _happened(join: _Join, stream: Stream) -> str:
    """The nearest clock going from the stream's table to the root; rows without any happened before everything."""
    graph = join.relational.rows.graph
    tables = [step.table for step in _steps(graph, stream)]
    for depth in reversed(range(len(tables) - max(1, len(stream.hops)), len(tables))):
        if graph.table(tables[depth]).happened is not None:
            return f"d{depth}._h"
    return f"{BEGINNING + 1}::BIGINT"


def _leaf(join: _Join, inner: dict[Aggregate, str]) -> Leaf:
    numbers = {aggregate: number for number, aggregate in enumerate(inner)}

    def read(node: Expr) -> str:
        if isinstance(node, Aggregate):
            return f"n{numbers[node]}.value"
        assert isinstance(node, Field)
        return f"{join.aliases[node.hops]}.{identifier(node.column)}"

    return read


def _read(join: _Join, wanted: Wanted, leaf: Leaf) -> str:
    if wanted.field is None:
        value, blank = "1.0::DOUBLE", "NULL"
    elif wanted.coded:
        value = f"coalesce({join.aliases[wanted.field.hops]}.{identifier(code_of(wanted.field.column))}, -1)"
        blank = "-1"
    else:
        value, blank = leaf(wanted.field), "NULL"
    return value if wanted.where is None else f"CASE WHEN {sql(wanted.where, leaf)} THEN {value} ELSE {blank} END"


def _tie(join: _Join, wanted: Wanted, leaf: Leaf) -> str:
    """What orders rows of one instant by a column: rows without a value come last."""
    value = _read(join, wanted, leaf)
    return f"nullif({value}, -1)" if wanted.coded else value


def _leaves(expression: Expr | None) -> list[Field]:
    return [node for node in fields_of(expression) if isinstance(node, Field)]


def _greatest(terms: list[str]) -> str:
    return terms[0] if len(terms) == 1 else f"greatest({', '.join(terms)})"


def _least(terms: list[str]) -> str:
    return terms[0] if len(terms) == 1 else f"least({', '.join(terms)})"
