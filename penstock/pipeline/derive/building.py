"""A derived table built, or brought up to date: its definition run over fixed versions of what it reads."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.errors import RefusedError, SourceError
from penstock.lake.ingest.intake import Progress, clock, quiet
from penstock.lake.ingest.quarantine import RefusedBatch, held, set_aside
from penstock.lake.ingest.verdict import Check
from penstock.lake.recipes import RECIPE, recipes_of
from penstock.lake.versioned import DELETED, ROLES, Lake, Scan, Staged, VersionedTable
from penstock.pipeline.derive import compare
from penstock.pipeline.derive.columns import kept_names, prepared, settled, turn_of, with_ids
from penstock.pipeline.derive.compare import ADDED, CHANGED, KEPT, VANISHED, WHAT, Sides
from penstock.pipeline.derive.derivation import Derivation
from penstock.pipeline.derive.inputs import Input, grown, latest_known, opened, versions
from penstock.pipeline.derive.recipes import recipe
from penstock.pipeline.derive.replay import replayable, replayed
from penstock.pipeline.derive.running import results
from penstock.pipeline.derive.statement import hashed
from penstock.settings import Settings

Mode = Literal["whole", "incremental", "unchanged"]
DEFINITION, INPUTS = "definition", "inputs"
"""The facts that each version of a derived table carries: its definition's fingerprint, and its inputs' versions."""
_OF_MAKING = (DEFINITION, INPUTS, RECIPE, ROLES)


@dataclass(frozen=True)
class Derived:
    """What came of deriving a table: its newest version, and how many of its rows are new, changed or gone.

    ``mode`` says how: run over all rows, over new rows only, or not at all as nothing had changed.
    """

    table: str
    version: int
    added: int = 0
    changed: int = 0
    deleted: int = 0
    mode: Mode = "unchanged"


@dataclass(frozen=True)
class _Job:
    """One derivation under way: the table at the version it had, what it is made from, and the batch's name."""

    derivation: Derivation
    table: VersionedTable
    inputs: Mapping[str, Input]
    at: int
    now: int
    drafts: Path
    progress: Progress
    facts: Mapping[str, str]
    before: Mapping[str, str]

    @property
    def same_definition(self) -> bool:
        return self.before.get(DEFINITION) == self.derivation.fingerprint

    @property
    def batch(self) -> str:
        told = json.dumps([self.derivation.name, dict(self.facts), self.at])
        return f"derive-{hashed(told)}"

    @property
    def rows_before(self) -> int:
        newest = self.table.newest()
        return 0 if newest is None else newest.rows


@dataclass(frozen=True)
class _Ready:
    """Rows to commit, and what they are."""

    staged: Staged
    counts: Counter[int]
    mode: Mode
    kind: str = "append"


def derive(
    derivation: Derivation,
    lake: Lake,
    *,
    check: Check | None = None,
    quarantine: Path,
    progress: Progress = quiet,
    now: Callable[[], int] = clock,
) -> Derived:
    """Bring a derived table up to date with the current rows of what it reads, exactly once in effect.

    The versions read and the definition's fingerprint are facts of the commit: when neither changed, nothing is done.
    ``check`` sees the table with the staged rows beside it. Raises ``RefusedError``: ``DERIVE_CHECK_FAILED`` when it
    refuses them (they are in quarantine then, and the table stays as it was), ``DERIVE_DUPLICATE_KEY`` and
    ``DERIVE_NO_KEY`` for results that the declared key does not tell apart; ``SchemaError`` for a definition that
    does not fit what it reads.
    """
    with held(quarantine, derivation.name) as drafts:
        inputs = opened(lake, derivation.reads)
        table = lake.create(derivation.name, derivation.schema, derivation.roles)
        newest = table.newest()
        at = 0 if newest is None else newest.number
        facts = _facts(derivation, inputs)
        before = _last_facts(table)
        if before == facts:
            settled(derivation, table)
            return Derived(derivation.name, at)
        job = _Job(derivation, table, inputs, at, now(), drafts, progress, facts, before)
        progress(f"derive {derivation.name}", 0.0)
        prepared(derivation, table)
        ready = _first(job) or _incremental(job) or _whole(job)
        progress(f"derive {derivation.name}", 0.9)
        return _committed(job, ready, check, quarantine)


