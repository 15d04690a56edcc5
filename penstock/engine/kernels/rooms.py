"""Scratch arrays that a thread keeps from one call to the next, for to allocate them costs more than a small call."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

Arrays: TypeAlias = tuple[np.ndarray[Any, Any], ...]

KEPT = 1 << 16
"""Rooms for more events than these are not kept."""


class _Held(threading.local):
    """A thread's own rooms, by who makes them and the logarithm of their size."""

    def __init__(self) -> None:
        self.kept: dict[tuple[Callable[[int], Arrays], int], Arrays] = {}


_HELD = _Held()


def room(make: Callable[[int], Arrays], events: int) -> Arrays:
    """What ``make`` makes for this many events or up to twice as many, with whatever the last user left in it.

    >>> rooms = [room(lambda events: (np.empty(events),), 3)]
    >>> len(rooms[0][0])
    4
    """
    if events > KEPT:
        return make(events)
    kept = _HELD.kept
    size = make, events.bit_length()
    if size not in kept:
        kept[size] = make(1 << size[1])
    return kept[size]
