"""Every kind of source, every type it has, and names that are hard to write."""

# ruff: noqa: DTZ001 - the instants of a lake are UTC and carry no zone

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from penstock.errors import SourceError
from penstock.lake.ingest import Ingested, Intake, ingest
from penstock.lake.tables import write_duckdb
from penstock.lake.versioned import Lake, open_lake
from tests.lake.ingest.history import current, log

HARD = 'select "weird" `tab\'le`'


@pytest.fixture
def lake(tmp_path: Path) -> Lake:
    return open_lake(tmp_path / "lake")


def take(lake: Lake, source: object, table: str, now: int = 5_000, **how: object) -> Ingested:
    place = Path(lake.place).parent / "quarantine"
    return ingest(Intake("t", source, table, **how), lake, quarantine=place, now=lambda: now)  # type: ignore[arg-type]


def kinds(lake: Lake) -> dict[str, str]:
    return {f.name: str(f.type) for f in lake.table("t").schema if not f.name.startswith("_")}


# ---------------------------------------------------------------- PostgreSQL

POSTGRES = {
    "a_bool": ("boolean", "true", True, "bool"),
    "a_small": ("smallint", "-3", -3, "int32"),
    "an_int": ("integer", "7", 7, "int32"),
    "a_big": ("bigint", "9007199254740993", 9007199254740993, "int64"),
    "a_real": ("real", "1.5", 1.5, "float"),
    "a_double": ("double precision", "0.1", 0.1, "double"),
    "a_decimal": ("numeric(12,3)", "123456789.125", Decimal("123456789.125"), "decimal128(12, 3)"),
    "whole": ("numeric(30,0)", "123456789012345678901234567890", Decimal("123456789012345678901234567890"),
              "decimal128(30, 0)"),
    "any_size": ("numeric", "2.5", 2.5, "double"),
    "price": ("money", "12.34", Decimal("12.34"), "decimal128(19, 2)"),
    "a_text": ("text", "naïve ''quoted''", "naïve 'quoted'", "string"),
    "a_char": ("char(3)", "x", "x", "string"),
    "a_uuid": ("uuid", "00000000-0000-0000-0000-00000000002a", "00000000-0000-0000-0000-00000000002a", "string"),
    "a_json": ("jsonb", '{"k": [1]}', '{"k": [1]}', "string"),
    "bytes": ("bytea", "\\x00ff", b"\x00\xff", "binary"),
    "a_date": ("date", "2024-02-29", date(2024, 2, 29), "date32[day]"),
    "a_time": ("time", "12:30:00.5", time(12, 30, 0, 500_000), "time64[us]"),
    "naive": ("timestamp", "2024-02-29 01:02:03.000004", datetime(2024, 2, 29, 1, 2, 3, 4), "timestamp[us]"),
    "zoned": ("timestamptz", "2024-02-29 01:02:03+02", datetime(2024, 2, 28, 23, 2, 3), "timestamp[us]"),
    "span": ("interval", "1 hour 1.5 seconds", 3601.5, "double"),
    "ints": ("integer[]", "{1,NULL,3}", [1, None, 3], "list<item: int32>"),
    "texts": ("text[]", '{"a","b c"}', ["a", "b c"], "list<item: string>"),
    "floats": ("float8[]", "{0.5}", [0.5], "list<item: double>"),
    "a_point": ("point", "(1,2)", "(1,2)", "string"),
    "a_range": ("int4range", "[1,5)", "[1,5)", "string"),
    "an_address": ("inet", "10.0.0.1/8", "10.0.0.1/8", "string"),
    "mood": ("mood", "glad", "glad", "string"),
    "small_domain": ("positive", "4", 4, "int32"),
}  # fmt: skip


def on_postgres(url: str, *statements: str) -> None:
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)


