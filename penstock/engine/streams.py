"""Aggregates of one stream for a spine: flatten, sort, sweep, and back in the spine's order.

Keys are numbered, and split by number into as many parts as keep each within the memory bound. Every key is worked
out alone, so the split changes no bit of the result.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.aggregates import AGGREGATES, Family
from penstock.engine.flatten import Flat, Wanted, flatten
from penstock.engine.relational import Relational
from penstock.engine.results import Column
from penstock.engine.segments import Request, Segments, Spine
from penstock.plan import Aggregate, Peers, Stream
from penstock.plan import aggregates as aggregates_in
from penstock.schema import Dtype
from penstock.window import BEGINNING, Lookahead, Lookback, Unit, Window

EVERYTHING = Lookback(None, 0)
"""The window of an aggregate that has none: its rows have no time."""


@dataclass(frozen=True)
class Keyed:
    """A spine whose rows are numbered by key: ``code`` (-1 without a key), and the keys in the order of their codes."""

    code: np.ndarray
    cutoff: np.ndarray
    keys: pa.Array

    def distinct(self) -> tuple[Keyed, np.ndarray]:
        """Each pair of key and cutoff once, and for each row the place of its own there: peers share their answers."""
        order = np.lexsort((self.cutoff, self.code))
        code, cutoff = self.code[order], self.cutoff[order]
        fresh = np.ones(len(order), bool)
        fresh[1:] = (code[1:] != code[:-1]) | (cutoff[1:] != cutoff[:-1])
        place = np.empty(len(order), np.int64)
        place[order] = np.cumsum(fresh) - 1
        return Keyed(code[fresh], cutoff[fresh], self.keys), place

    def part(self, number: int, of: int) -> tuple[np.ndarray, Spine]:
        """The places of the rows whose code leaves the rest ``number``, by key and cutoff, and as a spine of keys.

        Key ``i`` of the spine is the code ``i * of + number``.
        """
        places = np.flatnonzero((self.code >= 0) & (self.code % of == number))
        places = places[np.lexsort((self.cutoff[places], self.code[places]))]
        count = (len(self.keys) - number + of - 1) // of
        return places, Spine(starts(self.code[places] // of, count), self.cutoff[places])


def starts(codes: np.ndarray, count: int) -> np.ndarray:
    """Where each of ``count`` codes begins in a sorted array of codes, and where the last one ends.

    >>> starts(np.array([0, 0, 2]), 4).tolist()
    [0, 2, 2, 3, 3]
    """
    return np.searchsorted(codes, np.arange(count + 1)).astype(np.int64)


def sweep_stream(
    relational: Relational, spine: pa.Table, stream: Stream, aggregates: Sequence[Aggregate]
) -> dict[str, pa.Array]:
    """Each aggregate's column for the spine's rows, by the aggregate's text.

    The aggregates' streams may keep fewer rows than ``stream``, and differ from it in nothing else.
    """
    keyed, shared = number(spine, stream), None
    if stream.anchor is not None:
        keyed, shared = keyed.distinct()
    inner = hold_inner(relational, stream, aggregates)
    held = relational.hold(pa.table({"code": pa.array(np.arange(len(keyed.keys))), "key": keyed.keys}))
    results: dict[str, pa.Array] = {}
    try:
        for group, order_by in _groups(relational, stream, aggregates):
            columns = [Column(aggregate, relational, len(keyed.code), keyed.code >= 0) for aggregate in group]
            _sweep_group(relational, keyed, held, stream, columns, order_by, inner)
            for column in columns:
                found = column.finish()
                results[str(column.aggregate)] = found if shared is None else found.take(pa.array(shared))
    finally:
        for name in [held, *inner.values()]:
            relational.drop(name)
    return results


def number(spine: pa.Table, stream: Stream) -> Keyed:
    """The spine's rows numbered by entity, or by what the stream's anchor points to or has in common."""
    said = stream.anchor.field if isinstance(stream.anchor, Peers) else stream.anchor
    if said is None and stream.anchor is not None:
        return Keyed(np.zeros(len(spine), np.int64), spine["cutoff"].cast(pa.int64()).to_numpy(), pa.array([0]))
    column = spine["entity"] if said is None else spine[str(said)]
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.concat_arrays(encoded.chunks)
    code = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return Keyed(code, spine["cutoff"].cast(pa.int64()).to_numpy(), encoded.dictionary)


def _groups(
    relational: Relational, stream: Stream, aggregates: Sequence[Aggregate]
) -> Iterator[tuple[list[Aggregate], list[Wanted]]]:
    """Aggregates that can be swept together: those that look the same way, over one order of rows."""
    ahead = [a for a in aggregates if isinstance(a.window, Lookahead)]
    for same in (ahead, [a for a in aggregates if a not in ahead]):
        if same:
            table = relational.rows.graph.table(stream.table)
            told = bool(table.keys) and table.known is not None
            yield from by_order(stream, same, unique=told or relational.unique(stream.table))


def by_order(
    stream: Stream, aggregates: Sequence[Aggregate], *, unique: bool
) -> Iterator[tuple[list[Aggregate], list[Wanted]]]:
    """Aggregates that can share one order of rows, with the columns that must break ties in it.

    A ``unique`` key orders rows fully. Without one, FIRST and LAST of a column need ties ordered by that column, and so
    does everything that is asked of a column in a window of rows.
    """
    if unique:
        yield list(aggregates), []
        return
    ordered = [a for a in aggregates if AGGREGATES[a.function].family is Family.ORDER or (a.value and _in_rows(a))]
    rest = [a for a in aggregates if a not in ordered]
    if rest:
        distinct = {w.name: w for a in rest if (w := wanted(a, stream))}
        yield rest, [distinct[name] for name in sorted(distinct)]
    for key in dict.fromkeys(wanted(a, stream) for a in ordered):
        yield [a for a in ordered if wanted(a, stream) == key], [] if key is None else [key]


def wanted(aggregate: Aggregate, stream: Stream) -> Wanted | None:
    """The column an aggregate needs of the stream's rows, as values or as codes; none to count all rows."""
    where = aggregate.stream.where if aggregate.stream.where != stream.where else None
    if aggregate.value is None:
        return None if where is None else Wanted(None, False, where)
    family = AGGREGATES[aggregate.function].family
    numeric = aggregate.value.dtype in (Dtype.INT, Dtype.FLOAT, Dtype.TIMESTAMP)
    return Wanted(aggregate.value, family in (Family.FREQUENCY, Family.LIST) or not numeric, where)


