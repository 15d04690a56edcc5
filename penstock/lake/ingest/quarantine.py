"""Where rows go that do not fit, and whole batches that a check refused: nothing is silently dropped.

``quarantine/TABLE/BATCH.parquet`` holds rejected rows (`REJECTED`), ``quarantine/TABLE/BATCH/`` a refused batch: its
rows and ``batch.json`` with the reasons.
"""

from __future__ import annotations

import fcntl
import json
import shutil
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NoReturn
from urllib.parse import quote, unquote
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.errors import RefusedError, SourceError
from penstock.lake.ingest.feeds import REJECTED
from penstock.lake.sql import Sql
from penstock.lake.versioned import Lake, Staged, Version, VersionedTable
from penstock.lake.versioned.scan import Scan

_LOCK, _DRAFTS, _OPEN = ".lock", ".drafts", "open.parquet"
_ROWS, _NOTE = "rows.parquet", "batch.json"
_COMPARED = 100_000


def folder_of(quarantine: Path, table: str) -> Path:
    """A table's folder in quarantine; signs that mean something in a path are written as ``%2F`` and the like.

    >>> folder_of(Path("q"), "orders").name, folder_of(Path("q"), "../orders").name
    ('orders', '%2E.%2Forders')
    """
    name = quote(table, safe=" ")
    return quarantine / (f"%2E{name[1:]}" if name.startswith(".") else name)


def tables_in(quarantine: Path) -> tuple[str, ...]:
    """The tables that have a folder in quarantine, by name."""
    return tuple(sorted(unquote(path.name) for path in quarantine.glob("*") if path.is_dir()))


@contextmanager
def held(quarantine: Path, table: str) -> Iterator[Path]:
    """A table's folder, for one ingestion at a time on this machine, and in it a fresh folder for drafts.

    The lock goes with the process, whatever ends it; what a killed one left is thrown away by the next.
    """
    folder = folder_of(quarantine, table)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        drafts = folder / _DRAFTS
        shutil.rmtree(drafts, ignore_errors=True)
        drafts.mkdir()
        try:
            yield drafts
        finally:
            shutil.rmtree(drafts, ignore_errors=True)


@dataclass
class Rejects:
    """Rejected rows of one reading, written to files of a folder as they come."""

    folder: Path
    count: int = 0
    rows: list[int] = field(default_factory=list)
    _sealed: list[Path] = field(default_factory=list)
    _writer: pq.ParquetWriter | None = None

    def add(self, rows: Sequence[int], reasons: Sequence[str], raw: Sequence[str]) -> None:
        """Rows of the source by their number from 1, each with a reason and what it held."""
        columns = [pa.nulls(len(rows), pa.string()), pa.array(rows, pa.int64()), pa.array(reasons, pa.string())]
        self.add_table(pa.table([*columns, pa.array(raw, pa.string())], schema=REJECTED))
        self.rows.extend(rows)

    def add_table(self, rejected: pa.Table) -> None:
        """Rows with the columns of `REJECTED`, whatever they are called."""
        if not rejected.num_rows:
            return
        if self._writer is None:
            self.folder.mkdir(parents=True, exist_ok=True)
            self._writer = pq.ParquetWriter(self.folder / _OPEN, REJECTED, compression="zstd")
        self._writer.write_table(rejected.rename_columns(REJECTED.names).cast(REJECTED))
        self.count += rejected.num_rows

    def sealed(self, folder: Path | None = None) -> tuple[Path, ...]:
        """The files that hold all rows so far, each complete; new ones go to ``folder``."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            into = folder or self.folder
            into.mkdir(parents=True, exist_ok=True)
            self._sealed.append((self.folder / _OPEN).replace(into / f"{uuid4().hex}.parquet"))
        return tuple(self._sealed)

    def take_over(self, files: Iterable[Path]) -> None:
        """Files of an attempt before."""
        for file in files:
            self._sealed.append(file)
            self.count += pq.ParquetFile(file).metadata.num_rows

    def keep(self, folder: Path, batch: str) -> None:
        """Put the rows into quarantine under a batch's name, unless the newest there are the same."""
        files = self.sealed()
        if not files:
            return
        draft = self.folder / _OPEN
        self.folder.mkdir(parents=True, exist_ok=True)
        with pq.ParquetWriter(draft, REJECTED, compression="zstd") as writer:
            for group in (group for file in files for group in pq.ParquetFile(file).iter_batches()):
                writer.write_batch(group)
        newest = max(folder.glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns, default=None)
        if newest is None or not _same(newest, draft):
            draft.replace(folder / f"{batch}.parquet")


def _same(one: Path, other: Path) -> bool:
    counts = [pq.ParquetFile(path).metadata.num_rows for path in (one, other)]
    return counts[0] == counts[1] <= _COMPARED and bool(pq.read_table(one).equals(pq.read_table(other)))


# ---------------------------------------------------------------- refused batches


