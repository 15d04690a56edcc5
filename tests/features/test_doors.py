"""One project by every door: what training, a store, the command line and HTTP say of the same rows is the same."""

from __future__ import annotations

import asyncio
import datetime as dt
import decimal
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

import penstock
from penstock.cli import main
from penstock.serving.app import ServingApp
from tests.serving.asking import put

DAY, MICRO = dt.timedelta(days=1), dt.timedelta(microseconds=1)


def day(number: float, micros: int = 0) -> dt.datetime:
    """Midnight (UTC) of a day of January, and so many microseconds."""
    return dt.datetime(2026, 1, 1) + (number - 1) * DAY + micros * MICRO  # noqa: DTZ001  instants are UTC


READINGS = [
    (1, day(1), day(1), 10.0), (1, day(2), day(2), 20.0), (1, day(4), day(4), 40.0),
    (2, day(1), day(3), 2.0), (2, day(1), day(2), 1.0),
    (3, day(1), day(4), 30.0), (3, day(2), day(1), 40.0),
    (4, day(1), day(1), 10.0), (4, day(2), day(2), None),
    (5, day(1), day(1), 10.0), (5, day(1), day(1), 10.0),
    (6, day(2, 1), day(2, 1), 6.0), (7, day(-9000), day(-9000), 7.0),
    (8, day(60_000), day(1), 8.0), (8, day(1), day(1), 80.0),
    (9, day(1), None, 9.0), (10, day(1), day(1), math.nan), (10, day(0), day(1), 5.0),
    (11, day(2), day(2), 12.0), (11, day(2), day(2), 11.0),
]  # fmt: skip
"""Key, when it happened, when it was known, value: late ones, ties, twins, NULL, NaN, the far past and the future."""

IDS = [*range(1, 12), 99]
KINDS: dict[str, pa.Array] = {
    "whole": pa.array([2**63 - 1, -(2**63), 0, None]),
    "unsigned": pa.array([2**63 - 1, 1, 0, None], pa.uint64()),
    "exact": pa.array([2**62 + 1, -7, 0, None]).cast(pa.decimal128(20, 0)),
    "money": pa.array([decimal.Decimal("1.50"), decimal.Decimal("-3.25"), decimal.Decimal(0), None]),
    "number": pa.array([0.1, math.inf, -0.0, None]),
    "truth": pa.array([True, False, None, None]),
    "text": pa.array(["", "ünï\0x", " a ", None]),
    "date": pa.array([dt.date(2026, 1, 3), dt.date(1, 1, 1), dt.date(9999, 12, 31), None]),
    "instant": pa.array([day(3, 1), day(3), dt.datetime(1700, 1, 1), None], pa.timestamp("us", "America/New_York")),  # noqa: DTZ001
    "words": pa.array([["a", "b"], [], [None, "é"], None], pa.list_(pa.string())),
    "category": pa.array(["x", "y", "x", None]).dictionary_encode(),
}  # fmt: skip

PROJECT = """
name = "doors"
[sources.here]
url = "rows"
[tables.readings]
time = "at"
known = "created"
[tables.kinds]
time = "at"
[entities.thing]
key = "id"
[entities.exactly]
key = "exact"
[features.last]
entity = "thing"
table = "readings"
columns = ["v"]
[features.fresh]
entity = "thing"
table = "readings"
columns = { fresh = "v" }
ttl = "1 day"
[features.just]
entity = "thing"
table = "readings"
columns = { just = "v" }
ttl = 0.000001
[features.kinds]
entity = "thing"
table = "kinds"
columns = [COLUMNS]
[features.named_exactly]
entity = "exactly"
table = "kinds"
columns = { told = "text" }
[features.asked]
inputs = { v = "last:v" }
requested = { x = "float" }
expressions = { more = "v > x", both = "v + x" }
[online]
store = ".penstock/online"
"""


class Doors(NamedTuple):
    """A project that has run, and an application that serves it."""

    project: Any
    app: ServingApp
    folder: Path

    def http(self, features: list[str], entities: dict[str, Any]) -> dict[str, Any]:
        """What HTTP says, by name, keys left out."""
        body = json.dumps({"features": features, "entities": entities}).encode()
        told = asyncio.run(put(self.app, "POST", "/get-online-features", body)).json
        columns = zip(told["metadata"]["feature_names"], told["results"], strict=True)
        return {name: column["values"] for name, column in columns if name not in entities}

    def shell(self, *arguments: str) -> Any:
        """What a command prints as JSON."""
        done = CliRunner().invoke(main, [*arguments, "--project", str(self.folder), "--json"])
        assert done.exit_code == 0, done.output
        return json.loads(done.stdout)


@pytest.fixture(scope="module")
def doors(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Doors]:
    folder = tmp_path_factory.mktemp("doors")
    (folder / "rows").mkdir()
    columns = dict(zip(("id", "at", "created", "v"), map(list, zip(*READINGS, strict=True)), strict=True))
    pq.write_table(pa.table(columns), folder / "rows" / "readings.parquet")
    kinds = pa.table({"id": [1, 2, 3, 4], "at": [day(1)] * 4, **KINDS})
    pq.write_table(kinds, folder / "rows" / "kinds.parquet")
    (folder / "penstock.toml").write_text(PROJECT.replace("COLUMNS", ", ".join(f'"{name}"' for name in KINDS)))
    project = penstock.open(folder)
    assert {run.state for run in project.run()} == {"done"}
    service = project.service()
    app = ServingApp(service)
    yield Doors(project, app, folder)
    app.close()
    service.close()


