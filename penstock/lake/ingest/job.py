"""One attempt at one table: the source opened, the lake's table made or widened, what is to be read."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import blake2b
from pathlib import Path

import pyarrow as pa

from penstock.errors import RefusedError, SchemaError, SourceError
from penstock.lake.ingest.feeds import Bound, Feed, open_feed
from penstock.lake.ingest.intake import Intake, Progress
from penstock.lake.ingest.quarantine import Rejects, folder_of
from penstock.lake.ingest.reading import Reading
from penstock.lake.ingest.shape import Shape, shaped
from penstock.lake.ingest.sparing import prepared
from penstock.lake.ingest.state import lowered, mark_of
from penstock.lake.ingest.verdict import Check
from penstock.lake.versioned import DELETED, KNOWN, Lake, Roles, VersionedTable
from penstock.settings import Settings


@dataclass(frozen=True)
class Past:
    """A range ``[start, end)`` of a column that is read again; ``as_happened``: new rows count as known since then."""

    column: str
    start: pa.Scalar
    end: pa.Scalar
    as_happened: bool = False


@dataclass(frozen=True)
class Run:
    """What `ingest` and `backfill` were asked for; ``now`` in microseconds since 1970."""

    lake: Lake
    quarantine: Path
    now: int
    progress: Progress
    check: Check | None
    allow_drops: Collection[str]
    slice_rows: int
    past: tuple[str | None, object, object, bool] | None = None
    settings: Settings = field(default_factory=Settings.from_environment)


@dataclass(frozen=True)
class Job:
    """One attempt: what is read, from where, into what. ``before`` is the table's version (0: none yet).

    ``awaited`` is the number of the last row that came by a stream before the source was opened and that the source is
    to show (`penstock.lake.ingest.sparing`).
    """

    intake: Intake
    run: Run
    table: VersionedTable
    before: int
    shape: Shape
    feed: Feed
    reading: Reading
    drafts: Path
    mark: pa.Scalar | None = None
    past: Past | None = None
    awaited: int | None = None

    @property
    def folder(self) -> Path:
        """Where the table's quarantine is."""
        return folder_of(self.run.quarantine, self.intake.table)

    @property
    def bound(self) -> Bound | None:
        """The rows that are read; None for all."""
        if self.past is not None:
            return Bound(self.shape.column(self.past.column), self.past.start, self.past.end, nulls=False)
        if self.reading.marks is None or self.mark is None:
            return None
        return Bound(self.shape.column(self.reading.marks), lowered(self.mark, self.intake.overlap))

    @property
    def whole(self) -> bool:
        """Whether all rows of the source are read, so that what is not read is gone."""
        return _compares(self.intake, self.run)

    @property
    def trusts_keys(self) -> bool:
        """Whether no two rows that were read have one key: the source declares it so, or they only grew."""
        columns = self.shape.columns
        return {columns[name].name for name in self.shape.key} == set(self.feed.key) or self.reading.rises

    @property
    def clocks(self) -> tuple[str, ...]:
        """The columns that say when a row was known, where the source keeps corrections beside what they correct."""
        known, happened = self.intake.known, self.intake.happened
        if not self.shape.key or known is None or known in self.shape.key:
            return ()
        return (known,) if happened is None else (known, happened)

    @property
    def batch(self) -> str:
        """The commit's name: from what the table was, and what was read of which moment of the source."""
        told = (self.intake.origin, self.intake.mode, self.feed.name, self.feed.snapshot, self.reading.read)
        past = (self.past.column, str(self.past.start), str(self.past.end)) if self.past else ()
        digest = blake2b(repr((told, past, str(self.mark), self.shape.schema)).encode(), digest_size=8)
        return f"{self.before + 1}-{digest.hexdigest()}"


@contextmanager
def opened(intake: Intake, run: Run, drafts: Path) -> Iterator[Job]:
    """The job, with its source open. Raises ``SchemaError`` and ``SourceError`` before anything is read.

    ``SourceError`` (``LAKE_CONFLICT``) says that somebody committed to the table meanwhile.
    """
    before = run.lake.table(intake.table) if intake.table in run.lake else None
    number = 0 if before is None else _number(before)
    awaited = prepared(run.lake, before, compares=_compares(intake, run)) if before is not None and number else None
    with _feed(intake, before) as feed:
        shape = shaped(intake, feed, None if before is None else before.schema, run.allow_drops)
        marks = None if run.past or intake.mode != "incremental" else _marks(intake, shape)
        past = _past(intake, run, shape)
        table = _made(intake, run, shape, feed) if before is None else _fitted(intake, before, shape)
        if _number(table) != number:
            raise SourceError("LAKE_CONFLICT", f"{intake.table}: somebody else committed", hint="Begin again.")
        mark = None if marks is None or not number else mark_of(table, marks, shape.column(marks).kind)
        rejects = Rejects(drafts / "rejected")
        reading = Reading(intake, shape, feed, rejects, run.now, run.progress, marks, mark)
        yield Job(intake, run, table, number, shape, feed, reading, drafts, mark, past, awaited)


