"""Random small databases, cutoffs and aggregates for property tests: NULLs, ties, late rows, versions and deletions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from hypothesis import strategies as st

from penstock.aggregates import AGGREGATES
from penstock.expression import Among, Compare, Constant, Expr, IsNull, Logic, Not
from penstock.plan import Aggregate, Field, Stream
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table
from penstock.window import Lookahead, Lookback, Unit

DAY = Unit.DAYS.microseconds
START = 19_750 * DAY  # 2024-01-28, so that months of different lengths come up

ORDERS = Link("orders", "user_id", "users")
ITEMS = Link("items", "order_id", "orders")
PRODUCT = Link("orders", "product_id", "products")
MAKER = Link("products", "maker_id", "makers")

_ARROW = {Dtype.INT: pa.int64(), Dtype.FLOAT: pa.float64(), Dtype.BOOL: pa.bool_(), Dtype.STRING: pa.string()}
_ARROW[Dtype.TIMESTAMP] = pa.timestamp("us")


@dataclass(frozen=True)
class MemoryRows:
    """Tables of dicts as an engine sees them."""

    graph: Graph
    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    fingerprint: str = "test"

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns as Arrow."""
        schema = self.graph.table(table)
        kinds = {c: _ARROW[schema.column(c).dtype] for c in columns}
        return pa.table({c: pa.array([row[c] for row in self.rows[table]], kinds[c]) for c in columns})


def column(name: str, dtype: Dtype) -> Column:
    """A column whose kind follows from its dtype."""
    kinds = {Dtype.STRING: Kind.CATEGORICAL, Dtype.BOOL: Kind.CATEGORICAL, Dtype.TIMESTAMP: Kind.TIMESTAMP}
    return Column(name, dtype, Kind.ID if name.endswith("_id") else kinds.get(dtype, Kind.NUMERICAL))


def table(name: str, key: str | None, clocks: Mapping[str, str], **columns: Dtype) -> Table:
    """A table of these columns."""
    return Table(name, tuple(column(n, d) for n, d in columns.items()), key, **clocks)


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Users with orders of products of makers, and items of orders; clocks come and go."""
    i, f, s, b, t = Dtype.INT, Dtype.FLOAT, Dtype.STRING, Dtype.BOOL, Dtype.TIMESTAMP
    versioned = {"known": "known", "deleted": "gone"}
    orders = {"happened": "at"} | draw(st.sampled_from([{}, {"known": "known"}, versioned]))
    items = draw(st.sampled_from([{}, {"happened": "at"}, {"happened": "at", "known": "known"}]))
    products = draw(st.sampled_from([{}, {"happened": "at"}, versioned, {"happened": "at", "known": "known"}]))
    users = draw(st.sampled_from([{}, {"happened": "at"}]))
    return Graph(
        (
            table("users", "user_id", users, user_id=i, at=t, city=s),
            table("orders", draw(st.sampled_from(["order_id", None] if "deleted" not in orders else ["order_id"])),
                  orders, order_id=i, user_id=i, product_id=s, at=t, known=t, gone=b, price=f, count=i, status=s,
                  paid=b),
            table("items", "item_id", items, item_id=i, order_id=i, at=t, known=t, size=f, colour=s),
            table("products", "product_id", products, product_id=s, maker_id=i, at=t, known=t, gone=b, cost=f, kind=s),
            table("makers", "maker_id", {}, maker_id=i, country=s),
        ),
        (ORDERS, PRODUCT, MAKER),
    )  # fmt: skip


def times() -> st.SearchStrategy[int]:
    """Instants on a coarse grid, so that ties and rows exactly at a cutoff are common."""
    coarse = st.integers(0, 40).map(lambda n: START + n * DAY // 2 * 3)
    return st.one_of(coarse, st.integers(0, 60 * DAY).map(START.__add__))


def maybe(strategy: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Now and then NULL."""
    return st.one_of(strategy, strategy, strategy, st.none())


NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.floats(-1e6, 1e6, allow_nan=False).map(lambda x: round(x, 2)))
VALUES: dict[Dtype, st.SearchStrategy[Any]] = {
    Dtype.INT: st.integers(-4, 4),
    Dtype.FLOAT: NUMBERS,
    Dtype.BOOL: st.booleans(),
    Dtype.STRING: st.sampled_from(["a", "b", "c", "ä", ""]),
    Dtype.TIMESTAMP: times(),
}
KEYS = {
    "user_id": st.integers(0, 3),
    "order_id": st.integers(0, 9),
    "item_id": st.integers(0, 99),
    "product_id": st.sampled_from(["p", "q", "r"]),
    "maker_id": st.integers(0, 2),
}


