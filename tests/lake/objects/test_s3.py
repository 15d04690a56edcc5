from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import penstock as ps
from penstock.errors import SourceError
from penstock.lake import open_source
from penstock.lake.s3 import open_s3
from tests.lake.objects.conftest import Put

CUSTOMERS = b"customer_id,joined\n1,2024-01-01\n2,2024-01-05\n"
ORDERS = b"order_id,customer_id,placed_at,amount\n1,1,2024-02-01,5.5\n2,1,2024-02-10,7\n3,2,2024-03-01,1\n"


def parquet(rows: dict[str, list[object]]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table(rows), sink)
    return sink.getvalue()


def a_shop(put: Put) -> None:
    put("shop/customers.csv", CUSTOMERS)
    put("shop/orders.csv", ORDERS)


def test_a_bucket_is_a_database(put: Put, bucket: str, tmp_path: Path):
    a_shop(put)
    db = ps.connect(f"s3://{bucket}/shop/")
    asked = "PREDICT COUNT(orders.*, 0, 30, days) FOR EACH customers.customer_id"
    found = db.labels(asked, at=["2024-01-31", "2024-02-28"])
    (tmp_path / "customers.csv").write_bytes(CUSTOMERS)
    (tmp_path / "orders.csv").write_bytes(ORDERS)
    assert found.to_pylist() == ps.connect(tmp_path).labels(asked, at=["2024-01-31", "2024-02-28"]).to_pylist()
    assert [row["target"] for row in found.to_pylist()] == [2, 1, 0, 1]


def test_every_format_is_read_and_parts_make_one_table(put: Put, bucket: str):
    put("d/events/day=1/a.parquet", parquet({"id": [1, 2]}))
    put("d/events/day=2/b.parquet", parquet({"id": [3]}))
    put("d/people.jsonl", b'{"id": 1, "name": "Ada"}\n')
    put("d/_log/x.csv", b"a\n1\n")
    put("d/readme.txt", b"nothing")
    source = open_source(f"s3://{bucket}/d")
    assert sorted(source.tables()) == ["events", "people"]
    assert source.read("events", ["id"])["id"].to_pylist() == [1, 2, 3]
    assert source.read("people", ["name"]).to_pylist() == [{"name": "Ada"}]
    assert source.name == f"s3://{bucket}/d"
    assert source.notes == ()


def test_one_object_is_one_table(put: Put, bucket: str):
    put("daily/orders.csv", ORDERS)
    put("daily/other.csv", CUSTOMERS)
    assert list(open_source(f"s3://{bucket}/daily/orders.csv").tables()) == ["orders"]


def test_a_source_is_what_was_there_when_it_was_opened(put: Put, bucket: str):
    a_shop(put)
    source = open_source(f"s3://{bucket}/shop")
    before = source.fingerprint()
    put("shop/orders.csv", ORDERS.replace(b"5.5", b"9.9"))
    assert source.read("orders", ["amount"])["amount"].to_pylist() == ["5.5", "7", "1"]
    assert source.fingerprint() == before
    again = open_source(f"s3://{bucket}/shop")
    assert again.fingerprint() != before, "the same size, the same second"
    assert again.read("orders", ["amount"])["amount"].to_pylist() == ["9.9", "7", "1"]


def test_the_fingerprint_is_of_the_content_and_not_of_the_machine(
    put: Put, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    a_shop(put)
    here = open_source(f"s3://{bucket}/shop").fingerprint()
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path / "another"))
    assert open_source(f"s3://{bucket}/shop/").fingerprint() == here


def test_copies_that_were_removed_are_fetched_again(put: Put, bucket: str, tmp_path: Path):
    a_shop(put)
    source = open_source(f"s3://{bucket}/shop")
    copies = tmp_path / "penstock-cache" / "objects"
    for entry in list(copies.iterdir()):
        for file in sorted(entry.rglob("*"), reverse=True):
            file.rmdir() if file.is_dir() else file.unlink()
        entry.rmdir()
    assert source.read("orders", ["order_id"])["order_id"].to_pylist() == ["1", "2", "3"]
    assert source.fingerprint() == open_source(f"s3://{bucket}/shop").fingerprint()


