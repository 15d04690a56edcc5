"""A holding's rows out of a database: the joins of training, for some keys or all, without what no one can ask again.

Rows of which only what they say themselves is kept are laid by key without a join, and columns are then taken for those
that stay. The engine takes whole columns into memory, as it does for training; what is made of them goes by parts of
keys.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from penstock.engine.compile import identifier
from penstock.engine.flatten import Flat, flatten
from penstock.engine.laid import key_column, lay
from penstock.engine.relational import ARROW, TYPES, Relational
from penstock.engine.streams import hold_inner, starts
from penstock.online.holdings import Holding
from penstock.plan import Aggregate, Peers
from penstock.window import END

_AT_ONCE = 8
"""So many columns are read at a time."""


@dataclass(frozen=True)
class KeyRows:
    """The rows of some keys: those of ``keys[i]`` lie from ``starts[i]`` to ``starts[i + 1]``, in the stream's order.

    Clocks are int64 microseconds; ``columns`` are those of the holding, in its order.
    """

    keys: pa.Array
    starts: np.ndarray
    happened: np.ndarray
    shown_from: np.ndarray
    shown_until: np.ndarray
    columns: tuple[pa.ChunkedArray, ...]

    def __len__(self) -> int:
        return len(self.happened)

    @property
    def code(self) -> np.ndarray:
        """For each row the place of its key."""
        return np.repeat(np.arange(len(self.keys)), np.diff(self.starts))

    def taken(self, rows: np.ndarray) -> KeyRows:
        """Some of the rows, by their numbers in order; all keys stay."""
        columns = tuple(column.take(pa.array(rows)) for column in self.columns)
        clocks = (self.happened[rows], self.shown_from[rows], self.shown_until[rows])
        return KeyRows(self.keys, starts(self.code[rows], len(self.keys)), *clocks, columns)

    def between(self, first: int, last: int) -> KeyRows:
        """The keys from ``first`` up to ``last``, with their rows."""
        low, high = int(self.starts[first]), int(self.starts[last])
        columns = tuple(column.slice(low, high - low) for column in self.columns)
        happened, shown_from, shown_until = (
            self.happened[low:high],
            self.shown_from[low:high],
            self.shown_until[low:high],
        )
        return KeyRows(
            self.keys[first:last], self.starts[first : last + 1] - low, happened, shown_from, shown_until, columns
        )


def built(holding: Holding, relational: Relational, keys: pa.Array | None = None, *, at: int) -> KeyRows:
    """The rows of these keys (None: of all there are), those alone that can be asked for at ``at`` or later.

    Keys without rows are given too, with none.
    """
    chosen = keys_of(holding, relational) if keys is None else keys.cast(ARROW[holding.key])
    column = key_column(relational, holding.stream, chosen.type) if is_plain(holding) else None
    if column is None:
        return asked_later(holding, _flattened(holding, relational, chosen), at)
    numbered = asked_later(holding, _laid(holding, relational, chosen, column), at)
    return replace(numbered, columns=_taken(holding, relational, numbered.columns[0].to_numpy()))


def is_plain(holding: Holding) -> bool:
    """Whether all that is kept of a row stands in the row itself, and its key and its clocks tell its place."""
    own = all(one.where is None and (one.field is None or not one.field.hops) for one in holding.columns)
    return own and not holding.order_by


def keys_of(holding: Holding, relational: Relational) -> pa.Array:
    """All keys that rows of a database have been told of, in order; not NULL."""
    found = named_by(holding, relational)
    if found is None:
        return pa.array([0], ARROW[holding.key])
    table, column = found
    source, kind = relational.source(table, [column]), TYPES[holding.key]
    key = f"TRY_CAST({identifier(column)} AS {kind})"
    text = f"SELECT DISTINCT {key} AS key FROM {source} WHERE {key} IS NOT NULL ORDER BY key"
    return one_array(relational.query(text)["key"], ARROW[holding.key])


def named_by(holding: Holding, relational: Relational) -> tuple[str, str] | None:
    """The table and column whose values are the holding's keys; None where all rows belong to one key, 0."""
    stream = holding.stream
    if isinstance(stream.anchor, Peers):
        said = stream.anchor.field
        return None if said is None else (said.table, said.column)
    if stream.hops:
        return stream.hops[0].table, stream.hops[0].columns[0]
    return stream.root, relational.rows.graph.table(stream.root).keys[0]


def one_array(column: pa.ChunkedArray, kind: pa.DataType) -> pa.Array:
    """A column as one array of a type."""
    whole = column.cast(kind).combine_chunks()
    return pa.concat_arrays(whole.chunks) if isinstance(whole, pa.ChunkedArray) and whole.num_chunks else whole


def _laid(holding: Holding, relational: Relational, keys: pa.Array, column: str) -> KeyRows:
    """The rows whose ``column`` is one of the keys, without joins; the one column is their numbers in the table."""
    (rows,) = lay(relational, holding.stream, column, keys, 1)
    shown_from = rows.happened if rows.shown_from is None else rows.shown_from
    shown_until = np.full(len(rows.row), END) if rows.shown_until is None else rows.shown_until
    return KeyRows(keys, rows.begins, rows.happened, shown_from, shown_until, (pa.chunked_array([rows.row]),))


