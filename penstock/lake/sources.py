"""Opens whatever holds tables: a server's URL, a bucket of objects, a file, a folder, or tables in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from urllib.parse import urlsplit

from penstock.errors import SourceError
from penstock.lake.files import FileSource, format_of
from penstock.lake.frames import FrameSource
from penstock.lake.source import Source, printable

SQLITE_MAGIC, DUCKDB_MAGIC = b"SQLite format 3\x00", b"DUCK"
_ENDINGS = {".sqlite": "sqlite", ".sqlite3": "sqlite", ".db3": "sqlite", ".duckdb": "duckdb", ".ddb": "duckdb"}
SCHEMES = ("postgresql", "postgres", "mysql", "mariadb", "sqlite", "duckdb", "file", "s3")


def open_source(source: object) -> Source:
    """The source that a URL, a path or a mapping of names to tables stands for.

    Raises ``SourceError`` for what does not exist, cannot be reached or cannot be read; no message holds a password.
    """
    if isinstance(source, Mapping):
        return FrameSource(source)
    if isinstance(source, os.PathLike):
        return _at_path(Path(source))
    if isinstance(source, str):
        return _at_url(source) if "://" in source else _at_path(Path(source).expanduser())
    raise SourceError(
        "SOURCE_KIND",
        f"a {type(source).__name__} is no source",
        hint="Give a URL, a path, or a mapping of names to tables.",
    )


def _at_url(url: str) -> Source:
    scheme = _scheme(url)
    if scheme in {"sqlite", "duckdb", "file"}:
        return _at_path(
            Path(url.partition("://")[2].removeprefix("/") if scheme != "file" else url.partition("://")[2])
        )
    if scheme in {"postgresql", "postgres"}:
        from penstock.lake.postgres import PostgresSource

        return PostgresSource(url)
    if scheme in {"mysql", "mariadb"}:
        from penstock.lake.mysql import MysqlSource

        return MysqlSource(url)
    if scheme == "s3":
        from penstock.lake.s3 import open_s3

        return open_s3(url)
    raise SourceError(
        "SOURCE_SCHEME", f"{printable(url)}: {scheme}:// is not supported", name=scheme, candidates=SCHEMES
    )


def _scheme(url: str) -> str:
    try:
        parts = urlsplit(url)
        if parts.port == 0:
            raise ValueError("port 0")
    except ValueError as error:
        raise SourceError("SOURCE_URL", f"{url.partition('://')[0]}://… is no URL: {error}") from None
    return parts.scheme.partition("+")[0].lower()


def _at_path(path: Path) -> Source:
    if not path.exists():
        raise _absent(path)
    if path.is_dir():
        return _checked(FileSource(path))
    opener = _DATABASES.get(database_kind(path))
    return opener(path) if opener else _checked(FileSource(path))


def _checked(source: FileSource) -> FileSource:
    source.tables()
    source.fingerprint()
    return source


def _absent(path: Path) -> SourceError:
    beside = sorted(p.name for p in path.parent.iterdir()) if path.parent.is_dir() else []
    usable = [name for name in beside if database_kind(path.parent / name) or format_of(Path(name)) or "." not in name]
    return SourceError("SOURCE_ABSENT", f"there is no {path}", name=path.name, candidates=usable)


def database_kind(path: Path) -> str:
    """``sqlite`` or ``duckdb`` by a file's first bytes, or by its name where it is empty or absent; else nothing."""
    if not path.is_file():
        return "" if path.is_dir() else _ENDINGS.get(path.suffix.lower(), "")
    with path.open("rb") as file:
        head = file.read(16)
    if head == SQLITE_MAGIC:
        return "sqlite"
    if head[8:12] == DUCKDB_MAGIC:
        return "duckdb"
    return _ENDINGS.get(path.suffix.lower(), "")


def _sqlite(path: Path) -> Source:
    from penstock.lake.sqlite import SqliteSource

    return SqliteSource(path)


def _duckdb(path: Path) -> Source:
    from penstock.lake.tables import DuckdbSource

    return DuckdbSource(path)


_DATABASES: Mapping[str, Callable[[Path], Source]] = {"sqlite": _sqlite, "duckdb": _duckdb}
