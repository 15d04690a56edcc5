"""A law on each test: PostgreSQL and MySQL as sources, against real servers."""

from __future__ import annotations

import datetime as dt
from urllib.parse import unquote, urlsplit

import pytest

from penstock.errors import SourceError
from penstock.inference import infer
from penstock.lake import SourceRows, describe, open_source

POSTGRES = """
    DROP SCHEMA IF EXISTS trial CASCADE; CREATE SCHEMA trial; SET search_path TO trial;
    CREATE TYPE mood AS ENUM ('fine', 'bad');
    CREATE DOMAIN email AS text;
    CREATE TABLE "Us""ers" (
        id bigserial PRIMARY KEY, email email UNIQUE NOT NULL, token uuid, mood mood, tags text[], codes int[],
        profile jsonb, photo bytea, height numeric, money numeric(10, 2), big numeric(30, 0), whole numeric(8, 0),
        open interval, at_noon time, seen timestamp, joined timestamptz, born date, active boolean, vector float8[]);
    INSERT INTO "Us""ers" VALUES
        (1, 'ada@x.org', '123e4567-e89b-12d3-a456-426614174000', 'fine', '{a,b}', '{1,2}', '{"k": 1}', 'x', 1.75, 1.25,
         123456789012345678901234567890, 7, '1 day', '12:00', 'infinity', '2024-01-01 12:00+02', '1980-02-03', true,
         '{0.5}'),
        (2, 'bob@x.org', NULL, NULL, NULL, NULL, NULL, NULL, 'NaN', NULL, NULL, NULL, NULL, NULL, '2024-01-05 10:00',
         '2024-01-02 00:00Z', '-infinity', NULL, NULL);
    CREATE TABLE orders (
        a int, b int, user_id bigint REFERENCES "Us""ers", placed_at timestamptz, PRIMARY KEY (a, b));
    INSERT INTO orders VALUES (1, 1, 1, '2024-02-01'), (1, 2, NULL, '2024-02-02');
    CREATE TABLE lines (id int PRIMARY KEY, b int, a int, FOREIGN KEY (a, b) REFERENCES orders (a, b));
    CREATE TABLE parts (id int, day date) PARTITION BY RANGE (day);
    CREATE TABLE parts_2024 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
    INSERT INTO parts VALUES (1, '2024-03-01');
"""
MYSQL = """
    DROP TABLE IF EXISTS parcels; DROP TABLE IF EXISTS orders; DROP TABLE IF EXISTS `us``ers`;
    CREATE TABLE `us``ers` (
        id bigint unsigned PRIMARY KEY, email varchar(50) NOT NULL UNIQUE, mood enum('fine', 'bad'), tags set('a', 'b'),
        profile json, photo blob, money decimal(10, 2), big decimal(30, 0), whole decimal(8, 0), at_noon time,
        seen datetime(6), joined timestamp(6) NULL, born date, active tinyint(1), level tinyint, y year, bits bit(3));
    INSERT INTO `us``ers` VALUES
        (1, 'ada@x.org', 'fine', 'a,b', '{"k": 1}', 'x', 1.25, 123456789012345678901234567890, 7, '12:00:00',
         '2024-01-05 10:00:00.000001', '2024-01-01 10:00:00', '1980-02-03', 1, -3, 2024, b'101'),
        (18446744073709551615, 'bob@x.org', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, '0000-00-00 00:00:00', NULL,
         NULL, NULL, NULL, NULL, NULL);
    CREATE TABLE orders (a int, b int, user_id bigint unsigned, placed_at datetime, PRIMARY KEY (a, b),
        FOREIGN KEY (user_id) REFERENCES `us``ers` (id));
    INSERT INTO orders VALUES (1, 1, 1, '2024-02-01'), (1, 2, NULL, '2024-02-02');
    CREATE TABLE parcels (id int PRIMARY KEY, b int, a int, FOREIGN KEY (a, b) REFERENCES orders (a, b));
"""


def moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


@pytest.fixture(scope="module")
def postgres(postgres_url):
    from adbc_driver_postgresql import dbapi

    with dbapi.connect(postgres_url, autocommit=True) as connection, connection.cursor() as cursor:
        for statement in POSTGRES.split(";\n"):
            cursor.executescript(statement) if statement.strip() else None
    return f"{postgres_url}?schema=trial"


@pytest.fixture(scope="module")
def mysql(mysql_url):
    import pymysql

    parts = urlsplit(mysql_url)
    with pymysql.connect(
        host=parts.hostname, port=parts.port or 3306, user=parts.username, password=unquote(parts.password or ""),
        database=parts.path[1:], autocommit=True,
    ) as connection, connection.cursor() as cursor:  # fmt: skip
        cursor.execute("SET sql_mode = '', time_zone = '+00:00'")
        for statement in MYSQL.split(";\n"):
            if statement.strip():
                for part in statement.split("; ") if "DROP" in statement else [statement]:
                    cursor.execute(part)
    return mysql_url


def opened(url):
    source = open_source(url)
    facts = describe(source)
    graph = infer(facts)
    return graph, SourceRows(source, graph, facts)


