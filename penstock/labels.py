"""The label sets of a project: what people, files, tools and rules say of entities, and what to ask them next."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from penstock.database import Database
from penstock.errors import RefusedError, RequestError
from penstock.lake.sql import Sql
from penstock.lake.versioned.scan import quoted
from penstock.learning.labelling import (
    Added,
    Agreement,
    Labels,
    LabelSet,
    LabelStore,
    PqlFunction,
    SqlFunction,
    Task,
    agreement,
    apply_pql,
    apply_sql,
    from_csv,
    from_label_studio,
    interface,
    queue,
    to_label_studio,
    votes_of,
    write_tasks,
)
from penstock.pipeline.checking import kept_scans
from penstock.pipeline.projectfile import LabelSettings, RuleSettings
from penstock.pipeline.site import Site


@dataclass(frozen=True)
class ProjectLabels:
    """The label sets of a project by name; ``database`` opens its tables, to be asked by rules."""

    site: Site
    database: Callable[[], Database] = field(repr=False)

    @property
    def store(self) -> LabelStore:
        """The sets as versioned tables of the project's lake."""
        return LabelStore(self.site.lake, self.site.now)

    def names(self) -> tuple[str, ...]:
        """The sets that hold labels, in order."""
        return self.store.names()

    def set(self, name: str) -> LabelSet:
        """The set called so. Raises ``SourceError`` with the ones that exist."""
        return self.store.set(name)

    def add(self, name: str, labels: Labels, *, entity: str | None = None, keep_good: bool = False) -> Added:
        """Add labels to a set; a new one is about ``entity``, or the table that the project's file names for it.

        What is rejected (an entity that is not there, a value of another kind) refuses the rest too, unless
        ``keep_good``.
        """
        settings = self.site.file.labels.get(name)
        about = entity or (settings.entity if settings else None)
        among = self._entities(about)
        how = "keep" if keep_good else "refuse"
        return self.store.add(name, labels, entity=about, among=among, rejected=how)

    def correct(self, name: str, entity: str, value: str, **parts: str) -> Added:
        """Say something else of an entity from now on, as `LabelSet.correct`.

        Raises ``RequestError`` for one that the table of the set's entities does not have.
        """
        one = self.set(name)
        return one.correct(entity, value, among=self._entities(one.entity), **parts)

    def _entities(self, table: str | None) -> pa.Array | None:
        """The keys of the rows that labels can be about; None where the lake does not have the table."""
        if table is None or table not in self.site.lake:
            return None
        return self._rows(table)[self._key(table)].combine_chunks()

    def read(self, path: Path, *, studio: bool = False, labeller: str = "unnamed") -> Labels:
        """The labels of a CSV file, or of a Label Studio export (a ``.json`` file, or anything with ``studio``)."""
        now = self.site.now
        if studio or path.suffix == ".json":
            return from_label_studio(path, now=now)
        return from_csv(path, labeller=labeller, now=now)

    def apply(self, name: str, spine: object = None) -> Added:
        """What the set's rules in the project's file say, added as labels: PQL ones of the rows of a spine.

        Without a spine every entity is asked about at the newest instant in the data.
        """
        settings = self._settings(name)
        pql = [_pql(rule, told) for rule, told in settings.rules.items() if told.pql is not None]
        sql = [SqlFunction(rule, told.sql) for rule, told in settings.rules.items() if told.sql is not None]
        now, done = self.site.now, []
        if pql:
            db = self.database()
            rows = everyone(db, settings.entity) if spine is None else spine
            done.append(self.add(name, apply_pql(pql, db, settings.entity, rows, now=now)))
        if sql:
            done.append(self.add(name, apply_sql(sql, kept_scans(self.site), now=now)))
        return Added(*(sum(getattr(one, part) for one in done) for part in ("new", "corrected", "unchanged", "late")))

    def _settings(self, name: str) -> LabelSettings:
        there = self.site.file.labels
        if name not in there or not there[name].rules:
            hint = f'Write some: [labels.{name}.rules.quiet] pql = "COUNT(orders.*, -90, 0, days) = 0", value = true'
            message = f"the project's file has no rules for labels {name!r}"
            raise RequestError("LABELS_NO_RULES", message, name=name, candidates=there, hint=hint)
        return there[name]

    def agreement(self, name: str) -> Agreement:
        """How the labellers of a set agree, how much each covers, and how accurate each seems."""
        return agreement(votes_of(self.set(name).at()))

    def queue(self, name: str, count: int, predictions: pa.Table | None = None, *, seed: int = 0) -> pa.Table:
        """The most useful entities to label next: whom labellers disagree about, or ``predictions`` are unsure of."""
        held = self.set(name).at()
        labelled = set(held["entity"].to_pylist()) if predictions is not None else ()
        votes = votes_of(held) if predictions is None else None
        return queue(count, predictions, votes, labelled=labelled, seed=seed)

    def export(self, name: str, asked: pa.Table, path: Path) -> Path:
        """Write tasks for Label Studio about the entities of ``asked``, each with its row; the file."""
        one = self.set(name)
        rows, key = self._rows(one.entity), self._key(one.entity)
        return write_tasks(to_label_studio(asked, interface(one), rows=rows, key=key, task=Task()), path)

    def _rows(self, table: str) -> pa.Table:
        with Sql({table: self.site.lake.table(table).scan()}) as sql:
            return sql.arrow(f"SELECT * FROM {quoted(table)}")

    def _key(self, table: str) -> str:
        key = self.site.lake.table(table).roles.key
        if len(key) != 1:
            message = f"{table} has no key of one column, so its rows cannot be labelled"
            raise RequestError("LABELS_NO_KEY", message, hint=f'Say it: [tables.{table}] key = "…"')
        return key[0]


def _pql(name: str, told: RuleSettings) -> PqlFunction:
    value = True if told.value is None else told.value
    return PqlFunction(name, told.pql or "", value, told.otherwise, told.confidence)


def everyone(db: Database, entity: str) -> pa.Table:
    """A spine of all rows of a table at the newest instant that the data knows."""
    clocks = [(table.name, table.happened) for table in db.graph if table.happened is not None]
    newest = [pc.max(db.rows.read(table, [column])[column]).as_py() for table, column in clocks]
    known = [one for one in newest if one is not None]
    if not known:
        raise RefusedError("LABELS_NO_TIME", "no table says when anything happened", hint="Give a spine.")
    keys = db.relational.keys(entity, db.graph.table(entity).keys[0])
    return pa.table({"entity": keys, "cutoff": pa.array([max(known)] * len(keys), pa.timestamp("us"))})


def by_entity(sets: Iterable[LabelSet]) -> dict[str, list[str]]:
    """The sets' names by the table that they are about."""
    found: dict[str, list[str]] = {}
    for one in sets:
        found.setdefault(one.entity, []).append(one.name)
    return found
