"""Rows that are pushed are served at once, seen by training, and never hide newer ones."""

from __future__ import annotations

import datetime as dt
import math
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.errors import RequestError, SourceError
from penstock.lake.streams import read_now
from penstock.online.feeding import Feed
from penstock.online.pushing import Pusher, fitted, target_of
from penstock.online.reading import OnlineReader
from tests.online.feeding.small import small_shop
from tests.online.syncing.worlds import DAY, EPOCH, NOW, SETTINGS, START

US = pa.timestamp("us")


class Counter:
    """A shop with a feed and a pusher."""

    def __init__(self, place: Path) -> None:
        self.shop = small_shop(place)
        self.shop.commit("customers", [{"customer_id": number} for number in range(1, 8)])
        self.feed = Feed(self.shop.bound, self.shop.lake, self.shop.store(), now=self.now, settings=SETTINGS)
        self.feed.start()
        self.pusher = Pusher(self.shop.bound, self.shop.lake, self.feed, now=self.now)

    def now(self) -> int:
        self.shop.clock += 1
        return self.shop.clock

    def push(self, rows: list[dict[str, Any]], to: Any = "online_and_offline", view: str = "order") -> int:
        return self.pusher.push(view, pa.Table.from_pylist(rows), to)

    def prices(self, *customers: int) -> list[object]:
        reader = OnlineReader(self.shop.bound, self.shop.store(), self.now)
        return reader.read(["order:price"], {"customer_id": list(customers)}).values[0]

    def rows(self) -> int:
        """How many row versions the lake has."""
        now = read_now(self.shop.lake, "orders")
        newest = now.table.newest()
        return len(now.tail) + (0 if newest is None else newest.rows)

    def close(self) -> None:
        self.pusher.close()
        self.feed.stop()
        self.shop.close()


@pytest.fixture
def counter(tmp_path: Path) -> Iterator[Counter]:
    made = Counter(tmp_path)
    yield made
    made.close()


def at(day: float) -> dt.datetime:
    return EPOCH + dt.timedelta(microseconds=START + day * DAY)


def row(order: int, day: float, price: object, customer: int = 1, **more: Any) -> dict[str, Any]:
    return {"order_id": order, "customer_id": customer, "event_timestamp": at(day), "price": price, **more}


def test_older_events_never_hide_newer_ones(counter):
    assert counter.push([row(1, 9, 9)]) == 1
    assert counter.prices(1) == [9.0]
    counter.push([row(2, 3, 3)])
    assert counter.prices(1) == [9.0]
    counter.push([row(3, 19, 9.5), row(4, 15, 5), row(5, 13, 3)])
    counter.push([row(6, 20, None)])
    assert counter.prices(1, 2) == [None, None]
    assert counter.rows() == 6


def test_a_correction_is_served_when_the_push_returns(counter):
    counter.push([row(1, 9, 9.0), row(2, 5, 5.0)])
    counter.push([row(1, 9, 10.0)])
    assert counter.prices(1) == [10.0]
    counter.push([row(1, 4, 10.0)])
    assert counter.prices(1) == [5.0]
    counter.shop.sync("fresh")
    assert counter.shop.contents() == counter.shop.contents("fresh")


def test_to_the_store_or_to_the_lake_alone(counter):
    counter.push([row(1, 9, 9.0)])
    counter.push([row(2, 10, 10.0)], "online")
    counter.push([row(7, 10, 11.0)], "online")
    assert counter.prices(1) == [11.0]
    assert counter.rows() == 1
    counter.push([row(3, 20, 20.0)], "offline")
    assert counter.prices(1) == [11.0]
    counter.pusher.close()
    counter.shop.sync()
    assert counter.prices(1) == [20.0]


def test_rows_for_both_and_for_the_store_alone_come_in_together(counter):
    """What waits while the store is held comes in as one: neither half of it may hide the other."""
    counter.push([row(9, 8, 0.0)])
    waiting = [([row(1, 9, 9.0)], "online_and_offline"), ([row(2, 10, 10.0)], "online_and_offline"),
               ([row(3, 11, 11.0)], "online")]  # fmt: skip
    pushes = [threading.Thread(target=counter.push, args=told) for told in waiting]
    with counter.shop.store().feeding():
        for push in pushes:
            push.start()
            time.sleep(0.3)
    for push in pushes:
        push.join()
    reader = OnlineReader(counter.shop.bound, counter.shop.store(), counter.now)
    found = reader.read(["spending:spent", "order:price"], {"customer_id": [1]})
    assert found.values == [[30.0], [11.0]]


def test_names_and_values_that_do_not_fit(counter):
    bound = counter.shop.bound
    with pytest.raises(RequestError, match="PUSH_VIEW: there is no view 'orders'"):
        counter.push([row(1, 9, 9.0)], view="orders")
    with pytest.raises(RequestError, match="spending is no view of the latest values"):
        counter.push([row(1, 9, 9.0)], view="spending")
    with pytest.raises(RequestError, match="order takes no column 'prise'"):
        counter.push([row(1, 9, 9.0, prise=1)])
    with pytest.raises(RequestError, match="the rows do not say"):
        counter.push([{"order_id": 1, "customer_id": 1, "price": 1.0}])
    with pytest.raises(RequestError, match=r"customer_id\[1\] is NULL"):
        counter.push([row(1, 9, 9.0), row(2, 9, 9.0, customer=None)])  # type: ignore[arg-type]
    with pytest.raises(RequestError, match=r"price\[0\] is the text '9', which is no number"):
        counter.push([row(1, 9, "9")])
    with pytest.raises(RequestError, match=r"order_id\[0\] is 1.5, which is no whole number"):
        counter.push([row(1.5, 9, 9)])  # type: ignore[arg-type]
    assert counter.rows() == 0
    for when in (-(10**18), 10**18):
        early = pa.table({"order_id": [1], "customer_id": [1], "price": [1.0], "event_timestamp": pa.array([when], US)})
        with pytest.raises(
            RequestError, match=r"event_timestamp\[0\] is .*, which is no instant of the years 1 to 9999"
        ):
            counter.pusher.push("order", early)
    with pytest.raises(RequestError, match=r"price holds timestamp\[us\], which is no float"):
        counter.push([row(1, 9, at(9))])
    whole = fitted(target_of(bound, "order"), pa.Table.from_pylist([row(1, 9, 7, created="x")]), NOW)
    assert whole["price"] == [7.0]
    assert isinstance(whole["price"][0], float)


@pytest.mark.parametrize("to", ["online", "online_and_offline"])
@pytest.mark.parametrize("price", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_not_finite_are_null_wherever_they_go(counter, to, price):
    counter.push([row(1, 8, 8.0), row(2, 8, 9.0, customer=2)])
    assert counter.push([row(3, 9, price), row(4, 9, 1.0, customer=2)], to) == 2
    assert counter.prices(1, 2) == [None, 1.0]


def test_a_table_that_a_stream_writes_is_told(counter):
    counter.shop.stream([{"order_id": 1, "customer_id": 1, "at": START, "price": 1.0}])
    with pytest.raises(SourceError, match="TAIL_BUSY: rows cannot be pushed to order"):
        counter.push([row(1, 9, 9.0)])


def test_composite_keys_and_the_names_of_columns(counter):
    target = target_of(counter.shop.bound, "shopping")
    assert target.needed == ("shop", "order_id", "at")
    rows = [{"order_id": 1, "shop": "a|b", "till": 1, "at": at(9), "customer_id": 5, "price": 2.5}]
    counter.push(rows, view="shopping")
    assert counter.prices(5) == [2.5]