def _in_rows(aggregate: Aggregate) -> bool:
    return aggregate.window is not None and aggregate.window.unit is Unit.ROWS


def over(aggregate: Aggregate, stream: Stream) -> tuple[Window, Wanted | None]:
    """The window an aggregate is over, and what tells the rows that a window of rows counts: those its filter keeps."""
    own = _in_rows(aggregate) and aggregate.stream.where != stream.where
    return aggregate.window or EVERYTHING, Wanted(None, False, aggregate.stream.where) if own else None


def _sweep_group(
    relational: Relational,
    keyed: Keyed,
    held: str,
    stream: Stream,
    columns: Sequence[Column],
    order_by: Sequence[Wanted],
    inner: dict[Aggregate, str],
) -> None:
    from penstock.engine.sweep import sweep  # loads the kernels, which not every question needs

    aggregates = [column.aggregate for column in columns]
    final = any(isinstance(a.window, Lookahead) for a in aggregates)
    overs = list(dict.fromkeys(over(a, stream) for a in aggregates))
    windows = [window for window, _ in overs]
    needed = [*(wanted(a, stream) for a in aggregates), *(kept for _, kept in overs)]
    asked = list(dict.fromkeys(w for w in needed if w))
    parts = _parts(relational, stream, len(asked), len(keyed.keys))
    for part in range(parts):
        places, spine = keyed.part(part, parts)
        flat = flatten(relational, stream, held, asked, final=final, order_by=order_by, inner=inner, part=(part, parts))
        arrays = {w: _array(flat, w) for w in asked}
        requests = [_request(a, overs.index(over(a, stream)), arrays, stream) for a in aggregates]
        counted = {number: np.isfinite(arrays[kept]) for number, (_, kept) in enumerate(overs) if kept}
        segments = _segments(flat, parts, len(spine.spine_starts) - 1)
        threads = relational.settings.threads
        results = sweep(segments, spine, windows, requests, threads, lookahead=final, counted=counted)
        for column, result in zip(columns, results, strict=True):
            column.put(places, result, flat, wanted(column.aggregate, stream))


