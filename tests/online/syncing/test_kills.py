"""A sync killed at any moment, again and again: the next one goes on, and ends where a first load does.

So it is with keys of few rows, and with such as are kept in pieces.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from penstock.online import crowds
from penstock.online.catalogue import building, unnamed
from tests.conftest import ROOT
from tests.online.syncing.test_crowds import loose
from tests.online.syncing.worlds import Shop

KILLS = int(os.environ.get("PENSTOCK_KILLS", "50" if os.environ.get("CI") else "25"))


@contextmanager
def children(place: Path, few: int) -> Iterator[Callable[[int, float | None], dict[str, object]]]:
    """Orders to `killable`, and its answers."""
    command = [sys.executable, "-m", "tests.online.syncing.killable"]
    with subprocess.Popen(command, cwd=ROOT, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        said, heard = process.stdin, process.stdout

        def order(seed: int, seconds: float | None) -> dict[str, object]:
            said.write(json.dumps([str(place), seed, seconds, few]) + "\n")
            said.flush()
            told: dict[str, object] = json.loads(heard.readline())
            return told

        yield order
        said.close()
        assert process.wait() == 0


@pytest.mark.parametrize("few", [crowds.MOST, 2], ids=["parts", "pieces"])
def test_a_sync_killed_at_any_moment_ends_where_a_first_load_does(
    tmp_path: Path, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MOST", "PIECE"):
        monkeypatch.setattr(crowds, name, few)
    dice = random.Random(7)
    with children(tmp_path, few) as order:
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
        assert loose(shop.store()) == set()
    finally:
        shop.close()
