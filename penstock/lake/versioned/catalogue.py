"""Where tables are found: a catalogue names each table's newest metadata, and a commit replaces that name at once."""

from __future__ import annotations

import os
import weakref
from collections.abc import Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from penstock.errors import SourceError
from penstock.lake.source import printable, without_password
from penstock.lake.versioned.iceberg import columns_of
from penstock.lake.versioned.remembered import Remembered
from penstock.lake.versioned.sealed import damaged, opened_sealed, sealed

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pyarrow as pa
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.io import FileIO
    from pyiceberg.table.metadata import TableMetadataV2
    from sqlalchemy import ColumnElement
    from sqlalchemy.engine.interfaces import DBAPIConnection

    from penstock.lake.versioned.scan import ScanColumn

NAMESPACE = "main"
OWN = "penstock"
"""The name of a lake's catalogue in a file of its own."""
_KEPT_METADATA = 10
_LOCK_SECONDS = 60
_SNAPSHOTS = Remembered[str](most=20_000)
_PROPERTIES = {
    "commit.retry.num-retries": "0",  # a repeat has to look at the batches that came between
    "write.metadata.delete-after-commit.enabled": "true",
    "write.metadata.previous-versions-max": str(_KEPT_METADATA),
}


@dataclass(frozen=True)
class Head:
    """A table's metadata at one moment, and the file that holds it."""

    metadata: TableMetadataV2
    location: str

    @cached_property
    def columns(self) -> tuple[ScanColumn, ...]:
        """The columns now, with their field ids."""
        return columns_of(self.metadata.schema())


