"""Payloads as rows: JSON objects, arrays of them, or Arrow streams; nested objects give ``outer_inner``."""

from __future__ import annotations

import json
from codecs import BOM_UTF8
from collections.abc import Iterator, Mapping
from typing import NoReturn

import pyarrow as pa

from penstock.lake.streams.message import Message
from penstock.lake.streams.stream import Format

_DEPTH = 32
Row = dict[str, object]


class UnreadableError(ValueError):
    """A payload that holds no rows, and why."""


def rows_of(message: Message, form: Format) -> list[Row]:
    """The rows of a message. Raises `UnreadableError` with the reason when it has none to give."""
    payload = message.payload
    if payload is None:
        return []
    if not isinstance(payload, bytes):
        return [flat(payload)]
    return _arrow_rows(payload) if form == "arrow" else json_rows(payload)


def json_rows(payload: bytes) -> list[Row]:
    """The rows of a JSON object or of an array of objects.

    >>> json_rows(b'{"id": 1, "at": {"x": 2}}')
    [{'id': 1, 'at_x': 2}]
    """
    found = parsed(payload)
    if isinstance(found, dict):
        return [flat(found)]
    if isinstance(found, list) and all(isinstance(row, dict) for row in found):
        return [flat(row) for row in found]
    raise UnreadableError(f"this is no JSON object but {_spoken(found)}")


def parsed(payload: bytes) -> object:
    """What a JSON text says: NaN and infinities are no JSON. Raises `UnreadableError`."""
    try:
        return _DECODER.decode(str(payload.removeprefix(BOM_UTF8), "utf-8"))
    except json.JSONDecodeError as error:
        raise UnreadableError(f"this is no JSON: {error}" if payload.strip() else "this is empty") from None
    except RecursionError:
        raise UnreadableError("this is nested too deeply") from None
    except UnicodeDecodeError:
        raise UnreadableError("this is no JSON: its bytes are no UTF-8") from None
    except ValueError as error:
        raise UnreadableError(f"this is no JSON: {error}") from None


def flat(row: Mapping[str, object]) -> Row:
    """A row without objects inside: ``{"a": {"b": 1}}`` is ``{"a_b": 1}``. Raises `UnreadableError` when too deep."""
    for value in row.values():
        if isinstance(value, dict):
            break
    else:
        return dict(row)
    flattened: Row = {}
    for name, value in _leaves("", row, 0):
        if name in flattened:
            raise UnreadableError(f"two of its fields are called {name!r}")
        flattened[name] = value
    return flattened


def _leaves(prefix: str, row: Mapping[str, object], depth: int) -> Iterator[tuple[str, object]]:
    if depth > _DEPTH:
        raise UnreadableError("this is nested too deeply")
    for name, value in row.items():
        if isinstance(value, dict):
            yield from _leaves(f"{prefix}{name}_", value, depth + 1)
        else:
            yield prefix + name, value


def _arrow_rows(payload: bytes) -> list[Row]:
    try:
        rows = pa.ipc.open_stream(payload).read_all().to_pylist()
    except (pa.ArrowInvalid, OSError) as error:
        raise UnreadableError(f"this is no Arrow stream: {error}") from None
    return [flat(row) for row in rows]


def raw_text(payload: bytes | Mapping[str, object] | None) -> str:
    """What a dead letter keeps of a payload: its bytes as text, or its row as JSON."""
    if isinstance(payload, bytes):
        return payload.decode("utf-8", "backslashreplace")
    return json.dumps(payload, default=str, ensure_ascii=False)


def _spoken(found: object) -> str:
    return {dict: "an object", list: "an array", str: "a text", bool: "a truth value", type(None): "null"}.get(
        type(found), "a number"
    )


def _no_number(constant: str) -> NoReturn:
    raise UnreadableError(f"this is no JSON: {constant} is no JSON number")


_DECODER = json.JSONDecoder(parse_constant=_no_number)
