"""What an online read must do, case by case, of a store and of a live database."""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from penstock.errors import RequestError
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import (
    Definitions,
    Entity,
    ExpressionView,
    LatestView,
    OnDemandView,
    RoleView,
    Service,
    View,
)
from penstock.lake.frames import FrameSource
from penstock.online.answer import Online, Status
from penstock.online.coercing import MOST
from penstock.online.live import LiveReader
from penstock.online.reading import FeatureReader, OnlineReader
from penstock.online.stores.lmdb import LmdbStore
from penstock.schema import Dtype, Graph, Link, Table
from tests.features.historical.held import DAY, D, Held, filled, schema
from tests.online.answering.stored import SETTINGS, fill, trained

PRESENT, NULL, MISSING, OLD = Status.PRESENT, Status.NULL_VALUE, Status.NOT_FOUND, Status.OUTSIDE_MAX_AGE
NOW = D[5]
ROWS = schema(
    "readings",
    {"id": Dtype.INT, "ts": Dtype.TIMESTAMP, "created": Dtype.TIMESTAMP, "v": Dtype.FLOAT, "word": Dtype.STRING,
     "n": Dtype.INT, "yes": Dtype.BOOL, "seen": Dtype.TIMESTAMP},
    happened="ts", known="created",
)  # fmt: skip
THING = Entity("thing", ("id",))
COLUMNS = {name: name for name in ("v", "word", "n", "yes", "seen")}


def row(id_: int, ts: int, v: float | None = None, created: int | None = None, **more: Any) -> list[Any]:
    """A reading."""
    return [id_, ts, created, v, more.get("word"), more.get("n"), more.get("yes"), more.get("seen")]


def double(table: pa.Table) -> pa.Table:
    """Twice the input, plus what was asked."""
    return pa.table({"twice": pc.add(pc.multiply(pc.fill_null(table["v"], 0.0), 2.0), table["bonus"])})


def fails(_table: pa.Table) -> pa.Table:
    """A function that cannot."""
    raise ZeroDivisionError("no")


VIEWS: list[View] = [
    LatestView("latest", "thing", "readings", COLUMNS),
    LatestView("fresh", "thing", "readings", {"v": "v"}, ttl=DAY),
    ExpressionView(
        "sums",
        "thing",
        {
            "total": "SUM(readings.v, -3, 0, days)",
            "last": "LAST(readings.word, -INF, 0, days)",
            "words": "LIST_DISTINCT(readings.word, -INF, 0, days)",
            "newest": "MAX(readings.seen, -INF, 0, days)",
            "big": "LAST(readings.n, -INF, 0, days)",
            "busy": "COUNT(readings.*, -INF, 0, days) > 1",
        },
    ),
    OnDemandView("math", {"plus": "v + bonus", "is_high": "v > 5"}, {"v": "latest:v"}, {"bonus": Dtype.FLOAT}),
    OnDemandView("code", {"twice": "float"}, {"v": "latest:v"}, {"bonus": Dtype.FLOAT}, double, "def double(t): ..."),
    OnDemandView("again", {"more": "plus * 2"}, {"plus": "math:plus"}),
    OnDemandView("broken", {"x": "float"}, {"v": "latest:v"}, {}, fails, "def fails(t): ..."),
    RoleView("origin", "latest", {"id": "origin_id"}),
    RoleView("dest", "latest", {"id": "dest_id"}),
]
SERVICES = {"svc": Service("svc", ("sums:total", "latest:v"))}

Opened = Callable[..., FeatureReader]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LmdbStore]:
    """A store for all cases."""
    made = LmdbStore(tmp_path_factory.mktemp("cases") / "online")
    yield made
    made.close()


@pytest.fixture(params=["store", "live"])
def opened(request: pytest.FixtureRequest, store: LmdbStore) -> Opened:
    """A reader of these rows: of a store that was made of them, or of them themselves."""

    def reader(rows: Sequence[Sequence[Any]], at: int = NOW) -> FeatureReader:
        held, bound = database({ROWS: rows}, [THING], VIEWS)
        if request.param == "live":
            return LiveReader(bound, FrameSource(held.tables), lambda: at, SETTINGS)
        fill(store, bound, held, at)
        return OnlineReader(bound, store, lambda: at)

    return reader


