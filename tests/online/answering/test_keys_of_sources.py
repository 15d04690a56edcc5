"""Keys of every kind, asked of a live database and of a store: found where they are, and nobody where they are not."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from penstock.features.views.binding import bind
from penstock.features.views.declared import Definitions, Entity, ExpressionView, LatestView, RoleView
from penstock.lake.sources import open_source
from penstock.lake.write import write
from penstock.online.answer import Status
from penstock.online.live import LiveReader
from penstock.online.reading import FeatureReader, OnlineReader
from penstock.online.stores.lmdb import LmdbStore
from penstock.schema import Dtype, Graph
from tests.features.historical.held import D, Held, filled, schema
from tests.online.answering.stored import SETTINGS, fill, trained

TEXTS = ["", " ", "a", "A", "a ", "a|b", "a\\b", "it's", '"', "%", "_", "é", "e\u0301", "ß", "ss", "Ω", "0", "00", "1",
         "🦉", "x" * 200, "x" * 199, str(uuid.UUID(int=7)), "NULL", "\n", "a\tb"]  # fmt: skip
ABSENT = ["a  ", "á", "E\u0301", "x" * 5000, "\x00", "a\x00b", "SS", "2", str(uuid.UUID(int=8))]
WHOLE = [0, -1, 1, 2**53 + 1, 2**63 - 1, -(2**63), 10]
KEYS: dict[Dtype, tuple[Sequence[Any], Sequence[Any]]] = {
    Dtype.STRING: (TEXTS, ABSENT),
    Dtype.INT: (WHOLE, [2, -2, 2**53, 2**62]),
}
ROWS = {kind: [(n, key, D[1], float(n)) for n, key in enumerate(there)] for kind, (there, _) in KEYS.items()}


def database(kind: Dtype) -> tuple[Held, Any]:
    """Readings of things whose keys are of a kind, and views of one thing, of two, and of pairs."""
    table = schema("readings", {"n": Dtype.INT, "id": kind, "at": Dtype.TIMESTAMP, "v": Dtype.FLOAT}, key="n",
                   happened="at")  # fmt: skip
    views = [
        LatestView("latest", "thing", "readings", {"v": "v"}),
        ExpressionView("sums", "thing", {"total": "SUM(readings.v, -INF, 0, days)"}),
        LatestView("pair", "pair", "readings", {"w": "v"}),
        RoleView("origin", "latest", {"id": "origin_id"}),
        RoleView("dest", "latest", {"id": "dest_id"}),
    ]
    entities = [Entity("thing", ("id",)), Entity("pair", ("id", "n"))]
    told = Definitions({one.name: one for one in entities}, {one.name: one for one in views})
    held = Held(Graph((table,)), {"readings": filled(table, ROWS[kind])})
    bound = bind(told, held.graph)
    bound.must_be_sound()
    return held, bound


@pytest.fixture(params=["store", "duckdb", "sqlite", "postgres", "mysql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where things are kept."""
    if request.param in ("postgres", "mysql"):
        return str(request.getfixturevalue(f"{request.param}_url"))
    return str(tmp_path / f"things.{request.param}")


@pytest.fixture(params=[Dtype.STRING, Dtype.INT])
def asked(request: pytest.FixtureRequest, place: str) -> Any:
    """A reader of the place, and what is there."""
    kind = request.param
    held, bound = database(kind)
    if place.endswith(".store"):
        store = LmdbStore(place)
        fill(store, bound, held, D[5])
        reader: FeatureReader = OnlineReader(bound, store, lambda: D[5])
    else:
        table = f"readings_{kind}"
        write(held.tables["readings"], f"{place}#{table}", ("n",))
        reader = LiveReader(bound, _Renamed(open_source(place), table), lambda: D[5], SETTINGS)
    return reader, kind, held, bound


class _Renamed:
    """A source whose table is called otherwise there."""

    def __init__(self, source: Any, table: str) -> None:
        self.source, self.table, self.name, self.notes = source, table, "renamed", ()

    def tables(self) -> Any:
        return {"readings": self.source.tables()[self.table]}

    def read(self, table: str, columns: Sequence[str]) -> Any:
        return self.source.read_where(self.table, columns, ())

    def read_where(self, table: str, columns: Sequence[str], any_of: Any) -> Any:
        return self.source.read_where(self.table, columns, any_of)

    def fingerprint(self) -> str:
        return str(id(self))


def test_every_key_is_found_and_no_other(asked: Any) -> None:
    reader, kind, held, bound = asked
    there, absent = KEYS[kind]
    keys = [*there, *absent, None, there[0]]
    found = reader.read(["latest:v", "sums:total"], {"id": keys})
    wanted = [*map(float, range(len(there))), *[None] * (len(absent) + 1), 0.0]
    assert found.to_dict() == {"v": wanted, "total": wanted}
    statuses = [Status.NOT_FOUND if one is None else Status.PRESENT for one in wanted]
    assert found.statuses == [statuses, statuses]
    for place, key in enumerate(keys):  # alone as well
        assert reader.read("latest:v", {"id": [key]}).values == [[wanted[place]]], repr(key)[:60]
    assert trained(bound, held, {"id": keys}, D[5], ["latest:v", "sums:total"]) == found.to_dict()
    assert trained(bound, held, {"id": [there[4]]}, D[5], ["latest:v"]) == {"v": [4.0]}


def test_pairs_are_found_in_any_order_of_their_columns(asked: Any) -> None:
    reader, kind, *_ = asked
    there, absent = KEYS[kind]
    keys, numbers = (
        [*there, *there[1:], absent[0], None, there[0]],
        [*range(len(there)), *range(len(there) - 1), 0, 0, None],
    )
    wanted = [*map(float, range(len(there))), *[None] * (len(there) + 2)]
    for given in ({"id": keys, "n": numbers}, {"n": numbers, "id": keys}):
        assert reader.read("pair:w", given).values == [wanted]
    half = reader.read("pair:w", {"n": numbers})
    assert half.statuses == [[Status.NOT_FOUND] * len(numbers)]


def test_one_view_in_two_roles_is_asked_about_two(asked: Any) -> None:
    reader, kind, *_ = asked
    there, absent = KEYS[kind]
    origin, dest = [*there, absent[0], None], [*there[::-1], there[0], there[1]]
    found = reader.read(["origin:v", "dest:v"], {"dest_id": dest, "origin_id": origin})
    ours, theirs = list(map(float, range(len(there)))), [float(len(there) - 1 - n) for n in range(len(there))]
    assert found.to_dict() == {"origin__v": [*ours, None, None], "dest__v": [*theirs, 0.0, 1.0]}
    assert reader.read("origin:v", {"origin_id": origin}, full_names=True).names == ("origin__v",)
    three = reader.read(["origin:v", "latest:v", "dest:v"], {"dest_id": dest, "origin_id": origin, "id": dest[::-1]})
    assert three.to_dict()["latest__v"] == three.to_dict()["dest__v"][::-1]
