"""A table's rows laid by key in the order in which they happened, without a join: their numbers and their clocks.

Keys are numbered by a look-up, rows laid by counting; only rows that share a key and an instant are compared further.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.compile import identifier
from penstock.engine.relational import ARROW, ROW, Relational
from penstock.plan import Stream
from penstock.schema import Table
from penstock.window import BEGINNING, END

_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class Laid:
    """Rows of a table by code: code ``k`` has ``[begins[k], begins[k + 1])``, the newest last.

    ``shown_from`` and ``shown_until`` are None where rows show from when they happened, and for ever.
    """

    begins: np.ndarray
    row: np.ndarray
    happened: np.ndarray
    shown_from: np.ndarray | None = None
    shown_until: np.ndarray | None = None

    @property
    def instants(self) -> np.ndarray:
        """When the rows happened; where nothing says so, when they began to show."""
        if self.shown_from is None:
            return self.happened
        told: np.ndarray = np.where(self.happened <= BEGINNING + 1, self.shown_from, self.happened)
        return told

    @property
    def arrivals(self) -> np.ndarray:
        """Each key's rows by when they begin to show; empty where they stand so."""
        if self.shown_from is None:
            return _NONE
        falls = np.flatnonzero(self.shown_from[1:] < self.shown_from[:-1]) + 1
        if np.isin(falls, self.begins).all():
            return _NONE
        code = np.repeat(np.arange(len(self.begins) - 1, dtype=np.int32), np.diff(self.begins))
        return laid(code, self.shown_from, len(self.begins) - 1).row


def key_column(relational: Relational, stream: Stream, kind: pa.DataType) -> str | None:
    """The column of the stream's table that holds the key, of this type; None where it takes joins to find the rows.

    Fractions are left to joins, which know that 0.0 is -0.0.
    """
    if pa.types.is_floating(kind) or stream.anchor is not None or stream.where is not None or len(stream.hops) > 1:
        return None
    graph = relational.rows.graph
    columns = stream.hops[0].columns if stream.hops else graph.table(stream.root).keys[:1]
    alike = len(columns) == 1 and ARROW[graph.table(stream.table).column(columns[0]).dtype] == kind
    return columns[0] if alike else None


