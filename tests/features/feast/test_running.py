"""A Feast repository that was taken over is a project like any other: it runs, and gives Feast's values."""

from __future__ import annotations

import datetime as dt
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
from click.testing import CliRunner

import penstock
from penstock.cli import main
from penstock.features.feast import write_project
from penstock.pipeline.projectfile import read_project
from tests.features.feast.repos import DRIVERS, LOCATIONS, written


def day(number: float) -> dt.datetime:
    return dt.datetime(2026, 1, 1) + dt.timedelta(days=number)  # noqa: DTZ001  Parquet's instants have no zone here


def stats(folder: Path) -> None:
    """Two drivers; rows of one instant, of which the one made last counts, and one that says nothing."""
    rows = [
        (1, day(1), day(9), 0.1, 10), (1, day(2), day(9), 0.2, 20), (1, day(2), day(8), 0.9, 90),
        (2, day(1), day(9), 0.5, 5), (2, day(3), day(9), None, None),
    ]  # fmt: skip
    names = ("driver_id", "event_timestamp", "created", "conv_rate", "trips")
    table = pa.table({name: list(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)})
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "driver_stats.parquet")


def test_values_of_a_repository(tmp_path):
    repo = written(tmp_path / "repo", {"definitions.py": DRIVERS})
    stats(repo / "data")
    write_project(repo, tmp_path / "project")
    project = penstock.open(tmp_path / "project")
    assert [run.state for run in project.run()] == ["done", "done"]  # its table, and the store
    spine = pa.table({
        "driver_id": [1, 1, 1, 2, 2, 3], "event_timestamp": [day(1), day(2.5), day(4), day(2), day(3), day(2)],
        "bonus": [1, 1, 1, 1, 1, 1],
    })  # fmt: skip
    found = project.features.historical(spine, ["hourly:conv_rate", "hourly:trips", "with_bonus:rate_and_bonus"])
    assert found["conv_rate"].to_pylist() == [0.1, 0.2, None, 0.5, None, None]
    assert found["trips"].to_pylist() == [10, 20, None, 5, None, None]
    assert found["rate_and_bonus"].to_pylist() == [1.1, 1.2, None, 1.5, None, None]
    named = project.features.historical(spine, "activity")
    assert named.column_names == ["driver_id", "event_timestamp", "bonus", "conv_rate", "rate_and_bonus", "half"]


def test_roles_and_renamed_columns(tmp_path):
    repo = written(tmp_path / "repo", LOCATIONS)
    (repo / "data").mkdir()
    pq.write_table(
        pa.table({"loc": [1, 2], "at": [day(1), day(1)], "temp": [10.0, 20.0]}), repo / "data" / "locations.parquet"
    )
    pq.write_table(
        pa.table({"customer": ["a"], "location_id": [1], "at": [day(1)], "total": [7]}),
        repo / "data" / "orders.parquet",
    )
    write_project(repo, tmp_path / "project")
    assert set(read_project(tmp_path / "project").tables) == {"locations", "orders"}
    project = penstock.open(tmp_path / "project")
    assert {run.state for run in project.run()} == {"done"}
    spine = pa.table({
        "origin_id": [1, 2], "destination_id": [2, 1], "customer": ["a", "a"], "location_id": [1, 2],
        "cutoff": [day(2), day(2)],
    })  # fmt: skip
    found = project.features.historical(spine, "route", full_names=True)
    assert found["origin__temperature"].to_pylist() == [10.0, 20.0]
    assert found["destination__temperature"].to_pylist() == [20.0, 10.0]
    assert found["spent__total"].to_pylist() == [7, None]


def test_on_the_command_line(tmp_path):
    repo = written(tmp_path / "repo", {"definitions.py": DRIVERS})
    done = CliRunner().invoke(main, ["import", "feast", str(repo), "--json"])
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["carried"] == {
        "sources": 1, "tables": 1, "streams": 0, "entities": 1, "features": 3, "services": 1,
    }  # fmt: skip
    assert told["left_out"][0]["at"] == "definitions.py:19"
    assert Path(told["made"][0]) == tmp_path / "repo_penstock" / "penstock.toml"
    again = CliRunner().invoke(main, ["import", "feast", str(repo)])
    assert again.exit_code == 2
    shown = CliRunner().invoke(main, ["import", "feast", str(repo), "--out", str(tmp_path / "other")])
    assert "carried over: 1 source, 1 table, 1 entity, 3 features, 1 service" in shown.output
    assert "left out: definitions.py:19: hourly:extras" in shown.output
