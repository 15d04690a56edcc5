"""Opens whatever holds tables as a feed of one of them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.files import FileSource
from penstock.lake.ingest.feeds.feed import Feed
from penstock.lake.landing import LandingSettings
from penstock.lake.s3 import S3Source
from penstock.lake.sources import database_kind, open_source
from penstock.lake.sqlite import SqliteSource
from penstock.lake.tables import DuckdbSource


def open_feed(
    source: object, table: str, expected: pa.Schema | None = None, landing: LandingSettings | None = None
) -> AbstractContextManager[Feed]:
    """A table of a source (URL, path or mapping of names to tables), open until the context ends.

    ``expected`` are the columns as they were read before, under the source's names: sources that declare no types
    read their texts in these. ``landing`` says how files are read.
    """
    if isinstance(source, Mapping):
        from penstock.lake.ingest.feeds.tables import frame_feed

        return nullcontext(frame_feed(source, table))
    if isinstance(source, str) and "://" in source:
        scheme = source.partition("://")[0].partition("+")[0].lower()
        if scheme in {"postgresql", "postgres"}:
            from penstock.lake.ingest.feeds.postgres import postgres_feed

            return postgres_feed(source, table)
        if scheme in {"mysql", "mariadb"}:
            from penstock.lake.ingest.feeds.mysql import mysql_feed

            return nullcontext(mysql_feed(source, table, expected))
    return _local(source, table, expected, landing)


def _local(
    source: object, table: str, expected: pa.Schema | None, landing: LandingSettings | None
) -> AbstractContextManager[Feed]:
    from penstock.lake.ingest.feeds.files import file_feed
    from penstock.lake.ingest.feeds.sqlite import sqlite_feed
    from penstock.lake.ingest.feeds.tables import duckdb_feed

    if isinstance(source, os.PathLike) or (isinstance(source, str) and "://" not in source):
        path = Path(source).expanduser()
        if path.exists() and not database_kind(path):
            return nullcontext(file_feed(path, table, expected, landing))
    found = open_source(source)
    if isinstance(found, SqliteSource):
        return sqlite_feed(found.path, table)
    if isinstance(found, DuckdbSource):
        return duckdb_feed(found.path, table)
    if isinstance(found, FileSource):
        return nullcontext(file_feed(found.path, table, expected, landing))
    if isinstance(found, S3Source):
        return nullcontext(file_feed(found.folder(), table, expected, landing, found.name))
    raise SourceError("SOURCE_KIND", f"{found.name} cannot be ingested in batches")


__all__ = ["open_feed"]
