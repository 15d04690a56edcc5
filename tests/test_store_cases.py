"""What a feature store must answer, asked of whole projects: corrections by two clocks, lists, and types of every kind.

Each case is asked of the past, of the store, of the sources themselves, and where it is about the wire, by HTTP.
"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import closing, contextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyarrow import flight

from penstock.errors import RequestError
from penstock.project import Project, open_project
from penstock.serving.app import ServingApp
from penstock.serving.flight import flying
from tests.serving.asking import ask, online

Record = tuple[int, dt.datetime, dt.datetime | None, float | None]
DAY = [dt.datetime(2026, 1, 1) + dt.timedelta(days=n) for n in range(-1, 12)]  # noqa: DTZ001  as sources without zones
CORRECTED = """
name = "corrected"
[sources.s]
url = "{url}"
[tables.stats]
{from_}
key = ["driver_id", "event_timestamp"]
time = "event_timestamp"
known = "created"
{more}
[entities.driver]
key = "driver_id"
[features.stats]
entity = "driver"
table = "stats"
columns = ["v"]
[features.all]
entity = "driver"
expressions = {{ rows = "COUNT(stats.*, -INF, 0, days)", last = "LAST(stats.v, -INF, 0, days)" }}
[online]
store = "{store}"
"""


def write_csv(folder: Path, records: Sequence[Record]) -> str:
    told = [
        [driver, at, "" if created is None else created, "" if v is None else v] for driver, at, created, v in records
    ]
    lines = [",".join(map(str, row)) for row in [["driver_id", "event_timestamp", "created", "v"], *told]]
    (folder / "source").mkdir(exist_ok=True)
    (folder / "source" / "stats.csv").write_text("\n".join(lines) + "\n")
    return "source"


def write_sqlite(folder: Path, records: Sequence[Record]) -> str:
    with closing(sqlite3.connect(folder / "source.sqlite")) as database, database:
        database.execute("DROP TABLE IF EXISTS stats")
        database.execute("CREATE TABLE stats (driver_id INTEGER, event_timestamp TIMESTAMP, created TIMESTAMP, v REAL)")
        told = [(driver, str(at), created and str(created), v) for driver, at, created, v in records]
        database.executemany("INSERT INTO stats VALUES (?, ?, ?, ?)", told)
    return "source.sqlite"


WRITERS: dict[str, Callable[[Path, Sequence[Record]], str]] = {"csv": write_csv, "sqlite": write_sqlite}
LIVE = "live"


class Stats:
    """A project about drivers' numbers, whose source keeps corrections."""

    def __init__(self, folder: Path, kind: str = "csv", more: str = "") -> None:
        self.folder, self.write, self.more = folder, WRITERS[kind], more

    def opened(self, store: str = "kept") -> Project:
        url = self.write.__name__.removeprefix("write_")
        place = {"csv": "source", "sqlite": "source.sqlite"}[url]
        told = CORRECTED.format(url=place, from_="", store=store, more=self.more)
        (self.folder / "penstock.toml").write_text(told)
        return open_project(self.folder)

    def holds(self, records: Sequence[Record]) -> None:
        """Bring in a source that holds these records."""
        self.write(self.folder, records)
        runs = self.opened().run()
        assert [run.failure for run in runs] == [None] * len(runs)

    def past(self, *asked: tuple[int, dt.datetime]) -> list[object]:
        spine = pa.table({"driver_id": [one for one, _ in asked], "event_timestamp": [at for _, at in asked]})
        found = self.opened().features.historical(spine, ["stats:v", "all:last"])
        assert found["v"] == found["last"]
        return found["v"].to_pylist()

    def now(self, *drivers: int, store: str = "kept") -> list[object]:
        return list(self.opened(store).online.read(["stats:v"], {"driver_id": list(drivers)}).values[0])

    def must_agree(self, *drivers: int) -> list[object]:
        """What the store, the source and training say now: the same."""
        found = self.now(*drivers)
        assert self.now(*drivers, store=LIVE) == found
        assert self.past(*((driver, DAY[11]) for driver in drivers)) == found
        return found


