"""Streams running beside a test, and what the lake holds afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa

from penstock.errors import PenstockError
from penstock.lake.streams import Stream, StreamStatus, TailedTable, read_now, run_streams
from penstock.lake.versioned import Lake
from tests.lake.streams.conftest import micros
from tests.plainsql import plain_sql

SECONDS = 180.0
"""How long a machine that others use may take for what takes a moment."""


class Running:
    """Streams in a thread, and every status they told."""

    def __init__(self, streams: Sequence[Stream], lake: Lake, now: Callable[[], int] = micros) -> None:
        self.stop, self.told, self.error = threading.Event(), list[StreamStatus](), list[BaseException]()
        self._thread = threading.Thread(target=self._run, args=(streams, lake, now))
        self._thread.start()

    def _run(self, streams: Sequence[Stream], lake: Lake, now: Callable[[], int]) -> None:
        try:
            run_streams(streams, lake, stop=self.stop, progress=self.told.append, now=now)
        except (PenstockError, AssertionError, OSError, RuntimeError) as error:
            self.error.append(error)

    def finish(self) -> StreamStatus:
        self.stop.set()
        self._thread.join(SECONDS)
        assert not self._thread.is_alive()
        if self.error:
            raise self.error[0]
        return self.told[-1]

    def until(self, happened: Callable[[], bool]) -> None:
        end = time.monotonic() + SECONDS
        while not happened():
            assert not self.error, self.error
            assert time.monotonic() < end, self.told[-1]
            time.sleep(0.05)


@contextmanager
def running(streams: Sequence[Stream], lake: Lake, now: Callable[[], int] = micros) -> Iterator[Running]:
    runs = Running(streams, lake, now)
    try:
        yield runs
    finally:
        runs.stop.set()
        runs._thread.join(SECONDS)


def log(lake: Lake, name: str) -> list[dict[str, object]]:
    """All row versions, committed and in the tail, in the order in which they became known."""
    with read_now(lake, name).scan() as scan, plain_sql({"rows": scan}, "log") as sql:
        found: pa.Table = sql.arrow("FROM rows ORDER BY _known")
    return found.to_pylist()


def count(lake: Lake, name: str) -> int:
    """How many row versions are readable; none where there is no table yet."""
    return len(log(lake, name)) if name in lake else 0


def current(table: TailedTable) -> list[dict[str, object]]:
    with table.now().scan() as scan, plain_sql({"rows": scan}) as sql:
        found: pa.Table = sql.arrow("FROM rows ORDER BY ALL")
    return found.to_pylist()