def shown(rows, table):
    columns = [c.name for c in rows.graph.table(table).columns if str(c.dtype) != "other"]
    return rows.read(table, columns).to_pydict()


def test_postgres_declares_keys_and_links(postgres):
    graph, _ = opened(postgres)
    assert {t.name: t.key for t in graph} == {'Us"ers': "id", "lines": "id", "orders": ("a", "b"), "parts": "id"}
    assert {(str(k), k.to, k.columns) for k in graph.links} == {
        ("orders.user_id", 'Us"ers', ("user_id",)),
        ("lines.a+b", "orders", ("a", "b")),
    }
    assert graph.table("orders").happened == "placed_at"


def test_postgres_types_become_the_six_dtypes(postgres):
    graph, rows = opened(postgres)
    found = shown(rows, 'Us"ers')
    assert {name: values[0] for name, values in found.items()} == {
        "id": 1, "email": "ada@x.org", "token": "123e4567-e89b-12d3-a456-426614174000", "mood": "fine",
        "tags": ["a", "b"], "codes": ["1", "2"], "profile": '{"k": 1}', "height": 1.75, "money": 1.25,
        "big": "123456789012345678901234567890", "whole": 7, "open": 86400.0, "at_noon": 43200.0, "seen": None,
        "joined": moment("2024-01-01 10:00"), "born": moment("1980-02-03"), "active": True,
    }  # fmt: skip
    assert {name: values[1] for name, values in found.items() if values[1] is not None} == {
        "id": 2, "email": "bob@x.org", "seen": moment("2024-01-05 10:00"), "joined": moment("2024-01-02"),
    }  # fmt: skip
    assert {c.name for c in graph.table('Us"ers').columns if str(c.kind) == "ignored"} == {"photo", "vector"}
    assert 'Us"ers.photo: values of type bytea are not used' in graph.notes


def test_postgres_partitions_are_one_table(postgres):
    _, rows = opened(postgres)
    assert shown(rows, "parts") == {"id": [1], "day": [moment("2024-03-01")]}


def test_postgres_is_read_in_one_snapshot(postgres):
    from adbc_driver_postgresql import dbapi

    source = open_source(postgres)
    before = source.read("orders", ["a"]).num_rows
    first = source.fingerprint()
    with dbapi.connect(postgres.partition("?")[0], autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO trial.orders VALUES (9, 9, NULL, NULL)")
        try:
            assert source.read("orders", ["b"]).num_rows == before
            assert open_source(postgres).fingerprint() != first
        finally:
            cursor.execute("DELETE FROM trial.orders WHERE a = 9")


def test_postgres_names_its_schemas_when_the_current_one_is_empty(postgres):
    from adbc_driver_postgresql import dbapi

    url = postgres.partition("?")[0]
    with dbapi.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE SCHEMA IF NOT EXISTS other")
        cursor.execute("CREATE TABLE IF NOT EXISTS other.t (id int)")
        try:
            with pytest.raises(SourceError, match="the current schema is empty") as raised:
                open_source(url).tables()
            assert {"other", "trial"} <= set(raised.value.candidates)
        finally:
            cursor.execute("DROP SCHEMA other CASCADE")


def test_mysql_declares_keys_and_links(mysql):
    graph, _ = opened(mysql)
    assert {t.name: t.key for t in graph} == {"us`ers": "id", "parcels": "id", "orders": ("a", "b")}
    assert {(str(k), k.to, k.columns) for k in graph.links} == {
        ("orders.user_id", "us`ers", ("user_id",)),
        ("parcels.a+b", "orders", ("a", "b")),
    }


def test_mysql_types_become_the_six_dtypes(mysql):
    graph, rows = opened(mysql)
    found = shown(rows, "us`ers")
    assert {name: values[0] for name, values in found.items()} == {
        "id": "1", "email": "ada@x.org", "mood": "fine", "tags": ["a", "b"], "profile": '{"k": 1}', "money": 1.25,
        "big": "123456789012345678901234567890", "whole": 7, "at_noon": 43200.0,
        "seen": moment("2024-01-05 10:00:00.000001"), "joined": moment("2024-01-01 10:00"),
        "born": moment("1980-02-03"), "active": True, "level": -3, "y": 2024, "bits": 5,
    }  # fmt: skip
    assert found["id"][1] == "18446744073709551615"
    assert found["seen"][1] is None
    assert any("do not fit 64 bits: kept as text" in note for note in graph.notes)


def test_a_mysql_database_that_is_not_there_names_those_that_are(mysql):
    parts = urlsplit(mysql)
    with pytest.raises(SourceError, match="cannot be opened") as raised:
        open_source(parts._replace(path=parts.path + "_nowhere").geturl()).tables()
    assert parts.path[1:] in raised.value.candidates


@pytest.mark.parametrize("kind", ["postgres", "mysql"])
def test_a_wrong_password_is_said_without_it(kind, request):
    parts = urlsplit(request.getfixturevalue(f"{kind}_url"))
    url = parts._replace(netloc=f"nobody_here:hushhush@{parts.hostname}:{parts.port or ''}".rstrip(":")).geturl()
    with pytest.raises(SourceError, match="cannot be opened") as raised:
        open_source(url).tables()
    assert "hushhush" not in str(raised.value)
