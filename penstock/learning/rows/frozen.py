"""The frozen regime: test rows that see nothing that happened or became known after the first test cutoff.

A model in use is not always fed at once. *Frozen*, every test row has the features of the first test cutoff: its
windows end there, its ages and calendar are those of that instant, and an entity that was not there yet has nothing
but its name. The answer is still about each row's own window, later by the distance of its cutoff from the first, which
training rows never had; so a frozen evaluation is the harder one wherever test cutoffs are several.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.learning.rows.dataset import Samples, when
from penstock.window import Instants


def frozen(spine: pa.Table) -> pa.Table:
    """The rows of a test spine, each asked about at the spine's first cutoff; other columns and the order stay.

    >>> day = pa.array([2, 1], pa.timestamp("us"))
    >>> frozen(pa.table({"entity": [7, 8], "cutoff": day}))["cutoff"].cast(pa.int64()).to_pylist()
    [1, 1]
    """
    cutoff = spine["cutoff"]
    first = pa.array(np.zeros(len(cutoff), np.int64)) if not len(cutoff) else pa.repeat(pc.min(cutoff), len(cutoff))
    return spine.set_column(spine.column_names.index("cutoff"), "cutoff", first.cast(cutoff.type))


def at_own_cutoffs(samples: Samples, cutoff: Instants) -> Samples:
    """Samples of a frozen spine with each row's own cutoff again, by which answers are named.

    A ranking's log ends at the first cutoff: what happened or became known later is not in it.
    """
    log = samples.log
    if log is not None and len(cutoff):
        clocks = [name for name in ("happened", "known") if name in log.column_names]
        early = [np.asarray(pc.fill_null(log[name].cast(pa.int64()), 0)) <= int(cutoff.min()) for name in clocks]
        log = log.filter(pa.array(np.logical_and.reduce(early)))
    return replace(samples, cutoff=cutoff, log=log)


def frozen_note(cutoff: Instants) -> str:
    """What the regime means for these rows."""
    first = when(int(cutoff.min()))
    later = int(np.sum(cutoff > cutoff.min()))
    return f"Frozen: no test row sees anything after {first}; {later:,} of {len(cutoff):,} have a later cutoff."
