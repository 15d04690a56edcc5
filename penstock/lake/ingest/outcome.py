"""What a reading comes to: rows staged beside the table, and how many of them are what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.awaited import is_compared
from penstock.lake.ingest import difference as diff
from penstock.lake.ingest.corrections import differing_records
from penstock.lake.ingest.fitting import raw_texts
from penstock.lake.ingest.intake import Intake
from penstock.lake.ingest.job import Job
from penstock.lake.ingest.reading import drafted
from penstock.lake.ingest.shape import ROW
from penstock.lake.ingest.sparing import spared
from penstock.lake.ingest.state import facts_of, held_facts
from penstock.lake.reserved import COMPARED
from penstock.lake.versioned import DELETED, KNOWN, Staged
from penstock.lake.versioned.scan import Scan, quoted

_INSTANT = pa.timestamp("us")


@dataclass(frozen=True)
class Outcome:
    """Staged rows, how many are what, how they are committed (``append`` or ``replace``) and with which facts.

    ``shown`` are the rows that were read, where they were compared with the lake's.
    """

    staged: Staged
    added: int = 0
    changed: int = 0
    deleted: int = 0
    kind: str = "append"
    facts: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    shown: Scan | None = None


def compared(job: Job) -> Outcome:
    """What was read against what the lake has: only what differs is staged."""
    schema = job.shape.schema.append(pa.field(ROW, pa.int64()))
    draft = drafted(job.drafts / "read.parquet", schema, job.reading.batches(job.bound))
    outcome = differences(job, draft, _fresh(job))
    return replace(outcome, facts=_facts(job), shown=draft)


def _fresh(job: Job) -> str:
    """SQL for when a row was known that the lake had nothing of before: as the source says, else now."""
    if job.past is not None and job.past.as_happened:
        return "NULL::TIMESTAMP"
    now = f"make_timestamp({job.run.now}::BIGINT)"
    return now if job.intake.known is None else f"coalesce({', '.join([*_said(job.intake), now])})"


def _said(intake: Intake) -> list[str]:
    """SQL for what a row itself says of when it was known: its source's word, else when it happened."""
    return [f"{quoted(name)}::TIMESTAMP" for name in (intake.known, intake.happened) if name is not None]


def _facts(job: Job) -> Mapping[str, str]:
    reading = job.reading
    read = held_facts(job.table) if reading.marks is None else facts_of(reading.marks, reading.mark)
    return {**read, **_standing(job)}


def _standing(job: Job) -> Mapping[str, str]:
    """The fact whether the table is compared with its source, where it is news or may be."""
    if job.whole:
        return {COMPARED: "yes"}
    return {COMPARED: ""} if job.past is None and is_compared(job.table) else {}


def differences(job: Job, draft: Scan, fresh: str) -> Outcome:
    """Rows of a draft (numbered by `ROW`) that differ from the lake, staged; ``fresh`` is SQL for when new ones were
    known.
    """
    sides = _sides(job, draft, fresh)
    newest = job.table.newest()
    rows = job.reading.read + (0 if newest is None else newest.rows)
    parts = diff.parts_of(sides, rows, job.run.settings)
    with diff.opened(sides, job.run.settings) as sql:
        if sides.key:
            coming = differing_records if sides.clocks else diff.differing
            return _by_key(job, coming(sql, sides, parts), diff.vanished(sql, sides, parts))
        if not job.whole:
            counts = _Counts(job)
            staged = job.table.stage(counts.written(diff.differing(sql, sides, parts)))
            return Outcome(staged, counts.added)
        added, gone = diff.unmatched(sql, sides, parts)
        notes = _held_back(job, gone)
        kept, batches = _Counts(job), diff.matched(sql, sides, parts)
        if gone and not notes:
            staged = replace(job.table.stage(kept.written(batches)), replaces=True)
            return Outcome(staged, added, deleted=gone, kind="replace")
        fresh_rows = (_only(batch, diff.ADDED) for batch in batches) if added else ()
        return Outcome(job.table.stage(kept.written(fresh_rows)), added, notes=notes)


def _sides(job: Job, draft: Scan, fresh: str) -> diff.Sides:
    key = pa.schema([job.shape.schema.field(name) for name in job.shape.key] or [pa.field("none", pa.int64())])
    kept = spared(job.run.lake, job.table, key) if job.whole and job.shape.key else ()
    left_alone = drafted(job.drafts / "spared.parquet", key, chain(job.reading.spared, kept))
    return diff.Sides(
        job.table.scan(),
        draft,
        left_alone,
        job.shape.key,
        tuple(job.shape.columns),
        job.run.now,
        fresh,
        job.whole,
        job.trusts_keys,
        bool(job.reading.unnamed),
        job.clocks,
    )


def _held_back(job: Job, gone: int) -> tuple[str, ...]:
    """The note that deletions wait: while a rejected row cannot be told, it may be one of those that seem gone."""
    if not gone or not job.reading.unnamed:
        return ()
    told = "row was" if job.reading.unnamed == 1 else "rows were"
    return (f"{job.reading.unnamed} {told} rejected that could be any of the {gone} that are gone: deletions wait",)