@pytest.mark.parametrize("kind", WRITERS)
def test_corrections_count_from_when_they_were_created(tmp_path: Path, kind: str) -> None:
    stats = Stats(tmp_path, kind)
    first: list[Record] = [
        (1, DAY[1], DAY[3], 2.0), (1, DAY[1], DAY[2], 1.0),  # the later one of one event counts
        (2, DAY[1], DAY[4], 30.0), (2, DAY[2], DAY[1], 40.0),  # a later event before a later correction
        (3, DAY[1], None, 10.0), (3, DAY[1], None, 10.0),  # the same row twice
    ]  # fmt: skip
    stats.holds(first)
    asked = [(1, DAY[4]), (1, DAY[2]), (1, DAY[1]), (2, DAY[5]), (2, DAY[2]), (2, DAY[1]), (3, DAY[1])]
    assert stats.past(*asked) == [2.0, 1.0, None, 40.0, 40.0, None, 10.0]
    assert stats.must_agree(1, 2, 3) == [2.0, 40.0, 10.0]
    assert stats.opened().online.verify(sample=10).passed
    before = time.time_ns() // 1000
    stats.holds([(1, DAY[1], DAY[5], None), *first, (2, DAY[2], DAY[3], 41.0), (3, DAY[1], DAY[0], 9.0)])
    assert stats.past(*asked, (1, DAY[5]), (2, DAY[3])) == [2.0, 1.0, None, 41.0, 40.0, None, 10.0, None, 41.0]
    assert stats.must_agree(1, 2, 3) == [None, 41.0, 10.0]
    verified = stats.opened().online.verify(sample=10)  # what was served before the corrections came is not what was so
    causes = {cause for feature in verified.features for cause in feature.causes}
    assert (verified.passed, causes) == (False, {"late row"})
    assert stats.opened().online.verify(sample=10, since=before).passed


def test_all_of_the_past_is_one_whether_it_came_at_once_or_row_by_row(tmp_path: Path) -> None:
    records: list[Record] = [
        (driver, DAY[event], DAY[created], float(10 * event + created))
        for driver in (1, 2) for event in (1, 3) for created in (2, 4, 6)
    ]  # fmt: skip
    asked = [(driver, DAY[day]) for driver in (1, 2) for day in range(8)]
    (tmp_path / "once").mkdir()
    (tmp_path / "slow").mkdir()
    once = Stats(tmp_path / "once")
    slow = Stats(tmp_path / "slow", more='mode = "incremental"\nwatermark = "created"\noverlap = 1e9')
    once.holds(records)
    for upto in ([7, 0], [7, 0, 11, 3], [7, 0, 11, 3, 5, 10, 9, 8], list(range(12))):
        slow.holds([records[place] for place in upto])
    assert slow.past(*asked) == once.past(*asked)
    assert slow.must_agree(1, 2) == once.must_agree(1, 2) == [36.0, 36.0]


@contextmanager
def served(project: Project) -> Any:
    with closing(project.service()) as service, closing(ServingApp(service)) as app:
        yield app


def test_pushed_corrections_count_from_when_they_were_created(tmp_path: Path) -> None:
    """One row after another, to the store, the lake, or both; the order in which they are pushed decides nothing."""
    stats = Stats(tmp_path)
    stats.holds([(n, DAY[1], DAY[1], 0.0) for n in range(1, 7)])
    with served(stats.opened()) as app:

        def push(driver: int, at: dt.datetime, created: dt.datetime | None, v: float, to: str) -> None:
            when = {"created": [created.isoformat()]} if created else {}
            rows = {"driver_id": [driver], "event_timestamp": [at.isoformat()], "v": [v], **when}
            told = ask(app, "POST", "/push", {"push_source_name": "stats", "df": rows, "to": to})
            assert told.status == 200, told.body

        def read(*drivers: int) -> list[object]:
            found = online(app, ["stats:v"], {"driver_id": list(drivers)}).json
            return found["results"][found["metadata"]["feature_names"].index("v")]["values"]  # type: ignore[no-any-return]

        for driver, to in ((1, "online_and_offline"), (2, "online")):
            push(driver, DAY[2], DAY[5], 9.0, to)
            push(driver, DAY[2], DAY[3], 3.0, to)
            assert read(driver) == [9.0]
            push(driver, DAY[2], DAY[6], 10.0, to)
            push(driver, DAY[2], DAY[6], 11.0, to)  # of one instant the one that comes later
            push(driver, DAY[1], DAY[8], 99.0, to)  # an earlier event
            assert read(driver) == [11.0]
        push(3, DAY[2], None, 7.0, "online_and_offline")
        push(3, DAY[2], DAY[9], 6.0, "online_and_offline")  # known before the one that says nothing, which is known now
        assert read(3) == [7.0]
        push(4, DAY[1], DAY[4], 4.0, "offline")
        push(4, DAY[1], DAY[2], 2.0, "offline")
    stats.opened().online.sync()
    assert stats.now(1, 3, 4) == [11.0, 7.0, 4.0]
    asked = [(1, DAY[2]), (1, DAY[3]), (1, DAY[5]), (1, DAY[6]), (4, DAY[3]), (4, DAY[5]), (4, DAY[1])]
    assert stats.past(*asked) == [0.0, 3.0, 9.0, 10.0, 2.0, 4.0, 0.0]


