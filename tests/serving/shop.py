"""A project in memory whose features are served: answers are worked out by the engine for every request."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from penstock.engine.relational import ARROW, Relational
from penstock.errors import RequestError
from penstock.features.historical import historical
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound, BoundView
from penstock.features.views.chosen import output_names, resolve
from penstock.features.views.declared import (
    About,
    Definitions,
    Entity,
    ExpressionView,
    LatestView,
    OnDemandView,
    RoleView,
    Service,
)
from penstock.features.views.entities import EntityRows
from penstock.online.answer import Online, Status
from penstock.online.coercing import coerced
from penstock.online.reading import OnlineReader
from penstock.online.stores.lmdb import LmdbStore
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table
from penstock.settings import Settings
from tests.online.answering.stored import fill

SETTINGS = Settings(memory=1 << 30, threads=1, cache=None)
NOON = 1_767_268_800_000_000
"""2026-01-01 12:00 UTC."""
HOUR = 3_600_000_000


def _table(name: str, happened: str | None = None, key: str | None = None, **columns: Dtype) -> Table:
    made = tuple(Column(name, dtype, Kind.CATEGORICAL) for name, dtype in columns.items())
    return Table(name, made, key, happened=happened)


STATS = _table(
    "driver_stats", "event_timestamp", driver_id=Dtype.INT, event_timestamp=Dtype.TIMESTAMP, conv_rate=Dtype.FLOAT,
    trips=Dtype.INT, city=Dtype.STRING, active=Dtype.BOOL, hired=Dtype.TIMESTAMP,
)  # fmt: skip
DRIVERS = _table("drivers", None, "driver_id", driver_id=Dtype.INT)
TRIPS = _table(
    "trips", "ended", "trip_id", trip_id=Dtype.INT, driver_id=Dtype.INT, ended=Dtype.TIMESTAMP, fare=Dtype.FLOAT
)
STOCK = _table("stock", "at", store_id=Dtype.INT, sku=Dtype.STRING, at=Dtype.TIMESTAMP, level=Dtype.INT)
PLACES = _table(
    "places", "event_timestamp", location_id=Dtype.INT, event_timestamp=Dtype.TIMESTAMP, temperature=Dtype.FLOAT
)
VIEWS = (
    LatestView(
        "driver_stats", "driver", "driver_stats",
        {name: name for name in ("conv_rate", "trips", "city", "active", "hired")},
        about=About(tags={"push_source": "driver_push"}),
    ),
    ExpressionView(
        "driver_trips", "driver", {"n_1d": "COUNT(trips.*, -1, 0, days)", "fares": "SUM(trips.fare, -30, 0, days)"}
    ),
    LatestView("stock_now", "article", "stock", {"level": "level"}),
    LatestView("place_stats", "place", "places", {"temperature": "temperature"}),
    RoleView("origin", "place_stats", {"location_id": "origin_id"}),
    RoleView("dest", "place_stats", {"location_id": "dest_id"}),
    OnDemandView(
        "price", {"quote": "km * rate"}, inputs={"rate": "driver_stats:conv_rate"}, requested={"km": Dtype.FLOAT}
    ),
)  # fmt: skip
ENTITIES = (
    Entity("driver", ("driver_id",), "drivers"),
    Entity("article", ("store_id", "sku")),
    Entity("place", ("location_id",)),
)
SERVICES = (
    Service("driver_service", ("driver_stats:conv_rate", "driver_stats:trips", "driver_trips:n_1d")),
    Service("journey", ("origin:temperature", "dest:temperature")),
)
ROWS: Mapping[Table, Sequence[tuple[Any, ...]]] = {
    DRIVERS: [(1001,), (1002,), (1003,)],
    STATS: [
        (1001, NOON - HOUR, 0.25, 9, "Bern", False, NOON),
        (1001, NOON, 0.5, 10, "Bern", True, NOON + 500_000),
        (1002, NOON, None, 20, 'a "quote", null', None, None),
        (1003, NOON + 1_500_000, float("nan"), 2**53 + 1, "Zürich", True, NOON),
    ],
    TRIPS: [(1, 1001, NOON - 2 * HOUR, 12.5), (2, 1001, NOON, 7.5), (3, 1003, NOON, 3.0)],
    STOCK: [(1, "a|b", NOON, 5), (2, "a", NOON, 7)],
    PLACES: [(1, NOON, 10.0), (2, NOON, 20.0)],
}


@dataclass
class Tables:
    """Tables in memory that rows can be added to."""

    graph: Graph
    tables: dict[str, pa.Table]
    version: int = 0

    @property
    def fingerprint(self) -> str:
        """Changes with every row."""
        return f"shop {self.version}"

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns."""
        return self.tables[table].select(list(columns))


