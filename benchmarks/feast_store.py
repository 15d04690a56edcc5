"""Run by the Python of a Feast environment: a repository over the benchmark's rows, materialized, ready to be served.

PYTHON benchmarks/feast_store.py FOLDER [REDIS]
"""

from __future__ import annotations

import datetime as dt
import sys
from pathlib import Path

import pyarrow.parquet as pq
from feast import Entity, FeatureStore, FeatureView, Field, FileSource, ValueType
from feast.types import Float64, Int64

SQLITE = "online_store:\n  type: sqlite\n  path: online.db\n"
REDIS = 'online_store:\n  type: redis\n  connection_string: "{place}"\n'
SETTINGS = "project: bench{name}\nregistry: registry.db\nprovider: local\nentity_key_serialization_version: 3\n"


def main() -> None:
    folder, redis = Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else ""
    rows = folder.parent / "rows.parquet"
    store_part = REDIS.format(place=redis) if redis else SQLITE
    folder.mkdir()
    (folder / "feature_store.yaml").write_text(SETTINGS.format(name="redis" if redis else "") + store_part)
    store = FeatureStore(repo_path=str(folder))
    schema = pq.read_schema(rows)
    driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
    fields = [
        Field(name=one.name, dtype=Int64 if str(one.type) == "int64" else Float64)
        for one in schema
        if one.name != "event_timestamp"
    ]
    source = FileSource(name="stats", path=str(rows), timestamp_field="event_timestamp")
    view = FeatureView(name="stats", entities=[driver], ttl=dt.timedelta(0), schema=fields, source=source)
    store.apply([driver, source, view])
    now = dt.datetime.now(dt.UTC)
    store.materialize(now - dt.timedelta(days=3), now)


if __name__ == "__main__":
    main()
