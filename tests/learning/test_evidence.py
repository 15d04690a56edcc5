"""Ranks and partial correlations against another way of computing them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata, spearmanr

from penstock.learning.leaks.activity import Stream
from penstock.learning.leaks.evidence import Around, rank_correlation, ranks


@given(st.lists(st.integers(-5, 5), min_size=1, max_size=40))
def test_ranks_are_mid_ranks_with_mean_0_and_variance_1(values: list[int]):
    found, other = ranks(np.array(values, float)), rankdata(values)
    spread = other.std()
    np.testing.assert_allclose(found, (other - other.mean()) / (spread if spread else 1), atol=1e-12)


@given(st.lists(st.tuples(st.integers(-5, 5), st.integers(-5, 5)), min_size=3, max_size=40))
def test_the_rank_correlation_is_spearmans(pairs: list[tuple[int, int]]):
    first, second = np.array(pairs, float).T
    if np.ptp(first) and np.ptp(second):
        assert rank_correlation(first, second) == pytest.approx(spearmanr(first, second).statistic)
    else:
        assert rank_correlation(first, second) == 0


def around(seed: int, honest: bool) -> tuple[Around, np.ndarray]:
    """Counts that share a cause, and that cause, or the total of the counts."""
    rng = np.random.default_rng(seed)
    cause = rng.gamma(1.0, 2.0, 4000)
    past, future = rng.poisson(cause).astype(float), rng.poisson(cause).astype(float)
    return Around("orders", np.arange(4000), rng.random(4000), past, future), cause if honest else past + future


@pytest.mark.parametrize("seed", range(5))
def test_held_still_a_cause_parts_past_and_future_and_a_total_sets_them_against_each_other(seed: int):
    before, cause = around(seed, honest=True)
    sight = before.sight(cause, categories=False)
    assert sight is not None
    assert sight.together > 0.5
    assert abs(sight.held) < 0.08
    before, total = around(seed, honest=False)
    sight = before.sight(total, categories=False)
    assert sight is not None
    assert sight.held < -0.5
    assert sight.forward > 0.8


def test_what_says_nothing_explains_nothing():
    before, _ = around(0, honest=True)
    sight = before.sight(np.random.default_rng(9).random(4000), categories=False)
    assert sight is not None
    assert max(sight.forward, sight.backward) < 0.06
    assert sight.collides == 0
    assert before.sight(np.ones(4000), categories=False) is None


def test_the_forward_correlation_is_the_one_of_two_least_squares_fits():
    before, cause = around(1, honest=True)
    code = np.digitize(cause, [0.5, 1, 2, 4]).astype(float)
    sight = before.sight(code, categories=True)

    def dummies(values: np.ndarray, most: int) -> np.ndarray:
        levels = np.unique(values)
        if len(levels) > most:
            levels = np.unique(np.quantile(values, np.linspace(0, 1, 13)[1:-1], method="lower"))
        place = np.searchsorted(levels, values)
        return np.column_stack([(place == level).astype(float) for level in np.unique(place)[1:]])

    def fit(*given: np.ndarray) -> tuple[float, int]:
        design = np.column_stack([np.ones(4000), *given])
        left = ranks(before.future) - design @ np.linalg.lstsq(design, ranks(before.future), rcond=None)[0]
        return float(left @ left), design.shape[1]

    known = [dummies(before.age, 8), ranks(before.age), dummies(before.past, 8), ranks(before.past)]
    (less, few), (more, many) = fit(*known), fit(*known, dummies(code, 40))
    expected = np.sqrt(1 - (more / (4000 - many)) / (less / (4000 - few)))
    assert sight is not None
    assert sight.forward == pytest.approx(expected, abs=1e-4)


def test_a_stream_counts_sums_and_tells_first_and_last():
    stream = Stream("orders", np.array([0, 0, 2]), np.array([10, 30, 20]), {"amount": np.array([1.5, np.nan, 4.0])})
    assert stream.count(3).tolist() == [2, 0, 1]
    assert stream.count(3, 10, 20).tolist() == [0, 0, 1]
    assert stream.total(3, "amount").tolist() == [1.5, 0, 4]
    assert stream.first(3)[[0, 2]].tolist() == [10, 20]
    assert stream.last(3)[[0, 2]].tolist() == [30, 20]
    assert stream.only(stream.when > 15).count(3).tolist() == [1, 0, 1]
