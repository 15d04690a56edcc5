"""CSV files as tables of text: nothing is converted here, so that `007` stays what it is."""

from __future__ import annotations

import codecs
import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import pyarrow as pa
import pyarrow.csv as pacsv

from penstock.errors import SourceError

_SEPARATORS = ",;\t|"
_HEADER_BYTES = 1 << 16


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
    """The dialect of a CSV file, from its bytes and its first row."""
    encoding, note = _encoding(path)
    with _text(path, encoding) as stream:
        head = stream.read(_HEADER_BYTES)
    if not head.strip():
        raise SourceError("SOURCE_EMPTY", f"{path.name} is empty: it has no header")
    counts = {separator: len(_first_row(head, separator)) for separator in _SEPARATORS}
    separator = max(_SEPARATORS, key=lambda s: counts[s])
    names = tuple(_first_row(head, separator))
    tidy = tidy_names(names)
    repeated = sorted({name for name in tidy if tidy.count(name) > 1})
    if repeated:
        raise SourceError("SOURCE_REPEATED_COLUMN", f"{path.name} has several columns named {repeated[0]!r}")
    return Dialect(encoding, separator, names, note)


def tidy_names(names: list[str] | tuple[str, ...]) -> list[str]:
    """Column names without spaces around them; a column without a name is called by its place.

    >>> tidy_names(["", " amount"])
    ['column_1', 'amount']
    """
    return [name.strip() or f"column_{at}" for at, name in enumerate(names, 1)]


def _first_row(head: str, separator: str) -> list[str]:
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
        except UnicodeDecodeError:
            return "cp1252", f"{path.name} is not UTF-8: read as Windows-1252"
    return "utf8", f"{path.name} has an odd number of quotes: one may be open, and hide rows" if quotes % 2 else ""


def _text(path: Path, encoding: str) -> IO[str]:
    known = "utf-8-sig" if encoding == "utf8" else encoding
    return io.TextIOWrapper(pa.input_stream(str(path)), encoding=known, newline="", errors="strict")
