"""Several processes write one table at once, some are killed at any moment: nothing is lost and nothing doubled."""

from __future__ import annotations

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import timedelta
from pathlib import Path

from penstock.lake.versioned import VersionedTable, open_lake
from tests.conftest import ROOT
from tests.lake.versioned.model import KEYED, SCHEMA, Model, batches, read_both, rows_of
from tests.lake.versioned.writer import STEP

NAMES = Model().names
WRITERS, BATCHES, KILLS = 3, 25, 9


def begun(place: Path, number: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.lake.versioned.writer", str(place), str(number), str(BATCHES)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE)


def test_killed_writers_lose_and_double_nothing(tmp_path: Path):
    place, chance = tmp_path / "lake", random.Random(7)
    open_lake(place).create("t", SCHEMA, KEYED)
    running = {number: begun(place, number) for number in range(WRITERS)}
    for _ in range(KILLS):
        time.sleep(chance.uniform(0.3, 1.5))
        number = chance.randrange(WRITERS)
        running[number].kill()
        running[number].communicate()
        running[number] = begun(place, number)
    for number, process in running.items():
        _, said = process.communicate()
        assert process.returncode == 0, f"writer {number}: {said.decode()}"
    lake = open_lake(place)
    table = lake.table("t")
    expected = Counter((number * STEP + batch, batch) for number in range(WRITERS) for batch in range(1, BATCHES + 1))
    shown = read_both(table.scan(), NAMES)
    assert shown["current"] == expected
    assert shown["log"] == Counter((*row, None, None) for row in expected)
    assert table.facts() == {f"writer {number}": str(BATCHES) for number in range(WRITERS)}
    assert lake.verify() == ()


def test_what_the_killed_left_is_swept(tmp_path: Path):
    place = tmp_path / "lake"
    open_lake(place).create("t", SCHEMA, KEYED)
    for _ in range(3):
        writer = begun(place, 0)
        time.sleep(1.5)
        writer.kill()
        writer.communicate()
    ahead = open_lake(place, now=lambda: time.time_ns() // 1000 + 86_400_000_000)
    ahead.expire(1, grace=timedelta(0))
    table, folder = ahead.table("t"), place / "main" / "t"
    assert {path.name for path in (folder / "data").glob("*")} == {file.name for file in table.scan().files}
    assert len(list((folder / "metadata").glob("snap-*"))) == len(table.versions())
    assert ahead.verify() == ()


def test_threads_with_one_batch_commit_it_once(tmp_path: Path):
    lake = open_lake(tmp_path)
    table = lake.create("t", SCHEMA, KEYED)
    found: list[int] = []

    def write() -> None:
        own = open_lake(tmp_path).table("t")
        for at in range(5):
            staged = own.stage(batches(own, rows_of((at, at)), NAMES))
            found.append(own.commit(staged, batch=f"b{at}").number)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted([1, 2, 3, 4, 5] * 4)
    assert read_both(table.refresh().scan(), NAMES)["current"] == Counter((at, at) for at in range(5))
    assert len(list(tmp_path.rglob("*.parquet"))) == 5


def test_rows_that_arrive_while_house_is_kept_are_kept(tmp_path: Path):
    table = open_lake(tmp_path).create("t", SCHEMA, KEYED)
    done = threading.Event()
    wrong: list[str] = []

    def append(number: int) -> None:
        own = open_lake(tmp_path).table("t")
        for at in range(8):
            names = {1: own.schema.names[0], 2: own.schema.names[1]}
            rows = rows_of((number * STEP + at, at))
            own.commit(own.stage(batches(own, rows, names)), batch=f"{number}/{at}")

    def keep_house() -> None:
        lake = open_lake(tmp_path)
        own = lake.table("t")
        while not done.is_set():
            own.compact()
            own.refresh().evolve(rename={own.schema.names[1]: f"amount {time.monotonic_ns()}"})
            if own.newest() is not None:
                own.tag("last", replace=True)
            lake.expire(3, grace=timedelta(minutes=1))
            wrong.extend(damage.reason for damage in lake.verify())

    keeper = threading.Thread(target=keep_house)
    keeper.start()
    writers = [threading.Thread(target=append, args=[number]) for number in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    done.set()
    keeper.join()
    names = {1: "id", 2: table.refresh().schema.names[1]}
    shown = read_both(table.scan(), names)
    assert shown["current"] == Counter((number * STEP + at, at) for number in range(3) for at in range(8))
    assert sum(shown["log"].values()) == 24
    assert wrong == []


def test_of_two_that_rest_on_one_version_one_wins(tmp_path: Path):
    table = open_lake(tmp_path).create("t", SCHEMA, KEYED)
    won: list[str] = []
    lost: list[str] = []

    def write(name: str) -> None:
        own = open_lake(tmp_path).table("t")
        staged = own.stage(batches(own, rows_of((1, len(name))), NAMES))
        attempt(own, staged, name)

    def attempt(own: VersionedTable, staged, name: str) -> None:
        from penstock.errors import SourceError

        try:
            own.replace(staged, batch=name, after=0)
            won.append(name)
        except SourceError as error:
            assert error.code == "LAKE_CONFLICT"
            own.discard(staged)
            lost.append(name)

    threads = [threading.Thread(target=write, args=["x" * at]) for at in range(1, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(won), len(lost)) == (1, 3)
    assert read_both(table.refresh().scan(), NAMES)["current"] == Counter([(1, len(won[0]))])
