"""A law on each test: what a person says wins, unless the values deny it."""

from __future__ import annotations

import pyarrow as pa
import pytest

from penstock.errors import SchemaError
from penstock.inference import declared, infer, link, set_column, set_table, unlink
from penstock.lake import SourceRows, describe, open_source

TABLES = {
    "users": pa.table({"id": [1, 2, 3], "code": ["a", "b", "c"], "city": ["x", "x", "y"], "joined": [1.5, 2.0, 3.0]}),
    "orders": pa.table(
        {
            "order_id": [1, 2, 3, 4],
            "buyer": [1, 2, 2, 9],
            "who": ["a", "b", "zz", None],
            "placed": ["2024-01-01", "2024-01-02", "2024-01-03", None],
            "loaded_at": pa.array([0, 1, 2, 3], pa.timestamp("us")),
            "gone": [False, False, True, False],
            "seen": [1_700_000_000] * 4,
            "status": [0, 1, 2, 1],
        }
    ),
}
SOURCE = open_source(TABLES)
FACTS = describe(SOURCE)
GRAPH = infer(FACTS)


def test_a_key_set_by_hand_replaces_the_inferred_one():
    graph = set_table(GRAPH, "users", key="code", facts=FACTS)
    table = graph.table("users")
    assert (table.key, str(table.column("code").kind), str(table.column("id").kind)) == ("code", "ID", "numerical")
    assert table.why[0] == "key code: set by hand"
    assert GRAPH.table("users").key == "id"


def test_a_key_may_have_several_columns_or_be_taken_away():
    assert set_table(GRAPH, "orders", key=["order_id", "buyer"]).table("orders").key == ("order_id", "buyer")
    assert set_table(GRAPH, "orders", key=None).table("orders").key is None


def test_a_key_that_repeats_is_refused():
    with pytest.raises(SchemaError, match="city cannot be the key of users: its values repeat") as raised:
        set_table(GRAPH, "users", key="city", facts=FACTS)
    assert raised.value.candidates == ("id", "code")


def test_clocks_are_set_and_taken_away():
    graph = set_table(GRAPH, "orders", time="placed", known="loaded_at", deleted="gone", facts=FACTS)
    table = graph.table("orders")
    assert (table.happened, table.known, table.deleted) == ("placed", "loaded_at", "gone")
    assert set_table(graph, "orders", time=None).table("orders").happened is None
    assert set_table(graph, "orders", time=None).table("orders").known == "loaded_at"


def test_a_text_that_holds_dates_may_be_a_time_even_where_nothing_is_inferred():
    graph = set_table(declared(FACTS), "orders", time="placed", facts=FACTS)
    found = SourceRows(SOURCE, graph, FACTS).read("orders", ["placed"])
    assert found.schema.field("placed").type == pa.timestamp("us")


def test_a_number_since_1970_may_be_a_time_whatever_its_name():
    graph = set_table(GRAPH, "orders", time="seen", facts=FACTS)
    found = SourceRows(SOURCE, graph, FACTS).read("orders", ["seen"])
    assert found["seen"][0].as_py().year == 2023


def test_what_is_no_time_is_refused():
    with pytest.raises(SchemaError, match=r"users\.city cannot be read as instants") as raised:
        set_table(GRAPH, "users", time="city", facts=FACTS)
    assert raised.value.hint is not None


def test_names_that_do_not_exist_are_refused_with_those_that_do():
    with pytest.raises(SchemaError, match="there is no table 'user'") as raised:
        set_table(GRAPH, "user", key="id")
    assert raised.value.suggestion == "users"
    with pytest.raises(SchemaError, match="users has no column 'idd'"):
        set_table(GRAPH, "users", key="idd")
    with pytest.raises(SchemaError, match="orders has no column 'statsu'") as raised:
        set_column(GRAPH, "orders.statsu", kind="categorical")
    assert raised.value.suggestion == "status"
    with pytest.raises(SchemaError, match="'status' names no column"):
        set_column(GRAPH, "status", kind="categorical")


def test_a_kind_is_set():
    column = set_column(GRAPH, "orders.status", kind="categorical").table("orders").column("status")
    assert (str(column.kind), column.why) == ("categorical", "set by hand")


def test_a_kind_that_does_not_exist_or_fit_is_refused():
    with pytest.raises(SchemaError, match="there is no kind 'category'") as raised:
        set_column(GRAPH, "orders.status", kind="category")
    assert raised.value.suggestion == "categorical"
    with pytest.raises(SchemaError, match="cannot be numerical"):
        set_column(GRAPH, "users.city", kind="numerical")


def test_a_link_by_hand_says_what_dangles():
    graph = link(GRAPH, "orders.buyer", "users", facts=FACTS)
    assert [(str(k), k.to, k.why) for k in graph.links] == [("orders.buyer", "users", "set by hand")]
    assert "orders.buyer: 1 of 4 rows point nowhere (such as 9)" in graph.notes
    assert str(graph.table("orders").column("buyer").kind) == "ID"


def test_a_link_of_which_nothing_is_found_is_refused():
    with pytest.raises(SchemaError, match=r"orders\.status cannot point to users|cannot be compared"):
        link(set_table(GRAPH, "users", key="code"), "orders.status", "users", facts=FACTS)


def test_a_link_to_a_table_without_a_key_is_refused():
    with pytest.raises(SchemaError, match="users has no key to point to"):
        link(set_table(GRAPH, "users", key=None), "orders.buyer", "users")


def test_a_link_with_too_few_columns_is_refused():
    graph = set_table(GRAPH, "users", key=("id", "code"))
    with pytest.raises(SchemaError, match="the key of users is id, code"):
        link(graph, "orders.buyer", "users")


def test_a_composite_link_by_hand():
    graph = link(set_table(GRAPH, "users", key=("id", "code")), ["orders.buyer", "orders.who"], "users", facts=FACTS)
    assert graph.links[0].columns == ("buyer", "who")
    assert any(note.startswith("orders.buyer+who: 1 of 3 rows point nowhere") for note in graph.notes)


def test_unlinking_takes_a_link_away():
    graph = unlink(link(GRAPH, "orders.buyer", "users", facts=FACTS), "orders.buyer")
    assert graph.links == ()
    assert graph.notes == GRAPH.notes


def test_unlinking_what_is_not_linked_is_refused():
    with pytest.raises(SchemaError, match=r"there is no link from orders\.status"):
        unlink(GRAPH, "orders.status")
