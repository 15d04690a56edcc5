"""Random databases whose keys and links are of several columns: markets with stalls, shops in areas, and visits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st

from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions, Entity, ExpressionView, LatestView, RoleView, View
from penstock.schema import Dtype, Graph, Link, Table
from tests import strategies as make

N, F, S, T, B = Dtype.INT, Dtype.FLOAT, Dtype.STRING, Dtype.TIMESTAMP, Dtype.BOOL
WORDS = st.sampled_from(["a", "a|1", "", "\\", "é", "e\u0301"])
ZONES = st.sampled_from([0.0, -0.0, 0.1 + 0.2, 1e300])
PARTS: Mapping[str, st.SearchStrategy[Any]] = {
    "market": WORDS, "day": st.sampled_from([0, 1, -2, 10]), "country": WORDS, "number": st.sampled_from([0, 1, 10]),
    "zone": ZONES, "north": st.booleans(), "user_id": st.integers(0, 2), "visit_id": st.integers(0, 99),
}  # fmt: skip
PARTS = {**PARTS, "shop_country": PARTS["country"], "shop_number": PARTS["number"],
         "next_market": PARTS["market"], "next_day": PARTS["day"]}  # fmt: skip
COLUMNS: Mapping[str, Mapping[str, Dtype]] = {
    "users": {"user_id": N, "shop_country": S, "shop_number": N, "name": S},
    "areas": {"zone": F, "north": B, "at": T, "known": T, "rank": F},
    "shops": {"country": S, "number": N, "zone": F, "north": B, "at": T, "known": T, "gone": B, "size": F, "city": S},
    "stalls": {"market": S, "day": N, "shop_country": S, "shop_number": N, "user_id": N, "next_market": S,
               "next_day": N, "at": T, "known": T, "price": F},
    "visits": {"visit_id": N, "market": S, "day": N, "user_id": N, "at": T, "known": T, "spent": F, "why": S},
}  # fmt: skip
SIZES = {"users": 3, "areas": 4, "shops": 6, "stalls": 8, "visits": 14}
LINKS = (
    Link("users", ("shop_country", "shop_number"), "shops"),
    Link("shops", ("zone", "north"), "areas"),
    Link("stalls", ("shop_country", "shop_number"), "shops"),
    Link("stalls", "user_id", "users"),
    Link("visits", ("market", "day"), "stalls"),
    Link("visits", "user_id", "users"),
)
STALL = {
    "price": "stalls.price", "city": "shops.city", "size": "shops.size", "rank": "areas.rank", "owner": "users.name",
    "dear": "stalls.price > 0 AND shops.city = 'a'", "ratio": "SUM(visits.spent, -30, 0, days) / stalls.price",
    "visits": "COUNT(visits.* WHERE visits.why != 'b', -20, 0, days)", "most": "MAX(visits.spent, -INF, 0, days)",
    "by_whom": "COUNT_DISTINCT(visits.user_id, -INF, 0, days)",
    "sizes": "COUNT(visits.* WHERE stalls.price > 0, -30, 0)",
    "owners": "COUNT(visits.*, -30, 0, days) OF stalls.user_id", "alike": "COUNT(visits.*, -9, 0) OF SAME shops.city",
}  # fmt: skip
USER = {
    "city": "shops.city", "rank": "areas.rank", "spent": "SUM(visits.spent, -30, 0, days)", "name": "users.name",
    "sizes": "SUM(stalls.price VIA visits.market, -30, 0, days)",
}  # fmt: skip


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """The tables, with clocks that come and go, and keys in any order."""
    clocks: dict[str, Mapping[str, str]] = {
        "users": {},
        "areas": draw(st.sampled_from([{}, {"happened": "at"}, {"known": "known"}])),
        "shops": draw(st.sampled_from([{}, {"happened": "at"}, {"known": "known", "deleted": "gone"}])),
        "stalls": draw(st.sampled_from([{}, {"known": "known"}, {"happened": "at", "known": "known"}])),
        "visits": draw(st.sampled_from([{"happened": "at"}, {"happened": "at", "known": "known"}])),
    }
    keys = {"users": "user_id", "areas": ("zone", "north"), "shops": ("country", "number"), "visits": "visit_id",
            "stalls": ("market", "day")}  # fmt: skip
    tables = (
        Table(name, tuple(make.column(c, d) for c, d in told.items()), keys[name], **clocks[name])
        for name, told in COLUMNS.items()
    )
    itself = [Link("stalls", ("next_market", "next_day"), "stalls")] if draw(st.booleans()) else []
    return Graph(tuple(tables), (*LINKS, *itself))


@st.composite
def databases(draw: st.DrawFn) -> make.MemoryRows:
    """A database of up to a few dozen rows."""
    graph = draw(graphs())
    return make.MemoryRows(graph, {table.name: draw(_rows(table)) for table in graph})


@st.composite
def _rows(draw: st.DrawFn, schema: Table) -> list[dict[str, Any]]:
    kinds = {c.name: make.maybe(PARTS.get(c.name, make.VALUES[c.dtype])) for c in schema.columns}
    kinds |= {key: PARTS[key] for key in schema.keys}
    found = draw(st.lists(st.fixed_dictionaries(kinds), max_size=SIZES[schema.name]))
    named = (*schema.keys, *([schema.known] if schema.known else []))
    return list({tuple(row[name] for name in named): row for row in found}.values())


def definitions(order: tuple[str, ...], stall: Mapping[str, str], user: Mapping[str, str]) -> Definitions:
    """Entities of two columns, in either order, and of one; views of both, and one of them in another role."""
    entities = [Entity("stall", order, "stalls", {"visits": order}), Entity("user", ("user_id",), "users")]
    views: list[View] = [
        ExpressionView("s", "stall", dict(stall)),
        ExpressionView("u", "user", dict(user)),
        LatestView("newest", "stall", "visits", {"why": "why"}, keys=order),
        LatestView("own", "stall", "stalls", {"cost": "price"}, keys=order),
        RoleView("there", "s", {"market": "there_market", "day": "there_day"}),
    ]
    return Definitions({one.name: one for one in entities}, {one.name: one for one in views})


def bound_to(graph: Graph, order: tuple[str, ...], stall: Mapping[str, str], user: Mapping[str, str]) -> Bound:
    """The definitions fitted to the tables, all of them sound."""
    bound = bind(definitions(order, stall, user), graph)
    bound.must_be_sound()
    return bound
