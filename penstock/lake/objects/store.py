"""A store of objects below one address: list, fetch, put, delete."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.errors import SourceError
from penstock.lake.objects.address import Address, address
from penstock.lake.objects.held import Held, passing
from penstock.lake.objects.service import service, told
from penstock.settings import Settings

if TYPE_CHECKING:
    from pyarrow.fs import FileInfo, S3FileSystem

_TRIES, _AT_ONCE, _CHUNK = 3, 16, 8 << 20


@dataclass(frozen=True)
class StoredObject:
    """An object: its key below the store's prefix, size in bytes, when it was stored (microseconds since 1970).

    ``etag`` names its content as the service does; empty in listings, which do not tell it.
    """

    key: str
    size: int
    modified: int
    etag: str = ""


@dataclass(frozen=True)
class ObjectStore:
    """The objects below an address; keys are relative to its prefix. ``held`` keeps local copies.

    Every operation raises ``SourceError``: SOURCE_ABSENT (no such bucket or object), SOURCE_DENIED,
    SOURCE_UNREACHABLE, else SOURCE_UNREADABLE with the service's own reason.
    """

    address: Address
    held: Held = field(repr=False)
    _files: S3FileSystem = field(repr=False, compare=False)

    def list(self, under: str = "") -> tuple[StoredObject, ...]:
        """The objects whose key is ``under`` or begins with ``under/`` (default: all), by key; none where none are."""
        from pyarrow.fs import FileSelector, FileType

        place = self.address.place(under.strip("/"))
        with told(self.url(under)):
            try:
                found = self._files.get_file_info(FileSelector(place, recursive=True))
            except FileNotFoundError:
                found = []  # nothing below the prefix; a bucket that is not there is another error
            found += [self._files.get_file_info(place)] if under else []
        objects = [self._stored(info) for info in found if info.type == FileType.File]
        return tuple(sorted(objects, key=lambda one: one.key))

    def state(self, key: str) -> StoredObject:
        """What an object is now, with its ETag."""
        with told(self.url(key)):
            info = self._files.get_file_info(self.address.place(key))
            with self._files.open_input_file(self.address.place(key)) as file:
                etag = file.metadata().get("ETag", b"").decode().strip('"')
                return StoredObject(key, file.size(), (info.mtime_ns or 0) // 1000, etag)

    def exists(self, key: str) -> bool:
        """Whether there is such an object."""
        from pyarrow.fs import FileType

        with told(self.url(key)):
            return bool(self._files.get_file_info(self.address.place(key)).type == FileType.File)

    def fetch(self, key: str) -> Path:
        """A local file with the object's content and name, complete and never changing.

        It may be removed once it has not been used for an hour and room is needed: fetch it again then.
        """
        for _ in range(_TRIES):
            try:
                return self.fetch_all([self.state(key)])[0]
            except SourceError as error:
                changed = error
                if error.code != "SOURCE_CHANGED":
                    raise
        raise changed

    def fetch_all(self, objects: Sequence[StoredObject]) -> tuple[Path, ...]:
        """Local files with the content of objects (with ETags: see `states`), in their order; several at a time.

        Raises ``SourceError`` (``SOURCE_CHANGED``) when one is no longer what it was.
        """
        missing = [one for one in objects if not self._entry(one).exists()]
        if missing:
            self.held.make_room(sum(one.size for one in missing))
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return tuple(pool.map(self._copy, objects))

    def states(self, keys: Iterable[str]) -> tuple[StoredObject, ...]:
        """What objects are now, with their ETags; those that are no longer there are left out."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return tuple(one for one in pool.map(self._state_if_there, keys) if one is not None)

    def put(self, file: Path, key: str) -> StoredObject:
        """Store a local file, in parts where it is large; seen by nobody until it is whole, in place of what was there.

        Should reading the file fail half-way, the object is removed.
        """
        place = self.address.place(key)
        with file.open("rb") as source, told(self.url(key)):
            target = self._files.open_output_stream(place, compression=None)
            try:
                shutil.copyfileobj(source, target, _CHUNK)
            except OSError:
                target.close()
                self._files.delete_file(place)
                raise
            target.close()
        return self.state(key)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects; those that are not there are no error. An empty object may stay to mark their folder."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            for _ in pool.map(self._delete, keys):
                pass

    def url(self, key: str = "") -> str:
        """An object's address, to print."""
        return f"s3://{self.address.place(key)}" if key else str(self.address)

    def _state_if_there(self, key: str) -> StoredObject | None:
        try:
            return self.state(key)
        except SourceError as error:
            if error.code == "SOURCE_ABSENT":
                return None
            raise

    def _delete(self, key: str) -> None:
        with told(self.url(key)):
            try:
                self._files.delete_file(self.address.place(key))
            except FileNotFoundError:
                return

    def _stored(self, info: FileInfo) -> StoredObject:
        within = len(self.address.place("")) + 1
        return StoredObject(info.path[within:], info.size or 0, (info.mtime_ns or 0) // 1000)

    def _entry(self, one: StoredObject) -> Path:
        return self.held.entry(str(self.address), one.key, one.size, one.modified, one.etag)

    def _copy(self, one: StoredObject) -> Path:
        name = one.key.rpartition("/")[2]
        return self.held.keep(self._entry(one), partial(self._download, one, name)) / name

    def _download(self, one: StoredObject, name: str, folder: Path) -> None:
        file = folder / name
        with told(self.url(one.key)), file.open("wb") as target:
            source = self._files.open_input_stream(self.address.place(one.key), compression=None)
            with source:
                shutil.copyfileobj(source, target, _CHUNK)
        if file.stat().st_size != one.size or self.state(one.key) != one:
            # Parts are read one by one: a copy of an object that was replaced meanwhile may be of both.
            message = f"{self.url(one.key)} changed while it was read"
            raise SourceError("SOURCE_CHANGED", message, hint="Try again.")
        os.utime(file, ns=(file.stat().st_atime_ns, one.modified * 1000))


def open_store(url: str | Address, settings: Settings | None = None) -> ObjectStore:
    """The store at an ``s3://bucket/prefix`` URL, with the environment's credentials, region and endpoint.

    Nothing is asked of the service yet. Raises ``SourceError`` for what is no such URL.
    """
    where = address(url) if isinstance(url, str) else url
    folder = (settings or Settings.from_environment()).cache
    return ObjectStore(where, Held(passing() if folder is None else folder / "objects"), service())
