"""Reading features from the source database itself, with no store: only the rows of the entities asked about are read.

Along each stream's path a table is asked for the rows that point to the ones before; those few rows then go through the
same joins as for training, and through the same sweep. Streams of peers, and filters that look at aggregates, read
their tables whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.relational import ARROW, Relational, opened
from penstock.engine.streams import starts
from penstock.errors import RequestError
from penstock.features.views.bound import Bound
from penstock.features.views.entities import EntityRows, Joins
from penstock.lake.rows import as_told
from penstock.lake.source import Source
from penstock.lake.where import AnyOf, read_where, release
from penstock.online import heads, records
from penstock.online.answering.held import Events, Keys, Row, showing
from penstock.online.build import KeyRows, built
from penstock.online.changed import identity, is_whole, read_by, ways_up
from penstock.online.holdings import Holding
from penstock.online.reading import FeatureReader, Part
from penstock.online.texts import decoded
from penstock.plan import Rows, Stream
from penstock.schema import Graph, Link
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
        self.source, self.engine, self.must_be_live = source, Engine(settings), must_be_live
        self._sound: set[str] = set()

    def rows(self, parts: Sequence[Part], instant: int) -> tuple[Sequence[LiveRows], int]:
        """The source's own rows. Raises ``RequestError`` for a view that rests on a table that it cannot give."""
        for part in parts:
            if part.view.kept not in self._sound:
                self._must_be_live(part)
                self._sound.add(part.view.kept)
        found = LiveRows(self.source, self.bound.graph, self.bound.joins, self.engine)
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
        self.engine.close()


@dataclass
class Engine:
    """One engine for all reads of a process, which opening costs more than most reads."""

    settings: Settings
    _root: tuple[int, Any] | None = field(default=None, repr=False)
    _left: list[Any] = field(default_factory=list, repr=False)
    _turn: Any = field(default_factory=Lock, repr=False)

    def over(self, rows: Rows) -> Relational:
        """The engine over some rows, for one read: close its connection after that."""
        with self._turn:
            if self._root is None or self._root[0] != os.getpid():
                self._left.append(self._root)  # what was forked off has none of its threads
                self._root = os.getpid(), opened(self.settings)
            return Relational(rows, self.settings, given=self._root[1].cursor())

    def close(self) -> None:
        """Let go of it."""
        with self._turn:
            if self._root is not None and self._root[0] == os.getpid():
                self._root[1].close()
                self._root = None


@dataclass
class LiveRows:
    """The rows of holdings, read from a source for the keys that are asked for; ``texts`` are those met on the way."""

    source: Source
    graph: Graph
    joins: Joins
    engine: Engine
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
        relational = self.engine.over(rows)
        try:
            return built(holding, relational, asked, at=at)
        finally:
            relational.connection.close()

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
    asked: dict[str, dict[str, pa.Array] | None] = field(default_factory=dict)
    _read: dict[str, pa.Table] = field(default_factory=dict, repr=False)

    @property
    def fingerprint(self) -> str:
        """Never equal to another's: rows are read on the spot."""
        return f"live {id(self)}"

    def ask(self, table: str, column: str, keys: pa.Array | None) -> None:
        """Ask for the rows that have one of these keys in a column too; None asks for all rows."""
        told = self.asked.setdefault(table, {})
        if keys is None or told is None:
            self.asked[table] = None
        else:
            before = [told[column]] if column in told else []
            told[column] = pc.unique(pa.concat_arrays([*before, keys]))

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of the rows asked for."""
        if table not in self._read:
            self._read[table] = self.fetch(table, self._columns(table), self.asked.get(table))
        return self._read[table].select(list(columns))

    def fetch(self, table: str, columns: Sequence[str], any_of: AnyOf | None) -> pa.Table:
        """Columns of some rows, as they are now."""
        raw, told = read_where(self.source, table, columns, any_of), self.graph.table(table)
        return pa.table([as_told(told, name, raw[name]) for name in columns], names=list(columns))

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
        stream = self.holding.stream
        found = self._first(stream, keys)
        for link in stream.hops[1:]:
            found = self._step(link.table, link.columns[0], self._values(found, self._key(link.to), link))
        at: dict[tuple[Link, ...], pa.Table | None] = {(): found}
        for way in ways_up(self.holding):
            link = way[-1]
            values = self._values(at[way[:-1]], link.columns[0], link)
            at[way] = self._step(link.to, self._key(link.to), values)

    def _first(self, stream: Stream, keys: pa.Array) -> pa.Table | None:
        if not stream.hops:
            return self._step(stream.root, self._key(stream.root), keys)
        link = stream.hops[0]
        made = self.rows.joins.made(link.table).get(link.columns[0])
        if made is None:
            return self._step(link.table, link.columns[0], keys)
        return self._step(link.table, made[0], pa.array(map(first_part, keys.to_pylist()), pa.string()))

    def _key(self, table: str) -> str:
        keys = self.rows.graph.table(table).keys
        return keys[0] if keys else ""

    def _values(self, found: pa.Table | None, column: str, link: Link) -> pa.Array | None:
        """The values of a column of rows that were met, in the dtype of what they are compared with; None: any."""
        graph = self.rows.graph
        ends = (graph.table(link.table).column(link.columns[0]), graph.table(link.to).column(self._key(link.to)))
        if found is None or column not in found.column_names or ends[0].dtype is not ends[1].dtype:
            return None
        return pc.unique(found[column]).drop_null()

    def _step(self, table: str, column: str, keys: pa.Array | None) -> pa.Table | None:
        """Ask for the rows of a table that have one of these keys, and for all versions of those; None: all rows."""
        schema = self.rows.graph.table(table)
        if keys is None or not schema.has(column) or schema.column(column).dtype not in _COMPARED:
            self.rows.ask(table, column, None)
            return None
        keys = keys.cast(ARROW[schema.column(column).dtype])
        self.rows.ask(table, column, keys)
        made = self.rows.joins.made(table)
        needed = {*identity(self.rows.graph, table), *self._looked_at()} - made.keys()
        columns = [one.name for one in schema.columns if one.name in needed or one.name == column]
        found = self.rows.fetch(table, columns, {column: keys})
        if schema.known is not None and schema.keys and schema.keys[0] != column:
            versions = pc.unique(found[schema.keys[0]]).drop_null()
            self.rows.ask(table, schema.keys[0], versions)
            found = self.rows.fetch(table, columns, {column: keys, schema.keys[0]: versions})
        return found

    def _looked_at(self) -> set[str]:
        """The columns by which parents are found."""
        return {column for way in ways_up(self.holding) for link in way for column in link.columns}


def first_part(key: str) -> str:
    r"""The first of the columns that a composed key stands for.

    >>> first_part(r"a\|b|1"), first_part("2|x")
    ('a|b', '2')
    """
    found = _FIRST.match(key)
    return "" if found is None else _ESCAPED.sub(r"\1", found[0])


_FIRST, _ESCAPED = re.compile(r"(?:[^\\|]|\\.)*", re.DOTALL), re.compile(r"\\(.)", re.DOTALL)
_COMPARED = frozenset({*(dtype for dtype, kind in ARROW.items() if kind in (pa.int64(), pa.string()))})


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