@dataclass(frozen=True)
class Catalogue:
    """The SQL database at ``url`` that names the tables below ``warehouse`` (a URL of a folder or bucket).

    One database may name those of many places: each is a catalogue of its own ``name`` in it.
    """

    warehouse: str
    url: str = field(repr=False)
    name: str = OWN
    options: Mapping[str, str] = field(default_factory=dict, repr=False, hash=False)
    _heads: dict[str, Head] = field(default_factory=dict, repr=False, compare=False)

    @cached_property
    def _sql(self) -> SqlCatalog:
        with self._explained():
            opened = _opened(self.name, self.url, self.warehouse, self.options)
        weakref.finalize(self, opened.engine.dispose)  # connections end with the lake, not at some time later
        return opened

    @cached_property
    def io(self) -> FileIO:
        """What reads and writes metadata."""
        from pyiceberg.io import load_file_io

        return load_file_io(dict(self.options), self.warehouse)

    def names(self) -> tuple[str, ...]:
        """The tables' names, in order."""
        with self._explained():
            return tuple(sorted(name for _, name in self._sql.list_tables(NAMESPACE)))

    def head(self, name: str) -> Head | None:
        """The table's newest metadata; None where there is no such table. Unchanged metadata is not read again.

        Raises ``SourceError`` (``LAKE_DAMAGED``) for metadata that is torn, changed or not there.
        """
        located = self._located(name)
        return None if located is None else self._at(name, located)

    def heads(self) -> dict[str, Head]:
        """The newest metadata of all tables, by name in order, for one question to the catalogue."""
        from pyiceberg.catalog.sql import IcebergTables as Rows
        from sqlalchemy import select

        asked = select(Rows.table_name, Rows.metadata_location, Rows.previous_metadata_location)
        mine = Rows.catalog_name == self.name, Rows.table_namespace == NAMESPACE
        with self._explained(), self._sql.engine.connect() as connection:
            found = connection.execute(asked.where(*mine).order_by(Rows.table_name)).all()
        there = ((name, self._at(name, (place, before))) for name, place, before in found if place is not None)
        return {name: head for name, head in there if head is not None}

    def _at(self, name: str, located: tuple[str, str | None]) -> Head | None:
        """The metadata that the catalogue names; None where the table was dropped meanwhile."""
        known = self._heads.get(name)
        if known is not None and known.location == located[0]:
            return known
        self._must_be_here(located[0])
        try:
            head = Head(self._metadata(located[0]), located[0])
        except FileNotFoundError as error:
            if self._located(name) != located:  # many commits came while we looked
                return self.head(name)
            raise self._damaged(name, *located, "it is missing") from error
        except ValueError as error:
            raise self._damaged(name, *located, str(error)) from error
        self._heads[name] = head
        return head

    def create(self, name: str, schema: pa.Schema, properties: Mapping[str, str]) -> Head:
        """A new table, or the one that is there."""
        from pyiceberg.exceptions import TableAlreadyExistsError

        found = self.head(name)
        if found is None:
            with self._explained(), suppress(TableAlreadyExistsError):  # when somebody else made it just now
                self._sql.create_table((NAMESPACE, name), schema, properties={**_PROPERTIES, **properties})
            found = self.head(name)
        if found is None:
            raise SourceError("LAKE_UNKNOWN_TABLE", f"the table {name!r} was dropped while it was made", name=name)
        return found

    def drop(self, name: str) -> None:
        """Forget a table."""
        with self._explained():
            self._sql.drop_table((NAMESPACE, name))
        self._heads.pop(name, None)

    def swap(self, name: str, head: Head, metadata: TableMetadataV2) -> Head | None:
        """Make this the table's metadata if ``head`` still is; None if somebody else came first."""
        from pyiceberg.table.snapshots import MetadataLogEntry

        last = {"metadata-file": head.location, "timestamp-ms": head.metadata.last_updated_ms}
        logged = [*metadata.metadata_log, MetadataLogEntry.model_validate(last)]
        metadata = metadata.model_copy(update={"metadata_log": logged[-_KEPT_METADATA:]})
        number = _number(head.location) + 1
        content = _told(metadata).encode()
        location = sealed(self.io, f"{metadata.location}/metadata/{number:05d}-{{}}.metadata.json", content)
        if not self._replaced(name, head.location, location):
            self.io.delete(location)
            return None
        self._forget(entry.metadata_file for entry in logged[:-_KEPT_METADATA])
        self._heads[name] = Head(metadata, location)
        return self._heads[name]

    def _metadata(self, location: str) -> TableMetadataV2:
        from pyiceberg.table.metadata import TableMetadataUtil, TableMetadataV2

        metadata = TableMetadataUtil.parse_raw(opened_sealed(self.io, location).decode())
        if not isinstance(metadata, TableMetadataV2):
            raise ValueError(f"it is of format version {metadata.format_version}, not 2")
        return metadata

    def _forget(self, locations: Iterator[str]) -> None:
        for location in locations:
            try:
                self.io.delete(location)
            except FileNotFoundError:
                continue  # another writer was as tidy

    # ------------------------------------------------------------ the catalogue's rows

    def _located(self, name: str) -> tuple[str, str | None] | None:
        """Where the table's newest metadata is, and where the one before was."""
        from pyiceberg.catalog.sql import IcebergTables
        from sqlalchemy import select

        asked = select(IcebergTables.metadata_location, IcebergTables.previous_metadata_location)
        with self._explained(), self._sql.engine.connect() as connection:
            found = connection.execute(asked.where(*_row_of(self.name, name))).one_or_none()
        return None if found is None or found[0] is None else (found[0], found[1])

    def _must_be_here(self, location: str) -> None:
        """Refuse a lake that was moved or copied: its files say where they were, and a copy would write over them."""
        if not location.startswith("file:") or location.startswith(f"{self.warehouse}/"):
            return
        if _path(location).resolve().is_relative_to(_path(self.warehouse).resolve()):
            return  # reached by another name of the same folder
        here, there = _path(self.warehouse), _path(location.partition(f"/{NAMESPACE}/")[0])
        message = f"the lake in {here} was moved or copied: its tables say that they are in {there}"
        hint = f"Move it back, or let the old place lead here: ln -s {here} {there}"
        if there.exists():
            hint = f"The original is still there. Use it, or remove the copy and bring the tables in anew: rm -r {here}"
        raise SourceError("LAKE_MOVED", message, hint=hint)

    def _replaced(self, name: str, old: str, new: str) -> bool:
        from pyiceberg.catalog.sql import IcebergTables
        from sqlalchemy import update

        change = update(IcebergTables).where(*_row_of(self.name, name), IcebergTables.metadata_location == old)
        with self._explained(), self._sql.engine.begin() as connection:
            done = connection.execute(change.values(metadata_location=new, previous_metadata_location=old))
            return done.rowcount == 1

    def _damaged(self, name: str, location: str, before: str | None, reason: str) -> SourceError:
        """The error for metadata that cannot be read, with what the one before holds."""
        hint = "Restore this file from a backup."
        if before is not None:
            try:
                number = self._metadata(before).last_sequence_number
                hint += f" The metadata before it is whole and ends at version {number}: {before}"
            except (FileNotFoundError, ValueError):
                hint += " The metadata before it is damaged too."
        return damaged(name, location, reason, hint)

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Errors of the catalogue's database as ours, without its password."""
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            said = without_password(str(getattr(error, "orig", None) or error), self.url)
            message = f"the lake's catalogue {printable(self.url)} cannot be used: {said}"
            raise SourceError("LAKE_CATALOGUE", message, hint="See that the database is there and answers.") from error


