"""Run by the Python of a Feast environment: a real client, told where a server is, does what clients do.

    python feast_script.py FOLDER URL FLIGHT_HOST FLIGHT_PORT

Prints one JSON object: what each step gave, or the class and the text of the exception that it raised.
"""

from __future__ import annotations

import datetime as dt
import json
import math
import os
import sys
from pathlib import Path
from typing import Any

import pandas as pd
from feast import (
    Entity,
    FeatureService,
    FeatureStore,
    FeatureView,
    Field,
    FileSource,
    PushSource,
    RequestSource,
    ValueType,
)
from feast.infra.offline_stores.file_source import SavedDatasetFileStorage
from feast.on_demand_feature_view import on_demand_feature_view
from feast.types import Bool, Float64, Int64, String, UnixTimestamp

AUTH = "auth:\n  type: oidc\n  token_env_var: SHOP_TOKEN\n" if os.environ.get("SHOP_TOKEN") else ""
SETTINGS = """project: shop
registry: registry.db
provider: local
entity_key_serialization_version: 3
online_store:
  type: remote
  path: {url}
offline_store:
  type: remote
  host: {host}
  port: {port}
{auth}"""


def definitions(folder: Path) -> list[Any]:
    """What a repository of these features declares."""
    driver = Entity(name="driver", join_keys=["driver_id"], value_type=ValueType.INT64)
    shop = Entity(name="store", join_keys=["store_id"], value_type=ValueType.INT64)
    sku = Entity(name="sku", join_keys=["sku"], value_type=ValueType.STRING)
    place = Entity(name="place", join_keys=["location_id"], value_type=ValueType.INT64)
    sources = {
        name: FileSource(name=name, path=str(folder / f"{name}.parquet"), timestamp_field=clock)
        for name, clock in (("driver_stats", "event_timestamp"), ("stock", "at"), ("places", "event_timestamp"))
    }
    stats = FeatureView(
        name="driver_stats", entities=[driver], ttl=dt.timedelta(0),
        schema=[Field(name="driver_id", dtype=Int64), Field(name="conv_rate", dtype=Float64),
                Field(name="trips", dtype=Int64), Field(name="city", dtype=String), Field(name="active", dtype=Bool),
                Field(name="hired", dtype=UnixTimestamp)],
        source=PushSource(name="driver_push", batch_source=sources["driver_stats"]),
    )  # fmt: skip
    stock = FeatureView(
        name="stock_now", entities=[shop, sku], ttl=dt.timedelta(0), source=sources["stock"],
        schema=[Field(name="store_id", dtype=Int64), Field(name="sku", dtype=String), Field(name="level", dtype=Int64)],
    )  # fmt: skip
    places = FeatureView(
        name="place_stats", entities=[place], ttl=dt.timedelta(0),
        source=PushSource(name="place_push", batch_source=sources["places"]),
        schema=[Field(name="location_id", dtype=Int64), Field(name="temperature", dtype=Float64)],
    )  # fmt: skip
    asked = RequestSource(name="asked", schema=[Field(name="km", dtype=Float64)])

    @on_demand_feature_view(sources=[stats, asked], schema=[Field(name="quote", dtype=Float64)])
    def price(inputs: pd.DataFrame) -> pd.DataFrame:
        return pd.DataFrame({"quote": inputs["km"] * inputs["conv_rate"]})

    roles = [places.with_name(name).with_join_key_map({"location_id": f"{name}_id"}) for name in ("origin", "dest")]
    services = [
        FeatureService(name="driver_service", features=[stats[["conv_rate", "trips"]]]),
        FeatureService(name="journey", features=roles),
        FeatureService(name="unserved", features=[stats]),
    ]
    return [driver, shop, sku, place, *sources.values(), stats, stock, places, price, *services]