def test_keys_that_are_no_paths_stay_out_and_are_told(put: Put, bucket: str, tmp_path: Path):
    put("a.csv", b"x\n1\n")
    put("a.csv/b.csv", b"x\n2\n")
    put(f"{'n' * 201}.csv", b"x\n3\n")
    put("%2E%2E/%2E%2E/out.csv", b"x\n4\n")
    source = open_source(f"s3://{bucket}")
    assert list(source.tables()) == ["a"]
    assert sorted(source.notes) == sorted(
        [
            f"s3://{bucket}/{'n' * 201}.csv is left out: its key is no path of a file",
            f"s3://{bucket}/a.csv/b.csv is left out: its key is no path of a file",
        ]
    )
    assert not list(tmp_path.rglob("out.csv"))


@pytest.mark.parametrize("prefix", ["", "/nothing", "/notes", "/notes/readme.txt", "/absent.csv"])
def test_a_prefix_without_tables_is_said(put: Put, bucket: str, prefix: str):
    put("notes/readme.txt", b"nothing")
    shown = re.escape(f"s3://{bucket}{prefix or '/'}")
    with pytest.raises(SourceError, match=f"SOURCE_EMPTY: {shown} holds no tables\n  A table is an object \\*.parquet"):
        open_source(f"s3://{bucket}{prefix}")


def test_a_folder_of_two_formats_is_no_table(put: Put, bucket: str, tmp_path: Path):
    put("x/t/a.csv", b"x\n1\n")
    put("x/t/b.jsonl", b'{"x": 1}\n')
    with pytest.raises(SourceError, match=f"SOURCE_EMPTY: s3://{bucket}/x holds no tables") as caught:
        open_source(f"s3://{bucket}/x")
    assert str(tmp_path) not in str(caught.value)


def test_an_absent_bucket_is_said(s3: str):
    with pytest.raises(SourceError, match=r"SOURCE_ABSENT: s3://no-such-bucket/: there is no such bucket"):
        open_source("s3://no-such-bucket")


def test_a_file_that_cannot_be_read_is_named(put: Put, bucket: str, tmp_path: Path):
    put("x/broken.parquet", b"no parquet")
    with pytest.raises(SourceError, match=r"SOURCE_UNREADABLE: broken\.parquet cannot be read as Parquet") as caught:
        open_source(f"s3://{bucket}/x")
    assert str(tmp_path) not in caught.value.message


def test_a_scheme_that_is_not_known_names_this_one():
    with pytest.raises(SourceError, match=r"SOURCE_SCHEME: s4://shop: s4:// is not supported\n  exists: .*, s3"):
        open_source("s4://shop")


# ---------------------------------------------------------------- who may


@pytest.fixture
def guarded(s3: str, put: Put, bucket: str) -> Iterator[str]:
    """The bucket's URL, on a server that from now on lets nobody in."""
    a_shop(put)
    reset(s3, "0")
    yield f"s3://{bucket}/shop"
    reset(s3, "inf")


def reset(server: str, actions: str) -> None:
    import http.client

    connection = http.client.HTTPConnection(server.removeprefix("http://"))
    connection.request("POST", "/moto-api/reset-auth", actions.encode())
    assert connection.getresponse().status == 200
    connection.close()


def test_credentials_that_are_refused_are_said(guarded: str):
    message = f"SOURCE_DENIED: {guarded}: access denied with the credentials in the environment"
    with pytest.raises(SourceError, match=message) as caught:
        open_s3(guarded)
    assert "verysecret" not in str(caught.value)


def test_no_credentials_are_said(put: Put, bucket: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    a_shop(put)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    with pytest.raises(SourceError, match=r"SOURCE_DENIED: .*: access denied, and there are no credentials") as caught:
        open_s3(f"s3://{bucket}/shop")
    assert caught.value.hint is not None
    assert "AWS_ACCESS_KEY_ID" in caught.value.hint
