"""JSON-lines files as tables: one object a line."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.json as pajson

from penstock.errors import SourceError


def read_jsonl(path: Path) -> pa.Table:
    """The objects of a JSON-lines file as rows; a key that is missing is NULL, a nested object gives ``outer_inner``.

    Raises ``SourceError`` with file, row and reason where a line is no object.
    """
    try:
        with pa.input_stream(str(path)) as stream:
            table = pajson.read_json(stream, parse_options=pajson.ParseOptions(newlines_in_values=False))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        table = _by_line(path)
    except OSError as error:
        raise SourceError("SOURCE_UNREADABLE", f"{path.name}: {error}") from error
    while any(pa.types.is_struct(field.type) for field in table.schema):
        table = table.rename_columns([name.replace(".", "·") for name in table.column_names]).flatten()
        table = table.rename_columns([name.replace(".", "_").replace("·", ".") for name in table.column_names])
    if not table.num_columns:
        raise SourceError("SOURCE_EMPTY", f"{path.name} is empty: it has no rows")
    return table


def _by_line(path: Path) -> pa.Table:
    """The slow way, which names the line that cannot be read, and keeps as text what has several types."""
    rows = list(_objects(path))
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
        except ValueError as error:
            raise SourceError("SOURCE_UNREADABLE", f"{path.name}: row {number} is no JSON: {error}") from error
        if not isinstance(found, dict):
            raise SourceError("SOURCE_UNREADABLE", f"{path.name}: row {number} is no object but {type(found).__name__}")
        yield found


def _array(values: list[object]) -> pa.Array:
    try:
        return pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.array([v if v is None or isinstance(v, str) else json.dumps(v) for v in values], pa.string())
