"""A segment of the tail as one version of its table: repeated after a crash, it changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake import awaited
from penstock.lake.reserved import DEAD, TAIL
from penstock.lake.streams.aligning import aligned
from penstock.lake.streams.dead import dead_rows, dead_table
from penstock.lake.streams.message import DeadLetter
from penstock.lake.streams.positions import KNOWN, Ledger, advanced, facts, last_segment
from penstock.lake.streams.tail import Segment, Tail
from penstock.lake.versioned import Lake, VersionedTable


@dataclass(frozen=True)
class Flushed:
    """What a flushed segment held."""

    rows: int
    dead: int


@dataclass(frozen=True)
class Flusher:
    """What commits a tail's segments, oldest first."""

    lake: Lake
    table: str
    stream: str
    origin: str
    tail: Tail
    ledger: Ledger

    def flush(self, segment: Segment) -> Flushed:
        """Commit a sealed segment (dead letters first, then rows with their positions), then remove it.

        Before the rows of a table that is compared with its source their keys are noted as awaited there.
        """
        batches: list[pa.RecordBatch] = []
        letters: list[DeadLetter] = []
        change: dict[str, int] = {}
        for entry in segment.entries():
            batches += [] if entry.rows is None else [entry.rows]
            letters += entry.dead
            change = advanced(change, entry.positions)
        if letters:
            rows = dead_rows(self.stream, letters, change[KNOWN])
            self._commit(dead_table(self.lake, self.table, self.origin), segment, [rows], change)
        if batches:
            self._commit_rows(segment, batches, change)
        self.ledger.note(segment.number, change)
        self.tail.drop(segment)
        return Flushed(sum(batch.num_rows for batch in batches), len(letters))

    def _commit_rows(self, segment: Segment, batches: list[pa.RecordBatch], change: Mapping[str, int]) -> None:
        """Commit the rows; where somebody begins to compare the table meanwhile, their keys are noted after all."""
        while True:
            table = _wide_enough(self.lake.table(self.table), batches)
            rows, compared = _joined(batches, table.schema), awaited.is_compared(table)
            if compared:
                awaited.must_have_key(table)
                keys = awaited.noted(table, rows, change[KNOWN])
                self._commit(awaited.made(self.lake, table), segment, keys, change)
            newest = table.newest()
            try:
                self._commit(table, segment, rows, change, None if compared else (newest.number if newest else 0))
            except SourceError as error:
                if error.code != "LAKE_CONFLICT":
                    raise
            else:
                return

    def _commit(
        self,
        table: VersionedTable,
        segment: Segment,
        rows: Iterable[pa.RecordBatch],
        change: Mapping[str, int],
        after: int | None = None,
    ) -> None:
        if last_segment(table, self.tail.name) >= segment.number:
            return
        said = facts(self.tail.name, segment.number, advanced(self.ledger.positions, change), change)
        staged = table.stage(rows)
        try:
            table.commit(staged, batch=f"{TAIL}-{self.tail.name}-{segment.number}", facts=said, after=after)
        except SourceError:
            table.discard(staged)
            raise


def _wide_enough(table: VersionedTable, batches: list[pa.RecordBatch]) -> VersionedTable:
    """The table with every column of the rows: one may have been dropped since they were appended."""
    there = set(table.schema.names)
    missing = {field.name: field.type for batch in batches for field in batch.schema if field.name not in there}
    return table.evolve(add=missing) if missing else table


def _joined(batches: list[pa.RecordBatch], schema: pa.Schema) -> list[pa.RecordBatch]:
    """Few large batches of many small ones."""
    rows = pa.Table.from_batches([aligned(batch, schema) for batch in batches])
    return list(rows.combine_chunks().to_batches())


__all__ = ["DEAD", "Flushed", "Flusher"]