def test_postgres_keeps_every_type(lake: Lake, postgres_url: str):
    columns = ", ".join(f"{name} {told[0]}" for name, told in POSTGRES.items())
    values = ", ".join(f"'{told[1]}'" for told in POSTGRES.values())
    on_postgres(
        postgres_url,
        "DROP TABLE IF EXISTS every",
        "DROP TYPE IF EXISTS mood",
        "DROP DOMAIN IF EXISTS positive",
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "CREATE DOMAIN positive AS integer CHECK (VALUE > 0)",
        f"CREATE TABLE every (id int PRIMARY KEY, {columns})",
        f"INSERT INTO every VALUES (1, {values})",
        "INSERT INTO every (id) VALUES (2)",
    )
    done = take(lake, postgres_url, "every")
    assert kinds(lake) == {"id": "int32", **{name: told[3] for name, told in POSTGRES.items()}}
    filled, empty = sorted(current(lake), key=lambda row: row["id"])
    assert {name: filled[name] for name in POSTGRES} == {name: told[2] for name, told in POSTGRES.items()}
    assert {empty[name] for name in POSTGRES} == {None}
    assert (done.read, done.added, done.rejected) == (2, 2, 0)
    assert [note for note in done.notes if "any_size is numeric of any size" in note]
    assert take(lake, postgres_url, "every", mode="compare").batch == ""


def test_postgres_instants_out_of_this_world(lake: Lake, postgres_url: str):
    on_postgres(
        postgres_url,
        "DROP TABLE IF EXISTS ages",
        "CREATE TABLE ages (id int PRIMARY KEY, at timestamptz, day date, naive timestamp, cost numeric(6,2))",
        "INSERT INTO ages VALUES (1, 'infinity', '-infinity', 'infinity', 1), (2, '4000-01-01 BC', NULL, NULL, 2), "
        "(3, NULL, '20000-01-01', NULL, 3), (4, '0001-01-01', '9999-12-31', '9999-12-31 23:59:59.999999', 4), "
        "(5, NULL, NULL, NULL, 'NaN')",
    )
    done = take(lake, postgres_url, "ages")
    assert sorted(row["id"] for row in current(lake)) == [1, 4]
    assert (done.read, done.rejected) == (5, 3)
    assert "2 infinite values of" not in " ".join(done.notes)
    assert "1 infinite values of at are read as NULL" in done.notes
    rejected = pq.read_table(*(Path(lake.place).parent / "quarantine" / "t").glob("*.parquet")).to_pylist()
    assert [(row["row"], row["reason"]) for row in rejected] == [
        (2, "at is outside the years 0001 to 9999"),
        (3, "day is outside the years 0001 to 9999"),
        (5, "cost: 'nan' is no decimal128(6, 2)"),
    ]
    assert json.loads(rejected[2]["raw"])["id"] == "5"


def test_postgres_reads_only_what_is_new(lake: Lake, postgres_url: str):
    on_postgres(
        postgres_url,
        "DROP TABLE IF EXISTS seen",
        "CREATE TABLE seen (id int PRIMARY KEY, at timestamptz, v text)",
        "INSERT INTO seen SELECT i, '2024-01-01'::timestamptz + i * '1 hour'::interval, 'v' "
        "FROM generate_series(1, 100) i",
    )
    how = {"mode": "incremental", "watermark": "at"}
    assert take(lake, postgres_url, "seen", **how).added == 100
    on_postgres(postgres_url, "UPDATE seen SET v = 'w', at = '2024-02-01' WHERE id = 3")
    done = take(lake, postgres_url, "seen", **how)
    assert (done.read, done.changed, done.added) == (2, 1, 0)
    on_postgres(postgres_url, "INSERT INTO seen VALUES (101, '2024-01-31 23:50', 'late')")
    assert take(lake, postgres_url, "seen", **how).added == 1


def test_hard_names_in_postgres(lake: Lake, postgres_url: str):
    name = HARD.replace('"', '""')
    on_postgres(
        postgres_url,
        f'DROP TABLE IF EXISTS "{name}"',
        f'CREATE TABLE "{name}" ("select" int PRIMARY KEY, "or""der" text, "a b%c" timestamptz, "Ü\'s" int[])',
        f"INSERT INTO \"{name}\" VALUES (1, 'a', '2024-01-01', '{{1}}')",
    )
    how = {"mode": "incremental", "watermark": "a b%c", "key": ("select",)}
    assert take(lake, postgres_url, HARD, **how).added == 1
    on_postgres(postgres_url, f'UPDATE "{name}" SET "or""der" = \'b\', "a b%c" = \'2024-01-02\'')
    assert take(lake, postgres_url, HARD, **how).changed == 1
    assert current(lake) == [{"select": 1, 'or"der': "b", "a b%c": datetime(2024, 1, 2), "Ü's": [1]}]
    with pytest.raises(SourceError, match="has no table 'nothing'"):
        ingest(Intake("other", postgres_url, "nothing"), lake, quarantine=Path(lake.place).parent / "quarantine")


