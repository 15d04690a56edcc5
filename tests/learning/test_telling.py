"""What tells the answer alone is told from what merely helps, and from luck."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from penstock.learning.leaks.telling import telling
from penstock.learning.rows.dataset import Samples


def rows(target: object, **features: object) -> Samples:
    table = pa.table({name: pa.chunked_array([pa.array(values)]) for name, values in features.items()})
    many = table.num_rows
    return Samples(pa.array(np.arange(many)), np.zeros(many, np.int64), table, pa.chunked_array([pa.array(target)]))


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_a_number_that_orders_the_answers_is_told_and_one_that_helps_is_not(rng: np.random.Generator):
    size = rng.normal(size=500)
    noisy = size + rng.normal(size=500)
    found = telling(
        "binary", rows(size > 0, copy=size * 2 - 1, noisy=noisy, reverse=-size), ["copy", "noisy", "reverse"]
    )
    assert found == {
        "copy": "alone it reaches AUROC 1.000, which is too good to be true",
        "reverse": "alone it reaches AUROC 1.000, which is too good to be true",
    }
    found = telling("regression", rows(size, copy=size**3, noisy=noisy), ["copy", "noisy"])
    assert found == {"copy": "alone it reaches rank correlation 1.000, which is too good to be true"}


@pytest.mark.parametrize("task", ["binary", "multiclass"])
def test_a_category_is_told_by_the_answers_of_its_values(task: str, rng: np.random.Generator):
    answer = rng.integers(0, 2, 500)
    town = [f"t{n + 2 * m}" for n, m in zip(answer, rng.integers(0, 3, 500), strict=True)]
    other = [f"t{n}" for n in rng.integers(0, 6, 500)]
    samples = rows(answer > 0 if task == "binary" else [f"a{n}" for n in answer], town=town, other=other)
    assert telling(task, samples, ["town", "other"]) == {
        "town": "alone it gives the answer of 100.0% of the rows, which is too good to be true"
    }


def test_values_that_hardly_repeat_and_answers_that_hardly_vary_tell_nothing(rng: np.random.Generator):
    answer = rng.random(2000) < 0.008
    name, town = [f"n{n // 4}" for n in range(2000)], [f"t{n}" for n in rng.integers(0, 6, 2000)]
    assert telling("binary", rows(answer, name=name, town=town), ["name", "town"]) == {}
    assert telling("binary", rows(np.arange(2000) < 3, first=-np.arange(2000.0)), ["first"]) == {}


def test_lists_and_no_rows_tell_nothing():
    assert telling("multilabel", rows([["a"]], size=[1.0]), ["size"]) == {}
    assert telling("binary", rows(pa.array([], pa.bool_()), size=pa.array([], pa.float64())), ["size"]) == {}
