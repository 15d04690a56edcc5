"""A project served from its sources: also through derived tables, and by keys of several columns."""

from __future__ import annotations

import datetime as dt
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import RequestError, SourceError
from penstock.features.views.lineage import lineage
from penstock.project import Project, open_project

TOML = """
[sources.shop]
url = "shop.sqlite"

[tables.orders]
time = "at"

[entities.customer]
key = "customer_id"

[entities.stock]
key = ["item", "shop"]
table = "stock"

[features.spending]
entity = "customer"
expressions = {{ spent = "SUM(paid.amount, -INF, 0, days)", days = "COUNT(daily.*, -30, 0, days)" }}

[features.newest]
entity = "customer"
table = "paid"
columns = ["amount", "label"]

[features.taken]
entity = "stock"
table = "taken"
columns = ["cost"]

[features.shelf]
entity = "stock"
expressions = {{ left = "stock.left", place = "shops.place", sold = "COUNT(orders.*, -INF, 0, days)" }}
{more}
[online]
store = "{store}"
"""
PAID = """-- key: order_id
-- time: at
-- links: customer_id -> customers
SELECT o.order_id, o.customer_id, o.at, o.price * o.pieces AS amount, s.place AS label
FROM orders AS o JOIN shops AS s ON s.shop = o.shop
WHERE o.price > 0
"""
DAILY = """-- time: day
SELECT customer_id, CAST(paid.at AS DATE) AS day, sum(amount) AS amount FROM paid GROUP BY ALL
"""
TAKEN = """-- key: order_id
-- time: at
SELECT o.order_id, o.shop AS shop, o.item, o.at, o.price / o.pieces AS cost, l."left" AS was
FROM orders AS o LEFT JOIN stock AS l ON l.item = o.item AND o.shop = l.shop
WHERE o.pieces > 0
"""
SCORED = """
import penstock as ps

@ps.table(key="order_id", time="at")
def scored(orders):
    return orders.select(["order_id", "customer_id", "at", "price"])
"""
DAYS = [dt.datetime(2026, 1, day) for day in range(1, 10)]  # noqa: DTZ001  instants are UTC without a zone


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A project over a SQLite file."""
    with closing(sqlite3.connect(tmp_path / "shop.sqlite")) as shop, shop:
        shop.executescript("""
            CREATE TABLE customers (customer_id INTEGER PRIMARY KEY, name TEXT);
            CREATE TABLE shops (shop TEXT PRIMARY KEY, place TEXT);
            CREATE TABLE stock (shop TEXT REFERENCES shops, item INTEGER, "left" INTEGER, PRIMARY KEY (shop, item));
            CREATE TABLE orders (order_id INTEGER PRIMARY KEY, customer_id INTEGER REFERENCES customers, at TIMESTAMP,
                price REAL, pieces INTEGER, shop TEXT, item INTEGER,
                FOREIGN KEY (shop, item) REFERENCES stock (shop, item));
            INSERT INTO customers VALUES (1, 'a'), (2, 'b'), (3, 'c');
            INSERT INTO shops VALUES ('x|1', 'Oslo'), ('y', 'Rome');
            INSERT INTO stock VALUES ('x|1', 0, 7), ('x|1', -1, 8), ('y', 0, NULL);
        """)
        orders = [(n, 1 + n % 2, str(DAYS[n]), float(n - 1), n, ("x|1", "y")[n % 2], 0) for n in range(6)]
        shop.executemany("INSERT INTO orders VALUES (?, ?, ?, ?, ?, ?, ?)", orders)
    (tmp_path / "tables").mkdir()
    (tmp_path / "tables" / "paid.sql").write_text(PAID)
    (tmp_path / "tables" / "daily.sql").write_text(DAILY)
    (tmp_path / "tables" / "taken.sql").write_text(TAKEN)
    return tmp_path


def opened(folder: Path, store: str, more: str = "") -> Project:
    """The project with this store."""
    (folder / "penstock.toml").write_text(TOML.format(store=store, more=more))
    return open_project(folder)


ASKED = {"customer_id": [1, 2, 3, 9, None], "item": [0, 0, -1, 5, 0], "shop": ["x|1", "y", "x|1", "x|1", None]}
FEATURES = ["spending:*", "newest:*", "shelf:*", "taken:*"]


def test_live_answers_what_a_store_and_training_do(folder: Path) -> None:
    project = opened(folder, "kept")
    assert not any(run.failure for run in project.run())
    kept = project.online.read(FEATURES, ASKED)
    live = opened(folder, "live").online
    found = live.read(FEATURES, ASKED)
    assert found.to_dict() == kept.to_dict()
    assert found.statuses == kept.statuses
    spine = pa.table({**{name: pa.array(column) for name, column in ASKED.items()},
                      "cutoff": pa.array([dt.datetime(2030, 1, 1)] * 5, pa.timestamp("us"))})  # noqa: DTZ001  # fmt: skip
    ever = ["spending:spent", "newest:*", "shelf:*", "taken:*"]
    past = project.features.historical(spine, ever)
    assert {name: past[name].to_pylist() for name in ("spent", "amount", "label", "left", "place", "sold", "cost")} == {
        name: column for name, column in kept.to_dict().items() if name != "days"
    }
    assert found.to_dict()["spent"] == [2.0 * 1 + 4 * 3, 3 * 2 + 5 * 4.0, None, None, None]
    assert found.to_dict()["cost"] == [3 / 4, 4 / 5, None, None, None]
    assert found.to_dict()["place"] == ["Oslo", "Rome", "Oslo", None, None]
    with closing(sqlite3.connect(folder / "shop.sqlite")) as shop, shop:
        shop.execute("INSERT INTO orders VALUES (90, 3, '2026-01-05 00:00:00', 2.5, 2, 'y', 0)")
    again = live.read("newest:*", {"customer_id": [3]})
    assert again.to_dict() == {"amount": [5.0], "label": ["Rome"]}
    live.close()


def test_a_view_that_cannot_be_live_says_which_and_what_to_do(folder: Path) -> None:
    (folder / "tables" / "scored.py").write_text(SCORED)
    more = '\n[features.scores]\nentity = "customer"\ntable = "scored"\ncolumns = ["price"]\n'
    assert not any(run.failure for run in opened(folder, "kept", more).run())
    live = opened(folder, "live", more).online
    with pytest.raises(RequestError, match=r"scores cannot be answered live: .* a Python function makes it") as caught:
        live.read("scores:price", {"customer_id": [1]})
    assert (caught.value.code, caught.value.hint and "[online] store" in caught.value.hint) == ("LIVE_DERIVED", True)
    assert live.read("newest:label", {"customer_id": [1]}).values == [["Oslo"]]
    live.close()


def test_who_asks_a_live_server_for_what_is_not_defined_hears_so(folder: Path) -> None:
    assert not any(run.failure for run in opened(folder, "kept").run())
    service = opened(folder, "live").service()
    with pytest.raises(RequestError, match="FEATURE_UNKNOWN: there is no view 'newer'"):
        service.read(["newer:label"], {"customer_id": [1]})
    assert service.read(["newest:label"], {"customer_id": [1]}).values == [["Oslo"]]
    service.close()


def test_half_a_key_is_nobody(folder: Path) -> None:
    project = opened(folder, "kept")
    assert not any(run.failure for run in project.run())
    for online in (project.online, opened(folder, "live").online):
        found = online.read(["shelf:place", "shelf:sold"], {"item": [0, -1]})
        assert [status.name for column in found.statuses for status in column] == ["NOT_FOUND"] * 4
        with pytest.raises(RequestError, match="ENTITY_MISSING: the request says no item and no shop"):
            online.read("shelf:place", {})
        online.close()


def test_columns_of_the_own_row_come_from_its_table_alone(folder: Path) -> None:
    project = opened(folder, "kept")
    assert not any(run.failure for run in project.run())
    (told,) = lineage(project.features.bound, "shelf", "left")
    assert told.tables == ("stock",)


def changed(folder: Path, text: str) -> None:
    """Change the database."""
    with closing(sqlite3.connect(folder / "shop.sqlite")) as shop, shop:
        shop.executescript(text)


def test_a_source_that_changed_its_columns_is_asked_as_it_is_now(folder: Path) -> None:
    assert not any(run.failure for run in opened(folder, "kept").run())
    live = opened(folder, "live").online
    before = live.read(FEATURES, ASKED).to_dict()
    changed(
        folder,
        """
        ALTER TABLE orders RENAME TO old;
        CREATE TABLE orders (order_id TEXT, at TEXT, shop TEXT, item TEXT, customer_id TEXT, price TEXT, pieces REAL);
        INSERT INTO orders SELECT order_id, at, shop, item, customer_id, price, pieces FROM old;
        DROP TABLE old;
    """,
    )
    assert live.read(FEATURES, ASKED).to_dict() == before, "other types, and the same values"
    changed(folder, "ALTER TABLE orders RENAME COLUMN price TO cost")
    with pytest.raises(SourceError, match=r"SOURCE_UNKNOWN_COLUMN: orders of .* has no column 'price'"):
        live.read(FEATURES, ASKED)
    changed(folder, "ALTER TABLE orders RENAME COLUMN cost TO price")
    assert live.read(FEATURES, ASKED).to_dict() == before
    (folder / "shop.sqlite").rename(folder / "away")
    with pytest.raises(SourceError, match=r"SOURCE_ABSENT: there is no .*shop\.sqlite"):
        live.read(FEATURES, ASKED)
    (folder / "away").rename(folder / "shop.sqlite")
    assert live.read(FEATURES, ASKED).to_dict() == before
    live.close()


def test_files_are_read_as_they_are_now(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    told = '[sources.s]\nurl = "data"\n[tables.orders]\nkey = "id"\n[entities.pair]\nkey = ["shop", "item"]\n'
    view = '[features.newest]\nentity = "pair"\ntable = "orders"\ncolumns = ["price"]\n[online]\nstore = "live"\n'
    (tmp_path / "penstock.toml").write_text(told + view)
    (tmp_path / "data" / "orders.csv").write_text("id,shop,item,price\n1,7,a,2.5\n2,7,b,3.5\n")
    assert not any(run.failure for run in open_project(tmp_path).run())
    live = open_project(tmp_path).online
    pairs = {"shop": [7, 7, 8], "item": ["a", "c", "a"]}
    assert live.read("newest:price", pairs).values == [[2.5, None, None]]
    (tmp_path / "data" / "orders.csv").write_text("id,shop,item,price\n1,7,a,4.5\n30,7,c,5.5\n")
    assert live.read("newest:price", pairs).values == [[4.5, 5.5, None]]
    live.close()


WRITER = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_file_that_is_being_written_is_waited_for_a_while(folder: Path) -> None:
    assert not any(run.failure for run in opened(folder, "kept").run())
    live = opened(folder, "live").online
    asked = [sys.executable, "-c", WRITER, str(folder / "shop.sqlite")]
    with subprocess.Popen(asked, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"held\n"
        with pytest.raises(SourceError, match=r"SOURCE_BUSY: shop\.sqlite is being written"):
            live.read("newest:label", {"customer_id": [1]})
        writer.communicate()
    assert live.read("newest:label", {"customer_id": [1]}).values == [["Oslo"]]
    live.close()