def naive(key: int, at: dt.datetime, ttl: dt.timedelta | None = None) -> float | None:
    """What the newest of all rows that had happened and were known by then says."""
    rows = [(when, made or when, math.inf if v is None else v) for one, when, made, v in READINGS if one == key]
    seen = [row for row in rows if max(row[0], row[1]) <= at]
    if not seen:
        return None
    when, _, value = max(seen)
    return value if math.isfinite(value) and (ttl is None or at - when <= ttl) else None


def test_training_reads_what_a_double_loop_finds(doors: Doors) -> None:
    pairs = [(key, day(number, micros)) for key in IDS for number in range(8) for micros in (-1, 0, 1)]
    spine = pa.table({"id": [key for key, _ in pairs], "cutoff": pa.array([at for _, at in pairs])})
    found = doors.project.features.historical(spine, ["last:v", "fresh:fresh", "just:just"])
    for name, ttl in (("v", None), ("fresh", DAY), ("just", MICRO)):
        assert found[name].to_pylist() == [naive(key, at, ttl) for key, at in pairs]


def test_every_door_says_the_same_of_now(doors: Doors) -> None:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    expected = [naive(key, now) for key in IDS]
    assert doors.project.online.read("last:v", {"id": IDS}).values == [expected]
    assert doors.http(["last:v"], {"id": IDS}) == {"v": expected}
    told = doors.shell("online", "get", "last:v", "--key", f"id={','.join(map(str, IDS))}")
    assert [row["value"] for row in told["rows"]] == expected
    assert doors.project.online.read("fresh:fresh", {"id": IDS}).values == [[None] * len(IDS)]


def test_a_spine_by_the_command_line(doors: Doors, tmp_path: Path) -> None:
    spine = pa.table({"id": [1, 2, 1, 1], "cutoff": [day(3)] * 4, "weight": [0.5, 1.5, 2.5, 2.5]})
    pq.write_table(spine, tmp_path / "spine.parquet")
    told = doors.shell("features", "historical", str(tmp_path / "spine.parquet"), "last:v")
    assert [row["v"] for row in told] == [20.0, 2.0, 20.0, 20.0]
    out = str(tmp_path / "out.parquet")
    asked = ["features", "historical", str(tmp_path / "spine.parquet"), "last:v", "--out", out]
    done = CliRunner().invoke(main, [*asked, "--project", str(doors.folder)])
    assert done.exit_code == 0, done.output
    assert pq.read_table(out).to_pydict() == {**spine.to_pydict(), "v": [20.0, 2.0, 20.0, 20.0]}


def test_values_of_every_kind(doors: Doors) -> None:
    now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
    spine = pa.table({"id": [1, 2, 3, 4, 5], "cutoff": [now] * 5})
    table = doors.project.features.historical(spine, "kinds:*")
    found = doors.project.online.read("kinds:*", {"id": [1, 2, 3, 4, 5]}).to_dict()
    assert {name: table[name].to_pylist() for name in KINDS} == found
    assert found["whole"] == [2**63 - 1, -(2**63), 0, None, None]
    assert found["unsigned"] == [2**63 - 1, 1, 0, None, None]
    assert found["exact"] == [2**62 + 1, -7, 0, None, None]
    assert found["money"] == [1.5, -3.25, 0.0, None, None]
    assert found["number"] == [0.1, None, 0.0, None, None]
    assert found["text"] == ["", "ünï\0x", " a ", None, None]
    assert found["words"] == [["a", "b"], [], [None, "é"], None, None]
    assert found["instant"][:2] == [day(3, 1), day(3)]
    same = ("whole", "unsigned", "exact", "money", "number", "truth", "text", "words", "category")
    served = doors.http([f"kinds:{name}" for name in same], {"id": [1, 2, 3, 4, 5]})
    assert served == {name: found[name] for name in same}


def test_whole_numbers_of_any_type_are_keys(doors: Doors) -> None:
    keys = [2**62 + 1, 2**62, -7, 0]
    expected = ["", None, "ünï\0x", " a "]
    assert doors.project.online.read("named_exactly:told", {"exact": keys}).values == [expected]
    for kind in (pa.int64(), pa.decimal128(38, 0), pa.string()):
        spine = pa.table({"exact": pa.array(keys).cast(kind), "cutoff": [day(3)] * 4})
        assert doors.project.features.historical(spine, "named_exactly:told")["told"].to_pylist() == expected


def test_on_demand_by_every_door(doors: Doors) -> None:
    keys, asked = [1, 2, 4, 99], [1.0, 2.5, 3.0, None]
    expected = {"more": [True, False, False, False], "both": [41.0, 4.5, None, None]}
    spine = pa.table({"id": keys, "x": asked, "cutoff": [day(9)] * 4})
    table = doors.project.features.historical(spine, "asked:*")
    assert {name: table[name].to_pylist() for name in expected} == expected
    assert doors.project.online.read("asked:*", {"id": keys}, requested={"x": asked}).to_dict() == expected
    found = doors.http(["asked:more", "asked:both"], {"id": keys, "x": asked})
    assert {name: found[name] for name in expected} == expected