def _by_key(job: Job, coming: Iterator[pa.RecordBatch], going: Iterator[pa.RecordBatch]) -> Outcome:
    counts = _Counts(job)
    staged = job.table.stage(counts.written(coming))
    if not job.whole:
        return Outcome(staged, counts.added, counts.changed)
    gone = job.table.stage(counts.tombstones(going))
    notes = _held_back(job, counts.deleted)
    if notes:
        job.table.discard(gone)
        return Outcome(staged, counts.added, counts.changed, notes=notes)
    if counts.deleted and not job.reading.read:
        notes = (f"the source has no rows: all {counts.deleted} are gone",)
    both = Staged(staged.files + gone.files, staged.rows + gone.rows)
    return Outcome(both, counts.added, counts.changed, counts.deleted, notes=notes)


def _only(batch: pa.RecordBatch, what: int) -> pa.RecordBatch:
    return batch.filter(pc.equal(batch.column(diff.WHAT), what))


@dataclass
class _Counts:
    """How many rows were written as what, while they are."""

    job: Job
    added: int = 0
    changed: int = 0
    deleted: int = 0

    def written(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Differing rows in the lake's columns; those that repeat a key are rejected."""
        for batch in batches:
            what = batch.column(diff.WHAT)
            repeated = pc.equal(what, diff.REPEATED)
            if pc.any(repeated).as_py():
                self._reject(batch.filter(repeated))
                batch = batch.filter(pc.invert(repeated))
                what = batch.column(diff.WHAT)
            self.added += pc.sum(pc.equal(what, diff.ADDED)).as_py() or 0
            self.changed += pc.sum(pc.equal(what, diff.CHANGED)).as_py() or 0
            yield in_lake(self.job, batch, batch.column(KNOWN))

    def _reject(self, repeats: pa.RecordBatch) -> None:
        firsts = repeats.column(diff.FIRST).to_pylist()
        same = f"the key ({', '.join(self.job.shape.key)})"
        same += f" and {self.job.clocks[0]} repeat those" if self.job.clocks else " repeats that"
        reasons = [f"{same} of row {first}" for first in firsts]
        raw = raw_texts(repeats.select(list(self.job.shape.columns)), range(len(repeats)))
        self.job.reading.rejects.add(repeats.column(ROW).to_pylist(), reasons, raw)

    def tombstones(self, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Rows that are gone, in the lake's columns."""
        for batch in batches:
            self.deleted += len(batch)
            yield in_lake(self.job, batch, batch.column(KNOWN), gone=True)


def in_lake(job: Job, batch: pa.RecordBatch, known: pa.Array, *, gone: bool = False) -> pa.RecordBatch:
    """Rows in all of the lake's columns, those that were not read being NULL."""
    schema = job.table.schema
    own = {KNOWN: known, DELETED: pa.repeat(pa.scalar(gone), len(batch))}
    arrays = [
        own[f.name]
        if f.name in own
        else batch.column(f.name).cast(f.type)
        if f.name in batch.schema.names
        else pa.nulls(len(batch), f.type)
        for f in schema
    ]
    return pa.record_batch(arrays, schema=schema)


# ---------------------------------------------------------------- first loads


def first_rows(job: Job, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Rows of a first load, known when they happened or when the source says."""
    for batch in batches:
        yield in_lake(job, batch, _known(job.intake, batch))


def _known(intake: Intake, batch: pa.RecordBatch) -> pa.Array:
    """When rows of a first load were known: as the source says, else when they happened, which NULL says, too."""
    if intake.known is None:
        return pa.nulls(len(batch), _INSTANT)
    said = [batch.column(name).cast(_INSTANT) for name in (intake.known, intake.happened) if name is not None]
    return pc.coalesce(*said)


def loaded(job: Job, staged: Staged) -> Outcome:
    """A first load that was staged; where it holds a key twice, the later rows are rejected.

    A correction is another row: there it is key and instant that must not be there twice.
    """
    key, run = job.shape.key, job.run
    facts = {**facts_of(job.reading.marks, job.reading.mark), **_standing(job)}
    scan = replace(job.table.scan(), files=staged.files)
    told = (*key, KNOWN) if job.clocks else key
    if not key or job.trusts_keys or not diff.repeats_a_key(scan, told, staged.rows, run.settings):
        return Outcome(staged, staged.rows, facts=facts)
    schema = job.shape.schema.append(pa.field(ROW, pa.int64()))
    rows = diff.numbered(scan, list(job.shape.columns), run.settings)
    draft = drafted(job.drafts / "again.parquet", schema, _renumbered(rows, job.reading.rejects.rows))
    job.table.discard(staged)
    said = [] if job.intake.known is None else _said(job.intake)
    return replace(differences(job, draft, f"coalesce({', '.join([*said, 'NULL::TIMESTAMP'])})"), facts=facts)


def _renumbered(batches: Iterable[pa.RecordBatch], rejected: list[int]) -> Iterator[pa.RecordBatch]:
    """Rows numbered among those that fit, under the numbers that they had in the source."""
    shifts = np.sort(np.asarray(rejected, np.int64)) - np.arange(len(rejected))
    for batch in batches:
        place = batch.column(ROW).to_numpy()
        numbers = place + np.searchsorted(shifts, place, side="right")
        yield batch.set_column(batch.schema.get_field_index(ROW), ROW, pa.array(numbers, pa.int64()))


__all__ = ["Outcome", "compared", "differences", "first_rows", "in_lake", "loaded"]