def plain(value: Any) -> Any:
    """A value as JSON can say it."""
    if isinstance(value, float) and math.isnan(value):
        return None
    if isinstance(value, dict):
        return {name: plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if hasattr(value, "item"):
        return plain(value.item())
    return value if isinstance(value, str | int | float | bool | type(None)) else str(value)


def frame(found: pd.DataFrame) -> Any:
    """A data frame as columns."""
    return {name: plain(found[name].astype(object).where(found[name].notna(), None).tolist()) for name in found.columns}


def weather(place: int, when: str, temperature: float) -> pd.DataFrame:
    """A row of a place."""
    return pd.DataFrame({"location_id": [place], "event_timestamp": [pd.Timestamp(when)], "temperature": [temperature]})


class Client:
    """The steps."""

    def __init__(self, store: FeatureStore) -> None:
        self.store = store

    def online(self, features: Any, rows: Any, **more: Any) -> Any:
        """Features now."""
        return plain(self.store.get_online_features(features=features, entity_rows=rows, **more).to_dict())

    def service(self, name: str, rows: Any, **more: Any) -> Any:
        """A service's features now."""
        return self.online(self.store.get_feature_service(name), rows, **more)

    def pushed(self) -> Any:
        """Rows by the client's push, read again."""
        self.store.push("place_push", weather(1, "2026-01-05T10:00:00Z", 11.5))
        return self.service("journey", [{"origin_id": 1, "dest_id": 2}], full_feature_names=True)

    def written(self) -> Any:
        """Rows written to the online store, read again; an older one changes nothing."""
        self.store.write_to_online_store("place_stats", weather(2, "2026-01-06T10:00:00Z", -3.25))
        self.store.write_to_online_store("place_stats", weather(2, "2026-01-03T10:00:00Z", 99.0))
        return self.online(["place_stats:temperature"], [{"location_id": 2}])

    def stamped(self) -> Any:
        """A row with an instant among its values, written and read again."""
        row = {
            "driver_id": [1001],
            "event_timestamp": [pd.Timestamp("2026-01-06T10:00:00Z")],
            "conv_rate": [0.875],
            "trips": [78],
            "city": [None],
            "active": [False],
            "hired": [pd.Timestamp("2020-01-01T00:00:00Z")],
        }
        self.store.write_to_online_store("driver_stats", pd.DataFrame(row))
        return self.online(["driver_stats:trips", "driver_stats:hired", "driver_stats:city"], [{"driver_id": 1001}])

    def materialized(self) -> Any:
        """The store told to follow."""
        start, end = dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
        return self.store.materialize(start, end, feature_views=["place_stats"])

    def historical(self, features: Any, spine: dict[str, Any], **more: Any) -> Any:
        """The past."""
        rows = pd.DataFrame(spine | {"event_timestamp": pd.to_datetime(spine["event_timestamp"], utc=True)})
        chosen = self.store.get_feature_service(features) if isinstance(features, str) else features
        return frame(self.store.get_historical_features(entity_df=rows, features=chosen, **more).to_df())

    def pulled(self) -> Any:
        """The newest rows of a window, as materialisation reads them."""
        view = self.store.get_feature_view("driver_stats")
        provider = self.store._get_provider()
        job = provider.offline_store.pull_latest_from_table_or_query(
            self.store.config, view.batch_source, ["driver_id"], ["trips"], "event_timestamp", None,
            dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(2026, 1, 1, 12, tzinfo=dt.UTC),
        )  # fmt: skip
        return frame(job.to_df().sort_values("driver_id"))

    def kept(self, spine: dict[str, Any]) -> Any:
        """What was asked of the past, kept by the server and read again."""
        rows = pd.DataFrame(spine | {"event_timestamp": pd.to_datetime(spine["event_timestamp"], utc=True)})
        job = self.store.get_historical_features(entity_df=rows, features=["driver_stats:trips"])
        storage = SavedDatasetFileStorage(path="kept/trips.parquet")
        return frame(self.store.create_saved_dataset(from_=job, name="trips", storage=storage).to_df())

    def by_sql(self) -> Any:
        """Entities that SQL would find."""
        sql = "SELECT driver_id, event_timestamp FROM drivers"
        return frame(self.store.get_historical_features(entity_df=sql, features=["driver_stats:trips"]).to_df())

    def appended(self) -> Any:
        """Rows written to the offline store, and the past after them."""
        row = {
            "driver_id": [1003],
            "event_timestamp": [pd.Timestamp("2026-01-07T10:00:00Z")],
            "conv_rate": [0.125],
            "trips": [79],
            "city": ["Thun"],
            "active": [True],
            "hired": [pd.Timestamp("2020-01-01T00:00:00Z")],
        }
        self.store.write_to_offline_store("driver_stats", pd.DataFrame(row))
        spine = {"driver_id": [1003], "event_timestamp": ["2026-01-08"]}
        return self.historical(["driver_stats:trips", "driver_stats:city"], spine)


def steps(client: Client) -> dict[str, Any]:
    """Every step, by name."""
    stats = ["driver_stats:conv_rate", "driver_stats:trips", "driver_stats:city", "driver_stats:active"]
    spine = {"driver_id": [1001, 1001, 9999], "event_timestamp": ["2026-01-01T11:30:00", *["2026-01-02T00:00:00"] * 2]}
    ways = {"origin_id": [1, 2], "dest_id": [2, 9], "event_timestamp": ["2026-01-02"] * 2}
    return {
        "one": lambda: client.online(stats, [{"driver_id": 1001}]),
        "many": lambda: client.online(stats, [{"driver_id": one} for one in (1001, 1002, 9999)]),
        "instants": lambda: client.online(["driver_stats:hired"], [{"driver_id": one} for one in (1003, 1002)]),
        "full names": lambda: client.online(stats[:1], [{"driver_id": 1001}], full_feature_names=True),
        "composite": lambda: client.online(
            ["stock_now:level"], [{"store_id": 1, "sku": "a|b"}, {"store_id": 1, "sku": "a"}]
        ),
        "service": lambda: client.service("driver_service", [{"driver_id": 1001}]),
        "roles": lambda: client.service(
            "journey", [{"origin_id": 1, "dest_id": 2}, {"origin_id": 2, "dest_id": 9}], full_feature_names=True
        ),
        "on demand": lambda: client.online(["price:quote"], [{"driver_id": 1001, "km": 3.0}]),
        "unknown view": lambda: client.online(["nothing:n"], [{"driver_id": 1001}]),
        "unknown service": lambda: client.service("unserved", [{"driver_id": 1001}]),
        "historical": lambda: client.historical(stats[:2], spine),
        "historical roles": lambda: client.historical("journey", ways, full_feature_names=True),
        "historical on demand": lambda: client.historical(["price:quote"], spine | {"km": [2.0, 3.0, 4.0]}),
        "historical unknown": lambda: client.historical(["driver_stats:gone"], spine),
        "pulled": client.pulled,
        "pushed": client.pushed,
        "written": client.written,
        "stamped": client.stamped,
        "materialized": client.materialized,
        "appended": client.appended,
        "kept": lambda: client.kept(spine),
        "by sql": client.by_sql,
    }


def main() -> None:
    folder, url, host, port = Path(sys.argv[1]), *sys.argv[2:5]
    (folder / "feature_store.yaml").write_text(SETTINGS.format(url=url, host=host, port=port, auth=AUTH))
    store = FeatureStore(repo_path=str(folder))
    store.apply(definitions(folder))
    found: dict[str, Any] = {}
    for name, step in steps(Client(store)).items():
        try:
            found[name] = step()
        except Exception as error:  # noqa: BLE001  # whatever it is, it is told
            found[name] = {"raised": type(error).__name__, "said": str(error)}
    sys.stdout.write("\n" + json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
