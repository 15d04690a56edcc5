"""Tables in a bucket are ingested as those in a folder are, and a lake may be in a bucket too."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.lake.ingest import Intake, ingest
from penstock.lake.versioned import open_lake
from tests.lake.ingest.history import current, log, taken
from tests.lake.objects.conftest import Put, bucket, put, s3, s3_server

__all__ = ["bucket", "put", "s3", "s3_server"]


def test_objects_are_ingested(bucket: str, put: Put, tmp_path: Path):
    put("shop/orders.csv", b"id,v\n1,a\n2,\n")
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"id": [1, 2]}), sink)
    put("shop/users.parquet", sink.getvalue().to_pybytes())
    lake, quarantine = open_lake(tmp_path / "lake"), tmp_path / "quarantine"
    orders = Intake("orders", f"s3://{bucket}/shop", "orders", mode="compare", key=("id",))
    assert ingest(orders, lake, quarantine=quarantine).added == 2
    assert ingest(Intake("users", f"s3://{bucket}/shop"), lake, quarantine=quarantine).added == 2
    put("shop/orders.csv", b"id,v\n1,b\n3,c\n")
    done = ingest(orders, lake, quarantine=quarantine)
    assert (done.added, done.changed, done.deleted) == (1, 1, 1)
    assert sorted(row["id"] for row in current(lake, "orders")) == [1, 3]


def test_the_state_outlives_compaction_and_expiry(tmp_path: Path):
    lake, how = open_lake(tmp_path / "lake"), {"mode": "incremental", "key": ("id",), "watermark": "at", "overlap": 1}
    for top in (10, 20, 30):
        taken(lake, [(n, n, "v") for n in range(top)], 1_000 + top, tmp_path / "quarantine", **how)
    lake.table("t").compact()
    lake.expire(1, grace=timedelta(0))
    done = taken(lake, [(n, n, "v") for n in range(31)], 2_000, tmp_path / "quarantine", **how)
    assert (done.read, done.added) == (3, 1)
    assert len(log(lake)) == 31
