"""What a source is: named tables as their own system declares them, and their raw rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import pyarrow as pa

from penstock.errors import SourceError
from penstock.inference.facts import DeclaredLink


@dataclass(frozen=True, slots=True)
class RawColumn:
    """A column as its source declares it.

    ``type`` is the source's own name of the type; ``arrow`` the type that `Source.read` gives, where that is known
    beforehand. ``textual`` says that its texts wait to be read as numbers or dates, ``timely`` that its whole numbers
    are declared to be times.
    """

    name: str
    type: str
    nullable: bool = True
    arrow: pa.DataType | None = None
    textual: bool = False
    timely: bool = False


@dataclass(frozen=True, slots=True)
class RawTable:
    """A table as its source declares it; ``rows`` None where counting needs reading.

    ``prunes`` says that single columns can be read alone, cheaply and in the same order of rows.
    """

    name: str
    columns: tuple[RawColumn, ...]
    key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    links: tuple[DeclaredLink, ...] = ()
    rows: int | None = None
    prunes: bool = False


class Source(Protocol):
    """Something that holds tables."""

    @property
    def name(self) -> str:
        """Where it is, to print; never with a password."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd in opening it."""
        ...

    def tables(self) -> Mapping[str, RawTable]:
        """Its tables by name."""
        ...

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows, with the types of the source."""
        ...

    def fingerprint(self) -> str:
        """Changes whenever what it holds may have changed."""
        ...


def printable(url: str) -> str:
    """A URL without its password.

    >>> printable("postgresql://ada:secret@db.example:5432/shop?sslmode=require")
    'postgresql://ada@db.example:5432/shop'
    """
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    user = parts.netloc.rpartition("@")[0].partition(":")[0]
    return f"{parts.scheme}://{f'{user}@' if user else ''}{host}{parts.path}"


def without_password(text: str, url: str) -> str:
    """A driver's message without the passwords of the URL, should it hold one.

    >>> without_password("no p@ss here", "redis://:p%40ss@cache?ssl_password=here")
    'no *** ***'
    """
    parts = urlsplit(url)
    told = [parts.password, *(value for name, value in parse_qsl(parts.query) if "password" in name)]
    for secret in {form for one in told if one for form in (one, unquote(one), quote(one, ""))}:
        text = text.replace(secret, "***")
    return " ".join(text.split())


def missing_package(what: str, package: str, extra: str) -> SourceError:
    """The error for a driver that is not installed."""
    return SourceError(
        "SOURCE_NEEDS_PACKAGE",
        f"{what} needs the package {package}",
        hint=f"Install it: pip install 'penstock[{extra}]'",
    )


def unknown_table(source: str, name: str, tables: Iterable[str]) -> SourceError:
    """The error for a table that a source does not hold."""
    return SourceError("SOURCE_UNKNOWN_TABLE", f"{source} has no table {name!r}", name=name, candidates=tables)


def must_have(source: str, table: str, columns: Iterable[str], asked: Iterable[str]) -> None:
    """Raise ``SourceError`` for a column that a table of a source does not have, or has no more."""
    there = list(columns)
    for name in asked:
        if name not in there:
            message = f"{table} of {source} has no column {name!r}"
            raise SourceError("SOURCE_UNKNOWN_COLUMN", message, name=name, candidates=there)


def file_state(*paths: Path) -> str:
    """A hash of names, sizes and times; a file that is not there counts as empty."""
    told = []
    for path in paths:
        stat = path.stat() if path.exists() else None
        told.append(f"{path.name} {stat.st_size} {stat.st_mtime_ns}" if stat and stat.st_size else f"{path.name} empty")
    return blake2b("\n".join(told).encode(), digest_size=16).hexdigest()


def file_id(path: Path) -> tuple[int, int] | None:
    """Which file lies at a path: another after one was put in its place. None where there is none."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_dev, stat.st_ino
