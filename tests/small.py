"""A shop small enough to ask everything of: users who order items, some much more often than others."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

DAY = 86_400_000_000
START = 19_723 * DAY  # 2024-01-01
QUIET = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH users.user_id"


def shop(users: int = 80, days: int = 240, seed: int = 0) -> dict[str, pa.Table]:
    """Tables ``users`` (some without a score or city), ``orders`` (rows in no order) and ``items``."""
    rng = np.random.default_rng(seed)
    rate = rng.gamma(1.0, 1.0, users)
    user = rng.permutation(np.repeat(np.arange(1, users + 1), rng.poisson(rate * days / 15)))
    count = len(user)
    item = np.minimum(rng.geometric(0.2, count), 20)
    placed = START + rng.integers(0, days * DAY, count)
    orders: dict[str, Any] = {
        "order_id": np.arange(count), "user_id": user, "item_id": item,
        "placed_at": pa.array(placed, pa.timestamp("us")), "amount": np.round(rng.gamma(2, 10, count), 2),
        "state": np.array(["paid", "returned", "open"])[rng.integers(0, 3, count)],
    }  # fmt: skip
    people = {
        "user_id": np.arange(1, users + 1),
        "city": [("Oslo", "Rome", "Lima", None)[n] for n in rng.integers(0, 4, users)],
        "height": [None if n % 5 == 0 else round(float(r * 10), 3) for n, r in enumerate(rate)],
    }
    items = {"item_id": np.arange(1, 21), "price": rng.random(20) * 50, "sort": [f"sort {n % 4}" for n in range(20)]}
    return {"users": pa.table(people), "orders": pa.table(orders), "items": pa.table(items)}


def changed(tables: dict[str, pa.Table], table: str, **columns: Any) -> dict[str, pa.Table]:
    """The tables with some columns of one of them replaced or added."""
    made = tables[table]
    for name, values in columns.items():
        there = name in made.column_names
        made = (
            made.set_column(made.column_names.index(name), name, values) if there else made.append_column(name, values)
        )
    return {**tables, table: made}
