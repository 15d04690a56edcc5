"""A law on each test: what the values of a column mean."""

from __future__ import annotations

import datetime as dt

import pyarrow as pa
import pytest

from penstock.inference import declared, infer
from penstock.inference.words import stem, words
from penstock.lake import describe, open_source

ROWS = 60


def kinds_of(**columns):
    graph = infer(describe(open_source({"things": pa.table({"thing_id": list(range(ROWS)), **columns})})))
    return {column.name: str(column.kind) for column in graph.table("things").columns}


@pytest.mark.parametrize(
    ("values", "kind"),
    [
        ([n * 1.5 for n in range(ROWS)], "numerical"),
        ([n % 7 for n in range(ROWS)], "numerical"),
        ([n % 2 == 0 for n in range(ROWS)], "categorical"),
        (["red", "green", "blue"] * 20, "categorical"),
        ([f"A long sentence about something, number {n}, that nobody will read again" for n in range(ROWS)], "text"),
        ([f"name {n}" for n in range(ROWS)], "text"),
        ([dt.datetime.fromisoformat("2024-01-01")] * ROWS, "timestamp"),
        ([["a", "b"], ["c"]] * 30, "multicategorical"),
        ([None] * ROWS, "ignored"),
        ([b"\x00"] * ROWS, "ignored"),
        ([{"a": 1}] * ROWS, "ignored"),
        ([[0.5, 0.25]] * ROWS, "ignored"),
    ],
)
def test_kinds_follow_from_the_values(values, kind: str):
    assert kinds_of(x=values)["x"] == kind


def test_a_key_is_an_identifier():
    assert kinds_of(x=[1.0] * ROWS)["thing_id"] == "ID"


def test_an_identifier_that_points_nowhere_but_repeats_is_a_category():
    assert kinds_of(store_id=[n % 5 for n in range(ROWS)], ticket_no=list(range(1000, 1000 + ROWS))) == {
        "thing_id": "ID",
        "store_id": "categorical",
        "ticket_no": "ID",
    }


def test_whole_numbers_named_as_codes_are_categories():
    assert kinds_of(status=[n % 3 for n in range(ROWS)])["status"] == "categorical"


def test_nothing_is_inferred_when_only_the_declared_is_wanted():
    tables = {"users": pa.table({"id": [1, 2], "joined": ["2024-01-01", "2024-01-02"]})}
    table = declared(describe(open_source(tables))).table("users")
    assert (table.key, table.happened) == (None, None)
    assert [(c.name, str(c.dtype), str(c.kind)) for c in table.columns] == [
        ("id", "int", "numerical"),
        ("joined", "string", "categorical"),
    ]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("OwnerUserId", ("owner", "user", "id")),
        ("HTTPStatus", ("http", "status")),
        ("paid", ("paid",)),
        ("orderid", ("order", "id")),
    ],
)
def test_names_are_taken_apart_into_words(name: str, expected: tuple[str, ...]):
    assert words(name) == expected


@pytest.mark.parametrize(
    ("name", "expected"), [("order_lines", ("order", "line")), ("Categories", ("category",)), ("fact_sales", ("sale",))]
)
def test_the_stem_of_a_table_is_its_singular(name: str, expected: tuple[str, ...]):
    assert stem(name) == expected