@st.composite
def rows_of(draw: st.DrawFn, schema: Table, most: int) -> list[dict[str, Any]]:
    """Rows of a table; its key is unique unless it keeps versions, which all differ."""
    kinds = {c.name: maybe(KEYS.get(c.name, VALUES[c.dtype])) for c in schema.columns}
    if schema.deleted:
        kinds[schema.deleted] = st.sampled_from([None, False, False, True])
    for key in schema.keys:
        kinds[key] = KEYS[key]
    found = draw(st.lists(st.fixed_dictionaries(kinds), max_size=most))
    if schema.known is None and schema.keys:
        found = list({row[schema.keys[0]]: row for row in found}.values())
    return list({tuple(row.values()): row for row in found}.values()) if schema.known and schema.keys else found


@st.composite
def databases(draw: st.DrawFn) -> MemoryRows:
    """A database of up to a few dozen rows."""
    graph = draw(graphs())
    sizes = {"users": 4, "orders": 14, "items": 12, "products": 5, "makers": 3}
    rows = {t.name: draw(rows_of(t, sizes[t.name])) for t in graph}
    return MemoryRows(Graph(graph.tables, (*graph.links, *_items(graph))), rows)


def _items(graph: Graph) -> list[Link]:
    return [ITEMS] if graph.table("orders").keys else []


@st.composite
def streams(draw: st.DrawFn, graph: Graph, *, filters: bool = True) -> Stream:
    """A path from users down, now and then with a filter."""
    paths = [(ORDERS,), (ORDERS,)] + ([(ORDERS, ITEMS)] if ITEMS in graph.links else [])
    hops = draw(st.sampled_from(paths))
    where = draw(conditions(graph, hops[-1].table)) if filters and draw(st.booleans()) else None
    return Stream("users", hops, where)


def fields(graph: Graph, name: str) -> list[Field]:
    """The columns a stream of this table can read, its parents' among them."""
    own = [Field(name, c.name, c.dtype, c.kind) for c in graph.table(name).columns]
    if name != "orders":
        return own
    ups = [("products", "cost", (PRODUCT,)), ("products", "kind", (PRODUCT,)), ("makers", "country", (PRODUCT, MAKER))]
    parents = [Field(t, c, (k := graph.table(t).column(c)).dtype, k.kind, hops) for t, c, hops in ups]
    return own + parents * 3


@st.composite
def conditions(draw: st.DrawFn, graph: Graph, name: str) -> Expr:
    """A filter over rows of a table."""
    field = draw(st.sampled_from([f for f in fields(graph, name) if f.dtype in (Dtype.FLOAT, Dtype.STRING, Dtype.INT)]))
    constants = VALUES[field.dtype] if field.dtype is not Dtype.STRING else st.sampled_from(["a", "b", "p"])
    simple: Expr = draw(
        st.one_of(
            st.builds(Compare, st.sampled_from(["=", "!=", "<", ">="]), st.just(field), constants.map(Constant)),
            st.builds(IsNull, st.just(field), st.booleans()),
            st.builds(Among, st.just(field), st.lists(constants.map(Constant), min_size=1, max_size=3).map(tuple)),
        )
    )
    if draw(st.integers(0, 3)) == 0:
        return Not(simple)
    if draw(st.integers(0, 3)) == 0:
        return Logic(draw(st.sampled_from(["AND", "OR"])), simple, draw(conditions(graph, name)))
    return simple


LOOKBACKS = st.sampled_from(
    [Lookback(-3, 0), Lookback(-30, 0), Lookback(None, 0), Lookback(-10, -3), Lookback(-1, 0, Unit.MONTHS),
     Lookback(-2, -1, Unit.MONTHS), Lookback(-36, 0, Unit.HOURS), Lookback(-1, 0, Unit.WEEKS),
     Lookback(-1, 0, Unit.ROWS), Lookback(-3, 0, Unit.ROWS), Lookback(-4, -1, Unit.ROWS)]
)  # fmt: skip
LOOKAHEADS = st.sampled_from([Lookahead(0, 3), Lookahead(0, 30), Lookahead(2, 9), Lookahead(0, 1, Unit.MONTHS)])


@st.composite
def aggregates_of(draw: st.DrawFn, graph: Graph, stream: Stream, *, ahead: bool = False) -> Aggregate:
    """An aggregate of a stream."""
    window = draw(LOOKAHEADS if ahead else LOOKBACKS)
    spec = draw(st.sampled_from([s for s in AGGREGATES.values() if s.name not in ("TIME_SINCE", "GAP") or not ahead]))
    numeric = (Dtype.INT, Dtype.FLOAT)
    offered = [f for f in fields(graph, stream.table) if not spec.numeric or f.dtype in numeric]
    value = None if spec.star and draw(st.booleans()) else draw(st.sampled_from(offered))
    n = draw(st.integers(1, 3)) if spec.name == "LAST_N" else None
    return Aggregate(spec.name, stream, value, window, n)
