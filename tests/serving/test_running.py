"""Servers from their start to their end: ports, tokens, signals, and several processes at one port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from penstock.errors import RequestError, SourceError
from penstock.lake.streams.listening import bound
from penstock.serving.running import TOKEN, Listen, serve
from tests.conftest import ROOT
from tests.serving.shop import Shop

BODY = b'{"features": ["driver_stats:trips"], "entities": {"driver_id": [1001]}}'
PROGRAM = """
import sys
from penstock.serving.running import serve
from tests.serving.shop import Shop

if __name__ == "__main__":
    told = lambda listen: print(listen.http, listen.flight, flush=True)
    serve(Shop.opened, port=0, workers=int(sys.argv[1]), flight_port=0, told=told)
"""


def asked(url: str, path: str = "/get-online-features", body: bytes | None = BODY) -> bytes:
    with urllib.request.urlopen(url + path, body, timeout=60) as answer:
        found: bytes = answer.read()
        return found


@contextmanager
def program(tmp_path: Any, workers: int) -> Iterator[tuple[Any, Listen]]:
    """A process that serves."""
    file = tmp_path / "served.py"
    file.write_text(PROGRAM, "utf-8")
    process = subprocess.Popen(
        [sys.executable, file, str(workers)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, Listen(*process.stdout.readline().split())
    finally:
        process.kill()
        process.communicate()


def test_a_server_says_where_it_listens_and_stops_when_told() -> None:
    stop, heard = threading.Event(), []
    began = threading.Event()

    def told(listen: Listen) -> None:
        heard.append(listen)
        began.set()

    shop = Shop.opened()
    thread = threading.Thread(target=serve, args=(lambda: shop, "127.0.0.1", 0), kwargs={"stop": stop, "told": told})
    thread.start()
    assert began.wait(30)
    assert json.loads(asked(heard[0].http))["results"][1]["values"] == [10]
    assert heard[0].flight is None
    assert not shop.closed
    stop.set()
    thread.join(30)
    assert shop.closed
    assert not thread.is_alive()
    with pytest.raises(OSError, match="refused"):
        asked(heard[0].http)


def test_others_may_not_come_without_a_token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(TOKEN, raising=False)
    with pytest.raises(SourceError, match=r"SERVE_OPEN: 0\.0\.0\.0 can be reached from other machines"):
        serve(Shop.opened, "0.0.0.0", 0)


def test_a_port_that_is_taken() -> None:
    with bound("127.0.0.1", 0, "SERVE") as taken, pytest.raises(SourceError, match="SERVE_PORT"):
        serve(Shop.opened, "127.0.0.1", taken.getsockname()[1])


def test_no_workers_serve_nothing() -> None:
    with pytest.raises(RequestError, match="SERVE_WORKERS"):
        serve(Shop.opened, port=0, workers=0)


def test_a_signal_ends_it_cleanly(tmp_path: Any) -> None:
    with program(tmp_path, 1) as (process, listen):
        assert json.loads(asked(listen.http))["results"][1]["values"] == [10]
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0, process.stderr.read()
        assert process.stderr.read() == ""


def test_workers_share_a_port_and_their_counters_and_one_that_dies_is_replaced(tmp_path: Any) -> None:
    with program(tmp_path, 2) as (process, listen):
        for _ in range(20):
            assert json.loads(asked(listen.http))["results"][1]["values"] == [10]
        metrics = asked(listen.http, "/metrics", None).decode()
        assert 'penstock_http_requests_total{endpoint="/get-online-features",status="200"} 20' in metrics
        workers = _children(process.pid)
        os.kill(workers[-1], signal.SIGKILL)
        end = time.monotonic() + 60
        while len(alive := set(_children(process.pid))) < len(workers) or alive == set(workers):
            assert time.monotonic() < end, "no worker came in its place"
            time.sleep(0.1)
        assert json.loads(asked(listen.http))["results"][1]["values"] == [10]
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0


def _children(process: int) -> list[int]:
    """The workers of a process, without multiprocessing's own."""
    command = ["ps", "-ww", "-o", "pid=,args=", "--ppid", str(process)]
    listed = subprocess.run(command, capture_output=True, text=True, check=True)
    return [int(line.split()[0]) for line in listed.stdout.splitlines() if "spawn_main" in line]
