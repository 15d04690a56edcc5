"""A server that is killed while rows are pushed to it: what it has acknowledged is served then, and is in the lake."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException
from pathlib import Path
from random import Random
from typing import Any

import pytest

from tests.conftest import ROOT
from tests.pipeline.shop import made, opened

KILLS = int(os.environ.get("PENSTOCK_KILLS", "1"))
WAYS = {1: "online_and_offline", 2: "online_and_offline", 3: "offline", 4: "online"}
"""Where the rows of each customer go."""
VIEWS = """
[features.plans]
entity = "customers.customer_id"
table = "customers"
columns = ["plan"]

[online]
store = ".penstock/online"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made(tmp_path, customers=4, days=60)
    file = tmp_path / "penstock.toml"
    file.write_text(file.read_text() + VIEWS)
    opened(tmp_path).run()
    return tmp_path


@contextmanager
def served(folder: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`penstock serve` over the project."""
    command = [sys.executable, "-m", "penstock", "serve", "--project", str(folder), "--port", "0"]
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        yield process, process.stderr.readline().split()[-1]
    finally:
        process.kill()
        process.communicate()


def posted(url: str, body: Any) -> Any:
    with urllib.request.urlopen(url, json.dumps(body).encode(), timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def push_forever(url: str, customer: int, first: int, acknowledged: dict[int, int]) -> None:
    """Plans with rising numbers, until the server is gone."""
    for number in range(first, 10**9):
        row = {"customer_id": [customer], "plan": [f"plan {number}"], "event_timestamp": [1_750_000_000 + number]}
        try:
            posted(f"{url}/push", {"push_source_name": "plans", "df": row, "to": WAYS[customer]})
        except urllib.error.HTTPError as error:
            with error:
                assert error.code == 503, error.read()
        except (OSError, HTTPException):
            return
        else:
            acknowledged[customer] = number


def number(plan: str | None) -> int:
    """The number of a plan that was pushed; of another one -1."""
    return int(plan.removeprefix("plan ")) if plan and plan.startswith("plan ") else -1


def test_what_was_acknowledged_is_there_after_a_kill(folder: Path) -> None:
    dice, acknowledged = Random(7), dict.fromkeys(WAYS, -1)
    for kill in range(KILLS):
        before = dict(acknowledged)
        with served(folder) as (process, url):
            how = [(url, customer, 1_000 * kill, acknowledged) for customer in WAYS]
            threads = [threading.Thread(target=push_forever, args=one) for one in how]
            for thread in threads:
                thread.start()
            end = time.monotonic() + 60
            while any(acknowledged[customer] == before[customer] for customer in WAYS):
                assert time.monotonic() < end, acknowledged
                time.sleep(0.01)
            time.sleep(dice.uniform(0, 0.5))
            process.send_signal(signal.SIGKILL)
            for thread in threads:
                thread.join()
        with served(folder) as (_, url):
            found = posted(
                f"{url}/get-online-features", {"features": ["plans:plan"], "entities": {"customer_id": [1, 2, 4]}}
            )
        for customer, plan in zip((1, 2, 4), found["results"][1]["values"], strict=True):
            assert number(plan) >= acknowledged[customer] > before[customer], (customer, plan, acknowledged)
        rows = opened(folder).rows("customers", log=True)
        plans = list(zip(rows["customer_id"].to_pylist(), rows["plan"].to_pylist(), strict=True))
        for customer in (1, 2, 3):
            pushed = [number(plan) for whose, plan in plans if whose == customer]
            assert acknowledged[customer] in pushed
            assert sorted(set(pushed)) == sorted(pushed), "a row is there twice"
    last = opened(folder)
    last.online.sync()
    assert number(str(last.online.read(["plans:plan"], {"customer_id": [3]}).values[0][0])) >= acknowledged[3]
    assert last.online.verify(sample=10).checked > 0
