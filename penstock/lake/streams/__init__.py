"""Streams into lake tables: rows are readable within moments, each once, and become versions a little later.

A message goes through four hands: a *reader* (one a broker) gives it with its place; the *writer* parses and fits it
and appends it to the table's *tail*, a log beside the table that is durable and readable at once; every few seconds
the tail's oldest segment becomes one version. Places are kept with the rows, in the tail and in the version's facts,
never in the broker, so that rows and places cannot disagree. `read_now` gives table and tail as one.
"""

from __future__ import annotations

from penstock.lake.streams.message import DeadLetter, Message, Reader, Tally
from penstock.lake.streams.opening import open_stream
from penstock.lake.streams.readable import Now, TailedTable, read_now
from penstock.lake.streams.running import run_streams, stopping_on_signals
from penstock.lake.streams.stream import Limits, Stream, StreamStatus
from penstock.lake.streams.writing import Landed, TableWriter, open_writer

__all__ = [
    "DeadLetter",
    "Landed",
    "Limits",
    "Message",
    "Now",
    "Reader",
    "Stream",
    "StreamStatus",
    "TableWriter",
    "TailedTable",
    "Tally",
    "open_stream",
    "open_writer",
    "read_now",
    "run_streams",
    "stopping_on_signals",
]
