"""Definitions: what changes their meaning, how tables follow them, Python functions, checks, and what is kept."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import RefusedError, SchemaError
from penstock.lake.ingest.quarantine import refused_batches
from penstock.lake.ingest.verdict import Verdict
from penstock.lake.sql import Sql
from penstock.lake.versioned import Staged, VersionedTable
from penstock.pipeline.derive import load
from penstock.pipeline.derive.kept import Shelf
from tests.pipeline.derive.shop import KNOWN, SECOND, Shop, loaded, written

PLAIN = "-- key: order_id\nSELECT order_id, amount FROM orders"
PYTHON = """
import pyarrow as pa
import pyarrow.compute as pc
from penstock.pipeline.derive import table

@table(key="customer_id", reads={"orders": ["customer_id", "amount"]}, links={"customer_id": "customers"})
def spending(orders, customers):
    \"\"\"What each customer spent.\"\"\"
    met = orders.join(customers.select(["customer_id"]), "customer_id", join_type="inner")
    return met.group_by("customer_id").aggregate([("amount", "sum")]).rename_columns(["customer_id", "spent"])
"""


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    made = Shop(tmp_path)
    made.put("orders", *((n, 1 + n % 2, float(n), "new", n * SECOND) for n in (1, 2, 3)))
    made.put("customers", (1, "Ada", "Oslo"), (2, "Bo", "Rome"))
    return made


# ------------------------------------------------------------ meaning


def test_the_fingerprint_is_that_of_the_meaning(tmp_path: Path) -> None:
    same = ["select order_id,  amount\nfrom orders; -- all", "/* all */ SELECT order_id, amount FROM orders"]
    other = [
        "SELECT order_id, amount AS Amount FROM orders",
        "SELECT order_id, amount FROM orders WHERE status = 'Order'",
        "SELECT order_id, amount FROM orders WHERE status = 'order'",
        "-- key: order_id\nSELECT order_id, amount FROM orders",
        "-- time: placed_at\nSELECT order_id, amount, placed_at FROM orders",
    ]
    prints = [loaded(tmp_path / str(n), t=text)["t"].fingerprint for n, text in enumerate([*same, *other])]
    assert prints[0] == prints[1]
    assert len(set(prints)) == 1 + len(other)


def test_a_python_file_keeps_its_fingerprint_through_comments(tmp_path: Path) -> None:
    def fingerprint(name: str, text: str) -> str:
        return load(written(tmp_path / name, {"t.py": text}), KNOWN)[0].fingerprint

    first = fingerprint("a", PYTHON)
    assert fingerprint("b", PYTHON.replace("What each", "# How much each").replace("\n\n", "\n\n\n# so\n")) == first
    assert fingerprint("c", PYTHON.replace('"sum"', '"max"')) != first


def test_tables_come_after_those_that_they_read(tmp_path: Path) -> None:
    texts = {
        "a": "SELECT x FROM b",
        "b": "SELECT x FROM c",
        "c": "SELECT amount AS x FROM orders",
        "d": "SELECT 1 AS x",
    }
    assert list(loaded(tmp_path, **texts)) == ["c", "d", "b", "a"]


def test_directives_give_the_roles(tmp_path: Path) -> None:
    text = """-- key: order_id, "customer_id"
