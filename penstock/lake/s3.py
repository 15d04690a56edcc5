"""An ``s3://`` bucket or prefix, or one object in it, read as a folder of files is."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path, PurePosixPath

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.files import FORMATS, FileSource, format_of
from penstock.lake.objects import ObjectStore, StoredObject, open_store
from penstock.lake.source import RawTable
from penstock.settings import Settings

_LONGEST_NAME = 200


@dataclass(frozen=True)
class S3Source:
    """Tables in the objects below an ``s3://bucket/prefix`` URL, as they were when it was opened.

    Each object, or "folder" of parts, is a table. Objects are copied to the local cache and read there, so that what
    others store meanwhile is not seen.
    """

    store: ObjectStore
    objects: tuple[StoredObject, ...]
    left_out: tuple[str, ...] = field(default=())

    @property
    def name(self) -> str:
        """Its URL."""
        return str(self.store.address)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the objects."""
        return (*self.left_out, *self._files.notes)

    @cached_property
    def _files(self) -> FileSource:
        return FileSource(self.folder())

    def folder(self) -> Path:
        """The objects as a folder of files, fetched where they are not there (any more)."""
        held = self.store.held
        entry = held.entry("folder", self.name, self.fingerprint())
        return held.keep(entry, self._fill)

    def _fill(self, folder: Path) -> None:
        for one, copy in zip(self.objects, self.store.fetch_all(self.objects), strict=True):
            place = folder / one.key
            place.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(copy, place)
            except OSError:
                shutil.copy2(copy, place)  # a disk without hard links

    def tables(self) -> Mapping[str, RawTable]:
        """The tables by name."""
        try:
            return self._files.tables()
        except SourceError as error:
            raise _nothing_at(self.name) if error.code == "SOURCE_EMPTY" else error from None

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows: as typed in Parquet and JSON-lines, as text in CSV."""
        self.folder()
        return self._files.read(table, columns)

    def fingerprint(self) -> str:
        """From the objects' keys, sizes and ETags; the same wherever they are read."""
        told = "\n".join(f"{one.key} {one.size} {one.etag}" for one in self.objects)
        return blake2b(f"{self.name}\n{told}".encode(), digest_size=16).hexdigest()


def open_s3(url: str, settings: Settings | None = None) -> S3Source:
    """The source at an ``s3://`` URL.

    Raises ``SourceError``: SOURCE_ABSENT (no such bucket), SOURCE_EMPTY (nothing there that is a table), SOURCE_DENIED,
    SOURCE_UNREACHABLE.
    """
    store = open_store(url, settings)
    found = store.list()
    if not found and store.address.prefix:
        return _single(store, settings)
    usable = [one for one in found if _is_table(one.key)]
    fit = [one for one in usable if _fits(one.key, frozenset(other.key for other in usable))]
    notes = tuple(f"{store.url(one.key)} is left out: its key is no path of a file" for one in usable if one not in fit)
    if not fit:
        raise _nothing_at(str(store.address))
    return _checked(S3Source(store, store.states(one.key for one in fit), notes))


def _single(store: ObjectStore, settings: Settings | None) -> S3Source:
    """The source of one object."""
    above, name = store.address.parent()
    if not format_of(Path(name)) or not open_store(above, settings).exists(name):
        raise _nothing_at(str(store.address))
    parent = open_store(above, settings)
    return _checked(S3Source(parent, parent.states([name])))


def _checked(source: S3Source) -> S3Source:
    source.tables()
    return source


def _is_table(key: str) -> bool:
    return format_of(Path(key)) is not None and not any(part.startswith((".", "_")) for part in key.split("/"))


def _fits(key: str, keys: frozenset[str]) -> bool:
    """Whether a key can be a file's path below a folder, beside the others."""
    parts = key.split("/")
    plain = all(part and len(part.encode()) <= _LONGEST_NAME and "\0" not in part for part in parts)
    return plain and not any(str(above) in keys for above in PurePosixPath(key).parents)


def _nothing_at(name: str) -> SourceError:
    kinds = ", ".join(f"*{ending}" for ending in FORMATS)
    return SourceError("SOURCE_EMPTY", f"{name} holds no tables", hint=f"A table is an object {kinds}.")
