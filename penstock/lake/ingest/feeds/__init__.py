"""Feeds: one table of any source as a stream of record batches from one moment."""

from __future__ import annotations

from penstock.lake.ingest.feeds.feed import REJECTED, Bound, Feed, FeedColumn, Wanted, named
from penstock.lake.ingest.feeds.opening import open_feed

__all__ = ["REJECTED", "Bound", "Feed", "FeedColumn", "Wanted", "named", "open_feed"]
