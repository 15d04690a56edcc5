"""The stages of a project in the order in which they are walked, each made when its turn comes."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from hashlib import blake2b

import pyarrow as pa

from penstock.errors import PenstockError, system_error
from penstock.features.views.bound import Bound
from penstock.lake.ingest.feeds.listing import listing
from penstock.lake.kept import content_of
from penstock.lake.versioned import KNOWN, OWN_COLUMNS, Roles, VersionedTable
from penstock.lake.versioned.roles import linking
from penstock.language import query
from penstock.pipeline.change import Changes, Dependant, Use, Verdict, judged
from penstock.pipeline.comparing import compared
from penstock.pipeline.dependants import dependants, of_itself
from penstock.pipeline.derive import Derivation, Lineage, Origin, lineage_of, load
from penstock.pipeline.intakes import Look, Wanted, looks, misnamed, roles_of, wanted
from penstock.pipeline.journal import Run
from penstock.pipeline.keeping import NAME, features_of, keep_stage
from penstock.pipeline.knowngraph import graph_of, known_graph
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
        return self._before if self.still else self.site.lake.tables()

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
        unread = stage.broken is not None and stage.kind == "derive" and bool({*self.files()} & {*tables})
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
        if isinstance(derivations, PenstockError):
            yield Stage("derive", "tables", "read the definitions of derived tables", broken=derivations)
            return
        for derivation in derivations:
            contract = self.contracts.get(derivation.name)
            yield self._unless_touched(derive_stage(self.site, derivation, contract, self._state(derivation, contract)))

    def _keeping(self) -> Stage:
        """The stage of the online store; before all tables are there nobody can say whether features fit them."""
        features = self._features if self.still else features_of(self.site, graph_of(self.site.lake))
        if self.still and isinstance(features, PenstockError) and not set(self.names()) <= set(self._before):
            return Stage("features", NAME, "keep what is served in step", self.names())
        return keep_stage(self.site, features, self.kept())

    def _unless_touched(self, stage: Stage) -> Stage:
        """The stage; never to be skipped where the lake is no longer at the version that its newest run left."""
        done, table = self._done.get((stage.kind, stage.name)), self._before.get(stage.name)
        newest = None if table is None else table.newest()
        at = None if newest is None else newest.number
        return stage if done is not None and done.version == at else replace(stage, fingerprint="")

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
        """Why a table cannot be brought in as things are; None where nothing is in the way."""
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
        return self.site.lake.tables()

    @cached_property
    def _known(self) -> tuple[Derivation, ...] | PenstockError:
        """The derived tables as they were read when the walk began, or why they cannot be."""
        return self.derivations(self._before)

    @cached_property
    def _dependants(self) -> tuple[Dependant, ...]:
        bound = None if isinstance(self._features, PenstockError) else self._features
        return dependants(self._derivations, self.contracts, self.site.file.queries, self._graph, bound)

    @cached_property
    def _features(self) -> Bound | PenstockError:
        """The declared features as they fitted when the walk began, or why they do not."""
        return features_of(self.site, self._graph)

    @cached_property
    def _graph(self) -> Graph:
        return known_graph({name: (table.schema, self._roles(table)) for name, table in self._before.items()})

    def _roles(self, table: VersionedTable) -> Roles:
        """A table's roles as the next run makes them."""
        one = self._by_name.get(table.name)
        if one is None:
            return table.roles
        roles = roles_of(one.intake, table.roles)
        there = {roles.happened or KNOWN, *linking(roles.links or {})} <= set(table.schema.names)
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
        told = [VERSION, derivation.fingerprint, "" if contract is None else contract.fingerprint]
        kept = self.kept() if self.still else self._read(derivation.reads)
        told += [str(content_of(kept[name])) for name in derivation.reads if name in kept]
        return blake2b("\n".join(told).encode(), digest_size=16).hexdigest()


def without_own(schema: pa.Schema) -> pa.Schema:
    """The columns of a lake table without the lake's own two."""
    return pa.schema([field for field in schema if field.name not in _OWN])
