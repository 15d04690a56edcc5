"""Feast repositories as files: what people write, and what they should not."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent

STORE = "project: {name}\nprovider: local\nregistry: data/registry.db\nonline_store:\n    type: sqlite\n"

DRIVERS = """
    # definitions as `feast init` begins them
    from datetime import timedelta

    import pandas as pd
    from feast import Entity, FeatureService, FeatureView, Field, FileSource, Project, PushSource, RequestSource
    from feast.on_demand_feature_view import on_demand_feature_view
    from feast.types import Bool, Float32, Float64, Int64, Map, String

    project = Project(name="rides", description="Drivers and their trips")
    driver = Entity(name="driver", join_keys=["driver_id"], description="Who drives")

    driver_stats = FileSource(
        name="driver_stats",
        path="data/driver_stats.parquet",
        timestamp_field="event_timestamp",
        created_timestamp_column="created",
    )
    hourly = FeatureView(
        name="hourly",
        entities=[driver],
        ttl=timedelta(days=1),
        schema=[
            Field(name="driver_id", dtype=Int64),
            Field(name="conv_rate", dtype=Float32),
            Field(name="trips", dtype=Int64, description="Trips a day"),
            Field(name="extras", dtype=Map),
        ],
        online=True,
        source=driver_stats,
        tags={"team": "rides"},
        owner="ada@example.org",
    )
    request = RequestSource(name="request", schema=[Field(name="bonus", dtype=Int64)])


    @on_demand_feature_view(
        sources=[hourly, request],
        schema=[Field(name="rate_and_bonus", dtype=Float64), Field(name="half", dtype=Float64)],
    )
    def with_bonus(inputs: pd.DataFrame) -> pd.DataFrame:
        df = pd.DataFrame()
        df["rate_and_bonus"] = inputs["conv_rate"] + inputs["bonus"]
        df["half"] = -inputs["conv_rate"] * 2 / 4
        return df


    pushed = PushSource(name="driver_push", batch_source=driver_stats)
    fresh = FeatureView(
        name="fresh", entities=[driver], ttl=timedelta(hours=1, minutes=30), source=pushed,
        schema=[Field(name="trips", dtype=Int64)],
    )
    activity = FeatureService(name="activity", features=[hourly[["conv_rate"]], with_bonus], owner="ada@example.org")
"""

LOCATIONS = {
    "entities.py": """
        import feast

        location = feast.Entity(name="location", join_keys=["location_id"])
        customer = feast.Entity(name="customer")
    """,
    "sources.py": """
        import os
        from pathlib import Path

        from feast import FileSource

        HERE = os.path.dirname(os.path.abspath(__file__))
        DATA = Path(__file__).parent / "data"
        stats = FileSource(
            path=os.path.join(HERE, "data", "locations.parquet"),
            timestamp_field="at",
            field_mapping={"loc": "location_id", "temp": "temperature"},
        )
        orders = FileSource(name="orders", path=str(DATA / "orders.parquet"), timestamp_field="at")
    """,
    "views.py": """
        from datetime import timedelta as length

        from entities import customer, location
        from feast import FeatureService, FeatureView, Field, ValueType
        from feast.types import Float64, Int64
        from sources import *

        DAY = 24
        weather = FeatureView(
            name="weather", entities=[location], ttl=length(hours=3 * DAY), source=stats,
            schema=[Field(name="temperature", dtype=Float64)],
        )
        spent = FeatureView(
            name="spent", entities=[customer, location], ttl=None, source=orders,
            schema=[Field(name="total", dtype=Int64)],
        )
        route = FeatureService(
            name="route",
            features=[
                weather.with_name("origin").with_join_key_map({"location_id": "origin_id"}),
                weather.with_name("destination").with_join_key_map({"location_id": "destination_id"})[["temperature"]],
                spent,
            ],
        )
    """,
}

NASTY = {
    "effects.py": """
        import os
        import sys
        from pathlib import Path

        from feast import Entity, FeatureView, Field, FileSource
        from feast.types import Int64

        Path("RAN").write_text("code was run")
        os.system("touch RAN")
        sys.exit(3)
        raise SystemExit("stop")
    """,
    "broken.py": """
        from feast import Entity
        driver = Entity(name="driver"
    """,
    "worked_out.py": """
        import os
        from datetime import timedelta

        from feast import Entity, FeatureService, FeatureView, Field, FileSource, LabelView, SnowflakeSource
        from feast.data_format import DeltaFormat
        from feast.types import Array, Bytes, Float32, Int64, String

        plain = Entity(name="plain", join_keys=["plain_id"])
        KIND = "x"
        named = Entity(name=f"entity_{KIND}")
        source = FileSource(path="data/rows.parquet", timestamp_field="at")
        elsewhere = SnowflakeSource(name="s", database="DB", schema="PUBLIC", table="ROWS", timestamp_field="at")
        secret = FileSource(path=os.environ["ROWS"], timestamp_field="at")
        fields = [Field(name="v", dtype=Int64), Field(name="tags", dtype=Array(String)),
                  Field(name="vector", dtype=Array(Float32)), Field(name="blobs", dtype=Array(Bytes))]

        for size in (1, 2):
            view = FeatureView(name="in_a_loop", entities=[plain], source=source, schema=fields)

        def make(name):
            return FeatureView(name=name, entities=[plain], source=source, schema=fields)

        made = make("made")
        several = [FeatureView(name="in_a_list", entities=[plain], source=source, schema=fields)]
        comprehended = [FeatureView(name=n, entities=[plain], source=source, schema=fields) for n in ("a", "b")]
        if os.path.exists("production"):
            conditional = FeatureView(name="conditional", entities=[plain], source=source, schema=fields)
        ages = FeatureView(name="ages", entities=[plain], source=source, schema=fields, ttl=timedelta(days=len("ab")))
        lake = FileSource(path="data/delta", timestamp_field="at", file_format=DeltaFormat())
        delta = FeatureView(name="delta", entities=[plain], source=lake, schema=fields)
        snow = FeatureView(name="snow", entities=[plain], source=elsewhere, schema=fields)
        hidden = FeatureView(name="hidden", entities=[plain], source=secret, schema=fields)
        nobody = FeatureView(name="nobody", entities=[], source=source, schema=fields)
        on_unnamed = FeatureView(name="on_unnamed", entities=[named], source=source, schema=fields)
        good = FeatureView(name="good", entities=[plain], source=source, schema=fields)
        bad_service = FeatureService(name="bad_service", features=[good, snow])
        good_service = FeatureService(name="good_service", features=[good[["v"]], "good:tags"])
    """,
    "functions.py": """
        import pandas as pd
        from feast import Field, RequestSource
        from feast.on_demand_feature_view import on_demand_feature_view
        from feast.types import Float64, Int64
        from worked_out import good

        asked = RequestSource(name="asked", schema=[Field(name="n", dtype=Int64)])

        @on_demand_feature_view(sources=[good, asked], schema=[Field(name="ratio", dtype=Float64)])
        def ratio(inputs: pd.DataFrame) -> pd.DataFrame:
            df = pd.DataFrame()
            df["ratio"] = inputs["v"] / inputs["n"]
            return df
    """,
}


def written(folder: Path, files: dict[str, str], name: str = "made_up", store: str = STORE) -> Path:
    """A repository in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path, text in files.items():
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(dedent(text), encoding="utf-8")
    (folder / "feature_store.yaml").write_text(store.format(name=name), encoding="utf-8")
    return folder
