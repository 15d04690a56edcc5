"""What is newest of each key, remembered by digests: the same content of the same key twice is told apart from news.

When a row was known is its source's word where a column says it, else when it came. Of the rows of a key the one known
last counts, so of one instant the row that comes later is known a little later.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import NamedTuple

import pyarrow as pa

from penstock.lake.sql import Sql
from penstock.lake.streams.fitting import Fitted
from penstock.lake.streams.values import storage
from penstock.lake.versioned import DELETED, KNOWN, Scan
from penstock.lake.versioned.scan import quoted

_DAY = 86_400_000_000


class Newest(NamedTuple):
    """What is newest of a key: its content, the instant its source says of it, and when it counts as known."""

    content: bytes
    said: int
    known: int


@dataclass
class Seen:
    """The newest ``most`` keys that were written, with what is newest of each; without a key every row is news.

    ``known`` is the column by which the source says when a row was known, ``daily`` that it only says the day. Where
    others may have deleted rows of the table (``shared``), a repeat is news.
    """

    key: tuple[str, ...]
    most: int
    known: str | None = None
    daily: bool = False
    shared: bool = False
    _newest: OrderedDict[tuple[object, ...], tuple[bytes, int, int]] = field(default_factory=OrderedDict)

    def taken(self, row: Fitted, now: int) -> int | None:
        """When a row that comes ``now`` was known, in microseconds; None where it says nothing new of its key.

        It is remembered then. A row known before the newest of its key is news, and changes only the past.
        """
        said = self._said(row, now)
        if not self.key:
            return said
        key, content = tuple([row[name] for name in self.key]), digest(row)
        before = self._before(key)
        if before is None:
            return self._remember(key, Newest(content, said, said))
        if before.content == content and not self.shared:
            return None
        if said < before.said:
            return said
        known = said if said > before.known else max(now, before.known + 1)
        return self._remember(key, Newest(content, said, known))

    def _said(self, row: Fitted, now: int) -> int:
        """What a row itself says of when it was known, else now."""
        value = None if self.known is None else row.get(self.known)
        return now if not isinstance(value, int) else value * _DAY if self.daily else value

    def _before(self, key: tuple[object, ...]) -> Newest | None:
        found = self._newest.get(key)
        return None if found is None else Newest(*found)

    def _remember(self, key: tuple[object, ...], newest: Newest) -> int:
        # the garbage collector lets go of plain tuples, however many there are
        self._newest[key] = (newest.content, newest.said, newest.known)
        self._newest.move_to_end(key)
        if len(self._newest) > self.most:
            self._newest.popitem(last=False)
        return newest.known

    def learn(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Remember row versions as tables hold them, in this order."""
        if self.key:
            for whole in _plain(rows).to_pylist():
                row, known = fitted(whole), whole[KNOWN] or 0
                key, said = tuple([row[name] for name in self.key]), self._said(row, known)
                before = self._before(key)
                if before is None or said >= before.said:
                    self._remember(key, Newest(digest(row), said, known))

    def learn_newest(self, scan: Scan) -> None:
        """Remember the newest versions of the keys that came last."""
        if not self.key or not scan.files:
            return
        key = ", ".join(map(quoted, self.key))
        newest = f"row_number() OVER (PARTITION BY {key} ORDER BY {KNOWN} DESC NULLS LAST) = 1"
        query = f"SELECT * FROM rows QUALIFY {newest} ORDER BY {KNOWN} DESC NULLS LAST LIMIT {self.most}"
        with Sql({"rows": scan}, rows="log") as sql:
            found = sql.arrow(query)
        self.learn(found.take(pa.array(range(found.num_rows - 1, -1, -1), pa.int64())))


def fitted(row: dict[str, object]) -> Fitted:
    """A table's row as fitting would give it."""
    kept = {name: value for name, value in row.items() if value is not None and name not in (KNOWN, DELETED)}
    return kept | ({DELETED: True} if row.get(DELETED) else {})


def digest(row: Fitted) -> bytes:
    """Sixteen bytes that stand for a row's content."""
    return blake2b(repr(sorted(row.items())).encode(), digest_size=16).digest()


def _plain(rows: pa.Table | pa.RecordBatch) -> pa.Table:
    """Columns as fitted values are: instants, days and times of day as whole numbers."""
    arrays = [column.cast(storage(column.type)) for column in rows.columns]
    return pa.table(arrays, names=rows.column_names)
