"""Distances between samples, against scipy and against chance."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pytest
import scipy.special
import scipy.stats
from hypothesis import given
from hypothesis import strategies as st

from penstock.quality import drift
from penstock.quality.check import Check, check
from penstock.quality.comparisons import compare
from penstock.quality.profile import QUANTILES, Profile
from penstock.quality.profiling import profile

counts = st.lists(st.integers(0, 10_000), min_size=2, max_size=20)
levels = (np.arange(QUANTILES) + 0.5) / QUANTILES


@given(counts, st.randoms())
def test_psi_is_the_symmetric_divergence_of_the_smoothed_shares(before: list[int], random):
    after = random.sample(before, len(before))
    p, q = ((np.array(counted) + 0.5) / (sum(counted) + 0.5 * len(counted)) for counted in (before, after))
    expected = scipy.special.rel_entr(p, q).sum() + scipy.special.rel_entr(q, p).sum()
    assert drift.psi(before, after) == pytest.approx(expected, abs=1e-12)


numbers = st.floats(-1e6, 1e6)


@given(st.integers(1, 60).flatmap(lambda size: st.tuples(*[st.lists(numbers, min_size=size, max_size=size)] * 2)))
def test_wasserstein_is_that_of_scipy(samples: tuple[list[float], list[float]]):
    before, after = map(sorted, samples)
    assert drift.wasserstein(before, after) == pytest.approx(scipy.stats.wasserstein_distance(*samples), abs=1e-6)


@pytest.mark.parametrize("degrees", [1, 2, 5, 9, 30, 99])
@pytest.mark.parametrize("z", [0.0, 1.0, 3.0])
def test_the_chi_squared_quantile_is_close(degrees: int, z: float):
    exact = scipy.stats.chi2.ppf(scipy.stats.norm.cdf(z), degrees)
    assert drift.chi_squared(degrees, z) == pytest.approx(exact, rel=0.04, abs=0.03)


def test_quantiles_of_a_profile_give_the_distance_of_the_samples():
    rng = np.random.default_rng(1)
    before, after = rng.normal(0, 1, 20_000), rng.normal(0.5, 1.5, 30_000)
    quantiles = [np.quantile(sample, levels).tolist() for sample in (before, after)]
    exact = scipy.stats.wasserstein_distance(before, after)
    assert drift.wasserstein(*quantiles) == pytest.approx(exact, rel=0.02)


@given(st.lists(st.integers(0, 9), min_size=1, max_size=50), st.integers(2, 12))
def test_a_histogram_counts_every_value_once(values: list[int], bins: int):
    values.sort()
    ends = drift.edges(values, bins)
    found = drift.histogram(values, ends, len(values))
    bounds = [-math.inf, *ends, math.inf]
    expected = [sum(low < value <= high for value in values) for low, high in pairwise(bounds)]
    assert found == pytest.approx(expected)
    assert len(ends) < bins
    assert list(ends) == sorted(set(ends))


# ---------------------------------------------------------------- chance

STATISTICAL = [
    check("mean", "x", shift=0, min_rows=0),
    check("psi", "x", max=0, min_rows=0),
    check("wasserstein", "x", max=0, min_rows=0),
    check("null_rate", "x", rise=0, min_rows=0),
    check("share", "c", values=["b"], shift=0, min_rows=0),
    check("psi", "c", max=0, min_rows=0),
]


def samples(rng: np.random.Generator, count: int, rows: int, shift: float = 0.0, odds: float = 0.3) -> list[Profile]:
    """Profiles of random samples, all measured at once."""
    columns = {}
    for at in range(count):
        columns[f"x{at}"] = pa.array(rng.normal(shift, 1, rows), mask=rng.random(rows) < 0.1)
        columns[f"c{at}"] = pa.array(np.where(rng.random(rows) < odds, "b", "a"))
    found = profile(pa.table(columns))
    return [Profile(rows, {"x": found.columns[f"x{at}"], "c": found.columns[f"c{at}"]}) for at in range(count)]


def sample(rng: np.random.Generator, rows: int, shift: float = 0.0, odds: float = 0.3) -> Profile:
    return samples(rng, 1, rows, shift, odds)[0]


@pytest.mark.parametrize("sizes", [(30, 30), (200, 50), (50, 2_000)], ids=str)
def test_samples_of_one_distribution_raise_hardly_an_alarm_whatever_their_size(sizes: tuple[int, int]):
    """Every limit is zero here: what is left is chance alone. Six looks at twenty pairs: about one in 700 is let go."""
    rng = np.random.default_rng(5)
    pairs = list(zip(*(samples(rng, 20, size) for size in sizes), strict=True))
    alarms = [one.name for before, after in pairs for one in STATISTICAL if not compare(one, before, after).passed]
    assert len(alarms) <= 3, alarms


@pytest.mark.parametrize("one", STATISTICAL, ids=lambda one: one.name)
def test_another_distribution_is_noticed(one: Check):
    rng = np.random.default_rng(6)
    before, after = sample(rng, 2_000), sample(rng, 2_000, shift=0.6, odds=0.6)
    if one.kind == "null_rate":
        after = profile(pa.table({"x": pa.array(rng.normal(0, 1, 2_000), mask=rng.random(2_000) < 0.3)}))
    came = compare(one, before, after)
    assert not came.passed
    assert came.observed
    assert came.expected


def test_the_usual_limits_let_small_moves_pass_in_large_tables():
    rng = np.random.default_rng(7)
    before, after = sample(rng, 50_000), sample(rng, 50_000, shift=0.08, odds=0.33)
    for kind, column in [("mean", "x"), ("psi", "x"), ("wasserstein", "x"), ("null_rate", "x"), ("share", "c")]:
        assert compare(check(kind, column), before, after).passed, kind


def test_too_few_rows_raise_no_alarm():
    rng = np.random.default_rng(8)
    before, after = sample(rng, 99), sample(rng, 10_000, shift=50, odds=1)
    for one in [check("mean", "x"), check("psi", "x"), check("wasserstein", "x"), check("share", "c"),
                check("volume", drop=0)]:  # fmt: skip
        came = compare(one, before, after)
        assert came.passed
        assert came.observed.startswith("too few rows to tell")
    assert not compare(check("mean", "x", min_rows=50), before, after).passed


def test_there_may_be_nothing_to_compare_with():
    now = sample(np.random.default_rng(9), 500)
    assert compare(check("mean", "x"), None, now).observed == "nothing to compare with yet"
    assert compare(check("mean", "y"), now, now).observed == "the last good version is not known to have y"


VOLUMES = [
    (1_000, 750, True), (1_000, 650, False), (1_000, 0, False), (1_000, 2_050, True), (1_000, 2_200, False),
    (50, 0, True),
]  # fmt: skip


@pytest.mark.parametrize(("old", "new", "passed"), VOLUMES)
def test_volume_has_room_for_chance(old: int, new: int, passed: bool):
    one = check("volume", drop=0.2, rise=1)
    assert compare(one, Profile(old, {}), Profile(new, {})).passed is passed


def test_an_append_only_table_may_be_held_to_never_shrink():
    one = check("volume", drop=0)
    assert compare(one, Profile(1_000, {}), Profile(1_000, {})).passed
    came = compare(one, Profile(1_000, {}), Profile(999, {}))
    assert (came.passed, came.observed, came.expected) == (False, "999 rows, 1,000 then", "at least 1,000")


def test_a_constant_that_changes_is_noticed():
    before, after = (profile(pa.table({"x": [value] * 200})) for value in (1.0, 2.0))
    for kind in ("mean", "wasserstein", "psi"):
        assert compare(check(kind, "x"), before, before).passed
        assert not compare(check(kind, "x"), before, after).passed, kind


def test_a_new_category_is_named():
    before, after = (profile(pa.table({"c": ["a"] * 500 + [value] * 500})) for value in ("b", "c"))
    came = compare(check("share", "c"), before, after)
    assert not came.passed
    assert came.observed in ("b: 0.00%, 50.00% then", "c: 50.00%, 0.00% then")
    flags = profile(pa.table({"c": [True] * 200 + [False] * 200}))
    assert compare(check("share", "c", values=[True]), flags, flags).observed == "true: 50.00%, 50.00% then"
