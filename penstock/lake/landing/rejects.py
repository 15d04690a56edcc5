"""Rows that were not taken: where each stands, why, and how it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

SCHEMA = pa.schema([("file", pa.string()), ("row", pa.int64()), ("reason", pa.string()), ("text", pa.string())])
"""``row`` counts as people do: the header, or the first line of JSON lines, is row 1."""
_SHOWN = 200


@dataclass(frozen=True, slots=True)
class Reject:
    """A row of a file that was not taken."""

    row: int
    reason: str
    text: str


@dataclass
class Rejects:
    """The rejected rows of a landing, file by file."""

    _parts: list[pa.RecordBatch] = field(default_factory=list)
    rows: int = 0

    def add(self, file: str, rejects: Sequence[Reject]) -> None:
        """Note rows of one file."""
        if rejects:
            columns = [
                [file] * len(rejects),
                [r.row for r in rejects],
                [r.reason for r in rejects],
                [shortened(r.text) for r in rejects],
            ]
            arrays = [pa.array(values, known.type) for values, known in zip(columns, SCHEMA, strict=True)]
            self._parts.append(pa.record_batch(arrays, schema=SCHEMA))
            self.rows += len(rejects)

    def table(self) -> pa.Table:
        """All of them, in the order of files and rows."""
        return pa.Table.from_batches(self._parts, SCHEMA)


def shortened(text: str) -> str:
    """A text's beginning, without what no terminal or database takes.

    >>> shortened("a" * 300)[-3:], shortened("x\\0y")
    ('aa…', 'x�y')
    """
    shown = text[: _SHOWN + 1].replace("\0", "\ufffd").encode("utf-8", "replace").decode()
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"


def raw_text(data: bytes) -> str:
    """Bytes of a row as text to show."""
    return data[: 4 * _SHOWN].rstrip(b"\r\n").decode("utf-8", "replace")