def _taken(holding: Holding, relational: Relational, rows: np.ndarray) -> tuple[pa.ChunkedArray, ...]:
    """What the columns say in rows of these numbers; a few whole columns are in memory at a time."""
    table, places = holding.stream.table, pa.array(rows)
    names = list(dict.fromkeys(one.field.column for one in holding.columns if one.field is not None))
    found: dict[str, pa.ChunkedArray] = {}
    for first in range(0, len(names), _AT_ONCE):
        read = relational.read(table, names[first : first + _AT_ONCE])
        found |= {name: column.take(places) for name, column in zip(read.column_names, read.columns, strict=True)}
    marks = pa.chunked_array([np.ones(len(rows))])
    return tuple(marks if one.field is None else found[one.field.column] for one in holding.columns)


def _flattened(holding: Holding, relational: Relational, keys: pa.Array) -> KeyRows:
    inner = hold_inner(relational, holding.stream, _filters(holding))
    held = relational.hold(pa.table({"code": pa.array(np.arange(len(keys))), "key": keys}))
    try:
        whole = holding.newest and not relational.rows.graph.table(holding.stream.table).keys
        flat = flatten(
            relational, holding.stream, held, holding.columns, final=False, order_by=holding.order_by, inner=inner,
            whole=whole,
        )  # fmt: skip
    finally:
        for name in (held, *inner.values()):
            relational.drop(name)
    return _key_rows(holding, keys, flat)


def _filters(holding: Holding) -> Sequence[Aggregate]:
    """Aggregates over the stream with the filters that single columns have, for what is inside of those."""
    wheres = dict.fromkeys(one.where for one in (*holding.columns, *holding.order_by) if one.where is not None)
    return [Aggregate("COUNT", replace(holding.stream, where=where), None, None) for where in wheres]


def _key_rows(holding: Holding, keys: pa.Array, flat: Flat) -> KeyRows:
    shown_from = flat.happened if flat.shown_from is None else flat.shown_from
    shown_until = np.full(len(flat.happened), END) if flat.shown_until is None else flat.shown_until
    columns = tuple(flat.columns[one.name] for one in holding.columns)
    return KeyRows(keys, starts(flat.code, len(keys)), flat.happened, shown_from, shown_until, columns)


# ------------------------------------------------------------------------------------------------- what is asked later


def asked_later(holding: Holding, rows: KeyRows, at: int) -> KeyRows:
    """The rows that an answer at ``at`` or later may rest on.

    Of newest rows those that may be the last one shown; of others those that a window still reaches. Rows that never
    show again are left out.
    """
    kept = rows.shown_until > at
    if holding.reach is not None:
        kept &= rows.happened > at - holding.reach
    if holding.newest:
        kept = _last_shown(rows, kept, at)
    return rows if kept.all() else rows.taken(np.flatnonzero(kept))


def _last_shown(rows: KeyRows, kept: np.ndarray, at: int) -> np.ndarray:
    """Which rows no later one of their key covers for all of the time that they show from ``at`` on."""
    live = np.flatnonzero(kept)
    code, until = rows.code[live], rows.shown_until[live]
    begins = np.maximum(rows.shown_from[live], at)
    last = np.searchsorted(code, code, side="right") - 1
    covered = (last > np.arange(len(live))) & (begins[last] <= begins) & (until[last] >= until)
    left = np.flatnonzero(~covered)
    found = np.zeros(len(kept), bool)
    found[live[left[_uncovered(code[left], begins[left], until[left])]]] = True
    return found


def _uncovered(code: np.ndarray, begins: np.ndarray, until: np.ndarray) -> np.ndarray:
    """Of rows by key in order, the numbers of those that no later one of the key covers.

    >>> _uncovered(np.array([0, 0, 0]), np.array([5, 1, 3]), np.array([9, 4, 9])).tolist()
    [1, 2]
    """
    alone = np.ones(len(code), bool)
    alone[1:] &= code[1:] != code[:-1]
    alone[:-1] &= code[:-1] != code[1:]
    found = np.flatnonzero(alone).tolist()
    seen: tuple[list[int], list[int]] = ([], [])
    key = None
    for place in np.flatnonzero(~alone)[::-1].tolist():
        if code[place] != key:
            key, seen = code[place], ([], [])
        if _steps_out(seen, int(begins[place]), int(until[place])):
            found.append(place)
    return np.sort(np.array(found, np.int64))


def _steps_out(seen: tuple[list[int], list[int]], begins: int, until: int) -> bool:
    """Whether an interval lies in none that was seen; then it is seen too, and those within it are forgotten."""
    starts_, ends = seen
    place = bisect_right(starts_, begins)
    if place and ends[place - 1] >= until:
        return False
    place -= bool(place and starts_[place - 1] == begins)
    stop = bisect_right(ends, until)
    starts_[place : max(place, stop)], ends[place : max(place, stop)] = [begins], [until]
    return True


__all__ = ["KeyRows", "asked_later", "built", "keys_of", "named_by", "one_array"]
