"""The log of served values: everything whole comes back, no key is in it, and it stays within its bound."""

from __future__ import annotations

import multiprocessing
from pathlib import Path

import pytest

from penstock.errors import SourceError
from penstock.online.verifying import Entry, ServedLog
from penstock.online.verifying import served as module


def entry(at: int, key: bytes = b"k") -> Entry:
    return Entry(at, at - 1, "orders", "v1", ("n", "f"), (key,), ((at,), (0.5,)), ((1,), (1,)))


def test_entries_come_back_in_order(tmp_path: Path) -> None:
    log = ServedLog(tmp_path / "served")
    assert list(log.entries()) == []
    log.add([entry(1), entry(2)])
    log.add([entry(3)])
    assert [one.at for one in ServedLog(tmp_path / "served").entries()] == [1, 2, 3]
    assert next(iter(log.entries())) == entry(1)


def test_values_of_every_kind_come_back(tmp_path: Path) -> None:
    log = ServedLog(tmp_path)
    values = (None, True, 2**62, -1.5, float("inf"), "ß|\0", ["a", None])
    whole = Entry(1, 1, "v", "x", ("f",), tuple(b"%d" % n for n in range(len(values))), (values,), ((1,) * 7,))
    log.add([whole])
    assert next(log.entries()).values == (values,)


def test_no_key_is_in_the_log_and_hashes_are_its_own(tmp_path: Path) -> None:
    one, other = ServedLog(tmp_path / "a"), ServedLog(tmp_path / "b")
    key = b"alice@example.org"
    assert one.hashed([key]) == ServedLog(tmp_path / "a").hashed([key]) != other.hashed([key])
    one.add([entry(1, one.hashed([key])[0])])
    assert all(b"alice" not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


def test_a_torn_end_is_left_out_and_damage_is_told(tmp_path: Path) -> None:
    log = ServedLog(tmp_path)
    log.add([entry(1), entry(2)])
    (path,) = log.files()
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    assert [one.at for one in log.entries()] == [1]
    path.write_bytes(whole[:20] + b"x" + whole[21:])
    with pytest.raises(SourceError, match="TAIL_DAMAGED"):
        list(log.entries())


def test_old_files_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_FILE_BYTES", 2000)
    log = ServedLog(tmp_path, most=10_000)
    for at in range(600):
        log.add([entry(at)])
    kept = [one.at for one in log.entries()]
    assert kept == list(range(kept[0], 600))
    assert 0 < kept[0] < 500
    assert sum(path.stat().st_size for path in log.files()) <= 12_000


def _many(folder: Path, start: int) -> None:
    log = ServedLog(folder)
    for at in range(start, start + 200):
        log.add([entry(at, log.hashed([b"x"])[0])])


def test_several_processes_log_at_once(tmp_path: Path) -> None:
    made = multiprocessing.get_context("spawn")
    workers = [made.Process(target=_many, args=(tmp_path, 1000 * n)) for n in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    found = list(ServedLog(tmp_path).entries())
    assert sorted(one.at for one in found) == sorted(1000 * n + i for n in range(3) for i in range(200))
    assert {one.keys[0] for one in found} == set(ServedLog(tmp_path).hashed([b"x"]))


def test_as_many_requests_a_second_are_wanted_as_there_should_be_at_even_distances(tmp_path: Path) -> None:
    def wanted(times: list[float]) -> list[bool]:
        left = iter(times)
        log = ServedLog(tmp_path, rate=4, clock=lambda: next(left))
        return [log.wants() for _ in times]

    assert wanted([0.0] * 6 + [0.5] * 4 + [9.0] * 6) == (
        [True] * 4 + [False] * 2 + [True] * 2 + [False] * 2 + [True] * 4 + [False] * 2
    )
    assert wanted([at / 4 for at in range(100)]) == [True] * 100
    busy = wanted([at / 64 for at in range(640)])
    assert [sum(busy[at : at + 16]) for at in range(80, 640, 16)] == [1] * 35
    assert not ServedLog(tmp_path, rate=0).wants()
