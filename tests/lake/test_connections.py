"""Connections that are kept: what a source tells is what is there now, whatever became of them."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.lake import connections
from penstock.lake.connections import Connections
from penstock.lake.postgres import connect
from penstock.lake.source import Source
from penstock.lake.sources import open_source
from penstock.lake.where import read_where, release
from penstock.lake.write import write
from tests.forked import ended

OPEN = Path("/proc/self/fd")


def put(url: str, *values: int) -> None:
    """A table that says these."""
    write(pa.table({"id": list(range(len(values))), "v": list(values)}), f"{url}#kept", ("id",))


def told(source: Source, *ids: int) -> list[int]:
    """What the source says of some rows."""
    found: list[int] = read_where(source, "kept", ["v"], [pa.table({"id": list(ids) or [0]})])["v"].to_pylist()
    return found


@pytest.fixture(params=["sqlite", "postgres", "mysql", "duckdb"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with a table."""
    server = request.param in ("postgres", "mysql")
    url = str(request.getfixturevalue(f"{request.param}_url")) if server else str(tmp_path / f"kept.{request.param}")
    put(url, 1, 2)
    return url


def test_what_is_written_meanwhile_is_read(place: str) -> None:
    source = open_source(place)
    for value in (5, 6):
        put(place, value)
        assert told(source) == [value]
    release(source)
    put(place, 7)
    assert told(source) == [7]
    release(source)


def test_threads_read_side_by_side(place: str) -> None:
    source = open_source(place)
    with ThreadPoolExecutor(8) as threads:
        assert set(map(tuple, threads.map(lambda n: told(source, n % 2), range(40)))) == {(1,), (2,)}
    release(source)


def test_a_file_that_replaces_another_is_read(tmp_path: Path) -> None:
    path, other = tmp_path / "kept.sqlite", tmp_path / "other.sqlite"
    put(str(path), 1)
    put(str(other), 2)
    source = open_source(str(path))
    assert told(source) == [1]
    other.replace(path)
    assert told(source) == [2]
    path.unlink()
    with pytest.raises(SourceError, match=r"SOURCE_UNREADABLE: kept.sqlite cannot be read"):
        told(source)
    release(source)


def test_one_file_is_open_however_often_it_is_read_and_none_when_let_go(tmp_path: Path) -> None:
    path = tmp_path / "kept.sqlite"
    put(str(path), 1)
    source = open_source(str(path))
    told(source)
    before = _open_at(path)
    for _ in range(5):
        told(source)
    assert before == _open_at(path) > 0
    with closing(sqlite3.connect(path, timeout=0)) as writer:  # no reader stands in a writer's way
        writer.execute("UPDATE kept SET v = 9")
        writer.commit()
    assert told(source) == [9]
    release(source)
    assert _open_at(path) == 0


def _open_at(path: Path) -> int:
    """How often this process has a file open."""
    return sum(one.is_symlink() and os.path.realpath(one) == str(path) for one in OPEN.iterdir())


def test_a_server_that_ended_the_connection_is_asked_anew(postgres_url: str) -> None:
    put(postgres_url, 1)
    source = open_source(f"{postgres_url}?application_name={os.getpid()}")
    for _ in range(3):
        assert [told(source), told(source)] == [[1], [1]]
        assert _told(postgres_url, "SELECT count(*)::int8 AS n") == [1]
        _told(postgres_url, "SELECT pg_terminate_backend(pid) AS n")
    assert told(source) == [1]
    release(source)
    assert told(source) == [1]


def _told(url: str, select: str) -> list[object]:
    """What the server says of connections that bear this process's name."""
    with connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(f"{select} FROM pg_stat_activity WHERE application_name = '{os.getpid()}'")
        found: list[object] = cursor.fetch_arrow_table()["n"].to_pylist()
        return found


def test_a_table_that_is_gone_is_told_so(postgres_url: str) -> None:
    put(postgres_url, 1)
    source = open_source(postgres_url)
    assert told(source) == [1]
    with connect(postgres_url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("DROP TABLE kept")
    with pytest.raises(SourceError, match=r"SOURCE_UNREADABLE: .*kept.* does not exist"):
        told(source)
    release(source)


def test_a_forked_process_opens_its_own(postgres_url: str) -> None:
    put(postgres_url, 1)
    source = open_source(postgres_url)
    assert told(source) == [1]

    def child() -> None:
        assert told(source) == [1]
        release(source)

    assert ended(child, None)["code"] == 0
    assert told(source) == [1]
    release(source)


# ---------------------------------------------------------------- the rule itself


class Line:
    """A connection to nowhere, which counts those like it and can be cut."""

    made: list[Line] = []  # noqa: RUF012  each test takes a class of its own

    def __init__(self) -> None:
        self.made.append(self)
        self.cut = self.closed = False

    def close(self) -> None:
        """Let go of it."""
        self.closed = True


def _lines() -> tuple[type[Line], Callable[[Line], int]]:
    class Own(Line):
        made: list[Line] = []  # noqa: RUF012

    def question(line: Line) -> int:
        if line.cut:
            raise ConnectionError("cut")
        return Own.made.index(line)

    return Own, question


def _said(error: Exception) -> SourceError:
    return SourceError("SOURCE_UNREADABLE", f"said: {error}")


def test_a_broken_one_is_replaced_once_and_no_more() -> None:
    own, question = _lines()
    kept: Connections[Line] = Connections(own, ConnectionError, _said)
    assert [kept.ask(question) for _ in range(3)] == [0, 0, 0]
    own.made[0].cut = True
    assert [kept.ask(question) for _ in range(2)] == [1, 1]
    with pytest.raises(SourceError, match="said: no"):
        kept.ask(lambda line: (_ for _ in ()).throw(ConnectionError("no")))
    assert [line.closed for line in own.made] == [True] * 3
    kept.close()
    assert [kept.ask(question), own.made[3].closed] == [3, True]


def test_what_was_idle_for_long_or_leads_elsewhere_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    own, question = _lines()
    where = ["here"]
    kept: Connections[Line] = Connections(own, ConnectionError, _said, lambda: where[0])
    assert kept.ask(question) == 0
    where[0] = "there"
    assert [kept.ask(question), kept.ask(question), own.made[0].closed] == [1, 1, True]
    monkeypatch.setattr(connections, "IDLE", 0.0)
    assert [kept.ask(question), own.made[1].closed] == [2, True]


def test_few_are_kept() -> None:
    own, question = _lines()
    kept: Connections[Line] = Connections(own, ConnectionError, _said, most=1)
    assert kept.ask(lambda _: kept.ask(question)) == 1
    assert [line.closed for line in own.made] == [True, False] or [line.closed for line in own.made] == [False, True]


def test_one_that_is_left_in_the_midst_of_an_answer_is_closed() -> None:
    own, question = _lines()
    kept: Connections[Line] = Connections(own, ConnectionError, _said)
    with pytest.raises(KeyboardInterrupt):
        kept.ask(lambda line: (_ for _ in ()).throw(KeyboardInterrupt()))
    assert [own.made[0].closed, kept.ask(question)] == [True, 1]
