"""A small shop in a SQLite file, made from a seed, that changes as real ones do."""

from __future__ import annotations

import datetime as dt
import random
import sqlite3
from contextlib import closing
from pathlib import Path

from penstock.project import Project, open_project

DAY = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
PROJECT = """
name = "shop"

[sources.shop]
url = "shop.sqlite"

[tables.customers]
key = "customer_id"
time = "since"

[tables.orders]
key = "order_id"
time = "placed_at"
links = { customer_id = "customers" }

[queries]
churn = "PREDICT COUNT(orders.*, 0, 30, days) = 0 FOR EACH customers.customer_id"
"""


def instant(days: float) -> str:
    """So many days after the beginning, as the shop writes it."""
    return (DAY + dt.timedelta(days=days)).strftime("%Y-%m-%d %H:%M:%S")


def made(folder: Path, customers: int = 60, days: int = 300, seed: int = 5) -> Path:
    """A folder with a shop and a project about it."""
    draws = random.Random(seed)
    with asked(folder) as shop:
        shop.execute("CREATE TABLE customers (customer_id INTEGER PRIMARY KEY, plan TEXT, since TIMESTAMP)")
        shop.execute(
            "CREATE TABLE orders (order_id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers, "
            "amount REAL, placed_at TIMESTAMP)"
        )
        number = 0
        for customer in range(customers):
            shop.execute("INSERT INTO customers VALUES (?, ?, ?)", (customer, draws.choice("ab"), instant(0)))
            day, gap = 0.0, draws.choice([3, 12, 40])
            while (day := day + draws.expovariate(1 / gap)) < days:
                row = (number, customer, round(draws.lognormvariate(3, 1), 2), instant(day))
                shop.execute("INSERT INTO orders VALUES (?, ?, ?, ?)", row)
                number += 1
    (folder / "penstock.toml").write_text(PROJECT)
    return folder


class asked:  # noqa: N801  # reads as a verb
    """The shop's file, open; what was done is committed at the end."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "shop.sqlite"

    def __enter__(self) -> sqlite3.Connection:
        self.connection = sqlite3.connect(self.path)
        return self.connection

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        with closing(self.connection):
            if kind is None:
                self.connection.commit()


def do(folder: Path, *statements: str) -> None:
    """Run statements in the shop."""
    with asked(folder) as shop:
        for statement in statements:
            shop.execute(statement)


def write(folder: Path, name: str, text: str) -> None:
    """A file of the project."""
    path = folder / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)


def opened(folder: Path) -> Project:
    """The project of a folder."""
    return open_project(folder)


def states(project: Project, stage: str | None = None) -> dict[str, str]:
    """Run a project and say how each stage went."""
    return {one.name: one.state for one in project.run(stage)}
