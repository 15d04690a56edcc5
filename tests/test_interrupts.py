"""Who stops a question is heard at once, though the engine would be busy for ever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import duckdb
import pytest

from penstock.interrupts import busy, heard

PROGRAM = """
import os, signal, sys, threading
from penstock.engine.relational import Relational
from penstock.interrupts import _BUSY, heard
from penstock.lake.sql import Sql, opened
from penstock.settings import Settings

ENDLESS = "SELECT count(*) AS n FROM range(9000000000000000) AS t(x) WHERE hash(x) = 1"
SETTINGS = Settings(memory=1 << 30, threads=2, cache=None)
asked = {
    "engine": lambda: Relational(None, SETTINGS).query(ENDLESS),
    "sql": lambda: Sql({}, settings=SETTINGS).arrow(ENDLESS),
    "kept": lambda: Sql({}, settings=SETTINGS, given=opened(SETTINGS).cursor()).arrow(ENDLESS),
    "batches": lambda: list(Sql({}, settings=SETTINGS).batches(ENDLESS)),
}[sys.argv[1]]

def once():
    while not _BUSY:
        pass
    threading.Event().wait(0.5)  # so that it is well under way
    os.kill(os.getpid(), signal.SIGINT)

signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may ignore it
threading.Thread(target=once, daemon=True).start()
try:
    with heard():
        asked()
except KeyboardInterrupt:
    os._exit(42)
"""


@pytest.mark.parametrize("way", ["engine", "sql", "kept", "batches"])
def test_one_interrupt_ends_a_query_that_has_no_end(way: str) -> None:
    child = subprocess.run([sys.executable, "-c", PROGRAM, way], check=False, capture_output=True, timeout=120)
    assert child.returncode == 42, child.stderr.decode()


def test_who_handles_the_signal_otherwise_lets_work_come_to_its_end() -> None:
    told: list[int] = []
    before = signal.signal(signal.SIGINT, lambda number, _frame: told.append(number))
    stopped = threading.Event()

    class Engine:
        def interrupt(self) -> None:
            stopped.set()

    try:
        with heard(), busy(Engine()):
            os.kill(os.getpid(), signal.SIGINT)
            assert not stopped.wait(0.2)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
                assert stopped.wait(30)
                stopped.wait(30)
    finally:
        signal.signal(signal.SIGINT, before)
    assert told == [signal.SIGINT]


def test_nothing_is_left_behind(tmp_path: Path) -> None:
    before, threads = signal.set_wakeup_fd(-1), threading.active_count()
    signal.set_wakeup_fd(before)
    files = opened_files()
    with heard(), duckdb.connect(tmp_path / "a.duckdb") as connection, busy(connection):
        connection.sql("SELECT 1").fetchall()
    left = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(left)
    assert (left, threading.active_count()) == (before, threads)
    assert opened_files() == files


def opened_files() -> int:
    """How many files this process has open, as far as the system tells."""
    place = Path("/proc/self/fd")
    return len(list(place.iterdir())) if place.is_dir() else 0
