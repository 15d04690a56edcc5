"""A sync killed at any moment, again and again: the next one goes on, and ends where a first load does."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from penstock.online.catalogue import building, unnamed
from tests.conftest import ROOT
from tests.online.syncing.worlds import Shop

KILLS = 100 if os.environ.get("CI") else 50


@contextmanager
def children(place: Path) -> Iterator[Callable[[int, float | None], dict[str, object]]]:
    """Orders to `killable`, and its answers."""
    command = [sys.executable, "-m", "tests.online.syncing.killable"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said, heard = process.stdin, process.stdout

        def order(seed: int, seconds: float | None) -> dict[str, object]:
            said.write(json.dumps([str(place), seed, seconds]) + "\n")
            said.flush()
            told: dict[str, object] = json.loads(heard.readline())
            return told

        yield order
        said.close()
        assert process.wait() == 0


def test_a_sync_killed_at_any_moment_ends_where_a_first_load_does(tmp_path: Path) -> None:
    dice = random.Random(7)
    with children(tmp_path) as order:
        for seed in range(KILLS):
            assert order(seed, dice.uniform(0.02, 1.0))["killed"]
        assert order(KILLS, None)["code"] == 0
    shop = Shop.showing(str(tmp_path), "spending")
    try:
        shop.sync("fresh")
        held = shop.contents()
        assert any(held.values())
        assert held == shop.contents("fresh")
        assert building(shop.store(), "spending") is None
        assert unnamed(shop.store()) == []
    finally:
        shop.close()