@dataclass(frozen=True)
class RefusedBatch:
    """A batch that a check refused: why, and what is needed to commit it after all."""

    table: str
    batch: str
    reasons: tuple[str, ...]
    after: int
    kind: str
    facts: Mapping[str, str]
    rows: int
    results: str = ""


def set_aside(quarantine: Path, table: VersionedTable, staged: Staged, refused: RefusedBatch) -> Path:
    """Write the staged rows and the reasons into quarantine; the folder appears complete or not at all."""
    folder = folder_of(quarantine, refused.table)
    draft = folder / _DRAFTS / uuid4().hex
    draft.mkdir(parents=True)
    scan = Scan(staged.files, table.scan().columns)
    with Sql({"staged": scan}, rows="log") as sql:
        batches = sql.batches("SELECT * FROM staged")
        with pq.ParquetWriter(draft / _ROWS, batches.schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
    (draft / _NOTE).write_text(json.dumps(asdict(refused), indent=1, ensure_ascii=False), encoding="utf-8")
    place = folder / refused.batch
    shutil.rmtree(place, ignore_errors=True)
    draft.replace(place)
    return place


def refused_batches(quarantine: Path, table: str) -> tuple[RefusedBatch, ...]:
    """The refused batches of a table, oldest first."""
    found = sorted(folder_of(quarantine, table).glob(f"*/{_NOTE}"), key=lambda path: path.stat().st_mtime_ns)
    return tuple(map(_read, found))


def _read(path: Path) -> RefusedBatch:
    told = json.loads(path.read_text(encoding="utf-8"))
    return RefusedBatch(**{**told, "batch": path.parent.name, "reasons": tuple(told["reasons"])})


def release(lake: Lake, quarantine: Path, table: str, batch: str) -> Version:
    """Commit a refused batch after all. Raises ``RefusedError`` once the table is no longer what it was made for."""
    refused = _found(quarantine, table, batch)
    target = lake.table(table)
    done = target.committed(batch)
    if done is None:
        folder = folder_of(quarantine, table) / batch
        try:
            with held(quarantine, table), pq.ParquetFile(folder / _ROWS) as file:
                staged = target.stage(_in_schema(file, target.schema))
                done = commit(target, staged, refused)
        except SourceError as error:
            if error.code != "LAKE_CONFLICT":
                raise
            message = f"{table}: the batch {batch} was made for version {refused.after}, and others came since"
            raise RefusedError("INGEST_BATCH_STALE", message, hint="Discard it and ingest again.") from error
    shutil.rmtree(folder_of(quarantine, table) / batch)
    return done


def commit(table: VersionedTable, staged: Staged, batch: RefusedBatch) -> Version:
    """Commit staged rows as the batch that they are; in a first load every key is new, and there once.

    Where a source keeps corrections a key may be there several times, so nothing is said of its keys then.
    """
    write = table.replace if batch.kind == "replace" else table.commit
    fresh = batch.after == 0 and not table.roles.corrections
    return write(staged, batch=batch.batch, facts=batch.facts, after=batch.after, fresh=fresh)


def _in_schema(file: pq.ParquetFile, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    for batch in file.iter_batches():
        yield pa.record_batch([batch.column(name).cast(schema.field(name).type) for name in schema.names], schema)


def discard(quarantine: Path, table: str, batch: str) -> None:
    """Throw away a refused batch, and the rows rejected under its name.

    Raises ``RefusedError`` where there is neither.
    """
    for kind, path in _files(quarantine, table, batch):
        shutil.rmtree(path.parent) if kind == "batch" else path.unlink(missing_ok=True)


def quarantined(quarantine: Path, table: str, batch: str) -> dict[str, pa.Table]:
    """What waits under a batch's name: as ``batch`` its rows, as ``rows`` those rejected (columns of `REJECTED`).

    Raises ``RefusedError`` where there is neither.
    """
    return {kind: pq.read_table(path) for kind, path in _files(quarantine, table, batch)}


def _files(quarantine: Path, table: str, batch: str) -> list[tuple[str, Path]]:
    folder = folder_of(quarantine, table)
    there = [("batch", one.batch, folder / one.batch / _ROWS) for one in refused_batches(quarantine, table)]
    there += [("rows", path.stem, path) for path in sorted(folder.glob("*.parquet"))]
    found = [(kind, path) for kind, name, path in there if name == batch]
    return found or _none(table, batch, (name for _, name, _ in there))


def _found(quarantine: Path, table: str, batch: str) -> RefusedBatch:
    there = {refused.batch: refused for refused in refused_batches(quarantine, table)}
    return there[batch] if batch in there else _none(table, batch, there)


def _none(table: str, batch: str, there: Iterable[str]) -> NoReturn:
    message = f"{table}: there is no batch {batch!r} in quarantine"
    hint = "See what waits: penstock data quarantine list"
    raise RefusedError("INGEST_UNKNOWN_BATCH", message, name=batch, candidates=sorted(set(there)), hint=hint)
