"""The lake as a store follows it: tables at their newest versions with the rows of their tails, and what came since.

Of a derived table it is the newest version by the recipe that the definitions rest on: what another definition of the
table has made since is not theirs to see.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from hashlib import blake2b

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.recipes import made_by
from penstock.lake.rows import as_told
from penstock.lake.sql import Sql
from penstock.lake.streams import Now, positions, read_now
from penstock.lake.versioned import Lake, Scan, Version, VersionedTable
from penstock.lake.versioned.scan import quoted
from penstock.schema import Graph
from penstock.settings import Settings
from penstock.window import BEGINNING


@dataclass(frozen=True)
class TableState:
    """How far a table was followed: to a version, and beyond it through its tail to what came by the number ``tail``.

    ``columns`` maps names to field ids, and ``roles`` are key and clock: where these change, any row may have.
    """

    version: int
    snapshot: int
    tail: int
    columns: Mapping[str, int]
    roles: str


@dataclass(frozen=True)
class LogRows:
    """Row versions of tables (a scan's, then those of a tail) in the dtypes of a graph: `penstock.plan.Rows`."""

    graph: Graph
    settings: Settings
    logs: Mapping[str, tuple[Scan, pa.Table]] = field(repr=False)
    fingerprint: str = ""

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all row versions, in an order that never changes."""
        once, told = list(dict.fromkeys(columns)), self.graph.table(table)
        rows, tail = self._scanned(table, once), self.logs[table][1]
        if not columns:
            return pa.table({"_": pa.nulls(len(rows) + len(tail))}).select([])
        if len(tail):
            rows = pa.concat_tables([rows, tail.select(once)], promote_options="permissive")
        return pa.table([as_told(told, name, rows[name]) for name in columns], names=list(columns))

    def _scanned(self, table: str, columns: Sequence[str]) -> pa.Table:
        scan = self.logs[table][0]
        if columns and not scan.files:
            return pa.schema([scan.schema.field(name) for name in columns]).empty_table()
        return self._sql.arrow(f"SELECT {', '.join(map(quoted, columns)) or '1'} FROM {quoted(table)}")

    @cached_property
    def _sql(self) -> Sql:
        """One for all reads: opening it costs more than most of them."""
        return Sql({name: scan for name, (scan, _) in self.logs.items()}, "log", self.settings)


@dataclass(frozen=True)
class Following:
    """Tables of a lake as they are now, tails included, each at one moment.

    ``remade`` are derived tables that have newer rows, by another recipe.
    """

    graph: Graph
    settings: Settings
    tables: Mapping[str, Now] = field(repr=False)
    remade: tuple[str, ...] = ()

    @classmethod
    def open(
        cls, lake: Lake, graph: Graph, tables: Iterable[str], settings: Settings, recipes: Mapping[str, str]
    ) -> Following:
        """These tables now, derived ones by these recipes.

        Raises ``SourceError`` where one is not in the lake, or has no rows by its recipe any more (``LAKE_REMADE``).
        """
        newest = {name: _now(lake, name) for name in sorted(set(tables))}
        seen = {name: _made_by(now, recipes.get(name)) for name, now in newest.items()}
        remade = tuple(name for name, now in newest.items() if seen[name] is not now)
        return cls(graph, settings, seen, remade)

    @cached_property
    def state(self) -> dict[str, TableState]:
        """How far each table is followed by who reads all of this."""
        return {name: _state(now) for name, now in self.tables.items()}

    @cached_property
    def rows(self) -> LogRows:
        """All row versions. They keep their fingerprint as long as nothing comes."""
        told = blake2b(repr((self.graph, sorted(self.state.items()))).encode(), digest_size=16).hexdigest()
        logs = {name: (now.table.scan(), now.tail) for name, now in self.tables.items()}
        return LogRows(self.graph, self.settings, logs, told)

    def since(self, table: str, before: TableState | None) -> LogRows | None:
        """At least the row versions of a table that came after a state; None where any row may have changed."""
        now, here = self.tables[table], self.state[table]
        if before is None or here.roles != before.roles:
            return None
        added = added_since(now.table, before)
        if added is None or any(here.columns.get(name) != number for name, number in before.columns.items()):
            return None
        recent = now.tail.filter(pa.array(now.came > before.tail))
        return LogRows(self.graph, self.settings, {table: (added, recent)})

    def come_by(self, at: int) -> LogRows:
        """The row versions that had come by an instant, of tables whose source says itself when rows were known.

        Of other tables all: when they came and when they were known is one there.
        """
        logs = {
            name: (
                _come_by(now.table, at),
                now.tail.filter(pa.array(now.came <= at)) if now.table.roles.known else now.tail,
            )
            for name, now in self.tables.items()
        }
        return LogRows(self.graph, self.settings, logs, f"{self.rows.fingerprint} come by {at}")

    def count(self, table: str) -> int:
        """How many row versions a table has."""
        now = self.tables[table]
        newest = now.table.newest()
        return len(now.tail) + (0 if newest is None else newest.rows)


def _come_by(table: VersionedTable, at: int) -> Scan:
    """The rows of versions that were committed by an instant; a stream's rows had come before their version did."""
    now = table.scan()
    if table.roles.known is None:
        return now
    there = [one.number for one in table.versions() if _came(one) <= at]
    return replace(now, files=table.scan(there[-1]).files if there else (), several=None, later=False)


def _came(version: Version) -> int:
    """The instant by which the rows of a version had come."""
    streamed = positions.told(version.facts)
    return version.instant if streamed is None else streamed[2].get(positions.KNOWN, version.instant)


def added_since(table: VersionedTable, before: TableState) -> Scan | None:
    """The rows committed after a state; None where that cannot be told: rows were replaced, or versions forgotten."""
    versions = table.versions()
    there = [one for one in versions if one.number == before.version]
    later = [one for one in versions if one.number > before.version]
    newest = versions[-1].number if versions else 0
    another = newest < before.version or any(one.snapshot != before.snapshot for one in there)
    if another or newest - before.version != len(later) or any(one.kind == "replace" for one in later):
        return None
    return table.added([one.number for one in later if one.kind != "compact"])


def _now(lake: Lake, name: str) -> Now:
    """A table and its tail; a lake that is in no folder may have none."""
    try:
        return read_now(lake, name)
    except SourceError as error:
        if error.code != "TAIL_NEEDS_FOLDER":
            raise
        table = lake.table(name)
        return Now(table, table.schema.empty_table())


def _made_by(now: Now, recipe: str | None) -> Now:
    """The table as a recipe has made it; what streams into it belongs to what it is now."""
    table = made_by(now.table, recipe)
    return now if table is now.table else Now(table, table.schema.empty_table())


def _state(now: Now) -> TableState:
    newest, roles = now.table.newest(), now.table.roles
    columns = {column.name: column.field_id for column in now.table.scan().columns}
    version = (0, 0) if newest is None else (newest.number, newest.snapshot)
    return TableState(*version, _streamed(now), columns, repr((roles.key, roles.happened)))


def _streamed(now: Now) -> int:
    """The number by which the newest row came by the stream, in the tail or committed."""
    flushed = positions.told(now.table.facts())
    committed = BEGINNING if flushed is None else flushed[2].get(positions.KNOWN, BEGINNING)
    return max(int(now.came.max(initial=BEGINNING)), committed)
