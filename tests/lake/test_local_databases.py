"""A law on each test: SQLite and DuckDB files as sources."""

from __future__ import annotations

import datetime as dt
import sqlite3
from contextlib import closing

import duckdb
import pytest

from penstock.errors import SourceError
from penstock.inference import infer
from penstock.lake import SourceRows, describe, open_source


def opened(path):
    source = open_source(path)
    facts = describe(source)
    graph = infer(facts)
    return graph, SourceRows(source, graph, facts)


@pytest.fixture
def sqlite(tmp_path):
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("""
            CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE, active BOOLEAN, joined DATETIME,
                seen TIMESTAMP, score NUMERIC, mixed, photo BLOB, empty REAL, zip TEXT);
            CREATE TABLE "or""ders" (a INT, b INT, "user" INT REFERENCES users, PRIMARY KEY (a, b));
            CREATE TABLE lines (id INTEGER PRIMARY KEY, a INT, b INT, FOREIGN KEY (b, a) REFERENCES "or""ders" (b, a));
            INSERT INTO users VALUES (1, 'a', 1, '2024-01-01 10:00:00', 1704103200, 1, 1, x'00', NULL, '007');
            INSERT INTO "or""ders" VALUES (1, 1, 1);
        """)
        connection.executemany(
            "INSERT INTO users VALUES (?, ?, 0, NULL, NULL, 1.5, 'x', NULL, NULL, '8')",
            [(n, f"u{n}") for n in range(2, 3000)],
        )
        connection.commit()
    return path


def test_sqlite_declares_keys_and_links(sqlite):
    graph, _ = opened(sqlite)
    assert {t.name: t.key for t in graph} == {"users": "id", 'or"ders': ("a", "b"), "lines": "id"}
    assert {(k.table, k.columns, k.to) for k in graph.links} == {
        ('or"ders', ("user",), "users"),
        ("lines", ("a", "b"), 'or"ders'),
    }


def test_sqlite_values_have_the_types_of_all_rows(sqlite):
    graph, rows = opened(sqlite)
    assert {c.name: str(c.dtype) for c in graph.table("users").columns} == {
        "id": "int", "email": "string", "active": "bool", "joined": "timestamp", "seen": "timestamp", "score": "float",
        "mixed": "string", "photo": "other", "empty": "float", "zip": "string",
    }  # fmt: skip
    found = rows.read("users", ["joined", "seen", "mixed", "zip"]).slice(0, 2).to_pydict()
    assert found["joined"] == found["seen"] == [dt.datetime.fromisoformat("2024-01-01 10:00"), None]
    assert (found["mixed"], found["zip"]) == (["1", "x"], ["007", "8"])


def test_a_sqlite_file_is_known_by_its_bytes(sqlite):
    other = sqlite.rename(sqlite.with_name("shop.db"))
    assert "users" in open_source(other).tables()


def test_a_sqlite_file_that_changed_is_said(sqlite):
    source = open_source(sqlite)
    source.read("users", ["id"])
    with closing(sqlite3.connect(sqlite)) as connection:
        connection.execute("DELETE FROM users WHERE id > 10")
        connection.commit()
    with pytest.raises(SourceError, match="changed while it was being read"):
        source.read("users", ["id"])
    assert open_source(sqlite).fingerprint() != source.fingerprint()


@pytest.mark.parametrize("name", ["shop.sqlite", "shop.duckdb"])
def test_an_empty_database_is_said(tmp_path, name):
    path = tmp_path / name
    (sqlite3 if name.endswith("sqlite") else duckdb).connect(path).close()
    path.touch()
    with pytest.raises(SourceError, match="holds no tables"):
        open_source(path).tables()


@pytest.mark.parametrize("name", ["shop.sqlite", "shop.duckdb"])
def test_a_file_that_is_no_database_is_said(tmp_path, name):
    (tmp_path / name).write_text("this is no database, whatever its name says" * 100)
    with pytest.raises(SourceError, match="cannot be read"):
        open_source(tmp_path / name).tables()


@pytest.fixture
def duck(tmp_path):
    path = tmp_path / "shop.duckdb"
    with duckdb.connect(path) as connection:
        connection.execute("CREATE SCHEMA extra")
        connection.execute("CREATE TYPE mood AS ENUM ('fine', 'bad')")
        connection.execute("""
            CREATE TABLE users (id INT PRIMARY KEY, token UUID UNIQUE, mood mood, tags VARCHAR[], open INTERVAL,
                joined TIMESTAMPTZ, fine TIMESTAMP_NS, big HUGEINT, money DECIMAL(10, 2), at_noon TIME,
                pair STRUCT(a INT))
        """)
        connection.execute("""
            INSERT INTO users VALUES (1, '123e4567-e89b-12d3-a456-426614174000', 'fine', ['a'], INTERVAL 1 DAY,
                '2024-01-01 12:00:00+02', '2024-01-01 00:00:00.000001234', 7, 1.25, '12:00', {'a': 1})
        """)
        connection.execute('CREATE TABLE "or""ders" (id INT PRIMARY KEY, user_id INT REFERENCES users (id))')
        connection.execute("CREATE TABLE extra.notes (id INT)")
        connection.execute("CREATE VIEW seen AS SELECT * FROM users")
    return path


def test_duckdb_declares_keys_and_links(duck):
    graph, rows = opened(duck)
    assert {t.name: t.key for t in graph} == {"users": "id", 'or"ders': "id", "extra.notes": "id"}
    assert [(str(k), k.to, k.why) for k in graph.links] == [('or"ders.user_id', "users", "declared")]
    assert rows.read("extra.notes", ["id"]).num_rows == 0


def test_duckdb_types_become_the_six_dtypes(duck):
    graph, rows = opened(duck)
    names = [c.name for c in graph.table("users").columns if str(c.dtype) != "other"]
    assert rows.read("users", names).to_pylist()[0] == {
        "id": 1, "token": "123e4567-e89b-12d3-a456-426614174000", "mood": "fine", "tags": ["a"], "open": 86400.0,
        "joined": dt.datetime.fromisoformat("2024-01-01 10:00"),
        "fine": dt.datetime.fromisoformat("2024-01-01 00:00:00.000001"), "big": 7, "money": 1.25, "at_noon": 43200.0,
    }  # fmt: skip
    assert set(names) == {c.name for c in graph.table("users").columns} - {"pair"}


def test_a_table_that_is_not_there_is_said(duck, sqlite):
    for path in (duck, sqlite):
        with pytest.raises(SourceError, match="has no table 'user'") as raised:
            open_source(path).read("user", ["id"])
        assert raised.value.suggestion == "users"
