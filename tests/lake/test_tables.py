"""Files of tables appear complete, with their keys and links, or not at all."""

from __future__ import annotations

from pathlib import Path

import duckdb
import pyarrow as pa
import pytest

from penstock.errors import SourceError
from penstock.lake.tables import write_duckdb

CUSTOMERS = pa.table({"customer id": [1, 2], "name": ["Ada", None]})
ORDERS = pa.table({"order_id": [10, 11], "customer": [1, 2]})
KEYS = {"customers": "customer id", 'the "orders"': "order_id"}
LINKS = [('the "orders"', "customer", "customers")]


def test_parents_are_written_before_children_whatever_the_order_given(tmp_path: Path):
    path = write_duckdb(tmp_path / "shop.duckdb", {'the "orders"': ORDERS, "customers": CUSTOMERS}, KEYS, LINKS)
    with duckdb.connect(path, read_only=True) as connection:
        assert connection.sql('SELECT * FROM "the ""orders"""').to_arrow_table().equals(ORDERS)
        assert connection.sql("SELECT * FROM customers").to_arrow_table().equals(CUSTOMERS)


def test_a_table_may_link_to_itself(tmp_path: Path):
    staff = pa.table({"id": [1, 2], "boss": [None, 1]})
    path = write_duckdb(tmp_path / "staff.duckdb", {"staff": staff}, {"staff": "id"}, [("staff", "boss", "staff")])
    with duckdb.connect(path, read_only=True) as connection:
        assert connection.sql("SELECT count(*) FROM staff").fetchall() == [(2,)]


def test_rows_that_break_a_link_leave_the_old_file_as_it_was(tmp_path: Path):
    path = write_duckdb(tmp_path / "shop.duckdb", {"customers": CUSTOMERS})
    before = path.read_bytes()
    dangling = {"customers": CUSTOMERS.slice(0, 1), 'the "orders"': ORDERS}
    with pytest.raises(SourceError, match=r"TABLES_BREAK_A_KEY: the rows break a declared key or link: .*customer"):
        write_duckdb(path, dangling, KEYS, LINKS)
    assert path.read_bytes() == before
    assert list(tmp_path.glob(".*")) == []


def test_rows_that_repeat_a_key_are_refused(tmp_path: Path):
    twice = pa.concat_tables([CUSTOMERS, CUSTOMERS])
    with pytest.raises(SourceError, match=r"TABLES_BREAK_A_KEY: .*[Dd]uplicate key"):
        write_duckdb(tmp_path / "shop.duckdb", {"customers": twice}, KEYS)


def test_a_place_that_is_a_folder_is_refused(tmp_path: Path):
    with pytest.raises(SourceError, match=r"CANNOT_WRITE: cannot write .*\n  Name a file in a folder"):
        write_duckdb(tmp_path, {"customers": CUSTOMERS})
