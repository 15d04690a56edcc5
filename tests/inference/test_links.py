"""A law on each test: a link needs a name or telling values, and values found among the keys."""

from __future__ import annotations

import pyarrow as pa
import pytest

from penstock.inference import infer
from penstock.lake import SourceRows, describe, open_source


def facts_of(**tables):
    return describe(open_source({name: pa.table(columns) for name, columns in tables.items()}))


def graph_of(**tables):
    return infer(facts_of(**tables))


def links_of(**tables):
    return {str(link): link.to for link in graph_of(**tables).links}


USERS = {"id": list(range(1, 31)), "email": [f"u{n}@x.org" for n in range(30)]}


@pytest.mark.parametrize("name", ["user_id", "UserId", "userid", "OwnerUserId", "last_editor_user_id", "USER_ID"])
def test_a_name_that_ends_with_the_table_points_there(name: str):
    assert links_of(users=USERS, posts={"post_id": [1, 2], name: [3, 3]}) == {f"posts.{name}": "users"}


def test_a_column_named_like_a_key_points_to_it():
    found = links_of(products={"sku": ["A1", "B2", "C3"]}, sales={"sale_id": [1, 2], "sku": ["A1", "A1"]})
    assert found == {"sales.sku": "products"}


def test_two_roles_of_one_table_are_two_links():
    teams = {"team": ["Ajax", "Bari", "Celtic"]}
    matches = {"match_id": [1, 2], "home_team": ["Ajax", "Bari"], "away_team": ["Bari", "Celtic"]}
    assert links_of(teams=teams, matches=matches) == {"matches.home_team": "teams", "matches.away_team": "teams"}


@pytest.mark.parametrize("name", ["reports_to", "ReportsTo", "manager_id", "ParentId"])
def test_a_table_may_point_to_itself(name: str):
    assert links_of(employees={"employee_id": [1, 2, 3], name: [None, 1, 1]}) == {f"employees.{name}": "employees"}


def test_a_role_points_to_the_people_who_have_it():
    employees = {"employee_id": [1, 2, 3]}
    albums = {"album_id": [1, 2, 3]}
    customers = {"customer_id": [9, 8], "support_rep_id": [3, 1]}
    assert links_of(employees=employees, albums=albums, customers=customers) == {
        "customers.support_rep_id": "employees"
    }


def test_small_whole_numbers_that_fit_by_chance_are_no_link():
    reviews = {
        "review_id": [1, 2, 3],
        "rating": [1, 2, 3],
        "post_type_id": [1, 1, 2],
        "users": [4, 5, 6],
        "guests": [1, 2, 2],
    }
    assert links_of(users=USERS, reviews=reviews) == {}


def test_a_name_without_matching_values_is_no_link_and_that_is_said():
    graph = graph_of(users=USERS, posts={"post_id": [1, 2], "user_id": [900, 901]})
    assert graph.links == ()
    assert "posts.user_id is named like a link to users, but none of its values is found in id" in graph.notes


def test_many_dangling_rows_are_no_link_and_that_is_said():
    graph = graph_of(users=USERS, posts={"post_id": [1, 2, 3], "user_id": [1, 2, 99]})
    assert graph.links == ()
    assert any("33% of its rows point nowhere (such as 99)" in note for note in graph.notes)


def test_a_few_dangling_rows_are_tolerated_and_said():
    graph = graph_of(users=USERS, posts={"post_id": list(range(100)), "user_id": [7] * 99 + [99]})
    assert [str(link) for link in graph.links] == ["posts.user_id"]
    assert (
        "posts.user_id: 1 of 100 rows point nowhere (such as 99); they are treated as having no row in users"
        in graph.notes
    )


def test_marks_of_the_unknown_are_tolerated_and_said():
    graph = graph_of(users=USERS, posts={"post_id": [1, 2, 3, 4], "user_id": [1, -1, 0, -1]})
    assert [str(link) for link in graph.links] == ["posts.user_id"]
    assert any("3 rows hold a mark of the unknown" in note for note in graph.notes)


def test_an_entity_that_stands_for_the_unknown_is_said():
    graph = graph_of(users={"id": [-1, 5, 6]}, posts={"post_id": [1, 2, 3], "user_id": [-1, -1, 5]})
    assert any("users.id holds -1" in note and "2 rows point to it" in note for note in graph.notes)


def test_keys_counted_from_zero_hold_no_unknown():
    assert graph_of(users={"id": [0, 1, 2, 3]}).notes == ()


def test_two_tables_equally_plausible_are_said_and_not_guessed():
    graph = graph_of(
        buyers={"person_id": [1, 2]},
        sellers={"person_id": [1, 2]},
        deals={"deal_id": [1, 2, 3], "person_id": [1, 2, 2]},
    )
    assert graph.links == ()
    assert (
        "deals.person_id may point to buyers or sellers, equally well: choose with link('deals.person_id', …)"
        in graph.notes
    )


def test_telling_texts_point_without_a_name():
    teams = {"team": [f"Team {n}" for n in range(20)]}
    cups = {"cup_id": [1, 2, 3, 4, 5, 6], "winner": [f"Team {n}" for n in (1, 2, 3, 4, 5, 1)]}
    assert links_of(teams=teams, cups=cups) == {"cups.winner": "teams"}


def test_short_codes_do_not_point_without_a_name():
    assert links_of(grades={"grade": list("ABCDEF")}, papers={"paper_id": [1, 2, 3, 4, 5], "mark": list("ABCDE")}) == {}


def test_text_and_numbers_are_compared_by_value_and_read_alike():
    facts = facts_of(users=USERS, posts={"post_id": [1, 2], "user_id": ["3", "30"]})
    graph = infer(facts)
    assert [link.to for link in graph.links] == ["users"]
    source = open_source({"users": pa.table(USERS), "posts": pa.table({"post_id": [1, 2], "user_id": ["3", "30"]})})
    assert SourceRows(source, graph, facts).read("posts", ["user_id"])["user_id"].to_pylist() == [3, 30]


def test_a_number_points_to_a_text_key_as_text():
    graph = graph_of(shops={"shop_id": ["1", "2", "X"]}, visits={"visit_id": [1, 2], "shop_id": [1, 2]})
    assert str(graph.table("visits").column("shop_id").dtype) == "string"


def test_null_foreign_keys_do_not_count():
    assert links_of(users=USERS, posts={"post_id": [1, 2, 3], "user_id": [None, 3.0, None]}) == {
        "posts.user_id": "users"
    }


def test_a_composite_key_is_pointed_to_by_all_its_columns():
    lines = {"order_id": [1, 1, 2, 2], "line_no": [1, 2, 1, 2], "quantity": [1, 1, 1, 1]}
    shipments = {"shipment_id": [1, 2, 3], "order_id": [1, 1, 2], "line_no": [2, 1, 2]}
    graph = graph_of(order_lines=lines, shipments=shipments)
    assert [(link.columns, link.to) for link in graph.links] == [(("order_id", "line_no"), "order_lines")]


def test_a_composite_key_that_lacks_a_combination_is_not_pointed_to():
    lines = {"order_id": [1, 1, 2], "line_no": [1, 2, 1]}
    shipments = {"shipment_id": [1, 2], "order_id": [1, 2], "line_no": [2, 2]}
    assert graph_of(order_lines=lines, shipments=shipments).links == ()


def test_a_table_of_one_row_a_user_shares_its_key():
    found = links_of(users=USERS, profiles={"user_id": [1, 2, 3], "motto": ["a", "b", "c"]})
    assert found == {"profiles.user_id": "users"}
