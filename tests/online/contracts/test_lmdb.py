"""The store in a folder: the contract, maps that grow, forks, and folders that are damaged, full or read-only."""

from __future__ import annotations

import os
import resource
import threading
from collections.abc import Callable
from pathlib import Path
from random import Random
from tempfile import gettempdir

import pytest

from penstock.errors import StoreError
from penstock.online.store import OnlineStore, Part
from penstock.online.stores import open_store
from penstock.online.stores.lmdb import LmdbStore
from tests import forked
from tests.online.contracts.suite import StoreContract, put

NOBODY = 65_534


class TestLmdb(StoreContract):
    @pytest.fixture
    def opener(self, tmp_path: Path) -> Callable[[], OnlineStore]:
        return lambda: open_store(f"lmdb:{tmp_path / 'store'}")


class TestLmdbThatGrows(StoreContract):
    """The same, with a map that is full at once."""

    @pytest.fixture
    def opener(self, tmp_path: Path) -> Callable[[], OnlineStore]:
        return lambda: LmdbStore(tmp_path / "store", size=2**15)


def test_a_map_that_another_process_enlarged_is_read(tmp_path: Path):
    store = LmdbStore(tmp_path, size=2**15)
    store.write([put("s", b"k", b"v")])

    def work() -> None:
        LmdbStore(tmp_path, size=2**15).write([put("s", b"%d" % n, b"x" * 2**16) for n in range(64)])

    assert forked.ended(work, None)["code"] == 0
    assert [len(parts[0].data) for parts in store.read("s", [b"0", b"63"])] == [2**16, 2**16]
    assert store.read_part("s", [b"40"], 0) == [b"x" * 2**16]
    store.write([put("s", b"k", b"w")])
    assert store.read_part("s", [b"k"], 0) == [b"w"]
    store.close()


def test_a_map_grows_while_threads_read(tmp_path: Path):
    store, done, seen = LmdbStore(tmp_path, size=2**15), threading.Event(), []
    store.write([put("s", b"k", b"v")])

    def look() -> None:
        while not done.is_set():
            seen.extend(store.read_part("s", [b"k"], 0))

    threads = [threading.Thread(target=look) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        store.write([put("s", b"%d" % number, b"x" * 2**17)])
    done.set()
    for thread in threads:
        thread.join()
    assert set(seen) == {b"v"}
    assert store.spaces() == {"s": 21}
    store.close()


def test_a_process_forks_while_threads_read(tmp_path: Path):
    store, done, failed = LmdbStore(tmp_path), threading.Event(), []
    store.write([put("s", b"%d" % n, b"v") for n in range(100)])

    def look() -> None:
        try:
            while not done.is_set():
                assert len(store.read("s", [b"%d" % n for n in range(100)])) == 100
        except BaseException as error:  # noqa: BLE001 - the test's own thread raises it
            failed.append(error)

    # Threads that live are why a fork is warned of: what is tested is that it waits for their transactions.
    reader = os.fork()
    if reader == 0:
        code = 1
        try:
            threads = [threading.Thread(target=look, daemon=True) for _ in range(3)]
            for thread in threads:
                thread.start()
            codes = [_forked_read(store) for _ in range(20)]
            done.set()
            code = 0 if codes == [0] * 20 and not failed else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(reader, 0)[1]) == 0
    store.close()


def _forked_read(store: LmdbStore) -> int:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            code = 0 if store.read("s", [b"7"]) == [[Part(0, b"v")]] else 2
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def test_a_folder_is_open_once_whatever_it_is_called(tmp_path: Path):
    (tmp_path / "link").symlink_to(tmp_path / "store")
    one, two = LmdbStore(tmp_path / "store"), LmdbStore(tmp_path / "link")
    one.write([put("s", b"k", b"v")])
    one.close()
    one.close()
    assert two.read_part("s", [b"k"], 0) == [b"v"]
    two.close()
    with pytest.raises(StoreError, match="closed"):
        two.read("s", [b"k"])


def test_a_folder_that_was_removed_is_opened_anew(tmp_path: Path):
    import shutil

    one = LmdbStore(tmp_path / "store")
    one.write([put("s", b"k", b"v")])
    shutil.rmtree(tmp_path / "store")
    two = LmdbStore(tmp_path / "store")
    assert two.read("s", [b"k"]) == [[]]
    one.close()
    two.write([put("s", b"k", b"w")])
    assert two.read_part("s", [b"k"], 0) == [b"w"]
    two.close()


@pytest.mark.parametrize("damage", ["garbage", "cut"])
def test_a_damaged_file_is_said_to_be_one(tmp_path: Path, damage: str):
    store = LmdbStore(tmp_path)
    store.write([put("s", b"%d" % n, b"v" * 1000) for n in range(100)])
    store.close()
    data = (tmp_path / "data.mdb").read_bytes()
    (tmp_path / "data.mdb").write_bytes(Random(5).randbytes(len(data)) if damage == "garbage" else data[: 8 * 4096])
    with pytest.raises(StoreError) as caught:
        LmdbStore(tmp_path)
    assert caught.value.code == "STORE_DAMAGED"


def test_a_full_disk_is_said_to_be_one_and_nothing_is_written(tmp_path: Path):
    def work() -> None:
        store = LmdbStore(tmp_path)
        store.write([put("s", b"k", b"v")])
        size = (tmp_path / "data.mdb").stat().st_size
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))
        with pytest.raises(StoreError) as caught:
            store.write([put("s", b"k", b"w"), put("s", b"l", b"x" * 2**21)])
        assert caught.value.code == "STORE_FULL"
        assert store.read("s", [b"k", b"l"]) == [[Part(0, b"v")], []]

    assert forked.ended(work, None)["code"] == 0
    store = LmdbStore(tmp_path)
    store.write([put("s", b"k", b"w")])
    assert store.read_part("s", [b"k"], 0) == [b"w"]
    store.close()


def test_a_folder_that_may_not_be_written_is_read(tmp_path: Path):
    store = LmdbStore(tmp_path / "store")
    store.write([put("s", b"k", b"v")])
    store.close()
    files = [tmp_path / "store", *(tmp_path / "store").iterdir()]
    for file in files:
        file.chmod(0o555 if file.is_dir() else 0o444)
    for folder in (tmp_path, *tmp_path.parents):
        if folder == Path(gettempdir()) or folder.stat().st_uid != os.getuid():
            break
        folder.chmod(folder.stat().st_mode | 0o055)

    def work() -> None:
        if os.getuid() == 0:
            os.setuid(NOBODY)
        mine = LmdbStore(tmp_path / "store")
        assert mine.read("s", [b"k"]) == [[Part(0, b"v")]]
        for do in (lambda: mine.write([put("s", b"k", b"w")]), lambda: mine.feeding().__enter__()):
            with pytest.raises(StoreError) as caught:
                do()
            assert caught.value.code == "STORE_READ_ONLY"
        mine.close()

    try:
        assert forked.ended(work, None)["code"] == 0
    finally:
        (tmp_path / "store").chmod(0o755)
