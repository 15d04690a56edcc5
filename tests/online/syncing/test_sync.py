"""What a sync does and says: first loads, increments, switches, drops, and two at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from penstock.errors import RequestError
from penstock.features.views.binding import bind
from penstock.online.catalogue import all_live, building, live, unnamed
from penstock.online.holdings import kept_for
from penstock.online.store import walk
from penstock.online.stores.lmdb import LmdbStore
from penstock.online.sync import Synced, sync
from tests.online.syncing.worlds import DAY, EXPRESSIONS, NOW, SETTINGS, START, Shop, definitions, graph

TINY = replace(SETTINGS, memory=1 << 13)


@pytest.fixture
def shop(tmp_path: Path) -> Iterator[Shop]:
    """A shop with a few rows of each kind."""
    made = Shop(tmp_path)
    made.commit("customers", [{"customer_id": n, "city": "Oslo", "since": START} for n in range(4)])
    made.commit("products", [{"product": "p", "maker_id": 1, "cost": 3.0}])
    made.commit("orders", [order(n, n % 4, n) for n in range(20)])
    yield made
    made.close()


def order(number: int, customer: int, day: int) -> dict[str, object]:
    """An order of product p at the shop's only till."""
    told = {"product": "p", "shop": "a", "till": 1, "price": 2.5}
    return {"order_id": number, "customer_id": customer, "at": START + day * DAY, **told}


def hows(done: tuple[Synced, ...]) -> dict[str, str]:
    return {one.view: one.how for one in done}


def test_it_says_what_it_did(shop: Shop) -> None:
    assert set(hows(shop.sync()).values()) == {"first load"}
    assert set(hows(shop.sync()).values()) == {"nothing"}
    shop.commit("customers", [{"customer_id": 1, "city": "Rome", "since": START, "_known": NOW}])
    done = hows(shop.sync())
    assert done == {
        "spending": "increment", "order": "increment", "own": "increment", "nested": "increment",
        "takings": "nothing", "shopping": "nothing", "homes": "increment", "counters": "nothing",
    }  # fmt: skip
    state = live(shop.store(), "own")
    assert state is not None
    assert state.kept == shop.clock


def test_only_the_keys_that_changed_are_made_again(shop: Shop) -> None:
    shop.sync()
    shop.commit("orders", [{**order(3, 1, 3), "_known": NOW}])
    (done,) = shop.sync(views=["order"])
    assert (done.how, done.keys) == ("increment", 2), "customer 3, who had the order, and customer 1, who has it now"


def test_a_row_that_is_deleted_goes(shop: Shop) -> None:
    shop.sync(views=["own"])
    shop.clock += DAY
    shop.commit("customers", [{"customer_id": 2, "_known": NOW, "_deleted": True}])
    (done,) = shop.sync(views=["own"])
    assert (done.how, done.rows) == ("increment", 0)
    state = live(shop.store(), "own")
    assert state is not None
    for holding in kept_for(shop.bound.views["own"], shop.bound.graph).holdings:
        assert len(list(walk(shop.store(), state.spaces[holding.fingerprint].name))) == 3


def test_rows_of_a_tail_are_there_before_any_version_has_them(shop: Shop) -> None:
    shop.sync()
    shop.stream([order(99, 2, 59)])
    assert hows(shop.sync())["order"] == "increment"
    tailed = shop.contents()
    shop.flush()
    shop.sync()
    assert shop.contents() == tailed
    shop.sync("fresh")
    assert shop.contents("fresh") == tailed


def test_a_changed_definition_is_built_beside_and_what_was_there_stays_until_the_next_sync(shop: Shop) -> None:
    shop.sync()
    store, before = shop.store(), live(shop.store(), "spending")
    assert before is not None
    fewer = {name: text for name, text in EXPRESSIONS.items() if name != "dear"}
    shop.bound = bind(definitions(fewer), graph())
    assert hows(shop.sync())["spending"] == "switched"
    after = live(store, "spending")
    assert after is not None
    assert after.version == shop.bound.views["spending"].fingerprint != before.version
    assert set(after.names).isdisjoint(before.names)
    assert set(after.former) == set(before.names)
    assert any(list(walk(store, name)) for name in before.names)
    shop.sync()
    assert not any(list(walk(store, name)) for name in before.names)
    assert unnamed(store) == []


def test_building_one_view_anew_leaves_the_others_alone(shop: Shop) -> None:
    shop.sync()
    before = shop.store().notes("view:")
    assert hows(shop.sync(views=["order"], anew=True)) == {"order": "switched"}
    after = shop.store().notes("view:")
    assert {name for name in after if after[name] != before[name]} == {"view:order"}


