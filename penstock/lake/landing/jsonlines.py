"""One file of JSON lines as pieces of rows; a line that is no object is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.json as pajson

from penstock.errors import SourceError
from penstock.lake.jsonlines import DEEPEST, can_be_trusted, depth_of, flattened, of_objects, told
from penstock.lake.landing.piece import Piece, Texts
from penstock.lake.landing.records import Block, split_lines
from penstock.lake.landing.rejects import Reject, raw_text
from penstock.lake.landing.settings import LandingSettings
from penstock.lake.landing.unpack import chunks, is_utf8


class _TwiceError(ValueError):
    """An object that has a key twice."""


@dataclass
class JsonPart:
    """A file of JSON lines: the columns of all its rows, and its rows block by block."""

    name: str
    path: Path
    settings: LandingSettings
    first_row: int = 1
    texts: Texts = "dates"
    names: tuple[str, ...] = ()
    _twice: set[str] = field(default_factory=set)

    def pieces(self) -> Iterator[Callable[[], Piece]]:
        """The file in order."""
        return (partial(self.read, block) for block in self.blocks())

    def declared(self) -> Mapping[str, pa.DataType]:
        """No column's type: the values say."""
        return {}

    def notes(self) -> tuple[str, ...]:
        """Nothing is odd but what is rejected."""
        return ()

    def text(self, row: Sequence[object]) -> str:
        """A row's values as JSON."""
        return told(dict(zip(self.names, row, strict=True)))

    def blocks(self) -> Iterator[Block]:
        """Whole lines in order."""
        return split_lines(chunks(self.path, self.settings), self.settings.longest_row)

    def read(self, block: Block) -> Piece:
        """The rows of a block, with all of the file's columns; nested objects are columns of their own."""
        piece = read_lines(block, self.name)
        missing = [name for name in self.names if name not in piece.rows.schema.names]
        length = piece.count if piece.numbers is None else len(piece.numbers)
        columns = [*piece.rows.columns, *(pa.nulls(length) for _ in missing)]
        rows = pa.record_batch(columns, names=[*piece.rows.schema.names, *missing])
        return Piece(rows.select(list(self.names)), piece.count, piece.numbers, piece.rejects)


def json_part(name: str, path: Path, settings: LandingSettings) -> JsonPart:
    """A file of JSON lines whose columns have been gathered from all lines. Raises ``SourceError`` without any."""
    part = JsonPart(name, path, settings)
    names: dict[str, None] = {}
    faults: list[Reject] = []
    for block in part.blocks():
        piece = read_lines(block, name)
        names |= dict.fromkeys(piece.rows.schema.names)
        faults = faults or list(piece.rejects)
    if not names and faults:
        hint = "JSON lines hold one object a line."
        raise SourceError("SOURCE_UNREADABLE", f"{name} holds no object: its first line {faults[0].reason}", hint=hint)
    if not names:
        raise SourceError("SOURCE_EMPTY", f"{name} is empty: it has no rows")
    part.names = tuple(names)
    return part


def read_lines(block: Block, file: str) -> Piece:
    """The rows of a block of lines with the columns that these lines have."""
    if block.reason:
        return Piece(_batch(pa.table({})), 1, np.array([], np.int64), (Reject(0, block.reason, raw_text(block.data)),))
    table, count = None, block.data.count(b"\n") + (not block.data.endswith(b"\n"))
    if _is_simple(block.data):
        table = _quickly(block.data)
    if table is None or table.num_rows != count or not table.num_columns:
        return _carefully(block.data, file)
    return Piece(_distinct(flattened(table), file), count)


def _is_simple(data: bytes) -> bool:
    """Whether Arrow's reader sees in these lines what the careful way does."""
    return b"\n\n" not in data and is_utf8(data) and can_be_trusted(data)


def _quickly(data: bytes) -> pa.Table | None:
    try:
        table = _parsed(data, None)
        if any(_has_instants(column.type) for column in table.schema):
            table = _parsed(data, pa.schema([(column.name, _as_text(column.type)) for column in table.schema]))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError, UnicodeDecodeError):
        return None
    return table


def _parsed(data: bytes, schema: pa.Schema | None) -> pa.Table:
    return pajson.read_json(
        pa.BufferReader(data),
        read_options=pajson.ReadOptions(use_threads=False, block_size=len(data) + 1),
        parse_options=pajson.ParseOptions(explicit_schema=schema, newlines_in_values=False),
    )


def _has_instants(kind: pa.DataType) -> bool:
    inside = (kind.field(at).type for at in range(kind.num_fields))
    return bool(pa.types.is_timestamp(kind)) or any(map(_has_instants, inside))


def _as_text(kind: pa.DataType) -> pa.DataType:
    """The type with text for instants: how they are written is not to be lost."""
    if pa.types.is_struct(kind):
        return pa.struct([(field.name, _as_text(field.type)) for field in kind.fields])
    if pa.types.is_list(kind):
        return pa.list_(_as_text(kind.value_type))
    return pa.string() if pa.types.is_timestamp(kind) else kind


def _carefully(data: bytes, file: str) -> Piece:
    rows, numbers, rejects = [], [], []
    lines = data.removesuffix(b"\n").split(b"\n")
    for at, line in enumerate(lines):
        if not line.strip():
            continue
        found = _object(line)
        if isinstance(found, str):
            rejects.append(Reject(at, found, raw_text(line)))
        else:
            rows.append(found)
            numbers.append(at)
    batch = _distinct(flattened(of_objects(rows)), file) if rows else _batch(pa.table({}))
    return Piece(batch, len(lines), np.array(numbers, np.int64), tuple(rejects))


def _object(line: bytes) -> dict[str, object] | str:
    """The object that a line is, or why it is none."""
    try:
        found = json.loads(line.decode(), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        return f"the byte 0x{line[error.start]:02x} is no UTF-8"
    except _TwiceError as error:
        return f"has the key {str(error)!r} twice"
    except RecursionError:
        return f"is nested deeper than {DEEPEST}"
    except ValueError as error:
        return f"is no JSON: {error}"
    if not isinstance(found, dict):
        return f"is no object but {type(found).__name__}"
    if depth_of(found) > DEEPEST:
        return f"is nested deeper than {DEEPEST}"
    return found if _is_text(line) else "holds half a character"


def _once(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise _TwiceError(next(name for name in names if names.count(name) > 1))
    return found


def _is_text(line: bytes) -> bool:
    r"""Whether no ``\ud800`` stands alone in a line."""
    if rb"\u" not in line:
        return True
    try:
        json.dumps(json.loads(line), ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _distinct(table: pa.Table, file: str) -> pa.RecordBatch:
    """The rows as one batch; two columns of one name come of ``a_b`` beside ``a`` with ``b`` in it."""
    names = table.column_names
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        message = f"{file} has several columns named {repeated[0]!r}, one of them in a nested object"
        raise SourceError("SOURCE_REPEATED_COLUMN", message)
    return _batch(table)


def _batch(table: pa.Table) -> pa.RecordBatch:
    columns = [column.combine_chunks() for column in table.columns]
    columns = [column.chunk(0) if isinstance(column, pa.ChunkedArray) else column for column in columns]
    return pa.record_batch(columns, names=table.column_names)
