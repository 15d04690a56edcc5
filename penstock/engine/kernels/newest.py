"""The newest event that each row sees."""

from __future__ import annotations

from typing import Any

from penstock.engine.kernels.compiled import INTS, OUT_INTS, kernel, step


@step
def _rise(heap: Any, size: int) -> None:
    """Let the last of a heap's events rise to where it belongs: later ones lie above."""
    child = size - 1
    while child > 0 and heap[(child - 1) // 2] < heap[child]:
        parent = (child - 1) // 2
        heap[parent], heap[child] = heap[child], heap[parent]
        child = parent


@step
def _sink(heap: Any, size: int) -> None:
    """Let the first of a heap's events sink to where it belongs."""
    parent = 0
    while 2 * parent + 1 < size:
        child = 2 * parent + 1
        if child + 1 < size and heap[child + 1] > heap[child]:
            child += 1
        if heap[child] <= heap[parent]:
            return
        heap[parent], heap[child] = heap[child], heap[parent]
        parent = child


@kernel(INTS, INTS, INTS, INTS, INTS, INTS, OUT_INTS, OUT_INTS)
def newest(
    event_starts: Any, spine_starts: Any, shown_from: Any, shown_until: Any, arrivals: Any, cutoff: Any,
    heap: Any, found: Any,
) -> None:  # fmt: skip
    """For each row the last of its key's events that shows at the cutoff, -1 for none.

    ``arrivals`` has each key's events by when they begin to show (empty: they stand so), ``shown_until`` is empty where
    all show for ever. ``heap`` has room for the events of any key. Costs the logarithm of a key's events for each of
    them that is superseded, and a step for every other.
    """
    lasting = len(shown_until) == 0
    for key in range(len(event_starts) - 1):
        at, last, size = event_starts[key], event_starts[key + 1], 0
        for row in range(spine_starts[key], spine_starts[key + 1]):
            while at < last:
                event = arrivals[at] if len(arrivals) > 0 else at
                if shown_from[event] > cutoff[row]:
                    break
                at += 1
                if size > 0 and event > heap[0] and (lasting or shown_until[event] >= shown_until[heap[0]]):
                    heap[0] = event
                elif size == 0 or not lasting:
                    heap[size] = event
                    size += 1
                    _rise(heap, size)
            while size > 0 and not lasting and shown_until[heap[0]] <= cutoff[row]:
                size -= 1
                heap[0] = heap[size]
                _sink(heap, size)
            found[row] = heap[0] if size > 0 else -1
