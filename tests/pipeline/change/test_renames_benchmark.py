from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np

from benchmarks.renames import PATTERNS, Old, Tally, cases, generated, judged, tables
from penstock.pipeline.change import compare, prints

ROUNDS, ROWS = 4, 8_000


def good(tallies: dict[str, Tally]) -> Tally:
    every = tallies["all"]
    assert every.right + every.missed > 60, "too few renames to judge by"
    assert every.precision >= 0.98, str(every)
    assert every.recall >= 0.85, str(every)
    return every


def test_renames_are_told_from_drops_and_additions_on_generated_tables():
    good(judged(cases(generated(300), 5 * ROUNDS, seed=3))[0])


def test_renames_are_told_from_drops_and_additions_on_real_tables(shared: Path):
    every = good(judged(cases(tables(shared / "data", ROWS), ROUNDS, seed=3))[0])
    assert every.recall >= 0.9, str(every)


def test_a_case_is_what_it_says():
    counted: Counter[str] = Counter()
    for case in cases(generated(300), 6, seed=5):
        before, after = ({column.name for column in prints_} for prints_ in (case.before, case.after))
        assert set(case.truth) <= before - after
        assert set(case.truth.values()) <= after - before
        counted += Counter(case.patterns.values())
    assert len(counted) > 5, "renames of many patterns"


def test_every_pattern_makes_a_name():
    rng = np.random.default_rng(0)
    for pattern in PATTERNS:
        assert pattern(Old("created_at", "orders", rng))


def test_nothing_is_found_where_nothing_changed_but_the_rows():
    for name, rows in generated(300)["generated"].items():
        half = rows.num_rows // 2
        found = compare(prints(rows.slice(0, half)), prints(rows.slice(half)))
        assert found.all == (), name
