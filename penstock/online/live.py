"""Reading features from the source database itself, with no store: only the rows of the entities asked about are read.

Along each stream's path a table is asked for the rows that point to the ones before; those few rows then go through the
same joins as for training, and through the same sweep. Streams of peers, and filters that look at aggregates, read
their tables whole.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from penstock.engine.relational import ARROW, Relational, opened
from penstock.engine.streams import starts
from penstock.errors import RequestError
from penstock.features.views.bound import Bound
from penstock.features.views.entities import EntityRows, Joins, decomposed
from penstock.lake.cursors import Cursors
from penstock.lake.rows import as_told
from penstock.lake.source import Source
from penstock.lake.where import distinct, read_where, release
from penstock.online import heads, records
from penstock.online.answering.held import Events, Keys, Row, showing
from penstock.online.build import KeyRows, built
from penstock.online.changed import identity, is_whole, read_by, ways_up
from penstock.online.holdings import Holding
from penstock.online.reading import FeatureReader, Part
from penstock.online.texts import decoded
from penstock.plan import Stream
from penstock.schema import Graph, Link, Table
from penstock.settings import Settings


class LiveReader(FeatureReader):
    """Features of entities as they are now, from a source database; ``now`` tells the instant in microseconds.

    It reads as `penstock.online.reading.OnlineReader` does, and gives the same. ``must_be_live`` raises
    ``RequestError`` for a table that the source cannot give.
    """

    def __init__(
        self,
        bound: Bound,
        source: Source,
        now: Callable[[], int],
        settings: Settings,
        must_be_live: Callable[[str], None] = lambda _: None,
    ) -> None:
        super().__init__(bound, now)
        self.source, self.settings, self.must_be_live = source, settings, must_be_live
        self._engine = Cursors(lambda: opened(settings))
        self._sound: set[str] = set()

    def rows(self, parts: Sequence[Part], instant: int) -> tuple[Sequence[LiveRows], int]:
        """The source's own rows. Raises ``RequestError`` for a view that rests on a table that it cannot give."""
        for part in parts:
            if part.view.kept not in self._sound:
                self._must_be_live(part)
                self._sound.add(part.view.kept)
        found = LiveRows(self.source, self.bound.graph, self.bound.joins, self._engine, self.settings)
        return [found] * len(parts), instant

    def _must_be_live(self, part: Part) -> None:
        for table in {name for one in part.kept.holdings for name in read_by(one, self.bound.graph, self.bound.joins)}:
            try:
                self.must_be_live(table)
            except RequestError as error:
                message = f"{part.view.kept} cannot be answered live: {error.message}"
                raise RequestError(error.code, message, name=part.view.kept, hint=error.hint) from error

    def close(self) -> None:
        """Let go of the source's connections, and of the engine."""
        release(self.source)
        self._engine.close()


@dataclass
class LiveRows:
    """The rows of holdings, read from a source for the keys that are asked for; ``texts`` are those met on the way."""

    source: Source
    graph: Graph
    joins: Joins
    engine: Cursors
    settings: Settings
    texts: Texts = field(default_factory=lambda: Texts({}))

    def newest(self, holding: Holding, keys: Keys, at: int) -> list[Row | None]:
        """The newest row of each key that shows at ``at``."""
        found = self._built(holding, keys, at)
        clocks = [one.tolist() for one in (found.happened, found.shown_from, found.shown_until)]
        rows = [list(row) for row in zip(*clocks, *map(heads.plain, found.columns), strict=True)]
        newest = {
            key: showing(rows[begin:end], at)
            for key, begin, end in zip(_plain(found.keys), found.starts[:-1], found.starts[1:], strict=True)
        }
        return [newest.get(key) for key in keys.values]

    def events(self, holding: Holding, keys: Keys, at: int) -> Events:
        """The events of each key that windows reach at ``at``."""
        found = self._built(holding, keys, at)
        values = []
        for column, dtype in zip(found.columns, holding.dtypes, strict=True):
            stored, texts = records.stored(column, dtype)
            self.texts.known.update({hash_: decoded(data) for hash_, data in texts.items()})
            values.append(stored)
        whole = records.Records(found.happened, found.shown_from, found.shown_until, tuple(values)).matrix()
        order, begins = _in_order(found, keys)
        block = whole[order].T.copy()
        return Events(begins, block[0], block[1], block[2], block[records.CLOCKS :])

    def _built(self, holding: Holding, keys: Keys, at: int) -> KeyRows:
        asked = _distinct(keys)
        rows = EntityRows(self._narrowed(holding, asked), self.joins, self.graph)
        with self.engine.one() as cursor:
            return built(holding, Relational(rows, self.settings, given=cursor), asked, at=at)

    def _narrowed(self, holding: Holding, keys: pa.Array) -> SomeRows:
        rows = SomeRows(self.source, self.graph, self.joins)
        if not is_whole(holding):
            _Walk(rows, holding).down(keys)
        return rows


@dataclass(frozen=True)
class Texts:
    """Texts by their hashes."""

    known: dict[int, object]

    def get(self, hashes: Iterable[int]) -> dict[int, object]:
        """The text of each hash."""
        return {one: self.known[one] for one in hashes}


