"""MODE: the most frequent code in the window, the smallest of those in a draw.

With few codes the winner is kept until it loses an event; then all are compared anew. With many codes they play a
tournament, of which a change replays the matches above it, as far up as the winner changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import (
    CODES,
    OUT_CODES,
    OUT_CODES_2,
    SLOTS,
    WALK,
    Array,
    Walk,
    kernel,
    step,
)  # fmt: skip
from penstock.engine.kernels.local import compact, numbering
from penstock.engine.kernels.rooms import Arrays, room
from penstock.engine.kernels.sorting import fill

_FEW = 32


@step
def _best(counts: Any, codes: int) -> int:
    """The first code of the highest count."""
    best = 0
    for code in range(1, codes):
        if counts[code] > counts[best]:
            best = code
    return best


@step
def _of_few(
    walk: Any, window: int, rows: Any, local: Any, codes: int, counts: Any, different: Any, out: Any, slot: int
) -> None:
    """One window over the rows of one key with few codes."""
    base = walk.spine_starts[walk.first_key]
    left = at = best = 0
    fill(counts, codes, 0)
    for row in rows:
        start, stop = walk.begin[window, row - base], walk.end[window, row - base]
        if start > at or start < left or stop < at:  # a gap, or a calendar month moved back: start anew
            fill(counts, codes, 0)
            left = at = start
            best = 0
        lost = False
        for event in range(at, stop):
            code = local[event]
            if code >= 0:
                counts[code] += 1
                ahead = counts[code] - counts[best]
                if ahead > 0 or (ahead == 0 and code < best):
                    best = code
        for event in range(left, start):
            code = local[event]
            if code >= 0:
                counts[code] -= 1
                lost |= code == best
        if lost:
            best = _best(counts, codes)
        left, at = start, stop
        out[slot, row] = different[best] if codes > 0 and counts[best] > 0 else -1


@step
def leaves_for(codes: int) -> int:
    """The size of a tournament: a power of two, at least two."""
    size = 2
    while size < codes:
        size *= 2
    return size


@step
def _set_up(counts: Any, winners: Any, leaves: int) -> None:
    """A tournament in which nobody has scored: the smallest code of each match wins."""
    fill(counts, leaves, 0)
    for match in range(leaves - 1, 0, -1):
        winners[match] = 2 * match - leaves if 2 * match >= leaves else winners[2 * match]


@step
def _replay(counts: Any, winners: Any, leaves: int, code: int) -> None:
    """Play the matches above a code whose count changed. The smaller code wins a draw."""
    match = (leaves + code) >> 1
    winner = code & ~1
    if counts[winner + 1] > counts[winner]:
        winner += 1
    while winners[match] != winner or winner == code:
        winners[match] = winner
        if match == 1:
            return
        other = winners[match ^ 1]
        ahead = counts[other] - counts[winner]
        if ahead > 0 or (ahead == 0 and other < winner):
            winner = other
        match >>= 1


@step
def _of_many(
    walk: Any, window: int, rows: Any, local: Any, leaves: int, counts: Any, winners: Any, different: Any, out: Any,
    slot: int,
) -> None:  # fmt: skip
    """One window over the rows of one key with many codes."""
    base = walk.spine_starts[walk.first_key]
    left = at = 0
    _set_up(counts, winners, leaves)
    for row in rows:
        start, stop = walk.begin[window, row - base], walk.end[window, row - base]
        if start > at or start < left or stop < at:  # a gap, or a calendar month moved back: start anew
            _set_up(counts, winners, leaves)
            left = at = start
        for turn in range(left - start, stop - at):  # those in [left, start) leave, those in [at, stop) enter
            code = local[at + turn if turn >= 0 else start + turn]
            if code >= 0:
                counts[code] += 1 if turn >= 0 else -1
                _replay(counts, winners, leaves, code)
        left, at = start, stop
        out[slot, row] = different[winners[1]] if counts[winners[1]] > 0 else -1


@kernel(WALK, CODES, SLOTS, OUT_CODES_2, OUT_CODES, OUT_CODES, OUT_CODES, OUT_CODES, OUT_CODES_2)
def _modes(
    walk: Any, codes: Any, slots: Any, table: Any, different: Any, local: Any, counts: Any, winners: Any, out: Any
) -> None:
    for key in range(walk.first_key, walk.last_key):
        rows = range(walk.spine_starts[key], walk.spine_starts[key + 1])
        if len(rows) == 0:
            continue
        number = compact(codes, walk.event_starts[key], walk.event_starts[key + 1], table, different, local)
        for window in range(len(walk.begin)):
            slot = slots[0, window]
            if slot >= 0 and number <= _FEW:
                _of_few(walk, window, rows, local, number, counts, different, out, slot)
            elif slot >= 0:
                _of_many(walk, window, rows, local, leaves_for(number), counts, winners, different, out, slot)


def modes(walk: Walk, codes: Array, slots: Array, out: Array) -> None:
    """MODE (-1 of nothing). ``slots[0, window]`` is the row of ``out`` to write to, or -1."""
    table, different, local, counts, winners = room(_room, walk.longest)
    _modes(walk, codes, slots, table, different, local, counts, winners, out)


def _room(events: int) -> Arrays:
    counts, winners = np.empty((2, 2 + 2 * events), np.int32)
    return *numbering(events), counts, winners
