"""What streams are listened to with: feeds of the online store, by the definitions that it holds its views by."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pyarrow as pa

from penstock.errors import FailedError, SourceError, StoreError
from penstock.features.views.bound import Bound
from penstock.lake.versioned import Lake
from penstock.online.feeding import Feeds

_SELDOM = 1.0
"""Seconds."""
_TRIES = 3


@dataclass
class LateFeeds:
    """Feeds that begin once all tables that are streamed into exist: before, features cannot be fitted to them.

    ``opened`` gives feeds by the definitions of now, and by those that are given for what the store holds by them
    still; they bring in all that came before they began. ``held`` tells the versions of the views that the store holds:
    when one is another, feeds are opened anew.
    """

    lake: Lake
    tables: Collection[str]
    opened: Callable[[Sequence[Bound]], Feeds]
    held: Callable[[], Mapping[str, str]]
    _feeds: Feeds | None = None
    _before: tuple[Bound, ...] = ()
    _versions: Mapping[str, str] = field(default_factory=dict)
    _looked: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def begin(self) -> None:
        """Begin, if the tables are there."""
        with self._lock:
            if self._feeds is None and all(name in self.lake for name in self.tables):
                self._open()

    def landed(self, table: str, rows: pa.RecordBatch) -> None:
        """Take rows that are durable in the lake."""
        if self._feeds is None and not self._before:
            self.begin()
        else:
            self._follow()
        feeds = self._feeds
        if feeds is not None:
            feeds.landed(table, rows)

    def stop(self) -> None:
        """Bring in what has landed, and end."""
        if self._feeds is not None:
            self._feeds.stop()

    def _follow(self) -> None:
        """Feed views that somebody has switched by the definitions that they have now; looked at once a second.

        Where store or lake fail, streams go on, and the next rows that land try again.
        """
        with self._lock:
            if time.monotonic() - self._looked < _SELDOM:
                return
            self._looked = time.monotonic()
            with suppress(StoreError, SourceError):
                if self._feeds is None or self.held() != self._versions:
                    self._end()
                    self._open()

    def _end(self) -> None:
        if self._feeds is not None:
            feeds, self._feeds = self._feeds, None
            self._before = feeds.bounds or self._before
            with suppress(FailedError):  # what it did not bring in is in the lake
                feeds.stop()

    def _open(self) -> None:
        for left in reversed(range(_TRIES)):
            held, feeds = self.held(), self.opened(self._before)
            try:
                feeds.start()
            except SourceError as error:
                if error.code != "LAKE_REMADE" or not left:
                    raise  # else a run has built a derived table by other SQL since the definitions were read
            else:
                self._feeds, self._versions, self._looked = feeds, held, time.monotonic()
                return
