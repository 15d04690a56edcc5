"""A file, or a folder of parts, as a feed: landed in batches, what does not fit set aside."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pyarrow as pa

from penstock.lake.files import FileSource, FileTable
from penstock.lake.ingest.feeds.feed import Feed, FeedColumn, Wanted, named
from penstock.lake.ingest.feeds.tables import within
from penstock.lake.landing import Landing, LandingSettings, land
from penstock.lake.landing.files import found_files, opened_parts
from penstock.lake.source import unknown_table
from penstock.lake.versioned.stored import stored_type


def file_feed(
    path: Path, table: str, expected: pa.Schema | None, landing: LandingSettings | None = None, name: str = ""
) -> Feed:
    """A table of a file or folder; texts are read in the types of ``expected`` where those are known.

    Raises ``SourceError`` for what does not exist or cannot be read.
    """
    source = FileSource(path)
    if table not in source.found:
        raise unknown_table(name or str(path), table, source.tables())
    found = source.found[table]
    place = place_of(path, found)
    settings = landing or LandingSettings()
    landed = land(place, expected=None if found.format == "parquet" else _there(place, expected), settings=settings)
    return Feed(
        name or str(path),
        source.fingerprint(),
        tuple(FeedColumn(f.name, str(f.type), stored_type(f.type)) for f in landed.schema),
        partial(_batches, landed),
        rejected=landed.rejected,
        found=lambda: landed.notes,
    )


def place_of(path: Path, table: FileTable) -> Path:
    """Where below ``path`` a table is: its file, or the folder that its parts are in."""
    return table.parts[0] if table.parts[0].parent == path or table.parts == (path,) else path / table.name


def _there(place: Path, expected: pa.Schema | None) -> pa.Schema | None:
    """What is expected of the columns that the files have."""
    if expected is None:
        return None
    parts, _ = opened_parts(found_files(place), LandingSettings())
    names = {name for part in parts for name in part.names}
    return pa.schema([column for column in expected if column.name in names])


def _batches(landing: Landing, wanted: Wanted) -> Iterator[pa.RecordBatch]:
    for batch in landing.batches():
        own = batch.select(list(named(wanted.columns)))
        yield own if wanted.bound is None else own.filter(within(batch, wanted.bound))