def _path(location: str) -> Path:
    return Path(unquote(urlsplit(location).path))


def _told(metadata: TableMetadataV2) -> str:
    """The metadata as JSON; of a thousand snapshots only the new ones are put into words."""
    parts = [
        _SNAPSHOTS.get((s.snapshot_id, s.manifest_list), lambda s=s: s.model_dump_json(exclude_none=True))  # type: ignore[misc]
        for s in metadata.snapshots
    ]
    told = metadata.model_copy(update={"snapshots": []}).model_dump_json(exclude_none=True)
    return told.replace('"snapshots":[]', f'"snapshots":[{",".join(parts)}]', 1)  # no text in JSON holds this


def _row_of(catalogue: str, name: str) -> tuple[ColumnElement[bool], ...]:
    from pyiceberg.catalog.sql import IcebergTables

    return (
        IcebergTables.catalog_name == catalogue,
        IcebergTables.table_namespace == NAMESPACE,
        IcebergTables.table_name == name,
    )


def _number(location: str) -> int:
    """The number that a metadata file's name begins with."""
    digits = location.rpartition("/")[2].partition("-")[0]
    return int(digits) if digits.isdigit() else 0


def _opened(name: str, url: str, warehouse: str, options: Mapping[str, str]) -> SqlCatalog:
    """The catalogue, made when it is not there; several processes may do so at once."""
    from pyiceberg.catalog.sql import SqlCatalog
    from pyiceberg.exceptions import NamespaceAlreadyExistsError
    from sqlalchemy.exc import DatabaseError

    kept = _kept_from_writing(url)
    if kept is not None:
        return SqlCatalog(name, uri=kept, warehouse=warehouse, init_catalog_tables="false", **options)
    patient = _patient(url)
    for last in (False, False, True):
        try:
            catalogue = SqlCatalog(name, uri=patient, warehouse=warehouse, pool_pre_ping="true", **options)
            _made_fast(catalogue)
            if not catalogue.namespace_exists(NAMESPACE):
                catalogue.create_namespace(NAMESPACE)
            return catalogue
        except NamespaceAlreadyExistsError:
            return catalogue
        except DatabaseError:  # another process made its tables just now
            if last:
                raise
    raise AssertionError("unreachable")


def _kept_from_writing(url: str) -> str | None:
    """The URL by which a SQLite file that cannot be written is read; None where it can be, or is none."""
    file = Path(url.removeprefix("sqlite:///"))
    if not url.startswith("sqlite:///") or not file.is_file():
        return None
    if os.access(file, os.W_OK) and os.access(file.parent, os.W_OK):
        return None
    log = file.with_name(f"{file.name}-wal")  # what it holds would not be seen in a file that is said never to change
    return f"sqlite:///file:{quote(str(file))}?mode=ro&uri=true{'' if log.exists() else '&immutable=1'}"


def _patient(url: str) -> str:
    """The URL with the driver that is used, or the time that SQLite waits for other writers."""
    parts = urlsplit(url)
    if parts.scheme in ("postgresql", "postgres"):
        return parts._replace(scheme="postgresql+psycopg").geturl()
    if not parts.scheme.startswith("sqlite") or "timeout=" in parts.query:
        return url
    return f"{url}{'&' if parts.query else '?'}timeout={_LOCK_SECONDS}"


def _made_fast(catalogue: SqlCatalog) -> None:
    """Let SQLite append to a log, so that readers and writers do not wait for one another, nor for the disk.

    A power cut may take back the last commits, each as a whole; the end of a process takes back none.
    """
    from sqlalchemy import event

    engine = catalogue.engine
    if engine.dialect.name != "sqlite":
        return

    def settled(connection: DBAPIConnection, _: object) -> None:
        for setting in ("journal_mode = WAL", "synchronous = NORMAL"):
            connection.cursor().execute(f"PRAGMA {setting}")

    event.listen(engine, "connect", settled)
    engine.dispose()
