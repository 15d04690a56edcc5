from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from penstock.errors import SourceError
from penstock.lake.objects import address, open_store
from penstock.lake.objects.held import Held
from penstock.lake.objects.store import ObjectStore
from penstock.settings import Settings

KEYS = ["a.csv", "a/b.csv", "a/b c/day=1/ü%20+&.csv", "z/é.parquet", "a-b/c", "a b"]


@pytest.fixture
def store(bucket: str) -> ObjectStore:
    return open_store(f"s3://{bucket}/lake")


def file_of(tmp_path: Path, content: bytes, name: str = "local") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def test_what_is_put_is_listed_and_fetched_letter_for_letter(store: ObjectStore, tmp_path: Path):
    for key in KEYS:
        put = store.put(file_of(tmp_path, key.encode()), key)
        assert (put.key, put.size) == (key, len(key.encode()))
        assert put.etag
    assert [one.key for one in store.list()] == sorted(KEYS)
    for one in store.states(KEYS):
        fetched = store.fetch(one.key)
        assert fetched.read_bytes() == one.key.encode()
        assert fetched.name == one.key.rpartition("/")[2]
        assert abs(one.modified - time.time_ns() // 1000) < 600_000_000


def test_a_listing_is_of_whole_names_below_the_prefix(store: ObjectStore, bucket: str, tmp_path: Path):
    for key in KEYS:
        store.put(file_of(tmp_path, b"x"), key)
    open_store(f"s3://{bucket}/lake2").put(file_of(tmp_path, b"x"), "other")
    assert [one.key for one in store.list("a")] == ["a/b c/day=1/ü%20+&.csv", "a/b.csv"]
    assert [one.key for one in store.list("a.csv")] == ["a.csv"]
    assert store.list("nothing") == ()
    assert len(open_store(f"s3://{bucket}").list()) == len(KEYS) + 1


def test_a_large_file_goes_in_parts_and_comes_back_whole(store: ObjectStore, tmp_path: Path):
    content = bytes(range(256)) * (1 << 17)  # 32 MiB
    put = store.put(file_of(tmp_path, content), "large.bin")
    assert put.size == len(content)
    assert put.etag.rpartition("-")[2] not in {"", "1"}, "not stored in parts"
    assert store.fetch("large.bin").read_bytes() == content


def test_an_upload_that_is_killed_leaves_nothing(store: ObjectStore, tmp_path: Path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    script = (
        "import sys; from pathlib import Path; from penstock.lake.objects import open_store\n"
        "open_store(sys.argv[1]).put(Path(sys.argv[2]), 'large.bin')"
    )
    upload = subprocess.Popen([sys.executable, "-c", script, store.url(), str(pipe)])
    with upload, pipe.open("wb") as feed:
        feed.write(b"x" * (32 << 20))
        feed.flush()
        upload.send_signal(signal.SIGKILL)
        assert upload.wait(30) == -signal.SIGKILL
    assert not store.exists("large.bin")
    assert store.list() == ()


def test_a_replaced_object_is_fetched_anew_even_within_the_same_second(store: ObjectStore, tmp_path: Path):
    first = store.put(file_of(tmp_path, b"one"), "k.csv")
    old = store.fetch("k.csv")
    second = store.put(file_of(tmp_path, b"two"), "k.csv")
    assert (first.size, first.etag) != (second.size, second.etag)
    assert store.fetch("k.csv").read_bytes() == b"two"
    assert old.read_bytes() == b"one", "a copy never changes"
    with pytest.raises(SourceError, match=f"SOURCE_CHANGED: {store.url('k.csv')} changed while it was read"):
        fresh(store, tmp_path).fetch_all([first])


def fresh(store: ObjectStore, tmp_path: Path) -> ObjectStore:
    return open_store(store.address, Settings(memory=1, threads=1, cache=tmp_path / "elsewhere"))


def test_a_copy_is_used_again(store: ObjectStore, tmp_path: Path):
    store.put(file_of(tmp_path, b"one"), "k.csv")
    first = store.fetch("k.csv")
    node = first.stat().st_ino
    assert store.fetch("k.csv") == first
    assert first.stat().st_ino == node


def test_nothing_is_kept_where_no_cache_is_wanted(bucket: str, tmp_path: Path):
    store = open_store(f"s3://{bucket}", Settings(memory=1, threads=1, cache=None))
    store.put(file_of(tmp_path, b"one"), "k.csv")
    assert store.fetch("k.csv").read_bytes() == b"one"
    assert not (tmp_path / "penstock-cache").exists()


def test_deleting_takes_away_and_may_be_repeated(store: ObjectStore, tmp_path: Path):
    for key in ("a/1", "a/2", "b"):
        store.put(file_of(tmp_path, b"x"), key)
    assert store.exists("a/1")
    store.delete(["a/1", "b", "never/was"])
    assert not store.exists("a/1")
    assert not store.exists("b")
    assert [one.key for one in store.list()] == ["a/2"]
    assert [one.key for one in store.states(["a/1", "a/2"])] == ["a/2"]


def test_what_is_not_there_is_said(store: ObjectStore, s3: str):
    with pytest.raises(SourceError, match=f"SOURCE_ABSENT: there is no {store.url('gone.csv')}"):
        store.fetch("gone.csv")
    nowhere = open_store("s3://no-such-bucket/lake")
    with pytest.raises(SourceError, match=r"SOURCE_ABSENT: s3://no-such-bucket/lake: there is no such bucket"):
        nowhere.list()


def test_writing_to_no_bucket_is_said(s3: str, tmp_path: Path):
    with pytest.raises(SourceError, match=r"SOURCE_ABSENT: s3://no-such-bucket/x: there is no such bucket"):
        open_store("s3://no-such-bucket").put(file_of(tmp_path, b"x"), "x")


def test_a_server_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch, s3: str):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    with pytest.raises(SourceError) as caught:
        open_store("s3://shop/x").list()
    assert caught.value.code == "SOURCE_UNREACHABLE"
    assert "s3://shop/x cannot be opened: http://127.0.0.1:9 does not answer" in str(caught.value)
    assert "verysecret" not in str(caught.value)


def test_a_server_that_hangs_up_is_given_up(monkeypatch: pytest.MonkeyPatch, s3: str):
    with socket.create_server(("127.0.0.1", 0)) as listening:
        monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{listening.getsockname()[1]}")
        threading.Thread(target=hang_up, args=(listening,), daemon=True).start()
        with pytest.raises(SourceError, match="SOURCE_UNREACHABLE: s3://shop/ cannot be opened"):
            open_store("s3://shop").list()


def hang_up(listening: socket.socket) -> None:
    while True:
        try:
            listening.accept()[0].close()
        except OSError:
            return


@pytest.mark.parametrize("endpoint", ["127.0.0.1:9", "ftp://127.0.0.1", "http://ada:verysecret@127.0.0.1:9", "http://"])
def test_an_endpoint_that_is_no_address_is_refused(monkeypatch: pytest.MonkeyPatch, s3: str, endpoint: str):
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    with pytest.raises(SourceError, match="SOURCE_URL: AWS_ENDPOINT_URL is no address of a server") as caught:
        open_store("s3://shop")
    assert "verysecret" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://ada:verysecret@shop/x", "s3://verysecret@shop"])
def test_credentials_in_a_url_are_refused_and_not_repeated(url: str):
    with pytest.raises(SourceError, match=r"SOURCE_URL: s3://…@shop: credentials do not belong in a URL") as caught:
        address(url)
    assert "verysecret" not in str(caught.value)


@pytest.mark.parametrize("url", ["s3://", "s3:///x", "s3://a b/x", "s3://x", "s3://shop?region=x"])
def test_what_is_no_bucket_is_refused(url: str):
    with pytest.raises(SourceError, match=r"SOURCE_URL: .* is no bucket"):
        address(url)


# ---------------------------------------------------------------- the folder of copies


def entry(held: Held, name: str, size: int, used: float) -> Path:
    def write(folder: Path) -> None:
        (folder / name).write_bytes(b"x" * size)
        os.utime(folder / name, (used, 1))

    return held.keep(held.entry(name), write)


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path):
    held, now = Held(tmp_path / "held", most=100), time.time()
    old, older, young = (entry(held, n, 30, now - ago) for n, ago in (("a", 5000), ("b", 9000), ("c", 10)))
    held.make_room(10)
    assert [path.exists() for path in (old, older, young)] == [True, True, True]
    held.make_room(20)
    assert [path.exists() for path in (old, older, young)] == [True, False, True]
    held.make_room(70)
    assert [path.exists() for path in (old, older, young)] == [False, False, True]
    with pytest.raises(SourceError, match=r"SOURCE_NO_ROOM: no room for 71 bytes: 100 may be used .* 30 are"):
        held.make_room(71)
    assert young.exists()


def test_an_entry_is_whole_or_not_there(tmp_path: Path):
    held = Held(tmp_path / "held")

    def fails(folder: Path) -> None:
        (folder / "half").write_bytes(b"x")
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        held.keep(held.entry("k"), fails)
    assert not held.entry("k").exists()
    assert list((tmp_path / "held").iterdir()) == []


def test_many_that_make_one_entry_at_once_agree(tmp_path: Path):
    held, place = Held(tmp_path / "held"), Held(tmp_path / "held").entry("k")
    barrier = threading.Barrier(8)

    def write(folder: Path) -> None:
        barrier.wait(10)
        (folder / "whole").write_bytes(b"x" * 1000)

    threads = [threading.Thread(target=held.keep, args=(place, write)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (place / "whole").read_bytes() == b"x" * 1000
    assert [path.name for path in (tmp_path / "held").iterdir()] == [place.name]
