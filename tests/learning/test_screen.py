from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa

from penstock.learning.encoding.screen import survivors
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.rows.dataset import joined
from tests.learning.worlds import TABULAR, world, worlds

OPTIONS = Options(threads=2, features=4)


def test_of_many_features_those_that_matter_survive():
    for task in TABULAR:
        train, validation, test = worlds(task)
        trained = fit(task, train, validation, options=OPTIONS)
        assert len(trained.encoding.features) == 4
        assert "n0" in trained.features or "past" in trained.features
        reasons = dict(trained.encoding.dropped)
        assert "it adds too little to the others" in reasons.values()
        assert trained.predict(replace(test, features=test.features.select(trained.features))).num_rows


def test_what_only_tells_cutoffs_apart_is_dropped_unless_its_values_come_again():
    parts = []
    for cutoff, (month, season) in {30: (1, 2), 60: (2, 1), 90: (3, 2)}.items():
        part = world("binary", cutoff, 300)
        months = {"month": pa.array(np.full(300, month)), "season": pa.array(np.full(300, season))}
        table = pa.table({**{n: part.features[n] for n in part.features.column_names}, **months})
        parts.append(replace(part, features=table))
    names, dropped = survivors("binary", joined(parts[0], parts[1]), parts[2], 100, OPTIONS, None)
    assert dict(dropped)["month"] == "it only tells cutoffs apart, by values that come once"
    assert "month" not in names
    assert "season" in names