def _facts(derivation: Derivation, inputs: Mapping[str, Input]) -> dict[str, str]:
    """What a version of these rows says of itself."""
    below = recipes_of({name: one.table for name, one in inputs.items()})
    told = {DEFINITION: derivation.fingerprint, INPUTS: json.dumps(versions(inputs))}
    return {**told, RECIPE: recipe(derivation.fingerprint, below), **derivation.roles.to_properties()}


def _last_facts(table: VersionedTable) -> dict[str, str]:
    """What the newest version that was derived says of itself."""
    for version in reversed(table.versions()):
        if DEFINITION in version.facts:
            return {name: version.facts[name] for name in _OF_MAKING if name in version.facts}
    return {}


def _committed(job: _Job, ready: _Ready, check: Check | None, quarantine: Path) -> Derived:
    """Check and commit what is staged. Raises ``RefusedError`` when the check says no."""
    name, table, staged = job.derivation.name, job.table, ready.staged
    if check is not None and (staged.files or ready.kind == "replace"):
        verdict = check(table, replace(staged, replaces=ready.kind == "replace"))
        if not verdict.passed:
            # A first batch is released as one row a key; a history is not, so that one is derived again instead.
            after = -1 if ready.counts[KEPT] else job.at
            refused = RefusedBatch(name, job.batch, verdict.reasons, after, ready.kind, job.facts, staged.rows)
            set_aside(quarantine, table, staged, refused)
            table.discard(staged)
            message = f"{name}: {'; '.join(verdict.reasons) or 'its check failed'}"
            hint = f"The table stays at version {job.at}; the rows are in quarantine as {job.batch}."
            raise RefusedError("DERIVE_CHECK_FAILED", message, name=name, hint=hint)
    write = table.replace if ready.kind == "replace" else table.commit
    turn = turn_of(job.derivation, table)
    version = write(staged, batch=job.batch, facts=job.facts, after=job.at, turn=turn)
    counts = ready.counts
    return Derived(name, version.number, counts[ADDED], counts[CHANGED], counts[VANISHED], ready.mode)


# ------------------------------------------------------------ the first time


def _first(job: _Job) -> _Ready | None:
    """The history of the rows, where it can be made and the table has none yet."""
    derivation = job.derivation
    if job.at or not replayable(derivation) or _columns(job) != tuple(derivation.schema.names):
        return None
    counts: Counter[int] = Counter()
    try:
        return _Ready(job.table.stage(_counted(job, replayed(derivation, job.inputs), counts)), counts, "whole")
    except SourceError as error:
        if error.code != "SQL_FAILED":
            raise
        return None  # two rows had one key: what is so now decides


# ------------------------------------------------------------ new rows alone


def _incremental(job: _Job) -> _Ready | None:
    """The rows that new rows of one input make; None where that is not all that could have changed."""
    derivation = job.derivation
    if not (job.same_definition and derivation.transparent and derivation.incremental):
        return None
    read = json.loads(job.before[INPUTS])
    changed = [name for name, one in job.inputs.items() if read.get(name) != one.version]
    if len(changed) != 1 or changed[0].casefold() not in derivation.shape.linear:
        return None
    (name,) = changed
    fresh = grown(job.inputs[name], read.get(name, 0))
    if fresh is None:
        return None
    draft = _drafted(job, results(derivation, job.inputs, job.now, {name: fresh}))
    scan = _scan(job, draft)
    key = derivation.roles.key
    if key:
        compare.must_have_keys(scan, key, derivation.name, derivation.file)
        if compare.meets(scan, job.table.scan(), key):
            return None
    counts: Counter[int] = Counter()
    with Sides(scan, job.table.scan(), key, _columns(job), None, "NULL").opened() as sql:
        chosen = f"SELECT * REPLACE (FALSE AS {DELETED}), {ADDED} AS {WHAT} FROM draft"
        staged = job.table.stage(_counted(job, sql.batches(chosen), counts))
    return _Ready(staged, counts, "incremental")


