"""What it costs to read features of a few entities from the source database itself (`store = "live"`).

    python -m benchmarks.live [--url postgresql://…] [--entities 5000] [--events 40] [--seconds 3]

A newest row, a column of the entity's own, and eight windows over its events: SQLite, and another database by its URL.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from benchmarks.online import DAY, NOW, SETTINGS
from penstock.engine.kernels import warm
from penstock.features.views.binding import bind
from penstock.features.views.declared import Definitions, Entity, ExpressionView, LatestView
from penstock.lake.sources import open_source
from penstock.lake.write import write
from penstock.online.live import LiveReader
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table

GRAPH = Graph(
    (
        Table("live_users", (Column("user_id", Dtype.INT, Kind.ID), Column("city", Dtype.STRING, Kind.CATEGORICAL)),
              "user_id"),
        Table("live_orders", (Column("order_id", Dtype.INT, Kind.ID), Column("user_id", Dtype.INT, Kind.ID),
              Column("at", Dtype.TIMESTAMP, Kind.TIMESTAMP), Column("price", Dtype.FLOAT, Kind.NUMERICAL)), "order_id",
              "at"),
    ),
    (Link("live_orders", "user_id", "live_users"),),
)  # fmt: skip
WINDOWS = {f"{f}_{d}": f"{f}(live_orders.price, -{d}, 0, days)" for f in ("SUM", "MAX") for d in (1, 7, 30, 90)}
TOLD = Definitions(
    {"user": Entity("user", ("user_id",), "live_users")},
    {
        "newest": LatestView("newest", "user", "live_orders", {"price": "price"}),
        "buys": ExpressionView("buys", "user", {"town": "live_users.city", **WINDOWS}),
    },
)
ASKED: dict[str, str | Sequence[str]] = {"a newest row": "newest:price", "windows": "buys:*"}


def put(url: str, entities: int, events: int) -> None:
    """The tables, into a database, with an index on what points to users."""
    rng = np.random.default_rng(5)
    ids, count = np.arange(entities), entities * events
    when = pa.array(NOW - rng.integers(0, 90 * DAY, count), pa.timestamp("us"))
    price = np.round(rng.lognormal(3, 1, count), 2)
    write(pa.table({"user_id": ids, "city": [f"c{n % 50}" for n in ids]}), f"{url}#live_users", ("user_id",))
    orders = {"order_id": np.arange(count), "user_id": np.repeat(ids, events), "at": when, "price": price}
    write(pa.table(orders), f"{url}#live_orders", ("order_id",))
    _index(url)


def _index(url: str) -> None:
    text = "CREATE INDEX IF NOT EXISTS live_orders_user ON live_orders (user_id)"
    if "://" in url:
        from penstock.lake.postgres import connect

        with connect(url, autocommit=True) as connection, connection.cursor() as cursor:
            cursor.execute(text)
    else:
        import sqlite3

        with sqlite3.connect(url) as file:
            file.execute(text)


def measured(reader: LiveReader, asked: str | Sequence[str], count: int, seconds: float) -> tuple[float, float]:
    """The median time of many reads and the processor's time of each on average, in milliseconds."""
    keys = {"user_id": list(range(count))}
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
    reader = LiveReader(bind(TOLD, GRAPH), open_source(url), lambda: NOW, SETTINGS)
    for what, asked in ASKED.items():
        for count in (1, 100):
            median, cpu = measured(reader, asked, count, options.seconds)
            yield f"{name:>10} {what:>14} {count:>4} entities  {median:8.2f} ms  {cpu:8.2f} ms of processor"


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
