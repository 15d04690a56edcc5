"""Which queries make rows one by one, and how the clock is carried along in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.pipeline.derive.shop import loaded

ONE_BY_ONE = {
    "plain": "SELECT order_id, amount + 1 AS more FROM orders WHERE status = 'new' ORDER BY 1",
    "left": "SELECT o.order_id, c.city FROM orders o LEFT JOIN customers c USING (customer_id)",
    "full": "SELECT o.order_id, c.city FROM orders o FULL JOIN customers c USING (customer_id)",
    "withs": """WITH o AS (SELECT * EXCLUDE (amount) FROM orders), p AS (SELECT o.*, 1 AS one FROM o)
        SELECT order_id, one FROM p""",
    "nested": "SELECT q.m FROM (SELECT amount * 2 AS m FROM orders) AS q, customers",
    "united": "SELECT order_id FROM orders UNION ALL SELECT customer_id FROM customers",
    "shadowed": "WITH orders AS (SELECT * FROM orders WHERE amount > 1) SELECT order_id FROM orders",
    "constants": "SELECT 1 AS one",
    "columns_called_as_tables": "SELECT status FROM orders AS status",
}  # fmt: skip
AS_A_WHOLE = {
    "grouped": "SELECT status, count(*) AS n FROM orders GROUP BY status",
    "aggregate": "SELECT arg_max(order_id, amount) AS o FROM orders",
    "unknown_aggregate": "SELECT kahan_sum(amount) AS o FROM orders",
    "windowed": "SELECT order_id, rank() OVER (ORDER BY amount) AS r FROM orders",
    "distinct": "SELECT DISTINCT status FROM orders",
    "limited": "SELECT order_id FROM orders ORDER BY 1 LIMIT 3",
    "united_once": "SELECT order_id FROM orders UNION SELECT customer_id FROM customers",
    "except_": "SELECT order_id FROM orders EXCEPT SELECT customer_id FROM customers",
    "natural": "SELECT order_id FROM orders NATURAL JOIN customers",
    "asof": "SELECT order_id FROM orders o ASOF JOIN customers c ON o.order_id >= c.customer_id",
    "semi": "SELECT order_id FROM orders SEMI JOIN customers USING (customer_id)",
    "in_": "SELECT order_id FROM orders WHERE customer_id IN (SELECT customer_id FROM customers)",
    "exists": "SELECT order_id FROM orders o WHERE EXISTS (SELECT 1 FROM customers c WHERE c.city = o.status)",
    "scalar": "SELECT order_id, (SELECT max(name) FROM customers) AS n FROM orders",
    "pattern": "SELECT COLUMNS('o.*') FROM orders",
    "whole_row": "SELECT to_json(o)::VARCHAR AS j FROM orders AS o",
    "recursive": """WITH RECURSIVE r AS (SELECT order_id AS n FROM orders UNION ALL SELECT n + 1 FROM r WHERE n < 3)
        SELECT n FROM r""",
}  # fmt: skip


def test_queries_are_told_apart(tmp_path: Path) -> None:
    found = loaded(tmp_path, **ONE_BY_ONE, **AS_A_WHOLE)
    assert {name for name, one in found.items() if one.transparent} == set(ONE_BY_ONE)


def test_only_rows_that_hang_on_no_absence_are_replayed(tmp_path: Path) -> None:
    found = loaded(tmp_path, **ONE_BY_ONE, **AS_A_WHOLE)
    assert {name for name, one in found.items() if one.shape.replayed} == set(ONE_BY_ONE) - {"left", "full"}


@pytest.mark.parametrize(
    ("text", "linear"),
    [
        ("SELECT o.order_id FROM orders o JOIN customers c USING (customer_id)", {"orders", "customers"}),
        ("SELECT o.order_id FROM orders o LEFT JOIN customers c USING (customer_id)", {"orders"}),
        ("SELECT o.order_id FROM orders o RIGHT JOIN customers c USING (customer_id)", set()),
        ("SELECT o.order_id FROM orders o JOIN orders p ON o.order_id = p.customer_id", set()),
        ("WITH o AS (SELECT order_id FROM orders) SELECT a.order_id FROM o AS a JOIN o AS b USING (order_id)", set()),
        ("WITH o AS (SELECT order_id FROM orders) SELECT o.order_id FROM o, customers", {"orders", "customers"}),
        ("WITH o AS (SELECT customer_id FROM orders) SELECT c.name FROM customers c LEFT JOIN o USING (customer_id)",
         {"customers"}),
        ("SELECT order_id FROM orders UNION ALL SELECT customer_id FROM customers", set()),
    ],
)  # fmt: skip
def test_tables_whose_new_rows_alone_give_what_is_new(tmp_path: Path, text: str, linear: set[str]) -> None:
    assert loaded(tmp_path, t=text)["t"].shape.linear == linear
