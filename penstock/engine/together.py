"""Jobs about columns of floats, taken together: what serving asks is many numbers of few columns and few events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from penstock.engine.jobs import Job, Numbers, Outs, Places, told
from penstock.engine.kernels import extremes, sums
from penstock.engine.kernels.compiled import Walk, frozen
from penstock.engine.kernels.together import EXTREMES, ROWS, SUMS, together
from penstock.engine.pieces import Piece
from penstock.engine.segments import Array

_PLACES = {sums.sums: SUMS, extremes.extremes: EXTREMES}


@dataclass(frozen=True)
class Together:
    """What `Places` and `Numbers` answer about some ``columns`` of floats, in one call of a kernel.

    ``asked``, ``begins`` and ``slots`` are as the kernel takes them; ``events`` as in `Places`.
    """

    columns: tuple[int, ...]
    asked: Array
    begins: Array
    slots: Array
    events: tuple[int, ...]

    @classmethod
    def of(cls, jobs: Sequence[Job], windows: int) -> tuple[Together | None, tuple[Job, ...]]:
        """What can be taken together of some jobs over so many windows (None: nothing), and the jobs that are left."""
        numbers = [job for job in jobs if isinstance(job, Numbers) and job.kernel in _PLACES]
        columns = tuple(dict.fromkeys(job.column for job in numbers if job.column is not None))
        if not columns:
            return None, tuple(jobs)
        places = {job.column: job for job in jobs if isinstance(job, Places) and job.column in columns}
        parts = [places[one].asked if one in places else np.empty((0, 4), np.int64) for one in columns]
        slots = np.full((ROWS * len(columns), windows), -1, np.int64)
        for job in numbers:
            first = ROWS * columns.index(job.column) + _PLACES[job.kernel]
            slots[first : first + len(job.slots)] = job.slots
        begins = np.cumsum([0, *map(len, parts)])
        events = tuple(row for job in places.values() for row in job.events)
        taken = {id(job) for job in (*numbers, *places.values())}
        made = cls(columns, frozen(np.concatenate(parts)), frozen(begins), frozen(slots), events)
        return made, tuple(job for job in jobs if id(job) not in taken)

    def run(self, piece: Piece, walk: Walk, cutoff: Array, columns: Sequence[Array], outs: Outs) -> None:
        """Work out the piece's rows."""
        values = np.array([columns[one] for one in self.columns], np.float64)
        shown = values if piece.events is None else values.take(piece.events, axis=1)
        together(walk, shown, piece.happened, cutoff, (self.asked, self.begins), self.slots, outs.whole, outs.floats)
        told(piece, self.events, outs)
