"""A project's sources as one database, asked on the spot: what ``store = "live"`` serves from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import pyarrow as pa

from penstock.errors import PenstockError, SourceError
from penstock.featurestore.derived import DerivedRows
from penstock.lake.ingest import Intake
from penstock.lake.source import RawTable, Source, unknown_table
from penstock.lake.sources import open_source
from penstock.lake.versioned import DELETED, KNOWN
from penstock.lake.where import AnyOf, read_where, release
from penstock.pipeline.derive import Derivation
from penstock.pipeline.knowngraph import graph_of
from penstock.pipeline.site import Site
from penstock.pipeline.walk import Walk, without_own
from penstock.schema import Graph
from penstock.settings import Settings


@dataclass(frozen=True)
class ProjectSource:
    """The tables that sources give, by the project's own names of tables and columns."""

    name: str
    intakes: Mapping[str, Intake] = field(repr=False)
    derived: DerivedRows | None = field(default=None, repr=False)
    notes: tuple[str, ...] = ()

    @property
    def derivations(self) -> Mapping[str, Derivation]:
        """The derived tables that are made of these."""
        return {} if self.derived is None else self.derived.derivations

    def must_be_live(self, table: str) -> None:
        """Raise ``RequestError`` (``LIVE_DERIVED``) for a derived table that is not made of rows as they are now."""
        if self.derived is not None and table in self.derivations:
            self.derived.must_be_live(table)

    @cached_property
    def _opened(self) -> dict[str, Source]:
        return {url: open_source(url) for url in dict.fromkeys(str(one.source) for one in self.intakes.values())}

    def tables(self) -> Mapping[str, RawTable]:
        """The tables by name."""
        return {name: self._told(name) for name in self.intakes}

    def _told(self, name: str) -> RawTable:
        intake = self.intakes[name]
        ours = {theirs: own for own, theirs in intake.renames.items()}
        told = self._opened[str(intake.source)].tables()[intake.origin]
        columns = tuple(replace(column, name=ours.get(column.name, column.name)) for column in told.columns)
        return RawTable(name, columns, intake.key, rows=told.rows, prunes=told.prunes)

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows, as they are now."""
        return self.read_where(table, columns, ())

    def read_where(self, table: str, columns: Sequence[str], any_of: AnyOf) -> pa.Table:
        """These columns of at least the rows that are meant. Raises ``SourceError`` for a table of no source."""
        if self.derived is not None and table in self.derivations:
            return self.derived.read_where(table, columns, any_of)
        if table not in self.intakes:
            raise unknown_table(self.name, table, self.intakes)
        intake = self.intakes[table]
        theirs = [intake.renames.get(name, name) for name in columns]
        asked = [keys.rename_columns([intake.renames.get(name, name) for name in keys.column_names]) for keys in any_of]
        found = self._answer(str(intake.source), lambda source: read_where(source, intake.origin, theirs, asked))
        return found.rename_columns(list(columns))

    def _answer(self, url: str, question: Callable[[Source], pa.Table]) -> pa.Table:
        """What a source answers; one that fails may have other columns or files by now, and is opened anew once."""
        known = self._opened[url]
        try:
            return question(known)
        except SourceError as error:
            if error.code in ("SOURCE_UNREACHABLE", "SOURCE_BUSY"):
                raise
        self._opened[url] = open_source(url)
        release(known)
        return question(self._opened[url])

    def close(self) -> None:
        """Let go of the sources' connections, and of the engine that makes derived tables."""
        if self.derived is not None:
            self.derived.close()
        for source in self._opened.values():
            release(source)

    def fingerprint(self) -> str:
        """Changes whenever what the sources hold may have changed."""
        return " ".join(source.fingerprint() for source in self._opened.values())


def source_of(site: Site, settings: Settings) -> ProjectSource:
    """The project's sources, and the tables derived from them. Raises what opening them does."""
    walk = Walk(site, still=True)
    walk.must_see_all()
    intakes = {one.intake.table: one.intake for one in walk.wanted if one.error is None}
    found, kept = walk.derivations(walk.kept()), walk.kept()
    source = ProjectSource(site.file.name, intakes)
    if isinstance(found, PenstockError):
        return replace(source, notes=(f"derived tables are not read: {found.message}",))
    schemas = {name: without_own(table.schema) for name, table in kept.items() if name in intakes}
    versioned = frozenset(name for name, intake in intakes.items() if intake.known is not None)
    by_name = {one.name: one for one in found if one.name in kept}
    return replace(source, derived=DerivedRows(source, by_name, schemas, graph_of(kept), settings, versioned))


def live_graph(site: Site, source: ProjectSource) -> Graph:
    """The graph of the lake's tables as the sources have them: without the lake's own clock, and what only it has."""
    graph = graph_of(site.lake.tables())
    tables = []
    for table in graph.tables:
        made = source.intakes.get(table.name) or source.derivations.get(table.name)
        if made is not None:
            columns = tuple(column for column in table.columns if column.name not in (KNOWN, DELETED))
            tables.append(replace(table, columns=columns, known=made.known, deleted=None))
    there = {table.name for table in tables}
    return Graph(tuple(tables), tuple(link for link in graph.links if {link.table, link.to} <= there))