def _segments(flat: Flat, parts: int, count: int) -> Segments:
    return Segments(starts(flat.code // parts, count), flat.happened, flat.shown_from, flat.shown_until)


def _request(aggregate: Aggregate, window: int, arrays: dict[Wanted, np.ndarray], stream: Stream) -> Request:
    needed = wanted(aggregate, stream)
    column = None if needed is None else arrays[needed]
    if column is not None and AGGREGATES[aggregate.function].family is Family.EXTREMES and needed and needed.coded:
        column = np.where(column >= 0, column, np.nan).astype(np.float64)
    return Request(aggregate.function, window, column, aggregate.n)


def _array(flat: Flat, column: Wanted) -> np.ndarray:
    """A flattened column for the kernels: int32 codes, or float64 with NaN for NULL."""
    values = flat.columns[column.name]
    if column.coded:
        return np.ascontiguousarray(values.to_numpy(), np.int32)
    if pa.types.is_timestamp(values.type):
        values = values.cast(pa.int64())
    return np.ascontiguousarray(values.to_numpy(zero_copy_only=False), np.float64)


def _parts(relational: Relational, stream: Stream, columns: int, keys: int) -> int:
    """How many parts keep one part's rows, as DuckDB sorts them and as arrays, within a quarter of the memory.

    There are never more parts than keys: one key's rows are swept together.
    """
    needed = relational.count(stream.table) * (5 + columns) * 8 * 3
    return min(max(1, keys), max(1, -(-needed // max(1, relational.settings.memory // 4))))


def interactions(relational: Relational, target: Aggregate) -> pa.Table:
    """Which entity met which item when: the rows a LIST_DISTINCT reads, over all time.

    Columns ``entity``, ``item``, ``happened`` and ``known`` (microseconds; known is when the row first showed).
    """
    schema = relational.rows.graph.table(target.stream.root)
    keys = relational.keys(schema.name, schema.keys[0])
    held = relational.hold(pa.table({"code": pa.array(np.arange(len(keys))), "key": keys}))
    inner = hold_inner(relational, target.stream, [])
    assert target.value is not None
    asked = Wanted(target.value, coded=False)
    try:
        flat = flatten(relational, target.stream, held, [asked], final=False, inner=inner)
    finally:
        for name in [held, *inner.values()]:
            relational.drop(name)
    known = flat.happened if flat.shown_from is None else flat.shown_from
    columns = {"entity": keys.take(pa.array(flat.code)), "item": flat.columns[asked.name]}
    rows = pa.table({**columns, "happened": pa.array(flat.happened), "known": pa.array(known)})
    return rows.filter(pc.is_valid(rows["item"]))


def hold_inner(relational: Relational, stream: Stream, aggregates: Sequence[Aggregate]) -> dict[Aggregate, str]:
    """Aggregates in the filters, worked out for each of its rows at the row's own time, held by key."""
    filters = dict.fromkeys([stream.where, *(a.stream.where for a in aggregates)])
    inner = list(dict.fromkeys(a for where in filters for a in aggregates_in(where)))
    if not inner:
        return {}
    table = relational.rows.graph.table(stream.table)
    key, happened = table.keys[0], table.happened
    relation = relational.relation(stream.table, [key, *([happened] if happened else [])], final=False)
    at = f"make_timestamp(coalesce(_h, {BEGINNING // 2**12}))"
    spine = relational.query(f'SELECT DISTINCT "{key}" AS entity, {at} AS cutoff FROM {relation}')
    values: dict[str, pa.Array] = {}
    for sub in dict.fromkeys(a.stream for a in inner):
        values |= sweep_stream(relational, spine, sub, [a for a in inner if a.stream == sub])
    held = {}
    for aggregate in inner:
        columns = {
            "key": spine["entity"],
            "happened": spine["cutoff"].cast(pa.int64()),
            "value": values[str(aggregate)],
        }
        held[aggregate] = relational.hold(pa.table(columns))
    return held


__all__ = ["EVERYTHING", "by_order", "interactions", "number", "over", "starts", "sweep_stream", "wanted"]