# ---------------------------------------------------------------- MariaDB

MYSQL = {
    "a_bool": ("boolean", "1", True, "bool"),
    "tiny": ("tinyint unsigned", "255", 255, "int32"),
    "an_int": ("int", "-7", -7, "int32"),
    "an_unsigned": ("int unsigned", "4294967295", 4294967295, "int64"),
    "a_big": ("bigint", "9007199254740993", 9007199254740993, "int64"),
    "huge": ("bigint unsigned", "18446744073709551615", Decimal(18446744073709551615), "decimal128(20, 0)"),
    "a_float": ("float", "1.5", 1.5, "float"),
    "a_double": ("double", "0.1", 0.1, "double"),
    "a_decimal": ("decimal(12,3)", "123456789.125", Decimal("123456789.125"), "decimal128(12, 3)"),
    "a_text": ("varchar(40)", "naïve ''q'' 🎉", "naïve 'q' 🎉", "string"),
    "a_json": ("json", '{"k": [1]}', '{"k": [1]}', "string"),
    "an_enum": ("enum('sad','glad')", "glad", "glad", "string"),
    "a_set": ("set('a','b','c')", "a,c", ["a", "c"], "list<item: string>"),
    "a_date": ("date", "2024-02-29", date(2024, 2, 29), "date32[day]"),
    "old": ("date", "1000-01-01", date(1000, 1, 1), "date32[day]"),
    "naive": ("datetime(6)", "2024-02-29 01:02:03.000004", datetime(2024, 2, 29, 1, 2, 3, 4), "timestamp[us]"),
    "a_time": ("time", "-12:00:01", -43201.0, "double"),
    "a_year": ("year", "2024", 2024, "int32"),
}  # fmt: skip


def on_mysql(url: str, *statements: str) -> None:
    from penstock.lake.mysql import connect

    with connect(url) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        connection.commit()


def test_mysql_keeps_every_type(lake: Lake, mysql_url: str):
    columns = ", ".join(f"{name} {told[0]}" for name, told in MYSQL.items())
    values = ", ".join(f"'{told[1]}'" for told in MYSQL.values())
    on_mysql(
        mysql_url,
        "DROP TABLE IF EXISTS every",
        f"CREATE TABLE every (id int PRIMARY KEY, {columns}, bytes varbinary(9), bits bit(9), at timestamp(6) NULL)",
        f"INSERT INTO every VALUES (1, {values}, x'00ff', b'101', '2024-02-29 01:02:03.5')",
        "INSERT INTO every (id) VALUES (2)",
    )
    done = take(lake, mysql_url, "every")
    more = {"bytes": "binary", "bits": "int64", "at": "timestamp[us]"}
    assert kinds(lake) == {"id": "int32", **{name: told[3] for name, told in MYSQL.items()}, **more}
    filled, empty = sorted(current(lake), key=lambda row: row["id"])
    assert {name: filled[name] for name in MYSQL} == {name: told[2] for name, told in MYSQL.items()}
    assert (filled["bytes"], filled["bits"]) == (b"\x00\xff", 5)
    assert {value for name, value in empty.items() if name != "id"} == {None}
    assert (done.read, done.added, done.rejected) == (2, 2, 0)
    assert take(lake, mysql_url, "every", mode="compare").batch == ""
    on_mysql(mysql_url, "UPDATE every SET a_bool = 2 WHERE id = 1")
    assert take(lake, mysql_url, "every", mode="compare").rejected == 1


