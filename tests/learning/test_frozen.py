from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

import penstock as ps
from penstock.learning.rows.frozen import at_own_cutoffs, frozen, frozen_note
from tests.learning.test_ask import poisoned
from tests.learning.worlds import DAY as LOG_DAY
from tests.learning.worlds import basket
from tests.learning.worlds import shop as interactions
from tests.small import DAY, QUIET, START, shop


def spine():
    """Everybody at two cutoffs, the later one first."""
    cutoffs = [START + 180 * DAY] * 80 + [START + 150 * DAY] * 80
    return pa.table(
        {"entity": [*range(1, 81)] * 2, "cutoff": pa.array(cutoffs, pa.timestamp("us")), "more": range(160)}
    )


def test_no_test_row_changes_with_what_comes_after_the_first_cutoff():
    tables, rows = shop(), spine()
    late = poisoned(tables, START + 150 * DAY)
    features = ps.connect(tables).synthesise(QUIET, before="2024-05-30")
    seen = [ps.connect(t).features(features, frozen(rows)) for t in (tables, late)]
    assert seen[0].equals(seen[1])
    own = [ps.connect(t).features(features, rows) for t in (tables, late)]
    assert not own[0].equals(own[1])
    assert seen[0].slice(80).equals(own[0].slice(80))  # at the first cutoff both regimes see the same


def test_rows_order_and_other_columns_stay():
    rows = spine()
    told = frozen(rows)
    assert told.drop_columns(["cutoff"]).equals(rows.drop_columns(["cutoff"]))
    assert told.schema == rows.schema
    assert set(told["cutoff"].cast(pa.int64()).to_pylist()) == {START + 150 * DAY}
    assert frozen(rows.slice(0, 0)).equals(rows.slice(0, 0))


def test_samples_are_named_by_their_own_cutoffs_and_the_log_ends_at_the_first():
    log = interactions(entities=20)
    samples = basket(log, 60 * LOG_DAY, 15 * LOG_DAY)
    late = np.repeat([60 * LOG_DAY, 75 * LOG_DAY], [1, len(samples) - 1])
    told = at_own_cutoffs(samples, late)
    assert told.cutoff is late
    assert told.log.num_rows > 0
    assert max(told.log["happened"].to_pylist()) <= 60 * LOG_DAY
    known = log.append_column("known", pa.array(log["happened"].to_numpy() + 10 * LOG_DAY))
    assert max(at_own_cutoffs(replace(samples, log=known), late).log["known"].to_pylist()) <= 60 * LOG_DAY
    assert at_own_cutoffs(replace(samples, log=None), late).log is None


def test_a_note_says_what_the_regime_means():
    told = frozen_note(np.array([START, START + DAY, START + DAY]))
    assert told == "Frozen: no test row sees anything after 2024-01-01; 2 of 3 have a later cutoff."
