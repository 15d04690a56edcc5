"""Rows that stream into parts kept in pieces: the store holds what a first load would, and no piece that none names."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from penstock.online import crowds
from tests.online.feeding.test_feed_laws import FEW, check, fed, streamed
from tests.online.syncing.test_crowds import loose
from tests.online.syncing.worlds import happen


@pytest.fixture(autouse=True, scope="module", params=[1, 2])
def crowded(request: pytest.FixtureRequest) -> Iterator[None]:
    """Two rows are a crowd already, or three."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(crowds, "MOST", request.param)
        patch.setattr(crowds, "PIECE", request.param)
        yield


@settings(max_examples=FEW)
@given(st.lists(st.one_of(streamed, streamed, st.just("flush")), min_size=1, max_size=8))
def test_rows_of_crowds_arrive_in_any_order(batches: Sequence[list[dict[str, Any]] | str]) -> None:
    with fed() as (shop, feed):
        for batch in batches:
            happen(shop, *(("flush", 0) if batch == "flush" else ("stream", batch)))
        check(shop, feed)
        assert loose(shop.store()) == loose(shop.store("fresh")) == set()
