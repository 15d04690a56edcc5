from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.learning.encoding.encoders import Category, Number
from penstock.learning.encoding.matrix import Encoding, learn
from penstock.learning.encoding.targets import FOLDS, Past, Rate, rates, strength
from penstock.schema import Kind

DAY = 86_400_000_000
NAMES = [f"c{i}" for i in range(12)]


@st.composite
def worlds(draw):
    """(category, cutoff in days, target, horizon in days, entity) of some rows."""
    rows = draw(st.integers(2, 60))
    category = draw(st.lists(st.sampled_from([*NAMES, None]), min_size=rows, max_size=rows))
    cutoff = np.array(draw(st.lists(st.integers(0, 8), min_size=rows, max_size=rows)))
    whole = draw(st.booleans())
    numbers = st.sampled_from([0.0, 1.0]) if whole else st.floats(-50, 50)
    target = np.array(draw(st.lists(numbers, min_size=rows, max_size=rows)))
    entity = np.array(draw(st.lists(st.integers(0, 9), min_size=rows, max_size=rows)))
    return category, cutoff, target, draw(st.integers(0, 4)), entity


def told(category, cutoff, target, horizon, entity):
    past = Past.of(np.asarray(target, float)[:, None], np.asarray(cutoff) * DAY, horizon * DAY, pa.array(entity))
    [(encoder, values)] = rates("kind", pa.chunked_array([pa.array(category, pa.string())]), NAMES, past)
    return encoder, values


@given(worlds(), st.data())
def test_a_row_is_told_of_nothing_that_was_not_over_by_its_own_cutoff(world, data):
    category, cutoff, target, horizon, entity = world
    reach = max(horizon, 1)
    if not (cutoff[:, None] + reach <= cutoff[None, :]).any():
        return  # folds stand in for time
    at = data.draw(st.integers(0, 8))
    later = cutoff > at - reach
    changed = np.where(later, target[::-1] + 1, target)
    _, before = told(*world)
    _, after = told(category, cutoff, changed, horizon, entity)
    np.testing.assert_array_equal(before[cutoff <= at], after[cutoff <= at])


@given(worlds(), st.randoms(use_true_random=False))
def test_the_order_of_rows_changes_no_rate(world, chance):
    category, cutoff, target, horizon, entity = world
    order = np.array(chance.sample(range(len(cutoff)), len(cutoff)))
    encoder, values = told(*world)
    mixed = told([category[i] for i in order], cutoff[order], target[order], horizon, entity[order])
    assert mixed[0] == encoder
    np.testing.assert_array_equal(mixed[1], values[order])


@given(worlds())
def test_the_last_rows_are_told_what_a_naive_double_loop_finds(world):
    """Without shrinkage being revised between: at the newest cutoff the strength is that of all complete rows."""
    category, cutoff, target, horizon, _ = world
    newest = cutoff.max()
    complete = np.flatnonzero(cutoff <= newest - max(horizon, 1))
    if not len(complete):
        return
    _, values = told(*world)
    groups = {name: target[[i for i in complete if category[i] == name]] for name in {*category}}
    held = [groups[name] for name in [*NAMES, None] if name in groups and len(groups[name])]
    known, spread = target[complete], max(float(np.std(target[complete])), 2.0**-7)
    k = strength(*(np.array([f(g) for g in held]) for f in (len, np.sum, lambda g: np.sum(g**2))))
    for row in np.flatnonzero(cutoff == newest):
        mine = groups[category[row]]
        expected = (mine.sum() - len(mine) * known.mean()) / (len(mine) + k) / spread
        assert values[row] == pytest.approx(expected, abs=1 / 64 + 0.02 * abs(expected))


@given(worlds())
def test_what_is_told_later_is_what_all_training_rows_say(world):
    category, cutoff, target, horizon, entity = world
    late = (
        (*category, *NAMES),
        (*cutoff, *[30] * len(NAMES)),
        (*target, *[0.0] * len(NAMES)),
        horizon,
        (*entity, *range(12)),
    )
    encoder, _ = told(*world)
    _, values = told(*late)
    answer = encoder.encode(pa.chunked_array([pa.array(NAMES)]))
    np.testing.assert_array_equal(answer, values[len(category) :])


