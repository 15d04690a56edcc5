"""A process whose children sync a shop until they are killed: the other side of `test_kills`.

Each line of its input is an order: a place, a seed, after how many seconds the child dies (null: it syncs once and
lives), and how many rows a part may have before it is kept in pieces. Each line of its output says how it ended.
"""

from __future__ import annotations

import json
import random
import sys
from functools import partial
from typing import Any

from tests.forked import ended, say, warmed


def work(place: str, seed: int, few: int, *, once: bool) -> None:
    """Change the shop and sync, in small writes, once or until something ends the process."""
    from penstock.online import crowds, loading, sync
    from tests.online.syncing.worlds import SETTINGS, SMALL, Shop

    loading.KEYS_A_WRITE, sync.KEYS_AT_ONCE = 2, 3
    crowds.MOST = crowds.PIECE = few
    dice = random.Random(seed)
    shop = Shop.showing(place, "spending")
    shop.mark = f"s{seed}-"
    while True:
        if not once:
            shop.commit(*made_up(dice))
        shop.sync(settings=dice.choice([SETTINGS, SMALL]), anew=not once and dice.random() < 0.5)
        if once:
            return


def made_up(dice: random.Random) -> tuple[str, list[dict[str, Any]]]:
    """A table of the shop and rows for it: new ones, other versions of rows, deletions."""
    from tests.online.syncing.worlds import DAY, START

    def at() -> int:
        return START + dice.randrange(60) * DAY

    def order() -> dict[str, Any]:
        return {"order_id": dice.randrange(30), "customer_id": dice.randrange(12), "product": dice.choice("pq"),
                "at": at(), "price": dice.random(), "_known": at(), "_deleted": dice.random() < 0.1}  # fmt: skip

    def item() -> dict[str, Any]:
        return {"item_id": dice.randrange(40), "order_id": dice.randrange(30), "size": dice.random(), "_known": at()}

    def product() -> dict[str, Any]:
        return {"product": dice.choice("pq"), "maker_id": 1, "cost": dice.random(), "_known": at()}

    name, row = dice.choice([("orders", order), ("items", item), ("products", product)])
    return name, [row() for _ in range(dice.randrange(1, 6))]


def main() -> None:
    """Obey until there are no more orders."""
    for number, line in enumerate(sys.stdin):
        place, seed, seconds, few = json.loads(line)
        if not number:
            warmed(partial(work, place, seed, few, once=True))
        say(ended(partial(work, place, seed, few, once=seconds is None), seconds))


if __name__ == "__main__":
    main()
