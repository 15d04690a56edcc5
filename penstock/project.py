"""The front door of a project: what is kept, what would be done, and questions about what is there."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from penstock.errors import RequestError
from penstock.garbage import collecting_seldom
from penstock.lake.ingest import Ingested, discard, release
from penstock.lake.ingest.intake import quiet
from penstock.lake.kept import newest_versions, versions_at
from penstock.lake.sql import Sql
from penstock.lake.versioned import Version
from penstock.lake.versioned.scan import quoted
from penstock.pipeline.checking import check_now, suggest_for
from penstock.pipeline.datasets import Dataset, Datasets, TableDifference, differences, export
from penstock.pipeline.planning import Plan, plan
from penstock.pipeline.projectfile import read_project
from penstock.pipeline.runner import run
from penstock.pipeline.site import Site, aside
from penstock.pipeline.stages import KINDS, Progress
from penstock.pipeline.status import Status, status
from penstock.pipeline.streaming import streams_of
from penstock.pipeline.walk import Walk
from penstock.pipeline.work import backfilled, refused
from penstock.quality.contract import Contract
from penstock.quality.report import Report
from penstock.settings import Settings

if TYPE_CHECKING:
    from penstock.database import Database, Time
    from penstock.featurestore import ProjectFeatures, ProjectOnline, ProjectService
    from penstock.labels import ProjectLabels
    from penstock.lake.streams import StreamStatus
    from penstock.learning.judging.evaluate import Evaluation
    from penstock.learning.predictions import Predictions
    from penstock.pipeline.journal import Run


def unheard(_status: StreamStatus) -> None:
    """Nobody listens."""


def open_project(path: str | os.PathLike[str] = ".", *, settings: Settings | None = None) -> Project:
    """Open the project of a ``penstock.toml``, or of a folder that holds one. Nothing is read or written yet.

    Raises ``RequestError`` when there is none, or something in it is not understood.
    """
    site = Site(read_project(path), lambda: time.time_ns() // 1000)
    return Project(site, settings or Settings.from_environment())


@dataclass(frozen=True)
class Project:
    """Sources, tables, checks and questions that belong together, and the lake that keeps their versions."""

    site: Site = field(repr=False)
    settings: Settings = field(repr=False)

    @property
    def name(self) -> str:
        """Its name."""
        return self.site.file.name

    def plan(self, *, progress: Progress = quiet) -> Plan:
        """What `run` would do, stage by stage, what changed at the sources, and what that breaks. Changes nothing."""
        return plan(self.site, progress)

    def run(
        self, stage: str | None = None, *, tables: Sequence[str] = (), anew: bool = False, progress: Progress = quiet
    ) -> tuple[Run, ...]:
        """Do all stages, or those of one kind (``ingest``, ``derive``), for all tables or these; how each went.

        A stage that fails stops no other, and what it would have changed stays at its last good version.
        Raises ``RequestError`` for a stage or table that does not exist.
        """
        if stage is not None and stage not in KINDS:
            raise RequestError("RUN_STAGE", f"there is no stage {stage!r}", name=stage, candidates=KINDS)
        if self.site.alerts is not None:
            self.site.alerts.retry()
        walk = Walk(self.site)
        known = walk.names()
        for name in tables:
            if name not in known:
                walk.must_see_all()
                raise RequestError("RUN_TABLE", f"no stage makes a table {name!r}", name=name, candidates=known)
        kinds = [kind for kind in KINDS if stage in (None, kind)]
        wanted = (one for one in walk.stages(kinds) if not tables or walk.concerns(one, tables))
        return run(wanted, self.site.journal, progress=progress, now=self.site.now, anew=anew, about=max(len(known), 1))

    def stream(self, *, stop: threading.Event, told: Callable[[StreamStatus], None] = unheard) -> None:
        """Read the project's streams into their tables until ``stop`` is set; then all that was read is committed.

        Where the project keeps an online store, what streams in is in it within moments. ``told`` is called about once
        a second for each stream, from its thread. Raises ``RequestError`` where the project has no streams, and as
        `penstock.lake.streams.run_streams`.
        """
        from penstock.lake.streams import run_streams

        streams = streams_of(self.site.file)
        feeds = self.online.fed([one.table for one in streams]) if self.site.keeps_online else nullcontext(None)
        with feeds as landed, collecting_seldom():
            run_streams(streams, self.site.lake, stop=stop, progress=told, now=self.site.now, landed=landed)

    def apply(self, *, progress: Progress = quiet) -> tuple[Run, ...]:
        """Do what `plan` lists. Raises ``RefusedError`` when it says that something would break, and does nothing."""
        self.plan(progress=progress).must_pass()
        return self.run(progress=progress)

    def status(self) -> Status:
        """Each table's version, row versions and age, and how its newest run went."""
        return status(self.site)

    @property
    def runs(self) -> tuple[Run, ...]:
        """The newest runs, newest first."""
        return self.site.journal.runs()

    # ------------------------------------------------------------ data

    @property
    def data(self) -> Datasets:
        """The dataset snapshots."""
        return self.site.datasets

    def snapshot(self, name: str) -> Dataset:
        """Pin every table's version, the queries and the settings under a name."""
        file = self.site.file
        settings = {"tables": {table: repr(told) for table, told in sorted(file.tables.items())}}
        return self.data.pin(name, made=self.site.now(), queries=file.queries, settings=settings)

    def database(self, at: str | None = None) -> Database:
        """The tables as they are now, or as a snapshot or an instant had them, to be asked.

        Raises ``RequestError`` when there is no such snapshot, and ``SourceError`` when nothing is kept yet.
        """
        from penstock.asking import database_of

        beside = {name for name, table in self.site.lake.tables().items() if aside(name, table.roles)}
        versions = {name: number for name, number in self._versions(at).items() if name not in beside}
        pinned = self.data.named(at) if at in self.data.names() else None
        return database_of(self.site, self.settings, versions, pinned, labelled=at is None)

    def _versions(self, at: str | None) -> dict[str, int]:
        """The tables' versions in a snapshot, at an instant, or (None, ``now``) at this moment."""
        if at is None or at == "now":
            return newest_versions(self.site.lake)
        names = self.data.names()
        return self.data.named(at).versions if at in names else versions_at(self.site.lake, at, (*names, "now"))

    @property
    def labels(self) -> ProjectLabels:
        """The label sets."""
        from penstock.labels import ProjectLabels

        return ProjectLabels(self.site, self.database)

    @cached_property
    def features(self) -> ProjectFeatures:
        """The features that the project declares, as they were when first asked for."""
        from penstock.featurestore import ProjectFeatures

        return ProjectFeatures(self.site, self.settings)

    @cached_property
    def online(self) -> ProjectOnline:
        """The online store: brought in step, read and verified."""
        from penstock.featurestore import ProjectOnline

        return ProjectOnline(self.features, self.settings)

    def service(self) -> ProjectService:
        """The features as a server serves them: see `penstock.serving`."""
        from penstock.featurestore import ProjectService

        return ProjectService(self.online)

    def rows(self, table: str, at: str | None = None, *, log: bool = False) -> pa.Table:
        """A table's rows as they are true now, or were at a version, tag or instant; ``log``: all versions of each row.

        Of a stream what came moments ago is there. Raises ``SourceError`` for a table or version that is not there.
        """
        from penstock.lake.streams import read_now

        kept = nullcontext(self.site.lake.table(table).scan(numbered(at)))
        shown = read_now(self.site.lake, table).scan() if at is None else kept
        with shown as scan, Sql({table: scan}, "log" if log else "current", self.settings) as sql:
            return sql.arrow(f"SELECT * FROM {quoted(table)}")

    def differences(self, before: str, after: str, table: str | None = None) -> tuple[TableDifference, ...]:
        """What differs between two snapshots (or instants), or between two versions of one table."""
        if table is None:
            return tuple(differences(self.site.lake, self._versions(before), self._versions(after)))
        opened = self.site.lake.table(table)
        numbers = [opened.version(numbered(which)).number for which in (before, after)]
        return tuple(differences(self.site.lake, {table: numbers[0]}, {table: numbers[1]}))

    def export(self, name: str, folder: str | os.PathLike[str]) -> Path:
        """Write a snapshot to a new folder: Parquet files, a manifest, and a ``.dvc`` pointer beside it."""
        return export(self.data.named(name), self.site.lake, Path(folder))

    def compact(self, table: str | None = None, *, progress: Progress = quiet) -> dict[str, int]:
        """Write small files of one table, or of all, as large ones; the versions of those that gained by it."""
        names = self.site.lake.names() if table is None else (table,)
        done = {}
        for at, name in enumerate(names):
            progress(f"compacting {name}", at / len(names))
            version = self.site.lake.table(name).compact()
            if version is not None:
                done[name] = version.number
        return done

    def backfill(
        self, table: str, start: object, end: object, *, known: str = "now", progress: Progress = quiet
    ) -> Ingested:
        """Read a past range of a table's source again; what was missing is added, what differs is a new version."""
        found = {one.intake.table: one for one in Walk(self.site).wanted}
        if table not in found:
            message = f"no source gives a table {table!r}"
            raise RequestError("RUN_TABLE", message, name=table, candidates=sorted(found))
        return backfilled(self.site, found[table], start, end, known, progress)

    # ------------------------------------------------------------ checks

    def check(self, tables: Sequence[str] = ()) -> tuple[Report, ...]:
        """Run the contracts of these tables (default: all) on their newest versions; alerts are sent."""
        return tuple(check_now(self.site, tables))

    def suggest(self, table: str) -> Contract:
        """A contract that the table's newest version passes, joined with the checks it has already."""
        return suggest_for(self.site, table)

    def untold(self) -> list[str]:
        """What nobody could be told of yet: the next run tries again."""
        waiting = [] if self.site.alerts is None else self.site.alerts.waiting()
        return [f"{alert.label} could not be told of {notice.table}" for alert, notice in waiting]

    def refused(self) -> list[dict[str, object]]:
        """What is in quarantine: batches that a check refused, and rows that did not fit; newest last."""
        return list(refused(self.site.quarantine))

    def release(self, table: str, batch: str) -> Version:
        """Commit a refused batch after all."""
        return release(self.site.lake, self.site.quarantine, table, batch)

    def discard(self, table: str, batch: str) -> None:
        """Throw a refused batch away, and the rejected rows of its name."""
        discard(self.site.quarantine, table, batch)

    # ------------------------------------------------------------ questions

    @cached_property
    def now(self) -> Database:
        """The tables as they were when first asked for."""
        return self.database()

    def predict(self, question: str, at: Time | None = None, **how: Any) -> Predictions:
        """A prediction for every entity, for a query of the project by its name or for any other."""
        return self.now.predict(question, at, **how)

    def evaluate(self, question: str, **how: Any) -> Evaluation:
        """How good such predictions have been, for a query of the project by its name or for any other."""
        return self.now.evaluate(question, **how)


def numbered(which: str | None) -> int | str | None:
    """A version's number where the text is one; else the text, which is a tag or an instant.

    >>> numbered("12"), numbered("2026-01-31"), numbered(None)
    (12, '2026-01-31', None)
    """
    return int(which) if which is not None and which.isdecimal() else which


__all__ = ["Project", "open_project"]
