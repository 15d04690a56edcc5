"""A shop in a lake whose rows come in any order, views of it, and what a store holds of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions, Entity, ExpressionView, LatestView
from penstock.lake.streams import Limits, Message, Stream, TableWriter, open_writer
from penstock.lake.versioned import DELETED, KNOWN, Lake, Roles, open_lake
from penstock.online import crowds, heads, records
from penstock.online.catalogue import Space, ViewState, live
from penstock.online.holdings import Holding, kept_for
from penstock.online.store import OnlineStore, walk
from penstock.online.stores.lmdb import LmdbStore
from penstock.online.sync import Synced, sync
from penstock.online.texts import Texts
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table
from penstock.settings import Settings

EPOCH = dt.datetime(1970, 1, 1)  # noqa: DTZ001  Arrow gives instants without a zone
DAY = 86_400_000_000
START = 19_750 * DAY
NOW = START + 60 * DAY
SETTINGS = Settings(memory=1 << 30, threads=1, cache=None)
SMALL = Settings(memory=1 << 15, threads=1, cache=None)
"""So little that a first load of a few dozen rows goes in parts."""

N, F, S, T = Dtype.INT, Dtype.FLOAT, Dtype.STRING, Dtype.TIMESTAMP
ARROW = {N: pa.int64(), F: pa.float64(), S: pa.string(), T: pa.timestamp("us"), Dtype.BOOL: pa.bool_()}
COLUMNS: Mapping[str, Mapping[str, Dtype]] = {
    "customers": {"customer_id": N, "city": S, "since": T, "home_shop": S, "home_till": N},
    "orders": {"order_id": N, "customer_id": N, "product": S, "shop": S, "till": N, "at": T, "price": F},
    "items": {"item_id": N, "order_id": N, "size": F, "colour": S},
    "products": {"product": S, "maker_id": N, "cost": F},
    "makers": {"maker_id": N, "country": S},
    "visits": {"customer_id": N, "at": T, "page": S},
    "tills": {"till_shop": S, "till_number": N, "product": S, "floor": N},
}
ROLES = {
    "customers": Roles(("customer_id",)),
    "orders": Roles(("order_id",), "at"),
    "items": Roles(("item_id",)),
    "products": Roles(("product",)),
    "makers": Roles(("maker_id",)),
    "visits": Roles((), "at"),
    "tills": Roles(("till_shop", "till_number")),
}
LINKS = (
    Link("orders", "customer_id", "customers"),
    Link("orders", "product", "products"),
    Link("items", "order_id", "orders"),
    Link("products", "maker_id", "makers"),
    Link("visits", "customer_id", "customers"),
    Link("customers", ("home_shop", "home_till"), "tills"),
    Link("orders", ("shop", "till"), "tills"),
    Link("tills", "product", "products"),
)


def graph() -> Graph:
    """The schema of the shop."""
    return Graph(tuple(_table(name) for name in COLUMNS), LINKS)


def _table(name: str) -> Table:
    told = {**COLUMNS[name], KNOWN: T, DELETED: Dtype.BOOL}
    columns = tuple(Column(c, d, _kind(c, d)) for c, d in told.items())
    return Table(name, columns, ROLES[name].key or None, ROLES[name].happened, KNOWN, DELETED)


def _kind(column: str, dtype: Dtype) -> Kind:
    if column.startswith("_"):
        return Kind.IGNORED
    if column.endswith("_id"):
        return Kind.ID
    return {S: Kind.CATEGORICAL, T: Kind.TIMESTAMP}.get(dtype, Kind.NUMERICAL)


EXPRESSIONS = {
    "orders_30d": "COUNT(orders.*, -30, 0, days)",
    "spent": "SUM(orders.price, -INF, 0, days)",
    "dear": "COUNT(orders.* WHERE orders.price > 1, -30, 0, days)",
    "cost": "SUM(products.cost, -20, 0, days)",
    "size": "MAX(items.size, -30, 0, days)",
    "colours": "COUNT_DISTINCT(items.colour, -INF, 0, days)",
    "pages": "COUNT_DISTINCT(visits.page, -10, 0, days)",
    "last_page": "LAST(visits.page, -INF, 0, days)",
    "city": "customers.city",
}
NESTED = {
    "packed": "COUNT(orders.* WHERE COUNT(items.*) > 0, -30, 0, days)",
    "alike": "SUM(orders.price, -30, 0, days) OF SAME customers.city",
    "all": "COUNT(orders.*, -5, 0, rows) OF ALL",
    "made": "COUNT_DISTINCT(makers.country, -INF, 0, days)",
}
COUNTERS = {
    "floor": "tills.floor",
    "cost": "products.cost",
    "n": "COUNT(orders.*, -5, 0, days)",
    "here": "SUM(orders.price VIA orders.shop, -30, 0, days) / tills.floor",
    "upstairs": "COUNT(orders.* WHERE tills.floor > 0, -30, 0, days)",
}


def definitions(expressions: Mapping[str, str] = EXPRESSIONS) -> Definitions:
    """Entities with a table, without one, and of two columns, and views of each."""
    entities = {
        "customer": Entity("customer", ("customer_id",), table="customers"),
        "till": Entity("till", ("shop", "till")),
        "shop": Entity("shop", ("shop",)),
        "counter": Entity("counter", ("till_number", "till_shop"), "tills"),
    }
    views = {
        "spending": ExpressionView("spending", "customer", dict(expressions)),
        "order": LatestView("order", "customer", "orders", {"price": "price", "product": "product"}),
        "own": LatestView("own", "customer", "customers", {"city": "city", "since": "since"}),
        "takings": ExpressionView(
            "takings", "till", {"n": "COUNT(orders.*, -5, 0, days)", "p": "AVG(orders.price, -INF, 0, days)"}
        ),
        "nested": ExpressionView("nested", "customer", NESTED),
        "homes": ExpressionView("homes", "customer", {"floor": "tills.floor", "cost": "products.cost"}),
        "counters": ExpressionView("counters", "counter", COUNTERS),
        "shopping": LatestView("shopping", "shop", "orders", {"price": "price"}, ttl=10 * DAY),
    }
    return Definitions(entities, views)


@dataclass
class Shop:
    """The lake, a stream into one of its tables, and a store that is synced."""

    place: Path
    clock: int = NOW
    bound: Bound = field(default_factory=lambda: bind(definitions(), graph()))
    writer: TableWriter | None = None
    sent: int = 0
    batch: int = 0
    mark: str = "b"

    @classmethod
    def showing(cls, place: str, view: str) -> Shop:
        """A shop of which one view is kept."""
        told = definitions()
        return cls(Path(place), bound=bind(replace(told, views={view: told.views[view]}), graph()))

    def __post_init__(self) -> None:
        self.lake: Lake = open_lake(self.place / "lake", now=lambda: self.clock)
        for name, columns in COLUMNS.items():
            self.lake.create(name, pa.schema([(c, ARROW[d]) for c, d in columns.items()]), ROLES[name])
        self.stores: dict[str, OnlineStore] = {}

    def store(self, name: str = "store") -> OnlineStore:
        """A store in a folder of its own."""
        if name not in self.stores:
            self.stores[name] = LmdbStore(self.place / name)
        return self.stores[name]

    def close(self) -> None:
        """Let go of stores and stream."""
        for store in self.stores.values():
            store.close()
        if self.writer is not None:
            self.writer.abandon()

    # ------------------------------------------------------------ rows

    def commit(self, name: str, rows: Sequence[Mapping[str, Any]], *, whole: bool = False) -> None:
        """Row versions as one version of a table."""
        table = self.lake.table(name)
        kinds = {c: ARROW[d] for c, d in {**COLUMNS[name], KNOWN: T, DELETED: Dtype.BOOL}.items()}
        columns = {c: pa.array([row.get(c) for row in rows], kind) for c, kind in kinds.items()}
        staged = table.stage(pa.table(columns).to_batches())
        self.batch += 1
        (table.replace if whole else table.commit)(staged, batch=f"{self.mark}{self.batch}")

    def stream(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Rows of orders that come by a stream, into the tail."""
        if self.writer is None:
            told = Stream("s", "redis://nowhere/s", "orders", ("order_id",), "at", limits=Limits(segment_seconds=1e9))
            self.writer = open_writer(told, self.lake, lambda: self.clock)
        self.writer.write([Message("p", self.sent + n + 1, _typed(row), typed=True) for n, row in enumerate(rows)])
        self.sent += len(rows)

    def flush(self) -> None:
        """Make the tail a version."""
        if self.writer is not None:
            self.writer.flush()

    def sync(self, store: str = "store", settings: Settings = SETTINGS, **options: Any) -> tuple[Synced, ...]:
        """Bring a store into step."""
        return sync(self.bound, self.lake, self.store(store), settings=settings, now=lambda: self.clock, **options)

    def contents(self, store: str = "store") -> dict[str, Any]:
        """What a store holds of every view."""
        return contents(self.bound, self.store(store), self.clock)


