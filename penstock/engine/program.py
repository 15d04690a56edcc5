"""A sweep prepared once and asked again and again: the same windows and requests, few keys, one cutoff a key.

That is what serving asks. It answers what `sweep` answers, to the bit, without finding out anew what there is to do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from penstock.engine.segments import Array, Asked, Request, Result, Segments, Spine
from penstock.engine.sweep import sweep
from penstock.window import Window


@dataclass(frozen=True)
class Program:
    """What is asked of one stream, prepared. Threads may share it."""

    windows: tuple[Window | None, ...]
    asked: tuple[Asked, ...]
    counted: tuple[tuple[int, int], ...]

    @classmethod
    def of(
        cls, windows: Sequence[Window | None], asked: Sequence[Asked], counted: Mapping[int, int] | None = None
    ) -> Program:
        """The program that answers ``asked`` over ``windows`` (None: every event up to the cutoff).

        ``counted`` tells for a window of rows the column (of bools) that flags the events it counts; without, it
        counts all.
        """
        return cls(tuple(windows), tuple(asked), tuple((counted or {}).items()))

    def run(
        self,
        event_starts: Array,
        happened: Array,
        shown_from: Array | None,
        shown_until: Array | None,
        columns: Sequence[Array],
        cutoff: int | Array,
    ) -> list[Result]:
        """Each request's values (see `Result`), one a key.

        Events are as in `Segments`; ``columns`` have an entry an event, as in `Request`. ``cutoff`` is an instant for
        all keys, or one a key.
        """
        keys = len(event_starts) - 1
        cutoffs = np.broadcast_to(np.asarray(cutoff, np.int64), keys)
        requests = [
            Request(a.function, a.window, None if a.column is None else columns[a.column], a.n) for a in self.asked
        ]
        flags = {window: columns[column] for window, column in self.counted}
        segments = Segments(event_starts, happened, shown_from, shown_until)
        return sweep(segments, Spine(np.arange(keys + 1), cutoffs), self.windows, requests, counted=flags)


__all__ = ["Asked", "Program"]