-- time: PLACED_AT
-- links: customer_id -> Customers, order_id -> orders
-- description: Orders as they are.
SELECT order_id, customer_id, placed_at FROM orders"""
    one = loaded(tmp_path, t=text)["t"]
    assert one.roles.key == ("order_id", "customer_id")
    assert (one.roles.happened, dict(one.roles.links or {})) == (
        "placed_at", {"customer_id": "customers", "order_id": "orders"}
    )  # fmt: skip
    assert one.description == "Orders as they are."
    assert str(one) == "t (t.sql): row by row from orders"


# ------------------------------------------------------------ a definition that changes


def test_a_comment_builds_nothing(shop: Shop) -> None:
    shop.write(t=PLAIN)
    shop.derive()
    shop.write(t=PLAIN.replace("amount", "/* euros */ amount"))
    assert shop.derive()["t"].mode == "unchanged"


def test_a_new_definition_is_compared_and_its_columns_follow(shop: Shop) -> None:
    shop.write(t=PLAIN)
    shop.derive()
    shop.write(
        t="-- key: order_id\nSELECT order_id, status, customer_id::INTEGER AS small FROM orders WHERE order_id > 1"
    )
    done = shop.derive()["t"]
    assert (done.mode, done.added, done.changed, done.deleted) == ("whole", 0, 2, 1)
    assert shop.table("t").schema.names == ["order_id", "status", "small", "_known", "_deleted"]
    assert shop.current("t") == [(2, "new", 1), (3, "new", 2)]
    shop.write(t="-- key: order_id\nSELECT order_id, 'S' || status AS status, customer_id AS small FROM orders")
    done = shop.derive()["t"]
    assert (done.added, done.changed) == (1, 2)
    assert shop.table("t").schema.field("small").type == pa.int64()
    assert shop.current("t", version=1) == [(1, 1.0), (2, 2.0), (3, 3.0)], "an old version keeps its own columns"


def test_a_column_of_another_type_takes_the_place_of_the_old_one(shop: Shop) -> None:
    shop.write(t=PLAIN)
    shop.derive()
    shop.write(t="-- key: order_id\nSELECT order_id, 'EUR ' || amount AS amount FROM orders")
    assert shop.derive()["t"].changed == 3
    assert shop.table("t").schema.field("amount").type == pa.string()
    assert shop.current("t")[0] == (1, "EUR 1.0")
    assert shop.derive()["t"].mode == "unchanged"


def test_another_key_replaces_the_rows(shop: Shop) -> None:
    shop.write(t="-- key: order_id\nSELECT order_id, customer_id, amount FROM orders WHERE amount > 1")
    shop.derive()
    shop.write(t="-- key: customer_id\nSELECT order_id, customer_id, amount FROM orders WHERE amount > 1")
    shop.derive()
    assert shop.table("t").roles.key == ("customer_id",)
    assert [row["customer_id"] for row in shop.log("t")] == [1, 2]


def test_a_key_of_another_type_is_refused(shop: Shop) -> None:
    shop.write(t=PLAIN)
    shop.derive()
    shop.write(t="-- key: order_id\nSELECT order_id::VARCHAR AS order_id, amount FROM orders")
    with pytest.raises(SchemaError, match=r"DERIVE_KEY_TYPE: t\.sql: the key order_id was int64 and would be string"):
        shop.derive()


def test_a_definition_that_no_longer_fits_its_input_is_told(shop: Shop) -> None:
    shop.write(t=PLAIN)
    ready = shop.loaded()
    shop.lake.table("orders").evolve(drop=["amount"])
    from penstock.pipeline.derive import derive

    with pytest.raises(SchemaError, match=r"DERIVE_UNKNOWN_COLUMN: t\.sql: there is no column 'amount'"):
        derive(ready[0], shop.lake, quarantine=shop.place / "q")


# ------------------------------------------------------------ checks


def test_a_failing_check_leaves_the_last_good_version(shop: Shop) -> None:
    def few(table: VersionedTable, staged: Staged) -> Verdict:
        with Sql({"t": table.scan(beside=staged)}) as sql:
            count = sql.arrow("SELECT count(*) AS n FROM t")["n"][0].as_py()
        return Verdict(count <= 3, (f"{count} rows are more than 3",) if count > 3 else ())

    shop.write(t=PLAIN, bag="SELECT amount FROM orders")
    assert shop.derive(check=few)["t"].version == 1
    shop.put("orders", (4, 1, 4.0, "new", 4 * SECOND), known=50)
    for _ in range(2):
        with pytest.raises(RefusedError, match="DERIVE_CHECK_FAILED: bag: 4 rows are more than 3"):
            shop.derive(check=few)
    assert shop.current("bag") == [(1.0,), (2.0,), (3.0,)]
    (refused,) = refused_batches(shop.place / "quarantine", "bag")
    assert (refused.reasons, refused.rows, refused.after) == (("4 rows are more than 3",), 1, 1)
    shop.put("orders", (4, None, None, None, None), known=60, deleted=True)
    assert {name: done.mode for name, done in shop.derive(check=few).items()} == {"bag": "whole", "t": "whole"}


# ------------------------------------------------------------ Python


def test_a_python_function_makes_a_table(shop: Shop) -> None:
    written(
        shop.place / "tables", {"spending.py": PYTHON, "big.sql": "SELECT customer_id FROM spending WHERE spent > 2"}
    )
    assert [(name, done.added) for name, done in shop.derive(at=2000).items()] == [("spending", 2), ("big", 1)]
    assert shop.current("spending") == [(1, 2.0), (2, 4.0)]
    assert {row["_known"] for row in shop.log("spending")} == {2000}
    one = shop.loaded()[0]
    assert one.lineage["spent"] == one.uses
    assert one.uses == {
        ("orders", "customer_id"), ("orders", "amount"),
        *(("customers", name) for name in ("customer_id", "name", "city")),
    }  # fmt: skip
    assert dict(one.roles.links or {}) == {"customer_id": "customers"}
    shop.put("orders", (4, 2, 10.0, "new", SECOND), known=50)
    done = shop.derive(at=2001)["spending"]
    assert (done.mode, done.changed) == ("whole", 1)


def test_a_function_that_fails_on_rows_is_told_with_its_line(shop: Shop) -> None:
    body = "def t(orders):\n    if orders.num_rows:\n        raise ValueError('no rows wanted')\n    return orders\n"
    text = "from penstock.pipeline.derive import table\n\n@table()\n" + body
    written(shop.place / "tables", {"t.py": text})
    with pytest.raises(SchemaError, match=r"DERIVE_PYTHON: t\.py, line 6: it failed: ValueError: no rows wanted"):
        shop.derive()
    assert shop.table("t").newest() is None


def test_a_function_that_returns_other_columns_than_it_said_is_told(shop: Shop) -> None:
    text = """import pyarrow as pa