def _number(table: VersionedTable) -> int:
    newest = table.newest()
    return 0 if newest is None else newest.number


def _compares(intake: Intake, run: Run) -> bool:
    return run.past is None and intake.mode != "incremental"


@contextmanager
def _feed(intake: Intake, before: VersionedTable | None) -> Iterator[Feed]:
    expected = None if before is None else _theirs(intake, before.schema)
    try:
        opened_feed = open_feed(intake.source, intake.origin, expected, intake.landing)
        with opened_feed as feed:
            yield feed
    except SourceError as error:
        if error.code != "SOURCE_UNKNOWN_TABLE" or before is None or before.newest() is None:
            raise
        message = f"{intake.table}: the source no longer has the table {intake.origin!r}"
        hint = "Was it renamed? Say its name at the source with from; the lake keeps what it has."
        raise SchemaError(
            "INGEST_TABLE_VANISHED", message, name=intake.origin, candidates=error.candidates, hint=hint
        ) from error


def _theirs(intake: Intake, schema: pa.Schema) -> pa.Schema:
    """The lake's columns as the source may call them: by the name of before a rename, and by that of after."""
    fields = [f for f in schema if f.name not in (KNOWN, DELETED)]
    there = {f.name for f in fields}
    renamed = [f.with_name(intake.renames[f.name]) for f in fields if f.name in intake.renames]
    return pa.schema([*fields, *(f for f in renamed if f.name not in there)])


def _made(intake: Intake, run: Run, shape: Shape, feed: Feed) -> VersionedTable:
    origin = f"{feed.name}#{intake.origin}"
    roles = Roles(shape.key, intake.happened, dict(intake.links), origin, intake.known)
    return run.lake.create(intake.table, shape.schema, roles)


def _fitted(intake: Intake, table: VersionedTable, shape: Shape) -> VersionedTable:
    """The lake's table, with the columns that came or became wider."""
    if shape.key != table.roles.key:
        was, now = ", ".join(table.roles.key) or "none", ", ".join(shape.key) or "none"
        message = f"{intake.table}: the key was {was} and is to be {now}: rows known so far cannot be told by it"
        hint = "Ingest it as a table of another name."
        raise SchemaError("INGEST_KEY_CHANGED", message, name=now, candidates=table.roles.key, hint=hint)
    if shape.added or shape.widened:
        table = table.evolve(add=shape.added, widen=shape.widened)
    return table


def _marks(intake: Intake, shape: Shape) -> str:
    """The column by which rows are known to be new."""
    name = intake.watermark or (shape.key[0] if len(shape.key) == 1 else None)
    if name is None:
        message = f"{intake.table}: to read only what is new, name a column that grows"
        hint = 'watermark = "updated_at", or mode = "compare"'
        raise SchemaError("INGEST_NO_WATERMARK", message, candidates=shape.columns, hint=hint)
    _must_grow(intake, name, shape)
    return name


def _must_grow(intake: Intake, name: str, shape: Shape) -> None:
    kind, types = shape.schema.field(name).type, pa.types
    grows = types.is_integer(kind) or types.is_floating(kind) or types.is_decimal(kind) or types.is_string(kind)
    if not (grows or types.is_timestamp(kind) or types.is_date(kind)):
        message = f"{intake.table}: {name!r} is {kind}, by which rows have no order"
        hint = "Name a number, a time or a text."
        raise SchemaError("INGEST_NO_WATERMARK", message, name=name, candidates=shape.columns, hint=hint)


def _past(intake: Intake, run: Run, shape: Shape) -> Past | None:
    if run.past is None:
        return None
    column, start, end, as_happened = run.past
    name = column or intake.watermark or intake.happened or (shape.key[0] if len(shape.key) == 1 else None)
    if name is None or name not in shape.columns:
        message = f"{intake.table}: by which column is the past to be read?"
        raise SchemaError("INGEST_NO_WATERMARK", message, name=name, candidates=shape.columns)
    _must_grow(intake, name, shape)
    kind = shape.schema.field(name).type
    return Past(name, _scalar(intake, start, kind), _scalar(intake, end, kind), as_happened)


def _plain(value: object) -> pa.Scalar:
    """An instant of any zone as one of no zone; all else as a text, which becomes whatever it can."""
    found = pa.scalar(value)
    if pa.types.is_timestamp(found.type):
        return found.cast(pa.timestamp("us"))
    return found if pa.types.is_date(found.type) else pa.scalar(str(value), pa.string())


def _scalar(intake: Intake, value: object, kind: pa.DataType) -> pa.Scalar:
    try:
        return _plain(value).cast(kind)
    except (pa.ArrowException, ValueError) as error:
        message = f"{intake.table}: {value!r} is no {kind}"
        raise RefusedError("INGEST_RANGE", message, hint="Write it like 2026-01-31 or 1000.") from error
