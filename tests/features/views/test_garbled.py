"""Whatever a file holds, it is understood or refused in words: nothing else ever comes out."""

from __future__ import annotations

from pathlib import Path

from hypothesis import example, given
from hypothesis import strategies as st

from penstock.errors import RequestError
from penstock.features.views.binding import bind
from penstock.features.views.bound import Bound
from penstock.features.views.chosen import output_names, resolve
from penstock.pipeline.featurefiles.gathered import definitions_of
from penstock.pipeline.featurefiles.pql import pql_view
from penstock.pipeline.projectfile import ProjectFile
from penstock.pipeline.site import Site
from tests.features.views.town import GRAPH

WORDS = st.sampled_from(
    ["driver", "customer", "customers", "orders", "trips", "amount", "km", "customer_id", "driver_id", "v:a", "w:b",
     "v", "w", "COUNT(orders.*, -30, 0)", "amount / 2", "a + b", "float", "int", "1 day", "trips.driver_id", "*", ":"]
)  # fmt: skip
KEYS = st.sampled_from(
    ["key", "table", "joins", "entity", "columns", "keys", "ttl", "expressions", "inputs", "requested", "view",
     "features", "owner", "tags", "a", "b", "driver_id"]
)  # fmt: skip
PLAIN = st.one_of(WORDS, st.integers(), st.floats(), st.booleans(), st.text(max_size=4))
TOLD = st.one_of(PLAIN, st.lists(PLAIN, max_size=3), st.dictionaries(KEYS | WORDS, PLAIN | st.lists(WORDS), max_size=3))
SECTION = st.one_of(st.dictionaries(KEYS, TOLD, max_size=6), PLAIN)


def sections(*names: str) -> st.SearchStrategy[dict[str, object]]:
    return st.dictionaries(st.sampled_from(names), SECTION, max_size=2)


LATEST = {"entity": "driver", "table": "trips", "columns": ["km"]}
ON_DEMAND = {"inputs": {"a": "v:km"}, "expressions": {"b": "a / 2"}}


@given(sections("driver", "customer"), sections("v", "w"), sections("s"))
@example({"driver": {"key": "driver_id"}}, {"v": LATEST, "w": ON_DEMAND}, {"s": {"features": ["w:*", "v:km"]}})
@example(
    {"driver": {"key": "driver_id"}}, {"v": ON_DEMAND, "w": {"inputs": {"a": "v:b"}, "expressions": {"c": "a"}}}, {}
)
def test_sections_are_understood_or_refused(entities, features, services):
    """What is understood can be asked for, whatever it says; and each section is either that or broken, never both."""
    file = ProjectFile(Path("nowhere"), "x", entities=entities, features=features, services=services)
    bound = bind(definitions_of(Site(file, lambda: 0)), GRAPH)
    for one in bound.broken:
        assert one.error.code.startswith(("PROJECT_", "FEATURE_", "PQL_"))
        assert isinstance(one.error, RequestError)
    _asked_for(bound)
    broken = {(one.what, one.name) for one in bound.broken}
    assert sorted((*bound.names, *(name for what, name in broken if what == "view"))) == sorted(features)
    assert sorted((*bound.services, *(name for what, name in broken if what == "service"))) == sorted(services)


def _asked_for(bound: Bound) -> None:
    for name in (*bound.views, *bound.on_demand, *bound.services):
        chosen = resolve(bound, name if name in bound.services else f"{name}:*")
        assert chosen
        assert len(set(output_names(chosen))) == len(chosen)


PIECES = st.sampled_from(
    ["FOR EACH ", "customers.customer_id", "\n", "\n ", "x = ", "y=", "`a b` = ", "COUNT(", ")", "orders.*", ", -30, 0",
     "--", "#", "'", '"', "`", " AND ", "customers.city", "1", "=", "-- owner: ", "\r\n", "\u2028", "\x00", "ß = ", ";"]
)  # fmt: skip


@given(st.one_of(st.lists(PIECES, max_size=25).map("".join), st.text(max_size=60)))
@example("FOR EACH customers.customer_id\nx = COUNT(orders.*, -30, 0)\n")
@example("FOR EACH a.b\nx = '\u2028' = 'y'\ny = 1")
@example("FOR EACH customers.customer_id\nx = ((((1\ny = 2")
def test_a_pql_file_is_understood_or_refused_with_its_line(text):
    """A refusal underlines something that is there."""
    try:
        view = pql_view(Path("v.pql"), text, "features/v.pql")
    except RequestError as error:
        assert error.message.startswith("features/v.pql, line ")
        assert error.span is not None
        assert 0 <= error.span.start <= len(text)
    else:
        assert view.features
        assert all(name in view.about.places for name in view.features)
