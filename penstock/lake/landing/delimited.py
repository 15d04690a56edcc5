"""One CSV or TSV file as pieces of texts: nothing is converted here, and rows that cannot be read are told."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv

from penstock.errors import SourceError
from penstock.lake.delimited import first_row, mostly_utf8, separator_of, tidy_names
from penstock.lake.landing.piece import Piece, Texts
from penstock.lake.landing.records import Block, OpenQuoteError, Record, records, split
from penstock.lake.landing.rejects import Reject, raw_text
from penstock.lake.landing.settings import LandingSettings
from penstock.lake.landing.unpack import chunks, is_utf8, says_encoding

_HEADER_BYTES = 1 << 20
_GLANCE = 1 << 16
_SAID = re.compile(rb"sep=([ -~])\r?\n")
"""The first line by which spreadsheets say what separates the values."""


@dataclass
class DelimitedPart:
    """A CSV file: its column names, separator and encoding, and its rows block by block."""

    name: str
    path: Path
    settings: LandingSettings
    names: tuple[str, ...] = ()
    separator: str = ","
    first_row: int = 2
    texts: Texts = "anything"
    encoding: str = "utf-8"
    settled: bool = False
    _notes: list[str] = field(default_factory=list)

    def pieces(self) -> Iterator[Callable[[], Piece]]:
        """The file in order."""
        return (partial(self.read, block) for block in self.blocks())

    def declared(self) -> Mapping[str, pa.DataType]:
        """No column's type: all is text."""
        return {}

    def notes(self) -> tuple[str, ...]:
        """What was odd."""
        return tuple(self._notes)

    def blocks(self) -> Iterator[Block]:
        """Whole records in order, behind the header; the encoding is settled when a byte first leaves doubt."""
        found = [0]
        try:
            for block in self._split():
                if not self.settled and not is_utf8(block.data):
                    self._settle()
                found.append(len(block.data))
                yield block
        except OpenQuoteError as error:
            reason = f"a quote is open for more than {self.settings.longest_row} bytes"
            row = self.first_row + self._rows_in(sum(found))
            message = f"{self.name}: row {row}: {reason}"
            raise SourceError("SOURCE_UNREADABLE", message, hint="Close it, or allow a longer row.") from error

    def _split(self) -> Iterator[Block]:
        stream, size = chunks(self.path, self.settings), self.settings.chunk
        rest = _header(self.path, stream, self.settings).rest
        behind = (rest[at : at + size] for at in range(0, len(rest), size))
        return split(chain(behind, stream), self.separator.encode(), self.settings.longest_row)

    def _rows_in(self, size: int) -> int:
        """How many rows begin in so many bytes behind the header."""
        count, blocks = 0, self._split()
        while size > 0:
            block = next(blocks)
            size -= len(block.data)
            count += self.read(block).count
        return count

    def _settle(self) -> None:
        """Decide between UTF-8 with a few bad bytes and Windows-1252, from the whole file."""
        self.settled = True
        if not mostly_utf8(chunks(self.path, self.settings))[0]:
            self.encoding = "cp1252"
            self._notes.append(f"{self.name} is not UTF-8: read as Windows-1252")

    def read(self, block: Block) -> Piece:
        """The rows of a block as texts; an empty text is NULL."""
        if block.reason:
            return Piece(_empty(self.names), 1, rejects=(Reject(0, block.reason, raw_text(block.data)),))
        sound = self._sound(block)
        if sound is not None:
            piece = _parsed(sound, self.names, self.separator)
            if not _has_blank(sound, piece.count):
                return piece
        return self._carefully(block.data)

    def text(self, row: Sequence[object]) -> str:
        """A row's values as they may have stood in the file."""
        return self.separator.join("" if value is None else str(value) for value in row)

    def _sound(self, block: Block) -> bytes | None:
        """A block in UTF-8 where Arrow's parser sees the same records in it as the exact rules do; else None."""
        data = block.data
        if not block.plain or b"\0" in data or data.startswith((b"\n", b"\r")):
            return None
        if data.isascii():
            return data
        try:
            return data.decode(self.encoding).encode()
        except UnicodeDecodeError:
            return None

    def _carefully(self, data: bytes) -> Piece:
        """Record by record: what is sound is parsed, the rest told."""
        kept, numbers, rejects, count = [], [], [], 0
        for count, record in enumerate(records(data, self.separator.encode()), 1):
            raw = data[record.start : record.end]
            reason = record.reason or self._trouble(raw)
            if reason:
                rejects.append(Reject(count - 1, reason, raw_text(raw)))
            elif not record.blank:
                kept.append(raw.rstrip(b"\r\n") + b"\n")
                numbers.append(count - 1)
        sound = b"".join(kept).decode(self.encoding).encode()
        piece = _parsed(sound, self.names, self.separator)
        places = np.array(numbers, np.int64)
        told = [*rejects, *(Reject(int(places[r.row]), r.reason, r.text) for r in piece.rejects)]
        mine = places if piece.numbers is None else places[piece.numbers]
        return Piece(piece.rows, count, mine, tuple(sorted(told, key=lambda reject: reject.row)))

    def _trouble(self, raw: bytes) -> str:
        """Why the bytes of a record are no text; empty when they are."""
        if b"\0" in raw:
            return "holds zero bytes"
        try:
            raw.decode(self.encoding)
        except UnicodeDecodeError as error:
            word = "UTF-8" if self.encoding == "utf-8" else self.encoding
            return f"the byte 0x{raw[error.start]:02x} is no {word}"
        return ""


