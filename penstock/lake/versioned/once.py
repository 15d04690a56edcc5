"""Which files hold keys that occur once, so that only the others are asked for the newest version of a row.

A commit says of the files that it adds which ones may hold a further row of a key ("several"): every key with more
than one row in a version then has a row in one of these. What a commit says names the key (by field ids) that it says
it of; of another key nothing is known. Whatever is not proven counts as several.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from penstock.lake.versioned.remembered import Remembered

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestEntry
    from pyiceberg.schema import Schema
    from pyiceberg.table.snapshots import Snapshot

_CLOSED = "."
_RANGES = Remembered["Range"](most=100)


def said(key_ids: Sequence[int], files: Iterable[str], closed: bool = False) -> str:
    """What a commit says: the key, and the names of the files that may hold further rows of keys.

    ``closed`` says that these files hold all rows of their keys.
    """
    return " ".join([",".join(map(str, key_ids)) + _CLOSED * closed, *files])


def is_several(entry: ManifestEntry, flags: Mapping[int, str], key_ids: Sequence[int]) -> bool:
    """Whether a file may hold a further row of a key, by what its commit said."""
    told = flags.get(entry.sequence_number or 0, "").split(" ")
    return told[0].rstrip(_CLOSED) != ",".join(map(str, key_ids)) or name_of(entry.data_file.file_path) in told[1:]


def is_closed(entry: ManifestEntry, flags: Mapping[int, str], key_ids: Sequence[int]) -> bool:
    """Whether a file's keys were in no other file when it was written, but in those written with it."""
    return flags.get(entry.sequence_number or 0, "").split(" ")[0] == ",".join(map(str, key_ids)) + _CLOSED


def name_of(location: str) -> str:
    """A file's own name."""
    return location.rpartition("/")[2]


def distinct(files: Sequence[Path], key: Sequence[str]) -> bool:
    """Whether each key occurs once in these files, and none is NULL."""
    import pyarrow.parquet as pq

    if not files:
        return True
    parts = [pq.ParquetFile(file).read(columns=list(key), use_threads=False) for file in files]
    if any(sorted(part.column_names) != sorted(key) for part in parts):
        return False  # written before a column got its name
    keys = pa.concat_tables(parts)
    if any(column.null_count for column in keys.columns):
        return False
    if len(key) == 1:
        return _rises(keys.column(0)) or len(keys.column(0).unique()) == keys.num_rows
    return bool(keys.group_by(list(key), use_threads=False).aggregate([]).num_rows == keys.num_rows)


def _rises(values: pa.ChunkedArray) -> bool:
    """Whether whole numbers only grow, as those that a database counts up do."""
    import numpy as np

    if not pa.types.is_integer(values.type):
        return False
    numbers = values.to_numpy()
    return bool(np.all(numbers[1:] > numbers[:-1]))


@dataclass(frozen=True)
class Range:
    """Where a column's values lie: from ``low`` to ``high``, nowhere (``empty``), or nobody knows (both None)."""

    low: Any = None
    high: Any = None
    empty: bool = False

    def __or__(self, other: Range) -> Range:
        if self.empty or other.empty:
            return other if self.empty else self
        if self.low is None or other.low is None:
            return Range()
        return Range(min(self.low, other.low), max(self.high, other.high))

    def is_apart(self, other: Range) -> bool:
        """Whether no value can be in both."""
        if self.empty or other.empty:
            return True
        if self.low is None or other.low is None:
            return False
        return bool(self.high < other.low or other.high < self.low)


NOWHERE = Range(empty=True)


def range_of(schema: Schema, field_id: int, files: Iterable[DataFile]) -> Range:
    """Where a column's values lie in some files."""
    found = NOWHERE
    for file in files:
        found |= bounds(schema, field_id, file)
    return found


def range_in(schema: Schema, field_id: int, snapshot: Snapshot | None, held: Callable[[], Iterable[DataFile]]) -> Range:
    """Where a column's values lie in a snapshot; remembered, as snapshots never change."""
    if snapshot is None:
        return NOWHERE
    return _RANGES.get(_place(schema, field_id, snapshot.manifest_list), lambda: range_of(schema, field_id, held()))


def remember(schema: Schema, field_id: int, manifest_list: str, found: Range) -> None:
    """Say where a column's values lie in a snapshot that was made just now."""
    _RANGES.put(_place(schema, field_id, manifest_list), found)


def _place(schema: Schema, field_id: int, manifest_list: str) -> tuple[str, int, str]:
    return manifest_list, field_id, str(schema.find_type(field_id))


def bounds(schema: Schema, field_id: int, file: DataFile) -> Range:
    """The least and greatest value that Iceberg notes for a column of a file.

    Texts are cut to sixteen characters, the greatest rounded up.
    """
    from pyiceberg.conversions import from_bytes
    from pyiceberg.types import PrimitiveType

    low, high = (file.lower_bounds or {}).get(field_id), (file.upper_bounds or {}).get(field_id)
    kind = schema.find_type(field_id)
    if low is None or high is None or not isinstance(kind, PrimitiveType):
        return Range()
    return Range(from_bytes(kind, low), from_bytes(kind, high))


def is_later(schema: Schema, known: int, again: Sequence[DataFile], single: Sequence[DataFile]) -> bool:
    """Whether every row of some files became known (a column by its id) after every row of others.

    Then none of the others can be the newest row of a key that both have.
    """
    if any((file.null_value_counts or {}).get(known) != 0 for file in again):
        return False
    dated = [file for file in single if (file.null_value_counts or {}).get(known) != file.record_count]
    first, last = range_of(schema, known, again), range_of(schema, known, dated)
    if first.empty or last.empty:
        return True
    return first.low is not None and last.high is not None and bool(last.high < first.low)
