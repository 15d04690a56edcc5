"""What bounds a landing and what is said beforehand about the files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@dataclass(frozen=True, slots=True)
class LandingSettings:
    """How files are landed. Sizes are bytes, times microseconds since 1970 UTC.

    ``types`` names columns whose type is known beforehand: what does not fit is rejected instead of making the column
    text. ``longest_row``: a longer row is rejected unread. ``most_unpacked`` and ``most_growth``: a packed file that
    becomes larger, or more times larger once past ``free_growth``, is refused. ``most_rejected``: the share of a
    file's rows that may be rejected before the file is refused; ``few_rejected`` rows always may. ``day_first`` and
    ``decimal_comma`` settle dates such as 03/04/2024 and numbers such as 1,500; None lets all values of the file say.
    With ``now``, instants after it are counted in a note, and with ``ahead`` those further ahead than that are
    rejected; ``clocks`` are the columns that this looks at (empty: all instants).
    """

    types: Mapping[str, pa.DataType] = field(default_factory=dict)
    encoding: str | None = None
    separator: str | None = None
    day_first: bool | None = None
    decimal_comma: bool | None = None
    longest_row: int = 16 << 20
    chunk: int = 4 << 20
    most_unpacked: int = 1 << 42
    most_growth: int = 400
    free_growth: int = 1 << 30
    most_rejected: float = 0.1
    few_rejected: int = 100
    most_rejects_kept: int = 1_000_000
    now: Callable[[], int] | None = None
    ahead: int | None = None
    clocks: tuple[str, ...] = ()
    threads: int = field(default_factory=_cores)
