"""What is newest of each key, remembered by digests: the same content of the same key twice is told apart from news."""

from __future__ import annotations

from dataclasses import dataclass, field
from hashlib import blake2b

import pyarrow as pa

from penstock.lake.sql import Sql
from penstock.lake.streams.fitting import Fitted
from penstock.lake.streams.values import storage
from penstock.lake.versioned import DELETED, KNOWN, Scan
from penstock.lake.versioned.scan import quoted


@dataclass
class Seen:
    """The content of the newest ``most`` keys that were written; without a key every row is news."""

    key: tuple[str, ...]
    most: int
    _digests: dict[tuple[object, ...], bytes] = field(default_factory=dict)

    def is_news(self, row: Fitted) -> bool:
        """Whether a row says of its key what was not known already; it is remembered then."""
        if not self.key:
            return True
        key, content = tuple([row[name] for name in self.key]), digest(row)
        if self._digests.get(key) == content:
            return False
        self._digests.pop(key, None)
        self._digests[key] = content
        if len(self._digests) > self.most:
            del self._digests[next(iter(self._digests))]
        return True

    def learn(self, rows: pa.Table | pa.RecordBatch) -> None:
        """Remember row versions as tables hold them, in this order."""
        if self.key:
            for row in _plain(rows).to_pylist():
                self.is_news(fitted(row))

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
