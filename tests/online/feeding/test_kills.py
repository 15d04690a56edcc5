"""A process that streams and feeds is killed at any moment, again and again: nothing is lost, and nothing is twice.

So it is with keys of few rows, and with such as are kept in pieces.
"""

from __future__ import annotations

import multiprocessing as mp
import os
import random
import signal
import time
from pathlib import Path

import pytest

from penstock.errors import SourceError
from penstock.online import crowds
from penstock.online.feeding import Feed
from tests.online.feeding.small import small_shop
from tests.online.syncing.test_crowds import loose
from tests.online.syncing.worlds import DAY, SETTINGS, START

KILLS = int(os.environ.get("PENSTOCK_KILLS", "3"))


def write_forever(place: str, seed: int, few: int, ready: object) -> None:
    """New orders, some again, some late, some of one instant; flushed now and then."""
    crowds.MOST = crowds.PIECE = few
    choose, shop = random.Random(seed), small_shop(Path(place))
    shop.clock += seed * DAY
    try:
        shop.stream([])
    except SourceError as error:
        assert error.code == "TAIL_BUSY"  # the one before has not been buried yet
        return
    feed = Feed(shop.bound, shop.lake, shop.store(), now=lambda: shop.clock, settings=SETTINGS)
    assert shop.writer is not None
    shop.writer.landed = feed.landed
    shop.sent = max(shop.writer.positions.get("at:p", 0), 0)
    feed.start()
    ready.set()  # type: ignore[attr-defined]
    while True:
        shop.clock += 1000
        orders = [choose.randrange(seed * 1000 + 1000) for _ in range(choose.randrange(1, 20))]
        shop.stream([
            {"order_id": order, "customer_id": order % 5, "product": "p", "shop": "a", "till": order % 2,
             "at": START + choose.randrange(200) * DAY // 4, "price": choose.choice([0.5, 1.5, None])}
            for order in orders
        ])  # fmt: skip
        if choose.random() < 0.1:
            shop.flush()
        time.sleep(0.005)


@pytest.mark.parametrize("few", [crowds.MOST, 2], ids=["parts", "pieces"])
def test_a_feed_that_is_killed_leaves_what_a_first_load_would(
    tmp_path: Path, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MOST", "PIECE"):
        monkeypatch.setattr(crowds, name, few)
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    choose = random.Random(7)
    for kill in range(1, KILLS + 1):
        ready = context.Event()
        process = context.Process(target=write_forever, args=(str(tmp_path), kill, few, ready))
        process.start()
        if choose.random() < 0.8:
            ready.wait(60)
        time.sleep(choose.uniform(0.0, 1.5))
        assert process.pid is not None
        os.kill(process.pid, signal.SIGKILL)
        process.join()
        assert process.exitcode == -signal.SIGKILL
    shop = small_shop(tmp_path)
    shop.clock += (KILLS + 1) * DAY
    try:
        shop.sync()
        shop.sync("fresh")
        assert shop.contents() == shop.contents("fresh")
        assert any(shop.contents().values())
        assert loose(shop.store()) == set()
    finally:
        shop.close()
