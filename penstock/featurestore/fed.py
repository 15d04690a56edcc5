"""What streams are listened to with: a feed of the online store that begins when there is something to feed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field

import pyarrow as pa

from penstock.lake.versioned import Lake
from penstock.online.feeding import Feed


@dataclass
class LateFeed:
    """A feed that begins once all tables that are streamed into exist: before, features cannot be fitted to them.

    ``opened`` gives the feed, which brings in all that came before it began.
    """

    lake: Lake
    tables: Collection[str]
    opened: Callable[[], Feed]
    _feed: Feed | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self) -> None:
        """Begin, if the tables are there."""
        with self._lock:
            if self._feed is None and all(name in self.lake for name in self.tables):
                feed = self.opened()
                feed.start()
                self._feed = feed

    def landed(self, table: str, rows: pa.RecordBatch) -> None:
        """Take rows that are durable in the lake."""
        if self._feed is None:
            self.begin()
        if self._feed is not None:
            self._feed.landed(table, rows)

    def stop(self) -> None:
        """Bring in what has landed, and end."""
        if self._feed is not None:
            self._feed.stop()
