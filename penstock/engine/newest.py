"""The newest row of a stream for each row of a spine: keys and instants first, whatever else is asked of it after.

What finds the row are its key, its clocks and its number in the table; columns are then taken once, for the rows that
were found. Where a table's rows show one for one, they are laid by key without a join; otherwise they are flattened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from penstock.engine.flatten import Wanted, flatten
from penstock.engine.laid import Laid, key_column, lay
from penstock.engine.relational import ROW, Relational
from penstock.engine.streams import hold_inner, number, starts
from penstock.plan import Field, Stream
from penstock.schema import Dtype, Kind


@dataclass(frozen=True)
class Newest:
    """For each row of a spine the number of the stream's newest row in its table (-1: none), and when it happened."""

    row: np.ndarray
    happened: np.ndarray

    def take(self, column: pa.ChunkedArray, mask: np.ndarray | None = None) -> pa.ChunkedArray:
        """What a column of the table says in those rows; NULL where there is none, or where ``mask`` is true."""
        missing = self.row < 0 if mask is None else (self.row < 0) | mask
        return column.take(pa.array(self.row, mask=missing))

    def older(self, cutoff: np.ndarray, ttl: int) -> np.ndarray:
        """Whether the row is older than ``ttl`` microseconds at the cutoff; one of exactly that age is not."""
        late: np.ndarray = (self.row >= 0) & (cutoff - self.happened > ttl)
        return late


def newest(relational: Relational, spine: pa.Table, stream: Stream) -> Newest:
    """The newest of the stream's rows that show at each cutoff of a spine (columns ``entity`` and ``cutoff``).

    That is the last by when it happened, then by the table's key, then by when it began to show, then by all that it
    says: rows that are still tied say the same.
    """
    keyed = number(spine, stream)
    row, happened = np.full(len(keyed.code), -1), np.zeros(len(keyed.code), np.int64)
    column, parts = key_column(relational, stream, keyed.keys.type), _parts(relational, stream, len(keyed.keys))
    if column is None:
        laid = _flattened(relational, stream, keyed.keys, parts)
    else:
        laid = lay(relational, stream, column, keyed.keys, parts)
    for part, rows in enumerate(laid):
        places, asked = keyed.part(part, parts)
        found = _found(rows, asked.spine_starts, asked.cutoff)
        seen = found >= 0
        row[places[seen]], happened[places[seen]] = rows.row[found[seen]], rows.instants[found[seen]]
    return Newest(row, happened)


def _found(laid: Laid, spine_starts: np.ndarray, cutoff: np.ndarray) -> np.ndarray:
    from penstock.engine.kernels.compiled import frozen
    from penstock.engine.kernels.newest import newest as walk

    since = laid.happened if laid.shown_from is None else laid.shown_from
    until = cutoff[:0] if laid.shown_until is None else laid.shown_until
    room = 1 if laid.shown_until is None else int(np.diff(laid.begins).max(initial=0))
    found, heap = np.empty(len(cutoff), np.int64), np.empty(room, np.int64)
    begins, rows = frozen(laid.begins), frozen(spine_starts)
    walk(begins, rows, frozen(since), frozen(until), frozen(laid.arrivals), frozen(cutoff), heap, found)
    return found


def _parts(relational: Relational, stream: Stream, keys: int) -> int:
    """How many parts keep one part's rows within a quarter of the memory; never more than there are keys."""
    needed = relational.count(stream.table) * 6 * 8 * 2
    return min(max(1, keys), max(1, -(-needed // max(1, relational.settings.memory // 4))))


def _flattened(relational: Relational, stream: Stream, keys: pa.Array, parts: int) -> Iterator[Laid]:
    """The stream's rows for each part of the keys, by the joins of any stream."""
    table = relational.rows.graph.table(stream.table)
    asked = Wanted(Field(table.name, ROW, Dtype.INT, Kind.ID), coded=False)
    whole = not (bool(table.keys) and (table.known is not None or relational.unique(table.name)))
    inner = hold_inner(relational, stream, [])
    held = relational.hold(pa.table({"code": pa.array(np.arange(len(keys))), "key": keys}))
    try:
        for part in range(parts):
            flat = flatten(relational, stream, held, [asked], final=False, inner=inner, part=(part, parts), whole=whole)
            count = (len(keys) - part + parts - 1) // parts
            row = flat.columns[asked.name].to_numpy()
            yield Laid(starts(flat.code // parts, count), row, flat.happened, flat.shown_from, flat.shown_until)
    finally:
        for name in [held, *inner.values()]:
            relational.drop(name)


__all__ = ["Newest", "newest"]
