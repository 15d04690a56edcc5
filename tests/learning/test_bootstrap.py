"""Metrics of weighted rows against the same metrics of repeated rows, and intervals against a plain loop."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.learning.judging import weighted
from penstock.learning.judging.bootstrap import Draws, draws
from penstock.learning.judging.difference import Difference, difference
from penstock.learning.judging.outcomes import Outcomes

TASKS = ("binary", "regression", "multiclass", "multilabel", "ranking")


def outcomes(task, rows, seed=0):
    rng = np.random.default_rng(seed)
    said = rng.integers(0, 6, rows) / 5  # many ties
    truth = (rng.random(rows) < 0.2 + 0.6 * said).astype(float)
    if task == "binary":
        return Outcomes(task, truth, said)
    if task == "regression":
        return Outcomes(task, rng.poisson(3 * said).astype(float), 3 * said, truth > 0)
    if task == "multiclass":
        return Outcomes(task, rng.integers(-1, 3, rows), rng.dirichlet(np.ones(3), rows).round(1))
    if task == "multilabel":
        return Outcomes(task, (rng.random((rows, 3)) < 0.3).astype(float), rng.integers(0, 6, (rows, 3)) / 5)
    return Outcomes(task, rng.integers(0, 4, rows), rng.random((rows, 4)) < 0.3)


def repeated(evidence, counts):
    """The same evidence with every row as often as counted."""
    return evidence.take(np.repeat(np.arange(len(counts)), counts))


@pytest.mark.parametrize("task", TASKS)
@given(st.lists(st.integers(0, 3), min_size=1, max_size=40), st.integers(0, 5))
def test_metrics_of_weights_are_those_of_rows_repeated_so_often(task, counts, seed):
    counts = np.array([*counts, 1])
    evidence = outcomes(task, len(counts), seed)
    found = evidence.measure(np.arange(len(counts)), np.array([counts, np.ones_like(counts)], float))
    for place, often in enumerate((counts, np.ones_like(counts))):
        expected = repeated(evidence, often).metrics()
        assert list(found) == list(expected)
        for name, value in expected.items():
            assert found[name][place] == pytest.approx(value, nan_ok=True, abs=1e-9), name


def test_nothing_weighs_nothing():
    evidence = outcomes("binary", 5)
    found = evidence.measure(np.arange(5), np.zeros((1, 5)))
    assert all(np.isnan(values[0]) for values in found.values())


@pytest.mark.parametrize("task", TASKS)
def test_intervals_are_those_of_a_plain_loop_over_entities(task):
    rows = 120
    entity = np.arange(rows) // 3
    evidence = outcomes(task, rows)
    drawn = draws(pa.array(entity), np.zeros(rows, np.int64), seed=3, replicates=60)
    measured = drawn.measured(evidence.measure)
    loop = {name: [] for name in evidence.metrics()}
    for often in drawn.counts:
        picked = np.concatenate(
            [np.repeat(drawn.rows[drawn.cluster == c], times) for c, times in enumerate(often) if times]
        )
        for name, value in evidence.take(picked).metrics().items():
            loop[name].append(value)
    for name, values in loop.items():
        np.testing.assert_allclose(measured[name][1:], values, atol=1e-9)
        low, high = drawn.interval(measured[name], evidence.metrics()[name])
        np.testing.assert_allclose([low, high], np.nanquantile(values, [0.05, 0.95]), atol=1e-9)


def test_every_replicate_draws_as_many_entities_as_there_are_with_all_their_rows():
    entity = pa.array(["a", "b", "b", "c", "c", "c"])
    drawn = draws(entity, np.arange(6), replicates=50)
    assert set(drawn.counts.sum(axis=1).tolist()) == {3}
    sizes = {entity[int(drawn.rows[np.flatnonzero(drawn.cluster == c)[0]])].as_py(): int((drawn.cluster == c).sum())
             for c in range(3)}  # fmt: skip
    assert sizes == {"a": 1, "b": 2, "c": 3}


def test_the_order_of_the_rows_does_not_matter():
    rng = np.random.default_rng(0)
    entity, cutoff = rng.integers(0, 30, 200), np.arange(200)
    evidence = outcomes("binary", 200)
    mixed = rng.permutation(200)
    first = draws(pa.array(entity), cutoff).measured(evidence.measure)
    second = draws(pa.array(entity[mixed]), cutoff[mixed]).measured(evidence.take(mixed).measure)
    for name, values in first.items():
        np.testing.assert_array_equal(values, second[name])


def test_the_interval_holds_the_truth_nine_times_in_ten():
    rng = np.random.default_rng(7)
    held = 0
    for trial in range(200):
        own = rng.normal(size=60)  # what an entity's rows share
        values = np.repeat(own, 5) + 0.3 * rng.normal(size=300)
        evidence = Outcomes("regression", values, np.zeros(300))
        drawn = draws(pa.array(np.arange(300) // 5), np.zeros(300, np.int64), seed=trial, replicates=200)
        found = drawn.measured(evidence.measure)
        low, high = drawn.interval(found["mae"], evidence.metrics()["mae"])
        held += low <= np.sqrt(2 / np.pi * (1 + 0.3**2)) <= high
    assert held / 200 == pytest.approx(0.9, abs=0.05)


def test_a_part_of_the_entities_gives_the_interval_of_all():
    rows = 6000
    evidence = outcomes("binary", rows)
    entity, cutoff = pa.array(np.arange(rows)), np.zeros(rows, np.int64)
    whole, part = draws(entity, cutoff), draws(entity, cutoff, most=2000)
    assert (len(whole.rows), len(part.rows), part.shrink) == (6000, 2000, pytest.approx((1 / 3) ** 0.5))
    around = evidence.metrics()["auroc"]
    wide, narrow = (d.interval(d.measured(evidence.measure)["auroc"], around) for d in (whole, part))
    assert narrow[0] < around < narrow[1]
    assert narrow[1] - narrow[0] == pytest.approx(wide[1] - wide[0], rel=0.2)


def test_one_entity_says_nothing_of_others():
    drawn = draws(pa.array([1, 1, 1]), np.arange(3))
    evidence = outcomes("binary", 3)
    assert np.isnan(drawn.intervals(drawn.measured(evidence.measure), evidence.metrics())["brier"]).all()
    assert np.isnan(draws(pa.array([], pa.int64()), np.zeros(0, np.int64)).interval(np.zeros(1), 0.0)).all()


def test_twenty_thousand_rows_take_less_than_a_second_or_so():
    rng = np.random.default_rng(0)
    said = rng.random(20_000)
    evidence = Outcomes("binary", (rng.random(20_000) < said).astype(float), said)
    started = time.process_time()
    drawn = draws(pa.array(rng.integers(0, 5000, 20_000)), np.zeros(20_000, np.int64))
    drawn.measured(evidence.measure)
    assert time.process_time() - started < 5  # 0.5 s on a quiet machine


def test_the_interval_of_a_calibration_error_is_moved_to_where_it_is():
    rng = np.random.default_rng(0)
    said = rng.random(3000)
    evidence = Outcomes("binary", (rng.random(3000) < said).astype(float), said)
    drawn = draws(pa.array(np.arange(3000)), np.zeros(3000, np.int64))
    found, around = drawn.measured(evidence.measure), evidence.metrics()
    plain = drawn.interval(found["calibration_error"], around["calibration_error"])
    low, high = drawn.intervals(found, around)["calibration_error"]
    assert 0 <= low <= around["calibration_error"] <= high < plain[1]


@pytest.mark.parametrize(
    ("metric", "first", "verdict", "share"),
    [
        ("auroc", [0.6, 0.61, 0.62, 0.59], "better", 1.0),
        ("mae", [0.6, 0.61, 0.62, 0.59], "worse", 0.0),
        ("auroc", [0.5, 0.6, 0.4, 0.5], "as good", 0.5),
        ("coverage", [0.6, 0.61, 0.62, 0.59], "other", None),
        ("coverage", [0.5, 0.6, 0.4, 0.5], "alike", None),
    ],
)
def test_a_difference_is_more_than_noise_where_its_interval_leaves_zero_out(metric, first, verdict, share):
    drawn = Draws(np.arange(2), np.arange(2), np.ones((3, 2), np.uint16))
    told = difference(metric, "another", drawn, np.array(first), np.full(4, 0.5), first[0] - 0.5)
    assert told.verdict == verdict
    assert told.better == share if share is not None else np.isnan(told.better)
    back = Difference.from_dict(told.to_dict())
    assert back == told or share is None
    assert str(told).startswith(f"{metric} {'+0.100' if first[0] > 0.5 else '0.000'} (")


def test_a_mean_without_weight_is_undefined():
    assert np.isnan(weighted.mean(np.ones(3), np.zeros((1, 3)))[0])
