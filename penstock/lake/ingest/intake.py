"""What is to be ingested, and what came of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

from penstock.errors import SchemaError
from penstock.lake.landing import LandingSettings

Mode: TypeAlias = Literal["full", "incremental", "compare"]
Progress: TypeAlias = Callable[[str, float], None]
MODES = ("full", "incremental", "compare")
_SECOND = 1_000_000


@dataclass(frozen=True)
class Intake:
    """One table of a source, and how it becomes a table of the lake.

    ``source`` is a URL, a path, or a mapping of names to Arrow tables, complete with its secrets. ``mode``: *full* and
    *compare* read all rows and write those that differ (a row of the lake that is gone from the source gets a
    tombstone, unless it came by a stream and the source has yet to show it); *incremental* reads the rows whose
    ``watermark`` (or growing primary key, where none is named) is not below the greatest one seen, less ``overlap``.
    ``key`` defaults to the declared primary key. ``happened`` is the column of the event's time, ``known`` the source's
    own column that says when a row was known. ``renames`` maps our names of columns to the source's; all other names
    here are ours. ``columns`` are those that are read (default: all), ``links`` maps columns to the tables whose key
    they hold.

    ``overlap`` is in seconds for times (default 15 minutes) and in units for numbers (default 1,000): rows that were
    committed late at the source are found while they lie within. Rows whose watermark is NULL are read every time.
    ``allowance`` is how many seconds an instant of ``happened``, ``watermark`` or ``known`` may lie in the future
    before it is noted, or with ``refuse_future`` rejected.
    """

    table: str
    source: object = field(repr=False)
    source_table: str = ""
    mode: Mode = "full"
    key: tuple[str, ...] = ()
    watermark: str | None = None
    happened: str | None = None
    known: str | None = None
    renames: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[str, ...] | None = None
    links: Mapping[str, str] = field(default_factory=dict)
    overlap: float | None = None
    allowance: float = 86_400
    refuse_future: bool = False
    landing: LandingSettings | None = None

    @property
    def origin(self) -> str:
        """The table's name at the source."""
        return self.source_table or self.table

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            message = f"{self.table}: {self.mode!r} is no way to ingest"
            raise SchemaError("INGEST_MODE", message, name=self.mode, candidates=MODES)


@dataclass(frozen=True)
class Ingested:
    """What came of reading a table once.

    ``read`` counts the rows that came, ``rejected`` those of them that went into quarantine. ``version`` is the
    table's newest version afterwards (0: none yet) and ``batch`` the name of this commit, empty where nothing differed.
    """

    table: str
    version: int
    read: int = 0
    added: int = 0
    changed: int = 0
    deleted: int = 0
    rejected: int = 0
    batch: str = ""
    notes: tuple[str, ...] = ()


def quiet(_message: str, _share: float) -> None:
    """No progress is shown."""


def clock() -> int:
    """Now, in microseconds since 1970 UTC."""
    return time.time_ns() // 1000


def seconds(value: float) -> int:
    """Seconds as microseconds."""
    return round(value * _SECOND)
