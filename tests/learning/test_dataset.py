from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RefusedError
from penstock.learning.rows.dataset import Samples, capped, check, hashed, joined, split
from tests.learning.worlds import DAY, shuffled


def samples(cutoff, entity=None, target=None):
    cutoff = np.asarray(cutoff, np.int64)
    entity = pa.array(np.arange(len(cutoff)) if entity is None else entity)
    return Samples(entity, cutoff, pa.table({"x": np.arange(len(cutoff))}), target)


@given(st.lists(st.integers(0, 400), min_size=1, max_size=20), st.integers(1, 90))
def test_no_label_of_one_part_looks_into_the_next(days, horizon):
    parted = split([day * DAY for day in days], horizon * DAY)
    assert set(parted.train + parted.validation + parted.test) <= {day * DAY for day in days}
    for earlier, later in ((parted.train, parted.validation), (parted.validation, parted.test)):
        assert earlier == later or max(earlier) + horizon * DAY <= min(later)
    assert parted.test == (max(days) * DAY,)


def test_two_cutoffs_part_the_entities_of_the_older_one_and_say_so():
    parted = split([0, 30 * DAY], 30 * DAY)
    assert "There are two usable cutoffs" in str(parted)
    entity = pa.array(np.tile(np.arange(1000), 2))
    cutoff = np.repeat([0, 30 * DAY], 1000)
    train, validation, test = parted.rows(entity, cutoff)
    assert set(train) & set(validation) == set()
    assert len(train) + len(validation) == 1000
    assert len(validation) == pytest.approx(250, abs=50)
    np.testing.assert_array_equal(test, np.arange(1000, 2000))


def test_one_cutoff_parts_the_entities_by_a_seeded_hash():
    parted = split([0], DAY, seed=1)
    entity, cutoff = pa.array([f"user {i}" for i in range(2000)]), np.zeros(2000, np.int64)
    parts = parted.rows(entity, cutoff)
    assert [len(part) for part in parts] == pytest.approx([1200, 400, 400], abs=90)
    assert len(np.unique(np.concatenate(parts))) == 2000
    order = np.random.default_rng(0).permutation(2000)
    again = parted.rows(entity.take(pa.array(order)), cutoff)
    assert [set(order[part]) for part in again] == [set(part) for part in parts]


def test_no_cutoff_at_all_is_refused():
    with pytest.raises(RefusedError, match="DATA_NO_CUTOFF: there is no cutoff whose label window is complete"):
        split([], DAY)


def test_a_cap_keeps_all_cutoffs_and_does_not_depend_on_the_order_of_rows():
    given_ = samples(np.repeat([1, 2, 3], [1000, 500, 10]), np.arange(1510))
    kept = capped(given_, 300)
    _, counts = np.unique(kept.cutoff, return_counts=True)
    assert counts.tolist() == [145, 145, 10]
    again = capped(shuffled(given_), 300)
    assert set(again.entity.to_pylist()) == set(kept.entity.to_pylist())
    assert capped(given_, 300, seed=1).entity.to_pylist() != kept.entity.to_pylist()
    assert capped(given_, 2000) is given_


def test_a_hash_depends_on_the_value_alone():
    numbers = pa.array([5, 7, 5])
    assert hashed(numbers, 0)[0] == hashed(numbers, 0)[2] != hashed(numbers, 0)[1]
    assert hashed(numbers, 0)[0] != hashed(numbers, 1)[0]
    texts = pa.array(["a", None, "a"])
    assert hashed(texts, 0)[0] == hashed(texts.dictionary_encode(), 0)[2] != hashed(texts, 0)[1]


def test_samples_of_unequal_columns_are_a_mistake():
    with pytest.raises(ValueError, match=r"the columns of samples differ in length: \[2, 3\]"):
        Samples(pa.array([1, 2]), np.zeros(2, np.int64), pa.table({"x": [1, 2, 3]}))


def test_joined_samples_are_one_after_the_other():
    both = joined(samples([1, 2], target=pa.array([True, False])), samples([3], target=pa.array([True])))
    assert both.cutoff.tolist() == [1, 2, 3]
    assert both.target.to_pylist() == [True, False, True]
    assert both.features["x"].to_pylist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("task", "target", "said"),
    [
        ("binary", [True] * 40, "DATA_ONE_CLASS: the answer is True for all 40 training examples"),
        ("binary", [True] * 100 + [False] * 2, "DATA_ONE_CLASS: the answer is the same for all but 2 of 102"),
        ("multiclass", ["a"] * 40, "DATA_ONE_CLASS: the answer is a for all 40 training examples"),
        ("regression", [1.5] * 40, "DATA_CONSTANT: the target is 1.5 for all 40 training examples: it never varies"),
        ("regression", [1.0, 2.0], "DATA_TOO_FEW: there are 2 training examples; 20 is the least to learn from"),
        ("multilabel", [[]] * 40, "DATA_ONE_CLASS: none of the 40 training examples has anything in its list"),
        ("ranking", pa.array([[]] * 40, pa.list_(pa.string())), "none of the 40 training examples has anything"),
    ],
)
def test_what_cannot_be_learnt_is_refused_with_what_was_found(task, target, said):
    with pytest.raises(RefusedError, match=said) as refused:
        check(task, samples(np.zeros(len(target)), target=pa.array(target)))
    assert refused.value.hint


def test_what_varies_is_accepted():
    check("binary", samples(np.zeros(40), target=pa.array([True, False] * 20)))
    check("regression", samples(np.zeros(40), target=pa.array(np.arange(40))))


def test_rows_with_times_of_their_own_are_drawn_by_lot():
    given_ = samples(np.arange(1000))
    kept = capped(given_, 300)
    assert len(kept) == 300
    assert set(capped(shuffled(given_), 300).entity.to_pylist()) == set(kept.entity.to_pylist())
    assert np.mean(kept.cutoff) == pytest.approx(500, abs=60)
