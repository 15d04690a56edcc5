"""The questions: of which database, in PQL, and the event tables that a person would summarise by hand for them.

They were chosen for what people ask and for how much they differ (rows, sparsity, horizon, drift), before anything was
measured, and none was taken away after. Databases that are not there are left out, and said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path

import pyarrow as pa

import penstock
from penstock import demo
from penstock.database import Database
from penstock.settings import Settings

DATA = Path(__file__).resolve().parents[3] / "shared" / "data"
DEMO = "demo"
TWIN = "+leaks"
"""What the name of a task ends in that keeps the leaking columns."""

LEAKING: Mapping[str, tuple[str, ...]] = {
    "retail": ("customers.Country", "products.Description"),
    "stats_se": (
        *(f"users.{name}" for name in ("Reputation", "Views", "UpVotes", "DownVotes")),
        *(f"posts.{name}" for name in ("Score", "ViewCount", "AnswerCount", "CommentCount", "FavoriteCount")),
        "posts.LastEditorUserId",
        "tags.Count",
    ),
}
"""Columns that were taken when the data was dumped, as the databases' own notes say: they know the future."""


@dataclass(frozen=True)
class Task:
    """A question with a name.

    ``events`` are what a person would summarise by hand: SQL over the database's tables that gives ``entity``,
    ``happened`` and ``money`` (the amount that matters, or NULL), by the name of the stream. ``twin`` asks it once more
    with the leaking columns kept.
    """

    name: str
    database: str
    query: str
    events: Mapping[str, str] = field(default_factory=dict)
    twin: bool = False
    kept: bool = False
    telling: Mapping[str, str] = field(default_factory=dict)

    @property
    def leaking(self) -> tuple[str, ...]:
        """The columns that are left out of everybody's sight."""
        return () if self.kept else LEAKING.get(self.database, ())

    def twins(self) -> Iterator[Task]:
        """The task, and the same with the leaking columns kept."""
        yield self
        if self.twin:
            events = {**self.events, **self.telling}
            yield replace(self, name=f"{self.name}{TWIN}", kept=True, events=events)


_INVOICES = "SELECT CustomerID AS entity, InvoiceDate AS happened, NULL AS money FROM invoices"
_BASKETS = """
    SELECT CustomerID AS entity, i.InvoiceDate AS happened, sum(Quantity * UnitPrice) AS money
    FROM items i JOIN invoices v ON v.InvoiceNo = i.InvoiceNo GROUP BY v.InvoiceNo, CustomerID, i.InvoiceDate"""
_UNITS = """
    SELECT CustomerID AS entity, i.InvoiceDate AS happened, Quantity AS money
    FROM items i JOIN invoices v ON v.InvoiceNo = i.InvoiceNo"""
_SALES = "SELECT StockCode AS entity, InvoiceDate AS happened, Quantity AS money FROM items"
_BADGES = "SELECT UserId AS entity, Date AS happened, NULL AS money FROM badges"
_POSTS = "SELECT OwnerUserId AS entity, CreationDate AS happened, PostTypeId = 1 AS money FROM posts"
_LINKED = "SELECT RelatedPostId AS entity, CreationDate AS happened, LinkTypeId AS money FROM postLinks"
_LINKING = "SELECT PostId AS entity, CreationDate AS happened, LinkTypeId AS money FROM postLinks"
_WRITTEN = """
    SELECT p.Id AS entity, e.CreationDate AS happened, e.PostTypeId = 1 AS money
    FROM posts p JOIN posts e ON e.OwnerUserId = p.OwnerUserId AND e.Id <> p.Id AND e.CreationDate < p.CreationDate"""
_EARNED = """
    SELECT p.Id AS entity, b.Date AS happened, NULL AS money FROM posts p JOIN badges b ON b.UserId = p.OwnerUserId"""
_SHOPPING = "SELECT household_id AS entity, transaction_timestamp AS happened, sales_value AS money FROM transactions"
_COUPONS = "SELECT household_id AS entity, redemption_date AS happened, NULL AS money FROM coupon_redemptions"
_CAMPAIGNS = "SELECT household_id AS entity, start_date AS happened, NULL AS money FROM campaign_households"
_PLAYED = """
    SELECT home_team AS entity, date AS happened, home_score - away_score AS money FROM matches
    UNION ALL SELECT away_team, date, away_score - home_score FROM matches"""
_AT_HOME = "SELECT home_team AS entity, date AS happened, home_score AS money FROM matches"
_TEAM_GOALS = "SELECT team AS entity, date AS happened, minute AS money FROM goals"
_SCORER_GOALS = "SELECT scorer AS entity, date AS happened, penalty AS money FROM goals"
_HOME_SIDE = """
    SELECT m.match_id AS entity, e.date AS happened, e.home_score AS money
    FROM matches m JOIN matches e ON e.home_team = m.home_team AND e.date < m.date"""
