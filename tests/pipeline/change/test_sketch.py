from __future__ import annotations

import datetime as dt
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.pipeline.change.sketch import SIZE, Sketch, hashed

TEXTS = st.lists(st.text(max_size=60), max_size=40)


def test_hashes_are_the_same_everywhere_and_always():
    assert [f"{h:016x}" for h in hashed(pa.array(["", "a", "ab", "ü" * 40]))] == [
        f"{h:016x}" for h in hashed(pa.array(["x", "", "a", "ab", "ü" * 40])[1:])
    ]
    assert f"{hashed(pa.array(['orders']))[0]:016x}" == f"{hashed(pa.array(['orders'], pa.large_string()))[0]:016x}"
    known = {"orders": hashed(pa.array(["orders"]))[0], 7: hashed(pa.array([7]))[0]}
    assert known == {"orders": KNOWN_TEXT, 7: KNOWN_NUMBER}, "prints that are kept would no longer fit"


KNOWN_TEXT, KNOWN_NUMBER = 15232815348240904355, 18156929767439530862


@given(TEXTS)
def test_texts_that_differ_have_different_hashes(texts: list[str]):
    cut = {(text.encode()[:48], len(text.encode())) for text in texts}
    assert len(set(hashed(pa.array(texts, pa.string())).tolist())) == len(cut)


@given(st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, max_size=40))
def test_whole_numbers_that_differ_have_different_hashes(numbers: list[int]):
    assert len(set(hashed(pa.array(numbers, pa.int64())).tolist())) == len(numbers)


@given(st.integers(-(2**53), 2**53))
def test_a_number_has_one_hash_whatever_its_type(number: int):
    forms = [pa.array([number]), pa.array([float(number)]), pa.array([Decimal(number)], pa.decimal128(38, 0))]
    assert len({int(hashed(form)[0]) for form in forms}) == 1


def test_zero_has_one_hash_and_instants_theirs():
    assert hashed(pa.array([0.0]))[0] == hashed(pa.array([-0.0]))[0] == hashed(pa.array([False]))[0]
    day = dt.date(2024, 1, 31)
    forms = [pa.array([day]), pa.array([day], pa.date64()), pa.array([dt.datetime(2024, 1, 31)], pa.timestamp("ms"))]  # noqa: DTZ001
    assert len({int(hashed(form)[0]) for form in forms}) == 1
    assert len(hashed(pa.array([dt.time(1, 2)], pa.time32("s")))) == 1


@given(st.sets(st.integers(0, 400), max_size=300), st.sets(st.integers(0, 400), max_size=300))
def test_the_overlap_is_exact_for_few_values_and_near_for_many(left: set[int], right: set[int]):
    a, b = (Sketch.of(hashed(pa.array(sorted(values), pa.int64()))) for values in (left, right))
    share, inside = a.overlap(b)
    both, smaller = len(left & right), min(len(left), len(right))
    if max(len(left), len(right)) < SIZE:
        assert share == pytest.approx(both / max(1, len(left | right)))
        assert inside == pytest.approx(both / max(1, smaller))
    assert abs(share - both / max(1, len(left | right))) < 0.35
    assert a.overlap(b) == b.overlap(a)


def test_a_sketch_of_many_values_is_small_and_close():
    rng = np.random.default_rng(0)
    left = rng.choice(1_000_000, 100_000, replace=False)
    right = np.concatenate([left[:50_000], rng.integers(2_000_000, 9_000_000, 50_000)])
    a, b = (Sketch.of(np.unique(hashed(pa.array(values)))) for values in (left, right))
    assert len(a.text) < 700
    assert a.overlap(b) == pytest.approx((1 / 3, 1 / 2), abs=0.15)
