"""Parts kept in pieces: whatever comes in whatever order, rows and pieces are those of a first load."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.online import crowds
from penstock.online.catalogue import all_live
from penstock.online.store import OnlineStore, walk
from tests.online.syncing.worlds import Shop, happen, steps

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
