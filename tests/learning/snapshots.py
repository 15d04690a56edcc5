"""Shops whose customers have honest attributes, some of them strong, and columns overwritten later on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

DAY = 86_400_000_000
START = 19_000 * DAY
DAYS = 700

HONEST = (
    "income",
    "plan",
    "contract",
    "height",
    "talent",
    "marital_status",
    "kids_count",
    "left_at",
    "generation",
    "fee",
)
"""What is true from the beginning, or comes to be known when it happens. ``talent`` is the very rate of buying."""
OVERWRITTEN = ("total", "ltv", "status", "karma", "last_seen", "days_quiet")
"""What was counted or set when the data was taken."""


@dataclass(frozen=True)
class Shop:
    """How many customers, how often they buy (a day), how soon they leave, and whether it is known when they came."""

    customers: int = 2_000
    rate: float = 0.05
    hazard: float = 1 / 300
    clock: bool = True


def snapshot(shop: Shop, seed: int) -> dict[str, pa.Table]:
    """Tables ``users`` and ``orders``, taken after 700 days."""
    rng, many = np.random.default_rng(seed), shop.customers
    income, plan, contract = rng.normal(size=many), rng.integers(0, 3, many), rng.integers(0, 2, many)
    born = rng.random(many) * DAYS * 0.95
    rate = shop.rate * np.exp(0.9 * income + 0.6 * (plan - 1))
    stays = rng.exponential(1 / (shop.hazard * np.where(contract == 1, 0.3, 2.0)))
    there = np.minimum(born + stays, DAYS) - born
    user = np.repeat(np.arange(many), rng.poisson(rate * there))
    day = born[user] + rng.random(len(user)) * there[user]
    amount = np.round(rng.gamma(2, 10, len(user)), 2)
    honest = {
        "income": np.round(income * 100 + 500, 1),
        "plan": [f"p{n}" for n in plan],
        "contract": [f"c{n}" for n in contract],
        "height": np.round(rng.normal(170, 9, many)),
        "talent": np.round(rate * 1000, 2),
        "marital_status": np.where(income + rng.normal(size=many) > 0, "married", "single"),
        "kids_count": np.clip(np.round(2 * income + 1 + rng.normal(size=many)), 0, 5),
        "left_at": instants(np.where(born + stays < DAYS, born + stays, np.nan)),
        "generation": [f"g{int(d // 120)}" for d in born],
        "fee": np.round(20 - born / 100 + rng.normal(size=many), 1),
    }
    keys = {"user_id": np.arange(1, many + 1)} | ({"joined_at": instants(born)} if shop.clock else {})
    users = {**keys, **honest, **overwritten(rng, many, born, user, day, amount)}
    order = rng.permutation(len(user))
    orders = {
        "order_id": np.arange(len(user)),
        "user_id": (user + 1)[order],
        "at": instants(day[order]),
        "amount": amount[order],
    }
    return {"users": pa.table(users), "orders": pa.table(orders)}


def overwritten(rng: np.random.Generator, many: int, born: Any, user: Any, day: Any, amount: Any) -> dict[str, Any]:
    """What the last day's rows say of each user."""
    last = np.full(many, -1.0)
    np.maximum.at(last, user, day)
    seen = np.where(last >= 0, np.minimum(last + rng.exponential(2, many), DAYS), born + rng.random(many))
    return {
        "total": np.bincount(user, minlength=many),
        "ltv": np.round(np.bincount(user, weights=amount, minlength=many), 2),
        "status": np.where(DAYS - last > 60, "gone", "there"),
        "karma": np.bincount(user, weights=rng.poisson(3, len(user)), minlength=many) + 1,
        "last_seen": instants(seen),
        "days_quiet": np.where(last >= 0, np.round(DAYS - last), -1),
    }


# ---------------------------------------------------------------- other ways to buy


Buying: TypeAlias = Callable[[np.random.Generator, Any], tuple[dict[str, Any], Any, Any]]
"""From the days on which users came: their honest attributes, and whose orders there were on which days."""


def regular(rng: np.random.Generator, born: Any) -> tuple[dict[str, Any], Any, Any]:
    """Who orders again whenever the last order is used up, which takes as long as the household is small."""
    size = rng.integers(1, 7, len(born))
    gaps = rng.gamma(20, 1 / 20, (len(born), 60)) * (90 / size)[:, None]
    day = born[:, None] + rng.random((len(born), 1)) * (90 / size)[:, None] + np.cumsum(gaps, axis=1)
    user, turn = np.nonzero(day < DAYS)
    return {"size": size, "region": [f"r{n}" for n in rng.integers(0, 9, len(born))]}, user, day[user, turn]


def seasonal(rng: np.random.Generator, born: Any) -> tuple[dict[str, Any], Any, Any]:
    """Some order in winter alone; ``keenness`` is the very rate."""
    skis, rate = rng.random(len(born)) < 0.4, 0.04 * rng.gamma(1, 1, len(born))
    user = np.repeat(np.arange(len(born)), rng.poisson(rate * (DAYS - born) * 2))
    day = born[user] + rng.random(len(user)) * (DAYS - born[user])
    kept = rng.random(len(user)) < 0.5 * (1 + skis[user] * np.sin(day / 365 * 2 * np.pi))
    cohort = [f"c{int(d // 50)}" for d in born]
    return {"skis": skis, "keenness": np.round(rate * 1e4), "cohort": cohort}, user[kept], day[kept]


def fading(rng: np.random.Generator, born: Any) -> tuple[dict[str, Any], Any, Any]:
    """Interest fades from the first day on; who came early was keener, and pays an older, lower price."""
    keen, lasts = np.exp(rng.normal(0, 0.8, len(born)) - born / 400), rng.gamma(2, 60, len(born))
    share = 1 - np.exp(-(DAYS - born) / lasts)
    user = np.repeat(np.arange(len(born)), rng.poisson(0.15 * keen * lasts * share))
    day = born[user] - lasts[user] * np.log(1 - rng.random(len(user)) * share[user])
    price = np.round(10 + born / 100 + rng.normal(0, 0.5, len(born)), 1)
    device = [f"v{int(d // 100)}" for d in born]
    rating = np.round(keen * 3 + rng.normal(size=len(born)))
    return {"price": price, "device": device, "keenness": np.round(keen * 30), "rating": rating}, user, day


def world_of(buying: Buying, clock: bool, seed: int) -> dict[str, pa.Table]:
    """2,000 users who came over 650 days, with ``all_orders``, a count taken at the end."""
    rng = np.random.default_rng(seed)
    born = rng.random(2_000) * 650
    honest, user, day = buying(rng, born)
    keys = {"user_id": np.arange(2_000)} | ({"joined_at": instants(born)} if clock else {})
    users = {**keys, **honest, "all_orders": np.bincount(user, minlength=2_000)}
    orders = {"order_id": np.arange(len(user)), "user_id": user, "at": instants(day)}
    return {"users": pa.table(users), "orders": pa.table(orders)}


def instants(days: Any) -> pa.Array:
    """Days as instants; NaN as NULL."""
    return pa.array([None if np.isnan(d) else int(START + d * DAY) for d in days], pa.timestamp("us"))
