"""Parts kept in pieces: whatever comes in whatever order, rows and pieces are those of a first load."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.online import crowds
from penstock.online.catalogue import all_live
from penstock.online.store import OnlineStore, walk
from penstock.online.sync import sync
from tests.online.syncing.worlds import SETTINGS, START, Shop, happen, steps

VIEWS = st.sampled_from(["spending", "spending", "takings", "nested"])


@pytest.fixture(autouse=True, scope="module")
def crowded() -> Iterator[None]:
    """Two rows are a crowd already."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crowds, "MOST", 1)
        patch.setattr(crowds, "PIECE", 2)
        yield


def loose(store: OnlineStore) -> set[bytes]:
    """Pieces that no part names, and such as are named and are not there."""
    found = set()
    for state in all_live(store).values():
        for space in (space for space in state.spaces.values() if space.span):
            named = {
                key + name.to_bytes(8, "big")
                for key in walk(store, space.name)
                for part in store.read(space.name, [key])[0]
                if crowds.is_crowd(part.data)
                for name in crowds.Crowd.from_bytes(part.data).named
            }
            found |= named ^ set(walk(store, space.pieces))
    return found


@settings(max_examples=settings().max_examples // 2)
@given(VIEWS, steps())
def test_increments_of_crowds_end_where_a_first_load_does(view: str, happened: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        shop = Shop.showing(place, view)
        try:
            for what, how in happened:
                happen(shop, what, how)
            shop.sync()
            shop.sync("fresh")
            assert shop.contents() == shop.contents("fresh")
            assert loose(shop.store()) == loose(shop.store("fresh")) == set()
        finally:
            shop.close()


class EndedError(Exception):
    """The process ends here."""


def test_a_first_load_that_ended_before_rows_changed_leaves_no_piece_that_none_names(tmp_path: Path) -> None:
    """It ends at each moment at which it looks at the clock; pieces of what it had written go with the next sync."""
    shop, left, moment = Shop.showing(str(tmp_path), "spending"), set[int](), 0
    shop.commit("orders", [order(number, 1.0) for number in range(9)])
    while began_and_ended(shop, moment):
        store = shop.store(str(moment))
        left.add(sum(count for name, count in store.spaces().items() if name.endswith("-p")))
        shop.commit("orders", [order(number, 2.0 + moment) for number in range(0, 9, 2)])
        shop.sync(str(moment))
        assert loose(store) == set()
        moment += 1
    shop.sync(str(moment - 1))
    assert shop.contents(str(moment - 1)) == shop.contents(str(moment))
    shop.close()
    assert len(left) > 1, "no first load ended between its writes"


def order(number: int, price: float) -> dict[str, Any]:
    return {"order_id": number, "customer_id": 1, "product": "p", "at": START + number, "price": price}


def began_and_ended(shop: Shop, moment: int) -> bool:
    """Load a store until the clock is looked at for the so manieth time; whether it was."""
    looks = iter(range(moment))

    def now() -> int:
        if next(looks, None) is None:
            raise EndedError
        return shop.clock

    try:
        sync(shop.bound, shop.lake, shop.store(str(moment)), settings=SETTINGS, now=now)
    except EndedError:
        return True
    return False
