"""Live reads of real databases: only the rows asked about are fetched, as they are now."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.features.views.binding import bind
from penstock.features.views.declared import Definitions, Entity, ExpressionView, LatestView
from penstock.lake.postgres import connect
from penstock.lake.source import Source
from penstock.lake.sources import open_source
from penstock.lake.where import read_where, release
from penstock.lake.write import write
from penstock.online.live import LiveReader
from penstock.schema import Dtype, Graph, Link
from tests.features.historical.held import D, filled, schema
from tests.forked import ended
from tests.online.answering.stored import SETTINGS

USERS = schema("users", {"user_id": Dtype.STRING, "city": Dtype.STRING}, key="user_id")
ORDERS = schema(
    "orders",
    {"order_id": Dtype.INT, "user_id": Dtype.STRING, "at": Dtype.TIMESTAMP, "price": Dtype.FLOAT},
    key="order_id", happened="at",
)  # fmt: skip
ITEMS = schema("items", {"item_id": Dtype.INT, "order_id": Dtype.INT, "size": Dtype.FLOAT}, key="item_id")
GRAPH = Graph((USERS, ORDERS, ITEMS), (Link("orders", "user_id", "users"), Link("items", "order_id", "orders")))
ROWS = {
    "users": [("it's", "Oslo"), ("b", "Rome"), ("é", None)],
    "orders": [(1, "it's", D[1], 5.0), (2, "it's", D[3], 7.0), (3, "b", D[2], 1.5), (4, None, D[2], 9.0)],
    "items": [(1, 1, 0.5), (2, 2, 2.0), (3, 3, 4.0), (4, 4, 8.0)],
}
TOLD = Definitions(
    {"user": Entity("user", ("user_id",), "users")},
    {
        "home": LatestView("home", "user", "users", {"city": "city"}),
        "buys": ExpressionView(
            "buys",
            "user",
            {"total": "SUM(orders.price, -30, 0, days)", "size": "MAX(items.size, -30, 0, days)", "town": "users.city"},
        ),
    },
)

Place = Callable[[], str]


@pytest.fixture(params=["duckdb", "sqlite", "postgres", "mysql"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database with the tables."""
    if request.param in ("postgres", "mysql"):
        url = str(request.getfixturevalue(f"{request.param}_url"))
    else:
        url = str(tmp_path / f"shop.{request.param}")
    for table in GRAPH:
        write(filled(table, ROWS[table.name]), f"{url}#{table.name}")
    return url


def test_features_are_read_from_the_database_itself(place: str) -> None:
    reader = LiveReader(bind(TOLD, GRAPH), open_source(place), lambda: D[5], SETTINGS)
    found = reader.read(["home:city", "buys:*"], {"user_id": ["é", "it's", "nobody", "b"]})
    assert found.to_dict() == {"city": [None, "Oslo", None, "Rome"], "total": [0.0, 12.0, None, 1.5],
                               "size": [None, 2.0, None, 4.0], "town": [None, "Oslo", None, "Rome"]}  # fmt: skip
    more = filled(ORDERS, [(5, "b", D[4], 10.0)])
    write(more, f"{place}#orders", ORDERS.keys)
    assert reader.read("buys:total", {"user_id": ["b"]}).values == [[11.5]]


def test_a_database_gives_only_the_rows_that_are_meant(place: str) -> None:
    source = open_source(place)
    some = read_where(source, "orders", ["order_id", "price"], [pa.table({"order_id": [3, 99]})])
    assert (some["order_id"].to_pylist(), some["price"].to_pylist()) == ([3], [1.5])
    either = [pa.table({"order_id": [3]}), pa.table({"user_id": ["it's", "' OR 1 = 1 --"]})]
    assert sorted(read_where(source, "orders", ["order_id"], either)["order_id"].to_pylist()) == [1, 2, 3]
    assert read_where(source, "orders", ["order_id"], [pa.table({"order_id": pa.array([], pa.int64())})]).num_rows == 0
    assert read_where(source, "orders", ["order_id"]).num_rows == 4


def test_what_sql_would_compare_otherwise_is_read_whole(place: str) -> None:
    source = open_source(place)
    assert read_where(source, "orders", ["order_id"], [pa.table({"user_id": [1]})]).num_rows == 4
    assert read_where(source, "orders", ["order_id"], [pa.table({"order_id": range(100_001)})]).num_rows == 4


def test_a_table_that_is_not_there_is_an_error(place: str) -> None:
    with pytest.raises(SourceError, match="no table 'nothing'"):
        read_where(open_source(place), "nothing", ["x"], [pa.table({"x": [1]})])


def test_tables_in_memory_are_narrowed_too() -> None:
    source: Source = open_source({"orders": filled(ORDERS, ROWS["orders"])})
    keys = [pa.table({"user_id": ["b"]}), pa.table({"order_id": [1]})]
    assert read_where(source, "orders", ["order_id", "user_id"], keys)["order_id"].to_pylist() == [1, 3]


def test_uuids_and_other_texts_are_compared_by_the_server(postgres_url: str) -> None:
    there, absent = "00000000-0000-0000-0000-00000000000a", "00000000-0000-0000-0000-00000000000b"
    with connect(postgres_url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TYPE mood AS ENUM ('fine', 'bad')")
        cursor.execute("CREATE TABLE kinds (token uuid PRIMARY KEY, mood mood, short char(4), n numeric(30))")
        cursor.execute(f"INSERT INTO kinds VALUES ('{there}', 'fine', 'ab', 7), ('{absent[:-1]}c', 'bad', 'abc', 8)")
    source = open_source(postgres_url)

    def found(**keys: Any) -> list[str]:
        asked = [pa.table({name: [key]}) for name, key in keys.items()]
        told: list[str] = read_where(source, "kinds", ["token"], asked)["token"].to_pylist()
        return told

    assert [found(token=key) for key in (there, absent, there.upper(), "x", "", "\x00")] == [
        [there],
        [],
        [],
        [],
        [],
        [],
    ]
    assert [found(mood=key) for key in ("fine", "worse", "\x00")] == [[there], [], []]
    assert [found(short=key) for key in ("ab", "ab  ", "a")] == [[there], [there], []]  # as the server has it
    assert [found(n=key) for key in ("7", "7.0", "07", "x", "NaN", "")] == [[there], [there], [there], [], [], []]
    release(source)


def test_one_reader_serves_threads_and_forked_processes(place: str) -> None:
    reader = LiveReader(bind(TOLD, GRAPH), open_source(place), lambda: D[5], SETTINGS)
    users = ["it's", "b", "é", "nobody"]
    wanted = [[12.0], [1.5], [0.0], [None]]

    def total(number: int) -> list[Any]:
        return reader.read("buys:total", {"user_id": [users[number % 4]]}).values[0]

    assert total(0) == wanted[0]
    with ThreadPoolExecutor(6) as threads:
        assert list(threads.map(total, range(24))) == wanted * 6

    def child() -> None:
        assert [total(number) for number in range(4)] == wanted
        reader.close()

    assert ended(child, None)["code"] == 0
    assert total(1) == wanted[1]
    reader.close()
    assert total(2) == wanted[2], "what was let go of is opened again"
    reader.close()
