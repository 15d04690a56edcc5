"""A catalogue of mistakes: what each is called, what is underlined, what is said. Every one also says what to try."""

from __future__ import annotations

from pathlib import Path

import pytest

from penstock import language
from penstock.errors import QueryError
from penstock.schema import Graph
from tests.language.shop import POST_GRAPH, SHOP_GRAPH

CASES = Path(__file__).parent / "cases" / "mistakes.txt"


def catalogue() -> list[tuple[str, str, str]]:
    """Query, underline and first line of each mistake in the catalogue."""
    blocks = CASES.read_text().strip().split("\n\n")[1:]
    return [(text, under, first) for text, under, first in (block.split("\n") for block in blocks)]


MISTAKES = catalogue()
BETWEEN_TABLES = [
    (
        "PREDICT COUNT(letters.*, 0, 30) FOR EACH people.pid",
        "PQL_JOIN_AMBIGUOUS_FOREIGN_KEY",
        "COUNT(letters.*, 0, 30)",
        ("letters.from_id", "letters.to_id"),
        "Choose with VIA: COUNT(letters.* VIA letters.from_id, …).",
    ),
    (
        "PREDICT COUNT(stamps.*, 0, 30) FOR EACH people.pid",
        "PQL_JOIN_AMBIGUOUS_FOREIGN_KEY",
        "COUNT(stamps.*, 0, 30)",
        ("letters.from_id, stamps.lid", "letters.to_id, stamps.lid"),
        "Choose with VIA: COUNT(stamps.* VIA letters.from_id, stamps.lid, …).",
    ),
    (
        "PREDICT cities.pop FOR EACH people.pid",
        "PQL_JOIN_AMBIGUOUS_FOREIGN_KEY",
        "cities.pop",
        ("people.city_id", "people.home_id"),
        "Unlink the ones this query does not mean.",
    ),
    (
        "PREDICT COUNT(letters.* VIA stamps.lid, 0, 30) FOR EACH people.pid",
        "PQL_JOIN_MISSING_FOREIGN_KEY",
        "COUNT(letters.* VIA stamps.lid, 0, 30)",
        ("letters.from_id", "letters.to_id"),
        "Name links that lie on one way.",
    ),
    (
        "PREDICT COUNT(letters.* VIA letters.to_id WHERE COUNT(stamps.*, -1, 1) > 0, 0, 30) FOR EACH people.pid",
        "PQL_TIME_STRADDLES_CUTOFF",
        "COUNT(stamps.*, -1, 1)",
        (),
        "Split it in two: one window up to 0, and one from 0 to 1.",
    ),
]


def refusal(text: str, graph: Graph = SHOP_GRAPH, **how: object) -> QueryError:
    """The error of a wrong query."""
    with pytest.raises(QueryError, match=r"^PQL_") as caught:
        language.query(text, graph, **how)  # type: ignore[arg-type]
    assert caught.value.text is not None and caught.value.span is not None
    assert caught.value.hint, "every error says what to try"
    return caught.value


def underlined(error: QueryError) -> str:
    """The text that the error underlines."""
    assert error.text is not None and error.span is not None
    return error.text[error.span.start : error.span.end]


def test_the_catalogue_is_long_and_names_every_kind_of_code() -> None:
    assert len(MISTAKES) >= 100
    families = {first.split("_")[1] for _, _, first in MISTAKES}
    assert families >= {"PARSE", "SCHEMA", "TARGET", "TASK", "TIME", "TYPE", "JOIN", "MODEL", "VALUE"}


@pytest.mark.parametrize(("text", "under", "first"), MISTAKES)
def test_a_mistake_is_named_and_underlined(text: str, under: str, first: str) -> None:
    lines = str(refusal(text)).splitlines()
    assert lines[:4] == [first, "", f"  {text}", f"  {under}"]


def test_no_text_at_all_is_a_mistake_too() -> None:
    assert refusal("").message == "expected PREDICT, found the end"


@pytest.mark.parametrize(("text", "code", "place", "ways", "hint"), BETWEEN_TABLES)
def test_an_unclear_way_is_named_with_the_ways_there_are(
    text: str, code: str, place: str, ways: tuple[str, ...], hint: str
) -> None:
    error = refusal(text, POST_GRAPH)
    assert (error.code, underlined(error), error.candidates, error.hint) == (code, place, ways, hint)


def test_a_misspelled_name_comes_with_what_exists_and_the_likely_one() -> None:
    error = refusal("PREDICT SUM(orders.pirce, 0, 30) FOR EACH users.user_id")
    assert error.name == "pirce" and "price" in error.candidates and error.suggestion == "price"
    assert refusal("PREDICT COUNT(order.*, 0, 30) FOR EACH users.user_id").suggestion == "orders"
    assert refusal("PREDICT SUMM(orders.price, 0, 30) FOR EACH users.user_id").suggestion == "SUM"
    assert refusal("PREDICT SUM(orders.price, 0, 30, dais) FOR EACH users.user_id").suggestion == "days"
    assert refusal("PREDICT chrun FOR EACH users.user_id", named={"churn": "users.age"}).suggestion == "churn"


def test_a_mistake_on_a_later_line_is_underlined_there() -> None:
    error = refusal("PREDICT COUNT(orders.*, 0, 30)\nFOR EACH users.user_id\nWHERE users.agee > 18  # adults")
    assert error.span is not None and error.text is not None
    assert error.span.line_and_column(error.text) == (3, 13)
    assert "  WHERE users.agee > 18  # adults\n              ~~~~\n" in str(error)


def test_names_that_define_themselves_are_refused() -> None:
    error = refusal("PREDICT a FOR EACH users.user_id", named={"a": "b + 1", "b": "a + 1"})
    assert error.code == "PQL_TARGET_CIRCULAR_NAME" and underlined(error) == "a"


def test_a_mistake_inside_a_named_target_is_underlined_at_its_name() -> None:
    error = refusal("PREDICT churn FOR EACH users.user_id", named={"churn": "COUNT(oders.*, 0, 90) = 0"})
    assert error.code == "PQL_SCHEMA_UNKNOWN_TABLE" and underlined(error) == "churn" and error.suggestion == "orders"


def test_a_named_target_that_says_its_task_must_stand_alone() -> None:
    named = {"next": "LIST_DISTINCT(orders.item_id, 0, 30) RANK TOP 10"}
    assert language.query("PREDICT next FOR EACH users.user_id", SHOP_GRAPH, named=named).top_k == 10
    error = refusal("PREDICT next RANK TOP 5 FOR EACH users.user_id", named=named)
    assert error.code == "PQL_TASK_NAMED_TARGET" and "RANK TOP 10" in error.message


def test_an_unknown_dialect_is_refused_with_the_ones_there_are() -> None:
    with pytest.raises(QueryError, match=r"no dialect .sql.") as caught:
        language.query("PREDICT users.age FOR EACH users.user_id", SHOP_GRAPH, "sql")
    assert caught.value.candidates == ("kumo",)


def test_an_extension_is_refused_by_name_in_the_strict_dialect() -> None:
    error = refusal("PREDICT COUNT(orders.*, 0, 30, day) FOR EACH users.user_id", dialect="kumo")
    assert error.message == "the strict dialect does not have units in the singular" and underlined(error) == "day"
    assert error.hint == "Leave dialect='kumo' out: Penstock's own dialect has it."
