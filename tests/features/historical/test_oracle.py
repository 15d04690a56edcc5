"""Values of features against the naive double loop, and the laws of time, on random sources."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from penstock.engine.newest import newest
from penstock.expression import IsNull, Logic
from penstock.plan import Field, Latest, Stream
from penstock.schema import Dtype, Kind
from penstock.settings import Settings
from tests.features.historical import naive
from tests.features.historical.held import DAY, spine_of
from tests.features.historical.naive import Naive, Source

TINY = Settings(memory=1 << 10, threads=1, cache=None)
"""So little memory that every key is a part of its own."""


def same(ours: Any, theirs: Any) -> bool:
    if isinstance(ours, float) and theirs is not None:
        return math.isclose(ours, theirs, rel_tol=1e-12, abs_tol=1e-12)
    return bool(ours == theirs)


@given(naive.sources(), naive.SPINES)
def test_values_equal_the_double_loop(source: Source, spine: Sequence[tuple[Any, int | None]]) -> None:
    store = source.store()
    found = store.ask(spine_of(spine), source.features)
    naively = Naive(source, store.bound.graph)
    for row, (thing, at) in zip(found.to_pylist(), spine, strict=True):
        for column in ("v", "w"):
            assert same(row[column], naively.latest(column, thing, at)), (column, thing, at)
        for name in naive.TEXTS if source.readings.happened else ():
            aggregate = store.bound.views["windows"].feature(name).expression
            assert same(row[name], naively.window(name, aggregate, thing, at)), (name, thing, at)


@given(naive.sources(), naive.SPINES, st.randoms(use_true_random=False))
def test_no_order_of_rows_or_spine_and_no_parts_change_a_value(source: Source, spine: Any, chance: Any) -> None:
    rows, order = list(source.rows), [*range(len(spine)), *(chance.randrange(len(spine)) for _ in range(3))]
    chance.shuffle(rows)
    chance.shuffle(order)
    again = spine_of([spine[at] for at in order])
    expected = source.store().ask(spine_of(spine), source.features).take(pa.array(order))
    assert source.store(rows).ask(again, source.features).equals(expected)
    assert source.store(rows, TINY).ask(again, source.features).equals(expected)


@given(naive.sources(), naive.SPINES)
def test_rows_laid_by_key_are_rows_joined(source: Source, spine: Sequence[tuple[Any, int | None]]) -> None:
    store = source.store()
    asked = spine_of([(thing, at) for thing, at in spine if thing is not None and at is not None])
    asked = asked.rename_columns(["entity", "cutoff"])
    leaf = store.bound.views["latest"].feature("v").expression
    assert isinstance(leaf, Latest)
    always = Logic("OR", IsNull(rid := Field("readings", "rid", Dtype.INT, Kind.ID)), IsNull(rid, negated=True))
    joined = Stream(leaf.stream.root, leaf.stream.hops, always)
    relational = store.relational
    one, other = newest(relational, asked, leaf.stream), newest(relational, asked, joined)
    rows = pa.table({name: pa.array([row[at] for row in source.rows]) for at, name in enumerate(naive.COLUMNS)})
    for a, b in zip(one.row, other.row, strict=True):  # rows that say the same may stand for each other
        assert (a < 0) == (b < 0)
        assert a < 0 or rows.slice(int(a), 1).equals(rows.slice(int(b), 1))
    assert one.happened.tolist() == other.happened.tolist()


@given(naive.sources(), naive.SPINES, naive.times, st.lists(naive.ROWS, min_size=1, max_size=6), st.booleans())
def test_what_happened_or_was_known_later_changes_nothing(
    source: Source, spine: Any, until: int, poison: list[Any], late: bool
) -> None:
    table = source.readings
    earlier = [(thing, None if at is None else min(at, until)) for thing, at in spine]
    clock = 3 if table.known is not None and (late or table.keys or table.happened is None) else 2
    if clock == 2 and table.happened is None:
        return  # rows without any clock were there for ever
    later = [tuple(until + 1 + DAY if at == clock else said for at, said in enumerate(row)) for row in poison]
    if table.known is not None and clock == 2:
        later = [(*row[:3], None, *row[4:]) for row in later]
    expected = source.store().ask(spine_of(earlier), source.features)
    poisoned = list(dict.fromkeys([*source.rows, *later])) if table.keys and table.known else [*source.rows, *later]
    assert source.store(poisoned).ask(spine_of(earlier), source.features).equals(expected)


def test_a_row_that_nothing_orders_is_chosen_by_all_that_it_says() -> None:
    table = naive.schema("readings", naive.COLUMNS, happened="ts")
    rows = [(n, 0, naive.START, None, None, 1.0, w) for n, w in ((1, "a"), (1, "b"), (1, None), (1, ""))]
    source = Source(table, rows, None, [], None)
    found = source.store().ask(spine_of([(0, naive.START)]), ["latest:*"])
    assert found["w"].to_pylist() == [None]
    assert source.store(rows[:2]).ask(spine_of([(0, naive.START)]), ["latest:*"])["w"].to_pylist() == ["b"]


def test_a_key_with_many_late_and_corrected_rows() -> None:
    table = naive.schema("readings", naive.COLUMNS, key="rid", happened="ts", known="created", deleted="gone")
    hour = DAY // 24
    rows = [
        (n % 20, 0, naive.START + n % 7 * hour, naive.START + n * hour, n % 5 == 4, float(n), None) for n in range(100)
    ]
    source = Source(table, rows, None, [], None)
    spine = [(0, naive.START + n * hour // 2) for n in range(0, 220, 11)]
    store = source.store()
    naively = Naive(source, store.bound.graph)
    found = store.ask(spine_of(spine), "latest:v")["v"].to_pylist()
    assert found == [naively.latest("v", thing, at) for thing, at in spine]
    assert len(set(found)) > 5


@pytest.mark.parametrize("moment", [dt.date(2026, 1, 3), "2026-01-03", dt.datetime(2026, 1, 3)])  # noqa: DTZ001
def test_instants_may_be_dates_and_texts(moment: Any) -> None:
    table = naive.schema("readings", naive.COLUMNS, happened="ts")
    source = Source(table, [(1, 0, naive.START + 2 * DAY, None, None, 4.0, None)], None, [], None)
    found = source.store().ask([{"id": 0, "cutoff": moment}, {"id": 1, "cutoff": moment}], "latest:v")
    assert found["v"].to_pylist() == [4.0, None]
