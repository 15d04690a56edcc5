"""What does not fit goes into quarantine with its reason, and so does a whole batch that a check refuses."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import RefusedError, SchemaError
from penstock.lake.ingest import (
    Ingested,
    Intake,
    Verdict,
    backfill,
    discard,
    ingest,
    refused_batches,
    release,
    tables_in,
)
from penstock.lake.sql import Sql
from penstock.lake.versioned import Lake, Staged, VersionedTable, open_lake
from tests.lake.ingest.history import current, log

NOW = int(datetime(2024, 6, 1, tzinfo=UTC).timestamp()) * 1_000_000
DAY = 86_400_000_000


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


def place(lake: Lake) -> Path:
    return Path(lake.place).parent / "quarantine"


def take(lake: Lake, rows: dict[str, object], *, now: int = NOW, check=None, **how) -> Ingested:
    intake = Intake("t", {"t": pa.table(rows)}, "t", **{"mode": "compare", **how})
    return ingest(intake, lake, quarantine=place(lake), now=lambda: now, check=check)


def rejected(lake: Lake) -> list[dict[str, object]]:
    files = sorted((place(lake) / "t").glob("*.parquet"), key=lambda path: path.stat().st_mtime_ns)
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_instants_in_lists_that_no_date_can_say_are_rejected(lake: Lake):
    """Alone, and beside an instant that is rejected itself; no reader of Python could give them out."""
    far = 2**62
    lists = pa.array([[far], [0, None], None, [far, 0], []], pa.list_(pa.timestamp("us")))
    done = take(lake, {"id": [1, 2, 3, 4, 5], "l": lists, "t": pa.array([far, 0, 0, 0, 0], pa.timestamp("us"))})
    assert (done.added, done.rejected) == (3, 2)
    reasons = {json.loads(row["raw"])["id"]: (row["reason"], json.loads(row["raw"])["l"]) for row in rejected(lake)}
    assert reasons["4"] == ("l holds instants outside the years 0001 to 9999", f"[{far}, 0]")
    assert reasons["1"][0].endswith("outside the years 0001 to 9999")


def test_rows_without_a_key_or_with_that_of_another_are_rejected(lake: Lake):
    done = take(lake, {"id": [1, None, 1, 2], "v": ["a", "b", "c", None]}, key=("id",))
    assert (done.read, done.added, done.rejected) == (4, 2, 2)
    assert [(r["row"], r["reason"], json.loads(r["raw"])) for r in sorted(rejected(lake), key=lambda r: r["row"])] == [
        (2, "the key column id is NULL", {"id": None, "v": "b"}),
        (3, "the key (id) repeats that of row 1", {"id": "1", "v": "c"}),
    ]
    again = take(lake, {"id": [1, None, 1, 2], "v": ["a", "b", "c", None]}, key=("id",))
    assert (again.rejected, again.batch, len(rejected(lake))) == (2, "", 2)
    more = take(lake, {"id": [3, 3], "v": ["x", "y"]}, key=("id",))
    assert (more.added, more.rejected, more.deleted) == (1, 1, 2)


def test_a_rejected_row_does_not_seem_to_have_vanished(lake: Lake):
    when = [datetime(2024, 1, 1, tzinfo=UTC), datetime(2024, 1, 2, tzinfo=UTC)]
    take(lake, {"id": [1, 2], "at": when}, key=("id",), happened="at")
    late = [datetime(2024, 1, 1, tzinfo=UTC), datetime(2030, 1, 2, tzinfo=UTC)]
    done = take(lake, {"id": [1, 2], "at": late}, key=("id",), happened="at", refuse_future=True)
    assert (done.rejected, done.changed, done.deleted) == (1, 0, 0)
    assert rejected(lake)[0]["reason"] == "at lies in the future"
    done = take(lake, {"id": [1, None], "at": when}, key=("id",), happened="at")
    assert (done.rejected, done.deleted) == (1, 0)
    assert "1 row was rejected that could be any of the 1 that are gone: deletions wait" in done.notes


def test_what_lies_in_the_future_is_noted(lake: Lake):
    ahead = [NOW + DAY // 2, NOW + 2 * DAY]
    rows = {"id": [1, 2], "at": pa.array(ahead, pa.timestamp("us"))}
    done = take(lake, rows, key=("id",), mode="incremental", watermark="at")
    assert (done.added, done.rejected) == (2, 0)
    assert done.notes == ("1 instants lie in the future: more than 86400 seconds ahead",)
    later = {"id": [3], "at": pa.array([NOW + DAY], pa.timestamp("us"))}
    assert take(lake, later, key=("id",), mode="incremental", watermark="at").added == 1


def refusing(reason: str):
    def check(table: VersionedTable, staged: Staged) -> Verdict:
        with Sql({"t": table.scan(beside=staged)}) as sql:
            (count,) = sql.arrow("SELECT count(*) AS n FROM t").column("n").to_pylist()
        return Verdict(count < 3, (f"{reason}: {count} rows",), {"rows": count})

    return check


@pytest.mark.parametrize("key", [("id",), ()])
def test_a_refused_batch_is_released_or_discarded(lake: Lake, key: tuple[str, ...]):
    check = refusing("too many")
    take(lake, {"id": [1, 2]}, key=key, mode="full", check=check)
    with pytest.raises(RefusedError, match="too many: 3 rows") as caught:
        take(lake, {"id": [1, 3, 4]}, key=key, mode="full", check=check)
    assert caught.value.code == "INGEST_CHECK_FAILED"
    assert sorted(row["id"] for row in current(lake)) == [1, 2]
    (batch,) = refused_batches(place(lake), "t")
    assert (batch.batch, batch.reasons, batch.after) == (caught.value.name, ("too many: 3 rows",), 1)
    assert batch.results == "{'rows': 3}"
    version = release(lake, place(lake), "t", batch.batch)
    assert (version.number, version.batch) == (2, batch.batch)
    assert sorted(row["id"] for row in current(lake)) == [1, 3, 4]
    assert refused_batches(place(lake), "t") == ()
    assert take(lake, {"id": [1, 3, 4]}, key=key, mode="full").batch == ""


def test_a_stale_batch_cannot_be_released(lake: Lake):
    take(lake, {"id": [1, 2]}, key=("id",))
    with pytest.raises(RefusedError, match="too many"):
        take(lake, {"id": [1, 2, 3]}, key=("id",), check=refusing("too many"))
    take(lake, {"id": [1]}, key=("id",))
    (batch,) = refused_batches(place(lake), "t")
    before = log(lake)
    with pytest.raises(RefusedError, match="others came since"):
        release(lake, place(lake), "t", batch.batch)
    assert log(lake) == before
    discard(place(lake), "t", batch.batch)
    with pytest.raises(RefusedError, match="no batch 'nothing' in quarantine"):
        discard(place(lake), "t", "nothing")


def test_a_refused_first_load_leaves_no_version(lake: Lake):
    with pytest.raises(RefusedError, match="too many"):
        take(lake, {"id": [1, 2, 3]}, key=("id",), check=refusing("too many"))
    assert lake.table("t").newest() is None
    assert take(lake, {"id": [1, 2]}, key=("id",), check=refusing("too many")).added == 2


def test_no_name_leads_out_of_quarantine(lake: Lake):
    for name in ("../over", "a/b", ".hidden"):
        with pytest.raises(SchemaError, match="LAKE_NAME"):
            ingest(Intake(name, {"t": pa.table({"id": [1, 1]})}, "t", key=("id",)), lake, quarantine=place(lake))
    names = ('it\'s "so"', "a%2Fb", "ends.")
    for name in names:
        intake = Intake(name, {"t": pa.table({"id": [1, 1], "v": [1, 2]})}, "t", key=("id",))
        assert ingest(intake, lake, quarantine=place(lake)).rejected == 1
    assert set(names) <= set(tables_in(place(lake)))
    assert sorted(path.name for path in place(lake).parent.iterdir() if path.is_dir()) == ["lake", "quarantine"]


def test_a_source_without_rows_is_noted(lake: Lake):
    take(lake, {"id": [1, 2]}, key=("id",))
    done = take(lake, {"id": pa.array([], pa.int64())}, key=("id",))
    assert (done.deleted, done.notes) == (2, ("the source has no rows: all 2 are gone",))


# ---------------------------------------------------------------- the past


def days(*numbers: int) -> pa.Array:
    return pa.array([NOW - n * DAY for n in numbers], pa.timestamp("us"))


def test_the_past_is_read_again(lake: Lake):
    how = {"key": ("id",), "mode": "incremental", "watermark": "at", "happened": "at"}
    take(lake, {"id": [1, 2, 3], "at": days(9, 5, 1), "v": ["a", "b", "c"]}, **how)
    rows = pa.table({"id": [1, 2, 4, 3], "at": days(9, 5, 6, 1), "v": ["A", "B", "D", "C"]})
    intake = Intake("t", {"t": rows}, "t", **how)
    assert ingest(intake, lake, quarantine=place(lake), now=lambda: NOW).changed == 1
    when = ["2024-05-20", datetime(2024, 5, 30, tzinfo=UTC)]
    done = backfill(intake, lake, *when, quarantine=place(lake), now=lambda: NOW + 7)
    assert (done.read, done.added, done.changed, done.deleted) == (3, 1, 2, 0)
    known = {(r["id"], r["v"]): r["_known"] for r in log(lake)}
    assert known[1, "A"] == known[4, "D"] == NOW + 7
    again = backfill(intake, lake, *when, quarantine=place(lake), now=lambda: NOW + 9)
    assert again.batch == ""
    assert ingest(intake, lake, quarantine=place(lake), now=lambda: NOW).batch == ""


def test_the_past_may_count_as_known_when_it_happened(lake: Lake):
    take(lake, {"id": [1], "at": days(1), "v": ["a"]}, key=("id",), happened="at")
    rows = pa.table({"id": [1, 2], "at": days(1, 2), "v": ["A", "B"]})
    intake = Intake("t", {"t": rows}, "t", mode="compare", key=("id",), happened="at")
    done = backfill(intake, lake, "2024-01-01", "2025-01-01", known="happened", quarantine=place(lake),
                    now=lambda: NOW)  # fmt: skip
    assert (done.added, done.changed) == (1, 1)
    assert {(r["id"], r["v"]): r["_known"] for r in log(lake)} == {(1, "a"): None, (1, "A"): NOW, (2, "B"): None}


def test_rows_without_a_key_are_filled_in_as_often_as_they_are_missing(lake: Lake):
    take(lake, {"at": days(3, 3), "v": ["a", "a"]}, mode="full")
    rows = pa.table({"at": days(3, 3, 3, 2), "v": ["a", "a", "a", "b"]})
    intake = Intake("t", {"t": rows}, "t", happened="at")
    done = backfill(intake, lake, "2024-05-29", "2024-05-30", quarantine=place(lake), now=lambda: NOW)
    assert (done.read, done.added) == (3, 1)


def test_a_range_that_is_none_is_refused(lake: Lake):
    intake = Intake("t", {"t": pa.table({"id": [1], "at": days(1)})}, "t", key=("id",), happened="at")
    with pytest.raises(RefusedError, match="'yesterday' is no timestamp"):
        backfill(intake, lake, "yesterday", "2024-01-01", quarantine=place(lake))
    with pytest.raises(RefusedError, match="cannot be known 'soon'"):
        backfill(intake, lake, "2024-01-01", "2024-01-02", known="soon", quarantine=place(lake))
    bare = Intake("t", {"t": pa.table({"id": [[1]]})}, "t")
    with pytest.raises(SchemaError, match="by which column is the past to be read"):
        backfill(bare, open_lake(Path(lake.place).parent / "other"), 1, 2, quarantine=place(lake))


def test_when_rows_were_known_may_be_the_sources_word(lake: Lake):
    rows = {"id": [1, 2], "at": days(3, 3), "told": pa.array([NOW - DAY, None], pa.timestamp("us"))}
    take(lake, rows, key=("id",), known="told")
    assert {r["id"]: r["_known"] for r in log(lake)} == {1: NOW - DAY, 2: None}
