"""JSON-lines files as tables: one object a line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.json as pajson

from penstock.errors import SourceError

DEEPEST = 64
"""How deep the values of a row may be nested."""
_LONG_NUMBER = re.compile(rb"\d{18}")
_NULL_LINE = re.compile(rb"(?:\A|\n)(?:[ \t\r]|\xef\xbb\xbf)*null")


def read_jsonl(path: Path) -> pa.Table:
    """The objects of a JSON-lines file as rows; a key that is missing is NULL, a nested object gives ``outer_inner``.

    Raises ``SourceError`` with file, row and reason where a line is no object.
    """
    try:
        if not all(map(can_be_trusted, _blocks(path))):
            table = _by_line(path)
        else:
            with pa.input_stream(str(path)) as stream:
                table = pajson.read_json(stream, parse_options=pajson.ParseOptions(newlines_in_values=False))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        table = _by_line(path)
    except OSError as error:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name}: {error}") from error
    table = flattened(table)
    if not table.num_columns:
        raise SourceError("SOURCE_EMPTY", f"{path.name} is empty: it has no rows")
    return table


def can_be_trusted(data: bytes) -> bool:
    """Whether Arrow's reader does these lines justice: it rounds long numbers, and crashes where they are nested deep
    or where the first one is ``null``.

    >>> can_be_trusted(b'{"a": [1]}'), can_be_trusted(b'{"a": 12345678901234567890}'), can_be_trusted(b"[" * 99)
    (True, False, False)
    >>> can_be_trusted(b'{"a": null}'), can_be_trusted(b"null"), can_be_trusted(b' null\\n{"a": 1}')
    (True, False, False)
    """
    if b"\0" in data or _LONG_NUMBER.search(data) or _NULL_LINE.search(data):
        return False
    text = np.frombuffer(data, np.uint8)
    opening, closing = (text == ord("[")) | (text == ord("{")), (text == ord("]")) | (text == ord("}"))
    depth = np.cumsum(opening.view(np.int8) - closing.view(np.int8), dtype=np.int64)
    return bool(depth.max(initial=0) < DEEPEST and depth.min(initial=0) >= 0)


def depth_of(value: object) -> int:
    """How deep a value is nested.

    >>> depth_of({"a": [1]}), depth_of(1)
    (3, 1)
    """
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return 1 + max(map(depth_of, inside), default=0)


def _blocks(path: Path) -> Iterator[bytes]:
    """A file's bytes up to line ends, a few megabytes at a time."""
    held = b""
    with pa.input_stream(str(path)) as stream:
        while chunk := stream.read(1 << 22):
            whole, line_end, held = (held + chunk).rpartition(b"\n")
            yield whole + line_end
    yield held


def flattened(table: pa.Table) -> pa.Table:
    """A table without nested objects: their values are columns of their own, ``outer_inner``."""
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.rename_columns([name.replace(".", "·") for name in table.column_names]).flatten()
        table = table.rename_columns([name.replace(".", "_").replace("·", ".") for name in table.column_names])
    return table


def _by_line(path: Path) -> pa.Table:
    """The slow way, which names the line that cannot be read, and keeps as text what has several types."""
    return of_objects(list(_objects(path)))


def of_objects(rows: Sequence[Mapping[str, object]]) -> pa.Table:
    """Objects as rows; a column that holds several types is text."""
    names = dict.fromkeys(name for row in rows for name in row)
    return pa.table({name: _array([row.get(name) for row in rows]) for name in names})


def _objects(path: Path) -> Iterable[dict[str, object]]:
    with pa.input_stream(str(path)) as stream:
        lines = stream.read().split(b"\n")
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
            deep = depth_of(found) > DEEPEST
        except RecursionError:
            deep, found = True, {}
        except ValueError as error:
            raise SourceError("SOURCE_UNREADABLE", f"{path.name}: row {number} is no JSON: {error}") from error
        if deep:
            raise SourceError("SOURCE_UNREADABLE", f"{path.name}: row {number} is nested deeper than {DEEPEST}")
        if not isinstance(found, dict):
            raise SourceError("SOURCE_UNREADABLE", f"{path.name}: row {number} is no object but {type(found).__name__}")
        yield found


def _array(values: list[object]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([v if v is None or isinstance(v, str) else told(v) for v in values], pa.string())


def told(value: object) -> str:
    """A value as JSON; what JSON has no word for as text.

    >>> told({"at": [1, None]})
    '{"at": [1, null]}'
    """
    return json.dumps(value, default=str, ensure_ascii=False)
