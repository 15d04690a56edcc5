"""Codes of one key as small numbers: 0, 1, 2 … in the order of the codes, so that tables fit the key."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import Array, step
from penstock.engine.kernels.sorting import sort_first

_FREE = -1


@step
def _size_for(events: int) -> int:
    size = 8
    while size < 2 * events:
        size *= 2
    return size


def numbering(events: int) -> tuple[Array, Array, Array]:
    """Room for a key of this many events: a hash table of (code, number), its different codes, its local numbers."""
    return np.empty((8 + 4 * events, 2), np.int32), np.empty(events, np.int32), np.empty(events, np.int32)


@step
def _slot(table: Any, size: int, code: int) -> int:
    """Where the code is, or would be, in the first ``size`` (a power of two) entries."""
    place = ((code * 2654435769) >> 7) & (size - 1)
    while table[place, 0] != _FREE and table[place, 0] != code:
        place = (place + 1) & (size - 1)
    return place


@step
def compact(codes: Any, first: int, last: int, table: Any, different: Any, local: Any) -> int:
    """Number a key's codes: fill ``different`` (ascending) and each event's ``local`` number (-1 for NULL).

    Returns how many different codes there are.
    """
    size, count = _size_for(last - first), 0
    for place in range(size):
        table[place, 0] = _FREE
    for event in range(first, last):
        code, place = codes[event], -1
        if code >= 0:
            place = _slot(table, size, code)
            if table[place, 0] == _FREE:
                table[place, 0] = code
                different[count] = code
                count += 1
        local[event - first] = place
    sort_first(different, count)
    for number in range(count):
        table[_slot(table, size, different[number]), 1] = number
    for event in range(last - first):
        place = local[event]
        if place >= 0:
            local[event] = table[place, 1]
    return count
