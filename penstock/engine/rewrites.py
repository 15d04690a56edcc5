"""What makes a plan cheaper and changes no value: one small function a rule."""

from __future__ import annotations

from dataclasses import replace

from penstock.plan import Node, Stream, Sweep


def merge_sweeps(steps: list[Node]) -> list[Node]:
    """Sweeps in a row along one path become one sweep over all its rows; filters become columns of it.

    The rows are then joined and sorted once, however many filters are asked about.
    """
    merged: list[Node] = []
    for step in steps:
        place = _same_path(step, merged)
        if place is None:
            merged.append(step)
        else:
            merged[place] = _both(merged[place], step)
    return merged


def _same_path(step: Node, before: list[Node]) -> int | None:
    """The place of a sweep along the step's path in the run of sweeps just before it."""
    for place in range(len(before) - 1, -1, -1):
        other = before[place]
        if not isinstance(step, Sweep) or not isinstance(other, Sweep):
            return None
        if _path(step.stream) == _path(other.stream):
            return place
    return None


def _both(first: Node, second: Node) -> Sweep:
    assert isinstance(first, Sweep)
    assert isinstance(second, Sweep)
    where = first.stream.where if first.stream.where == second.stream.where else None
    aggregates = dict.fromkeys([*first.aggregates, *second.aggregates])
    return Sweep(replace(first.stream, where=where), tuple(aggregates), child=first.child)


def _path(stream: Stream) -> object:
    return stream.root, stream.hops, stream.anchor