def test_hard_names_in_mysql(lake: Lake, mysql_url: str):
    on_mysql(
        mysql_url,
        "DROP TABLE IF EXISTS `select ``it```",
        "CREATE TABLE `select ``it``` (`key` varchar(9) PRIMARY KEY, `a``b` int, `at` datetime(6))",
        "INSERT INTO `select ``it``` VALUES ('o''n\\\\e', 1, '2024-01-01'), ('two', 2, '2024-01-02')",
    )
    how = {"mode": "incremental", "watermark": "at"}
    assert take(lake, mysql_url, "select `it`", **how).added == 2
    on_mysql(mysql_url, "UPDATE `select ``it``` SET `a``b` = 3, `at` = '2024-01-03' WHERE `key` = 'two'")
    assert take(lake, mysql_url, "select `it`", **how).changed == 1
    assert sorted((row["key"], row["a`b"]) for row in current(lake)) == [("o'n\\e", 1), ("two", 3)]
    by_key = {"mode": "incremental", "key": ("key",)}
    assert take(lake, mysql_url, "select `it`", **by_key).batch != ""
    assert take(lake, mysql_url, "select `it`", **by_key).read == 1


# ---------------------------------------------------------------- files


def sqlite_file(path: Path, *statements: str) -> str:
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    return str(path)


def test_sqlite_keeps_what_fits_its_declaration(lake: Lake, tmp_path: Path):
    source = sqlite_file(
        tmp_path / "s.sqlite",
        "CREATE TABLE every (id INTEGER PRIMARY KEY, n INT, x REAL, d DECIMAL(9,2), ok BOOLEAN, t TEXT, b BLOB, "
        "at TIMESTAMP, day DATE, loose)",
        "INSERT INTO every VALUES (1, 5, 1, 2.5, 1, 'é', x'00ff', '2024-02-29 01:02:03.5', '2024-02-29', 'x')",
        "INSERT INTO every VALUES (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
        "INSERT INTO every VALUES (3, 'five', 1.5, 1, 0, 7, 'text', 1709168523, '2024-02-29T01:02:03Z', 7)",
        "INSERT INTO every VALUES (4, 1, 'wide', 1, 0, 'a', 'b', 1709168523000, 2460369.5, NULL)",
        "INSERT INTO every VALUES (5, 1, 1, 1, 2, 'a', 'b', NULL, NULL, NULL)",
        "INSERT INTO every VALUES (6, 1, 1, 1, 0, 'a', NULL, 1709168523000, 2460369.5, NULL)",
        "INSERT INTO every VALUES (7, 1, 1, 1, 0, 'a', NULL, 'yesterday', NULL, NULL)",
        "INSERT INTO every VALUES (8, 2.5, 1, 1, 0, 'a', NULL, NULL, NULL, NULL)",
    )
    done = take(lake, source, "every")
    assert kinds(lake) == {
        "id": "int64", "n": "int64", "x": "double", "d": "double", "ok": "bool", "t": "string", "b": "binary",
        "at": "timestamp[us]", "day": "timestamp[us]", "loose": "string",
    }  # fmt: skip
    rows = {row["id"]: row for row in current(lake)}
    assert sorted(rows) == [1, 2, 6]
    noon = datetime(2024, 2, 29, 1, 2, 3)
    assert rows[1]["at"] == noon.replace(microsecond=500_000)
    assert (rows[6]["at"], rows[6]["day"]) == (noon, datetime(2024, 2, 29))
    assert (rows[1]["x"], rows[1]["ok"], rows[1]["b"]) == (1.0, True, b"\x00\xff")
    assert done.rejected == 5
    rejected = pq.read_table(*(tmp_path / "quarantine" / "t").glob("*.parquet")).to_pylist()
    assert [(row["row"], row["reason"]) for row in rejected] == [
        (3, "n: 'five' is no int64"),
        (4, "x: 'wide' is no double"),
        (5, "ok: '2' is no bool"),
        (7, "at: 'yesterday' is no timestamp[us]"),
        (8, "n: '2.5' is no int64"),
    ]


