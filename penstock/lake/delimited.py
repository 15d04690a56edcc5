"""CSV files as tables of text: nothing is converted here, so that `007` stays what it is."""

from __future__ import annotations

import codecs
import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv as pacsv

from penstock.errors import SourceError

_SEPARATORS = ",;\t|"
_HEADER_BYTES = 1 << 16
_FEW_UTF8 = 20
_LONGEST = 1 << 22


@dataclass(frozen=True, slots=True)
class Dialect:
    """How a CSV file is written: its encoding, separator and column names, and what was odd about them."""

    encoding: str
    separator: str
    names: tuple[str, ...]
    note: str = ""


def read_csv(path: Path, dialect: Dialect) -> pa.Table:
    """All columns of a CSV file as text; an empty text is NULL.

    Raises ``SourceError`` with file, row and reason where a row does not fit the header.
    """
    try:
        return _read(path, dialect, threads=True)
    except (pa.ArrowInvalid, UnicodeDecodeError, OSError) as error:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name}: {_reason(path, dialect, str(error))}") from error


def _read(path: Path, dialect: Dialect, *, threads: bool) -> pa.Table:
    options = pacsv.ConvertOptions(
        column_types=dict.fromkeys(dialect.names, pa.string()),
        null_values=[""],
        strings_can_be_null=True,
        quoted_strings_can_be_null=True,
    )
    with pa.input_stream(str(path)) as stream:
        table: pa.Table = pacsv.read_csv(
            stream,
            read_options=pacsv.ReadOptions(use_threads=threads, encoding=dialect.encoding),
            parse_options=pacsv.ParseOptions(delimiter=dialect.separator, newlines_in_values=True),
            convert_options=options,
        )
    return table.rename_columns(tidy_names(table.column_names))


def _reason(path: Path, dialect: Dialect, error: str) -> str:
    """Where the first row lies that does not fit: counted as people do, the header being row 1."""
    try:
        with _text(path, dialect.encoding) as stream:
            for number, row in enumerate(csv.reader(stream, delimiter=dialect.separator), 1):
                if row and len(row) != len(dialect.names):
                    return f"row {number} has {len(row)} values where the header has {len(dialect.names)}"
    except (csv.Error, OSError, UnicodeDecodeError) as found:
        return str(found)
    return error


def sniff(path: Path) -> Dialect:
    """The dialect of a CSV file, from its bytes and its first row. Raises ``SourceError`` for what is no text."""
    try:
        return _sniffed(path)
    except (OSError, UnicodeDecodeError, pa.ArrowException) as error:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name} cannot be read: {error}") from error


def _sniffed(path: Path) -> Dialect:
    encoding, note = _encoding(path)
    with _text(path, encoding) as stream:
        head = stream.read(_HEADER_BYTES)
    if not head.strip():
        raise SourceError("SOURCE_EMPTY", f"{path.name} is empty: it has no header")
    separator = separator_of(head)
    try:
        names = tuple(first_row(head, separator))
    except csv.Error as error:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name}: its header cannot be read: {error}") from error
    if any("\0" in name for name in names):
        raise SourceError("SOURCE_UNREADABLE", f"{path.name} holds zero bytes where its header should be")
    tidy = tidy_names(names)
    check_distinct(path.name, tidy)
    return Dialect(encoding, separator, names, note)


def tidy_names(names: list[str] | tuple[str, ...]) -> list[str]:
    """Column names without spaces around them; a column without a name is called by its place.

    >>> tidy_names(["", " amount"])
    ['column_1', 'amount']
    """
    return [name.strip() or f"column_{at}" for at, name in enumerate(names, 1)]


def check_distinct(file: str, names: Sequence[str]) -> None:
    """Raise ``SourceError`` where two columns have one name, or names that differ in case and spaces alone."""
    seen: dict[str, str] = {}
    for name in names:
        other = seen.get(folded(name))
        if other is not None:
            both = repr(name) if other == name else f"{other!r} and {name!r}"
            raise SourceError("SOURCE_REPEATED_COLUMN", f"{file} has several columns named {both}")
        seen[folded(name)] = name


def folded(name: str) -> str:
    """A name without what does not tell names apart: case and spaces.

    >>> folded("Order ID") == folded("orderId")
    True
    """
    return "".join(name.split()).casefold()


def separator_of(head: str) -> str:
    """What separates the values in a file that begins so: what cuts its header into most, then its next rows alike.

    >>> separator_of("day, time;amount\\n2024-01-01, noon;5\\n2024-01-02;6\\n")
    ';'
    """
    return max(_SEPARATORS, key=lambda separator: _alike(head, separator))


def _alike(head: str, separator: str) -> tuple[int, int]:
    """How many values the first row has, and how many of the next have as many."""
    try:
        rows = [row for row in islice(csv.reader(io.StringIO(head), delimiter=separator), 50) if row]
    except csv.Error:
        return 0, 0
    return (len(rows[0]), sum(len(row) == len(rows[0]) for row in rows)) if rows else (0, 0)


def first_row(head: str, separator: str) -> list[str]:
    """The values of the first row that is not empty."""
    return next((row for row in csv.reader(io.StringIO(head), delimiter=separator) if row), [])


def _encoding(path: Path) -> tuple[str, str]:
    with pa.input_stream(str(path)) as stream:
        start = stream.read(4)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16", ""
    decoder, quotes = codecs.getincrementaldecoder("utf-8")(), 0
    with pa.input_stream(str(path)) as stream:
        try:
            while chunk := stream.read(1 << 22):
                decoder.decode(chunk)
                quotes += chunk.count(b'"')
            decoder.decode(b"", final=True)
        except UnicodeDecodeError as error:
            return _narrow(path, error)
    return "utf8", f"{path.name} has an odd number of quotes: one may be open, and hide rows" if quotes % 2 else ""


def _narrow(path: Path, error: UnicodeDecodeError) -> tuple[str, str]:
    """Windows-1252 with a note; a few bad bytes in a file of UTF-8 are refused instead."""
    with pa.input_stream(str(path)) as stream:
        mostly, row = mostly_utf8(iter(lambda: stream.read(1 << 22), b""))
    if mostly:
        message = f"{path.name}: line {row} holds the byte 0x{error.object[error.start]:02x}, which is no UTF-8"
        raise SourceError("SOURCE_UNREADABLE", message, hint="Mend that line: the rest is UTF-8.")
    return "cp1252", f"{path.name} is not UTF-8: read as Windows-1252"


def mostly_utf8(chunks: Iterable[bytes]) -> tuple[bool, int]:
    """Whether bytes that are no UTF-8 are faults in a text that is, and the number of the first line with some.

    A text in which hardly a line beyond ASCII is UTF-8 (one in twenty) is in another encoding.

    >>> mostly_utf8([b"caf\\xe9"]), mostly_utf8(["caf\u00e9\\n".encode(), b"caf\\xe9"])
    ((False, 1), (True, 2))
    """
    good, bad, first = 0, 0, 0
    for number, line in enumerate(_lines(chunks), 1):
        if not line.isascii():
            fine = _is_utf8(line)
            good, bad = good + fine, bad + (not fine)
            first = first or (0 if fine else number)
    return good * _FEW_UTF8 >= bad, first


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Lines, of which a very long one may come shortened."""
    held = b""
    for chunk in chunks:
        *whole, held = (held + chunk).split(b"\n")
        yield from whole
        held = held[:_LONGEST]
    yield held


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _text(path: Path, encoding: str) -> IO[str]:
    known = "utf-8-sig" if encoding == "utf8" else encoding
    return io.TextIOWrapper(pa.input_stream(str(path)), encoding=known, newline="", errors="strict")
