"""The table of dead letters beside a table: what came and could not become a row, with its place and the reason."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from penstock.lake.reserved import DEAD, DEAD_KEY
from penstock.lake.streams.message import DeadLetter
from penstock.lake.versioned import DELETED, KNOWN, Lake, Roles, VersionedTable

COLUMNS = ("stream", "partition", "position", "reason", "raw")
SCHEMA = pa.schema([(name, pa.string()) for name in COLUMNS])


def dead_table(lake: Lake, table: str, origin: str) -> VersionedTable:
    """The table of a table's dead letters, made when it is not there."""
    return lake.create(table + DEAD, SCHEMA, Roles(key=DEAD_KEY, origin=origin))


def dead_rows(stream: str, letters: Sequence[DeadLetter], known: int) -> pa.RecordBatch:
    """Dead letters as rows of that table, known since ``known``."""
    arrays = [
        pa.array([stream] * len(letters), pa.string()),
        *(pa.array([getattr(letter, name) for letter in letters], pa.string()) for name in COLUMNS[1:]),
        pa.array([known] * len(letters), pa.int64()).cast(pa.timestamp("us")),
        pa.array([False] * len(letters), pa.bool_()),
    ]
    return pa.RecordBatch.from_arrays(arrays, [*COLUMNS, KNOWN, DELETED])
