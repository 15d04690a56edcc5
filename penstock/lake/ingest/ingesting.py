"""Ingest one table: read it once, compare, stage, check, commit; a kill at any moment loses and doubles nothing.

Whatever was read becomes visible with one commit, which carries the state too (how far the watermark was read). What
is killed before it leaves files that no version names; what is killed after it has nothing left to do. A large first
load is staged in slices that the next attempt goes on from, and is still committed as one version, so that checks see
all of it and nobody sees half.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from penstock.errors import RefusedError, SourceError
from penstock.lake.awaited import is_streamed
from penstock.lake.ingest.intake import Ingested, Intake, Progress, clock, quiet
from penstock.lake.ingest.job import Job, Run, opened
from penstock.lake.ingest.outcome import Outcome, compared, first_rows, loaded
from penstock.lake.ingest.quarantine import RefusedBatch, commit, held, set_aside
from penstock.lake.ingest.slices import SLICE, forget_slices, sliced, staged_in_slices
from penstock.lake.ingest.sparing import settle
from penstock.lake.ingest.verdict import Check, Verdict
from penstock.lake.reserved import COMPARED
from penstock.lake.versioned import Lake

_TRIES = 10


def ingest(
    intake: Intake,
    lake: Lake,
    *,
    check: Check | None = None,
    quarantine: Path,
    progress: Progress = quiet,
    now: Callable[[], int] = clock,
    allow_drops: Collection[str] = frozenset(),
    slice_rows: int = SLICE,
) -> Ingested:
    """Read a table's rows and commit what differs from the lake, exactly once in effect.

    ``check`` sees the table with the staged rows beside it before they are committed. ``allow_drops`` names columns
    that may be gone from the source: they read as NULL from then on. ``slice_rows`` is how many rows of a first load
    a kill can lose. Raises ``SchemaError`` for columns that do not fit (see `shaped`), ``INGEST_TABLE_VANISHED``,
    ``INGEST_KEY_CHANGED``, ``INGEST_STREAMED`` (no key, and rows streamed in) and ``INGEST_NO_WATERMARK``;
    ``RefusedError`` (``INGEST_CHECK_FAILED``) when the check refused the rows, which are in quarantine then;
    ``SourceError`` for what cannot be read. Nothing is committed then.
    """
    return _repeated(intake, Run(lake, quarantine, now(), progress, check, allow_drops, slice_rows))


def backfill(
    intake: Intake,
    lake: Lake,
    start: object,
    end: object,
    *,
    column: str | None = None,
    known: str = "now",
    check: Check | None = None,
    quarantine: Path,
    progress: Progress = quiet,
    now: Callable[[], int] = clock,
    allow_drops: Collection[str] = frozenset(),
) -> Ingested:
    """Read the rows of ``[start, end)`` of a column again (default: the watermark, else the event's time).

    Rows that the lake lacks are added and differing ones become new versions, known now; with ``known="happened"``
    the added ones count as known when they happened. Nothing is deleted, and the state of ingestion stays. ``start``
    and ``end`` are dates, instants, numbers or texts of them. Errors as in `ingest`, and ``INGEST_RANGE``.
    """
    if known not in ("now", "happened"):
        message = f"{intake.table}: rows cannot be known {known!r}"
        raise RefusedError("INGEST_RANGE", message, name=known, candidates=("now", "happened"))
    past = (column, start, end, known == "happened")
    return _repeated(intake, Run(lake, quarantine, now(), progress, check, allow_drops, SLICE, past))


def _repeated(intake: Intake, run: Run) -> Ingested:
    """Once, or again when another writer of the table came first."""
    for _ in range(_TRIES):
        with held(run.quarantine, intake.table) as drafts:
            try:
                with opened(intake, run, drafts) as job:
                    return _finished(job, _read(job))
            except SourceError as error:
                if error.code != "LAKE_CONFLICT":
                    raise
    raise SourceError("LAKE_BUSY", f"{intake.table}: other writers came first {_TRIES} times", hint="Try again.")


def _read(job: Job) -> Outcome:
    if job.before:
        forget_slices(job.folder)  # those of a first load that was killed between its commit and its end
    if job.before or job.past is not None:
        return compared(job)
    if sliced(job):
        return loaded(job, staged_in_slices(job))
    return loaded(job, job.table.stage(first_rows(job, job.reading.batches())))


def _finished(job: Job, outcome: Outcome) -> Ingested:
    """Put aside what was rejected, check what is left, commit it."""
    job.reading.rejects.keep(job.folder, job.batch)
    if job.before and _is_nothing(job, outcome):
        _settled(job, outcome)
        return _told(job, outcome, job.before, "")
    batch = RefusedBatch(
        job.intake.table, job.batch, (), job.before, outcome.kind, dict(outcome.facts), outcome.staged.rows
    )
    _must_pass(job, outcome, batch)
    try:
        version = commit(job.table, outcome.staged, batch)
    except SourceError:
        job.table.discard(outcome.staged)
        raise
    forget_slices(job.folder)
    _settled(job, outcome)
    job.run.progress(f"ingested {job.intake.table}", 1.0)
    return _told(job, outcome, version.number, job.batch)


def _is_nothing(job: Job, outcome: Outcome) -> bool:
    """Whether there is nothing to commit. That a table is compared now has to be said where rows stream into it."""
    held = job.table.facts()
    news = {name for name, value in outcome.facts.items() if held.get(name) != value}
    news -= set() if is_streamed(job.table) else {COMPARED}
    return not outcome.staged.rows and outcome.kind == "append" and not news


def _settled(job: Job, outcome: Outcome) -> None:
    """The keys that the source has shown are awaited no longer: what it says of them counts from now on."""
    if outcome.shown is not None and job.awaited is not None:
        settle(job.run.lake, job.table, outcome.shown, job.awaited, job.clocks, job.run.settings)


def _must_pass(job: Job, outcome: Outcome, batch: RefusedBatch) -> None:
    if job.run.check is None or not (outcome.staged.rows or outcome.kind == "replace"):
        return
    verdict = job.run.check(job.table, outcome.staged)
    if verdict.passed:
        return
    set_aside(job.run.quarantine, job.table, outcome.staged, _with(batch, verdict))
    job.table.discard(outcome.staged)
    forget_slices(job.folder)
    reasons = "; ".join(verdict.reasons) or "it gave no reason"
    message = f"{job.intake.table}: {outcome.staged.rows:,} rows are refused by a check: {reasons}"
    hint = f"They are in quarantine as {batch.batch}: look at them, then release or discard them."
    raise RefusedError("INGEST_CHECK_FAILED", message, name=batch.batch, hint=hint)


def _with(batch: RefusedBatch, verdict: Verdict) -> RefusedBatch:
    results = "" if verdict.results is None else str(verdict.results)
    return RefusedBatch(
        batch.table, batch.batch, verdict.reasons, batch.after, batch.kind, batch.facts, batch.rows, results
    )


def _rejected(count: int) -> tuple[str, ...]:
    told = "1 row was" if count == 1 else f"{count:,} rows were"
    return (f"{told} rejected: penstock data quarantine list",) if count else ()


def _told(job: Job, outcome: Outcome, version: int, batch: str) -> Ingested:
    reading = job.reading
    notes = (*reading.notes(), *_rejected(reading.rejects.count), *outcome.notes)
    return Ingested(
        job.intake.table,
        version,
        reading.read,
        outcome.added,
        outcome.changed,
        outcome.deleted,
        reading.rejects.count,
        batch,
        notes,
    )
