"""Whatever streams in, in whatever order, and whatever else happens: a fed store holds what a first load would."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.online.feeding import Feed
from tests.online.feeding.small import small_shop
from tests.online.syncing.worlds import SETTINGS, Shop, happen, rows_of, steps

SECONDS = 120
FEW = settings().max_examples // 8
"""Each example starts a feed and loads a store anew."""


@contextmanager
def fed() -> Iterator[tuple[Shop, Feed]]:
    """A shop whose store is fed by what streams into it."""
    with tempfile.TemporaryDirectory() as place:
        shop = small_shop(Path(place))
        shop.stream([])
        feed = Feed(shop.bound, shop.lake, shop.store(), now=lambda: shop.clock, settings=SETTINGS)
        assert shop.writer is not None
        shop.writer.landed = feed.landed
        try:
            feed.start()
            yield shop, feed
        finally:
            feed.stop()
            shop.close()


def check(shop: Shop, feed: Feed) -> None:
    """The store holds what a first load of the lake as it is now would."""
    assert feed.settle(SECONDS)
    shop.sync("fresh")
    assert shop.contents() == shop.contents("fresh")


streamed = rows_of("orders", streamed=True)


@settings(max_examples=FEW)
@given(st.lists(streamed, min_size=1, max_size=8))
def test_any_order_of_arrival_ends_as_a_first_load_does(batches: Sequence[list[dict[str, Any]]]) -> None:
    with fed() as (shop, feed):
        for rows in batches:
            shop.clock += 1000
            shop.stream(rows)
        check(shop, feed)


@settings(max_examples=FEW)
@given(steps(), st.lists(st.one_of(streamed, st.just("flush")), max_size=4))
def test_others_may_write_to_the_lake_and_the_store_meanwhile(happened: list[tuple[str, Any]], rest: list[Any]) -> None:
    with fed() as (shop, feed):
        for what, how in [*happened, *(("flush", 0) if one == "flush" else ("stream", one) for one in rest)]:
            happen(shop, what, how)
        check(shop, feed)
