"""Aggregates of one stream of events for many (key, cutoff) rows: all windows and columns in one walk over the keys.

Events are sorted by (key, happened, tie) and spine rows by (key, cutoff), so that a window's ends only move forward.
Keys are split into chunks of about equal work; each finds the ranges of its rows once a window, and every kernel reads
them. A key is worked out alone: neither chunks nor threads change a bit of the result.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TypeVar

import numpy as np

from penstock.engine.jobs import Job, Jobs, Outs
from penstock.engine.kernels.compiled import frozen
from penstock.engine.pieces import chunks, pieces
from penstock.engine.segments import Array, Asked, Ragged, Request, Result, Segments, Spine
from penstock.window import END, Window

T = TypeVar("T")

_NO_FLAGS: Mapping[int, Array] = MappingProxyType({})


def sweep(
    segments: Segments,
    spine: Spine,
    windows: Sequence[Window | None],
    requests: Sequence[Request],
    threads: int = 1,
    lookahead: bool = False,
    counted: Mapping[int, Array] = _NO_FLAGS,
) -> list[Result]:
    """Each request's values (see `Result`), in the spine's order. A window None takes every event up to the cutoff.

    A window of rows counts events, those alone that ``counted`` flags where it has the window's number.
    ``lookahead`` is for labels, which are about what turned out true: they see the events that were never superseded,
    whenever those became known. Costs O((events + rows) * windows), a logarithm more for MEDIAN.
    """
    if lookahead:
        return _sweep_final(segments, spine, windows, requests, threads)
    segments, spine = _frozen(segments), Spine(_ints(spine.spine_starts), _ints(spine.cutoff))
    columns, asked = _by_place(requests)
    jobs = Jobs.of(tuple(asked), len(windows))
    outs = jobs.outs(len(spine.cutoff))
    flags = {number: frozen(np.asarray(flag, np.bool_)) for number, flag in counted.items()}
    tasks = [(job, job.takes(None if job.column is None else columns[job.column])) for job in jobs.jobs]
    work = partial(_work, segments, spine, windows, flags, tasks, outs)
    _spread(work, chunks(segments.event_starts, spine.spine_starts), threads)
    return jobs.results(outs)


def _by_place(requests: Sequence[Request]) -> tuple[list[Array], list[Asked]]:
    """The different columns (those of the same memory are the same), and the requests by their places."""
    places: dict[object, int] = {}
    columns: list[Array] = []
    asked: list[Asked] = []
    for request in requests:
        column = request.column
        if column is not None:
            what = (column.__array_interface__["data"][0], column.strides, column.dtype.str, len(column))
            place = places.setdefault(what, len(columns))
            if place == len(columns):
                columns.append(column)
        asked.append(Asked(request.function, request.window_index, None if column is None else place, request.n))
    return columns, asked


def _work(
    segments: Segments,
    spine: Spine,
    windows: Sequence[Window | None],
    counted: Mapping[int, Array],
    tasks: Sequence[tuple[Job, Array]],
    outs: Outs,
    keys: tuple[int, int],
) -> None:
    """Work out the rows of a run of keys."""
    for piece in pieces(segments, spine, *keys):
        walk = piece.walk(windows, spine.cutoff, counted)
        for job, values in tasks:
            job.run(piece, walk, spine.cutoff, piece.read(values), outs)


def _spread(work: Callable[[T], None], items: Sequence[T], threads: int) -> None:
    """Do the work for each item, on threads where there is enough of it."""
    if threads == 1 or len(items) < 2:
        for item in items:
            work(item)
        return
    with ThreadPoolExecutor(threads) as pool:
        for _ in pool.map(work, items):
            pass


def _sweep_final(
    segments: Segments, spine: Spine, windows: Sequence[Window | None], requests: Sequence[Request], threads: int
) -> list[Result]:
    """A sweep over the events that were never superseded, by when they happened alone."""
    if segments.visible_until is None or (segments.visible_until == END).all():
        return sweep(Segments(segments.event_starts, segments.happened), spine, windows, requests, threads)
    kept = segments.visible_until == END
    events = np.flatnonzero(kept)
    starts = np.append(0, np.cumsum(kept))[segments.event_starts]
    columns = {id(r.column): r.column[events] for r in requests if r.column is not None}
    asked = [replace(r, column=columns.get(id(r.column))) for r in requests]
    results = sweep(Segments(starts, segments.happened[events]), spine, windows, asked, threads)
    return [_back(result, request, events) for result, request in zip(results, requests, strict=True)]


def _back(result: Result, request: Request, events: Array) -> Result:
    """Places among the events kept as places among all events."""
    if isinstance(result, Ragged) or request.function not in {"FIRST", "LAST", "LAST_N"}:
        return result
    found = np.full_like(result, -1)
    found[result >= 0] = events[result[result >= 0]]
    return found


def _frozen(segments: Segments) -> Segments:
    clocks = [None if clock is None else _ints(clock) for clock in (segments.visible_from, segments.visible_until)]
    return Segments(_ints(segments.event_starts), _ints(segments.happened), *clocks)


def _ints(array: Array) -> Array:
    return frozen(np.asarray(array, np.int64))


__all__ = ["Ragged", "Request", "Result", "Segments", "Spine", "sweep"]
