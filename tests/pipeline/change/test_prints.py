from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.pipeline.change import ColumnPrint, from_text, prints, to_text
from tests.pipeline.change.made import table

ODD = {
    "empty": pa.array([None] * 4, pa.int64()), "nothing": pa.nulls(4), "texts": pa.array(["a", None, "bc", "a"]),
    "lists": pa.array([[1], None, [], [2]]), "bytes": pa.array([b"\xff", b"", None, b"x"]),
    "codes": pa.array(["x", "y", "x", None]).dictionary_encode(),
    "nan": pa.array([float("nan"), 1.0, float("inf"), 2.0]),
    "truth": pa.array([True, False, None, True]), "day": pa.array([1, 2, 3, None], pa.date32()),
    "big": pa.array([2**63, 1, 2, 3], pa.uint64()), "time": pa.array([1, 2, 3, 4], pa.time64("us")),
    "zoned": pa.array([1, 2, 3, None], pa.timestamp("ns", "Europe/Paris")),
    "record": pa.array([{"a": 1}, None, {"a": 2}, {"a": 3}]), "span": pa.array([1, 2, None, 3], pa.duration("ms")),
}  # fmt: skip


def test_a_print_says_what_the_values_are_like():
    (amount, name) = prints(pa.table({"amount": [1, 2, 3, 4, None], "name": ["Ab", "c1", "Ab", None, ""]}))
    assert (amount.type, amount.position, amount.rows, amount.nulls, amount.distinct) == ("int64", 0, 5, 0.2, 4)
    assert (amount.least, amount.greatest, amount.quantiles[3]) == (1.0, 4.0, 2.5)
    assert (name.distinct, name.filled, name.length) == (3, 4, 1.5)
    assert name.letters == (0.25, 0.25, 0.5, 0.0), "of the different values"
    assert name.common[0][1] == 0.5
    assert str(amount) == "amount (int64): 4 values in 5 rows, 20% NULL, 1 to 4"


@pytest.mark.parametrize("name", ODD)
def test_every_type_has_a_print_that_survives_json(name: str):
    (found,) = prints(pa.table({name: ODD[name]}))
    assert ColumnPrint.from_dict(json.loads(json.dumps(found.to_dict(), allow_nan=False))) == found
    assert found.rows == 4


def test_prints_are_kept_as_text():
    kept = to_text(prints(table()))
    assert from_text(kept) == prints(table())
    assert len(kept) < 1_500 * 8
    assert from_text("") == ()


def test_no_rows_and_no_columns_have_prints_too():
    assert [one.rows for one in prints(table(0))] == [0] * 8
    assert prints(pa.table({})) == ()


def test_two_columns_with_one_name_keep_their_places():
    twice = pa.Table.from_arrays([pa.array([1]), pa.array(["x"])], names=["a", "a"])
    assert [(one.name, one.type) for one in prints(twice)] == [("a", "int64"), ("a", "string")]


@given(st.integers(0, 3), st.integers(1, 5))
def test_the_same_rows_give_the_same_prints_in_any_batches_and_order(seed: int, pieces: int):
    whole = table(200, seed)
    batches = whole.to_batches(max_chunksize=-(-200 // pieces))
    assert prints(batches) == prints(whole)
    shuffled = whole.take(np.random.default_rng(seed).permutation(200))
    assert prints(shuffled) == prints(whole)


def test_a_sample_is_spread_over_all_rows():
    (found,) = prints(pa.table({"n": np.arange(100_000)}), sample=100)
    assert (found.rows, found.least, found.greatest) == (100, 0, 99_999)