def database(
    rows: Mapping[Table, Sequence[Sequence[Any]]],
    entities: Sequence[Entity],
    views: Sequence[View],
    links: Sequence[Link] = (),
) -> tuple[Held, Bound]:
    """Rows, and definitions about them."""
    graph = Graph(tuple(rows), tuple(links))
    held = Held(graph, {table.name: filled(table, given) for table, given in rows.items()})
    told = Definitions({e.name: e for e in entities}, {v.name: v for v in views}, SERVICES if len(views) > 3 else {})
    return held, bind(told, graph)


def only(found: Online) -> tuple[list[Any], list[Status]]:
    """The values and statuses of the one feature asked for."""
    return found.values[0], found.statuses[0]


CASES: dict[str, tuple[list[list[Any]], str, list[Any], list[Any], list[Status]]] = {
    "o01 the latest": ([row(1, D[1], 1.0), row(1, D[4], 4.0)], "latest:v", [1], [4.0], [PRESENT]),
    "o02 the one created last": ([row(1, D[1], 2.0, D[3]), row(1, D[1], 1.0, D[2])], "latest:v", [1], [2.0], [PRESENT]),
    "o03 what happens now counts": ([row(1, NOW, 9.0)], "latest:v", [1], [9.0], [PRESENT]),
    "o04 what happens later does not": ([row(1, NOW + 1, 9.0), row(1, D[1], 1.0)], "latest:v", [1], [1.0], [PRESENT]),
    "o05 nor what is not known yet": ([row(1, D[4], 9.0, D[6]), row(1, D[1], 1.0)], "latest:v", [1], [1.0], [PRESENT]),
    "o07 an older one that comes later": ([row(1, D[4], 9.0, D[4]), row(1, D[1], 3.0, D[5])], "latest:v", [1], [9.0],
                                          [PRESENT]),
    "o09 in any order": ([row(1, D[4], 9.0), row(1, D[2], 5.0), row(1, D[1], 3.0)], "latest:v", [1], [9.0], [PRESENT]),
    "nothing tells two rows apart": ([row(1, D[1], 11.0, D[2]), row(1, D[1], 12.0, D[2])], "latest:v", [1], [12.0],
                                     [PRESENT]),
    "but what else they say": ([row(1, D[1], word="b", n=1), row(1, D[1], word="a", n=2)], "latest:n", [1], [1],
                               [PRESENT]),
    "o11 unknown": ([row(1, D[1], 1.0)], "latest:v", [99], [None], [MISSING]),
    "o12 a stored null": ([row(1, D[1], 1.0), row(1, D[2])], "latest:v", [1], [None], [NULL]),
    "o14 order and duplicates": ([row(1, D[1], 5.0), row(2, D[1], 7.0)], "latest:v", [2, 1, 2, 3, 1],
                                 [7.0, 5.0, 7.0, None, 5.0], [PRESENT, PRESENT, PRESENT, MISSING, PRESENT]),
    "o27 a text for a number": ([row(1, D[1], 5.0)], "latest:v", ["1"], [5.0], [PRESENT]),
    "a key that is null": ([row(1, D[1], 5.0)], "latest:v", [None, 1], [None, 5.0], [MISSING, PRESENT]),
    "just young enough": ([row(1, D[4], 5.0), row(2, D[4] - 1, 6.0)], "fresh:v", [1, 2, 3], [5.0, None, None],
                          [PRESENT, OLD, MISSING]),
    "a window slides": ([row(1, D[2], 5.0), row(1, D[2] + 1, 6.0)], "sums:total", [1], [6.0], [PRESENT]),
    "a window of one that is not there": ([row(1, D[4], 5.0)], "sums:total", [1, 2], [5.0, None], [PRESENT, MISSING]),
    "nothing in a window": ([row(1, D[1], 5.0)], "sums:total", [1], [0], [PRESENT]),
    "a text": ([row(1, D[1], word="a"), row(1, D[2], word="ä")], "sums:last", [1], ["ä"], [PRESENT]),
    "no text": ([row(1, D[1])], "sums:last", [1], [None], [NULL]),
    "a list": ([row(1, D[1], word="b"), row(1, D[2], word="a")], "sums:words", [1, 2], [["a", "b"], None],
               [PRESENT, MISSING]),
    "a large whole number": ([row(1, D[1], n=2**53 + 1)], "sums:big", [1], [2**53 + 1], [PRESENT]),
    "a condition": ([row(1, D[1]), row(1, D[2]), row(2, D[1])], "sums:busy", [1, 2], [True, False], [PRESENT] * 2),
    "an instant": ([row(1, D[1], seen=D[3])], "sums:newest", [1], [dt.datetime(2026, 1, 3)], [PRESENT]),  # noqa: DTZ001
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_each_case(opened: Opened, case: str) -> None:
    rows, feature, keys, values, statuses = CASES[case]
    for given in (rows, rows[::-1]):
        found = opened(given).read(feature, {"id": keys})
        assert only(found) == (values, statuses)
        assert [type(value) for value in found.values[0]] == [type(value) for value in values] or "sums" in feature


def test_values_come_in_their_own_types_with_when_they_happened(opened: Opened) -> None:
    reader = opened([row(1, D[2], 0.5, word="w", n=7, yes=False, seen=D[1])])
    found = reader.read("latest:*", {"id": [1, 2]})
    seen = dt.datetime(2026, 1, 1)  # noqa: DTZ001  instants are UTC without a zone
    assert found.to_dict() == {"v": [0.5, None], "word": ["w", None], "n": [7, None], "yes": [False, None],
                               "seen": [seen, None]}  # fmt: skip
    assert found.times == [[D[2], None]] * 5
    assert (found.at, found.to_arrow()["n"].to_pylist()) == (NOW, [7, None])


def test_features_of_services_and_views_are_named(opened: Opened) -> None:
    reader = opened([row(1, D[4], 2.0)])
    assert reader.read("svc", {"id": [1]}).to_dict() == {"total": [2.0], "v": [2.0]}
    assert reader.read("svc", {"id": [1]}, full_names=True).names == ("sums__total", "latest__v")
    assert reader.read(["fresh:v", "latest:v"], {"id": [1]}).names == ("fresh__v", "latest__v")
    assert reader.read(["latest:v", "sums:total", "latest:n"], {"id": [1]}).values == [[2.0], [2.0], [None]]


def test_an_instant_may_be_asked_for(opened: Opened) -> None:
    reader = opened([row(1, D[4], 2.0), row(1, D[6], 6.0)])
    assert reader.read("latest:v", {"id": [1]}, at=D[7]).values == [[6.0]]
    assert reader.read("sums:total", {"id": [1]}, at=D[8]).values == [[6.0]]


def test_one_view_in_two_roles(opened: Opened) -> None:
    reader = opened([row(1, D[1], 10.0), row(2, D[1], 20.0)])
    found = reader.read(["origin:v", "dest:v"], {"origin_id": [1, 2], "dest_id": [2, 1]})
    assert found.to_dict() == {"origin__v": [10.0, 20.0], "dest__v": [20.0, 10.0]}


def test_on_demand_features_rest_on_others_and_on_the_request(opened: Opened) -> None:
    reader = opened([row(1, D[1], 10.0)])
    asked = {"bonus": [1, "2.5", None]}
    found = reader.read(["math:*", "code:twice", "again:more"], {"id": [1, 9, 1]}, requested=asked)
    assert found.to_dict() == {"plus": [11.0, None, None], "is_high": [True, False, True],
                               "twice": [21.0, 2.5, None], "more": [22.0, None, None]}  # fmt: skip
    assert found.statuses == [[PRESENT, NULL, NULL], [PRESENT] * 3, [PRESENT, PRESENT, NULL], [PRESENT, NULL, NULL]]


def test_on_demand_features_are_those_of_training(store: LmdbStore) -> None:
    held, bound = database({ROWS: [row(1, D[1], 10.0), row(2, D[1])]}, [THING], VIEWS)
    fill(store, bound, held, NOW)
    keys, asked = {"id": [1, 9, 2, 1]}, {"bonus": [1.5, 2.5, float("nan"), float("inf")]}
    features = ["math:*", "again:more", "latest:v"]
    found = OnlineReader(bound, store, lambda: NOW).read(features, keys, requested=asked)
    assert found.to_dict() == trained(bound, held, keys | asked, NOW, features)


@pytest.mark.parametrize(
    ("features", "keys", "requested", "code"),
    [
        ("latest:nothing", {"id": [1]}, None, "FEATURE_UNKNOWN"),
        ("nothing:v", {"id": [1]}, None, "FEATURE_UNKNOWN"),
        ([], {"id": [1]}, None, "FEATURE_NONE"),
        ([["latest:v"]], {"id": [1]}, None, "FEATURE_UNKNOWN"),
        ("latest:v", {"id": "1"}, None, "ENTITY_COLUMN"),
        ("latest:v", {"id": ["x"]}, None, "ENTITY_VALUE"),
        ("latest:v", {"id": [1.5]}, None, "ENTITY_VALUE"),
        ("latest:v", {"id": [2**63]}, None, "ENTITY_VALUE"),
        ("latest:v", {}, None, "ENTITY_MISSING"),
        ("latest:v", {"id": [1], "other": [1]}, None, "ENTITY_UNKNOWN"),
        ("latest:v", {"id": range(MOST + 1)}, None, "REQUEST_TOO_MANY"),
        ("math:plus", {"id": [1]}, None, "FEATURE_REQUEST_MISSING"),
        ("math:plus", {"id": [1]}, {"bonus": [1, 2]}, "ENTITY_LENGTHS"),
        ("math:plus", {"id": [1]}, {"bonus": ["much"]}, "REQUEST_VALUE"),
        ("broken:x", {"id": [1]}, None, "FEATURE_FUNCTION"),
    ],
)
def test_wrong_requests_are_refused(opened: Opened, features: Any, keys: Any, requested: Any, code: str) -> None:
    with pytest.raises(RequestError, match=code) as caught:
        opened([row(1, D[1], 1.0)]).read(features, keys, requested=requested)
    assert caught.value.code == code


def test_nobody_asked_about_is_no_error(opened: Opened) -> None:
    found = opened([row(1, D[1], 1.0)]).read(["latest:v", "sums:total"], {"id": []})
    assert (found.values, found.statuses) == ([[], []], [[], []])


def test_a_lenient_reader_finds_nothing_for_half_a_key(opened: Opened) -> None:
    found = opened([row(1, D[1], 1.0)]).read("latest:v", {"other": [1, 2]}, lenient=True)
    assert only(found) == ([None, None], [MISSING, MISSING])


PAIRS = schema("pairs", {"a": Dtype.STRING, "b": Dtype.INT, "ts": Dtype.TIMESTAMP, "v": Dtype.FLOAT}, happened="ts")
KEYS = ["a|1", "a", "", "é", "e\u0301", "\\", "x" * 2000]


def test_composite_keys_of_any_text(store: LmdbStore) -> None:
    rows = [(text, number, D[1], float(number)) for number, text in enumerate(KEYS)]
    view = LatestView("of_pairs", "pair", "pairs", {"v": "v"})
    held, bound = database({PAIRS: rows}, [Entity("pair", ("a", "b"))], [view])
    fill(store, bound, held, NOW)
    live = LiveReader(bound, FrameSource(held.tables), lambda: NOW, SETTINGS)
    asked: dict[str, Sequence[Any]] = {"b": [*range(len(KEYS)), 1, 1], "a": [*KEYS, "a|1", None]}
    for reader in (OnlineReader(bound, store, lambda: NOW), live):
        found = reader.read("v", asked)
        assert found.values == [[*map(float, range(len(KEYS))), None, None]]
    assert trained(bound, held, asked, NOW, "v")["v"] == found.values[0]


def test_a_reader_says_what_the_store_does_not_hold(tmp_path: Any) -> None:
    held, bound = database({ROWS: [row(1, D[1], 1.0)]}, [THING], VIEWS)
    with_other = replace(bound, views={n: replace(v, fingerprint="other") for n, v in bound.views.items()})
    store = LmdbStore(tmp_path / "online")
    reader = OnlineReader(bound, store, lambda: NOW)
    with pytest.raises(RequestError, match="penstock online sync") as caught:
        reader.read("latest:v", {"id": [1]})
    assert caught.value.code == "ONLINE_NOT_SYNCED"
    fill(store, with_other, held, NOW)
    with pytest.raises(RequestError, match="another version of latest") as caught:
        reader.read("latest:v", {"id": [1]})
    assert caught.value.code == "ONLINE_OTHER_VERSION"
    fill(store, bound, held, NOW)
    assert reader.read("latest:v", {"id": [1]}).values == [[1.0]]
    store.close()


def test_a_reader_goes_on_with_what_was_built_anew(tmp_path: Any) -> None:
    held, bound = database({ROWS: [row(1, D[1], 1.0)]}, [THING], VIEWS)
    newer, _ = database({ROWS: [row(1, D[1], 2.0)]}, [THING], VIEWS)
    store = LmdbStore(tmp_path / "online")
    fill(store, bound, held, NOW)
    reader = OnlineReader(bound, store, lambda: NOW)
    assert reader.read("latest:v", {"id": [1]}).values == [[1.0]]
    fill(store, bound, newer, NOW)
    deadline = time.monotonic() + 60
    while reader.read("latest:v", {"id": [1]}).values != [[2.0]]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    store.close()