_AWAY_SIDE = """
    SELECT m.match_id AS entity, e.date AS happened, e.home_score AS money
    FROM matches m JOIN matches e ON e.away_team = m.away_team AND e.date < m.date"""
_SCORED = """
    SELECT m.match_id AS entity, g.date AS happened, g.team = m.home_team AS money
    FROM matches m JOIN goals g ON g.match_id = m.match_id"""
_MUSIC = "SELECT CustomerId AS entity, InvoiceDate AS happened, Total AS money FROM Invoice"
_USAGE = "SELECT subscriber_id AS entity, happened_at AS happened, amount AS money FROM usage_events"
_SUPPORT = "SELECT subscriber_id AS entity, happened_at AS happened, NOT resolved AS money FROM support_interactions"

_USERS = {"posts": _POSTS, "badges": _BADGES}
_HOUSEHOLDS = {"transactions": _SHOPPING, "coupons": _COUPONS, "campaigns": _CAMPAIGNS}
_SUBSCRIBERS = {"usage": _USAGE, "support": _SUPPORT}

ASKED = (
    Task(
        "retail-churn-90",
        "retail",
        "PREDICT COUNT(invoices.*, 0, 90, days) = 0 FOR EACH customers.CustomerID"
        " WHERE COUNT(invoices.*, -365, 0, days) > 0",
        {"baskets": _BASKETS},
        twin=True,
    ),
    Task(
        "retail-orders-again-30",
        "retail",
        "PREDICT COUNT(invoices.*, 0, 30, days) > 0 FOR EACH customers.CustomerID",
        {"baskets": _BASKETS},
    ),
    Task(
        "retail-units-30",
        "retail",
        "PREDICT SUM(items.Quantity, 0, 30, days) FOR EACH customers.CustomerID"
        " WHERE COUNT(invoices.*, -180, 0, days) > 0 AND customers.CustomerID != 0",
        {"units": _UNITS, "invoices": _INVOICES},
    ),
    Task(
        "retail-product-sales-7",
        "retail",
        "PREDICT SUM(items.Quantity, 0, 7, days) FOR EACH products.StockCode WHERE COUNT(items.*, -90, 0, days) > 0",
        {"sales": _SALES},
        twin=True,
    ),
    Task(
        "retail-product-forecast",
        "retail",
        "PREDICT COUNT(items.*, 0, 7, days) FORECAST 4 TIMEFRAMES FOR EACH products.StockCode"
        " WHERE COUNT(items.*, -60, 0, days) > 0",
        {"sales": _SALES},
    ),
    Task(
        "retail-next-products",
        "retail",
        "PREDICT LIST_DISTINCT(items.StockCode, 0, 30, days) RANK TOP 10 FOR EACH customers.CustomerID"
        " WHERE COUNT(invoices.*, -90, 0, days) > 0",
    ),
    Task(
        "stats-badge-91",
        "stats_se",
        "PREDICT COUNT(badges.*, 0, 91, days) > 0 FOR EACH users.Id",
        _USERS,
        twin=True,
    ),
    Task(
        "stats-posts-91",
        "stats_se",
        "PREDICT COUNT(posts.*, 0, 91, days) > 0 FOR EACH users.Id",
        _USERS,
        twin=True,
    ),
    Task(
        "stats-linked-91",
        "stats_se",
        "PREDICT COUNT(postLinks.* VIA postLinks.RelatedPostId, 0, 91, days) > 0 FOR EACH posts.Id",
        {"linked": _LINKED, "linking": _LINKING},
        twin=True,
    ),
    Task(
        "stats-post-count-91",
        "stats_se",
        "PREDICT COUNT(posts.*, 0, 91, days) FOR EACH users.Id WHERE COUNT(posts.*, -365, 0, days) > 0",
        _USERS,
        twin=True,
    ),
    Task(
        "stats-post-type",
        "stats_se",
        "PREDICT posts.PostTypeId FOR EACH posts.Id",
        {"written": _WRITTEN, "earned": _EARNED},
        twin=True,
    ),
    Task(
        "journey-coupon-30",
        "journey",
        "PREDICT COUNT(coupon_redemptions.*, 0, 30, days) > 0 FOR EACH households.household_id",
        _HOUSEHOLDS,
    ),
    Task(
        "journey-spend-30",
        "journey",
        "PREDICT SUM(transactions.sales_value, 0, 30, days) FOR EACH households.household_id",
        _HOUSEHOLDS,
    ),
    Task(
        "journey-stores-30",
        "journey",
        "PREDICT LIST_DISTINCT(transactions.store_id, 0, 30, days) CLASSIFY FOR EACH households.household_id",
        _HOUSEHOLDS,
    ),
    Task(
        "journey-income",
        "journey",
        "PREDICT households.income FOR EACH households.household_id",
        _HOUSEHOLDS,
    ),
    Task(
        "football-goals-90",
        "football",
        "PREDICT COUNT(goals.*, 0, 90, days) FOR EACH teams.team"
        " WHERE COUNT(matches.* VIA matches.home_team, -730, 0, days) > 0",
        {"matches": _PLAYED, "goals": _TEAM_GOALS},
    ),
    Task(
        "football-home-win-90",
        "football",
        "PREDICT COUNT(matches.* VIA matches.home_team WHERE matches.home_score > matches.away_score, 0, 90, days) > 0"
        " FOR EACH teams.team WHERE COUNT(matches.* VIA matches.home_team, -730, 0, days) > 0",
        {"matches": _PLAYED, "at home": _AT_HOME},
    ),
    Task(
        "football-scorer-180",
        "football",
        "PREDICT COUNT(goals.*, 0, 180, days) > 0 FOR EACH scorers.scorer WHERE COUNT(goals.*, -730, 0, days) > 0",
        {"goals": _SCORER_GOALS},
    ),
    Task(
        "football-next-tournament",
        "football",
        "PREDICT FIRST(matches.tournament VIA matches.home_team, 0, 180, days) FOR EACH teams.team",
        {"matches": _PLAYED, "at home": _AT_HOME},
    ),
    Task(
        "football-tournaments-365",
        "football",
        "PREDICT LIST_DISTINCT(matches.tournament VIA matches.away_team, 0, 365, days) CLASSIFY FOR EACH teams.team",
        {"matches": _PLAYED, "at home": _AT_HOME},
    ),
    Task(
        "football-home-score",
        "football",
        "PREDICT matches.home_score FOR EACH matches.match_id",
        {"home side": _HOME_SIDE, "away side": _AWAY_SIDE},
        twin=True,
        telling={"goals": _SCORED},
    ),
    Task(
        "football-opponents-365",
        "football",
        "PREDICT LIST_DISTINCT(matches.away_team VIA matches.home_team, 0, 365, days) RANK TOP 10 FOR EACH teams.team",
    ),
    Task(
        "chinook-spend-90",
        "chinook",
        "PREDICT SUM(Invoice.Total, 0, 90, days) FOR EACH Customer.CustomerId",
        {"invoices": _MUSIC},
    ),
    Task(
        "chinook-buys-60",
        "chinook",
        "PREDICT COUNT(Invoice.*, 0, 60, days) > 0 FOR EACH Customer.CustomerId",
        {"invoices": _MUSIC},
    ),
    Task("demo-churn", DEMO, demo.QUESTION, _SUBSCRIBERS),
    Task(
        "demo-usage-30",
        DEMO,
        "PREDICT COUNT(usage_events.*, 0, 30, days) FOR EACH subscribers.subscriber_id"
        " WHERE COUNT(usage_events.*, -60, 0, days) > 0",
        _SUBSCRIBERS,
    ),
    Task(
        "demo-reasons-30",
        DEMO,
        "PREDICT LIST_DISTINCT(support_interactions.reason, 0, 30, days) CLASSIFY FOR EACH subscribers.subscriber_id"
        " WHERE COUNT(usage_events.*, -30, 0, days) > 0",
        _SUBSCRIBERS,
    ),
)

TASKS = tuple(twin for task in ASKED for twin in task.twins())


def absent(task: Task) -> str | None:
    """Why a task cannot be asked here."""
    if task.database == DEMO or (DATA / task.database).is_dir():
        return None
    return f"the database {task.database} is not beside the repository (../shared/data/{task.database})"


@cache
def demonstration() -> demo.Demo:
    """The telecom operator at full size."""
    return demo.generate()


def opened(task: Task, *, blind: bool = True) -> Database:
    """The task's database; ``blind`` hides what leaks from it."""
    settings = Settings.from_environment()
    if task.database == DEMO:
        db = penstock.connect(dict(demonstration().tables), settings=settings)
    else:
        db = penstock.connect(DATA / task.database, settings=settings)
    for column in task.leaking if blind else ():
        db.set(column, kind="ignored")
    return db


def tables(db: Database, hidden: tuple[str, ...] = ()) -> dict[str, pa.Table]:
    """Every table as Arrow, as the graph types it, without the hidden columns."""
    return {
        table.name: db.rows.read(table.name, [c.name for c in table.columns if f"{table.name}.{c.name}" not in hidden])
        for table in db.graph
    }
