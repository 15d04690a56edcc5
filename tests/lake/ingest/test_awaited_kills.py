"""Killed before and after every commit of a flush and of an ingestion, and with the other one in between: a row that
only was pushed is not lost."""

from __future__ import annotations

import multiprocessing as mp
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from penstock.lake.versioned import open_lake
from penstock.lake.versioned.catalogue import Catalogue
from tests.lake.ingest.awaiting import Pushed, awaited
from tests.lake.ingest.history import Row, current, taken

ONE: Row = (1, 1, "at the source")
TWO: Row = (2, 2, "pushed")
Work = Callable[[Path, int], None]


@pytest.fixture(scope="module")
def processes() -> mp.context.ForkServerContext:
    """Processes that begin within milliseconds: forked from one that has imported everything and started nothing."""
    context = mp.get_context("forkserver")
    context.set_forkserver_preload([__name__, "duckdb", "pyiceberg.catalog.sql", "pyroaring", "sqlite3"])
    return context


def run(place: Path, rows: list[Row], now: int) -> None:
    taken(open_lake(place / "lake"), rows, now, place / "quarantine", mode="compare", key=("id",))


def push(place: Path, now: int, row: Row = TWO) -> None:
    pushed = Pushed(open_lake(place / "lake"))
    pushed.push(now, id=row[0], at=row[1], v=row[2])
    pushed.end("close")


def left(place: Path) -> dict[int, str]:
    """What is true once a writer has gone on with what another one left."""
    lake = open_lake(place / "lake")
    pushed = Pushed(lake)
    pushed.open()
    pushed.end("close")
    return {row["id"]: row["v"] for row in current(lake)}  # type: ignore[misc]


class At:
    """Something is done before or after the catalogue takes the ``number``-th new state of any table."""

    def __init__(self, number: int, action: Callable[[], None], *, before: bool) -> None:
        self.left, self.action, self.before, self.swap = number, action, before, Catalogue.swap

    def __enter__(self) -> At:
        def swapped(catalogue: Catalogue, *told: object) -> object:
            return self._swapped(catalogue, *told)

        Catalogue.swap = swapped  # type: ignore[method-assign,assignment]
        return self

    def __exit__(self, *_: object) -> None:
        Catalogue.swap = self.swap  # type: ignore[method-assign]

    def _swapped(self, *told: object) -> object:
        self.left -= 1
        now = self.left == 0
        if now and self.before:
            self._act()
        done = self.swap(*told)  # type: ignore[arg-type]
        if now and not self.before:
            self._act()
        return done

    def _act(self) -> None:
        Catalogue.swap = self.swap  # type: ignore[method-assign]
        self.action()


def dying(work: Work, place: Path, number: int, before: bool) -> None:
    with At(number, lambda: os.kill(os.getpid(), signal.SIGKILL), before=before):
        work(place, 2_000)


def kills(processes: mp.context.ForkServerContext, work: Work, made: Callable[[str], Path]) -> list[Path]:
    """Places where the work was killed, at each of its commits; where it came to an end there was no further one."""
    places = []
    for number in range(1, 10):
        for before in (True, False):
            place = made(f"{number} {before}")
            process = processes.Process(target=dying, args=(work, place, number, before))
            process.start()
            process.join()
            if process.exitcode == 0:
                return places
            assert process.exitcode == -signal.SIGKILL
            places.append(place)
    raise AssertionError("it does not come to an end")


@pytest.fixture
def place(tmp_path: Path) -> Callable[[str], Path]:
    def made(name: str) -> Path:
        run(tmp_path / name, [ONE], 1_000)
        return tmp_path / name

    return made


def test_a_flush_that_is_killed_loses_no_key(processes, place):
    places = kills(processes, push, place)
    assert len(places) >= 4
    for one in places:
        assert left(one) == {1: ONE[2], 2: TWO[2]}
        assert awaited(open_lake(one / "lake")) == {2}
        run(one, [ONE], 3_000)
        assert left(one) == {1: ONE[2], 2: TWO[2]}


def shown(place: Path, now: int) -> None:
    run(place, [ONE, (2, 2, "shown")], now)


def test_an_ingestion_that_is_killed_keeps_what_it_had_not_forgotten(processes, place):
    def made(name: str) -> Path:
        there = place(name)
        push(there, 1_500)
        return there

    places = kills(processes, shown, made)
    assert len(places) >= 4
    ends = set()
    for one in places:
        waits = awaited(open_lake(one / "lake"))
        run(one, [ONE], 3_000)
        assert left(one).keys() == {1} | waits
        ends.add(frozenset(waits))
    assert ends == {frozenset(), frozenset([2])}


def streamed(place: Path, now: int) -> None:
    run(place, [ONE], now)


def test_the_first_comparison_of_a_streamed_table_that_is_killed_deletes_nothing(processes, tmp_path):
    def made(name: str) -> Path:
        push(tmp_path / name, 1_000)
        return tmp_path / name

    places = kills(processes, streamed, made)
    assert len(places) >= 4
    for one in places:
        run(one, [ONE], 3_000)
        assert left(one) == {1: ONE[2], 2: TWO[2]}


# ---------------------------------------------------------------- at the same time


def between(work: Work, place: Path, number: int, other: Callable[[], None]) -> bool:
    """Do work with another's work done before its ``number``-th commit; whether there was one."""
    done: list[bool] = []

    def act() -> None:
        done.append(True)
        other()

    with At(number, act, before=True):
        work(place, 2_000)
    return bool(done)


@pytest.mark.parametrize("first", ["ingested", "streamed"])
def test_an_ingestion_while_a_segment_is_flushed_deletes_nothing(first: str, tmp_path: Path):
    for number in range(1, 10):
        place = tmp_path / f"{number}"
        run(place, [ONE], 1_000) if first == "ingested" else push(place, 1_000, (3, 3, "before"))
        if not between(push, place, number, lambda place=place: run(place, [ONE], 2_500)):  # type: ignore[misc]
            assert number > 1
            return
        run(place, [ONE], 3_000)
        run(place, [ONE], 4_000)
        assert left(place).keys() == {1, 2} | ({3} if first == "streamed" else set())


@pytest.mark.parametrize("first", ["ingested", "streamed"])
def test_what_is_pushed_again_after_the_source_was_read_is_awaited_again(first: str, tmp_path: Path):
    ends = set()
    for number in range(1, 10):
        place = tmp_path / f"{number}"
        if first == "ingested":
            run(place, [ONE], 1_000)
        push(place, 1_500)
        if not between(shown, place, number, lambda place=place: push(place, 2_500, (2, 2, "again"))):  # type: ignore[misc]
            break
        waits = awaited(open_lake(place / "lake"))
        run(place, [ONE], 3_000)
        assert left(place).get(2) == ("again" if waits else None)  # nothing waits where the source was read again
        ends.add(bool(waits))
    assert ends == {True, False}
