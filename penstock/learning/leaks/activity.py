"""What happened to a table's rows after they began: the evidence against columns that were overwritten since.

Only rows that had happened by an instant are read, so that nothing later decides which features there are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.learning.calibration.calibrate import Floats
from penstock.learning.rows.dataset import Rows as Places
from penstock.learning.rows.dataset import hashed
from penstock.plan import Rows
from penstock.schema import Column, Dtype, Kind, Link, Table

MOST_ROWS = 20_000
"""Of a table's rows, drawn by a hash of the key, so that the order of the rows counts for nothing."""
MOST_TEXTS = 200_000
"""Of keys that are texts: more take too long to hash."""
MOST_SUMMED = 4
"""How many columns of a stream are summed up to look for totals."""


@dataclass(frozen=True)
class Stream:
    """Rows of a table that point to the drawn rows: to which (its place), and when (microseconds).

    ``numbers`` are the columns that a total may have been made of.
    """

    table: str
    place: Places
    when: Places
    numbers: dict[str, Floats]

    def only(self, kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> Stream:
        """The rows for which ``kept`` is true."""
        numbers = {name: values[kept] for name, values in self.numbers.items()}
        return Stream(self.table, self.place[kept], self.when[kept], numbers)

    def count(self, many: int, after: int | None = None, until: int | None = None) -> Floats:
        """How many rows each of ``many`` places has in (after, until]."""
        kept = np.ones(len(self.when), bool)
        if after is not None:
            kept &= self.when > after
        if until is not None:
            kept &= self.when <= until
        return np.bincount(self.place[kept], minlength=many).astype(np.float64)

    def first(self, many: int) -> Places:
        """When each place's first row happened; the end of time where none did."""
        found = np.full(many, np.iinfo(np.int64).max)
        np.minimum.at(found, self.place, self.when)
        return found

    def last(self, many: int) -> Places:
        """When each place's last row happened; the beginning of time where none did."""
        found = np.full(many, np.iinfo(np.int64).min)
        np.maximum.at(found, self.place, self.when)
        return found

    def total(self, many: int, column: str) -> Floats:
        """The sum of a column a place; NULL adds nothing."""
        summed: Floats = np.bincount(self.place, np.nan_to_num(self.numbers[column]), many).astype(np.float64)
        return summed


@dataclass(frozen=True)
class Watched:
    """Rows of a table that had happened by ``until``, drawn by lot, and what happened to them by then.

    ``born`` is None for tables without a clock.
    """

    table: Table
    rows: pa.Table
    born: Places | None
    until: int
    streams: tuple[Stream, ...]

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @cached_property
    def age(self) -> Floats | None:
        """How long each row has been there at ``until``, in microseconds."""
        return None if self.born is None else (self.until - self.born).astype(np.float64)


def watch(rows: Rows, table: Table, columns: Sequence[Column], until: int) -> Watched:
    """These columns of a table's rows, up to 20,000 of them, with the clocked rows that point to them."""
    clock = [] if table.happened is None else [table.happened]
    read = rows.read(table.name, list(dict.fromkeys([*table.keys, *clock, *(c.name for c in columns)])))
    if clock:
        read = read.filter(pc.less_equal(read[clock[0]].cast(pa.int64()), until))
    read = _drawn(read, _told_apart(table, read))
    born = _instants(read[clock[0]]) if clock else None
    streams = tuple(_streams(rows, table, read, until)) if len(table.keys) == 1 else ()
    return Watched(table, read, born, until, streams)


def _told_apart(table: Table, read: pa.Table) -> Sequence[str]:
    """The columns by which rows are drawn: the key, unless there is none, or one of very many texts."""
    texts = any(pa.types.is_string(read.schema.field(name).type) for name in table.keys)
    return table.keys if table.keys and not (texts and len(read) > MOST_TEXTS) else read.drop(table.keys).column_names


def _drawn(read: pa.Table, by: Sequence[str]) -> pa.Table:
    """Rows in the order of a hash of these columns, those with the smallest ones."""
    mixed = np.zeros(len(read), np.uint64)
    for name in by:
        mixed = mixed * np.uint64(0x9E3779B97F4A7C15) + hashed(_plain(read[name]), 7)
    some = np.flatnonzero(mixed <= np.partition(mixed, MOST_ROWS)[MOST_ROWS]) if len(read) > MOST_ROWS else None
    found, mixed = (read, mixed) if some is None else (read.take(pa.array(some)), mixed[some])
    return found.take(pa.array(np.argsort(mixed, kind="stable")[:MOST_ROWS]))


def _plain(values: Any) -> Any:
    """Values that can be hashed quickly: instants and whole numbers as whole numbers, NULL being the least of them."""
    if pa.types.is_timestamp(values.type) or pa.types.is_boolean(values.type):
        values = values.cast(pa.int64())
    if pa.types.is_floating(values.type):
        bits = pc.fill_null(values, np.nan).to_numpy().view(np.int64)
        return pa.array(bits)
    return pc.fill_null(values, -(2**62)) if pa.types.is_integer(values.type) else values


def _instants(values: Any) -> Places:
    """Microseconds; NULL is the end of time."""
    found: Places = pc.fill_null(values.cast(pa.int64()), np.iinfo(np.int64).max).to_numpy(zero_copy_only=False)
    return found


def _streams(rows: Rows, table: Table, drawn: pa.Table, until: int) -> Iterator[Stream]:
    """The clocked children of the drawn rows; where there are none, the children of children without a clock."""
    keys = drawn[table.keys[0]].combine_chunks()
    links = [link for link in rows.graph.links_to(table.name) if len(link.columns) == 1]
    clocked = [link for link in links if rows.graph.table(link.table).happened is not None]
    for link in clocked:
        yield _stream(rows, link, keys, until)
    for link in () if clocked else links:
        between = rows.graph.table(link.table)
        below = [k for k in rows.graph.links_to(between.name) if len(k.columns) == 1 and len(between.keys) == 1]
        for onward in (k for k in below if rows.graph.table(k.table).happened is not None):
            pairs = rows.read(between.name, [between.keys[0], link.columns[0]])
            place = _places(pairs[link.columns[0]], keys)
            stream = _stream(rows, onward, pairs[between.keys[0]].combine_chunks(), until)
            owner = place[stream.place]
            yield replace(stream, place=owner).only(owner >= 0)


def pointed(rows: Rows, link: Link, watched: Watched) -> Floats:
    """How many rows point by the link to each of the watched rows."""
    keys = watched.rows[watched.table.keys[0]].combine_chunks()
    place = _places(rows.read(link.table, list(link.columns))[link.columns[0]], keys)
    return np.bincount(place[place >= 0], minlength=len(watched)).astype(np.float64)


def _places(pointing: Any, keys: Any) -> Places:
    """For each value its place among the keys, -1 where it is none of them."""
    if pointing.type != keys.type:
        keys = keys.cast(pointing.type, safe=False)
    found: Places = pc.fill_null(pc.index_in(pointing, value_set=keys), -1).to_numpy().astype(np.int64)
    return found


def _stream(rows: Rows, link: Link, keys: Any, until: int) -> Stream:
    table = rows.graph.table(link.table)
    assert table.happened is not None
    number = [c.name for c in table.columns if c.kind is Kind.NUMERICAL and c.dtype in (Dtype.INT, Dtype.FLOAT)]
    clocks = [c for c in (table.happened, table.known) if c is not None]
    read = rows.read(table.name, list(dict.fromkeys([link.columns[0], *clocks, *number[:MOST_SUMMED]])))
    place, when = _places(read[link.columns[0]], keys), _instants(read[table.happened])
    kept = (place >= 0) & (when <= until)
    if table.known is not None:
        kept &= _instants(read[table.known]) <= until
    mask = pa.array(kept)
    numbers = {n: _numbers(read[n].filter(mask)) for n in number[:MOST_SUMMED]}
    return Stream(link.table, place[kept], when[kept], numbers)


def _numbers(values: Any) -> Floats:
    """As floats; NULL is NaN."""
    found: Floats = values.cast(pa.float64()).to_numpy(zero_copy_only=False)
    return found
