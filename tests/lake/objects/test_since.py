from __future__ import annotations

import time
from pathlib import Path

import pytest

from penstock.lake.objects import Marker, ObjectStore, objects_since, open_store
from penstock.lake.objects.since import UPLOAD
from tests.lake.objects.conftest import Put

HOUR = 3_600_000_000


@pytest.fixture
def store(bucket: str) -> ObjectStore:
    return open_store(f"s3://{bucket}/in")


def now() -> int:
    return time.time_ns() // 1000


def keys(store: ObjectStore, marker: Marker, when: int | None = None) -> tuple[list[str], Marker]:
    found, after = objects_since(store, marker, when or now())
    return [one.key for one in found], Marker.from_text(after.to_text())


def test_each_object_is_told_once(store: ObjectStore, put: Put):
    put("in/a.csv", b"1")
    put("in/b.csv", b"2")
    put("elsewhere.csv", b"3")
    found, marker = keys(store, Marker.from_text(""))
    assert sorted(found) == ["a.csv", "b.csv"]
    assert keys(store, marker)[0] == []
    put("in/c.csv", b"3")
    found, marker = keys(store, marker)
    assert found == ["c.csv"]
    assert keys(store, marker)[0] == []


def test_a_replacement_of_the_same_size_within_the_same_second_is_told(store: ObjectStore, put: Put):
    put("in/a.csv", b"1")
    _, marker = keys(store, Marker())
    for content in (b"2", b"3"):
        put("in/a.csv", content)
        found, marker = keys(store, marker)
        assert found == ["a.csv"]
    put("in/a.csv", b"3")
    assert keys(store, marker)[0] == [], "the same content again is nothing new"


def test_an_object_is_no_longer_asked_about_once_it_is_old_enough(store: ObjectStore, put: Put):
    put("in/a.csv", b"1")
    _, young = keys(store, Marker())
    _, old = keys(store, young, now() + HOUR)
    assert [settled for *_, settled in young.later.values()] == [False]
    assert [settled for *_, settled in old.later.values()] == [True]
    assert keys(store, old, now() + HOUR)[0] == []


def test_the_marker_keeps_no_more_than_a_days_objects(store: ObjectStore, put: Put):
    put("in/a.csv", b"1")
    _, marker = keys(store, Marker())
    (modified, etag, settled) = marker.later["a.csv"]
    late = Marker(modified - UPLOAD, {})
    assert keys(store, late)[0] == ["a.csv"], "an upload that began within a day may end after"
    assert keys(store, Marker(modified, {}))[0] == []
    newer = Marker(-1, {"a.csv": (modified, etag, settled), "gone.csv": (modified - 2 * UPLOAD, "e", True)})
    assert list(keys(store, newer)[1].later) == ["a.csv"]


def test_nothing_there_is_nothing_new(store: ObjectStore):
    assert keys(store, Marker()) == ([], Marker(-1, {}))


def test_a_vanished_object_is_forgotten_and_new_when_it_comes_back(store: ObjectStore, put: Put, tmp_path: Path):
    put("in/a.csv", b"1")
    _, marker = keys(store, Marker())
    store.delete(["a.csv"])
    found, marker = keys(store, marker)
    assert (found, marker.later) == ([], {})
    put("in/a.csv", b"1")
    assert keys(store, marker)[0] == ["a.csv"]