@dataclass
class Shop:
    """The service. It has no store: `read` asks the past as it is at the instant of asking."""

    bound: Bound
    tables: Tables
    synced: list[tuple[str, ...]] = field(default_factory=list)
    going: threading.Event = field(default_factory=threading.Event)
    """While it is clear, `sync` waits."""
    asked: threading.Event = field(default_factory=threading.Event)
    """Set once `sync` was asked for."""
    closed: bool = False
    saved: dict[str, pa.Table] = field(default_factory=dict)
    wait: float | None = None

    @classmethod
    def opened(cls) -> Shop:
        """The usual rows."""
        graph = Graph(tuple(ROWS), (Link("trips", "driver_id", "drivers"),))
        told = Definitions(
            {one.name: one for one in ENTITIES}, {one.name: one for one in VIEWS}, {one.name: one for one in SERVICES}
        )
        tables = {
            table.name: pa.table(
                {c.name: pa.array([row[at] for row in rows], ARROW[c.dtype]) for at, c in enumerate(table.columns)}
            )
            for table, rows in ROWS.items()
        }
        shop = cls(bind(told, graph), Tables(graph, tables))
        shop.going.set()
        return shop

    @property
    def relational(self) -> Relational:
        """The engine's view of the rows."""
        return Relational(EntityRows(self.tables, self.bound.joins, self.bound.graph), SETTINGS)

    def historical(self, spine: pa.Table, features: str | Sequence[str], *, full_names: bool | None = None) -> pa.Table:
        """The spine with the features' values."""
        return historical(self.bound, self.relational, spine, features, full_names=full_names)

    def keep(
        self, name: str, spine: pa.Table, features: Sequence[str], *, full_names: bool, replace: bool = False
    ) -> None:
        """Keep the spine with the features' values."""
        if name in self.saved and not replace:
            raise RequestError("DATASET_EXISTS", f"there is a training set {name!r} already", name=name)
        self.saved[name] = self.historical(spine, features, full_names=full_names)

    def kept(self, name: str) -> pa.Table | None:
        """What was kept."""
        return self.saved.get(name)

    def look_again(self) -> bool:
        """Its definitions never change."""
        return False

    def renames(self, table: str) -> Mapping[str, str]:
        """Only one column is called otherwise at its source."""
        return {"level": "lvl"} if table == "stock" else {}

    def rows(self, table: str) -> pa.Table:
        """The rows of a table."""
        return self.tables.tables[table]

    def read(
        self,
        features: str | Sequence[str],
        keys: Mapping[str, Sequence[object]],
        *,
        requested: Mapping[str, Sequence[object]] | None = None,
        at: int | None = None,
        full_names: bool | None = None,
    ) -> Online:
        """The features' values now."""
        at = time.time_ns() // 1000 if at is None else at
        chosen = resolve(self.bound, features)
        typed = self._typed({**keys, **(requested or {})})
        rows = max((len(column) for column in typed.values()), default=0)
        spine = pa.table({**typed, "cutoff": pa.array([at] * rows, pa.timestamp("us"))})
        names = output_names(chosen, full_names)
        found = self.historical(spine, [str(one) for one in chosen], full_names=True)
        values, statuses, times = [], [], []
        for one in chosen:
            column = found[f"{one.view}__{one.feature}"].to_pylist()
            newest = self._newest(one.view, typed, rows)
            values.append(column)
            times.append(newest)
            statuses.append([_status(v, t, one.view in self.bound.views) for v, t in zip(column, newest, strict=True)])
        return Online(tuple(names), values, statuses, times, at, at)

    def _typed(self, columns: Mapping[str, Sequence[object]]) -> dict[str, pa.Array]:
        entities = [one.entity for one in self._views()]
        dtypes = {name: dtype for one in entities for name, dtype in zip(one.keys, one.dtypes, strict=True)}
        for one in self.bound.on_demand.values():
            dtypes.update(one.requested)
        return {
            name: pa.array(coerced(column, dtypes[name], name), ARROW[dtypes[name]]) for name, column in columns.items()
        }

    def _views(self) -> list[BoundView]:
        return list(self.bound.views.values())

    def _newest(self, name: str, keys: Mapping[str, pa.Array], rows: int) -> list[int | None]:
        """When the newest row of each entity happened, by looking at all of them."""
        view = self.bound.views.get(name)
        if view is None:
            return [None] * rows
        table, columns, happened = SOURCES[view.kept]
        there = self.tables.tables[table]
        newest: dict[tuple[object, ...], int] = {}
        whens = there[happened].cast(pa.int64()).to_pylist()
        for *key, when in zip(*(there[c].to_pylist() for c in columns), whens, strict=True):
            newest[tuple(key)] = max(newest.get(tuple(key), when), when)
        return [newest.get(key) for key in zip(*(keys[c].to_pylist() for c in view.entity.keys), strict=True)]

    def push(self, view: str, rows: pa.Table, to: str) -> int:
        """Add rows of a view of latest values to its table."""
        bound = self.bound.views[view]
        table, columns, happened = SOURCES[bound.kept]
        names = dict(zip(columns, bound.entity.keys, strict=True)) | {happened: "event_timestamp"}
        there = self.tables.tables[table]
        made = {
            column.name: rows[name].cast(column.type, safe=False)
            if (name := names.get(column.name, column.name)) in rows.column_names
            else pa.nulls(rows.num_rows, column.type)
            for column in there.schema
        }
        self.tables.tables[table] = pa.concat_tables([there, pa.table(made)])
        self.tables.version += 1
        return rows.num_rows

    def sync(self, views: Sequence[str]) -> None:
        """Nothing follows behind here: told, and for tests held up while ``going`` is clear."""
        self.asked.set()
        self.going.wait(60)
        self.synced.append(tuple(views))

    def close(self) -> None:
        """There is nothing to let go of."""
        self.closed = True


