"""The lake as a store follows it: tables at their newest versions with the rows of their tails, and what came since."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import SourceError
from penstock.inference.facts import ColumnFacts
from penstock.lake.canonical import canonical
from penstock.lake.rows import as_dtype
from penstock.lake.sql import Sql
from penstock.lake.streams import Now, read_now
from penstock.lake.versioned import KNOWN, Lake, Scan, VersionedTable
from penstock.lake.versioned.scan import quoted
from penstock.schema import Graph
from penstock.settings import Settings
from penstock.window import BEGINNING


@dataclass(frozen=True)
class TableState:
    """How far a table was followed: to a version, and beyond it through its tail to what was known at ``tail``.

    ``columns`` maps names to field ids, and ``roles`` are key and clock: where these change, any row may have.
    """

    version: int
    snapshot: int
    tail: int
    columns: Mapping[str, int]
    roles: str


@dataclass(frozen=True)
class Following:
    """Tables of a lake as they are now, tails included, in the dtypes of a graph: `penstock.plan.Rows`."""

    graph: Graph
    settings: Settings
    tables: Mapping[str, Now] = field(repr=False)

    @classmethod
    def open(cls, lake: Lake, graph: Graph, tables: Iterable[str], settings: Settings) -> Following:
        """These tables now, each at one moment. Raises ``SourceError`` where one is not in the lake."""
        return cls(graph, settings, {name: _now(lake, name) for name in sorted(set(tables))})

    @cached_property
    def state(self) -> dict[str, TableState]:
        """How far each table is followed by who reads all of this."""
        return {name: _state(now) for name, now in self.tables.items()}

    @property
    def fingerprint(self) -> str:
        """Changes whenever any row or the schema may have changed."""
        return blake2b(repr((self.graph, sorted(self.state.items()))).encode(), digest_size=16).hexdigest()

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all row versions, those of the tail last."""
        now = self.tables[table]
        return self._told(table, self._scanned(now.table.scan(), columns), now.tail.select(list(columns)), columns)

    def since(self, table: str, before: TableState, columns: Sequence[str]) -> pa.Table | None:
        """These columns of at least the row versions that came after a state; None where any row may have changed."""
        now = self.tables[table]
        here = self.state[table]
        kept = all(here.columns.get(name) == number for name, number in before.columns.items())
        files = added_since(now.table, before)
        if files is None or not kept or here.roles != before.roles:
            return None
        recent = now.tail.filter(pc.greater(now.tail[KNOWN].cast(pa.int64()), before.tail))
        return self._told(table, self._scanned(files, columns), recent.select(list(columns)), columns)

    def _scanned(self, scan: Scan, columns: Sequence[str]) -> pa.Table:
        chosen = ", ".join(map(quoted, columns)) or "1"
        with Sql({"t": scan}, "log", self.settings) as sql:
            return sql.arrow(f"SELECT {chosen} FROM t")

    def _told(self, table: str, scanned: pa.Table, tail: pa.Table, columns: Sequence[str]) -> pa.Table:
        """Rows of a version and of a tail as one table, in the graph's dtypes."""
        if not columns:
            return pa.table({"_": pa.nulls(len(scanned) + len(tail))}).select([])
        whole = pa.concat_tables([scanned, tail], promote_options="permissive") if len(tail) else scanned
        return pa.table([self._as_told(table, name, whole[name]) for name in columns], names=list(columns))

    def _as_told(self, table: str, name: str, values: pa.ChunkedArray) -> pa.ChunkedArray:
        read = canonical(values)
        facts = ColumnFacts(name, read.dtype, lambda: read.values)
        return as_dtype(table, self.graph.table(table).column(name), facts)


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


def _state(now: Now) -> TableState:
    newest, roles = now.table.newest(), now.table.roles
    known = pc.max(now.tail[KNOWN].cast(pa.int64())).as_py()
    columns = {column.name: column.field_id for column in now.table.scan().columns}
    told = repr((roles.key, roles.happened))
    version = (0, 0) if newest is None else (newest.number, newest.snapshot)
    return TableState(*version, BEGINNING if known is None else known, columns, told)
