"""The file that a new project begins with says what was found, reads back, and holds no secret."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

import penstock as ps
from penstock.errors import RequestError
from penstock.pipeline.projectfile import read_project
from penstock.pipeline.starter import secret, secret_of, start, without_secret


@pytest.fixture
def graph():
    day = dt.date(2024, 1, 1)
    users = pa.table({"user_id": [1, 2, 3]})
    visits = pa.table({"visit_id": range(6), "user_id": [1, 1, 2, 1, 3, 2],
                       "visited_at": [day + dt.timedelta(days=n) for n in range(6)]})  # fmt: skip
    return ps.connect({"users": users, 'vis"its': visits, "notes": pa.table({"text": ["a", "a"]})}).graph


def test_what_was_found_is_written_down_and_reads_back(tmp_path, graph):
    made = start(tmp_path / "shop", "data/visits.duckdb", graph)
    assert [path.name for path in made] == ["penstock.toml", "tables", "contracts", ".gitignore"]
    project = read_project(tmp_path / "shop")
    assert project.sources["visits"].url.endswith("data/visits.duckdb")
    visits = project.tables['vis"its']
    assert (visits.key, visits.time, visits.links, visits.mode) == (
        ("visit_id",), "visited_at", {"user_id": "users"}, "compare")  # fmt: skip
    assert (project.tables["notes"].key, project.tables["notes"].mode) == ((), "full")
    assert "PREDICT COUNT(" in made[0].read_text()


def test_a_project_is_never_written_over(tmp_path, graph):
    start(tmp_path, "data", graph)
    with pytest.raises(RequestError, match="is there already"):
        start(tmp_path, "data", graph)


def test_a_password_becomes_a_variable(tmp_path, graph):
    url = "postgresql://ada:se%40cret@db.example:5432/shop?sslmode=require"
    start(tmp_path, url, graph)
    assert "cret" not in (tmp_path / "penstock.toml").read_text()
    told = without_secret(url, tmp_path)
    assert told == "postgresql://ada:${SHOP_PASSWORD}@db.example:5432/shop?sslmode=require"
    assert (secret_of(url), secret(url), secret("data/shop")) == ("SHOP_PASSWORD", "se%40cret", None)
    assert told.replace("${SHOP_PASSWORD}", secret(url)) == url


def test_the_example_can_be_asked_whatever_tables_are_called(tmp_path):
    day = dt.date(2024, 1, 1)
    for number, (table, key) in enumerate([("Weird Table", "Id"), ("plain", "plain_id"), ("kept`back", "Id")]):
        rows = pa.table({key: [1, 2, 3]})
        visits = pa.table({"visit id": range(6), "who": [1, 1, 2, 1, 3, 2],
                           "visited at": [day + dt.timedelta(days=n) for n in range(6)]})  # fmt: skip
        db = ps.connect({table: rows, "my visits": visits})
        db = db.set(table, key=key).set("my visits", time="visited at").link("my visits.who", table)
        file, *_ = start(tmp_path / str(number), "data", db.graph)
        (tmp_path / str(number) / "penstock.toml").write_text(file.read_text())
        queries = read_project(tmp_path / str(number)).queries
        assert len(queries) == (0 if "`" in table else 1)
        for query in queries.values():
            assert db.query(query).text == query
