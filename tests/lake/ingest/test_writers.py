"""Other writers, other states, little memory: the outcome is the same."""

from __future__ import annotations

from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.lake.ingest import Verdict, difference, ingest
from penstock.lake.versioned import Lake, Staged, VersionedTable, open_lake
from tests.lake.ingest.history import Model, Row, current, intake, lake_log, log, taken


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


def quarantine(lake: Lake) -> Path:
    return Path(lake.place).parent / "quarantine"


def rows(*numbers: int, value: str = "v") -> list[Row]:
    return [(n, n, value) for n in numbers]


def written(lake: Lake, name: str, *found: Row, known: int) -> None:
    """Another writer's commit."""
    table = lake.table("t")
    columns = zip(*found, strict=True)
    batch = pa.record_batch(
        [*map(pa.array, columns), pa.array([known] * len(found), pa.timestamp("us")), pa.array([False] * len(found))],
        schema=table.schema,
    )
    table.commit(table.stage([batch]), batch=name)


def test_a_writer_that_came_first_is_seen(lake: Lake):
    taken(lake, rows(1, 2), 1_000, quarantine(lake), mode="compare", key=("id",))
    came: list[int] = []

    def check(table: VersionedTable, staged: Staged) -> Verdict:
        came.append(staged.rows)
        if len(came) == 1:
            written(lake, "other", (3, 3, "w"), known=1_500)
        return Verdict(True)

    given = intake(rows(1, 2, 3), mode="compare", key=("id",))
    done = ingest(given, lake, quarantine=quarantine(lake), check=check, now=lambda: 2_000)
    assert came == [1, 1]
    assert (done.added, done.changed, done.version) == (0, 1, 3)
    assert [(r["v"], r["_known"]) for r in log(lake) if r["id"] == 3] == [("w", 1_500), ("v", 2_000)]


def test_several_at_once_do_what_one_does(lake: Lake):
    given = intake(rows(*range(50)), mode="incremental", key=("id",), watermark="at")
    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(lambda _: ingest(given, lake, quarantine=quarantine(lake)), range(4)))
    assert sorted(one.added for one in done) == [0, 0, 0, 50]
    assert len(log(lake)) == 50


def test_a_state_that_is_not_there_is_read_from_the_rows(lake: Lake):
    place = quarantine(lake)
    taken(lake, rows(1, 50), 1_000, place, mode="compare", key=("id",))
    how = {"mode": "incremental", "key": ("id",), "watermark": "at", "overlap": 5}
    done = taken(lake, rows(1, 50, 51), 2_000, place, **how)
    assert (done.read, done.added) == (2, 1)
    written(lake, "other", (60, 60, "w"), known=2_500)
    done = taken(lake, rows(1, 50, 51, 70), 3_000, place, **how)
    assert (done.read, done.added) == (3, 1)


def test_an_empty_first_load_was_one(lake: Lake):
    taken(lake, [], 1_000, quarantine(lake), mode="compare", key=("id",))
    taken(lake, rows(1), 2_000, quarantine(lake), mode="compare", key=("id",))
    assert [r["_known"] for r in log(lake)] == [2_000]


@pytest.mark.parametrize(("mode", "key"), [("compare", ("id",)), ("full", ()), ("incremental", ())])
def test_in_parts_as_at_once(lake: Lake, monkeypatch: pytest.MonkeyPatch, mode: str, key: tuple[str, ...]):
    """Tables that do not fit into memory are compared a part at a time."""
    monkeypatch.setattr(difference, "_BYTES_A_ROW", 1 << 20)
    monkeypatch.setattr(difference, "_UNPACKED", 1 << 16)
    monkeypatch.setenv("PENSTOCK_MEMORY", "256MB")
    model = Model(bool(key), mode, 10_000)
    first = [(n, n % 97, f"v{n % 7}" if n % 11 else None) for n in range(600)]
    second = [(n, n % 97, f"v{n % 5}" if n % 11 else None) for n in range(100, 700)]
    for now, found in ((1_000, first), (2_000, second), (1_500, first)):
        taken(lake, found, now, quarantine(lake), mode=mode, key=key, watermark="at", overlap=10_000)
        model.take(found, now)
        assert lake_log(lake) == Counter(model.log)
    assert len(current(lake)) == len(model.holds())


def test_a_source_that_cannot_be_reached_leaves_all_as_it_was(lake: Lake, tmp_path: Path):
    from penstock.lake.ingest import Intake

    hidden = "postgresql://ada:secret@127.0.0.1:9/shop"
    for source in (hidden, "mysql://ada:secret@127.0.0.1:9/shop", str(tmp_path / "nothing.sqlite")):
        with pytest.raises(SourceError) as caught:
            ingest(Intake("t", source, "t"), lake, quarantine=quarantine(lake))
        assert "secret" not in str(caught.value)
        assert caught.value.code in {"SOURCE_UNREACHABLE", "SOURCE_ABSENT"}
    assert "secret" not in repr(Intake("t", hidden, "t"))
    assert "t" not in lake
