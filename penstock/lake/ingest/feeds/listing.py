"""What tables a source has and what their columns are, without reading a row: what a plan compares with the lake."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import pyarrow as pa

from penstock.errors import SourceError
from penstock.inference.facts import DeclaredLink
from penstock.lake.files import FileSource, FileTable
from penstock.lake.mysql import MysqlSource
from penstock.lake.postgres import PostgresSource
from penstock.lake.s3 import S3Source
from penstock.lake.source import RawTable
from penstock.lake.sources import database_kind, open_source
from penstock.lake.sqlite import SqliteSource
from penstock.lake.versioned.stored import stored_type


@dataclass(frozen=True)
class Listed:
    """A table of a source: its columns in the types in which the lake keeps them, its key and its links.

    A type is None where only reading the values tells it. A table that cannot be read has an ``error`` and no columns.
    """

    columns: Mapping[str, pa.DataType | None]
    key: tuple[str, ...] = ()
    links: tuple[DeclaredLink, ...] = ()
    error: SourceError | None = None


def listing(source: object) -> Mapping[str, Listed]:
    """The tables of a source by name. Raises ``SourceError`` for one that cannot be opened."""
    if isinstance(source, str | os.PathLike) and "://" not in str(source):
        path = Path(source).expanduser()
        if path.exists() and not database_kind(path):
            return _files(path)
    opened = open_source(source)
    if isinstance(opened, PostgresSource):
        return _postgres(opened.url)
    if isinstance(opened, MysqlSource):
        return _mysql(opened.url)
    if isinstance(opened, FileSource | S3Source):
        return _files(opened.path if isinstance(opened, FileSource) else opened.folder())
    return {name: _listed(raw, _types(raw, opened)) for name, raw in opened.tables().items()}


def _listed(raw: RawTable, types: Mapping[str, pa.DataType | None]) -> Listed:
    return Listed({column.name: types.get(column.name) for column in raw.columns}, raw.key, raw.links)


def _types(raw: RawTable, opened: object) -> dict[str, pa.DataType | None]:
    if isinstance(opened, SqliteSource):
        from penstock.lake.ingest.feeds.sqlite import kind_of

        return {column.name: kind_of(column.type) for column in raw.columns}
    return {c.name: None if c.arrow is None or c.textual else stored_type(c.arrow) for c in raw.columns}


def _files(path: Path) -> Mapping[str, Listed]:
    return {name: _landed(path, found) for name, found in FileSource(path).found.items()}


def _landed(path: Path, table: FileTable) -> Listed:
    """A table of files: the columns of all its parts. Texts have the types that they are read in."""
    from penstock.lake.ingest.feeds.files import place_of
    from penstock.lake.landing import LandingSettings, land
    from penstock.lake.landing.columns import check_names
    from penstock.lake.landing.files import found_files, opened_parts

    try:
        files = found_files(place_of(path, table))
        if table.format == "parquet":
            schema = land(list(files.values())).schema
            return Listed({column.name: column.type for column in schema})
        parts, _ = opened_parts(files, LandingSettings())
        check_names({part.name: part.names for part in parts}, None)
    except SourceError as error:
        return Listed({}, error=error)
    return Listed({name: None for part in parts for name in part.names})


def _postgres(url: str) -> Mapping[str, Listed]:
    from penstock.lake.ingest.feeds.postgres import kind_of
    from penstock.lake.postgres import described

    tables, columns = described(url)
    kinds = {
        name: {c["column"]: kind_of(c, tables[name].key) for c in own}
        for name, own in groupby(columns, key=lambda column: str(column["name"]))
    }
    return {name: _listed(raw, kinds[name]) for name, raw in tables.items()}


def _mysql(url: str) -> Mapping[str, Listed]:
    from penstock.lake.ingest.feeds.mysql import TRUTH, kind_of
    from penstock.lake.mysql import declared

    return {
        name: _listed(raw, {c["column"]: None if c["type"] in TRUTH else kind_of(c) for c in columns})
        for name, (raw, columns) in declared(url).items()
    }
