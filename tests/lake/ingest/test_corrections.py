"""Sources that keep corrections: of one key the row known last counts, at every instant, however rows came."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import example, given, settings

from penstock.lake.ingest import Ingested, Intake, backfill, ingest
from penstock.lake.versioned import Lake, open_lake
from tests.lake.corrections import CUTOFFS, NOW, RECORDS, Record, seen, told
from tests.lake.ingest.history import log

SCHEMA = pa.schema([
    ("id", pa.int64()), ("at", pa.timestamp("us")), ("created", pa.timestamp("us")), ("v", pa.string()),
])  # fmt: skip
FEW = settings(max_examples=max(8, settings().max_examples // 8), deadline=None)


def intake(rows: Sequence[Record], **how: object) -> Intake:
    given_ = {"t": pa.table([pa.array(c, f.type) for c, f in zip(_columns(rows), SCHEMA, strict=True)], schema=SCHEMA)}
    roles = {"mode": "compare", "key": ("id", "at"), "happened": "at", "known": "created"}
    return Intake("t", given_, "t", **{**roles, **how})  # type: ignore[arg-type]


def _columns(rows: Sequence[Record]) -> list[list[object]]:
    return [[row[n] for row in rows] for n in range(len(SCHEMA))]


def taken(lake: Lake, rows: Sequence[Record], *, now: int = NOW, **how: object) -> Ingested:
    return ingest(intake(rows, **how), lake, quarantine=Path(lake.place).parent / "quarantine", now=lambda: now)


def rejected(lake: Lake) -> list[dict[str, object]]:
    found = sorted((Path(lake.place).parent / "quarantine" / "t").glob("*.parquet"))
    return [row for file in found for row in pq.read_table(file).to_pylist()]


@given(RECORDS, st.lists(st.integers(0, 3), min_size=12, max_size=12), st.booleans())
@example([(1, 10, 35, "new"), (1, 10, 25, "old")], [0] * 12, True)
@example([(1, 10, 35, "new"), (1, 10, 25, "old")], [0, 1] * 6, False)
@FEW
def test_the_order_in_which_records_come_decides_nothing(rows: list[Record], batch: list[int], whole: bool) -> None:
    """The law: however records are dealt to batches, at every cutoff the one known last by then is what shows."""
    with TemporaryDirectory() as folder:
        lake = open_lake(Path(folder) / "lake")
        come: list[Record] = []
        for number in range(4):
            more = [row for row, its in zip(rows, batch, strict=False) if its == number]
            come += more
            how = {"mode": "compare"} if whole else {"mode": "incremental", "watermark": "created", "overlap": 1e9}
            done = taken(lake, come if whole else more, now=NOW + number, **how)
            assert done.rejected == 0
        assert all(seen(lake, cutoff) == told(rows, cutoff) for cutoff in CUTOFFS)
        again = taken(lake, rows, now=NOW + 9)
        assert (again.added, again.changed, again.deleted, again.batch) == (0, 0, 0, "")


@given(st.lists(RECORDS, min_size=1, max_size=4))
@example([[(1, 10, 15, "a")], [(1, 10, 15, "a"), (1, 10, 25, "b")], [(1, 10, 15, "a")], [(1, 10, 25, "b")]])
@example([[(1, 10, 15, "a")], [(1, 10, 15, "b")], [], [(1, 10, 15, "a")]])
@FEW
def test_whatever_a_source_says_next_is_what_is_true_then(sources: list[list[Record]]) -> None:
    """Records are changed in place, withdrawn and restored: what shows now is the source, and no past is rewritten."""
    with TemporaryDirectory() as folder:
        lake = open_lake(Path(folder) / "lake")
        for number, rows in enumerate(sources):
            now = NOW * (number + 1)
            before = seen(lake, now - 1) if number else {}
            met = {(r[0], r[1], r[2]) for source in sources[:number] for r in source}
            done = taken(lake, rows, now=now)
            assert done.rejected == 0
            assert seen(lake, now) == told(rows, now)
            new = {(r[0], r[1]) for r in rows if (r[0], r[1], r[2]) not in met}
            after = seen(lake, now - 1)
            assert {k: v for k, v in before.items() if k not in new} == {k: v for k, v in after.items() if k not in new}
            again = taken(lake, rows, now=now + 1)
            assert (again.added, again.changed, again.deleted, again.batch) == (0, 0, 0, "")


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


def test_the_same_row_twice_is_one_row(lake: Lake):
    done = taken(lake, [(1, 10, 20, "a"), (1, 10, 20, "a"), (1, 10, 30, "b"), (1, 10, 20, "a")])
    assert (done.read, done.added, done.rejected) == (4, 2, 0)
    plain = {"id": [1, 1, 2], "v": ["a", "a", "b"]}
    bare = Intake("plain", {"t": pa.table(plain)}, "t", key=("id",))
    done = ingest(bare, lake, quarantine=Path(lake.place).parent / "quarantine", now=lambda: NOW)
    assert (done.read, done.added, done.rejected) == (3, 2, 0)


def test_rows_that_contradict_each_other_are_rejected(lake: Lake):
    """Same key, same instant, other values: nothing says which is right, so the first counts and the others wait."""
    rows = [(1, 10, 20, "a"), (1, 10, 20, "b"), (1, 10, 30, "c"), (2, 10, 10, "x"), (2, 10, None, "y")]
    done = taken(lake, rows)
    assert (done.added, done.rejected) == (3, 2)
    reasons = {json.loads(row["raw"])["v"]: row["reason"] for row in rejected(lake)}
    assert reasons == {
        "b": "the key (id, at) and created repeat those of row 1",
        "y": "the key (id, at) and created repeat those of row 4",
    }
    assert (seen(lake, 20), seen(lake, NOW)) == ({(1, 10): "a", (2, 10): "x"}, {(1, 10): "c", (2, 10): "x"})
    assert taken(lake, rows, now=NOW + 1).batch == ""


def test_a_record_changed_in_place_was_known_when_it_was_seen(lake: Lake):
    taken(lake, [(1, 10, 20, "a"), (1, 10, 30, "b")])
    done = taken(lake, [(1, 10, 20, "a"), (1, 10, 30, "c")], now=2_000)
    assert (done.added, done.changed) == (0, 1)
    assert [seen(lake, at)[1, 10] for at in (25, 35, 1_999, 2_000)] == ["a", "b", "b", "c"]
    late = taken(lake, [(1, 10, 20, "z"), (1, 10, 30, "c")], now=3_000)
    assert (late.changed, late.batch) == (0, "")  # what was said before the latest record is past


def test_a_rejected_correction_is_not_one_that_was_withdrawn(lake: Lake):
    taken(lake, [(1, 10, 20, "a"), (1, 10, 30, "b")])
    far = 400 * 86_400_000_000
    done = taken(lake, [(1, 10, 20, "a"), (1, 10, far, "b")], now=2_000, refuse_future=True)
    assert (done.rejected, done.changed, done.deleted) == (1, 0, 0)
    assert seen(lake, 2_000) == {(1, 10): "b"}


def test_a_key_of_which_nothing_is_left_is_gone_and_may_come_again(lake: Lake):
    taken(lake, [(1, 10, 20, "a"), (1, 10, 30, "b"), (2, 10, 20, "x")])
    assert taken(lake, [(2, 10, 20, "x")], now=2_000).deleted == 1
    assert (seen(lake, 1_999), seen(lake, 2_000)) == ({(1, 10): "b", (2, 10): "x"}, {(2, 10): "x"})
    assert taken(lake, [(1, 10, 30, "b"), (2, 10, 20, "x")], now=3_000).added == 1
    assert seen(lake, 3_000) == {(1, 10): "b", (2, 10): "x"}


def test_a_backfill_brings_records_too(lake: Lake):
    taken(lake, [(1, 10, 30, "b")])
    rows = intake([(1, 10, 20, "a"), (1, 10, 30, "b"), (1, 10, 40, "c")])
    place = Path(lake.place).parent / "quarantine"
    done = backfill(rows, lake, "1970-01-01", "1970-01-02", column="created", quarantine=place, now=lambda: 2_000)
    assert (done.added, done.changed) == (0, 2)
    assert [seen(lake, at)[1, 10] for at in (25, 35, 45)] == ["a", "b", "c"]


def test_a_column_that_is_a_part_of_the_key_tells_rows_apart(lake: Lake):
    taken(lake, [(1, 10, 20, "a")], key=("id", "created"))
    taken(lake, [(1, 10, 20, "a"), (1, 10, 30, "b")], key=("id", "created"), now=2_000)
    assert sorted((row["_known"], row["v"]) for row in log(lake)) == [(20, "a"), (30, "b")]


def test_the_lake_says_which_keys_it_has_several_rows_of(lake: Lake):
    """A first load with corrections vouches for no key: what is true now is one row each."""
    from tests.lake.ingest.history import current

    taken(lake, [(1, 10, 20, "a"), (1, 10, 30, "b"), (2, 10, 20, "x")])
    assert sorted(row["v"] for row in current(lake)) == ["b", "x"]
    assert lake.table("t").roles.corrections


@pytest.mark.parametrize("how", [{"mode": "full"}, {"mode": "incremental", "watermark": "at", "overlap": 1e9}])
def test_rows_without_a_key_are_known_when_their_source_says(tmp_path: Path, how: dict[str, object]) -> None:
    lake = open_lake(tmp_path / "lake")
    twins: list[Record] = [(1, 10, 15, "a"), (1, 10, 15, "a"), (2, 10, None, None)]
    assert taken(lake, twins, key=(), **how).added == 3
    assert taken(lake, [*twins, (1, 10, 25, "b"), (1, 10, 15, "a")], now=2 * NOW, key=(), **how).added == 2
    assert sorted((row["v"], row["_known"]) for row in log(lake) if row["v"]) == [("a", 15)] * 3 + [("b", 25)]