def test_streamed_corrections_count_from_when_they_were_created(tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    more = f'[streams.more]\nurl = "folder:{inbox}?quiet=0.05"\ntable = "stats"\nkey = ["driver_id", "event_timestamp"]'
    stats = Stats(tmp_path, more=more)
    stats.holds([(1, DAY[1], DAY[1], 0.0)])
    project, stop, failed = stats.opened(), threading.Event(), list[BaseException]()

    def stream() -> None:
        try:
            project.stream(stop=stop)
        except BaseException as error:  # noqa: BLE001  told below
            failed.append(error)

    thread = threading.Thread(target=stream)
    thread.start()
    come = [(1, DAY[1], DAY[5], 5.0), (1, DAY[1], DAY[3], 3.0), (2, DAY[2], DAY[4], 24.0), (2, DAY[2], DAY[3], 23.0)]
    try:
        for n, (driver, at, created, v) in enumerate(come):
            row = {"driver_id": driver, "event_timestamp": at.isoformat(), "created": created.isoformat(), "v": v}
            (inbox / f"{n}.jsonl").write_text(json.dumps(row) + "\n")
        until = time.monotonic() + 60
        while time.monotonic() < until and not failed and len(stats.opened().rows("stats", log=True)) < 5:
            time.sleep(0.05)
    finally:
        stop.set()
        thread.join()
    assert failed == []
    assert stats.now(1, 2) == [5.0, 24.0]
    asked = [(1, DAY[1]), (1, DAY[3]), (1, DAY[5]), (2, DAY[3]), (2, DAY[4])]
    assert stats.past(*asked) == [0.0, 3.0, 5.0, 23.0, 24.0]
    assert stats.opened().online.verify(sample=10).passed


# ---------------------------------------------------------------- lists and types

UTC = dt.UTC
KINDS: dict[str, tuple[pa.DataType, list[Any], list[Any]]] = {
    "tags": (pa.list_(pa.string()), [["a", "b"], [], ["ü", None]], [["a", "b"], [], ["ü", None]]),
    "ints": (pa.list_(pa.int32()), [[1, -2], [], [None]], [[1, -2], [], [None]]),
    "longs": (pa.list_(pa.int64()), [[2**63 - 1], [], [0, None]], [[2**63 - 1], [], [0, None]]),
    "vector": (pa.list_(pa.float64()), [[0.1, -0.0, 5e-324], [], [None]], [[0.1, -0.0, 5e-324], [], [None]]),
    "narrow": (pa.list_(pa.float32(), 2), [[0.5, 1.25], [2.0, 3.0], [None, 1]], [[0.5, 1.25], [2.0, 3.0], [None, 1.0]]),
    "flags": (pa.list_(pa.bool_()), [[True, False], [], [None]], [[True, False], [], [None]]),
    "days": (pa.list_(pa.timestamp("us")), [[DAY[1], None], [], [DAY[2]]], [[DAY[1], None], [], [DAY[2]]]),
    "odd": (pa.list_(pa.float64()), [[float("nan"), float("inf"), 1.0], [], []], [[None, None, 1.0], [], []]),
    "small": (pa.int32(), [1, -5, None], [1, -5, None]),
    "exact": (pa.decimal128(9, 2), [Decimal("1.10"), Decimal("-3.00"), None], [1.1, -3.0, None]),
    "day": (pa.date32(), [dt.date(2026, 1, 1), dt.date(2025, 12, 31), None], [DAY[1], DAY[0], None]),
    "zoned": (
        pa.timestamp("ms", "America/New_York"), [DAY[1].replace(tzinfo=UTC), DAY[2].replace(tzinfo=UTC), None],
        [DAY[1], DAY[2], None],
    ),
    "flag": (pa.bool_(), [True, False, None], [True, False, None]),
    "text": (pa.string(), ["é😀", "", None], ["é😀", "", None]),
    "coded": (pa.dictionary(pa.int8(), pa.string()), ["x", "y", None], ["x", "y", None]),
}  # fmt: skip
KEYED = """
name = "kinds"
[sources.s]
url = "source"
[tables.things]
key = ["thing", "at"]
time = "at"
[entities.thing]
key = "thing"
[features.now]
entity = "thing"
table = "things"
columns = {columns}
[online]
store = "{store}"
"""


def kinds(folder: Path, store: str = "kept") -> Project:
    (folder / "source").mkdir(exist_ok=True)
    names = ["ключ", "b|c", "a\\b", "nothing"]
    columns = {name: pa.array([*given, None], kind) for name, (kind, given, _) in KINDS.items()}
    table = pa.table({"thing": names, "at": pa.array([DAY[1]] * 4, pa.timestamp("us")), **columns})
    if not (folder / "source" / "things.parquet").exists():
        pq.write_table(table, folder / "source" / "things.parquet")
    (folder / "penstock.toml").write_text(KEYED.format(columns=json.dumps(list(KINDS)), store=store))
    return open_project(folder)


@pytest.fixture(scope="module")
def things(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("things")
    runs = kinds(folder).run()
    assert [run.failure for run in runs] == [None] * len(runs)
    return folder


THINGS = ["ключ", "b|c", "a\\b", "nothing", "nobody"]
WANTED = {name: [*wanted, None, None] for name, (_, _, wanted) in KINDS.items()}


def test_every_kind_of_value_is_the_same_in_the_past_in_the_store_and_at_the_source(things: Path) -> None:
    project = kinds(things)
    spine = pa.table({"thing": THINGS, "cutoff": [DAY[2]] * 5})
    past = project.features.historical(spine, ["now:*"])
    assert {name: repr(past[name].to_pylist()) for name in KINDS} == {name: repr(WANTED[name]) for name in KINDS}
    assert {name: str(past[name].type) for name in ("tags", "ints", "vector", "flags", "days")} == {
        "tags": "list<item: string>", "ints": "list<item: int64>", "vector": "list<item: double>",
        "flags": "list<item: bool>", "days": "list<item: timestamp[us]>",
    }  # fmt: skip
    refs = [f"now:{name}" for name in KINDS]
    for store in ("kept", "live"):
        found = kinds(things, store).online.read(refs, {"thing": THINGS})
        values = dict(zip(KINDS, found.values, strict=True))
        assert {name: repr(list(values[name])) for name in KINDS} == {name: repr(WANTED[name]) for name in KINDS}
        assert [status.name for status in found.statuses[0]] == ["PRESENT"] * 3 + ["NULL_VALUE", "NOT_FOUND"]
    assert kinds(things).online.verify(sample=10).passed


def test_lists_go_over_http_as_json_arrays(things: Path) -> None:
    with served(kinds(things)) as app:
        asked = online(app, ["now:vector", "now:ints", "now:flags", "now:days", "now:tags"], {"thing": THINGS[:4]}).json
    values = {
        name: result["values"]
        for name, result in zip(asked["metadata"]["feature_names"], asked["results"], strict=True)
    }
    assert values["vector"] == [[0.1, -0.0, 5e-324], [], [None], None]
    assert values["ints"] == [[1, -2], [], [None], None]
    assert values["flags"] == [[True, False], [], [None], None]
    assert values["days"] == [[1767225600, None], [], [1767312000], None]
    assert values["tags"] == [["a", "b"], [], ["ü", None], None]


def test_lists_go_over_flight_with_their_types(things: Path) -> None:
    command = {
        "api": "get_historical_features", "feature_refs": ["now:vector", "now:flags", "now:tags"], "project": "p",
        "feature_view_names": ["now"], "full_feature_names": False, "name_aliases": [None],
    }  # fmt: skip
    spine = pa.table({"thing": THINGS, "event_timestamp": pa.array([DAY[2]] * 5, pa.timestamp("us"))})
    with (
        closing(kinds(things).service()) as service,
        flying(service, "127.0.0.1", 0) as where,
        flight.connect(where) as client,
    ):
        writer, reader = client.do_exchange(flight.FlightDescriptor.for_command(json.dumps(command).encode()))
        with writer:
            writer.begin(spine.schema)
            writer.write_table(spine)
            writer.done_writing()
            found = reader.read_all()
    assert repr(found["vector"].to_pylist()) == repr(WANTED["vector"])
    assert [str(found[name].type) for name in ("vector", "flags", "tags")] == [
        "list<item: double>", "list<item: bool>", "list<item: string>",
    ]  # fmt: skip


LIKENESS = """
import pyarrow as pa
from penstock.features import on_demand

@on_demand({"dot": "float"}, inputs={"vector": "now:vector"}, requested={"wanted": "list"})
def likeness(rows):
    pairs = zip(rows["vector"].to_pylist(), rows["wanted"].to_pylist())
    products = [x and y and sum((a or 0) * (b or 0) for a, b in zip(x, y)) for x, y in pairs]
    return {"dot": pa.array([one or None for one in products], pa.float64())}
"""


def test_lists_are_inputs_and_are_asked_for_as_they_are(things: Path, tmp_path: Path) -> None:
    """An embedding beside one that comes with the request, and what lists contain: for training as for serving."""
    (tmp_path / "features").mkdir()
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "things.parquet").write_bytes((things / "source" / "things.parquet").read_bytes())
    (tmp_path / "features" / "likeness.py").write_text(LIKENESS)
    project = kinds(tmp_path)
    asked = '[features.held]\ninputs = { ints = "now:ints", flags = "now:flags", tags = "now:tags" }\nexpressions = { '
    asked += "minus = \"ints CONTAINS '-2'\", true = \"flags CONTAINS 'true'\", b = \"tags CONTAINS 'b'\" }\n"
    (tmp_path / "penstock.toml").write_text((tmp_path / "penstock.toml").read_text() + asked)
    project = open_project(tmp_path)
    assert [run.failure for run in project.run()] == [None, None]
    wanted = [[10.0, 1.0], [], [1.0], [2], None]
    refs = ["likeness:dot", "held:minus", "held:true", "held:b"]
    spine = pa.table({"thing": THINGS, "cutoff": [DAY[2]] * 5, "wanted": pa.array(wanted, pa.list_(pa.float64()))})
    past = project.features.historical(spine, refs)
    now = project.online.read(refs, {"thing": THINGS}, requested={"wanted": wanted})
    answers = [[1.0, None, None, None, None], *[[True, False, False, False, False]] * 3]
    assert [past[ref.partition(":")[2]].to_pylist() for ref in refs] == answers
    assert [list(column) for column in now.values] == answers
    with pytest.raises(RequestError, match="lists of values that are not of one kind"):
        project.online.read(refs, {"thing": ["b|c"]}, requested={"wanted": [[1, "x"]]})


def test_lists_can_be_pushed(things: Path, tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    (tmp_path / "source" / "things.parquet").write_bytes((things / "source" / "things.parquet").read_bytes())
    kinds(tmp_path).run()
    rows = {
        "thing": ["new", "b|c"], "event_timestamp": [DAY[3].isoformat()] * 2, "vector": [[1, 2.5], []],
        "ints": [[7], None], "flags": [[True, None], []], "tags": [["x"], []], "day": [DAY[1].isoformat()] * 2,
    }  # fmt: skip
    refs = ["now:vector", "now:ints", "now:flags", "now:tags", "now:day"]
    wanted = [[[1.0, 2.5], []], [[7], None], [[True, None], []], [["x"], []], [DAY[1]] * 2]
    for to in ("online", "online_and_offline"):
        with served(kinds(tmp_path)) as app:
            told = ask(app, "POST", "/push", {"push_source_name": "now", "df": rows, "to": to})
            assert told.status == 200, told.body
            bad = {**rows, "ints": [["x"], []]}
            told = ask(app, "POST", "/push", {"push_source_name": "now", "df": bad, "to": to})
            assert (told.status, b"PUSH_VALUE: ints[" in told.body) == (422, True), told.body
        found = kinds(tmp_path).online.read(refs, {"thing": ["new", "b|c"]})
        assert [list(column) for column in found.values] == wanted
    spine = pa.table({"thing": ["new", "b|c"], "cutoff": [dt.datetime.now(UTC)] * 2})
    past = kinds(tmp_path).features.historical(spine, refs)
    assert [past[ref.removeprefix("now:")].to_pylist() for ref in refs] == wanted


# ---------------------------------------------------------------- keys

ID = uuid.UUID("c0d6c917-8f31-4319-b1ff-faa63b2086c1")
KEYS: dict[str, tuple[pa.Array, list[Any]]] = {
    "narrow": (pa.array([1, -2], pa.int8()), [1, -2]),
    "unsigned": (pa.array([1, 2], pa.uint64()), [1, 2]),
    "whole": (pa.array([Decimal(1), Decimal(2)], pa.decimal128(18, 0)), [1, 2]),
    "exact": (pa.array([Decimal("1.50"), Decimal(-3)], pa.decimal128(9, 2)), [1.5, -3.0]),
    "text": (pa.array(["e\u0301", "é|\\x"], pa.large_string()), ["e\u0301", "é|\\x"]),
    "coded": (pa.array(["a", "b"]).dictionary_encode(), ["a", "b"]),
    "uuid": (pa.array([ID.bytes, bytes(16)], pa.uuid()), [str(ID), str(uuid.UUID(int=0))]),
    "truth": (pa.array([True, False]), [True, False]),
    "day": (pa.array([dt.date(2026, 1, 1), dt.date(1960, 1, 1)]), [dt.date(2026, 1, 1), dt.date(1960, 1, 1)]),
    "zoned": (
        pa.array([DAY[1], DAY[2]], pa.timestamp("us")).cast(pa.timestamp("us", "Asia/Tokyo")),
        [DAY[1], DAY[2]],
    ),
}
TABLE = """
[tables.{name}]
key = ["{name}_id", "at"]
time = "at"
renames = {{ {name}_id = "driver", v = "value" }}
[entities.{name}]
key = "{name}_id"
[features.{name}]
entity = "{name}"
table = "{name}"
columns = {{ worth = "v" }}
"""


def test_entities_are_known_by_keys_of_any_kind_and_columns_by_other_names(tmp_path: Path) -> None:
    (tmp_path / "source").mkdir()
    told = 'name = "keys"\n[sources.s]\nurl = "source"\n[online]\nstore = "{}"\n' + "".join(
        TABLE.format(name=name) for name in KEYS
    )
    for name, (keys, _) in KEYS.items():
        rows = pa.table({"driver": keys, "at": pa.array([DAY[1]] * 2, pa.timestamp("us")), "value": [10, 20]})
        pq.write_table(rows, tmp_path / "source" / f"{name}.parquet")
    for store in ("kept", "live"):
        (tmp_path / "penstock.toml").write_text(told.replace("{}", store, 1))
        project = open_project(tmp_path)
        runs = project.run() if store == "kept" else ()
        assert [run.failure for run in runs] == [None] * len(runs)
        for name, (_, asked) in KEYS.items():
            assert list(project.online.read([f"{name}:worth"], {f"{name}_id": asked}).values[0]) == [10, 20], name
    for name, (_, asked) in KEYS.items():
        spine = {f"{name}_id": pa.array(asked), "cutoff": [DAY[2]] * 2}
        assert project.features.historical(spine, f"{name}:worth")["worth"].to_pylist() == [10, 20], name
