"""Each mistake in a definition is told with the file, the place, what exists and what to try."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow as pa
import pytest

from penstock.errors import SchemaError
from penstock.lake.sql import Sql
from penstock.pipeline.derive import load
from penstock.pipeline.derive.statement import VOLATILE
from tests.pipeline.derive.shop import KNOWN, written

HEAD = "import pyarrow as pa\nfrom penstock.pipeline.derive import table\n"
MISTAKES: dict[str, tuple[dict[str, str], str, list[str]]] = {
    "an unknown table": (
        {"a.sql": "SELECT o.amount\nFROM ordres AS o"},
        "DERIVE_UNKNOWN_TABLE",
        ["a.sql: there is no table 'ordres'", "  FROM ordres AS o\n       ~~~~~~", "exists: customers, orders",
         "Did you mean 'orders'?"],
    ),
    "an unknown column": (
        {"a.sql": "SELECT order_id,\n  amuont FROM orders"},
        "DERIVE_UNKNOWN_COLUMN",
        ["no column 'amuont' in orders", "    amuont FROM orders\n    ~~~~~~", "Did you mean 'amount'?"],
    ),
    "an unknown column of an alias": (
        {"a.sql": "SELECT c.city AS name, o.amuont FROM orders o, customers c"},
        "DERIVE_UNKNOWN_COLUMN",
        ["no column 'amuont' in o", f"\n  {' ' * 25}~~~~~~\n", "Did you mean 'amount'?"],
    ),
    "an alias that is not there": (
        {"a.sql": "SELECT x.amount FROM orders o"},
        "DERIVE_UNKNOWN_TABLE",
        ["x is not among the tables that this SELECT reads", "SELECT x.amount FROM orders o\n         ~"],
    ),
    "an unknown function": (
        {"a.sql": "SELECT flor(amount) AS f FROM orders"},
        "DERIVE_UNKNOWN_FUNCTION",
        ["there is no function flor", "Did you mean floor?", "~~~~"],
    ),
    "two SELECTs": (
        {"a.sql": "SELECT order_id FROM orders;\nSELECT name FROM customers"},
        "DERIVE_TWO_STATEMENTS",
        ["a.sql: a file holds one SELECT", "  SELECT name FROM customers\n  ~~~~~~"],
    ),
    "two statements that only DuckDB understands": (
        {"a.sql": "SELECT x'AB' AS one; SELECT x'CD'"},
        "DERIVE_TWO_STATEMENTS",
        ["one SELECT"],
    ),
    "a statement that defines": (
        {"a.sql": "-- a comment\nCREATE TABLE b AS SELECT * FROM orders"},
        "DERIVE_NOT_SELECT",
        ["no SELECT", "  CREATE TABLE b AS SELECT * FROM orders\n  ~~~~~~"],
    ),
    "a statement that deletes": ({"a.sql": "DELETE FROM orders"}, "DERIVE_NOT_SELECT", ["~~~~~~"]),
    "a statement that reads settings": ({"a.sql": "PRAGMA version"}, "DERIVE_NOT_SELECT", ["no SELECT"]),
    "a star": (
        {"a.sql": "WITH x AS (SELECT 1 AS one)\nSELECT c.*, one FROM customers c, x"},
        "DERIVE_STAR",
        ["SELECT * would change this table whenever customers changes",
         "  SELECT c.*, one FROM customers c, x\n           ~",
         "Name the columns: SELECT customer_id, name, city"],
    ),
    "a star through a WITH": (
        {"a.sql": "WITH x AS (SELECT * FROM orders) SELECT * FROM x"},
        "DERIVE_STAR",
        ["whenever orders changes", f"\n  {' ' * 40}~"],
    ),
    "a syntax error": (
        {"a.sql": "SELECT order_id\nFROM orders\nWHERE"},
        "DERIVE_SYNTAX",
        ['a.sql: syntax error at or near "WHERE"', "  WHERE\n  ~~~~~"],
    ),
    "a syntax error in the middle": (
        {"a.sql": "-- ümläut\nSELECT order_id FROM FROM orders"},
        "DERIVE_SYNTAX",
        ['syntax error at or near "FROM"', f"  {' ' * 21}~~~~"],
    ),
    "a text without an end": ({"a.sql": "SELECT 'x FROM orders"}, "DERIVE_SYNTAX", ["unterminated"]),
    "a clause that sqlglot takes and DuckDB does not": (
        {"a.sql": "SELECT order_id FROM orders SETTINGS x = 1"},
        "DERIVE_SYNTAX",
        ["syntax error"],
    ),
    "a source's name": (
        {"Orders.sql": "SELECT name FROM customers"},
        "DERIVE_NAME_TAKEN",
        ["Orders.sql would make a table orders, which a source already fills"],
    ),
    "one name twice": (
        {"a.sql": "SELECT name FROM customers", "a.py": HEAD},
        "DERIVE_TWICE",
        ["a.py and a.sql both make a table a"],
    ),
    "two columns of one name": (
        {"a.sql": "SELECT order_id, amount AS x,\n status AS X FROM orders"},
        "DERIVE_DUPLICATE_COLUMN",
        ["two columns are called X", "   status AS X FROM orders\n             ~"],
    ),
    "a circle": (
        {f"{name}.sql": f"SELECT x FROM {read}" for name, read in ("ab", "bc", "ca", "da")},
        "DERIVE_CIRCLE",
        ["a.sql: a reads b reads c reads a", "SELECT x FROM b\n                ~"],
    ),
    "itself": ({"a.sql": "SELECT x FROM a"}, "DERIVE_CIRCLE", ["a reads a"]),
    "what varies": (
        {"a.sql": "SELECT order_id, now() - placed_at AS age FROM orders"},
        "DERIVE_VOLATILE",
        ["now gives another answer each time", f"  {' ' * 17}~~~", "Take times and chances from the rows"],
    ),
    "what varies without brackets": ({"a.sql": "SELECT current_date AS d"}, "DERIVE_VOLATILE", ["current_date"]),
    "chance": ({"a.sql": "SELECT order_id FROM orders USING SAMPLE 10%"}, "DERIVE_VOLATILE", ["SAMPLE"]),
    "a name that tables have of their own": (
        {"a.sql": "SELECT order_id, _known FROM orders"},
        "DERIVE_RESERVED",
        ["_known is a column that each table has of its own"],
    ),
    "a table in a schema": (
        {"a.sql": "SELECT amount FROM main.orders"},
        "DERIVE_QUALIFIED",
        ["a table is named alone", "~~~~~~", "Write orders."],
    ),
    "a file's own file": ({"a.sql": "SELECT x FROM 'rows.csv'"}, "DERIVE_UNKNOWN_TABLE", ["no table 'rows.csv'"]),
    "a file's own reading": (
        {"a.sql": "SELECT * FROM read_csv('rows.csv')"},
        "DERIVE_FILES",
        ["a.sql: read_csv reads files", f"  SELECT * FROM read_csv('rows.csv')\n{' ' * 16}~~~~~~~~\n",
         "a source in penstock.toml"],
    ),
    "a directive with two letters swapped": (
        {"a.sql": "-- kye: order_id\nSELECT order_id FROM orders"},
        "DERIVE_DIRECTIVE",
        ["there is no directive 'kye'", "Did you mean 'key'?"],
    ),
    "types that do not meet": (
        {"a.sql": "SELECT order_id,\n amount + status AS x FROM orders"},
        "DERIVE_REFUSED",
        ["No function matches", "(DOUBLE, VARCHAR)"],
    ),
    "a type that tables do not keep": (
        {"a.sql": "SELECT {'a': amount} AS x FROM orders"},
        "DERIVE_TYPE",
        ["column x is struct", "Take it apart"],
    ),
    "an empty file": ({"a.sql": "-- key: a\n"}, "DERIVE_EMPTY", ["there is no SELECT in it"]),
    "a key that is no column": (
        {"a.sql": "-- key: id\nSELECT order_id FROM orders"},
        "DERIVE_UNKNOWN_COLUMN",
        ["'key' names 'id', which is no column", "  -- key: id\n          ~~", "exists: order_id"],
    ),
    "a time that is none": (
        {"a.sql": "-- time: amount\nSELECT amount FROM orders"},
        "DERIVE_NO_TIME",
        ["'time' needs a date or an instant, and amount is double", "CAST(amount AS TIMESTAMP)"],
    ),
    "a link to nowhere": (
        {"a.sql": "-- links: customer_id -> custmers\nSELECT customer_id FROM orders"},
        "DERIVE_UNKNOWN_TABLE",
        ["no table 'custmers' to link to", "Did you mean 'customers'?"],
    ),
    "half a link": (
        {"a.sql": "-- links: customer_id\nSELECT customer_id FROM orders"},
        "DERIVE_DIRECTIVE",
        ["a link reads column -> table"],
    ),
    "two times": (
        {"a.sql": "-- time: a, b\nSELECT customer_id FROM orders"},
        "DERIVE_DIRECTIVE",
        ["'time' names one column"],
    ),
    "neither on nor off": (
        {"a.sql": "-- incremental: no\nSELECT customer_id FROM orders"},
        "DERIVE_DIRECTIVE",
        ["'incremental' is on or off"],
    ),
    "a misspelt directive": (
        {"a.sql": "-- keys: order_id\nSELECT order_id FROM orders"},
        "DERIVE_DIRECTIVE",
        ["there is no directive 'keys'", "Did you mean 'key'?"],
    ),
    "Python that does not parse": ({"a.py": "def f(:\n"}, "DERIVE_PYTHON", ["a.py, line 1: invalid syntax"]),
    "Python that fails": (
        {"a.py": "x = 1\ny = {}['missing']\n"},
        "DERIVE_PYTHON",
        ["a.py, line 2: it cannot be run: KeyError: 'missing'", "  y = {}['missing']\n  ~~~~"],
    ),
    "Python that imports what is not there": (
        {"a.py": "import a_package_of_nobody\n"},
        "DERIVE_PYTHON",
        ["line 1: it cannot be run: ModuleNotFoundError"],
    ),
    "Python that exits": ({"a.py": "import sys\nsys.exit()\n"}, "DERIVE_PYTHON", ["line 2: it cannot be run: Sy"]),
    "a function that exits": (
        {"a.py": HEAD + "@table()\ndef f(orders):\n    raise SystemExit(0)\n"},
        "DERIVE_PYTHON",
        ["a.py, line 5: it cannot make a table of empty tables: SystemExit: 0"],
    ),
    "no function": ({"a.py": HEAD}, "DERIVE_FUNCTION", ["no functions are marked", "Put @penstock.table()"]),
    "two functions": (
        {"a.py": HEAD + "@table()\ndef f(orders): ...\n@table()\ndef g(orders): ...\n"},
        "DERIVE_FUNCTION",
        ["2 functions are marked"],
    ),
    "a parameter that is no table": (
        {"a.py": HEAD + "@table()\ndef f(ordres):\n    return ordres\n"},
        "DERIVE_UNKNOWN_TABLE",
        ["a.py: there is no table 'ordres'", "  def f(ordres):\n        ~~~~~~"],
    ),
    "a read column that is not there": (
        {"a.py": HEAD + "@table(reads={'orders': ['amuont']})\ndef f(orders):\n    return orders\n"},
        "DERIVE_UNKNOWN_COLUMN",
        ["no column 'amuont' in orders", "Did you mean 'amount'?"],
    ),
    "a function that returns no table": (
        {"a.py": HEAD + "@table()\ndef f(orders):\n    return 3\n"},
        "DERIVE_PYTHON",
        ["the function returns int, not a pyarrow.Table"],
    ),
    "a function that fails on empty tables": (
        {"a.py": HEAD + "@table()\ndef f(orders):\n    return orders['amount'][0]\n"},
        "DERIVE_PYTHON",
        ["a.py, line 5: it cannot make a table of empty tables: IndexError", "@penstock.table(columns="],
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_told_with_its_place_and_a_way_out(tmp_path: Path, mistake: str) -> None:
    files, code, said = MISTAKES[mistake]
    with pytest.raises(SchemaError) as caught:
        load(written(tmp_path, files), KNOWN)
    assert caught.value.code == code, str(caught.value)
    for part in said:
        assert part in str(caught.value), str(caught.value)


def test_what_python_prints_is_no_part_of_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"{HEAD}print('loaded')\n@table()\ndef f(orders):\n    print('called')\n    return orders\n"
    load(written(tmp_path, {"a.py": text}), KNOWN)
    told = capsys.readouterr()
    assert (told.out, told.err) == ("", "loaded\ncalled\n")


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.sql").write_bytes(b"SELECT 'caf\xe9' AS x")
    with pytest.raises(SchemaError, match=r"a\.sql: byte 12 is no UTF-8 text"):
        load(tmp_path, KNOWN)


def test_every_function_that_duckdb_says_varies_is_known_here() -> None:
    with Sql({}) as sql:
        found = sql.arrow(
            "SELECT DISTINCT function_name AS name FROM duckdb_functions() "
            "WHERE stability IN ('VOLATILE', 'CONSISTENT_WITHIN_QUERY') AND function_type = 'scalar'"
        )
    assert set(found["name"].to_pylist()) - VOLATILE == set()


@pytest.mark.parametrize(
    "text",
    [
        "SELECT order_id, o.status AS now FROM orders o",
        "SELECT order_id, 'now()' AS x FROM orders",
        "WITH x AS (SELECT order_id, amount FROM orders) SELECT * FROM x",
        "WITH x AS (SELECT * FROM orders) SELECT order_id, amount FROM x",
        "SELECT count(*) AS n FROM orders",
        "FROM orders SELECT order_id;",
        "SELECT * FROM (SELECT order_id FROM orders) UNION ALL SELECT customer_id FROM customers",
        "SELECT * FROM range(3) AS numbers(n)",
        "-- Item: one of many\n-- Note: the key is made up\n-- And: so on\nSELECT order_id FROM orders",
    ],
)
def test_what_only_looks_like_a_mistake_is_taken(tmp_path: Path, text: str) -> None:
    (one,) = load(written(tmp_path, {"a.sql": text}), KNOWN)
    assert isinstance(one.schema, pa.Schema)
    assert not one.notes


def test_names_are_found_whatever_their_case_and_quotes(tmp_path: Path) -> None:
    known = {'Or"ders': pa.schema([("Order Id", pa.int64()), ("select", pa.string())])}
    text = '-- key: "order id"\nSELECT "ORDER id" AS "Order Id", "select" FROM "or""DERS"'
    (one,) = load(written(tmp_path, {"a b.sql": text}), known)
    assert (one.name, one.reads, one.roles.key) == ("a b", ('Or"ders',), ("Order Id",))
    assert dict(one.lineage) == {
        "Order Id": frozenset({('Or"ders', "Order Id")}),
        "select": frozenset({('Or"ders', "select")}),
    }


def test_underlines_stand_under_what_they_tell_of(tmp_path: Path) -> None:
    files = written(tmp_path, {"a.sql": "SELECT 'ä' AS x, amuont FROM orders"})
    with pytest.raises(SchemaError, match=re.escape("SELECT 'ä' AS x, amuont FROM orders\n" + " " * 19 + "~~~~~~")):
        load(files, KNOWN)
