"""Reading a feed into rows of the lake's types: what does not fit is set aside, the watermark is watched."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from penstock.lake.ingest.feeds import Bound, Feed, Wanted
from penstock.lake.ingest.fitting import Column, Misfits, fitted, raw_texts
from penstock.lake.ingest.intake import Intake, Progress, seconds
from penstock.lake.ingest.quarantine import Rejects
from penstock.lake.ingest.shape import ROW, Shape
from penstock.lake.versioned.scan import Scan, ScanColumn

ROWS = 122_880
"""How many rows are gathered before they are written: a row group."""
_ITEMS = 10_000


@dataclass
class Reading:
    """One pass over a feed, and what was seen on it. Times are microseconds since 1970.

    ``mark`` is the greatest value of the column ``marks``, of those that do not lie too far ahead
    (``held``: it does not move); ``read`` the rows
    that came, ``unnamed`` those rejected whose key cannot be told. ``rises`` says that the key only grew, so far
    up to ``top``.
    """

    intake: Intake
    shape: Shape
    feed: Feed
    rejects: Rejects
    now: int
    progress: Progress
    marks: str | None = None
    mark: pa.Scalar | None = None
    held: bool = False
    rises: bool = True
    read: int = 0
    unnamed: int = 0
    ahead: int = 0
    top: int = -(2**63) - 1
    endless: dict[str, int] = field(default_factory=dict)
    spared: list[pa.RecordBatch] = field(default_factory=list)

    def batches(self, bound: Bound | None = None) -> Iterator[pa.RecordBatch]:
        """The rows of a bound that fit, in the types of the shape, numbered by `ROW` as they came, from 1."""
        columns = tuple(self.shape.column(name) for name in self.shape.columns)
        yield from self.wanted(Wanted(columns, bound))

    def wanted(self, wanted: Wanted, most: int = ROWS) -> Iterator[pa.RecordBatch]:
        """As `batches`, for what is wanted, in batches of about ``most`` rows."""
        for batch in gathered(ahead(self.feed.batches(wanted)), most):
            yield self._fitted(batch)
        landed = self.feed.rejected()
        self.rejects.add_table(landed)
        self.unnamed += landed.num_rows
        self.read += landed.num_rows

    def _fitted(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        rows, misfits = fitted(batch, self._columns)
        numbers = pa.array(np.arange(self.read + 1, self.read + 1 + len(rows)), pa.int64())
        whole = rows.append_column(ROW, numbers)
        self.read += len(rows)
        self._watch(rows)
        self._climb(rows)
        for name, count in misfits.endless.items():
            self.endless[name] = self.endless.get(name, 0) + count
        self._report()
        return self._without(whole, batch, misfits) if misfits.reasons else whole

    @property
    def _columns(self) -> list[Column]:
        intake, key = self.intake, self.shape.key
        watched = {intake.happened, intake.watermark, intake.known} if intake.refuse_future else set()
        latest = self._latest
        return [Column(f.name, f.type, f.name in key, latest if f.name in watched else None) for f in self.shape.schema]

    @property
    def _latest(self) -> int:
        return self.now + seconds(self.intake.allowance)

    def _watch(self, rows: pa.RecordBatch) -> None:
        """Move the mark, and count what lies in the future."""
        for name in {self.marks, self.intake.happened, self.intake.known} - {None}:
            values = rows.column(name)
            if pa.types.is_timestamp(values.type) or pa.types.is_date(values.type):
                latest = pa.scalar(self._latest, pa.timestamp("us")).cast(values.type, safe=False)
                if (most := pc.max(values)).is_valid and most.value > latest.value:
                    late = pc.greater(values, latest)
                    self.ahead += pc.sum(late).as_py() or 0
                    values = pc.if_else(late, pa.scalar(None, values.type), values)
            if name == self.marks and not self.held:
                self._move(pc.max(values))

    def _move(self, seen: pa.Scalar) -> None:
        if seen.is_valid and (self.mark is None or seen.as_py() > self.mark.as_py()):
            self.mark = seen

    def _climb(self, rows: pa.RecordBatch) -> None:
        """See whether the key, a whole number, only grows: then no two rows have one key."""
        key = self.shape.key
        if not self.rises or not len(rows):
            return
        values = rows.column(key[0]) if len(key) == 1 else None
        if values is None or not pa.types.is_integer(values.type) or values.null_count:
            self.rises = False
            return
        numbers = values.to_numpy()
        self.rises = bool(numbers[0] > self.top and np.all(numbers[1:] > numbers[:-1]))
        self.top = int(numbers[-1])

    def _report(self) -> None:
        estimate = self.feed.rows or 0
        share = min(self.read / estimate, 0.99) if estimate else 0.0
        self.progress(f"reading {self.intake.table}: {self.read:,} rows", share)

    def _without(self, whole: pa.RecordBatch, raw: pa.RecordBatch, misfits: Misfits) -> pa.RecordBatch:
        """The rows that fit; the others go to the rejected, and their keys to those that are spared."""
        at = sorted(misfits.reasons)
        numbers = whole.column(ROW).take(pa.array(at, pa.int64())).to_pylist()
        self.rejects.add(numbers, [misfits.reasons[row] for row in at], raw_texts(self._ours(raw), at))
        self._spare(whole.take(pa.array(at, pa.int64())))
        fits = np.ones(len(whole), bool)
        fits[at] = False
        return whole.filter(pa.array(fits))

    def _ours(self, raw: pa.RecordBatch) -> pa.RecordBatch:
        return raw.rename_columns(list(self.shape.columns))

    def _spare(self, rejected: pa.RecordBatch) -> None:
        """Remember the keys of rejected rows: the rows that the lake has of them did not vanish."""
        if not self.shape.key:
            self.unnamed += len(rejected)
            return
        keys = rejected.select(list(self.shape.key))
        told = np.ones(len(keys), bool)
        for values in keys.columns:
            told &= pc.is_valid(values).to_numpy(zero_copy_only=False)
        self.unnamed += int((~told).sum())
        if told.any():
            self.spared.append(keys.filter(pa.array(told)))

    def notes(self) -> tuple[str, ...]:
        """What is to be said about the rows."""
        ahead = f"{self.ahead} instants lie in the future: more than {self.intake.allowance:g} seconds ahead"
        endless = (f"{count} infinite values of {name} are read as NULL" for name, count in self.endless.items())
        return (*self.feed.notes, *self.feed.found(), *((ahead,) if self.ahead else ()), *endless)


def ahead(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The same batches, the next one fetched while one is used."""
    with ThreadPoolExecutor(1, "penstock-reads-ahead") as pool:
        coming = pool.submit(next, batches, None)
        while (batch := coming.result()) is not None:
            coming = pool.submit(next, batches, None)
            yield batch


