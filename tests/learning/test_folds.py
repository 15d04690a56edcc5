from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from penstock.learning.fitting.folds import folds

CUTOFFS = st.lists(st.tuples(st.integers(0, 12), st.integers(5, 60)), min_size=1, max_size=10)


def spread(parts):
    return np.sort(np.concatenate([np.full(count, when) for when, count in parts]))


@given(CUTOFFS, CUTOFFS, st.integers(0, 4), st.integers(1, 4))
def test_what_judges_is_later_than_what_is_learnt_by_the_horizon(train, validation, horizon, most):
    before, after = spread(train), 13 + spread(validation)
    times = np.concatenate([before, after])
    found = folds(before, after, horizon, most)
    assert 1 <= len(found) <= most
    for fold in found[:-1]:
        assert times[fold.rows].max() <= times[fold.later].min() - max(1, horizon)
        assert len(fold.rows) >= 20
    assert found[-1].later.tolist() == list(range(len(before), len(times)))
    ends = [times[fold.later].max() for fold in found]
    assert ends == sorted(ends)
    judged = np.concatenate([fold.later for fold in found])
    assert len(np.unique(judged)) == len(judged)


def test_rows_whose_label_looks_into_validation_are_left_out():
    train, validation = np.repeat([0, 7, 14, 21], 30), np.repeat([28, 35], 10)
    newest = folds(train, validation, 14)[-1]
    assert set(train[newest.rows]) == {0, 7, 14}


def test_all_rows_are_kept_where_few_would_be_left_or_time_parts_nothing():
    assert len(folds(np.repeat([20, 21], 30), np.repeat(28, 10), 14)[-1].rows) == 60
    same = folds(np.repeat(28, 60), np.repeat(28, 20), 14)
    assert len(same) == 1
    assert len(same[0].rows) == 60


def test_rows_with_times_of_their_own_are_cut_where_enough_come_later():
    train = np.arange(1000)
    older, newest = folds(train, np.arange(1000, 1200), 0)
    assert older.later.tolist() == list(range(900, 1000))
    assert older.rows.tolist() == list(range(900))
    assert len(newest.rows) == 1000