from penstock.pipeline.derive import table

@table(columns=pa.schema([("n", pa.int64())]))
def t(orders):
    return pa.table({"m": [orders.num_rows]})
"""
    written(shop.place / "tables", {"t.py": text})
    with pytest.raises(SchemaError, match=r"DERIVE_COLUMNS: t\.py: the function returns columns m"):
        shop.derive()


def test_a_changed_file_of_the_same_size_is_read_again(tmp_path: Path) -> None:
    text = "import pyarrow as pa\nfrom penstock.pipeline.derive import table\n@table()\ndef t(orders):\n"
    for name in ("one", "two"):
        (made,) = load(written(tmp_path, {"t.py": text + f"    return pa.table({{'{name}': [1]}})\n"}), KNOWN)
        assert made.schema.names == [name]
    assert list(tmp_path.glob("__pycache__")) == []


# ------------------------------------------------------------ what is kept


def test_what_was_kept_is_what_would_be_found(tmp_path: Path) -> None:
    texts = {
        "a.sql": "-- key: order_id\nSELECT order_id, amount FROM orders WHERE status = 'new'",
        "b.sql": "SELECT a.amount, c.city FROM a JOIN customers AS c ON c.customer_id = a.order_id",
        "c.sql": "SELECT COLUMNS('order.*') FROM orders",
    }
    folder = written(tmp_path / "tables", texts)
    first = load(folder, KNOWN)
    kept = tmp_path / "kept"
    assert load(folder, KNOWN, kept=kept) == first
    assert len(list(kept.iterdir())) == 3
    assert load(folder, KNOWN, kept=kept) == first


def test_what_was_kept_is_found_again_when_an_input_changes(tmp_path: Path) -> None:
    folder = written(tmp_path / "tables", {"a.sql": "WITH o AS (SELECT * FROM orders) SELECT amount FROM o"})
    kept = tmp_path / "kept"
    load(folder, KNOWN, kept=kept)
    wider = {"orders": KNOWN["orders"].set(2, pa.field("amount", pa.int32()))}
    (one,) = load(folder, wider, kept=kept)
    assert one.schema.field("amount").type == pa.int32()
    with pytest.raises(SchemaError, match="DERIVE_UNKNOWN_COLUMN"):
        load(folder, {"orders": KNOWN["orders"].remove(2)}, kept=kept)


def test_a_kept_file_that_is_torn_is_found_again(tmp_path: Path) -> None:
    folder = written(tmp_path / "tables", {"a.sql": "SELECT amount FROM orders"})
    first = load(folder, KNOWN, kept=tmp_path / "kept")
    for path in (tmp_path / "kept").iterdir():
        path.write_text(path.read_text(encoding="utf-8")[:40], encoding="utf-8")
    assert load(folder, KNOWN, kept=tmp_path / "kept") == first
    assert Shelf(None).read("SELECT 1") == {}
