"""Cohorts: every row in one bin, bins that say what is in them, means that are means."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.reasons.cohorts import NULL, REST, View, binned, views
from tests.learning.worlds import TABULAR, shuffled, worlds

NUMBERS = st.lists(st.one_of(st.none(), st.integers(-5, 5), st.floats(-1e9, 1e9)), min_size=1, max_size=200)


@given(NUMBERS)
def test_every_row_is_in_the_one_bin_whose_range_holds_it(values):
    column = pa.array([None if v is None else float(v) for v in values], pa.float64())
    bins = binned(column)
    for value, code in zip(column.to_pylist(), bins.code.tolist(), strict=True):
        low, high = bins.ranges[code]
        assert (bins.names[code] == NULL) if value is None else (low <= value <= high)
    ends = [r for r in bins.ranges if r[0] is not None]
    assert all(before[1] < after[0] for before, after in pairwise(ends))


@given(st.lists(st.one_of(st.none(), st.sampled_from("abcdefghijklmno")), min_size=1, max_size=200))
def test_categories_are_the_commonest_the_rest_and_null(values):
    bins = binned(pa.array(values, pa.string()))
    for value, code in zip(values, bins.code.tolist(), strict=True):
        name = bins.names[code]
        assert name == NULL if value is None else name in (value, REST)


def test_a_value_that_many_rows_share_is_a_bin_of_its_own():
    bins = binned(pa.array([0] * 700 + [1] * 100 + list(range(2, 202))))
    assert bins.names == ("0", "1", "2 to 51", "52 to 101", "102 to 151", "152 to 201", NULL)
    assert np.bincount(bins.code).tolist() == [700, 100, 50, 50, 50, 50]


def test_truth_values_instants_and_lists_are_named_as_people_say_them():
    assert set(binned(pa.array([True, False, None])).names) >= {"yes", "no", NULL}
    days = pa.array(np.array(["2024-01-01", "2024-02-01"], "datetime64[us]"))
    assert binned(days).names == ("2024-01-01", "2024-02-01", NULL)
    assert binned(pa.array([["a"], [], None, ["a", "b"]])).names[:2] == ("0 of them", "1 of them")


@pytest.mark.parametrize("task", TABULAR)
def test_cohorts_hold_all_rows_and_their_means_are_those_of_the_rows(task):
    train, validation, test = worlds(task, 600)
    trained = fit(task, train, validation, options=Options(threads=1))
    found = views(trained, test, {"kind": "the kind"}, most=3)
    assert len(found) == 3
    assert [view.gain for view in found] == sorted((view.gain for view in found), reverse=True)
    said = trained.estimates(test)
    for view in found:
        assert sum(cohort.rows for cohort in view.cohorts) == len(test)
        assert sum(cohort.share for cohort in view.cohorts) == pytest.approx(1)
        mean = sum(cohort.prediction * cohort.share for cohort in view.cohorts)
        expected = {"multiclass": lambda: said.max(axis=1), "multilabel": lambda: said.sum(axis=1)}
        assert mean == pytest.approx(expected.get(task, lambda: said)().mean())
        assert all((cohort.commonest is not None) == (task == "multiclass") for cohort in view.cohorts)


def test_the_outcome_of_a_bin_is_the_mean_of_its_rows():
    train, validation, test = worlds("regression", 600)
    trained = fit("regression", train, validation, options=Options(threads=1))
    for view in views(trained, test):
        values, target = test.features[view.feature], np.asarray(test.target, float)
        for cohort in view.cohorts:
            if cohort.low is not None:
                column = np.asarray(values, float)
                mine = (column >= cohort.low) & (column <= cohort.high)
                assert cohort.outcome == pytest.approx(target[mine].mean())


def test_the_order_of_rows_changes_nothing_but_the_last_digits():
    train, validation, test = worlds("binary", 600)
    trained = fit("binary", train, validation, options=Options(threads=1))
    for one, other in zip(views(trained, test), views(trained, shuffled(test)), strict=True):
        assert [c.name for c in one.cohorts] == [c.name for c in other.cohorts]
        assert [c.rows for c in one.cohorts] == [c.rows for c in other.cohorts]
        np.testing.assert_allclose([c.outcome for c in one.cohorts], [c.outcome for c in other.cohorts])


def test_views_survive_json_and_rows_without_a_target_do_not_count():
    train, validation, test = worlds("multiclass", 600)
    trained = fit("multiclass", train, validation, options=Options(threads=1))
    found = views(trained, test)
    assert tuple(View.from_dict(json.loads(json.dumps(view.to_dict()))) for view in found) == found
    assert views(trained, replace(test, target=pa.nulls(len(test), pa.string()))) == ()
