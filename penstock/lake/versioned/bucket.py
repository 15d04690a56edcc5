"""Data files in a bucket, copied to this machine when they are first read: their names say their content."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

from penstock.lake.objects.service import service, told
from penstock.lake.versioned.damage import what_is_wrong
from penstock.lake.versioned.storage import Stored

if TYPE_CHECKING:
    from pyarrow.fs import S3FileSystem


@dataclass(frozen=True)
class BucketStorage:
    """The objects below ``s3://…`` locations; ``cache`` is the folder of their local copies."""

    cache: Path

    @cached_property
    def _service(self) -> S3FileSystem:
        return service()

    def folder(self, table: str) -> Path:
        """The folder of the table's local copies."""
        return self.cache / blake2b(table.encode(), digest_size=12).hexdigest()

    def keep(self, table: str, file: Path) -> None:
        """Upload a finished file; it stays here as a copy."""
        from pyarrow.fs import LocalFileSystem, copy_files

        location = self.location(table, file)
        with told(location):
            copy_files(str(file), _key(location), LocalFileSystem(), self._service)

    def location(self, table: str, file: Path) -> str:
        """The object's URL."""
        return f"{table}/data/{file.name}"

    def local(self, table: str, location: str, size: int) -> Path:
        """The local copy, fetched when it is not here or not whole."""
        path = self.folder(table) / location.rpartition("/")[2]
        if not (path.is_file() and path.stat().st_size == size and what_is_wrong(path) is None):
            self._fetch(location, path)
        found = path.stat().st_size
        if found != size:
            raise ValueError(f"it has {found} bytes instead of {size}")
        return path

    def _fetch(self, location: str, path: Path) -> None:
        """Copy an object here; whoever looks meanwhile sees all of it or nothing."""
        from pyarrow.fs import FileType, LocalFileSystem, copy_files

        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{uuid4().hex}.copy")
        try:
            with told(location):
                there = self._service.get_file_info(_key(location)).type == FileType.File
                if there:
                    copy_files(_key(location), str(draft), self._service, LocalFileSystem())
            if not there:
                raise FileNotFoundError(location)
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)

    def forget(self, table: str, location: str) -> None:
        """Delete the copy here."""
        (self.folder(table) / location.rpartition("/")[2]).unlink(missing_ok=True)

    def remove(self, location: str) -> None:
        """Delete an object, and its copy here."""
        from pyarrow.fs import FileType

        self.forget(location.rpartition("/")[0].removesuffix("/data"), location)
        with told(location):
            if self._service.get_file_info(_key(location)).type == FileType.File:
                self._service.delete_file(_key(location))

    def listed(self, table: str) -> Iterator[Stored]:
        """All objects below the table's location."""
        from pyarrow.fs import FileSelector

        with told(table):
            found = self._service.get_file_info(FileSelector(_key(table), allow_not_found=True, recursive=True))
        for info in found:
            if info.is_file:
                yield Stored(f"s3://{info.path}", (info.mtime_ns or 0) // 1000)

    def tables(self, folder: str) -> tuple[str, ...]:
        """What is directly below."""
        from pyarrow.fs import FileSelector, FileType

        with told(folder):
            found = self._service.get_file_info(FileSelector(_key(folder), allow_not_found=True))
        return tuple(sorted(f"s3://{info.path}" for info in found if info.type == FileType.Directory))


def _key(location: str) -> str:
    """A location as the service wants it: bucket and key."""
    parts = urlsplit(location)
    return f"{parts.netloc}{parts.path}"
