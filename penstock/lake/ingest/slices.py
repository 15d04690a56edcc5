"""A large first load, staged in slices by growing key: a killed one goes on from its last complete slice.

Slices are files that no version names; all of them are committed as one version. Rows read after a kill are of a later
moment than those before: what changed in between is found by the next ingestion, since the watermark that is noted is
not above what was seen before the first kill.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from hashlib import blake2b
from itertools import chain
from pathlib import Path

import pyarrow as pa

from penstock.lake.ingest.feeds import Wanted
from penstock.lake.ingest.feeds.feed import value_text
from penstock.lake.ingest.job import Job
from penstock.lake.ingest.outcome import first_rows
from penstock.lake.ingest.reading import ROWS
from penstock.lake.versioned import Staged

SLICE = 2_000_000
"""How many rows of a first load a kill can lose."""
_FOLDER, _JOURNAL = ".slices", "journal.json"


@dataclass(frozen=True)
class Journal:
    """The slices that are complete: their files and rows, how many rows were read, and the last one's key."""

    plan: str
    files: tuple[str, ...] = ()
    rows: int = 0
    read: int = 0
    unnamed: int = 0
    mark: str | None = None
    after: tuple[str, ...] = ()
    rejected: tuple[str, ...] = ()


def sliced(job: Job) -> bool:
    """Whether a first load is read by growing key: a large one by a declared key of which all know the order."""
    key = [job.shape.column(name) for name in job.shape.key]
    plain = all(pa.types.is_integer(c.kind) or pa.types.is_decimal(c.kind) or c.type == "uuid" for c in key)
    declared = bool(key) and {c.name for c in key} == set(job.feed.key)
    large = job.feed.rows is None or job.feed.rows > job.run.slice_rows
    return job.feed.orders and declared and plain and large


def staged_in_slices(job: Job) -> Staged:
    """The rows of a first load, staged; what an attempt before had staged is taken over."""
    folder = job.folder / _FOLDER
    journal = _taken_over(job, folder)
    reading = job.reading
    columns = tuple(job.shape.column(name) for name in job.shape.columns)
    key = tuple(job.shape.column(name) for name in job.shape.key)
    after = tuple(
        pa.scalar(told, pa.string()).cast(column.kind) for told, column in zip(journal.after, key, strict=False)
    )
    rows = reading.wanted(Wanted(columns, None, key, after), min(job.run.slice_rows, ROWS))
    while (first := next(rows, None)) is not None:
        last: list[pa.RecordBatch] = []
        staged = job.table.stage(first_rows(job, _slice(chain([first], rows), job.run.slice_rows, last)))
        journal = _with(job, journal, staged, last[-1])
        _write(folder, journal)
    return Staged(tuple(map(Path, journal.files)), journal.rows)


def _slice(rows: Iterator[pa.RecordBatch], most: int, last: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """Batches until there are rows enough; ``last`` gets the last one that holds rows."""
    count = 0
    for batch in rows:
        if len(batch):
            last[:] = [batch.slice(len(batch) - 1)]
        elif not last:
            last.append(batch)
        count += len(batch)
        yield batch
        if count >= most:
            return


def _with(job: Job, journal: Journal, staged: Staged, last: pa.RecordBatch) -> Journal:
    reading = job.reading
    mark = None if reading.mark is None else value_text(reading.mark)
    after = tuple(value_text(last.column(name)[0]) for name in job.shape.key) if len(last) else journal.after
    return Journal(
        journal.plan,
        journal.files + tuple(map(str, staged.files)),
        journal.rows + staged.rows,
        reading.read,
        reading.unnamed,
        mark,
        after,
        tuple(map(str, reading.rejects.sealed(job.folder / _FOLDER))),
    )


def _taken_over(job: Job, folder: Path) -> Journal:
    """The journal of an attempt that was killed, if it was at the same and its files are all there."""
    told = (job.feed.name, job.intake.origin, str(job.shape.schema), job.shape.key, dict(job.intake.renames))
    plan = blake2b(repr(told).encode(), digest_size=16).hexdigest()
    found = _read(folder / _JOURNAL)
    if found is None or found.plan != plan or not all(Path(p).exists() for p in (*found.files, *found.rejected)):
        shutil.rmtree(folder, ignore_errors=True)
        return Journal(plan)
    reading = job.reading
    reading.read, reading.unnamed = found.read, found.unnamed
    reading.rejects.take_over(map(Path, found.rejected))
    if reading.marks is not None:
        kind = job.shape.schema.field(reading.marks).type
        reading.held = True
        reading.mark = None if found.mark is None else pa.scalar(found.mark, pa.string()).cast(kind)
    return found


def _read(path: Path) -> Journal | None:
    if not path.exists():
        return None
    told = json.loads(path.read_text(encoding="utf-8"))
    files, after, rejected = (tuple(told[name]) for name in ("files", "after", "rejected"))
    return Journal(told["plan"], files, told["rows"], told["read"], told["unnamed"], told["mark"], after, rejected)


def _write(folder: Path, journal: Journal) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{_JOURNAL}"
    draft.write_text(json.dumps(asdict(journal)), encoding="utf-8")
    draft.replace(folder / _JOURNAL)


def forget_slices(folder: Path) -> None:
    """Forget the slices of a table whose first load is committed or refused."""
    shutil.rmtree(folder / _FOLDER, ignore_errors=True)
