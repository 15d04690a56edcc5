"""A feed beside real streams, tables without keys, and definitions that change while it runs."""

from __future__ import annotations

import json
import threading
from pathlib import Path

from penstock.features.views.binding import bind
from penstock.features.views.declared import Definitions
from penstock.lake.streams import Limits, Message, Stream, StreamStatus, open_writer, run_streams
from penstock.online.feeding import Feed
from penstock.online.sync import sync
from tests.online.feeding.small import small_bound, small_shop
from tests.online.syncing.worlds import DAY, SETTINGS, START, Shop, definitions, graph

SECONDS = 120


def feed_of(shop: Shop) -> Feed:
    return Feed(shop.bound, shop.lake, shop.store(), now=lambda: shop.clock, settings=SETTINGS)


def order(number: int, day: int, price: float) -> dict[str, object]:
    at = f"2024-01-{day + 1:02}T00:00:00Z"
    return {"order_id": number, "customer_id": number % 3, "shop": "a", "till": 1, "at": at, "price": price}


def test_a_stream_feeds_the_store(tmp_path: Path) -> None:
    shop, inbox, stop = small_shop(tmp_path / "shop"), tmp_path / "inbox", threading.Event()
    inbox.mkdir()
    (inbox / "1.jsonl").write_text("\n".join(json.dumps(order(n, n % 20, n / 2)) for n in range(50)), "utf-8")
    feed, told = feed_of(shop), list[StreamStatus]()
    feed.start()
    streams = [Stream("s", f"folder:{inbox}", "orders", ("order_id",), "at", limits=Limits(segment_seconds=0.1))]
    how = {"stop": stop, "progress": told.append, "now": lambda: shop.clock, "landed": feed.landed}
    running = threading.Thread(target=run_streams, args=(streams, shop.lake), kwargs=how)
    running.start()
    try:
        while not (told and told[-1].written >= 50):
            stop.wait(0.05)
        (inbox / "2.jsonl").write_text("\n".join(json.dumps(order(n, 25, n)) for n in range(40, 60)), "utf-8")
        while told[-1].written < 70:
            stop.wait(0.05)
    finally:
        stop.set()
        running.join()
    feed.stop()
    assert feed.status.waiting == 0
    shop.sync("fresh")
    assert shop.contents() == shop.contents("fresh")
    shop.close()


def test_rows_of_a_table_without_a_key(tmp_path: Path) -> None:
    views = definitions(
        {"pages": "COUNT_DISTINCT(visits.page, -10, 0, days)", "last": "LAST(visits.page, -INF, 0, days)"}
    )
    shop = Shop(tmp_path, bound=bind(Definitions(views.entities, {"spending": views.views["spending"]}), graph()))
    feed = feed_of(shop)
    told = Stream("v", "redis://nowhere/v", "visits", (), "at", limits=Limits(segment_seconds=1e9))
    writer = open_writer(told, shop.lake, lambda: shop.clock, feed.landed)
    feed.start()
    for number, (customer, day, page) in enumerate([(1, 3, "x"), (1, 3, "y"), (2, 5, "x"), (1, 2, "z"), (1, 9, "x")]):
        shop.clock += 1000
        at = f"2024-01-{day:02}T00:00:00Z"
        writer.write([Message("p", number + 1, {"customer_id": customer, "at": at, "page": page})])
    feed.stop()
    shop.sync("fresh")
    assert shop.contents() == shop.contents("fresh")
    writer.abandon()
    shop.close()


def test_a_view_that_somebody_defines_otherwise_is_left_to_them(tmp_path: Path) -> None:
    shop = small_shop(tmp_path)
    feed = feed_of(shop)
    shop.stream([])
    assert shop.writer is not None
    shop.writer.landed = feed.landed
    feed.start()
    row = {"order_id": 1, "customer_id": 1, "shop": "a", "till": 1, "at": START, "price": 1.0}
    shop.stream([row])
    assert feed.settle(SECONDS)
    changed = definitions({"items": "COUNT(items.*, -7, 0, days)"})
    there = small_bound().views
    other = bind(Definitions(changed.entities, {name: changed.views[name] for name in there}), graph())
    sync(other, shop.lake, shop.store(), settings=SETTINGS, now=lambda: shop.clock)
    shop.stream([{**row, "order_id": 2, "at": START + DAY, "price": 2.0}])
    assert feed.settle(SECONDS)
    feed.stop()
    assert feed.status.note == "spending: defined otherwise by now, and fed no more; start again"
    shop.bound = other
    sync(other, shop.lake, shop.store("fresh"), settings=SETTINGS, now=lambda: shop.clock)
    assert shop.contents() == shop.contents("fresh")
    shop.close()


def test_tables_that_nobody_else_writes_to_are_learnt_at_once_and_others_when_rows_of_them_land(tmp_path: Path) -> None:
    restarts = {}
    for known in ([], ["orders"]):
        shop = small_shop(tmp_path / str(len(known)))
        shop.commit("orders", [{"order_id": 1, "customer_id": 1, "shop": "a", "till": 1, "at": START, "price": 1.0}])
        shop.stream([])
        feed = feed_of(shop)
        assert shop.writer is not None
        shop.writer.landed = feed.landed
        feed.start(known)
        rows = [
            {"order_id": n, "customer_id": 1, "shop": "a", "till": 1, "at": START + n, "price": 2.0} for n in (1, 2)
        ]
        for row in rows:
            shop.clock += 1000
            shop.stream([row])
        assert feed.settle(SECONDS)
        restarts[len(known)] = feed.status.restarts
        feed.stop()
        shop.sync("fresh")
        assert shop.contents() == shop.contents("fresh")
        shop.close()
    assert restarts == {0: 1, 1: 0}
