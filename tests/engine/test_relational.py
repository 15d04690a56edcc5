"""Tables as queries find them: whole columns, read once each."""

from __future__ import annotations

from penstock.engine.relational import ROW, Relational
from penstock.settings import Settings
from tests.engine.test_oracle import shop

SETTINGS = Settings(memory=1 << 28, threads=1, cache=None)


def test_the_number_of_a_row_comes_beside_columns_that_are_there_already() -> None:
    relational = Relational(shop(), SETTINGS)
    relational.source("orders", ["price"])
    relational.source("orders", [ROW, "price"])
    read = relational.read("orders", [ROW, "price", "order_id"])
    assert len({*read.column_names}) == len(read.column_names) == 3
    assert read[ROW].to_pylist() == list(range(len(read)))
    assert read.drop_columns([ROW]).equals(relational.rows.read("orders", ["price", "order_id"]))