@dataclass
class StoredShop(Shop):
    """The same, answered from a store of LMDB's that is filled again after every push."""

    folder: Path = Path()
    store: LmdbStore = field(init=False)
    reader: OnlineReader = field(init=False)

    @classmethod
    def within(cls, folder: Path) -> StoredShop:
        """The usual rows, with a store in this folder."""
        shop = Shop.opened()
        made = cls(shop.bound, shop.tables, folder=folder)
        made.going.set()
        made.store = LmdbStore(folder)
        made._fill()
        return made

    def _fill(self) -> None:
        fill(self.store, self.bound, self.tables, time.time_ns() // 1000)
        self.reader = OnlineReader(self.bound, self.store, lambda: time.time_ns() // 1000)

    def read(self, *asked: Any, **how: Any) -> Online:
        """What the store holds."""
        return self.reader.read(*asked, **how)

    def push(self, view: str, rows: pa.Table, to: str) -> int:
        """Add rows, and let the store know."""
        count = super().push(view, rows, to)
        self._fill()
        return count


SOURCES = {
    "driver_stats": ("driver_stats", ("driver_id",), "event_timestamp"),
    "driver_trips": ("trips", ("driver_id",), "ended"),
    "stock_now": ("stock", ("store_id", "sku"), "at"),
    "place_stats": ("places", ("location_id",), "event_timestamp"),
}
"""The table of each view, the columns of its keys, and when its rows happened."""


def _status(value: object, time: int | None, stored: bool) -> Status:
    if value is not None:
        return Status.PRESENT
    return Status.NOT_FOUND if stored and time is None else Status.NULL_VALUE
