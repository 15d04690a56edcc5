"""The newest row of a stream for each row of a spine: keys and instants first, whatever else is asked of it after.

What finds the row are its key, its clocks and its number in the table; columns are then taken once, for the rows that
were found. Where a table's rows show one for one, they are laid by key without a join; otherwise they are flattened.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.flatten import Wanted, flatten
from penstock.engine.laid import Laid, key_column, laid, lay, part_of
from penstock.engine.relational import ROW, Relational
from penstock.engine.streams import hold_inner, number, starts
from penstock.plan import Field, Stream
from penstock.schema import Dtype, Kind


@dataclass(frozen=True)
class Newest:
    """For each row of a spine the number of the stream's newest row in its table (-1: none), and when it happened."""

    row: np.ndarray
    happened: np.ndarray

    @cached_property
    def _distinct(self) -> tuple[np.ndarray, pa.Array]:
        """Each row once, in the table's order, and for each row of the spine which of them is its own."""
        rows, place = np.unique(self.row, return_inverse=True)
        first = int(np.searchsorted(rows, 0))
        return rows[first:], pa.array(place - first, mask=place < first)

    def take(self, column: pa.ChunkedArray, hidden: np.ndarray) -> pa.ChunkedArray:
        """What a column of the table says in those rows; NULL where there is none, or where ``hidden`` is true.

        Values are read in the table's order, which is several times quicker than in the spine's.
        """
        rows, place = self._distinct
        begins = np.cumsum([0, *map(len, column.chunks)])
        cuts = np.searchsorted(rows, begins)
        pieces = [
            chunk.take(pa.array(rows[a:b] - begin))
            for chunk, begin, (a, b) in zip(column.chunks, begins, pairwise(cuts), strict=False)
        ]
        values = pa.concat_arrays([pa.nulls(0, column.type), *pieces])
        where = pc.if_else(pa.array(hidden), None, place) if hidden.any() else place
        return pa.chunked_array([values.take(where)])

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
        found = _flattened(relational, stream, keyed.keys, parts)
    else:
        found = lay(relational, stream, column, keyed.keys, parts)
    for part, rows in enumerate(found):
        asked = laid(part_of(keyed.code, part, parts), keyed.cutoff, len(rows.begins) - 1)
        at = _seen(rows, asked)
        places, seen = asked.row[at >= 0], at[at >= 0]
        row[places], happened[places] = rows.row[seen], rows.instants[seen]
    return Newest(row, happened)


def _seen(rows: Laid, asked: Laid) -> np.ndarray:
    """The place of the newest row that each of the rows asked about sees, -1 for none."""
    from penstock.engine.kernels.compiled import frozen
    from penstock.engine.kernels.newest import newest as walk

    since = rows.happened if rows.shown_from is None else rows.shown_from
    until = since[:0] if rows.shown_until is None else rows.shown_until
    given = [frozen(one) for one in (rows.begins, asked.begins, since, until, rows.arrivals, asked.happened)]
    room = 1 if rows.shown_until is None else int(np.diff(rows.begins).max(initial=0))
    found = np.empty(len(asked.row), np.int64)
    walk(given[0], given[1], given[2], given[3], given[4], given[5], np.empty(room, np.int64), found)
    return found


def _parts(relational: Relational, stream: Stream, keys: int) -> int:
    """How many parts keep one part's rows within a quarter of the memory; never more than there are keys."""
    needed = relational.count(stream.table) * 6 * 8 * 2
    return min(max(1, keys), max(1, -(-needed // max(1, relational.settings.memory // 4))))


def _flattened(relational: Relational, stream: Stream, keys: pa.Array, parts: int) -> Iterator[Laid]:
    """The stream's rows for each part of the keys, by the joins of any stream."""
    table = relational.rows.graph.table(stream.table)
    asked = Wanted(Field(table.name, ROW, Dtype.INT, Kind.ID), coded=False)
    inner = hold_inner(relational, stream, [])
    held = relational.hold(pa.table({"code": pa.array(np.arange(len(keys))), "key": keys}))
    try:
        for part in range(parts):
            flat = flatten(relational, stream, held, [asked], final=False, inner=inner, part=(part, parts), whole=True)
            count = (len(keys) - part + parts - 1) // parts
            row = flat.columns[asked.name].to_numpy()
            yield Laid(starts(flat.code // parts, count), row, flat.happened, flat.shown_from, flat.shown_until)
    finally:
        for name in [held, *inner.values()]:
            relational.drop(name)


__all__ = ["Newest", "newest"]
