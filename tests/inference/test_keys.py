"""A law on each test: which column identifies a row, and what is said when none does."""

from __future__ import annotations

import pyarrow as pa

from penstock.inference import infer
from penstock.lake import describe, open_source


def graph_of(**tables):
    return infer(describe(open_source({name: pa.table(columns) for name, columns in tables.items()})))


def key_of(name, /, **columns):
    return graph_of(**{name: columns}).table(name).key


def test_a_column_named_id_is_the_key():
    assert key_of("users", email=["a", "b"], id=[1, 2]) == "id"


def test_a_column_named_after_the_table_is_the_key_however_both_are_written():
    assert key_of("Customers", Name=["a", "b"], CustomerID=[7, 8]) == "CustomerID"
    assert key_of("companies", company_code=["x", "y"], size=[1, 2]) == "company_code"
    assert key_of("dim_product", product_key=[1, 2], sku=["a", "b"]) == "product_key"


def test_a_text_named_like_its_table_is_the_key_but_a_measure_is_not():
    assert key_of("teams", team=["a", "b"]) == "team"
    assert key_of("salaries", person=[1, 1], salary=[100, 200]) is None


def test_a_unique_measure_in_the_first_column_is_no_key():
    assert key_of("readings", level=[1, 5, 9], place=["x", "x", "y"]) is None


def test_the_first_text_that_never_repeats_is_a_key_when_nothing_better_is_there():
    assert key_of("airports", iata=["VIE", "ZRH"], size=[1, 2]) == "iata"


def test_a_key_that_repeats_is_none_and_that_is_said():
    graph = graph_of(users={"user_id": [1, 1, 2], "name": ["a", "b", "c"]})
    assert graph.table("users").key is None
    assert any("users.user_id is named like a key, but 1 of 3 rows repeat a value" in note for note in graph.notes)


def test_null_keys_are_said_and_do_not_prevent_a_key():
    graph = graph_of(users={"user_id": [1, None, 2, 3], "name": ["a", "b", "c", "d"]})
    assert graph.table("users").key == "user_id"
    assert "users.user_id: 1 of 4 rows have no key; they are nobody's" in graph.notes


def test_a_composite_key_is_the_smallest_combination_of_identifiers_that_never_repeats():
    graph = graph_of(playlist_track={"playlist_id": [1, 1, 2], "track_id": [1, 2, 1], "rank_id": [1, 2, 3]})
    assert graph.table("playlist_track").keys in {("rank_id",), ("playlist_id", "track_id")}
    graph = graph_of(playlist_track={"playlist_id": [1, 1, 2, 2], "track_id": [1, 2, 1, 2], "added": [1, 1, 1, 2]})
    assert graph.table("playlist_track").key == ("playlist_id", "track_id")


def test_versions_of_a_row_share_its_key_when_a_known_clock_tells_them_apart():
    graph = graph_of(
        accounts={
            "account_id": [1, 1, 2],
            "known_at": pa.array([0, 10, 0], pa.timestamp("us")),
            "is_deleted": [False, True, False],
        }
    )
    table = graph.table("accounts")
    assert (table.key, table.known, table.deleted) == ("account_id", "known_at", "is_deleted")


def test_whole_floats_are_read_as_ints_in_a_key():
    table = graph_of(users={"id": [1.0, 2.0], "height": [1.5, 2.0]}).table("users")
    assert (table.key, str(table.column("id").dtype)) == ("id", "int")


def test_fractions_are_no_key():
    assert key_of("users", id=[1.5, 2.5]) is None


def test_an_empty_table_still_has_the_key_its_names_say():
    assert key_of("users", id=pa.array([], pa.int64()), name=pa.array([], pa.string())) == "id"


def test_each_choice_says_why():
    why = graph_of(users={"id": [1, 2]}).table("users").why
    assert why == ("key id: named id, every value once",)
