"""Scratch arrays that a thread keeps from one call to the next, for to allocate them costs more than a small call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

Arrays: TypeAlias = tuple[np.ndarray[Any, Any], ...]

KEPT = 1 << 16
"""Rooms for more events than these are not kept."""

_HELD = threading.local()


def room(make: Callable[[int], Arrays], events: int) -> Arrays:
    """What ``make`` makes for this many events or up to twice as many, with whatever the last user left in it.

    >>> rooms = [room(lambda events: (np.empty(events),), 3)]
    >>> len(rooms[0][0])
    4
    """
    if events > KEPT:
        return make(events)
    size = events.bit_length()
    held = _HELD.__dict__
    found: Arrays | None = held.get((make, size))
    if found is None:
        found = held[make, size] = make(1 << size)
    return found
