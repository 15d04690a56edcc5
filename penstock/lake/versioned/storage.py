"""Where a table's data files are kept: a folder of this machine, or a place that local copies are taken from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class Stored:
    """A file that is there: its location as Iceberg names it, and when it was written (microseconds since 1970)."""

    location: str
    written: int


class Storage(Protocol):
    """The files of a lake, by location (a URL)."""

    def folder(self, table: str) -> Path:
        """The local folder where new data files of the table at this location are written."""
        ...

    def keep(self, table: str, file: Path) -> None:
        """Make a finished file of `folder` one that others see."""
        ...

    def location(self, table: str, file: Path) -> str:
        """The location of a kept file."""
        ...

    def local(self, table: str, location: str, size: int) -> Path:
        """A file as a path of this machine. Raises ``FileNotFoundError``, and ``ValueError`` for another size."""
        ...

    def forget(self, table: str, location: str) -> None:
        """Drop the local copy of a file, so that the file itself is read next."""
        ...

    def remove(self, location: str) -> None:
        """Delete a file; one that is not there is no error."""
        ...

    def listed(self, table: str) -> Iterator[Stored]:
        """All files below a table's location."""
        ...

    def tables(self, folder: str) -> tuple[str, ...]:
        """The locations below a folder that may be a table's, dropped ones included."""
        ...


@dataclass(frozen=True)
class LocalStorage:
    """A folder of this machine: files are where Iceberg says."""

    def folder(self, table: str) -> Path:
        """The table's own ``data`` folder."""
        return local_path(table) / "data"

    def keep(self, table: str, file: Path) -> None:
        """Nothing is to be done."""

    def location(self, table: str, file: Path) -> str:  # noqa: ARG002
        """The file's URL."""
        return file.as_uri()

    def local(self, table: str, location: str, size: int) -> Path:  # noqa: ARG002
        """The file itself."""
        path = local_path(location)
        found = path.stat().st_size
        if found != size:
            raise ValueError(f"it has {found} bytes instead of {size}")
        return path

    def forget(self, table: str, location: str) -> None:
        """There are no copies."""

    def remove(self, location: str) -> None:
        """Delete the file."""
        local_path(location).unlink(missing_ok=True)

    def listed(self, table: str) -> Iterator[Stored]:
        """All files below the table's folder."""
        for path in sorted(local_path(table).rglob("*")):
            try:
                if path.is_file():
                    yield Stored(path.as_uri(), path.stat().st_mtime_ns // 1000)
            except FileNotFoundError:
                continue  # somebody cleans as well

    def tables(self, folder: str) -> tuple[str, ...]:
        """The folders below."""
        there = local_path(folder)
        return tuple(path.as_uri() for path in sorted(there.iterdir()) if path.is_dir()) if there.is_dir() else ()


def local_path(location: str) -> Path:
    """A file's location as a path of this machine."""
    return Path(unquote(urlsplit(location).path)) if location.startswith("file:") else Path(location)
