"""What a sweep is asked and what it gives: events and rows by key, requests, and results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

Array: TypeAlias = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Segments:
    """The events of K keys: key ``k`` has ``[event_starts[k], event_starts[k + 1])``, sorted by (happened, tie).

    ``happened`` is int64 microseconds. An event shows at a cutoff t if ``visible_from <= t < visible_until``; without
    ``visible_from`` it shows from when it happened, without ``visible_until`` for ever. ``visible_from`` is never
    before ``happened``.
    """

    event_starts: Array
    happened: Array
    visible_from: Array | None = None
    visible_until: Array | None = None


@dataclass(frozen=True)
class Spine:
    """The rows of K keys: key ``k`` has ``[spine_starts[k], spine_starts[k + 1])``; ``cutoff`` ascends in a key."""

    spine_starts: Array
    cutoff: Array


@dataclass(frozen=True)
class Request:
    """An aggregate (by its name in PQL) over one of the windows.

    ``column`` has a value an event: float64 (NaN and infinities are NULL), int32 codes that are ordered as their values
    (-1 is NULL), or bool (False is NULL; where only the place of a value matters). None takes every event.
    COUNT, FIRST, LAST, LAST_N, TIME_SINCE and GAP take any column; COUNT_DISTINCT, MODE, ENTROPY and LIST_DISTINCT take
    codes; the rest take floats. ``n`` belongs to LAST_N.
    """

    function: str
    window_index: int
    column: Array | None = None
    n: int | None = None


@dataclass(frozen=True)
class Asked:
    """As `Request`, but that the column is told by its place among some columns."""

    function: str
    window: int
    column: int | None = None
    n: int | None = None


@dataclass(frozen=True)
class Ragged:
    """A list a row: row ``i`` has ``codes[offsets[i]:offsets[i + 1]]``, ascending."""

    offsets: Array
    codes: Array


Result: TypeAlias = Array | Ragged
"""A value a spine row.

===================================== ==================================================================
COUNT, COUNT_DISTINCT                 int64
SUM                                   float64, 0 of nothing; whole sums up to 2**53 are exact
AVG VAR STDDEV MIN MAX MEDIAN TREND   float64, NaN for NULL
ENTROPY                               float64 (nats), NaN for NULL
GAP                                   float64 (days), NaN for NULL
MODE                                  int32, a code; -1 for NULL
FIRST LAST LAST_N                     int64, the index of an event; -1 for NULL
TIME_SINCE                            int64, microseconds from the last event to the cutoff; -1 for NULL
LIST_DISTINCT                         `Ragged` int32 codes
===================================== ==================================================================
"""
