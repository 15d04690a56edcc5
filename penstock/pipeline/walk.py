"""The stages of a project in the order in which they are walked, each made when its turn comes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import blake2b

import pyarrow as pa

from penstock.errors import PenstockError, system_error
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions
from penstock.lake.ingest.feeds.listing import listing
from penstock.lake.kept import content_of, shown_tables
from penstock.lake.recipes import RECIPE, recipes_of
from penstock.lake.versioned import KNOWN, OWN_COLUMNS, Roles, VersionedTable
from penstock.lake.versioned.roles import linking
from penstock.language import query
from penstock.pipeline.change import Changes, Dependant, Use, Verdict, judged
from penstock.pipeline.comparing import compared
from penstock.pipeline.dependants import dependants, of_itself
from penstock.pipeline.derive import Derivation, Lineage, Origin, lineage_of, load
from penstock.pipeline.featurefiles import bound_of, definitions_of
from penstock.pipeline.intakes import Look, Wanted, looks, misnamed, roles_of, wanted
from penstock.pipeline.journal import Run
from penstock.pipeline.keeping import NAME, keep_stage
from penstock.pipeline.knowngraph import known_graph
from penstock.pipeline.redefined import Known, Redefining
from penstock.pipeline.site import Site, aside
from penstock.pipeline.stages import KINDS, Kind, Stage
from penstock.pipeline.work import derive_stage, ingest_stage
from penstock.quality.contract import Contract
from penstock.quality.contractfile import read_contracts
from penstock.schema import Graph
from penstock.settings import VERSION

_OWN = {one.name for one in OWN_COLUMNS}
_NOTHING = pa.schema([])


@dataclass(frozen=True)
class Walk:
    """One walk over a project: its sources are looked at once, its lake whenever a stage's turn has come.

    Where nothing is run on the way (``still``), the lake is looked at once, too.
    """

    site: Site
    still: bool = False

    @cached_property
    def wanted(self) -> tuple[Wanted, ...]:
        """The tables that sources give."""
        return wanted(self.site.file, self.looks)

    @cached_property
    def looks(self) -> tuple[Look, ...]:
        """The sources, looked at."""
        return looks(self.site.file, listing)

    def must_see_all(self) -> None:
        """Raise the error of the first source that cannot be seen."""
        for look in self.looks:
            if look.error is not None:
                raise look.error

    @cached_property
    def contracts(self) -> Mapping[str, Contract]:
        """The contracts by table."""
        return read_contracts(self.site.contracts)

    def kept(self) -> Mapping[str, VersionedTable]:
        """The lake's tables as they are now."""
        return self._before if self.still else shown_tables(self.site.lake)

    def derivations(self, kept: Mapping[str, VersionedTable]) -> tuple[Derivation, ...] | PenstockError:
        """The derived tables, in order, or the error of the first file that cannot be right."""
        files, brought = self.files(), self.brought()
        given = {name: without_own(table.schema) for name, table in kept.items() if name not in files}
        given |= {name: without_own(kept[name].schema) if name in kept else _NOTHING for name in brought & set(files)}
        try:
            return load(self.site.definitions, given, kept=self.site.state / "lineage") if files else ()
        except PenstockError as error:
            return error
        except OSError as error:
            return system_error(error)

    def files(self) -> tuple[str, ...]:
        """The names of the files that define derived tables."""
        found = self.site.definitions.glob("[!_]*")
        return tuple(sorted(path.stem for path in found if path.suffix in (".sql", ".py")))

    def brought(self) -> frozenset[str]:
        """The tables that sources and streams give."""
        streams = (one.table or one.name for one in self.site.file.streams.values())
        return frozenset([*(one.intake.table for one in self.wanted), *streams])

    def names(self) -> tuple[str, ...]:
        """The tables that stages make."""
        return (*(one.intake.table for one in self.wanted), *self.files())

    def concerns(self, stage: Stage, tables: Collection[str]) -> bool:
        """Whether a stage makes one of these tables, or keeps one from being made."""
        files = {*self.files()}
        unread = stage.kind == "derive" and stage.name not in files and bool(files & {*tables})
        return unread or (bool({*stage.needs} & {*tables}) if stage.kind == "features" else stage.name in tables)

    def stages(self, kinds: Collection[Kind] = KINDS) -> Iterator[Stage]:
        """All stages of these kinds. Those of derived tables come when what they read has been brought in."""
        if "ingest" in kinds:
            yield from self._ingesting()
        if "derive" in kinds:
            yield from self._deriving()
        if "features" in kinds and self.site.keeps_online:
            yield self._keeping()

    def _ingesting(self) -> Iterator[Stage]:
        for one in self.wanted:
            stage = ingest_stage(self.site, one, self.contracts.get(one.intake.table), partial(self.verdict, one))
            yield self._unless_touched(stage)
        used = {one.look.settings.name for one in self.wanted}
        for look in self.looks:
            if look.error is not None and look.settings.name not in used:
                yield Stage("ingest", look.settings.name, "look what tables there are", broken=look.error)

    def _deriving(self) -> Iterator[Stage]:
        derivations = self._known if self.still else self.derivations(self.kept())
        coming = tuple(sorted(self.brought() - self._before.keys()))
        if isinstance(derivations, PenstockError) and self.still and _waits(derivations, coming):
            for name in self.files():
                yield Stage("derive", name, "derive from tables, of which some are yet to be brought in", coming)
        elif isinstance(derivations, PenstockError):
            yield Stage("derive", "tables", "read the definitions of derived tables", broken=derivations)
        else:
            yield from self._derived(derivations)

    def _derived(self, derivations: tuple[Derivation, ...]) -> Iterator[Stage]:
        made = (self._redefined if self.still else self._redefining(derivations, self.kept())).all
        for derivation in derivations:
            contract, changed = self.contracts.get(derivation.name), made.get(derivation.name)
            stage = derive_stage(self.site, derivation, contract, self._state(derivation, contract))
            broken = None if changed is None else changed.error()
            yield self._unless_touched(stage if broken is None else replace(stage, broken=broken))

    def redefined(self, stage: Stage) -> str:
        """What the next run makes otherwise of a derived table's columns, and of features on them; empty for others."""
        return str(self._redefined.all.get(stage.name, "")) if stage.kind == "derive" else ""

    @cached_property
    def _redefined(self) -> Redefining:
        return self._redefining(self._derivations, self._before)

    def _redefining(self, derivations: tuple[Derivation, ...], tables: Mapping[str, VersionedTable]) -> Redefining:
        return Redefining(self._definitions, tables, self._data(tables), derivations, self._features)

    def _keeping(self) -> Stage:
        """The stage of the online store; before all tables are there nobody can say whether features fit them."""
        if not self.still:
            kept = self.kept()
            return keep_stage(self.site, bound_of(self.site, kept), kept)
        if self._to_be.broken and not self._is_all_there:
            return Stage("features", NAME, "keep what is served in step", self.names())
        return keep_stage(self.site, self._to_be, self.kept())

    @cached_property
    def _to_be(self) -> Bound:
        """The declared features as they will fit once the derived tables' files have been run."""
        return self._redefined.after()

    @property
    def _is_all_there(self) -> bool:
        """Whether every table of a source has been brought in."""
        return {one.intake.table for one in self.wanted} <= set(self._before)

    def unfit(self) -> Iterator[str]:
        """The definitions of features that are broken, and why; nothing before all tables are there.

        Left out is what the stage of the online store tells.
        """
        told = ("view", "file") if self.site.keeps_online else ()
        for one in self._to_be.broken if self._is_all_there else ():
            if one.what not in told:
                yield f"{one}: {one.error.message}"

    def _unless_touched(self, stage: Stage) -> Stage:
        """The stage; never to be skipped where the lake is no longer at the version that its newest run left."""
        done, table = self._done.get((stage.kind, stage.name)), self._before.get(stage.name)
        newest = None if table is None else table.newest()
        at = None if newest is None else newest.number
        return replace(stage, touched=done is None or done.version != at)

    @cached_property
    def _done(self) -> Mapping[tuple[str, str], Run]:
        return self.site.journal.newest()

    # ------------------------------------------------------------ what changed at the sources

    def verdict(self, one: Wanted) -> Verdict:
        """What changed at a table's source since the lake last took it, and whether that may come in.

        Raises ``SourceError`` when the source cannot be seen or has no such table, and what `compare` raises.
        """
        if one.intake.table not in self._verdicts:
            self._verdicts[one.intake.table] = self._judged(one)
        return self._verdicts[one.intake.table]

    @cached_property
    def _verdicts(self) -> dict[str, Verdict]:
        return {}

    def _judged(self, one: Wanted) -> Verdict:
        if one.error is not None:
            raise one.error
        before = self._before.get(one.intake.table)
        wrong = misnamed(one, () if before is None else before.schema.names)
        if wrong is not None:
            raise wrong
        if before is None:
            return Verdict(one.intake.table, Changes(), (), (), ())
        changes = compared(one, before)
        verdict = self._verdict(one, changes, self._dependants)
        itself = of_itself(one.intake.table, changes, verdict)
        return verdict if itself is None else self._verdict(one, changes, (*self._dependants, itself))

    def _verdict(self, one: Wanted, changes: Changes, known: tuple[Dependant, ...]) -> Verdict:
        retyped = {change.column for change in changes.retyped}  # which are there: their loss is not what happened
        return judged(changes, one.intake.table, known, self._downstream, set(one.settings.drops) - retyped)

    def obstacle(self, stage: Stage) -> PenstockError | None:
        """Why a stage cannot do all of its work as things are; None where nothing is in the way."""
        if stage.kind == "features":
            return stage.wanting
        one = self._by_name.get(stage.name) if stage.kind == "ingest" else None
        try:
            return None if one is None else self.verdict(one).error()
        except PenstockError as error:
            return error

    def broken_by(self, table: str) -> tuple[str, ...]:
        """Who stands in the way of what changed at a table's source, by kind and name."""
        return self.verdict(self._by_name[table]).dependants

    @cached_property
    def _by_name(self) -> dict[str, Wanted]:
        return {one.intake.table: one for one in self.wanted}

    @cached_property
    def _before(self) -> Mapping[str, VersionedTable]:
        """The lake's tables as they were when the walk began."""
        return shown_tables(self.site.lake)

    @cached_property
    def _known(self) -> tuple[Derivation, ...] | PenstockError:
        """The derived tables as they were read when the walk began, or why they cannot be."""
        return self.derivations(self._before)

    @cached_property
    def _dependants(self) -> tuple[Dependant, ...]:
        return dependants(self._derivations, self.contracts, self.site.file.queries, self._graph, self._features)

    @cached_property
    def _features(self) -> Bound:
        """The declared features as they fitted when the walk began."""
        return bind(self._definitions, known_graph(self._data(self._before)), recipes_of(self._before))

    @cached_property
    def _definitions(self) -> Definitions:
        """What the files declare; Python files among them are run to read them, once a walk."""
        return definitions_of(self.site)

    @cached_property
    def _graph(self) -> Graph:
        return known_graph({name: (table.schema, self._roles(table)) for name, table in self._before.items()})

    def _data(self, tables: Mapping[str, VersionedTable]) -> Known:
        """The tables that features are made from, with the roles that the next run gives them."""
        kept = {name: table for name, table in tables.items() if not aside(name, table.roles)}
        return {name: (table.schema, self._roles(table)) for name, table in kept.items()}

    def _roles(self, table: VersionedTable) -> Roles:
        """A table's roles as the next run makes them."""
        one = self._by_name.get(table.name)
        if one is None:
            return table.roles
        roles = roles_of(one.intake, table.roles)
        there = {roles.happened or KNOWN, roles.known or KNOWN, *linking(roles.links or {})} <= set(table.schema.names)
        return roles if there else table.roles

    def _read(self, names: tuple[str, ...]) -> Mapping[str, VersionedTable]:
        there = self.site.lake.names()
        return {name: self.site.lake.table(name) for name in names if name in there}

    def unanswerable(self) -> Iterator[str]:
        """The project's questions that cannot be read on the tables that are kept, and why.

        Nothing is said before all tables are there, nor where labels are: those come in when a question is asked.
        """
        labelled = any(aside(name, table.roles) for name, table in self._before.items())
        whole = set(self.names()) <= set(self._before) and not labelled
        for name, text in self.site.file.queries.items() if whole else ():
            try:
                query(text, self._graph)
            except PenstockError as error:
                yield f"query {name}: {error.message}"

    def _downstream(self, column: Origin) -> tuple[Use, ...]:
        return self._lineage.downstream(column)

    @cached_property
    def _lineage(self) -> Lineage:
        return lineage_of(self._derivations)

    @property
    def _derivations(self) -> tuple[Derivation, ...]:
        return () if isinstance(self._known, PenstockError) else self._known

    def _state(self, derivation: Derivation, contract: Contract | None) -> str:
        """What a derived table rests on: its definition, its contract and the versions of what it reads."""
        told = [VERSION, RECIPE, derivation.fingerprint, "" if contract is None else contract.fingerprint]
        kept = self.kept() if self.still else self._read(derivation.reads)
        told += [str(content_of(kept[name])) for name in derivation.reads if name in kept]
        return blake2b("\n".join(told).encode(), digest_size=16).hexdigest()


def _waits(error: PenstockError, coming: Collection[str]) -> bool:
    """Whether a derived table only lacks a table that a run brings in before it."""
    lacking = (error.name or "").casefold()
    return error.code == "DERIVE_UNKNOWN_TABLE" and lacking in {name.casefold() for name in coming}


def without_own(schema: pa.Schema) -> pa.Schema:
    """The columns of a lake table without the lake's own two."""
    return pa.schema([field for field in schema if field.name not in _OWN])
