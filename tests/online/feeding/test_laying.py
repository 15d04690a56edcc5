"""Rows laid by sorting are those that the engine gives, and what is merged is what all rows together would be."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from penstock.features.views.binding import bind
from penstock.lake.versioned import DELETED, KNOWN
from penstock.online import heads
from penstock.online.build import KeyRows, built
from penstock.online.feeding.arrivals import Arrivals
from penstock.online.feeding.lanes import lanes_of
from penstock.online.feeding.laying import is_plain, laid
from penstock.online.feeding.merging import joined_heads, joined_records
from penstock.online.feeding.rowkeys import RowKeys
from penstock.schema import Dtype
from penstock.window import END
from tests.online.syncing.worlds import ARROW, COLUMNS, DAY, NOW, SETTINGS, definitions, graph, rows_of

BOUND = bind(definitions(), graph())
OWN = [(holding, lane.reads[holding][0]) for lane in lanes_of(BOUND, ()) for holding in lane.own]


def arrivals(table: str, rows: list[dict[str, Any]]) -> Arrivals:
    told = [{**row, KNOWN: NOW + number, DELETED: False} for number, row in enumerate(rows)]
    kinds = {c: ARROW[d] for c, d in {**COLUMNS[table], KNOWN: Dtype.TIMESTAMP, DELETED: Dtype.BOOL}.items()}
    columns = {name: pa.array([row.get(name) for row in told], kind) for name, kind in kinds.items()}
    return Arrivals(BOUND, SETTINGS, table, pa.table(columns))


def plain(rows: KeyRows) -> list[object]:
    clocks = [one.tolist() for one in (rows.starts, rows.happened, rows.shown_from, rows.shown_until)]
    return [rows.keys.to_pylist(), *clocks, *(column.to_pylist() for column in rows.columns)]


@given(rows_of("orders", streamed=True), st.sampled_from([NOW - DAY, NOW + DAY]))
def test_rows_that_are_laid_are_those_of_the_engine(rows: list[dict[str, Any]], at: int) -> None:
    came = arrivals("orders", [{**row, "order_id": number} for number, row in enumerate(rows)])
    checked = 0
    for holding, table in OWN:
        if table == "orders":
            found, wanted = laid(holding, came, at), built(holding, came.relational, at=at)
            kept = np.diff(found.starts) > 0
            assert plain(found.taken(np.arange(len(found)))) == plain(wanted)
            assert kept.any() == bool(len(found))
            checked += is_plain(holding, came)
    assert checked >= 3


clock = st.integers(0, 12)


@given(
    st.lists(st.tuples(clock, clock, st.one_of(clock, st.just(END))), unique_by=lambda row: row[0]), clock, st.data()
)
def test_heads_are_those_of_all_rows(rows: list[tuple[int, int, int]], at: int, data: st.DataObject) -> None:
    split = data.draw(st.integers(0, len(rows)))
    first, second = sorted(rows[:split]), sorted(rows[split:])
    whole = joined_heads(heads.to_bytes(first), heads.to_bytes(second), at)
    assert whole is not None
    instants = range(at, 14)
    kept = [tuple(row) for row in heads.from_bytes(whole)]
    assert kept == sorted(kept)
    for instant in instants:
        shown = [max((row for row in some if row[1] <= instant < row[2]), default=None) for some in (rows, kept)]
        assert shown[0] == shown[1]


@given(st.lists(st.integers(1, 3), min_size=1, max_size=12), st.integers(0, 5))
def test_of_heads_that_come_in_order_those_are_kept_that_are_asked_for(steps: list[int], slack: int) -> None:
    instants = np.cumsum(steps).tolist()
    kept = heads.to_bytes([[instants[0], instants[0], END]])
    for number, instant in enumerate(instants[1:], 1):
        whole = joined_heads(kept, heads.to_bytes([[instant, instant, END]]), instant - slack)
        assert whole is not None
        kept, so_far = whole, instants[: number + 1]
        least = max([one for one in so_far if one <= instant - slack], default=0)
        assert [row[0] for row in heads.from_bytes(kept)] == [one for one in so_far if one >= least]


@given(st.lists(st.integers(0, 50), unique=True, min_size=2), st.data())
def test_records_lie_by_when_they_happened(instants: list[int], data: st.DataObject) -> None:
    split = data.draw(st.integers(1, len(instants) - 1))
    parts = [
        np.array([[at, at, END, at * 7] for at in sorted(some)], "<i8") for some in (instants[:split], instants[split:])
    ]
    whole = joined_records(parts[0].tobytes(), parts[1].tobytes(), 1)
    assert whole is not None
    assert np.frombuffer(whole, "<i8").reshape(-1, 4)[:, 0].tolist() == sorted(instants)
    assert joined_records(parts[0].tobytes(), parts[0].tobytes(), 1) is None


@given(st.lists(st.lists(st.integers(0, 20), max_size=8), max_size=8))
def test_keys_are_fresh_once(batches: list[list[int]]) -> None:
    keys, seen = RowKeys(np.empty(0, np.uint64)), set[int]()
    for batch in batches:
        fresh = keys.fresh(np.array(batch, np.uint64)).tolist()
        assert fresh == [number not in seen and number not in batch[:place] for place, number in enumerate(batch)]
        keys.add(np.array(batch, np.uint64))
        seen |= set(batch)
        assert len(keys) == len(seen)
