"""Texts by hash: kept once, read again, and never mixed up."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.errors import StoreError
from penstock.online import texts
from penstock.online.store import Change, OnlineStore
from penstock.online.stores import open_store
from penstock.online.texts import Texts, decoded, encoded, hashed

VALUES = st.lists(st.text(max_size=5) | st.lists(st.text(max_size=3) | st.integers(-9, 9), max_size=3), max_size=6)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[OnlineStore]:
    opened = open_store(str(tmp_path / "store"))
    yield opened
    opened.close()


def hashes(values: list[object]) -> dict[int, bytes]:
    return {hashed(encoded(value)): encoded(value) for value in values}


@given(VALUES, VALUES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_kept_is_read_and_not_kept_twice(store: OnlineStore, first: list[object], second: list[object]):
    writing, reading = Texts(store, "t"), Texts(store, "t")
    for values in (first, second, first):
        found = hashes(values)
        store.write(writing.changes(found))
        assert writing.changes(found) == []
        assert reading.get(found) == {one: decoded(data) for one, data in found.items()}
        assert writing.get([*found, *found]) == reading.get(found)


def test_hashes_are_whole_numbers_without_a_sign():
    assert all(0 <= hashed(bytes([number])) < 2**63 for number in range(200))


def test_a_text_is_not_the_list_that_looks_like_it():
    assert len(hashes(["a", ["a"], "['a']", "", [], "1", 1])) == 7


@pytest.mark.parametrize("known", [False, True])
def test_two_texts_of_one_hash_are_refused(store: OnlineStore, known: bool):
    kept = Texts(store, "t")
    store.write(kept.changes({7: encoded("one")}))
    if known:
        assert kept.get([7]) == {7: "one"}
    with pytest.raises(StoreError) as caught:
        kept.changes({7: encoded("two")})
    assert caught.value.code == "TEXT_COLLISION"
    assert kept.changes({7: encoded("one")}) == []


def test_a_write_that_was_not_made_is_not_remembered(store: OnlineStore):
    kept = Texts(store, "t")
    assert len(kept.changes({7: encoded("one")})) == len(kept.changes({7: encoded("one")})) == 1


def test_a_text_that_is_missing_or_damaged_is_an_error(store: OnlineStore):
    store.write([Change("t", (8).to_bytes(8, "big"), 0, b"\xc1")])
    for one, said in ((7, "missing"), (8, "cannot be read")):
        with pytest.raises(StoreError, match=said) as caught:
            Texts(store, "t").get([one])
        assert caught.value.code == "STORE_DAMAGED"


def test_what_is_remembered_is_bounded(store: OnlineStore, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(texts, "MOST", 10_000)
    kept, found = Texts(store, "t"), hashes([str(number) * 100 for number in range(100, 400)])
    store.write(kept.changes(found))
    for one, data in found.items():
        assert kept.get([one]) == {one: decoded(data)}
        assert kept._bytes < 11_000 and len(kept._values) < 40
