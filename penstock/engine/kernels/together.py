"""Places, sums and extremes of several columns of floats in one call, for where keys are small a call is what costs."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels import extremes, places, sums
from penstock.engine.kernels.compiled import (
    FLOATS_2,
    INTS,
    OUT_CODES,
    OUT_FLAGS,
    OUT_FLOATS,
    OUT_FLOATS_2,
    OUT_INTS_2,
    SLOTS,
    WALK,
    Array,
    Walk,
    kernel,
    step,
)
from penstock.engine.kernels.rooms import Arrays, room

SUMS, EXTREMES = 0, 4
"""Where among a column's rows of ``slots`` those of the kernels begin."""
ROWS = 6
"""How many rows of ``slots`` a column has."""


@step
def _flag(values: Any, valid: Any) -> bool:
    """Note which values are finite, and say whether all are."""
    every = True
    for event in range(len(values)):
        valid[event] = np.isfinite(values[event])
        every &= valid[event]
    return every


@step
def _asks(slots: Any, first: int, last: int) -> bool:
    """Whether any of some rows of slots is asked for."""
    for row in range(first, last):
        for window in range(slots.shape[1]):
            if slots[row, window] >= 0:
                return True
    return False


@kernel(
    WALK, FLOATS_2, INTS, INTS, SLOTS, INTS, SLOTS,
    OUT_FLAGS, OUT_CODES, OUT_CODES, OUT_FLOATS_2, OUT_CODES, OUT_FLOATS, OUT_FLOATS_2, OUT_INTS_2, OUT_FLOATS_2,
)  # fmt: skip
def _together(
    walk: Any, columns: Any, happened: Any, cutoff: Any, asked: Any, begins: Any, slots: Any,
    valid: Any, seen: Any, where: Any, running: Any, exponents: Any, signed: Any, table: Any, whole: Any, floats: Any,
) -> None:  # fmt: skip
    for column in range(len(columns)):
        values, first = columns[column], ROWS * column
        if begins[column] < begins[column + 1]:
            flags = valid[:0] if _flag(values, valid) else valid[: len(values)]
            mine = asked[begins[column] : begins[column + 1]]
            places.fill(walk, flags, happened, cutoff, mine, seen, where, whole)
        if _asks(slots, first, first + EXTREMES):
            sums.fill(walk, values, slots[first : first + EXTREMES], running, floats)
        if _asks(slots, first + EXTREMES, first + ROWS):
            extremes.fill(walk, values, slots[first + EXTREMES : first + ROWS], exponents, signed, table, floats)


def together(
    walk: Walk, columns: Array, happened: Array, cutoff: Array, asked: tuple[Array, Array], slots: Array,
    whole: Array, floats: Array,
) -> None:  # fmt: skip
    """What `places`, `sums` and `extremes` answer about columns, a row each.

    ``asked`` is the table of `places` for one column after the other, and where each one's part begins; ``slots`` has
    the rows of `sums` and then of `extremes` for one column after the other.
    """
    (valid,) = room(_room, len(happened))
    seen, where = room(places.room_for, walk.longest)
    (running,) = room(sums.room_for, walk.longest)
    exponents, signed, table = room(extremes.room_for, walk.longest)
    _together(
        walk, columns, happened, cutoff, asked[0], asked[1], slots,
        valid, seen, where, running, exponents, signed, table, whole, floats,
    )  # fmt: skip


def _room(events: int) -> Arrays:
    return (np.empty(events, np.bool_),)
