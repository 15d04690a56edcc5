"""What it costs to read features of a few entities from the source database itself (`store = "live"`).

    python -m benchmarks.live [--url postgresql://…] [--entities 5000] [--events 40] [--seconds 3]

A newest row, a column of the entity's own, and eight windows over its events: SQLite, and another database by its URL.
So for a newest row by a key of two columns, of which the first is the same for a fifth of all rows; and, of a project
over the SQLite file, for a newest row of a table derived from the events.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from benchmarks.online import DAY, NOW, SETTINGS
from penstock.engine.kernels import warm
from penstock.features.views.binding import bind
from penstock.features.views.declared import Definitions, Entity, ExpressionView, LatestView
from penstock.lake.sources import open_source
from penstock.lake.write import write
from penstock.online.live import LiveReader
from penstock.project import Project, open_project
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table

GRAPH = Graph(
    (
        Table("live_users", (Column("user_id", Dtype.INT, Kind.ID), Column("city", Dtype.STRING, Kind.CATEGORICAL)),
              "user_id"),
        Table("live_orders", (Column("order_id", Dtype.INT, Kind.ID), Column("user_id", Dtype.INT, Kind.ID),
              Column("at", Dtype.TIMESTAMP, Kind.TIMESTAMP), Column("price", Dtype.FLOAT, Kind.NUMERICAL)), "order_id",
              "at"),
        Table("live_sales", (Column("sale_id", Dtype.INT, Kind.ID), Column("shop", Dtype.INT, Kind.ID),
              Column("item", Dtype.STRING, Kind.ID), Column("price", Dtype.FLOAT, Kind.NUMERICAL)), "sale_id"),
    ),
    (Link("live_orders", "user_id", "live_users"),),
)  # fmt: skip
WINDOWS = {f"{f}_{d}": f"{f}(live_orders.price, -{d}, 0, days)" for f in ("SUM", "MAX") for d in (1, 7, 30, 90)}
TOLD = Definitions(
    {"user": Entity("user", ("user_id",), "live_users"), "stock": Entity("stock", ("shop", "item"))},
    {
        "newest": LatestView("newest", "user", "live_orders", {"price": "price"}),
        "sold": LatestView("sold", "stock", "live_sales", {"paid": "price"}),
        "buys": ExpressionView("buys", "user", {"town": "live_users.city", **WINDOWS}),
    },
)
ASKED: dict[str, str | Sequence[str]] = {"a newest row": "newest:price", "windows": "buys:*", "a pair": "sold:paid"}
SHOPS = 5
PROJECT = """
[sources.shop]
url = "{file}"
[tables.live_orders]
time = "at"
[entities.user]
key = "user_id"
table = "live_users"
[features.derived]
entity = "user"
table = "paid"
columns = ["paid"]
[online]
store = "live"
"""
PAID = """-- key: order_id
-- time: at
-- links: user_id -> live_users
SELECT o.order_id, o.user_id, o.at, o.price * 2 AS paid FROM live_orders AS o WHERE o.price > 0
"""


class Reads(Protocol):
    """What features are read from."""

    def read(self, features: Any, entities: Any) -> Any:
        """The features of some entities."""
        ...


def put(url: str, entities: int, events: int) -> None:
    """The tables, into a database, with an index on what points to users."""
    rng = np.random.default_rng(5)
    ids, count = np.arange(entities), entities * events
    when = pa.array(NOW - rng.integers(0, 90 * DAY, count), pa.timestamp("us"))
    price = np.round(rng.lognormal(3, 1, count), 2)
    write(pa.table({"user_id": ids, "city": [f"c{n % 50}" for n in ids]}), f"{url}#live_users", ("user_id",))
    orders = {"order_id": np.arange(count), "user_id": np.repeat(ids, events), "at": when, "price": price}
    write(pa.table(orders), f"{url}#live_orders", ("order_id",))
    sold = np.arange(count)
    sales = {"sale_id": sold, "shop": sold % SHOPS, "item": [f"i{n}" for n in sold], "price": price}
    write(pa.table(sales), f"{url}#live_sales", ("sale_id",))
    _index(url, "live_orders", "user_id")
    _index(url, "live_sales", "shop, item")


def _index(url: str, table: str, columns: str) -> None:
    text = f"CREATE INDEX IF NOT EXISTS {table}_pointing ON {table} ({columns})"
    if "://" in url:
        from penstock.lake.postgres import connect

        with connect(url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(text)
    else:
        import sqlite3

        with sqlite3.connect(url) as file:
            file.execute(text)


def measured(reader: Reads, asked: str | Sequence[str], count: int, seconds: float) -> tuple[float, float]:
    """The median time of many reads and the processor's time of each on average, in milliseconds."""
    ids = range(count)
    pair = {"shop": [n % SHOPS for n in ids], "item": [f"i{n}" for n in ids]}
    keys: dict[str, list[Any]] = pair if asked == ASKED["a pair"] else {"user_id": list(ids)}
    reader.read(asked, keys)
    times: list[float] = []
    cpu, end = time.process_time(), time.perf_counter() + seconds
    while time.perf_counter() < end:
        begun = time.perf_counter()
        reader.read(asked, keys)
        times.append(time.perf_counter() - begun)
    return float(np.median(times)) * 1e3, (time.process_time() - cpu) / len(times) * 1e3


def lines(name: str, url: str, options: argparse.Namespace) -> Iterator[str]:
    """A line for each request."""
    put(url, options.entities, options.events)
    reader: Reads = LiveReader(bind(TOLD, GRAPH), open_source(url), lambda: NOW, SETTINGS)
    asked = [(reader, what, features) for what, features in ASKED.items()]
    asked += [] if "://" in url else [(project(url).online, "a derived row", "derived:paid")]
    for one, what, features in asked:
        for count in (1, 100):
            median, cpu = measured(one, features, count, options.seconds)
            yield f"{name:>10} {what:>14} {count:>4} entities  {median:8.2f} ms  {cpu:8.2f} ms of processor"


def project(file: str) -> Project:
    """A project over the file with a derived table, run once."""
    folder = Path(file).parent
    (folder / "tables").mkdir(exist_ok=True)
    (folder / "tables" / "paid.sql").write_text(PAID)
    (folder / "penstock.toml").write_text(PROJECT.format(file=Path(file).name))
    made = open_project(folder)
    failed = [run.failure for run in made.run() if run.failure]
    if failed:
        raise SystemExit(f"the project does not run: {failed}")
    return made


def main() -> None:
    """Run it."""
    options = argparse.ArgumentParser(prog="python -m benchmarks.live")
    options.add_argument("--url")
    for name, default in (("entities", 5000), ("events", 40), ("seconds", 3)):
        options.add_argument(f"--{name}", type=int, default=default)
    told = options.parse_args()
    warm()
    with tempfile.TemporaryDirectory() as place:
        for name, url in {"SQLite": str(Path(place) / "shop.sqlite"), "other": told.url}.items():
            if url:
                print(*lines(name, url, told), sep="\n", flush=True)


if __name__ == "__main__":
    main()
