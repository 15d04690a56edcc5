"""Rows that stream in, brought into the store within moments: in place where that is surely right, else made again.

`Feed` listens to the streams. A batch is read by the engine as if it were all that its table holds (`arrivals`). Rows
of keys that were never seen (`rowkeys`) are put where they belong among what is kept (`merging`). Updates, deletions,
ties and whatever rests on more than a row of its own are made again from lake and tail, as `penstock.online.sync` does
(`remaking`).
"""

from __future__ import annotations

from penstock.online.feeding.feed import Feed, FeedStatus
from penstock.online.feeding.feeds import Feeds

__all__ = ["Feed", "FeedStatus", "Feeds"]
