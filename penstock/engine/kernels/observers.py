"""What one observer sees: a run of a key's spine rows for whom rows appear only in the order in which they happened.

Where a row became known late, or was superseded, a key is watched by several observers one after the other; for each
of them the events that show are a prefix again, and the other kernels need not know.
"""

from __future__ import annotations

from typing import Any

from penstock.engine.kernels.compiled import INT, INTS, OUT_FLAGS, OUT_INTS, kernel, step
from penstock.engine.kernels.sorting import sort_first
from penstock.window import END


@step
def _breaks(visible_from: Any, visible_until: Any, first: int, last: int, instants: Any) -> int:
    """Fill the instants, ascending, at which an event appears before one that shows already, or vanishes; how many."""
    count, earliest = 0, END
    for event in range(last - 1, first - 1, -1):
        if visible_until[event] < END:
            instants[count] = visible_until[event]
            count += 1
        if visible_from[event] > earliest:
            instants[count] = visible_from[event]
            count += 1
        earliest = min(earliest, visible_from[event])
    sort_first(instants, count)
    return count


@kernel(INT, INT, INTS, INTS, INTS, INTS, INTS, OUT_INTS, OUT_FLAGS)
def observers(
    first_key: int, last_key: int, event_starts: Any, spine_starts: Any, cutoff: Any,
    visible_from: Any, visible_until: Any, instants: Any, starts: Any,
) -> None:  # fmt: skip
    """``starts[row]`` (of these keys' rows alone): whether the row begins a new observer.

    ``instants`` has room for two an event.
    """
    base = spine_starts[first_key]
    for key in range(first_key, last_key):
        rows = range(spine_starts[key], spine_starts[key + 1])
        if len(rows) == 0:
            continue
        count = _breaks(visible_from, visible_until, event_starts[key], event_starts[key + 1], instants)
        passed = 0
        for row in rows:
            before = passed
            while passed < count and instants[passed] <= cutoff[row]:
                passed += 1
            starts[row - base] = row == spine_starts[key] or passed > before


@step
def _seen(event: int, start: int, stop: int, visible_from: Any, visible_until: Any) -> bool:
    return bool(visible_from[event] <= stop and visible_until[event] > start)


@kernel(INT, INTS, INTS, INTS, INTS, INTS, INTS, OUT_INTS)
def count_seen(
    number: int, keys: Any, event_starts: Any, start: Any, stop: Any, visible_from: Any, visible_until: Any, out: Any
) -> None:
    """How many events each observer (of key, first and last cutoff) sees."""
    for observer in range(number):
        out[observer] = 0
        for event in range(event_starts[keys[observer]], event_starts[keys[observer] + 1]):
            out[observer] += _seen(event, start[observer], stop[observer], visible_from, visible_until)


@kernel(INT, INTS, INTS, INTS, INTS, INTS, INTS, OUT_INTS, OUT_INTS)
def gather_seen(
    number: int, keys: Any, event_starts: Any, start: Any, stop: Any, visible_from: Any, visible_until: Any,
    events: Any, shown: Any,
) -> None:  # fmt: skip
    """The events that each observer sees, one observer after the other, and from when it sees them."""
    at = 0
    for observer in range(number):
        for event in range(event_starts[keys[observer]], event_starts[keys[observer] + 1]):
            if _seen(event, start[observer], stop[observer], visible_from, visible_until):
                events[at] = event
                shown[at] = max(visible_from[event], start[observer])
                at += 1


@kernel(INTS, INTS, INTS, INTS, OUT_INTS, OUT_INTS)
def gather_shown(
    event_starts: Any, visible_from: Any, visible_until: Any, cutoff: Any, events: Any, starts: Any
) -> None:
    """The events that show to keys of one row each, and where each key's begin among these.

    ``cutoff`` has an entry a key, or one for all; without clocks (empty ones) events show.
    """
    at = 0
    starts[0] = 0
    for key in range(len(event_starts) - 1):
        instant = cutoff[key] if len(cutoff) > 1 else cutoff[0]
        for event in range(event_starts[key], event_starts[key + 1]):
            known = len(visible_from) == 0 or visible_from[event] <= instant
            if known and (len(visible_until) == 0 or visible_until[event] > instant):
                events[at] = event
                at += 1
        starts[key + 1] = at
