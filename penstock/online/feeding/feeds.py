"""Several feeds of one store: while definitions change, views are held by those of different moments."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass

import pyarrow as pa

from penstock.features.views.bound import Bound
from penstock.online.feeding.feed import Feed, Way


@dataclass(frozen=True)
class Feeds:
    """Feeds of which each takes rows for views of its own; all is as with one `Feed`."""

    feeds: Sequence[Feed]

    @property
    def bounds(self) -> tuple[Bound, ...]:
        """The definitions that views are fed by."""
        return tuple(feed.bound for feed in self.feeds)

    def start(self, tables: Collection[str] = ()) -> None:
        """Begin with all of them, or with none: see `Feed.start`."""
        with ExitStack() as begun:
            for feed in self.feeds:
                feed.start(tables)
                begun.callback(feed.stop)
            begun.pop_all()

    def landed(self, table: str, rows: pa.RecordBatch, way: Way = "both") -> None:
        """Take rows: see `Feed.landed`."""
        for feed in self.feeds:
            feed.landed(table, rows, way)

    def settle(self, seconds: float | None = None, *, others: bool = True) -> bool:
        """Wait until all is in: see `Feed.settle`."""
        end = None if seconds is None else time.monotonic() + seconds
        left = (None if end is None else max(end - time.monotonic(), 0.0) for _ in self.feeds)
        return all(feed.settle(wait, others=others) for feed, wait in zip(self.feeds, left, strict=True))

    def stop(self) -> None:
        """Bring in what has landed, and end: see `Feed.stop`."""
        with ExitStack() as ending:
            for feed in self.feeds:
                ending.callback(feed.stop)
