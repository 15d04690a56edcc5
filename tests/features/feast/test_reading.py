"""A Feast repository is read, never run; what it defines comes out as a project's file, and the rest by name."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import RequestError
from penstock.features.feast import Imported, read_repository, write_project
from tests.features.feast.repos import DRIVERS, LOCATIONS, NASTY, STORE, written


def read(tmp_path: Path, files: dict[str, str], **how: str) -> tuple[dict, Imported]:
    found = read_repository(written(tmp_path / "repo", files, **how), tmp_path / "project")
    return tomllib.loads(found.text), found


def reasons(found: Imported) -> dict[str, str]:
    return {one.name: one.reason for one in found.left_out}


SETTLED = """
import os
from datetime import timedelta
from feast import Entity, FeatureService, FeatureView, Field, FileSource
from feast.types import Int64
plain = Entity(name="plain")
V = Field(name="v", dtype=Int64)
rows = FileSource(name="rows", path="data/rows.parquet", timestamp_field="ts")
good = FeatureView(name="good", entities=[plain], schema=[V], source=rows)
"""


def test_a_repository_as_it_is_begun(tmp_path):
    told, found = read(tmp_path, {"definitions.py": DRIVERS})
    assert told["name"] == "rides"
    assert told["sources"] == {"driver_stats": {"url": "../repo/data/driver_stats.parquet", "tables": ["driver_stats"]}}
    assert told["tables"]["driver_stats"] == {
        "source": "driver_stats",
        "mode": "incremental",
        "watermark": "created",
        "key": ["driver_id", "event_timestamp", "created"],
        "time": "event_timestamp",
    }
    assert told["entities"] == {"driver": {"key": ["driver_id"], "description": "Who drives"}}
    assert told["features"]["hourly"] == {
        "entity": "driver",
        "table": "driver_stats",
        "columns": ["conv_rate", "trips"],
        "ttl": "86400 seconds",
        "owner": "ada@example.org",
        "tags": {"team": "rides"},
    }
    assert told["features"]["fresh"]["ttl"] == "5400 seconds"
    assert told["features"]["fresh"]["tags"] == {"push_source": "driver_push"}
    assert [str(one) for one in found.left_out] == [
        "definitions.py:19: hourly: what its fields say of themselves: only views have descriptions and tags",
        "definitions.py:19: hourly:extras: Map is no kind of value here",
    ]


def test_arithmetic_on_demand_is_pql(tmp_path):
    told, _ = read(tmp_path, {"definitions.py": DRIVERS})
    assert told["features"]["with_bonus"] == {
        "inputs": {"conv_rate": "hourly:conv_rate"},
        "requested": {"bonus": "int"},
        "expressions": {"rate_and_bonus": "(conv_rate + bonus)", "half": "(((0 - conv_rate) * 2) / 4)"},
    }
    assert told["services"]["activity"] == {
        "features": ["hourly:conv_rate", "with_bonus:rate_and_bonus", "with_bonus:half"],
        "owner": "ada@example.org",
    }


def test_what_is_calculated_is_a_float_and_is_said_to_be(tmp_path):
    whole = DRIVERS.replace('Field(name="half", dtype=Float64)', 'Field(name="half", dtype=Int64)')
    assert whole != DRIVERS
    _, found = read(tmp_path, {"definitions.py": whole})
    assert "that half is Int64: what is calculated is a float" in {one.reason for one in found.left_out}


def test_modules_paths_mappings_and_roles(tmp_path):
    told, found = read(tmp_path, LOCATIONS)
    assert not found.left_out
    assert told["tables"]["locations"]["renames"] == {"location_id": "loc", "temperature": "temp"}
    assert told["tables"]["locations"]["key"] == ["location_id", "at"]
    assert told["sources"]["orders"]["url"] == "../repo/data/orders.parquet"
    assert told["entities"]["customer_location"] == {"key": ["customer", "location_id"]}
    assert told["features"]["weather"]["ttl"] == "259200 seconds"
    assert "ttl" not in told["features"]["spent"]
    assert told["features"]["origin"] == {"view": "weather", "keys": {"location_id": "origin_id"}}
    assert told["services"]["route"]["features"] == ["origin:temperature", "destination:temperature", "spent:total"]


def test_no_code_is_run_and_what_it_would_make_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    told, found = read(tmp_path, NASTY)
    assert not list(tmp_path.rglob("RAN"))
    why = reasons(found)
    assert why["all of it"].startswith("this is no Python")
    assert why["in_a_loop"] == "it is made in a loop"
    assert why["FeatureView"] in ("it is made in make, when that is run", "it is worked out in a loop")
    assert why["in_a_list"] == "no name of a module holds it: Feast does not see it either"
    assert why["conditional"] == "it is made under a condition"
    assert why["ages"].startswith("its ttl: ")
    assert why["snow"] == "its rows are in Snowflake (DB.PUBLIC.ROWS), which is no source here: bring them as Parquet"
    assert why["hidden"] == "its path: it is read from the environment"
    assert why["delta"] == "its files are no plain Parquet"
    assert why["nobody"].startswith("it is about no entity")
    assert "name" in why["Entity"]
    assert "on_unnamed" in why
    assert why["ratio"] == "its function is more than arithmetic of columns"
    assert why["bad_service"] == "snow was not carried over"
    assert why["good:blobs"] == "Array(Bytes) is no kind of value here"
    assert told["features"]["good"]["columns"] == ["v", "tags", "vector"]
    assert told["services"] == {"good_service": {"features": ["good:v", "good:tags"]}}
    assert set(told["entities"]) == {"plain"}
    assert set(told["features"]) == {"good"}


CHANGES = {
    "in a condition": ("AGE = timedelta(days=2)", "if os.environ.get('PROD'):\n    AGE = timedelta(days=9)", "ages"),
    "in a loop": ("AGE = timedelta(days=2)", "for AGE in AGES:\n    pass", "ages"),
    "in place": ("AGES = {'day': timedelta(days=2)}\nOTHER = AGES", "OTHER['day'] = timedelta(days=9)", "ages"),
    "by a method": ("AGES = {'day': timedelta(days=2)}", "AGES.update(day=timedelta(days=9))", "ages"),
    "taken away": ("AGES = {'day': timedelta(days=2)}", "while AGES:\n    AGES.clear()", "ages"),
    "of the view": ("AGE = timedelta(days=2)", "", "ages"),
}
"""What is said of an age, and what changes it before a view (or the view itself) is made of it."""


@pytest.mark.parametrize("how", CHANGES)
def test_what_code_changes_as_it_runs_is_never_taken_as_it_was(tmp_path, how):
    """Neither a maximum age, nor the views of a service; what it had been is not what Feast sees."""
    begun, change, name = CHANGES[how]
    age = "AGES['day']" if begun.startswith("AGES") else "AGE"
    made = f'{name} = FeatureView(name="{name}", entities=[plain], ttl={age}, schema=[V], source=rows)'
    after = f"{name}.ttl = timedelta(days=9)" if how == "of the view" else "pass"
    told, found = read(tmp_path, {"defs.py": f"{SETTLED}\n{begun}\n{change}\n{made}\n{after}"})
    assert name in reasons(found)
    assert set(told["features"]) == {"good"}


def test_a_list_of_views_that_grows_is_no_service(tmp_path):
    grown = (
        "views = [good]\nfor n in (7, 30):\n    views.append(good)\nall = FeatureService(name='all', features=views)"
    )
    told, found = read(tmp_path, {"defs.py": f"{SETTLED}\n{grown}"})
    assert "services" not in told
    assert "changed as the code runs" in reasons(found)["all"]


@pytest.mark.parametrize("asked", ["__name__ == '__main__'", "TYPE_CHECKING", "typing.TYPE_CHECKING"])
def test_what_is_not_run_on_import_changes_nothing(tmp_path, asked):
    aside = (
        f"if {asked}:\n    good = FeatureView(name='other')\n    plain.tags['a'] = 'b'\n    from feast import Entity"
    )
    told, _ = read(tmp_path, {"defs.py": f"{SETTLED}\ndef of(plain):\n    plain.tags = 3\n{aside}"})
    assert set(told["features"]) == {"good"}
    assert set(told["entities"]) == {"plain"}


def test_every_definition_is_carried_over_or_named(tmp_path):
    told, found = read(tmp_path, NASTY)
    text = "".join(NASTY.values())
    for name in ("in_a_loop", "in_a_list", "conditional", "ages", "snow", "hidden", "nobody", "on_unnamed", "good"):
        assert f'name="{name}"' in text
        assert (name in told["features"]) != (name in reasons(found))


def test_a_schema_that_is_not_written_is_that_of_the_file(tmp_path):
    repo = tmp_path / "repo" / "data"
    repo.mkdir(parents=True)
    rows = pa.table({"k": [1], "at": pa.array([0], pa.timestamp("us")), "v": [1.5], "b": [b"x"]})
    pq.write_table(rows, repo / "rows.parquet")
    text = """
        from feast import Entity, FeatureView, FileSource
        k = Entity(name="k")
        view = FeatureView(name="view", entities=[k],
                           source=FileSource(path="data/rows.parquet", event_timestamp_column="at"))
    """
    told, found = read(tmp_path, {"views.py": text})
    assert told["features"]["view"]["columns"] == ["v"]
    assert told["features"]["view"]["tags"] == {"data_source": "data/rows.parquet"}
    assert told["tables"]["rows"]["mode"] == "compare"
    assert reasons(found) == {"view:b": "binary is no kind of value here"}


def test_streams_and_postgres_without_its_password(tmp_path):
    store = STORE + (
        "offline_store:\n    type: postgres\n    host: db.example\n    port: 5433\n    database: shop\n"
        "    db_schema: sales\n    user: ada\n    password: s3cret\n    sslmode: require\n"
    )
    text = """
        from feast import Entity, FeatureView, Field, KafkaSource
        from feast.data_format import JsonFormat
        from feast.infra.offline_stores.contrib.postgres_offline_store.postgres_source import PostgreSQLSource
        from feast.types import Int64

        user = Entity(name="user", join_keys=["user_id"])
        rows = PostgreSQLSource(name="rows", query="SELECT * FROM user_rows", timestamp_field="at")
        hard = PostgreSQLSource(name="hard", query="SELECT a + b FROM user_rows", timestamp_field="at")
        clicks = KafkaSource(name="clicks", kafka_bootstrap_servers="broker:9092", topic="clicks",
                             timestamp_field="at", message_format=JsonFormat(schema_json="x int"))
        both = KafkaSource(name="both", kafka_bootstrap_servers="broker:9092", topic="rows",
                           timestamp_field="at", message_format=JsonFormat(schema_json="x int"), batch_source=rows)
        one = FeatureView(name="one", entities=[user], source=both, schema=[Field(name="x", dtype=Int64)])
        two = FeatureView(name="two", entities=[user], source=clicks, schema=[Field(name="x", dtype=Int64)])
        three = FeatureView(name="three", entities=[user], source=hard, schema=[Field(name="x", dtype=Int64)])
    """
    told, found = read(tmp_path, {"views.py": text}, store=store)
    assert "s3cret" not in found.text
    url = "postgresql://ada:${FEAST_PASSWORD}@db.example:5433/shop?schema=sales&sslmode=require"
    assert told["sources"] == {"rows": {"url": url, "tables": ["user_rows"]}}
    assert told["streams"]["clicks"] == {
        "url": "kafka://broker:9092/clicks", "table": "clicks", "key": ["user_id", "at"], "time": "at",
    }  # fmt: skip
    assert told["streams"]["both"]["table"] == "rows"
    assert told["tables"]["rows"]["mode"] == "incremental"
    assert reasons(found) == {"three": "its source is a query: write it as a derived table"}


@pytest.mark.parametrize("text", ["", "- 1", "{", "project: [", "a: &a [*a]\nb: !!python/object/apply:os.system ['x']"])
def test_a_configuration_that_is_none(tmp_path, text):
    (tmp_path / "feature_store.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(RequestError, match="IMPORT_UNREADABLE"):
        read_repository(tmp_path, tmp_path / "out")


def test_nothing_is_overwritten_and_absence_is_said(tmp_path):
    repo = written(tmp_path / "repo", {"definitions.py": DRIVERS})
    made = write_project(repo, tmp_path / "out").made
    assert [path.name for path in made] == ["penstock.toml", ".gitignore"]
    with pytest.raises(RequestError, match="PROJECT_EXISTS"):
        write_project(repo, tmp_path / "out")
    with pytest.raises(RequestError, match=r"there is no feature_store\.yaml"):
        write_project(tmp_path, tmp_path / "other")


def test_hostile_text_does_not_stop_it(tmp_path):
    files = {
        "deep.py": "x = " + "(" * 5000 + "1" + ")" * 5000,
        "long.py": "x = " + "-" * 3000 + "1",
        "null.py": "x = 1\x00",
        "circle_a.py": "from circle_b import b\nfrom feast import Entity\na = Entity(name='a')\n",
        "circle_b.py": "from circle_a import a\nb = a\n",
        "huge.py": "from datetime import timedelta\nt = timedelta(days=10**9 * 10**9)\nn = 'x' * 10**12\n",
    }
    told, _ = read(tmp_path, files)
    assert told["entities"] == {"a": {"key": ["a"]}}


STARS = """
    from feast import *
    from feast.types import *
    k = Entity(name="k")
    fields = [Field(name="v", dtype=Int64), Field(name="l", dtype=Array(Bool))]
    rows = FeatureView(name="rows", entities=[k], schema=fields,
                       source=FileSource(path="data/rows", timestamp_field="at"))
    more = FeatureView(name="more", entities=[k], source=FileSource(path="data/rows", timestamp_field="at"))
    gone = FeatureView(name="gone", entities=[k], schema=[Field(name="v", dtype=Map)],
                       source=FileSource(path="data/gone.parquet", timestamp_field="at"))
"""


def test_stars_folders_and_sources_said_twice(tmp_path):
    folder = tmp_path / "repo" / "data" / "rows"
    folder.mkdir(parents=True)
    pq.write_table(pa.table({"k": [1], "at": pa.array([0], pa.timestamp("us")), "v": [1]}), folder / "1.parquet")
    told, found = read(tmp_path, {"views.py": STARS})
    assert {name: view["columns"] for name, view in told["features"].items()} == {"rows": ["v", "l"], "more": ["v"]}
    assert set(told["tables"]) == set(told["sources"]) == {"rows"}
    assert told["features"]["more"]["table"] == "rows"
    assert reasons(found)["gone"] == "none of its features has a kind that there is here"