def delimited_part(name: str, path: Path, settings: LandingSettings) -> DelimitedPart:
    """A CSV file with its header read. Raises ``SourceError`` where there is none."""
    header = _header(path, chunks(path, settings), settings)
    try:
        names = tuple(tidy_names(first_row(_text(header.data), header.separator)))
    except csv.Error as error:
        raise SourceError("SOURCE_UNREADABLE", f"{name}: its header cannot be read: {error}") from error
    part = DelimitedPart(name, path, settings, names, header.separator, header.row + 1)
    part.settled = says_encoding(path, settings)
    return part


def _text(data: bytes) -> str:
    """Bytes as text, in UTF-8 or else Windows-1252."""
    return data.decode() if is_utf8(data) else data.decode("cp1252", "replace")


@dataclass(frozen=True, slots=True)
class _Header:
    """A file's separator and first row that is not empty: its bytes, its number, and what was read behind it."""

    separator: str
    data: bytes
    row: int
    rest: bytes


def _header(path: Path, stream: Iterator[bytes], settings: LandingSettings) -> _Header:
    """The header of a file. Raises ``SourceError`` where there is none, or none that is text."""
    held = b""
    for chunk in stream:
        held += chunk
        if len(held) > 2 * _HEADER_BYTES:
            break
    said = _SAID.match(held)
    start = said.end() if said else 0
    separator = settings.separator or (said[1].decode() if said else separator_of(_text(held[:_GLANCE])))
    found = _first_record(held[start : 2 * _HEADER_BYTES], separator.encode())
    if found is None:
        raise SourceError("SOURCE_EMPTY", f"{path.name} is empty: it has no header")
    row, record = found
    data = held[start + record.start : start + record.end]
    if b"\0" in data:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name} holds zero bytes where its header should be")
    if len(data) > _HEADER_BYTES:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name}: its header is longer than {_HEADER_BYTES} bytes")
    return _Header(separator, data, row + bool(said), held[start + record.end :])


def _first_record(held: bytes, separator: bytes) -> tuple[int, Record] | None:
    """The first record that is not empty, and its number."""
    numbered = enumerate(records(held, separator), 1)
    return next(((row, record) for row, record in numbered if held[record.start : record.end].strip()), None)


def _has_blank(data: bytes, rows: int) -> bool:
    """Whether there may be an empty line, which Arrow's parser passes over without counting it."""
    if b"\r" in data:
        return b"\n\n" in data or b"\n\r" in data or b"\r\r" in data
    return data.count(b"\n") + (not data.endswith(b"\n")) != rows and b"\n\n" in data


def _empty(names: tuple[str, ...]) -> pa.RecordBatch:
    return pa.record_batch([pa.array([], pa.string())] * len(names), names=list(names))


def _parsed(data: bytes, names: tuple[str, ...], separator: str) -> Piece:
    """Sound text in UTF-8 as columns of text; rows with too few or too many values are told."""
    if not data:
        return Piece(_empty(names), 0)
    ragged: list[Reject] = []

    def skip(row: pacsv.InvalidRow) -> str:
        reason = f"has {row.actual_columns} values where the header has {row.expected_columns}"
        ragged.append(Reject(row.number - 1, reason, row.text))
        return "skip"

    table = pacsv.read_csv(
        pa.BufferReader(data),
        read_options=pacsv.ReadOptions(use_threads=False, column_names=list(names), block_size=len(data) + 1),
        parse_options=pacsv.ParseOptions(delimiter=separator, newlines_in_values=True, invalid_row_handler=skip),
        convert_options=pacsv.ConvertOptions(
            check_utf8=False,
            column_types=dict.fromkeys(names, pa.string()),
            null_values=[""],
            strings_can_be_null=True,
            quoted_strings_can_be_null=True,
        ),
    )
    count = table.num_rows + len(ragged)
    numbers = np.delete(np.arange(count), [reject.row for reject in ragged]) if ragged else None
    return Piece(_one_batch(table), count, numbers, tuple(ragged))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    """A table's rows as one batch (its columns have at most one chunk, or are joined)."""
    batches = table.combine_chunks().to_batches()
    return batches[0] if batches else pa.record_batch([pa.array([], f.type) for f in table.schema], schema=table.schema)
