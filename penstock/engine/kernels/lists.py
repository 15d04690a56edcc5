"""LIST_DISTINCT: the different codes of each row's window, ascending."""

from __future__ import annotations

from typing import Any

import numpy as np

from penstock.engine.kernels.compiled import (
    CODES,
    INT,
    INTS,
    OUT_CODES,
    OUT_CODES_2,
    WALK,
    Array,
    Walk,
    kernel,
    step,
)  # fmt: skip
from penstock.engine.kernels.local import compact, numbering
from penstock.engine.kernels.rooms import Arrays, room
from penstock.engine.kernels.sorting import fill

_BLOCK = 64


@step
def _turn(code: int, by: int, counts: Any, blocks: Any) -> None:
    """Let an event in or out; ``blocks`` counts the codes in the window out of each 64."""
    old = counts[code]
    counts[code] = old + by
    blocks[code // _BLOCK] += (old == 0) - (old + by == 0)


@step
def _list(counts: Any, blocks: Any, codes: int, different: Any, at: int, out: Any) -> None:
    """Write the codes in the window from place ``at`` on; blocks without one are passed over."""
    for block in range((codes + _BLOCK - 1) // _BLOCK):
        if blocks[block] > 0:
            for code in range(block * _BLOCK, min(codes, (block + 1) * _BLOCK)):
                if counts[code] > 0:
                    out[at] = different[code]
                    at += 1


@step
def _clear(counts: Any, blocks: Any, codes: int) -> None:
    fill(counts, codes, 0)
    fill(blocks, codes // _BLOCK + 1, 0)


@kernel(WALK, INT, CODES, INTS, OUT_CODES_2, OUT_CODES, OUT_CODES, OUT_CODES, OUT_CODES, OUT_CODES)
def _lists(
    walk: Any, window: int, codes: Any, offsets: Any, table: Any, different: Any, local: Any, counts: Any, blocks: Any,
    out: Any,
) -> None:  # fmt: skip
    base = walk.spine_starts[walk.first_key]
    for key in range(walk.first_key, walk.last_key):
        rows = range(walk.spine_starts[key] - base, walk.spine_starts[key + 1] - base)
        if len(rows) == 0:
            continue
        number = compact(codes, walk.event_starts[key], walk.event_starts[key + 1], table, different, local)
        left = at = 0
        _clear(counts, blocks, number)
        for row in rows:
            start, stop = walk.begin[window, row], walk.end[window, row]
            if start > at or start < left or stop < at:  # a gap, or a calendar month moved back: start anew
                _clear(counts, blocks, number)
                left = at = start
            for turn in range(left - start, stop - at):  # those in [left, start) leave, those in [at, stop) enter
                code = local[at + turn if turn >= 0 else start + turn]
                if code >= 0:
                    _turn(code, 1 if turn >= 0 else -1, counts, blocks)
            left, at = start, stop
            _list(counts, blocks, number, different, offsets[row], out)


def lists(walk: Walk, window: int, codes: Array, offsets: Array, out: Array) -> None:
    """Write each row's list from ``offsets[row]`` (of these rows alone) on; COUNT_DISTINCT says how long lists are."""
    table, different, local, counts, blocks = room(_room, walk.longest)
    _lists(walk, window, codes, offsets, table, different, local, counts, blocks, out)


def _room(events: int) -> Arrays:
    return *numbering(events), np.empty(events, np.int32), np.empty(events // _BLOCK + 1, np.int32)
