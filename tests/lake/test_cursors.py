"""One engine for all questions of a process: each is asked over a cursor that knows nothing of the others."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.lake.cursors import Cursors
from penstock.lake.sql import Sql, opened
from penstock.settings import Settings
from tests.forked import ended

SETTINGS = Settings(memory=256 << 20, threads=1, cache=None)


def engine() -> tuple[Cursors, list[Any]]:
    """An engine, and how often it was opened."""
    made: list[Any] = []

    def opening() -> Any:
        made.append(opened(SETTINGS))
        return made[-1]

    return Cursors(opening), made


def answer(cursors: Cursors, text: str, **tables: pa.Table) -> list[Any]:
    """The values that a query gives."""
    with cursors.one() as cursor, Sql(tables, settings=SETTINGS, given=cursor) as sql:
        return [value for row in sql.arrow(text).to_pylist() for value in row.values()]


def test_what_one_is_told_the_others_do_not_know() -> None:
    cursors, made = engine()
    assert answer(cursors, "SELECT n FROM t", t=pa.table({"n": [1]})) == [1]
    assert answer(cursors, "SELECT n FROM t", t=pa.table({"n": [2]})) == [2]
    with pytest.raises(SourceError, match="SQL_FAILED"):
        answer(cursors, "SELECT n FROM t")
    with cursors.one() as one, cursors.one() as other:
        ours = Sql({"t": pa.table({"n": [3]})}, settings=SETTINGS, given=one)
        theirs = Sql({"t": pa.table({"n": [4]})}, settings=SETTINGS, given=other)
        assert (ours.arrow("FROM t")["n"].to_pylist(), theirs.arrow("FROM t")["n"].to_pylist()) == ([3], [4])
    assert len(made) == 1
    cursors.close()
    cursors.close()
    assert answer(cursors, "SELECT 5") == [5]
    assert len(made) == 2
    cursors.close()


def test_every_cursor_has_the_settings_and_none_can_change_them() -> None:
    cursors, _ = engine()
    told = "TimeZone", "memory_limit", "threads", "enable_external_access", "lock_configuration"
    asked = ", ".join(f"current_setting('{name}') AS {name}" for name in told)
    assert answer(cursors, f"SELECT {asked}") == ["UTC", "128.0 MiB", 1, False, True]
    for text in ("SET TimeZone = 'Asia/Tokyo'", "SELECT * FROM read_csv('/etc/hosts')"):
        with pytest.raises(SourceError, match="SQL_FAILED"):
            answer(cursors, text)
    cursors.close()


def test_threads_and_forked_processes_ask_side_by_side() -> None:
    cursors, made = engine()

    def total(number: int) -> list[Any]:
        return answer(cursors, "SELECT sum(n)::BIGINT FROM t", t=pa.table({"n": [number, 1]}))

    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(total, range(40))) == [[number + 1] for number in range(40)]
    assert len(made) == 1

    def child() -> None:
        assert total(7) == [8]
        assert len(made) == 2
        cursors.close()

    assert ended(child, None)["code"] == 0
    assert total(1) == [2]
    cursors.close()
