"""Rows that share a key, against plain counting, however little memory there is."""

from __future__ import annotations

from collections import Counter

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.lake.sql import Sql
from penstock.quality import uniqueness
from penstock.quality.uniqueness import repeated

keys = st.lists(st.tuples(st.none() | st.integers(0, 20), st.none() | st.sampled_from(["a", "b"])), max_size=40)


@given(keys, st.sampled_from([0, 100, 500, 10**9]), st.sampled_from([0, 10_000]))
def test_the_count_is_exact_in_any_number_of_passes(rows: list[tuple[int | None, str | None]], memory: int, few: int):
    table = pa.table(
        {"n": pa.array([n for n, _ in rows], pa.int64()), "t": pa.array([t for _, t in rows], pa.string())}
    )
    with pytest.MonkeyPatch.context() as patch, Sql({"made": table}) as sql:
        patch.setattr(uniqueness, "_FEW", few)
        looked_at, failed, statement = repeated(sql, "made", ["n", "t"], "TRUE", memory)
        shown = [tuple(row.values()) for row in sql.arrow(statement).to_pylist()] if statement else []
    bad = Counter({key: count for key, count in Counter(rows).items() if count > 1})
    assert (looked_at, failed) == (len(rows), bad.total())
    assert Counter(shown) == bad


def test_many_rows_in_several_passes():
    numbers = pa.array([*range(300_000), 7, 7, 11])
    with Sql({"made": pa.table({"n": numbers})}) as sql:
        for memory in (10**6, 10**9):
            assert repeated(sql, "made", ["n"], "n > 5", memory)[:2] == (299_997, 5)
