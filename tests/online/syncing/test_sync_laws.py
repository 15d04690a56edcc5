"""Whatever came in whatever order, and whenever it was synced: a store holds what a first load would."""

from __future__ import annotations

import tempfile
from typing import Any

from hypothesis import given, settings

from tests.online.syncing.worlds import SMALL, VIEWS, Shop, happen, steps


@given(VIEWS, steps())
def test_increments_end_where_a_first_load_does(view: str, happened: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        shop = Shop.showing(place, view)
        try:
            for what, how in happened:
                happen(shop, what, how)
            shop.sync()
            shop.sync("fresh")
            assert shop.contents() == shop.contents("fresh")
        finally:
            shop.close()


@settings(max_examples=10)
@given(VIEWS, steps())
def test_parts_of_keys_make_the_whole(view: str, happened: list[tuple[str, Any]]) -> None:
    with tempfile.TemporaryDirectory() as place:
        shop = Shop.showing(place, view)
        try:
            for what, how in happened:
                if what not in ("sync", "anew"):
                    happen(shop, what, how)
            shop.sync(settings=SMALL)
            shop.sync("fresh")
            assert shop.contents() == shop.contents("fresh")
        finally:
            shop.close()