def _typed(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "at": EPOCH + dt.timedelta(microseconds=row["at"])}


# ------------------------------------------------------------------------------------------------- what is held


def contents(bound: Bound, store: OnlineStore, at: int) -> dict[str, Any]:
    """By view and stream, the rows of each key that can be asked for at ``at`` or later."""
    found = {}
    for view in bound.views.values():
        state = live(store, view.kept)
        assert state is not None
        for number, holding in enumerate(kept_for(view, bound.graph).holdings):
            found[f"{view.name} {number} {holding.stream.table}"] = dict(_held(store, state, holding, at))
    return found


def _held(store: OnlineStore, state: ViewState, holding: Holding, at: int) -> Iterator[tuple[bytes, list[list[Any]]]]:
    space, texts = state.spaces[holding.fingerprint], Texts(store, state.texts)
    for key in walk(store, space.name):
        parts = store.read(space.name, [key])[0]
        if holding.newest:
            assert [part.number for part in parts] == [0]
            rows = heads.from_bytes(parts[0].data)
        else:
            data = [_rows_of(store, space, key, part.data) for part in parts]
            matrices = [records.from_bytes(one, len(holding.columns)) for one in data]
            assert all((m[:, 0] // space.span == part.number).all() for m, part in zip(matrices, parts, strict=True))
            rows = [_decoded(row, holding, texts) for matrix in matrices for row in matrix.tolist()]
        assert [row[0] for row in rows] == sorted(row[0] for row in rows)
        if kept := asked(holding, rows, at):
            yield key, kept


def _rows_of(store: OnlineStore, space: Space, key: bytes, part: bytes) -> bytes:
    """The rows of a part, which may lie in pieces."""
    if not crowds.is_crowd(part):
        return part
    return b"".join(crowds.pieces(store, space, key, crowds.Crowd.from_bytes(part).named))


def _decoded(row: list[int], holding: Holding, texts: Texts) -> list[Any]:
    values = list(row)
    for place, dtype in enumerate(holding.dtypes):
        if dtype is Dtype.STRING and row[3 + place] != records.NULL:
            values[3 + place] = texts.get([row[3 + place]])[row[3 + place]]
    return values


def asked(holding: Holding, rows: list[list[Any]], at: int) -> list[list[Any]]:
    """The rows that can still be asked for, by the definition: at some instant from ``at`` on one of them is read."""
    kept = [row for row in rows if row[2] > at and (holding.reach is None or row[0] > at - holding.reach)]
    if not holding.newest:
        return sorted(kept, key=repr) if not ROLES[holding.stream.table].key else kept
    instants = sorted({at, *(t for row in kept for t in row[1:3] if t > at)})
    last = {max((n for n, row in enumerate(kept) if row[1] <= t < row[2]), default=-1) for t in instants}
    return [row for n, row in enumerate(kept) if n in last]


# ------------------------------------------------------------------------------------------------- what happens

VIEWS = st.sampled_from(["spending", "spending", *definitions().views])
KEYS: Mapping[str, st.SearchStrategy[Any]] = {
    "customer_id": st.integers(0, 3), "order_id": st.integers(0, 7), "item_id": st.integers(0, 9),
    "product": st.sampled_from(["p", "q"]), "maker_id": st.integers(0, 1),
    "till_shop": st.sampled_from(["a|b", "a"]), "till_number": st.integers(0, 1),
}  # fmt: skip


def times(last: int = 64) -> st.SearchStrategy[int]:
    """Instants on a coarse grid around the present, a few of them ahead."""
    return st.integers(0, 4 * last).map(lambda n: START + n * DAY // 4)


VALUES: Mapping[str, st.SearchStrategy[Any]] = {
    "shop": st.sampled_from(["a|b", "a", None]), "till": st.integers(0, 1), "at": times(), "since": times(),
    "price": st.sampled_from([0.5, 1.5, 2.5, None]), "cost": st.sampled_from([1.0, 2.0, None]),
    "size": st.sampled_from([1.0, 2.0, 3.0]), "colour": st.sampled_from(["red", "blue", None]),
    "city": st.sampled_from(["Oslo", "Rome", None]), "page": st.sampled_from(["x", "y"]),
    "country": st.sampled_from(["no", "it"]), "home_shop": st.sampled_from(["a|b", "a", None]),
    "home_till": st.integers(0, 1), "floor": st.integers(0, 2),
}  # fmt: skip


@st.composite
def rows_of(draw: st.DrawFn, name: str, *, streamed: bool = False) -> list[dict[str, Any]]:
    """A few row versions; those that are committed know of other days than today, and some delete."""
    columns = {c: KEYS.get(c, VALUES.get(c)) for c in COLUMNS[name]}
    if not streamed:
        columns |= {KNOWN: st.one_of(st.none(), times(61)), DELETED: st.sampled_from([False, False, False, True])}
    return draw(st.lists(st.fixed_dictionaries(columns), min_size=1, max_size=5))


def steps() -> st.SearchStrategy[list[tuple[str, Any]]]:
    """What may happen to the shop, in order."""
    commits = [st.tuples(st.just(name), rows_of(name)) for name in COLUMNS]
    usual = [*commits, commits[1], commits[1], st.tuples(st.just("stream"), rows_of("orders", streamed=True))]
    rare = st.sampled_from([("flush", 0), ("compact", 0), ("sync", 0), ("sync", 0), ("later", 0), ("anew", 0)])
    replaced = st.tuples(st.just("replace"), rows_of("orders"))
    return st.lists(st.one_of(*usual, rare, rare, rare, replaced), min_size=1, max_size=12)


def happen(shop: Shop, what: str, how: Any) -> None:
    """One of the steps."""
    shop.clock += 1000
    if what in COLUMNS:
        shop.commit(what, how)
    elif what == "stream":
        shop.stream(how)
    elif what == "flush":
        shop.flush()
    elif what == "compact":
        shop.lake.table("orders").compact()
    elif what == "replace":
        shop.commit("orders", how, whole=True)
    elif what == "later":
        shop.clock += 3 * DAY
    else:
        shop.sync(anew=what == "anew")