def test_with_one_cutoff_a_row_is_told_of_other_entities_alone():
    rng = np.random.default_rng(0)
    entity = np.arange(600)
    category = [NAMES[i] for i in rng.integers(0, 12, 600)]
    target = (rng.random(600) < np.linspace(0.1, 0.9, 12)[[NAMES.index(c) for c in category]]).astype(float)
    _, before = told(category, np.zeros(600, int), target, 5, entity)
    fold = Past.of(target[:, None], np.zeros(600), 5, pa.array(entity)).fold
    assert set(fold) == set(range(FOLDS))
    _, after = told(category, np.zeros(600, int), np.where(fold == 2, 1 - target, target), 5, entity)
    np.testing.assert_array_equal(before[fold == 2], after[fold == 2])
    assert np.corrcoef(before, target)[0, 1] > 0.4


def test_unseen_is_nothing_special_and_null_has_a_rate_of_its_own():
    category = ["c1", "c2", None, "c3"] * 100
    target = np.array([0.0, 1.0, 1.0, 0.0] * 100)
    encoder, values = told(category, np.repeat([0, 10], 200), target, 5, np.arange(400))
    later = encoder.encode(pa.chunked_array([pa.array(["c0", "never seen", None])]))
    np.testing.assert_array_equal(later[:2], [0, 0])
    assert later[2] > 0.9
    assert not np.isnan(values).any()
    np.testing.assert_array_equal(values[:200], 0)


def test_categories_that_differ_only_by_chance_all_say_the_same():
    rng = np.random.default_rng(3)
    category = [NAMES[i] for i in rng.integers(0, 12, 4000)]
    encoder, _ = told(category, rng.integers(0, 9, 4000), np.tile([0.0, 1.0], 2000), 1, np.arange(4000))
    assert np.abs(encoder.rates).max() <= 1 / 16


def test_a_steady_category_does_not_give_away_the_cutoff():
    """What the many rows of one category are told is the same at every cutoff, however the level moves."""
    rng = np.random.default_rng(1)
    cutoff = np.repeat(np.arange(10), 300)
    category = np.where(rng.random(3000) < 0.95, "c0", "c1")
    target = (rng.random(3000) < 0.2 + 0.05 * cutoff).astype(float)
    _, values = told(category.tolist(), cutoff, target, 1, np.arange(3000))
    assert len(np.unique(values[category == "c0"])) <= 2


def test_learning_offers_rates_for_many_categories_and_keys_but_not_for_few():
    rng = np.random.default_rng(0)
    rows = 3000
    team, key = rng.integers(0, 40, rows), 10_000 + np.arange(rows) // 5
    target = (rng.random(rows) < (team % 2) * 0.4 + (key % 2) * 0.4 + 0.1).astype(float)
    table = pa.table(
        {
            "team": team,
            "key": key,
            "idle": rng.permutation(key),
            "few": [f"k{i % 3}" for i in range(rows)],
            "x": rng.normal(size=rows),
        }
    )
    past = Past.of(target[:, None], rng.integers(0, 6, rows) * DAY, DAY, pa.array(np.arange(rows)))
    kinds = {"team": Kind.CATEGORICAL, "key": Kind.ID, "idle": Kind.ID}
    encoding, matrix = learn(table, pa.array(np.arange(rows)), kinds, past)
    assert [type(e) for e in encoding.encoders] == [Category, Rate, Rate, Category, Number]
    assert [e.feature for e in encoding.encoders] == ["team", "team", "key", "few", "x"]
    assert dict(encoding.dropped) == {"idle": "no value occurs often enough"}
    assert np.corrcoef(matrix[:, 1], target)[0, 1] > 0.2
    back = Encoding.from_dict(json.loads(json.dumps(encoding.to_dict())))
    assert back == encoding
    np.testing.assert_array_equal(back.encode(table), encoding.encode(table))


@settings(max_examples=20)
@given(st.lists(st.lists(st.sampled_from([0.0, 1.0]), min_size=2, max_size=20), min_size=2, max_size=6))
def test_the_strength_is_between_one_and_a_million(groups):
    found = strength(*(np.array([f(g) for g in groups]) for f in (len, sum, sum)))
    assert 1 <= found <= 1e6