@dataclass
class SomeRows:
    """Rows of a source's tables in the dtypes of a graph: of each table those that were ``asked`` for, else all."""

    source: Source
    graph: Graph
    joins: Joins
    asked: dict[str, dict[tuple[str, ...], pa.Table] | None] = field(default_factory=dict)
    _read: dict[str, pa.Table] = field(default_factory=dict, repr=False)

    @property
    def fingerprint(self) -> str:
        """Never equal to another's: rows are read on the spot."""
        return f"live {id(self)}"

    def ask(self, table: str, keys: pa.Table | None) -> None:
        """Ask for the rows that have one of these keys too, in the columns called so; None asks for all rows."""
        told = self.asked.setdefault(table, {})
        self._read.pop(table, None)
        if keys is None or told is None:
            self.asked[table] = None
        else:
            columns = tuple(keys.column_names)
            before = [told[columns]] if columns in told else []
            told[columns] = distinct(pa.concat_tables([*before, keys]))

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of the rows asked for, as they are when they are first read."""
        if table not in self._read:
            names, keys = self._columns(table), self.asked.get(table) or {}
            raw, told = read_where(self.source, table, names, list(keys.values())), self.graph.table(table)
            self._read[table] = pa.table([as_told(told, name, raw[name]) for name in names], names=names)
        return self._read[table].select(list(columns))

    def _columns(self, table: str) -> list[str]:
        made = self.joins.made(table)
        return [column.name for column in self.graph.table(table).columns if column.name not in made]


@dataclass(frozen=True)
class _Walk:
    """The way from keys to the rows that a holding needs of them: what is met on it is asked for."""

    rows: SomeRows
    holding: Holding

    def down(self, keys: pa.Array) -> None:
        """From the keys down the stream's path, and from its rows up to parents."""
        found = self._first(self.holding.stream, keys)
        for link in self.holding.stream.hops[1:]:
            found = self._step(link.table, self._said(found, link, down=True))
        at: dict[tuple[Link, ...], pa.Table | None] = {(): found}
        for way in ways_up(self.holding):
            at[way] = self._step(way[-1].to, self._said(at[way[:-1]], way[-1], down=False))

    def _first(self, stream: Stream, keys: pa.Array) -> pa.Table | None:
        if not stream.hops:
            return self._step(stream.root, pa.table({self.rows.graph.table(stream.root).keys[0]: keys}))
        link = stream.hops[0]
        made = self.rows.joins.made(link.table).get(link.columns[0])
        if made is None:
            return self._step(link.table, pa.table({link.columns[0]: keys}))
        table = self.rows.graph.table(link.table)
        return self._step(link.table, decomposed(keys, {name: table.column(name).dtype for name in made}))

    def _said(self, found: pa.Table | None, link: Link, *, down: bool) -> pa.Table | None:
        """What rows that were met say in the columns at their end of a link, by the names of those at the other.

        Columns of two dtypes are left out, for they are compared otherwise. None: anything.
        """
        graph = self.rows.graph
        child, parent = graph.table(link.table), graph.table(link.to)
        ends = [
            (ours, key) if down else (key, ours)
            for ours, key in zip(link.columns, parent.keys, strict=True)
            if child.column(ours).dtype is parent.column(key).dtype
        ]
        said = {} if found is None else {to: found[name] for to, name in ends if name in found.column_names}
        return pa.table(said) if said else None

    def _step(self, table: str, keys: pa.Table | None) -> pa.Table | None:
        """Ask for the rows of a table that have one of these keys, and for all versions of those; None: all rows."""
        schema = self.rows.graph.table(table)
        keys = self._compared(schema, keys)
        self.rows.ask(table, keys)
        if keys is None:
            return None
        made = self.rows.joins.made(table)
        needed = {*identity(self.rows.graph, table), *self._looked_at()} - made.keys()
        columns = [one.name for one in schema.columns if one.name in needed]
        found = self.rows.read(table, columns)
        if schema.known is not None and schema.keys and not {*keys.column_names} <= {*schema.keys}:
            self.rows.ask(table, self._compared(schema, found.select(list(schema.keys))))
            found = self.rows.read(table, columns)
        return found

    def _compared(self, schema: Table, keys: pa.Table | None) -> pa.Table | None:
        """Each key once, by those of its columns that a source can be asked by; None where it can by none."""
        names = [] if keys is None else keys.column_names
        kinds = {name: ARROW[schema.column(name).dtype] for name in names if schema.has(name)}
        told = {name: kind for name, kind in kinds.items() if kind in _ASKED}
        return None if keys is None or not told else distinct(keys.select(list(told)).cast(pa.schema(told)))

    def _looked_at(self) -> set[str]:
        """The columns by which parents are found."""
        return {column for way in ways_up(self.holding) for link in way for column in link.columns}


_ASKED = (pa.int64(), pa.string(), pa.timestamp("us"))
"""Types of keys that a source can be asked for."""


def _distinct(keys: Keys) -> pa.Array:
    """The keys that are not NULL, each once."""
    values = list(dict.fromkeys(key for key in keys.values if key is not None))
    kind = ARROW[keys.dtype]
    return pa.array(values, pa.int64()).cast(kind) if pa.types.is_timestamp(kind) else pa.array(values, kind)


def _plain(keys: pa.Array) -> list[Any]:
    return heads.plain(keys)


def _in_order(found: KeyRows, keys: Keys) -> tuple[Any, Any]:
    """The places of the rows of the keys as they were asked for, and where each key's begin."""
    where: Mapping[Any, int] = {key: place for place, key in enumerate(_plain(found.keys))}
    places = [where.get(key, -1) for key in keys.values]
    spans = [
        np.arange(found.starts[place], found.starts[place + 1]) if place >= 0 else np.arange(0) for place in places
    ]
    order = np.concatenate(spans) if spans else np.arange(0)
    return order, starts(np.repeat(np.arange(len(spans)), [len(span) for span in spans]), len(spans))


__all__ = ["LiveReader", "LiveRows", "SomeRows"]