def test_sqlite_reads_only_what_is_new(lake: Lake, tmp_path: Path):
    source = sqlite_file(
        tmp_path / "s.sqlite",
        'CREATE TABLE "a""b" (id INTEGER PRIMARY KEY, at TIMESTAMP, v TEXT)',
        "INSERT INTO \"a\"\"b\" VALUES (1, '2024-01-01T10:00:00', 'a'), (2, '2024-03-01 10:00:00', 'b')",
    )
    how = {"mode": "incremental", "watermark": "at"}
    assert take(lake, source, 'a"b', **how).added == 2
    sqlite_file(tmp_path / "s.sqlite", "INSERT INTO \"a\"\"b\" VALUES (3, '2024-03-01T10:00:00', 'same instant')")
    done = take(lake, source, 'a"b', **how)
    assert (done.read, done.added) == (2, 1)


def test_duckdb_files(lake: Lake, tmp_path: Path):
    rows = pa.table(
        {
            "id": pa.array([1, 2], pa.uint32()),
            "at": pa.array([0, 1], pa.timestamp("ns")),
            "n": pa.array([2**63, None], pa.uint64()),
            "l": pa.array([["a"], None], pa.list_(pa.string())),
        }
    )
    source = str(write_duckdb(tmp_path / "d.duckdb", {"orders": rows}, {"orders": "id"}))
    assert take(lake, source, "orders", mode="incremental", watermark="at").added == 2
    assert kinds(lake) == {
        "id": "int64", "at": "timestamp[us]", "n": "decimal128(20, 0)", "l": "list<item: string>",
    }  # fmt: skip
    assert take(lake, source, "orders", mode="incremental", watermark="at").batch == ""
    assert sorted(row["n"] or 0 for row in current(lake)) == [0, Decimal(2**63)]


@pytest.mark.parametrize("kind", ["csv", "parquet", "jsonl"])
def test_folders_of_files(lake: Lake, tmp_path: Path, kind: str):
    folder = tmp_path / "files" / "orders"
    folder.mkdir(parents=True)
    for part in range(2):
        write_part(folder / f"{part}.{kind}", [(10 * part + n, f"2024-01-0{n + 1}", n / 4, "é") for n in range(3)])
    source = str(tmp_path / "files")
    assert take(lake, source, "orders", key=("id",)).added == 6
    assert kinds(lake) == {"id": "int64", "at": "timestamp[us]", "x": "double", "t": "string"}
    write_part(folder / f"2.{kind}", [(3, "2024-01-09", 1.5, None), (4, "2024-01-09", 9.5, "x")])
    (folder / f"0.{kind}").unlink()
    done = take(lake, source, "orders", key=("id",))
    assert (done.added, done.changed, done.deleted) == (2, 0, 3)
    assert sorted(row["id"] for row in current(lake)) == [3, 4, 10, 11, 12]


def write_part(path: Path, rows: list[tuple[int, str, float, str | None]]) -> None:
    names = ("id", "at", "x", "t")
    if path.suffix == ".csv":
        lines = [",".join("" if v is None else str(v) for v in row) for row in rows]
        path.write_text("\n".join([",".join(names), *lines]) + "\n", encoding="utf-8")
    elif path.suffix == ".jsonl":
        path.write_text("".join(json.dumps(dict(zip(names, row, strict=True))) + "\n" for row in rows), "utf-8")
    else:
        table = pa.table({name: [row[at] for row in rows] for at, name in enumerate(names)})
        table = table.set_column(1, "at", table["at"].cast(pa.timestamp("us")))
        pq.write_table(table, path)


def test_a_folder_says_which_rows_it_could_not_read(lake: Lake, tmp_path: Path):
    (tmp_path / "orders.csv").write_text("id,v\n1,a\n2,b,c\n3,d\n", "utf-8")
    done = take(lake, str(tmp_path / "orders.csv"), "orders", key=("id",))
    assert (done.read, done.added, done.rejected) == (3, 2, 1)
    (rejected,) = pq.read_table(*(tmp_path / "quarantine" / "t").glob("*.parquet")).to_pylist()
    assert (rejected["file"], rejected["row"]) == ("orders.csv", 3)
    (tmp_path / "orders.csv").write_text("id,v\n1,a\n2,b,c\n", "utf-8")
    done = take(lake, str(tmp_path / "orders.csv"), "orders", key=("id",), mode="compare")
    assert done.deleted == 0
    assert [note for note in done.notes if "deletions wait" in note]
    assert len(log(lake)) == 2
