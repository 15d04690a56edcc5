"""A source's columns now beside those that the lake knows of a table: looked into only where a rename is possible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import chain

import pyarrow as pa

from penstock.lake.ingest import Intake
from penstock.lake.ingest.feeds import Wanted as Read
from penstock.lake.ingest.feeds import open_feed
from penstock.lake.ingest.feeds.listing import Listed
from penstock.lake.sql import Sql
from penstock.lake.versioned import DELETED, KNOWN, VersionedTable
from penstock.lake.versioned.scan import quoted
from penstock.pipeline.change import Changes, ColumnPrint, compare, prints
from penstock.pipeline.intakes import Wanted

_SAMPLE = 50_000


def compared(wanted: Wanted, table: VersionedTable) -> Changes:
    """What changed at the source of a table since the lake last took it.

    Raises ``RequestError`` and ``RefusedError`` for declared renames that cannot be.
    """
    intake, listed = wanted.intake, wanted.listed
    if listed is None:
        return Changes()
    known = [field for field in table.schema if field.name not in (KNOWN, DELETED)]
    if intake.columns is not None:
        known = [field for field in known if field.name in intake.columns]
        chosen = {intake.renames.get(name, name) for name in intake.columns}
        listed = replace(listed, columns={name: kind for name, kind in listed.columns.items() if name in chosen})
    names, theirs = [field.name for field in known], dict(intake.renames)
    gone = [name for name in names if theirs.get(name, name) not in listed.columns and name not in listed.columns]
    called = {other: mine for mine, other in theirs.items()}
    come = [name for name in listed.columns if called.get(name, name) not in names]
    before, after = _blank(known), _blank_listed(intake, listed, {field.name: field.type for field in known})
    if gone and come:
        before = _filled_in(before, _kept_rows(table, gone))
        after = _filled_in(after, _source_rows(wanted, come))
    return compare(before, after, intake.renames, intake.table)


def _blank(known: list[pa.Field]) -> list[ColumnPrint]:
    return [ColumnPrint(field.name, str(field.type), at, rows=1) for at, field in enumerate(known)]


def _blank_listed(intake: Intake, listed: Listed, known: dict[str, pa.DataType]) -> list[ColumnPrint]:
    """The source's columns; where only reading tells a type, it is taken to be what it was."""
    ours = {other: mine for mine, other in intake.renames.items()}
    types = {name: kind or known.get(ours.get(name, name), pa.string()) for name, kind in listed.columns.items()}
    return [ColumnPrint(name, str(kind), at, rows=1) for at, (name, kind) in enumerate(types.items())]


def _filled_in(blank: list[ColumnPrint], rows: pa.Table) -> list[ColumnPrint]:
    """The prints with what values show of the columns that are in question."""
    seen = {one.name: one for one in prints(rows)}
    return [replace(seen[one.name], position=one.position) if one.name in seen else one for one in blank]


def _kept_rows(table: VersionedTable, columns: list[str]) -> pa.Table:
    with Sql({table.name: table.scan()}, "current") as sql:
        listed = ", ".join(map(quoted, columns))
        return sql.arrow(f"SELECT {listed} FROM {quoted(table.name)} USING SAMPLE {_SAMPLE} ROWS (reservoir, 7)")


def _source_rows(wanted: Wanted, columns: list[str]) -> pa.Table:
    with open_feed(wanted.look.url, wanted.intake.origin) as feed:
        read = Read(tuple(column for column in feed.columns if column.name in columns))
        batches = feed.batches(read)
        first = next(batches, None)
        if first is None:
            return pa.table({column.name: pa.array([], column.kind) for column in read.columns})
        return pa.Table.from_batches(list(_upto(chain([first], batches))), first.schema)


def _upto(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    rows = 0
    for batch in batches:
        yield batch
        rows += batch.num_rows
        if rows >= _SAMPLE:
            return
