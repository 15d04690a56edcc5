"""After a run nothing has changed, whatever the types: what a source lists is what the lake then keeps."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.lake.ingest.feeds.listing import listing
from penstock.lake.versioned import OWN_COLUMNS
from penstock.project import Project
from tests.lake.ingest.test_sources import MYSQL, POSTGRES
from tests.pipeline.servers import (
    failures,
    must_rest,
    mysql_server,
    postgres_server,
    project,
)
from tests.pipeline.shop import states, write

MORE_POSTGRES = [
    "smallserial", "bigserial", "numeric(38,0)", "numeric(40,2)", "numeric(5,-2)", "numeric(3,5)", "varchar(9)",
    "varchar", '"char"', "name", "json", "xml", "time(0)", "timetz", "timestamp(0)", "timestamptz(3)",
    "interval year to month", "bigint[]", "smallint[]", "varchar(3)[]", "real[]", "numeric[]", "numeric(9,2)[]",
    "boolean[]", "date[]", "timestamptz[]", "uuid[]", "jsonb[]", "money[]", "interval[]", "bytea[]", "line", "lseg",
    "box", "path", "polygon", "circle", "cidr", "macaddr", "macaddr8", "bit", "bit(3)", "varbit", "tsvector",
    "tsquery", "tstzrange", "int4multirange", "oid", "regclass", "pg_lsn", "xid", "mood[]", "positive[]", "label",
    "short_num", "pair", "pair[]", "dated", "oidvector", "int2vector", "nested", '"Odd Type"', "varchar[]",
]  # fmt: skip
MORE_MYSQL = [
    "tinyint", "tinyint(1) unsigned", "tinyint(3) zerofill", "smallint", "smallint unsigned", "mediumint",
    "mediumint unsigned", "int(11)", "int unsigned zerofill", "bigint zerofill", "decimal", "decimal(38,10)",
    "decimal(65,0)", "decimal(40,2)", "decimal(9,2) unsigned", "float unsigned", "float(7,3)", "double unsigned",
    "bit", "bit(1)", "bit(9)", "bit(64)", "char(3)", "tinytext", "text", "mediumtext", "longtext",
    "char(9) character set latin1", "varchar(9) collate utf8mb4_bin", "binary(4)", "varbinary(9)", "tinyblob",
    "blob", "longblob", "enum('1','0')", "time(6)", "datetime", "timestamp null", "timestamp(3) null", "point",
    "int as (id * 2) virtual", "int as (id * 2) stored",
]  # fmt: skip


def test_every_type_of_postgres_is_listed_as_it_is_kept(postgres_url: str, tmp_path: Path):
    server = postgres_server(postgres_url)
    columns = [f"{name} {told[0]}" for name, told in POSTGRES.items()]
    columns += [f"more{at} {kind}" for at, kind in enumerate(MORE_POSTGRES)]
    filled = ", ".join(f"'{told[1]}'" for told in POSTGRES.values())
    server.tables(
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
        "CREATE DOMAIN nested AS positive",
        "CREATE DOMAIN label AS varchar(20)",
        "CREATE DOMAIN short_num AS numeric(6,2)",
        "CREATE DOMAIN dated AS timestamptz",
        "CREATE TYPE pair AS (a int, b text)",
        "CREATE TYPE \"Odd Type\" AS ENUM ('x')",
        f"CREATE TABLE every (id int PRIMARY KEY, {', '.join(columns)})",
        f"INSERT INTO every (id, {', '.join(POSTGRES)}) VALUES (1, {filled})",
        "CREATE TABLE keyed (a numeric, b char(3), c date, d timestamptz, e uuid, PRIMARY KEY (a, b, c, d, e))",
        "INSERT INTO keyed VALUES (1.50, 'x', '2024-01-01', now(), gen_random_uuid())",
    )
    must_list_what_it_keeps(project(tmp_path, postgres_url), postgres_url, 2)


def test_every_type_of_mariadb_is_listed_as_it_is_kept(mysql_url: str, tmp_path: Path):
    server = mysql_server(mysql_url)
    columns = [f"{name} {told[0]}" for name, told in MYSQL.items()]
    columns += [f"more{at} {kind}" for at, kind in enumerate(MORE_MYSQL)]
    filled = ", ".join(f"'{told[1]}'" for told in MYSQL.values())
    server.tables(
        f"CREATE TABLE every (id int PRIMARY KEY, {', '.join(columns)})",
        f"INSERT INTO every (id, {', '.join(MYSQL)}) VALUES (1, {filled})",
        "CREATE TABLE truths (id int PRIMARY KEY, yes tinyint(1), no bit(1), many tinyint(1))",
        "INSERT INTO truths VALUES (1, 1, b'0', 7), (2, NULL, NULL, NULL)",
        "CREATE TABLE keyed (a decimal(9,2), b char(3), c date, d datetime(6), e bigint unsigned, "
        "PRIMARY KEY (a, b, c, d, e))",
        "INSERT INTO keyed VALUES (1.5, 'x', '2024-01-01', '2024-01-01', 18446744073709551615)",
    )
    must_list_what_it_keeps(project(tmp_path, mysql_url), mysql_url, 3)


def must_list_what_it_keeps(one: Project, source: object, tables: int) -> None:
    """After a run each listed type is that of the lake (or only values tell it), and nothing has changed."""
    assert list(states(one).values()) == ["done"] * tables, failures(one)
    own = {column.name for column in OWN_COLUMNS}
    for name, told in listing(source).items():
        kept = {column.name: column.type for column in one.site.lake.table(name).schema if column.name not in own}
        assert list(told.columns) == list(kept)
        assert {column: kind or kept[column] for column, kind in told.columns.items()} == kept
    must_rest(one)


SQLITE = [
    "", "INT", "BIGINT", "UNSIGNED BIG INT", "REAL", "DOUBLE", "FLOAT", "NUMERIC", "DECIMAL(10,5)", "BOOLEAN", "DATE",
    "DATETIME", "TIMESTAMP", "TIME", "TEXT", "CHARACTER(20)", "CLOB", "BLOB", "JSON", "UUID", "POINT", "ANY", "STRING",
]  # fmt: skip
DUCKDB = [
    "BOOLEAN", "TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT",
    "UHUGEINT", "FLOAT", "DOUBLE", "DECIMAL(9,2)", "DECIMAL(38,0)", "VARCHAR", "BLOB", "DATE", "TIME", "TIMETZ",
    "TIMESTAMP", "TIMESTAMPTZ", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "INTERVAL", "UUID", "BIT", "JSON",
    "INTEGER[]", "VARCHAR[]", "INTEGER[3]", "HUGEINT[]", "UBIGINT[]", "DECIMAL(9,2)[]", "TIMESTAMPTZ[]", "UUID[]",
    "STRUCT(a INTEGER, b VARCHAR)", "MAP(VARCHAR, INTEGER)", "UNION(a INTEGER, b VARCHAR)", "ENUM('a','b')", "DATE[]",
    "BLOB[]", "BOOLEAN[]",
]  # fmt: skip
ARROW = [
    pa.null(), pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.int64(), pa.uint8(), pa.uint16(), pa.uint32(),
    pa.uint64(), pa.float16(), pa.float32(), pa.float64(), pa.string(), pa.large_string(), pa.binary(),
    pa.large_binary(), pa.binary(4), pa.date32(), pa.date64(), pa.time32("s"), pa.time32("ms"), pa.time64("us"),
    pa.time64("ns"), pa.timestamp("s"), pa.timestamp("ms"), pa.timestamp("us"), pa.timestamp("ns"),
    pa.timestamp("us", "Europe/Paris"), pa.duration("s"), pa.decimal128(9, 2), pa.decimal128(38, 0),
    pa.decimal256(50, 2), pa.list_(pa.int64()), pa.large_list(pa.string()), pa.list_(pa.float32(), 3),
    pa.list_(pa.timestamp("ns")), pa.list_(pa.uint64()), pa.struct([("a", pa.int64())]),
    pa.dictionary(pa.int32(), pa.string()), pa.dictionary(pa.int8(), pa.int64()),
]  # fmt: skip
TEXTS = {
    "whole": ["1", "2"], "fraction": ["1.5", "2"], "truth": ["true", "false"], "yes": ["yes", "no"],
    "day": ["2024-01-01", "2024-02-03"], "moment": ["2024-01-01 10:00:00", "2024-02-03T11:12:13Z"],
    "word": ["a", "b"], "empty": ["", ""], "big": ["123456789012345678901234567890", "1"], "zero": ["007", "010"],
    "comma": ["1.234,5", "2,5"], "mixed": ["1", "x"], "list": ["[1,2]", "[3]"],
    "american": ["01/02/2024", "12/31/2024"],
    "absent": ["NA", "3"], "percent": ["5%", "7%"], "power": ["1e5", "2e-3"],
}  # fmt: skip
OBJECTS: dict[str, list[Any]] = {
    "whole": [1, 2], "fraction": [1.5, 2], "truth": [True, False], "word": ["a", "b"], "nothing": [None, None],
    "day": ["2024-01-01", "2024-02-01"], "moment": ["2024-01-01T10:00:00Z", "2024-02-01T10:00:00Z"],
    "list": [[1], [2, 3]], "object": [{"a": 1}, {"b": "x"}], "mixed": [1, "x"], "big": [2**63, 1], "some": [None, 3],
    "objects": [[{"a": 1}], []],
}  # fmt: skip


def sqlite_of_all(folder: Path) -> Path:
    path = folder / "s.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        listed = ", ".join(f"c{at} {kind}" for at, kind in enumerate(SQLITE))
        connection.execute(f"CREATE TABLE every (id INTEGER PRIMARY KEY, {listed})")
        connection.execute("INSERT INTO every (id, c0, c4) VALUES (1, 'x', 2), (2, 3, 2.5)")
        connection.execute("CREATE TABLE made (a TEXT PRIMARY KEY, b INT, c INT AS (b * 2)) WITHOUT ROWID")
    return path


def duckdb_of_all(folder: Path) -> Path:
    with duckdb.connect(str(folder / "d.duckdb")) as connection:
        listed = ", ".join(f"c{at} {kind}" for at, kind in enumerate(DUCKDB))
        connection.execute(f"CREATE TABLE every (id INTEGER PRIMARY KEY, {listed})")
        connection.execute("INSERT INTO every (id) VALUES (1)")
        connection.execute("CREATE SCHEMA aside; CREATE TABLE aside.t (a INTEGER)")
    return folder / "d.duckdb"


def parquet_of_all(folder: Path) -> Path:
    columns = {f"c{at}": pa.nulls(1, kind) for at, kind in enumerate(ARROW)}
    parts = folder / "files" / "parts"
    parts.mkdir(parents=True)
    pq.write_table(pa.table({"id": [1], **columns}), folder / "files" / "every.parquet")
    pq.write_table(pa.table({"id": pa.array([1], pa.int32()), "v": pa.nulls(1)}), parts / "1.parquet")
    pq.write_table(pa.table({"id": [2], "v": [3], " w ": ["x"]}), parts / "2.parquet")
    return folder / "files"


def csv_of_all(folder: Path) -> Path:
    parts = folder / "files" / "parts"
    parts.mkdir(parents=True)
    lines = zip(*([json.dumps(value) for value in told] for told in TEXTS.values()), strict=True)
    (folder / "files" / "every.csv").write_text("\n".join([",".join(TEXTS), *map(",".join, lines)]) + "\n")
    (parts / "1.csv").write_text("id,v\n1,2\n")
    (parts / "2.csv").write_text("id,v,w\n2,2,3\n")
    return folder / "files"


def json_of_all(folder: Path) -> Path:
    (folder / "files" / "parts").mkdir(parents=True)
    rows = [dict(zip(OBJECTS, told, strict=True)) for told in zip(*OBJECTS.values(), strict=True)]
    (folder / "files" / "every.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (folder / "files" / "parts" / "1.jsonl").write_text('{"id": 1, "v": 2}\n')
    (folder / "files" / "parts" / "2.jsonl").write_text('{"id": 2, "w": 2}\n')
    return folder / "files"


@pytest.mark.parametrize("made", [sqlite_of_all, duckdb_of_all, parquet_of_all, csv_of_all, json_of_all])
def test_every_type_of_a_file_is_listed_as_it_is_kept(tmp_path: Path, made: Callable[[Path], Path]):
    source = made(tmp_path)
    must_list_what_it_keeps(project(tmp_path, str(source)), source, len(listing(source)))


@pytest.mark.parametrize(("first", "then"), [
    ([1.5, 2.5], [1, 2]), ([1, 2], [None, None]), (["2024-01-01T10:00:00Z"], ["2024-01-02"]), ([None], [1]),
    (["a"], [7]),
])  # fmt: skip
def test_types_that_only_values_tell_are_no_change(tmp_path: Path, first: list[object], then: list[object]):
    for rows in (first, then):
        text = "".join(json.dumps({"id": at, "v": value}) + "\n" for at, value in enumerate(rows))
        write(tmp_path, "in/t.jsonl", text)
        write(tmp_path, "in/u.csv", "id,v\n" + "".join(f"{at},{value or ''}\n" for at, value in enumerate(rows)))
        one = project(tmp_path, str(tmp_path / "in"), '[tables.t]\nkey = "id"\n[tables.u]\nkey = "id"\n')
        assert (one.plan().refused, one.plan().verdicts) == ((), ())
        assert "failed" not in states(one).values()
        must_rest(one)


def test_one_file_that_cannot_be_read_stops_its_own_table_alone(tmp_path: Path):
    write(tmp_path, "in/good.csv", "id,v\n1,2\n")
    write(tmp_path, "in/twice.csv", "id,v,v\n1,2,3\n")
    write(tmp_path, "in/torn.parquet", "PAR1 torn")
    one = project(tmp_path, str(tmp_path / "in"))
    assert {step.stage.name for step in one.plan().refused} == {"twice", "torn"}
    assert states(one) == {"good": "done", "twice": "failed", "torn": "failed"}