def test_a_view_that_is_defined_no_longer_goes(shop: Shop) -> None:
    shop.sync()
    told = definitions()
    shop.bound = bind(replace(told, views={"own": told.views["own"]}), graph())
    assert hows(shop.sync()) == {
        "nested": "dropped", "order": "dropped", "shopping": "dropped", "spending": "dropped", "takings": "dropped",
        "own": "nothing", "homes": "dropped", "counters": "dropped",
    }  # fmt: skip
    assert set(all_live(shop.store())) == {"own"}
    state = live(shop.store(), "own")
    assert state is not None
    assert set(shop.store().spaces()) <= set(state.names)


def test_an_unknown_view_is_an_error_with_those_there_are(shop: Shop) -> None:
    with pytest.raises(RequestError, match="there is no view 'spendings' that a store keeps") as told:
        shop.sync(views=["spendings"])
    assert told.value.code == "FEATURE_UNKNOWN_VIEW"
    assert "spending" in told.value.candidates


class StoppedError(Exception):
    """Something that ends a sync."""


def test_a_first_load_that_was_ended_is_gone_on_with(shop: Shop) -> None:
    told: list[float] = []

    def end_after_two(_message: str, share: float) -> None:
        told.append(share)
        if len(told) == 3:
            raise StoppedError

    with pytest.raises(StoppedError):
        shop.sync(views=["order"], settings=TINY, progress=end_after_two)
    build = building(shop.store(), "order")
    assert build is not None
    assert 2 == build.done < build.parts
    shop.commit("orders", [order(50, 0, 30), order(51, 1, 31)])
    again: list[float] = []
    shop.sync(views=["order"], settings=TINY, progress=lambda _message, share: again.append(share))
    assert again[0] == 2 / build.parts
    assert building(shop.store(), "order") is None
    shop.sync()
    shop.sync("fresh")
    assert shop.contents() == shop.contents("fresh")


def test_when_versions_were_forgotten_all_is_built_anew(shop: Shop) -> None:
    shop.sync()
    for number in range(3):
        shop.clock += DAY
        shop.commit("orders", [order(60 + number, 1, 40)])
    shop.lake.expire(1)
    assert hows(shop.sync())["order"] == "switched"
    shop.sync("fresh")
    assert shop.contents() == shop.contents("fresh")


def test_what_no_window_reaches_any_more_goes_by_whole_parts(shop: Shop) -> None:
    told = definitions({"orders_30d": "COUNT(orders.*, -30, 0, days)"})
    shop.bound = bind(replace(told, views={"spending": told.views["spending"]}), graph())
    shop.commit("orders", [order(n, 0, 50 + n % 9) for n in range(100, 400)])
    shop.sync()
    store, state = shop.store(), live(shop.store(), "spending")
    assert state is not None
    swept = next(one.holding for one in kept_for(shop.bound.views["spending"], shop.bound.graph).swept)
    space = state.spaces[swept.fingerprint]
    assert list(walk(store, space.name))
    shop.clock += 25 * DAY
    shop.sync()
    limit = (shop.clock - 60_000_000 - 30 * DAY) // space.span
    numbers = [part.number for key in walk(store, space.name) for part in store.read(space.name, [key])[0]]
    assert numbers
    assert min(numbers) >= limit
    shop.clock += 60 * DAY
    shop.sync()
    assert not list(walk(store, space.name))


def test_two_syncs_at_once_end_as_one(shop: Shop, tmp_path: Path) -> None:
    done: list[Synced] = []

    def work() -> None:
        store = LmdbStore(tmp_path / "store")
        try:
            done.extend(sync(shop.bound, shop.lake, store, settings=SETTINGS, now=lambda: shop.clock))
        finally:
            store.close()

    threads = [threading.Thread(target=work) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == 2 * len(shop.bound.views)
    shop.sync("fresh")
    assert shop.contents() == shop.contents("fresh")
    shop.sync()
    assert unnamed(shop.store()) == []


def test_where_most_keys_changed_all_is_built_beside(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    shop.sync(views=["own"])
    monkeypatch.setattr("penstock.online.sync.KEYS_AT_ONCE", 1)
    shop.commit("customers", [{"customer_id": n, "city": "Rome", "_known": NOW} for n in range(2)])
    assert hows(shop.sync(views=["own"])) == {"own": "increment"}
    shop.commit("customers", [{"customer_id": n, "city": "Lima", "_known": NOW} for n in range(4)])
    assert hows(shop.sync(views=["own"])) == {"own": "switched"}
    told = definitions()
    shop.bound = bind(replace(told, views={"own": told.views["own"]}), graph())
    shop.sync("fresh")
    assert shop.contents() == shop.contents("fresh")
