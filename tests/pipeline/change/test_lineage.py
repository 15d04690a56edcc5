from __future__ import annotations

from pathlib import Path

import pytest

from penstock.errors import RefusedError
from penstock.pipeline.change import Dependant, compare, judged
from penstock.pipeline.derive import lineage_of
from tests.pipeline.change.made import of
from tests.pipeline.derive.shop import loaded

DAILY = "SELECT date_trunc('day', placed_at) AS day, SUM(amount) AS revenue FROM orders GROUP BY 1"
BEST = "SELECT day FROM daily WHERE revenue > 100"
PLACED = "SELECT order_id, placed_at FROM orders"


def test_a_rename_breaks_what_is_derived_from_derived_tables_and_declaring_it_mends_all(tmp_path: Path):
    derivations = loaded(tmp_path, daily=DAILY, best=BEST, placed=PLACED)
    downstream = lineage_of(derivations.values()).downstream
    dependants = [
        Dependant("endpoint", "/predict/revenue", frozenset({("daily", "revenue")})),
        Dependant("check", "best has days", frozenset({("best", "day")})),
        Dependant("query", "how many", frozenset({("placed", "placed_at")})),
    ]
    ids, amounts = list(range(100)), [n * 1.5 for n in range(100)]
    before, after = of(order_id=ids, amount=amounts), of(order_id=ids, payment_amount=amounts)
    with pytest.raises(RefusedError, match=r"CHANGE_BREAKS: orders: amount is now called payment_amount") as caught:
        judged(compare(before, after), "orders", dependants, downstream).must_pass()
    assert "breaks endpoint /predict/revenue, check best has days" in caught.value.message
    assert "exists:" not in str(caught.value)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith('[tables.orders]\n  renames = { amount = "payment_amount" }')
    mended = judged(compare(before, after, {"amount": "payment_amount"}), "orders", dependants, downstream)
    assert mended.passes
    assert mended.advice == ()
