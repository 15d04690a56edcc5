from __future__ import annotations

import datetime as dt
import json

import numpy as np
import pyarrow as pa
import pytest

from penstock.errors import RequestError
from penstock.learning.encoding.matrix import MOST_CATEGORIES, Category, Encoding, Frequency, Number, learn
from penstock.schema import Kind

ROWS = 200


def table(**columns):
    return pa.table(columns)


def test_what_says_nothing_is_dropped_and_said():
    x = np.arange(ROWS, dtype=float)
    given = table(
        x=x, constant=np.ones(ROWS), empty=pa.nulls(ROWS, pa.float64()), nothing=pa.nulls(ROWS), copy=x,
        name=[f"name {i}" for i in range(ROWS)], odd=pa.array([{"a": 1}] * ROWS),
    )  # fmt: skip
    encoding, matrix = learn(given)
    assert encoding.features == ("x",)
    assert matrix.shape == (ROWS, 1)
    assert dict(encoding.dropped) == {
        "constant": "it never varies",
        "empty": "it is always NULL",
        "nothing": "it is always NULL",
        "copy": "it equals x",
        "name": "no value occurs often enough",
        "odd": "its type cannot be learnt from: struct<a: int64>",
    }


def test_null_is_nan_and_a_constant_with_gaps_is_kept():
    encoding, matrix = learn(table(x=pa.array([None, 1.0] * 100), flag=pa.array([True, None, False, True] * 50)))
    assert encoding.features == ("x", "flag")
    np.testing.assert_array_equal(matrix[:4], [[np.nan, 1], [1, np.nan], [np.nan, 0], [1, 1]])


def test_infinity_counts_as_null_and_huge_numbers_stay_finite():
    _, matrix = learn(table(x=[np.inf, 1e300, -np.inf, 0.0] * 50))
    np.testing.assert_array_equal(np.isnan(matrix[:4, 0]), [True, False, True, False])
    assert np.isfinite(matrix[1, 0])


def test_large_numbers_that_differ_little_stay_apart():
    x = 1_700_000_000_000 + np.arange(ROWS)
    _, matrix = learn(table(x=x))
    assert len(np.unique(matrix)) == ROWS


def test_a_time_is_a_number_of_days():
    days = pa.array([dt.datetime(2024, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=i) for i in range(ROWS)])
    _, matrix = learn(table(day=days))
    np.testing.assert_allclose(np.diff(matrix[:, 0]), 1.0)


def test_categories_are_coded_commonest_first_and_the_unseen_are_other():
    names = ["b"] * 120 + ["a"] * 70 + ["rare"] * 2 + [None] * 8
    encoding, matrix = learn(table(kind=pa.array(names).dictionary_encode()))
    assert encoding.encoders == (Category("kind", ("b", "a")),)
    assert encoding.categorical == (0,)
    np.testing.assert_array_equal(matrix[[0, 120, 190, 199], 0], [1, 2, 0, np.nan])
    later = encoding.encode(table(kind=["a", "never seen", None]))
    np.testing.assert_array_equal(later[:, 0], [2, 0, np.nan])


def test_a_column_of_ten_thousand_categories_keeps_the_commonest_and_how_common_each_is():
    rng = np.random.default_rng(0)
    drawn = np.minimum(rng.zipf(1.3, 60_000), 10_000)
    encoding, matrix = learn(table(kind=[f"c{n}" for n in drawn]))
    category, frequency = encoding.encoders
    assert isinstance(category, Category)
    assert isinstance(frequency, Frequency)
    assert len(category.values) == MOST_CATEGORIES
    assert matrix[:, 0].max() == MOST_CATEGORIES
    assert matrix[drawn == 1, 1][0] == pytest.approx(np.mean(drawn == 1), abs=1e-6)


def test_a_category_needs_several_entities_that_have_it():
    entity = pa.array(np.repeat(np.arange(10), 20))
    own_name = [f"name of {e}" for e in entity.to_pylist()]
    shared = ["left" if e.as_py() < 5 else "right" for e in entity]
    encoding, _ = learn(table(own=own_name, shared=shared), entity)
    assert encoding.features == ("shared",)


def test_kinds_say_which_numbers_are_categories_and_which_texts_are_not():
    given = table(store=np.arange(ROWS) % 4, remark=["fine", "bad"] * 100, x=np.arange(ROWS))
    encoding, _ = learn(given, kinds={"store": Kind.CATEGORICAL, "remark": Kind.IGNORED})
    assert encoding.encoders == (Category("store", ("0", "1", "2", "3")), Number("x"))
    assert dict(encoding.dropped) == {"remark": "it is ignored"}


def test_a_list_is_its_length_and_whether_it_holds_each_common_element():
    lists = pa.array([["a", "b"], [], None, ["a"]] * 50)
    encoding, matrix = learn(table(tags=lists))
    assert encoding.features == ("tags",)
    np.testing.assert_array_equal(matrix[:4], [[2, 1, 1], [0, 0, 0], [np.nan] * 3, [1, 1, 0]])


def test_an_encoding_goes_to_json_and_back():
    rng = np.random.default_rng(0)
    given = table(
        x=rng.normal(size=ROWS), big=10**12 + np.arange(ROWS), kind=rng.choice(list("abc"), ROWS),
        tags=pa.array([["a"], ["a", "b"]] * 100),
    )  # fmt: skip
    encoding, matrix = learn(given)
    back = Encoding.from_dict(json.loads(json.dumps(encoding.to_dict())))
    assert back == encoding
    np.testing.assert_array_equal(back.encode(given), matrix)


def test_a_table_without_a_feature_is_refused_by_its_name():
    encoding, _ = learn(table(x=np.arange(ROWS), y=np.arange(ROWS) % 7))
    with pytest.raises(RequestError, match="FEATURE_MISSING: the table lacks 1 features the model needs: 'y'"):
        encoding.encode(table(x=np.arange(3)))