# ------------------------------------------------------------ all rows


def _whole(job: _Job) -> _Ready:
    """The result of the whole definition, against what the table holds."""
    derivation = job.derivation
    key = derivation.roles.key
    draft = _drafted(job, results(derivation, job.inputs, job.now))
    scan = _scan(job, draft)
    if key:
        compare.must_have_keys(scan, key, derivation.name, derivation.file)
    counts: Counter[int] = Counter()
    other_key = job.at > 0 and job.table.roles.key != key
    log = job.table.scan()
    log = Scan((), log.columns) if other_key else log
    rows = draft.rows + job.rows_before
    parts = compare.parts_of(rows, Settings.from_environment().memory)
    gone = _gone(job)
    own = dict(zip(derivation.schema.names, _columns(job), strict=True))
    happened = own.get(derivation.roles.happened or "")
    rounded = frozenset(own[name] for name in _rounded(derivation))
    sides = Sides(scan, log, key, tuple(own.values()), happened, gone, rounded, parts)
    with sides.opened() as sql:
        if key:
            staged = job.table.stage(_counted(job, compare.differing(sql, sides), counts))
            return _Ready(staged, counts, "whole", "replace" if other_key else "append")
        added, vanished = compare.changes(sql, sides)
        only = "TRUE" if vanished else f"{WHAT} = {ADDED}"
        rows_to_stage = compare.matched(sql, sides, only) if added or vanished else iter(())
        staged = job.table.stage(_counted(job, rows_to_stage, counts))
        counts = Counter({ADDED: added, VANISHED: vanished, KEPT: 0})
        return _Ready(staged, counts, "whole", "replace" if vanished or other_key else "append")


def _gone(job: _Job) -> str:
    """SQL for when a vanished row was known to be gone; NULL: right after its last version.

    A row made from single rows is gone since one of them changed, at the latest since the newest change there is; a
    new definition speaks of the past as well. Any other row is gone since the table was built without it.
    """
    if not job.derivation.transparent:
        return f"make_timestamp({job.now}::BIGINT)"
    latest = latest_known(job.inputs) if job.same_definition else None
    return "NULL::TIMESTAMP" if latest is None else f"make_timestamp({latest}::BIGINT)"


def _rounded(derivation: Derivation) -> frozenset[str]:
    """Columns of numbers that many rows may have been added up into, in an order that differs from run to run."""
    if derivation.transparent:
        return frozenset()
    return frozenset(one.name for one in derivation.schema if pa.types.is_floating(one.type))


def _columns(job: _Job) -> tuple[str, ...]:
    return kept_names(job.derivation, job.table)


# ------------------------------------------------------------ drafts


def _drafted(job: _Job, batches: Iterable[pa.RecordBatch]) -> Staged:
    """The result in a file that only this process knows."""
    schema, rows = with_ids(job.derivation, job.table), 0
    file = job.drafts / f"{uuid4().hex}.parquet"
    with pq.ParquetWriter(file, schema, compression="zstd", compression_level=1) as writer:
        for batch in batches:
            writer.write_batch(pa.record_batch(batch.columns, schema=schema))
            rows += batch.num_rows
    return Staged((file,), rows)


def _scan(job: _Job, draft: Staged) -> Scan:
    return Scan(draft.files, job.table.scan().columns)


def _counted(job: _Job, batches: Iterable[pa.RecordBatch], counts: Counter[int]) -> Iterator[pa.RecordBatch]:
    """The rows in the table's columns, counted by what they are."""
    schema = job.table.schema
    for batch in batches:
        what = batch.column(batch.schema.names.index(WHAT)).to_numpy(zero_copy_only=False)
        counts.update(Counter(int(one) for one in what))
        arrays = [
            batch.column(name) if name in batch.schema.names else pa.nulls(batch.num_rows, schema.field(name).type)
            for name in schema.names
        ]
        yield pa.record_batch([a.cast(f.type) for a, f in zip(arrays, schema, strict=True)], schema=schema)
