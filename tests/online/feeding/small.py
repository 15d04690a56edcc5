"""The shop with a few views: rows in place (plain, filtered, of composite keys), and such as rest on other tables."""

from __future__ import annotations

from pathlib import Path

from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.declared import Definitions
from tests.online.syncing.worlds import Shop, definitions, graph

FEATURES = {
    "orders_30d": "COUNT(orders.*, -30, 0, days)",
    "spent": "SUM(orders.price, -INF, 0, days)",
    "dear": "COUNT(orders.* WHERE orders.price > 1, -30, 0, days)",
    "size": "MAX(items.size, -30, 0, days)",
}


def small_bound() -> Bound:
    """Four views."""
    declared = definitions(FEATURES)
    views = {name: declared.views[name] for name in ("spending", "order", "takings", "shopping")}
    return bind(Definitions(declared.entities, views), graph())


def small_shop(place: Path) -> Shop:
    """The shop of a folder, which another process may have begun."""
    return Shop(place, bound=small_bound())
