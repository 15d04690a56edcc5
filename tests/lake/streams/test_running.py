"""Streams running together: brokers that go away, tables that change, signals."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import threading
import time
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import pyarrow as pa
import pytest

from penstock.errors import SchemaError, SourceError
from penstock.lake.streams import (
    Limits,
    Message,
    Stream,
    TailedTable,
    open_stream,
    open_writer,
    read_now,
    run_streams,
    stopping_on_signals,
)
from penstock.lake.versioned import Lake, Roles
from tests.lake.streams.conftest import Broker, micros
from tests.lake.streams.streaming import SECONDS, count, current, log, running
from tests.plainsql import plain_sql


class Line:
    """A way to a server that can be cut and mended."""

    def __init__(self, host: str, port: int) -> None:
        self._to, self._ends = (host, port), list[socket.socket]()
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self._listening: socket.socket | None = None

    def mend(self) -> None:
        self._listening = socket.socket()
        self._listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listening.bind(("127.0.0.1", self.port))
        self._listening.listen()
        threading.Thread(target=self._accept, args=(self._listening,), daemon=True).start()

    def cut(self) -> None:
        ends, self._ends = [*self._ends, *([self._listening] if self._listening else [])], []
        for end in ends:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self, listening: socket.socket) -> None:
        while True:
            try:
                here, _ = listening.accept()
            except OSError:
                return
            there = socket.create_connection(self._to)
            self._ends += [here, there]
            for a, b in ((here, there), (there, here)):
                threading.Thread(target=self._pass, args=(a, b), daemon=True).start()

    @staticmethod
    def _pass(a: socket.socket, b: socket.socket) -> None:
        try:
            while data := a.recv(65_536):
                b.sendall(data)
        except OSError:
            pass
        for end in (a, b):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("kind", ["redis", "nats"])
def test_a_broker_that_comes_late_and_goes_away_is_waited_for(kind: str, lake: Lake, request: pytest.FixtureRequest):
    broker = request.getfixturevalue(f"{kind}_broker")
    parts = urlsplit(broker.url)
    line = Line(parts.hostname, parts.port)
    url = parts._replace(netloc=f"127.0.0.1:{line.port}").geturl()
    with running([Stream("s", url, "t", ("id",))], lake) as runs:
        runs.until(lambda: bool(runs.told) and runs.told[-1].state == "lost")
        assert "does not answer" in runs.told[-1].note
        for n in range(2):
            line.mend()
            broker.send([b'{"id": %d}' % n])
            runs.until(lambda n=n: count(lake, "t") == n + 1)
            line.cut()
            broker.send([b'{"id": %d}' % n])
            runs.until(lambda: runs.told[-1].state == "lost")
        line.mend()
        runs.until(lambda: runs.told[-1].duplicates == 2)
        runs.finish()
    line.cut()
    assert [row["id"] for row in log(lake, "t")] == [0, 1]


def test_a_kafka_that_is_not_there_is_waited_for(lake: Lake):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"kafka://127.0.0.1:{free.getsockname()[1]}/rows"
    with pytest.raises(SourceError, match=r"STREAM_LOST: kafka://127.0.0.1:[0-9]+/rows does not answer"):
        open_stream(url, {})


@pytest.mark.parametrize("url", ["ftp://host/x", "nothing", "postgresql://host/db"])
def test_a_url_that_is_no_stream_is_told(url: str):
    with pytest.raises(SourceError, match="STREAM_URL"):
        open_stream(url, {})


def test_passwords_are_in_no_message():
    with pytest.raises(SourceError) as raised:
        open_stream("redis://user:s3cret@127.0.0.1:1/x", {})
    assert "s3cret" not in str(raised.value)
    with pytest.raises(SourceError) as raised:
        open_stream("kafka://user:s3cret@127.0.0.1:1/x?no.such.setting=1", {})
    assert "s3cret" not in str(raised.value)
    assert "s3cret" not in repr(Stream("s", "redis://user:s3cret@127.0.0.1:1/x", "t"))


def test_two_streams_of_one_table_are_refused(lake: Lake):
    streams = [Stream("a", "redis://h/a", "t"), Stream("b", "redis://h/b", "t")]
    with pytest.raises(SchemaError, match="STREAM_SHARED: 2 streams have the table 't'"):
        run_streams(streams, lake, stop=threading.Event(), progress=lambda _: None, now=micros)


def test_a_table_with_another_key_is_refused(lake: Lake):
    lake.create("t", pa.schema([("id", pa.int64())]), Roles(("id",)))
    with pytest.raises(SchemaError, match=r"STREAM_KEY: table t has the key id, not other"):
        open_writer(Stream("s", "redis://h/s", "t", ("other",)), lake, micros)
    open_writer(Stream("s", "redis://h/s", "t"), lake, micros).close()


def test_new_fields_become_columns_that_readers_see_at_once(lake: Lake):
    writer = open_writer(Stream("s", "redis://h/s", "t", ("id",)), lake, micros)
    table = TailedTable(lake, "t")
    writer.write([Message("p", 1, b'{"id": 1}')])
    assert current(table) == [{"id": 1}]
    writer.flush()
    writer.write([Message("p", 2, b'{"id": 2, "new": "x"}')])
    assert current(table) == [{"id": 1, "new": None}, {"id": 2, "new": "x"}]
    writer.write([Message("p", 3, b'{"id": 3, "newer": {"still": 1.5}}')])
    writer.close()
    assert current(table)[2] == {"id": 3, "new": None, "newer_still": 1.5}
    assert len(log(lake, "t")) == 3


def test_a_widening_goes_through_and_a_narrowing_is_a_dead_letter(lake: Lake):
    schema = pa.schema([("id", pa.int64()), ("small", pa.int32())])
    writer = open_writer(Stream("s", "redis://h/s", "t", ("id",), schema=schema), lake, micros)
    writer.write([Message("p", 1, b'{"id": 1, "small": 1}')])
    tallies = writer.write(
        [Message("p", 2, b'{"id": 2, "small": 5000000000}'), Message("p", 3, b'{"id": 3, "small": 1.5}')]
    )
    assert [tally.written for tally in tallies] == [1, 0]
    assert lake.table("t").schema.field("small").type == pa.int64()
    writer.close()
    assert [row["small"] for row in log(lake, "t")] == [1, 5_000_000_000]
    assert log(lake, "t__dead")[0]["reason"] == "column 'small': 1.5 is no whole number"


def test_readers_see_each_row_once_while_segments_become_versions(lake: Lake):
    writer = open_writer(Stream("s", "redis://h/s", "t"), lake, micros)
    writer.write([Message("p", 1, b'{"id": 1}')])
    wrong, ended = list[list[object]](), threading.Event()

    def look() -> None:
        table, before = TailedTable(lake, "t"), 0
        while not ended.is_set():
            with table.now().scan() as scan:
                rows = sorted(found["id"] for found in _rows(scan))
            if rows != list(range(1, len(rows) + 1)) or len(rows) < before:
                wrong.append(rows)
            before = len(rows)

    def flush() -> None:
        while not ended.is_set():
            writer.flush()

    threads = [threading.Thread(target=work) for work in (look, flush)]
    for thread in threads:
        thread.start()
    for n in range(2, 400):
        writer.write([Message("p", n, b'{"id": %d}' % n)])
        time.sleep(0.003)
    ended.set()
    for thread in threads:
        thread.join()
    writer.close()
    assert wrong == []
    assert len(log(lake, "t")) == 399


def _rows(scan) -> list[dict]:
    with plain_sql({"rows": scan}, "log") as sql:
        return sql.arrow("SELECT id FROM rows").to_pylist()


def test_known_instants_grow_though_the_clock_goes_back(lake: Lake):
    clock = iter([1_000_000, 500_000, 400_000, 2_000_000])
    writer = open_writer(Stream("s", "redis://h/s", "t", ("id",)), lake, lambda: next(clock))
    for n in range(4):
        writer.write([Message("p", n + 1, b'{"id": 1, "v": %d}' % n)])
    known = [row["_known"].timestamp() for row in log(lake, "t")]
    assert known == sorted(set(known))
    assert current(TailedTable(lake, "t")) == [{"id": 1, "v": 3.0}]
    writer.close()


def test_arrow_payloads_hold_many_rows(lake: Lake, redis_broker: Broker):
    rows = pa.table({"id": [1, 2], "n": pa.array([1, None], pa.int32())})
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    redis_broker.send([sink.getvalue().to_pybytes(), b"no arrow"])
    with running([Stream("s", redis_broker.url, "t", ("id",), format="arrow")], lake) as runs:
        runs.until(lambda: bool(runs.told) and runs.told[-1].dead == 1)
        runs.finish()
    assert [(row["id"], row["n"]) for row in log(lake, "t")] == [(1, 1), (2, None)]


def test_memory_of_keys_is_bounded_and_repeats_are_known_after_a_restart(lake: Lake):
    stream = Stream("s", "redis://h/s", "t", ("id",), limits=Limits(keys=10))
    for run in range(2):
        writer = open_writer(stream, lake, micros)
        messages = [
            Message(f"p{run}", n + 1, b'{"id": %d}' % (n if run == 0 else n + 90)) for n in range(100 - 90 * run)
        ]
        tallies = writer.write(messages)
        assert sum(tally.written for tally in tallies) == (100 if run == 0 else 0)
        writer.close()


def test_a_signal_stops_in_order(lake: Lake, redis_broker: Broker):
    redis_broker.send([b'{"id": 1}'])

    def ask_when_it_runs() -> None:
        end = time.monotonic() + SECONDS
        while not count(lake, "t") and time.monotonic() < end:
            time.sleep(0.05)
        os.kill(os.getpid(), signal.SIGTERM)

    asked = threading.Thread(target=ask_when_it_runs)
    with stopping_on_signals() as stop:
        asked.start()
        run_streams([Stream("s", redis_broker.url, "t")], lake, stop=stop, progress=lambda _: None, now=micros)
        assert stop.is_set()
    asked.join()
    now = read_now(lake, "t")
    assert (now.table.newest().rows, now.tail.num_rows) == (1, 0)


def test_a_stream_that_is_deleted_may_come_back(lake: Lake, redis_broker: Broker):
    import redis

    parts = urlsplit(redis_broker.url)
    redis_broker.send([b'{"id": 1}'])
    with running([Stream("s", redis_broker.url, "t")], lake) as runs, redis.Redis(parts.hostname, parts.port) as client:
        runs.until(lambda: count(lake, "t") == 1)
        client.delete(parts.path.removeprefix("/"))
        time.sleep(0.2)
        redis_broker.send([b'{"id": 2}'])
        runs.until(lambda: count(lake, "t") == 2)
        runs.finish()


def test_what_cannot_become_a_version_now_is_told_and_tried_again(lake: Lake, redis_broker: Broker):
    redis_broker.send([b'{"id": 1}'])
    with running([Stream("s", redis_broker.url, "t", limits=Limits(segment_seconds=0.5))], lake) as runs:
        runs.until(lambda: count(lake, "t") == 1)
        home = next(path for path in Path(lake.place).rglob("t") if path.parent.name != "tails")
        (home / "data").rename(home / "hidden")
        (home / "data").touch()
        redis_broker.send([b'{"id": 2}'])
        runs.until(lambda: runs.told[-1].note.startswith("no version could be made, tried again"))
        (home / "data").unlink()
        (home / "hidden").rename(home / "data")
        runs.until(lambda: runs.told[-1].tail == 0 and not runs.told[-1].note)
        runs.finish()
    assert [row["id"] for row in log(lake, "t")] == [1, 2]
    assert lake.table("t").newest().rows == 2


def test_places_outlive_compaction_expiry_and_the_loss_of_the_tail(lake: Lake):
    stream = Stream("s", "redis://h/s", "t")
    for n in range(1, 5):
        writer = open_writer(stream, lake, micros)
        writer.write([Message("p", n, b'{"id": %d}' % n)])
        writer.close()
    lake.table("t").compact()
    lake.expire(1, grace=timedelta(0))
    assert len(lake.table("t").versions()) == 1
    shutil.rmtree(Path(lake.place) / "tails")
    writer = open_writer(stream, lake, micros)
    tallies = writer.write([Message("p", n, b'{"id": %d}' % n) for n in range(1, 7)])
    assert [tally.written for tally in tallies] == [0, 0, 0, 0, 1, 1]
    writer.close()
    assert [row["id"] for row in log(lake, "t")] == [1, 2, 3, 4, 5, 6]


def test_a_column_that_is_dropped_before_its_rows_are_committed_comes_back(lake: Lake):
    writer = open_writer(Stream("s", "redis://h/s", "t"), lake, micros)
    writer.write([Message("p", 1, b'{"id": 1, "v": "kept"}')])
    lake.table("t").evolve(drop=["v"])
    writer.close()
    assert [row["v"] for row in log(lake, "t")] == ["kept"]
