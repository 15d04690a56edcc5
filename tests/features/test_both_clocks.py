"""From a file to training values: both clocks of a source, and what later loads and renames leave alone."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pyarrow import csv, parquet

import penstock
from penstock.project import Project
from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "features.md").read_text(encoding="utf-8")
CLOCKS = re.findall(r"```toml\n(\[tables\.readings\]\n.*?)```", PAGE, re.DOTALL)[0].replace("sensor_id", "id")
KEYS = {
    "event": 'key = ["id", "event_time"]',
    "record": 'key = ["id", "event_time", "created"]',
    "none": "",
}
SOURCE = 'name = "clocks"\n[sources.files]\nurl = "data"\n'
VIEW = '[entities.sensor]\nkey = "id"\n[features.now]\nentity = "sensor"\ntable = "readings"\ncolumns = ["v"]\n'
DAYS = [dt.datetime(2026, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=n - 1) for n in range(8)]
Row = Sequence[Any]


def written(folder: Path, rows: Sequence[Row], kind: str = "parquet", called: str = "v") -> None:
    """Rows of (id, event time, created, v) by days, as the project's source."""
    (folder / "data").mkdir(exist_ok=True)
    when = [[None if row[at] is None else DAYS[row[at]] for row in rows] for at in (1, 2)]
    instants = [pa.array(one, pa.timestamp("us", "UTC")) for one in when]
    table = pa.table(
        {"id": [row[0] for row in rows], "event_time": instants[0], "created": instants[1],
         called: pa.array([row[3] for row in rows], pa.int64())}
    )  # fmt: skip
    (parquet.write_table if kind == "parquet" else csv.write_csv)(table, folder / "data" / f"readings.{kind}")


def loaded(folder: Path, tables: str = CLOCKS) -> Project:
    """The project, run."""
    (folder / "penstock.toml").write_text(f"{SOURCE}{tables}\n{VIEW}", encoding="utf-8")
    runs = penstock.open(folder).run()
    assert [run.state for run in runs if run.failure] == []
    return penstock.open(folder)


def values(project: Project, *asked: tuple[int, int]) -> list[Any]:
    """What was known of a sensor on a day."""
    spine = pa.table({"id": [one for one, _ in asked], "at": [DAYS[day] for _, day in asked]})
    return project.features.historical(spine, "now:v")["v"].to_pylist()


CASES = {
    "h10": ([(1, 1, 3, 2), (1, 1, 2, 1)], [(1, 4), (1, 2), (1, 1)], [2, 1, None]),
    "h11": ([(1, 1, 4, 30), (1, 2, 1, 40)], [(1, 5)], [40]),
    "h13": ([(1, 1, 1, 10), (1, 1, 4, 20)], [(1, 2), (1, 5)], [10, 20]),
    "not said": ([(1, 1, None, 10), (1, 1, 4, 20)], [(1, 2), (1, 5)], [10, 20]),
    "h15": ([(1, 1, 1, 10), (1, 1, 1, 10)], [(1, 1)], [10]),
    "h17": ([(1, 1, 1, 10), (1, 2, 2, None)], [(1, 3)], [None]),
}


@pytest.mark.parametrize("kind", ["parquet", "csv"])
@pytest.mark.parametrize("case", CASES)
def test_a_source_that_says_when_it_knew(tmp_path: Path, case: str, kind: str) -> None:
    rows, asked, expected = CASES[case]
    written(tmp_path, rows, kind)
    assert values(loaded(tmp_path), *asked) == expected


@pytest.mark.parametrize("key", ["record", "none"])
@pytest.mark.parametrize("case", ["h10", "h11", "h13"])
def test_created_may_be_in_the_key_and_there_may_be_none(tmp_path: Path, case: str, key: str) -> None:
    rows, asked, expected = CASES[case]
    written(tmp_path, rows)
    assert KEYS["event"] in CLOCKS
    assert values(loaded(tmp_path, CLOCKS.replace(KEYS["event"], KEYS[key])), *asked) == expected


KEYED = '[tables.readings]\nkey = ["id", "event_time"]\ntime = "event_time"\n'


def test_later_loads_and_a_rename_change_neither_the_past_nor_a_version(tmp_path: Path) -> None:
    """Rows that come late, are corrected or vanish count from when that was known."""
    asked = [(one, day) for one in (1, 2, 3) for day in range(1, 7)]
    written(tmp_path, [(1, 1, 1, 10), (1, 4, 4, 40), (2, 2, 2, 20)])
    first = loaded(tmp_path, KEYED)
    before, version = values(first, *asked), first.features.bound.views["now"].fingerprint
    written(tmp_path, [(1, 1, 1, 11), (1, 3, 3, 30), (3, 1, 1, 50)])
    later = loaded(tmp_path, KEYED)
    assert values(later, *asked) == before
    spine = {"id": [1, 2, 3], "at": [dt.datetime.now(dt.UTC)] * 3}
    assert later.features.historical(spine, "now:v")["v"].to_pylist() == [30, None, 50]
    written(tmp_path, [(1, 1, 1, 11), (1, 3, 3, 30), (3, 1, 1, 50)], called="worth")
    renamed = loaded(tmp_path, f'{KEYED}renames = {{ v = "worth" }}\n')
    assert values(renamed, *asked) == before
    assert renamed.features.bound.views["now"].fingerprint == version == later.features.bound.views["now"].fingerprint