def gathered(batches: Iterable[pa.RecordBatch], most: int = ROWS) -> Iterator[pa.RecordBatch]:
    """The same rows in batches that are neither small nor large: less than twice as many as ``most``."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        for start in range(0, len(batch), most):
            held.append(batch.slice(start, most))
            count += len(held[-1])
            if count >= most:
                yield _one(held)
                held, count = [], 0
    if held:
        yield _one(held)


def _one(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    return batches[0] if len(batches) == 1 else pa.concat_batches(batches)


# ---------------------------------------------------------------- drafts


def drafted(file: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> Scan:
    """Rows written to a file that only this reading knows, and the scan of them."""
    marked = pa.schema([_marked(at, field_) for at, field_ in enumerate(schema, 1)])
    writer: pq.ParquetWriter | None = None
    try:
        for batch in batches:
            if len(batch):
                writer = writer or pq.ParquetWriter(file, marked, compression="lz4")
                writer.write_batch(batch.cast(marked))
    finally:
        if writer is not None:
            writer.close()
    columns = tuple(ScanColumn(at, f.name, f.type) for at, f in enumerate(schema, 1))
    return Scan((file,) if writer is not None else (), columns)


def _marked(number: int, column: pa.Field) -> pa.Field:
    """The column with the number by which a scan finds it, and one for the items of its lists."""
    kind = column.type
    if pa.types.is_list(kind):
        kind = pa.list_(pa.field("element", kind.value_type, metadata=_id(_ITEMS + number)))
    return pa.field(column.name, kind, metadata=_id(number))


def _id(number: int) -> dict[bytes, bytes]:
    return {b"PARQUET:field_id": str(number).encode()}