def lay(relational: Relational, stream: Stream, column: str, keys: pa.Array, parts: int) -> Iterator[Laid]:
    """The rows whose ``column`` is one of the keys, by the place of the key, for each part of the places.

    Key ``i`` of a part is the place ``i * parts + part``.
    """
    table = relational.rows.graph.table(stream.table)
    code = _codes(relational.read(table.name, [column])[column], keys)
    clocks = _clocks(relational, table, code)
    for part in range(parts):
        rows = laid(part_of(code, part, parts), clocks.happened, -(-(len(keys) - part) // parts))
        yield _settled(relational, table, _shown(rows, clocks))


def part_of(code: np.ndarray, part: int, parts: int) -> np.ndarray:
    """The codes of one part of the keys, numbered anew; -1 for those of others.

    >>> part_of(np.array([0, 1, 2, -1, 3]), 1, 2).tolist()
    [-1, 0, -1, -1, 1]
    """
    return code if parts == 1 else np.where((code >= 0) & (code % parts == part), code // parts, -1)


def _codes(column: pa.ChunkedArray, keys: pa.Array) -> np.ndarray:
    """The place of each value among the keys, -1 for others."""
    if not len(keys):
        return np.full(len(column), -1, np.int32)
    if pa.types.is_integer(keys.type):
        known = keys.to_numpy()
        lowest, highest = int(known.min()), int(known.max())
        if highest - lowest < 4 * (len(column) + len(keys)):
            places = np.full(highest - lowest + 1, -1, np.int32)
            places[known - lowest] = np.arange(len(known))
            return _found(column, places, lowest)
    found: np.ndarray = pc.index_in(column, keys).fill_null(-1).to_numpy().copy()
    return found


def _found(column: pa.ChunkedArray, places: np.ndarray, lowest: int) -> np.ndarray:
    from penstock.engine.kernels.compiled import frozen
    from penstock.engine.kernels.laying import find

    codes, first = np.empty(len(column), np.int32), 0
    for chunk in column.chunks:
        here = codes[first : first + len(chunk)]
        find(frozen(chunk.fill_null(0).to_numpy()), frozen(places), lowest, here)
        if chunk.null_count:
            here[np.asarray(chunk.is_null())] = -1
        first += len(chunk)
    return codes


@dataclass(frozen=True)
class _Clocks:
    """For each row of a table when it happened, and from when until when it shows; None: from then on, for ever."""

    happened: np.ndarray | None
    shown_from: np.ndarray | None = None
    shown_until: np.ndarray | None = None


def _clocks(relational: Relational, table: Table, code: np.ndarray) -> _Clocks:
    """The clocks of a table; the codes of rows that never show become -1."""
    read = {name: relational.read(table.name, [name])[name] for name in _clock_columns(table)}
    happened = None
    if table.happened is not None:
        happened = _instants(read[table.happened])
        code[happened == END] = -1
    if table.deleted is not None:
        code[np.asarray(read[table.deleted].fill_null(False))] = -1
    if table.known is None:
        return _Clocks(happened)
    learnt = _instants(read[table.known])
    learnt = np.where(learnt == END, BEGINNING if happened is None else happened, learnt)
    since = learnt if happened is None else np.maximum(learnt, happened)
    if not table.keys or relational.unique(table.name):
        return _Clocks(happened, since)
    replaced = relational.superseded(table.name)
    until = np.full(len(code), END)
    until[replaced["row"].to_numpy()] = replaced["until"].to_numpy()
    code[since >= until] = -1
    return _Clocks(happened, since, until)


def _clock_columns(table: Table) -> list[str]:
    return [name for name in (table.happened, table.known, table.deleted) if name is not None]


def _instants(column: pa.ChunkedArray) -> np.ndarray:
    """A column's instants in microseconds; `END` where it says none."""
    raw = column.cast(pa.int64())
    return np.asarray(raw.fill_null(END) if raw.null_count else raw)


def laid(code: np.ndarray, clock: np.ndarray | None, count: int) -> Laid:
    """Rows with these codes (-1: none) by code and clock, in no order where both are the same.

    >>> laid(np.array([1, 0, 1]), np.array([7, 8, 6]), 2).row.tolist()
    [1, 2, 0]
    """
    from penstock.engine.kernels.compiled import frozen
    from penstock.engine.kernels.laying import lay as lay_rows
    from penstock.engine.kernels.laying import tally

    codes, begins = frozen(code.astype(np.int32, copy=False)), np.zeros(count + 1, np.int64)
    clock = np.full(len(code), BEGINNING + 1) if clock is None else clock
    tally(codes, begins)
    row, happened = np.empty(begins[-1], np.int64), np.empty(begins[-1], np.int64)
    lay_rows(codes, frozen(clock), frozen(begins), begins.copy(), row, happened)
    return Laid(begins, row, happened)


def _shown(rows: Laid, clocks: _Clocks) -> Laid:
    shown = [None if clock is None else clock[rows.row] for clock in (clocks.shown_from, clocks.shown_until)]
    return Laid(rows.begins, rows.row, rows.happened, *shown)


def _settled(relational: Relational, table: Table, rows: Laid) -> Laid:
    """The rows with those of one key and one instant in order: by the table's key, their clocks, and all they say."""
    same = np.append(rows.happened[1:] == rows.happened[:-1], False)
    same[rows.begins[1:][rows.begins[1:] > 0] - 1] = False
    if not same.any():
        return rows
    tied = same | np.append(False, same[:-1])
    places = np.flatnonzero(tied)
    run = np.cumsum(~np.append(False, same[:-1])[places])
    order = np.arange(len(rows.row))
    order[places] = places[_order(relational, table, rows, places, run)]
    shown = [None if clock is None else clock[order] for clock in (rows.shown_from, rows.shown_until)]
    return Laid(rows.begins, rows.row[order], rows.happened, *shown)


def _order(relational: Relational, table: Table, rows: Laid, places: np.ndarray, run: np.ndarray) -> np.ndarray:
    """The order of tied rows, as places among ``places``: whole rows are read only where less leaves ties."""
    clocks = [clock[places] for clock in (rows.shown_from, rows.shown_until) if clock is not None]
    named = {column.name.casefold(): column.name for column in reversed(table.columns)}
    content = [column.name for column in table.columns if column.name in named.values()]
    for rest in ([], content):
        read = relational.read(table.name, [*table.keys, *rest]).take(pa.array(rows.row[places]))
        columns = [run, *read.columns[: len(table.keys)], *clocks, *read.columns[len(table.keys) :]]
        order, alone = _sorted(relational, columns)
        if alone:
            break
    return order


def _sorted(relational: Relational, columns: Sequence[pa.ChunkedArray | np.ndarray]) -> tuple[np.ndarray, bool]:
    """The rows in order of these columns, NULL last; and whether no two of them say the same."""
    by = ", ".join(f"c{n}" for n in range(len(columns)))
    numbered = {f"c{n}": column for n, column in enumerate(columns)}
    held = relational.hold(pa.table({**numbered, ROW: np.arange(len(columns[0]))}))
    try:
        order = relational.query(f"SELECT {identifier(ROW)} FROM {held} ORDER BY {by}")[0].to_numpy()
        distinct = relational.query(f"SELECT count(*) FROM (SELECT DISTINCT {by} FROM {held})")[0][0].as_py()
    finally:
        relational.drop(held)
    return order, distinct == len(order)


__all__ = ["Laid", "key_column", "laid", "lay", "part_of"]
