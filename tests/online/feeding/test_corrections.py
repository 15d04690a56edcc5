"""Corrections that stream in are served as training reads them, in whatever order they come."""

from __future__ import annotations

import datetime as dt
from pathlib import Path
from tempfile import TemporaryDirectory

import hypothesis.strategies as st
import pyarrow as pa
from hypothesis import example, given, settings

from penstock.lake.streams import Message, Stream, open_writer
from penstock.lake.versioned import Roles
from penstock.project import Project, open_project

FEW = settings(max_examples=max(5, settings().max_examples // 15), deadline=None)
DAY = 86_400_000_000
BEGIN = 1_767_225_600_000_000
PROJECT = """
name = "corrected"
[entities.driver]
key = "driver"
[features.newest]
entity = "driver"
table = "stats"
columns = ["v"]
[features.all]
entity = "driver"
expressions = { rows = "COUNT(stats.*, -INF, 0, days)", total = "SUM(stats.v, -INF, 0, days)" }
[online]
store = "kept"
"""
COLUMNS = pa.schema([
    ("driver", pa.int64()), ("at", pa.timestamp("us")), ("created", pa.timestamp("us")), ("v", pa.float64()),
])  # fmt: skip
ROWS = st.lists(
    st.tuples(st.integers(1, 2), st.integers(0, 3), st.none() | st.integers(0, 6), st.integers(0, 9)),
    min_size=1, max_size=14,
)  # fmt: skip
FEATURES = ["newest:v", "all:rows", "all:total"]


def made(folder: Path) -> Project:
    """A project with an empty table whose source keeps corrections."""
    (folder / "penstock.toml").write_text(PROJECT)
    project = open_project(folder)
    project.site.lake.create("stats", COLUMNS, Roles(("driver", "at"), "at", None, "", "created"))
    return project


def message(number: int, row: tuple[int, int, int | None, int]) -> Message:
    driver, event, created, value = row
    told = {"driver": driver, "at": _instant(event), "v": float(value)}
    return Message("p", number, told | ({} if created is None else {"created": _instant(created)}), typed=True)


def _instant(days: int) -> dt.datetime:
    return dt.datetime.fromtimestamp((BEGIN + days * DAY) / 1e6, dt.UTC)


def past(project: Project) -> list[list[object]]:
    """What training reads now, and as of each day."""
    when = [dt.datetime.now(dt.UTC), *map(_instant, range(8))]
    spine = pa.table({"driver": [1, 2] * len(when), "cutoff": [one for one in when for _ in range(2)]})
    found = project.features.historical(spine, FEATURES)
    return [found[ref.partition(":")[2]].to_pylist() for ref in FEATURES]


@given(ROWS, st.lists(st.integers(1, 5), min_size=14, max_size=14))
@example([(1, 1, 5, 9), (1, 1, 3, 3), (1, 1, 5, 8), (1, 1, None, 7), (1, 2, 1, 4)], [2] * 14)
@FEW
def test_what_is_served_is_what_training_reads(rows: list[tuple[int, int, int | None, int]], sizes: list[int]) -> None:
    with TemporaryDirectory() as folder:
        project = made(Path(folder))
        feed = project.online.feed()
        feed.start()
        stream = Stream("s", "redis://h/s", "stats", ("driver", "at"), "at", known="created")
        writer = open_writer(stream, project.site.lake, project.site.now, feed.landed)
        sent = 0
        try:
            for size in sizes:
                some = rows[sent : sent + size]
                writer.write([message(sent + n + 1, row) for n, row in enumerate(some)])
                sent += len(some)
                assert feed.settle(60)
                served = project.online.read(FEATURES, {"driver": [1, 2]})
                assert [list(column) for column in served.values] == [column[:2] for column in past(project)]
        finally:
            writer.close()
            feed.stop()
        before = past(project)
        project.online.sync(anew=True)
        served = project.online.read(FEATURES, {"driver": [1, 2]})
        assert [list(column) for column in served.values] == [column[:2] for column in before]
        assert project.online.verify(sample=5, since=project.site.now() - 1).passed
