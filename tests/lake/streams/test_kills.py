"""A process that streams is killed at any moment, again and again: no row is lost, none is there twice."""

from __future__ import annotations

import json
import multiprocessing as mp
import os
import random
import signal
import threading
import time
from pathlib import Path

import pytest

from penstock.errors import SourceError
from penstock.lake.streams import Limits, Message, Stream, TailedTable, open_writer, run_streams
from penstock.lake.streams.positions import AT
from penstock.lake.versioned import Lake, open_lake
from tests.lake.streams.conftest import Broker, micros
from tests.lake.streams.streaming import count, log, running

KILLS = int(os.environ.get("PENSTOCK_KILLS", "25"))
QUICK = Limits(segment_seconds=0.03, read=200)


@pytest.fixture(scope="module")
def processes() -> mp.context.ForkServerContext:
    """Processes that begin within milliseconds: forked from one that has imported everything and started nothing."""
    context = mp.get_context("forkserver")
    heavy = ["duckdb", "pandas", "pyarrow.dataset", "pyiceberg.catalog.sql", "pyroaring", "redis", "sqlite3"]
    context.set_forkserver_preload([__name__, *heavy])
    return context


def write_forever(place: str, seed: int, flushes: bool) -> None:
    """Row n is message n: what was written last says what comes next."""
    choose = random.Random(seed)
    writer = open_writer(Stream("s", "redis://nowhere/s", "t", limits=QUICK), open_lake(place), micros)
    while True:
        first = writer.positions.get(f"{AT}p", 0) + 1
        rows = [json.dumps({"id": n, "text": "x" * choose.randrange(200)}).encode() for n in range(first, first + 9)]
        writer.write([Message("p", first + at, row) for at, row in enumerate(rows[: choose.randrange(1, 9)])])
        if flushes and choose.random() < 0.2:
            writer.flush()


def stream_forever(place: str, url: str) -> None:
    stream = Stream("s", url, "t", limits=QUICK)
    try:
        run_streams([stream], open_lake(place), stop=threading.Event(), progress=lambda status: None, now=micros)
    except SourceError as error:
        assert error.code == "TAIL_BUSY"  # the one before has not been buried yet


def killed(process: mp.process.BaseProcess, after: float) -> None:
    process.start()
    time.sleep(after)
    assert process.pid is not None
    os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode == -signal.SIGKILL


@pytest.mark.parametrize("flushes", [False, True], ids=["appends", "flushes"])
def test_a_writer_that_is_killed_leaves_every_row_once(processes, tmp_path: Path, flushes: bool):
    lake = open_lake(tmp_path)
    writer = open_writer(Stream("s", "redis://nowhere/s", "t"), lake, micros)
    writer.write([Message("p", 1, b'{"id": 1, "text": "the first"}')])
    writer.abandon()
    choose, seen, patience = random.Random(7), 1, 1.0
    reader = TailedTable(lake, "t")
    for kill in range(KILLS):
        process = processes.Process(target=write_forever, args=(str(tmp_path), kill, flushes))
        killed(process, patience * choose.uniform(0.02, 0.4))
        now = reader.now()
        newest = now.table.newest()
        readable = now.tail.num_rows + (0 if newest is None else newest.rows)
        assert readable >= seen
        patience = 1.5 * patience if readable == seen else max(patience / 1.5, 1.0)  # a busy machine begins late
        seen = readable
    assert [row["id"] for row in log(lake, "t")] == list(range(1, seen + 1))
    assert seen > KILLS
    writer = open_writer(Stream("s", "redis://nowhere/s", "t"), lake, micros)
    writer.close()
    assert lake.table("t").newest().rows == seen
    assert [row["id"] for row in log(lake, "t")] == list(range(1, seen + 1))


def test_a_stream_that_is_killed_goes_on_where_it_was(processes, tmp_path: Path, redis_broker: Broker):
    lake = open_lake(tmp_path)
    choose, sent, ended = random.Random(11), [0], threading.Event()

    def send() -> None:
        while not ended.is_set():
            redis_broker.send([json.dumps({"id": sent[0] + at}).encode() for at in range(20)])
            sent[0] += 20
            time.sleep(0.01)

    sending = threading.Thread(target=send)
    sending.start()
    try:
        for _ in range(KILLS):
            process = processes.Process(target=stream_forever, args=(str(tmp_path), redis_broker.url))
            killed(process, choose.uniform(0.1, 0.5))
    finally:
        ended.set()
        sending.join()
    with running([Stream("s", redis_broker.url, "t")], lake) as runs:
        runs.until(lambda: count(lake, "t") >= sent[0])
        runs.finish()
    assert sorted(row["id"] for row in log(lake, "t")) == list(range(sent[0]))


def test_a_table_has_one_writer(lake: Lake):
    stream = Stream("s", "redis://nowhere/s", "t")
    writer = open_writer(stream, lake, micros)
    with pytest.raises(SourceError, match="TAIL_BUSY: another process streams into t"):
        open_writer(stream, lake, micros)
    writer.close()
    open_writer(stream, lake, micros).close()
