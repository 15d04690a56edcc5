"""A lake in a bucket, with its catalogue in PostgreSQL."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from pyarrow.fs import S3FileSystem

from penstock.errors import RequestError, SourceError
from penstock.lake.objects.service import service
from penstock.lake.versioned import Lake, VersionedTable, open_lake
from tests.lake.versioned.model import KEYED, SCHEMA, Model, batches, read_both, rows_of

NAMES = Model().names


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    moto = pytest.importorskip("moto.server")
    running = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    running.start()
    host, port = running.get_host_and_port()
    yield f"http://{host}:{port}"
    running.stop()


@pytest.fixture
def place(server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in {
        "AWS_ENDPOINT_URL": server, "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "testing", "AWS_SECRET_ACCESS_KEY": "testing",
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    bucket = f"lake-{uuid4().hex[:12]}"
    host = server.removeprefix("http://")
    S3FileSystem(endpoint_override=host, scheme="http", allow_bucket_creation=True).create_dir(bucket)
    return f"s3://{bucket}/team/lake"


@pytest.fixture
def lake(place: str, postgres_url: str) -> Lake:
    return open_lake(place, catalogue=postgres_url)


@pytest.fixture
def table(lake: Lake) -> VersionedTable:
    table = lake.create(f"t{uuid4().hex[:8]}", SCHEMA, KEYED)
    for at in range(3):
        write(table, f"b{at}", at)
    return table


def write(table: VersionedTable, batch: str, number: int) -> int:
    staged = table.stage(batches(table, rows_of((number, number)), NAMES))
    return table.commit(staged, batch=batch, facts={"at": str(number)}).number


def other(lake: Lake, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Lake:
    """The lake as another machine sees it, one without copies."""
    monkeypatch.setenv("PENSTOCK_CACHE", str(folder))
    return open_lake(lake.place, catalogue=lake.catalogue_url)


def key(location: str) -> str:
    return location.removeprefix("s3://")


def shown(table: VersionedTable, version: int | None = None) -> Counter[tuple[object, ...]]:
    return read_both(table.scan(version), NAMES)["current"]


def test_another_machine_sees_what_was_committed(lake: Lake, table: VersionedTable, tmp_path: Path, monkeypatch):
    there = other(lake, tmp_path / "other", monkeypatch).table(table.name)
    assert shown(there) == Counter([(0, 0), (1, 1), (2, 2)])
    assert write(there, "b2", 9) == 3
    assert write(there, "b3", 3) == 4
    assert shown(table.refresh(), 2) == Counter([(0, 0), (1, 1)])
    assert shown(table) == Counter((at, at) for at in range(4))
    assert there.facts() == {"at": "3"}


def test_a_spoilt_copy_is_fetched_again(table: VersionedTable):
    path = table.scan().files[0]
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert shown(table) == Counter([(0, 0), (1, 1), (2, 2)])


def test_a_damaged_object_is_named(lake: Lake, table: VersionedTable, tmp_path: Path, monkeypatch):
    name = table.scan().files[0].name
    location = f"{key(lake.place)}/main/{table.name}/data/{name}"
    content = bytearray(service().open_input_file(location).read())
    content[20] ^= 1
    with service().open_output_stream(location) as stream:
        stream.write(bytes(content))
    assert [damage.file for damage in lake.verify() if damage.table == table.name] == [f"s3://{location}"]
    there = other(lake, tmp_path / "other", monkeypatch)
    with pytest.raises(SourceError, match=rf"LAKE_DAMAGED: {table.name}: .*{name}: its content is not what was"):
        shown(there.table(table.name))
    assert [damage.file for damage in there.verify() if damage.table == table.name] == [f"s3://{location}"]
    service().delete_file(location)
    third = other(lake, tmp_path / "third", monkeypatch)
    with pytest.raises(SourceError, match=rf"LAKE_DAMAGED: {table.name}: .*{name}: it is missing"):
        third.table(table.name).scan()


def test_objects_that_no_version_needs_are_deleted(lake: Lake, table: VersionedTable):
    table.compact()
    ahead = open_lake(lake.place, lake.catalogue_url, now=lambda: time.time_ns() // 1000 + 86_400_000_000)
    staged = table.stage(batches(table, rows_of((7, 7)), NAMES))
    ahead.expire(1, grace=timedelta(days=2))
    kept = {stored.location.rpartition("/")[2] for stored in lake.storage.listed(f"{lake.place}/main/{table.name}")}
    files = {file.name for file in (*table.refresh().scan().files, *staged.files)}
    assert {name for name in kept if name.endswith(".parquet")} == files
    assert len(files) == 2
    table.commit(staged, batch="late")
    assert shown(table) == Counter([(0, 0), (1, 1), (2, 2), (7, 7)])


def test_a_bucket_needs_a_catalogue(place: str):
    with pytest.raises(RequestError, match="LAKE_NEEDS_CATALOGUE: a lake at s3://lake-"):
        open_lake(place)


def test_a_catalogue_that_does_not_answer_is_named_without_its_password(place: str):
    lake = open_lake(place, catalogue="postgresql://ada:secret@127.0.0.1:1/none")
    with pytest.raises(SourceError, match=r"LAKE_CATALOGUE: the lake's catalogue postgresql://ada@127") as caught:
        lake.names()
    assert "secret" not in str(caught.value)
    assert "secret" not in repr(lake)


def test_two_lakes_in_one_catalogue_are_two(lake: Lake, table: VersionedTable, tmp_path: Path):
    beside = open_lake(tmp_path / "beside", catalogue=lake.catalogue_url)
    assert table.name not in beside
    assert beside.create(table.name, SCHEMA, KEYED).newest() is None
    beside.drop(table.name)
    assert shown(lake.table(table.name)) == Counter([(0, 0), (1, 1), (2, 2)])
