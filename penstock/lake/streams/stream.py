"""What a user says of a stream, and how it is doing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

Format = Literal["json", "arrow"]
State = Literal["starting", "reading", "paused", "lost", "stopped", "failed"]


@dataclass(frozen=True)
class Limits:
    """How much is held where: messages a read, rows in the tail, keys remembered, columns, what flushes a segment.

    A segment is flushed once it holds ``segment_rows`` rows or is ``segment_seconds`` old; reading pauses while the
    tail holds more than ``tail_rows`` rows. Repeats of a key's newest content are noticed among the newest
    ``keys`` keys.
    """

    read: int = 2_000
    wait: float = 0.05
    tail_rows: int = 500_000
    segment_rows: int = 100_000
    segment_seconds: float = 5.0
    keys: int = 200_000
    columns: int = 1_000
    request_bytes: int = 8 << 20
    requests: int = 256


USUAL = Limits()


@dataclass(frozen=True)
class Stream:
    """A stream of messages and the lake table that they become rows of.

    ``url`` says where it is (`penstock.lake.streams.open_stream`); ``key`` names the columns that tell rows apart
    (none: each message is a row of its own), ``happened`` the column that says when, ``known`` one by which the source
    says when a row was known (none: when it comes). ``schema`` fixes columns and types; without one the first messages
    do.
    """

    name: str
    url: str = field(repr=False)
    table: str
    key: tuple[str, ...] = ()
    happened: str | None = None
    format: Format = "json"
    schema: pa.Schema | None = None
    links: Mapping[str, str] | None = None
    limits: Limits = USUAL
    known: str | None = None


@dataclass(frozen=True)
class StreamStatus:
    """Counters of one stream since it was started, and what it does now.

    ``read`` counts messages; ``written``, ``duplicates`` and ``dead`` count rows; ``lag`` is how many messages wait at
    the broker (None: it does not say); ``tail`` how many rows wait for a version;
    ``note`` why it waits, or what is odd.
    """

    name: str
    table: str
    state: State = "starting"
    read: int = 0
    written: int = 0
    duplicates: int = 0
    dead: int = 0
    lag: int | None = None
    tail: int = 0
    flushed: int = 0
    note: str = ""

    def __str__(self) -> str:
        lag = "" if self.lag is None else f", {self.lag} behind"
        counted = f"{self.read} read, {self.written} written, {self.duplicates} repeated, {self.dead} dead{lag}"
        return f"{self.name} → {self.table}: {self.state}, {counted}" + (f" ({self.note})" if self.note else "")
