"""URLs of stores: which kinds there are, what is wrong with others, and servers that do not answer."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from penstock.errors import RequestError, StoreError
from penstock.online.stores import open_store
from penstock.online.stores.lmdb import LmdbStore


@pytest.fixture
def closed_port() -> int:
    """A port where nobody listens."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@pytest.mark.parametrize("kind", ["", "lmdb:"])
def test_a_path_is_a_folder(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for path in (tmp_path / "absolute", Path("a b/c"), Path("plain")):
        store = open_store(f"{kind}{path}")
        assert isinstance(store, LmdbStore)
        assert (tmp_path / path / "data.mdb").exists()
        store.close()


@pytest.mark.parametrize(
    "url",
    ["", " ", "mongo://h", "lmdb:", "lmdb://host/x", "redis:", "redis://", "redis://h:port", "redis://h:99999",
     "redis://h?prefix=a b", "redis://h?prefix=", "postgresql://h/d?schema=x;y", "postgresql:///d", "redis://[h"],
)  # fmt: skip
def test_other_urls_are_refused(url: str):
    with pytest.raises(RequestError) as caught:
        open_store(url)
    assert caught.value.code == "STORE_URL"
    assert set(caught.value.candidates) == {"lmdb", "redis", "rediss", "postgresql", "postgres"}


def test_a_kind_that_is_misspelt_is_guessed():
    with pytest.raises(RequestError) as caught:
        open_store("postgress://host/database")
    assert caught.value.suggestion == "postgres"


@pytest.mark.parametrize(
    "option", ["postgresql://u:secret@127.0.0.1:{}/d?no_such=1", "redis://u:secret@127.0.0.1:{}/x"]
)
def test_options_that_a_driver_does_not_know_are_refused_without_the_password(closed_port: int, option: str):
    with pytest.raises((RequestError, StoreError)) as caught:
        open_store(option.format(closed_port))
    assert caught.value.code in ("STORE_URL", "STORE_LOST")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("kind", ["redis", "rediss", "postgresql"])
def test_a_server_that_does_not_answer_is_said_to_be_lost(closed_port: int, kind: str):
    with pytest.raises(StoreError) as caught:
        open_store(f"{kind}://ada:secret@127.0.0.1:{closed_port}/0")
    assert caught.value.code == "STORE_LOST"
    assert f"{kind}://ada@127.0.0.1:{closed_port}/0" in caught.value.message
    assert "secret" not in str(caught.value)


def test_a_server_that_is_silent_is_lost_and_not_asked_again():
    redis = pytest.importorskip("penstock.online.stores.redis")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(0.2)
        with pytest.raises(StoreError, match="STORE_LOST"):
            redis.RedisStore(f"redis://127.0.0.1:{silent.getsockname()[1]}", patience=0.1)
        silent.accept()[0].close()
        with pytest.raises(TimeoutError):
            silent.accept()


def test_a_folder_that_cannot_be_made_is_said_to_be_lost(tmp_path: Path):
    (tmp_path / "file").write_text("text")
    with pytest.raises(StoreError):
        open_store(str(tmp_path / "file" / "store"))
