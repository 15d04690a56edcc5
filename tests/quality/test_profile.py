"""Profiles, against numpy and plain counting."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.errors import RequestError
from penstock.quality.profile import QUANTILES, Profile
from penstock.quality.profiling import profile
from tests.quality.made_up import tables


@given(tables)
def test_a_profile_counts_as_a_plain_loop_does_and_comes_back_from_json(rows: pa.Table):
    found = profile(rows)
    assert found.rows == rows.num_rows
    assert Profile.from_json(found.to_json()) == found
    for name in rows.column_names:
        values, column = rows[name].to_pylist(), found.columns[name]
        assert column.nulls == values.count(None)
        there = [value for value in values if value is not None]
        if rows.schema.field(name).type == pa.string():
            assert column.top == dict(Counter(there))
            assert (column.least, column.most) == ((min(there), max(there)) if there else (None, None))
            continue
        finite = np.array([value for value in there if np.isfinite(value)], float)
        assert (column.odd, found.values(name)) == (len(there) - len(finite), len(finite))
        if len(finite):
            assert (column.least, column.most) == (finite.min(), finite.max())
            assert (column.mean, column.std) == pytest.approx((finite.mean(), finite.std()), abs=1e-9)
            assert len(column.quantiles) == QUANTILES
            assert set(column.quantiles) <= set(finite)
            assert list(column.quantiles) == sorted(column.quantiles)


def test_quantiles_are_those_of_the_values():
    values = np.random.default_rng(3).normal(0, 1, 5_000)
    found = profile(pa.table({"x": values})).columns["x"].quantiles
    levels = (np.arange(QUANTILES) + 0.5) / QUANTILES
    assert found == pytest.approx(np.quantile(values, levels, method="inverted_cdf"))


def test_quantiles_of_many_rows_are_those_of_a_part_of_them(monkeypatch):
    monkeypatch.setattr("penstock.quality.profiling._SAMPLE", 3_000)
    rows = pa.table({"x": np.random.default_rng(4).normal(0, 1, 200_000)})
    found = profile(rows).columns["x"].quantiles
    exact = np.quantile(rows["x"], (np.arange(QUANTILES) + 0.5) / QUANTILES)
    assert found[20:-20] == pytest.approx(exact[20:-20], abs=0.15)
    assert profile(rows).columns["x"].quantiles == found


def test_times_count_in_microseconds_and_every_type_has_a_profile():
    rows = pa.table(
        {
            "day": [dt.date(1970, 1, 2), None],
            "when": pa.array([1, 3], pa.timestamp("us")),
            "zoned": pa.array([1, 3], pa.timestamp("us", "UTC")),
            "flag": [True, False],
            "exact": [Decimal("1.50"), Decimal("2.50")],
            "many": [[1], [2, 3]],
            "raw": [b"a", None],
            "clock": pa.array([1, 2], pa.time64("us")),
        }
    )
    columns = profile(rows).columns
    assert (columns["day"].least, columns["day"].nulls) == (86_400_000_000, 1)
    assert (columns["when"].mean, columns["zoned"].most) == (2.0, 3)
    assert columns["flag"].top == {"true": 1, "false": 1}
    assert (columns["exact"].least, columns["exact"].mean) == (1.5, 2.0)
    assert (columns["many"].nulls, columns["raw"].nulls, columns["clock"].distinct) == (0, 1, 2)
    assert profile(rows, ["day", "absent"]).columns.keys() == {"day"}


def test_columns_with_many_different_texts_keep_no_list_of_them():
    rows = pa.table({"code": [f"c{n}" for n in range(5_000)], "odd:name": [n % 7 for n in range(5_000)]})
    found = profile(rows)
    assert found.columns["code"].top == {}
    assert found.columns["code"].distinct == pytest.approx(5_000, rel=0.1)
    assert sum(found.columns["odd:name"].top.values()) == 5_000


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 0, "rows": 1, "columns": {}}', '{"format": 1, "rows": 1}']
)
def test_what_is_no_profile_is_refused(text: str):
    with pytest.raises(RequestError, match="PROFILE_UNREADABLE: this is no profile"):
        Profile.from_json(text)


@given(st.integers(0, 3))
def test_a_profile_of_no_rows_is_one(columns: int):
    found = profile(pa.table({f"c{n}": pa.array([], pa.float64()) for n in range(max(1, columns))}))
    assert (found.rows, found.columns["c0"].mean, found.columns["c0"].quantiles) == (0, None, ())
