"""The lake as it is now, and what to write so that a store holds of some keys what the lake says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import pyarrow as pa

from penstock.engine.relational import ROW, Relational
from penstock.errors import SourceError
from penstock.features.views.bound import Bound
from penstock.features.views.entities import EntityRows
from penstock.lake.versioned import Lake
from penstock.online import crowds, heads, records
from penstock.online.build import KeyRows, built, is_plain
from penstock.online.catalogue import HEADS, Space, ViewState
from penstock.online.changed import Changes, Places, identity, read_by
from penstock.online.following import Following, TableState
from penstock.online.holdings import Holding
from penstock.online.keys import packed
from penstock.online.store import Change, OnlineStore, Puts
from penstock.online.texts import Texts
from penstock.settings import Settings

Parts = dict[int, bytes]
_NOTHING = pa.table({})


@dataclass(frozen=True)
class LakeNow:
    """What the holdings of a view are made from, at one moment: rows of tables and tails, those of entities included.

    Opening it reads no rows; whole columns come into memory when they are needed.
    """

    bound: Bound
    following: Following
    settings: Settings

    @classmethod
    def open(cls, bound: Bound, lake: Lake, holdings: Iterable[Holding], settings: Settings) -> LakeNow:
        """The lake now, as far as these holdings need it."""
        tables = {name for one in holdings for name in read_by(one, bound.graph, bound.joins)}
        return cls(bound, Following.open(lake, bound.graph, tables, settings, bound.recipes), settings)

    def must_be_newest(self) -> None:
        """Raise ``SourceError`` (``LAKE_REMADE``) where a derived table has newer rows by another recipe.

        What is built of older ones by now would take the place of what others build of the newer.
        """
        for name in self.following.remade:
            message = f"the rows of {name} are made by another definition by now than these features rest on"
            raise SourceError("LAKE_REMADE", message, name=name, hint="Read the definitions again.")

    @cached_property
    def relational(self) -> Relational:
        """The engine over all rows."""
        return Relational(self._entities, self.settings)

    @cached_property
    def _entities(self) -> EntityRows:
        return EntityRows(self.following.rows, self.bound.joins, self.bound.graph)

    @cached_property
    def places(self) -> Places:
        """The ways between rows and keys."""
        return Places(self._entities, self.relational)

    def changes(self, followed: Mapping[str, TableState]) -> Changes:
        """What came since each table was followed so far."""
        return {name: self._came(name, followed.get(name)) for name in self.following.tables}

    def _came(self, table: str, before: TableState | None) -> pa.Table | None:
        if before == self.following.state[table]:
            return _NOTHING
        recent = self.following.since(table, before)
        columns = identity(self.bound.graph, table)
        if recent is None:
            return None
        return EntityRows(recent, self.bound.joins, self.bound.graph).read(table, columns)

    def rows(self, holding: Holding, keys: pa.Array, at: int) -> KeyRows:
        """These keys' rows, out of the rows of the lake that they need."""
        needed = Relational(self.places.needed(holding, keys), self.settings)
        table = self.bound.graph.table(holding.stream.table)
        if is_plain(holding) and table.keys:  # at once, for each look at the lake takes its time
            needed.source(table.name, [ROW, *(column.name for column in table.columns)])
        return built(holding, needed, keys, at=at)


def rebuilt(
    now: LakeNow, store: OnlineStore, state: ViewState, holding: Holding, keys: pa.Array, *, at: int
) -> list[Change]:
    """What to write so that the store holds of these keys what the lake says: nothing where it does already.

    Call it, and write, under the store's `feeding`, with a lake opened there: then nothing older overwrites newer rows.
    """
    return differing(store, state, holding, now.rows(holding, keys, at))


def differing(store: OnlineStore, state: ViewState, holding: Holding, rows: KeyRows) -> list[Change]:
    """What to write so that the store holds these rows of these keys and no others."""
    space = state.spaces[holding.fingerprint]
    wanted, texts = parts_of(holding, space, rows, Texts(store, state.texts))
    names = packed(rows.keys)
    there = store.read(space.name, names)
    changes = [*texts]
    for place, (name, kept) in enumerate(zip(names, there, strict=True)):
        there_, wanted_ = {part.number: part.data for part in kept}, wanted.get(place, {})
        for number in there_.keys() | wanted_.keys():
            changes += crowds.written(holding, space, name, number, wanted_.get(number), there_.get(number))
    return changes


def parts_of(holding: Holding, space: Space, rows: KeyRows, texts: Texts) -> tuple[dict[int, Parts], list[Change]]:
    """The parts of each key (by its place) that has rows, and what to write of texts."""
    found: dict[int, Parts] = {}
    numbered, fresh = _numbered(holding, space, rows)
    for place, number, data in numbered:
        found.setdefault(place, {})[number] = data
    return found, texts.changes(fresh)


def first_parts(holding: Holding, space: Space, rows: KeyRows, texts: Texts) -> tuple[list[Change], Puts]:
    """What to write of keys of which nothing is kept yet: what their parts rest on, and then the parts."""
    names = packed(rows.keys)
    if holding.newest:
        places, heads_ = _newest(rows)
        return [], Puts(space.name, [names[place] for place in places], [HEADS] * len(places), heads_)
    parts, fresh = _split(holding, space, rows)
    found = [(names[place], number, *crowds.begun(holding, space, names[place], part)) for place, number, part in parts]
    keys, numbers, data, pieces = zip(*found, strict=True) if found else ((), (), (), ())
    return [*texts.changes(fresh), *chain.from_iterable(pieces)], Puts(space.name, keys, numbers, data)


def _numbered(
    holding: Holding, space: Space, rows: KeyRows
) -> tuple[Iterable[tuple[int, int, bytes]], dict[int, bytes]]:
    """The parts as (place of the key, number, bytes), and their texts by hash."""
    if holding.newest:
        places, found = _newest(rows)
        return ((place, HEADS, data) for place, data in zip(places, found, strict=True)), {}
    return _split(holding, space, rows)


def _split(holding: Holding, space: Space, rows: KeyRows) -> tuple[Iterator[tuple[int, int, bytes]], dict[int, bytes]]:
    """As `_numbered`, of rows that windows are over."""
    kept, texts = _stored(rows.columns, holding)
    matrix = records.Records(rows.happened, rows.shown_from, rows.shown_until, kept).matrix()
    return records.split_keys(rows.code, matrix, space.span), texts


def _stored(columns: Sequence[pa.ChunkedArray], holding: Holding) -> tuple[tuple[np.ndarray, ...], dict[int, bytes]]:
    found: dict[int, bytes] = {}
    kept = []
    for column, dtype in zip(columns, holding.dtypes, strict=True):
        values, texts = records.stored(column, dtype)
        kept.append(values)
        found |= texts
    return tuple(kept), found


def _newest(rows: KeyRows) -> tuple[list[int], list[bytes]]:
    """The places of keys that have rows, and the part of each."""
    filled = np.flatnonzero(np.diff(rows.starts))
    begins = np.append(rows.starts[:-1][filled], len(rows))
    return filled.tolist(), heads.many(begins, rows.happened, rows.shown_from, rows.shown_until, rows.columns)
