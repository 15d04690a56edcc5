"""Training cutoffs: enough rows, no cutoff newer or older than the usable ones, none at odd times of the day."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from penstock.learning.rows.placement import DENSEST, ENOUGH_ROWS, FEWEST_CUTOFFS, MOST_CUTOFFS, placed

DAY = 86_400_000_000


@given(st.integers(1, 300), st.integers(1, 400), st.integers(1, 100_000))
def test_placed_cutoffs_lie_among_the_usable_ones_and_keep_the_newest(count, days, entities):
    """Nothing newer (its label would reach into validation) and nothing before the first is ever chosen."""
    usable = tuple(days * DAY * place for place in range(count))
    chosen = placed(usable, days * DAY, entities)
    assert chosen == tuple(sorted(set(chosen)))
    assert chosen[-1] == usable[-1]
    assert chosen[0] >= usable[0]
    assert len(chosen) <= max(MOST_CUTOFFS, FEWEST_CUTOFFS)
    if days >= DENSEST:
        assert all(t % DAY == 0 for t in chosen)


@given(st.integers(2, 30), st.integers(1, 2_000))
def test_few_entities_get_denser_cutoffs_until_there_are_enough_rows(count, entities):
    usable = tuple(30 * DAY * place for place in range(count))
    chosen = placed(usable, 30 * DAY, entities)
    assert set(usable) <= set(chosen) or len(chosen) * entities >= ENOUGH_ROWS
    assert len(chosen) <= DENSEST * count
    if count * entities * DENSEST < ENOUGH_ROWS:
        assert len(chosen) == DENSEST * (count - 1) + 1


def test_many_entities_need_no_cutoffs_in_between():
    usable = tuple(90 * DAY * place for place in range(6))
    assert placed(usable, 90 * DAY, 50_000) == usable
