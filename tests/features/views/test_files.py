"""Features are read from three kinds of files, whole or refused with the file and the line."""

from __future__ import annotations

import ast
import itertools
from collections.abc import Iterator
from dataclasses import replace

import pytest

from penstock.errors import PenstockError, RequestError
from penstock.features.definitions import Feature, FeatureSet
from penstock.features.feast import write_project
from penstock.features.views.binding import bind
from penstock.features.views.declared import (
    Definitions,
    Entity,
    ExpressionView,
    LatestView,
    OnDemandView,
    RoleView,
    Service,
)
from penstock.features.views.settling import fitting, written
from penstock.language import feature
from penstock.pipeline.featurefiles import definitions_of
from penstock.pipeline.featurefiles.python import python_declared
from penstock.pipeline.projectfile import read_project
from penstock.pipeline.site import Site
from penstock.schema import Dtype, Graph, Link
from tests.features.feast.repos import DRIVERS
from tests.features.feast.repos import written as written_repo
from tests.features.views.town import FLOAT, GRAPH, INT, TIME, read, site, table

TOML = """
[entities.driver]
key = "driver_id"
joins = { trips = "driver_id", shifts = [] }
description = "Who drives."
owner = "fleet"
tags = { tier = "gold" }

[entities.stock]
key = ["shop", "item"]
table = "stock"

[features.trip]
entity = "driver"
table = "trips"
columns = ["km"]
ttl = "36 hours"

[features.count]
entity = "stock"
table = "stock"
columns = { left = "count" }
keys = ["shop", "item"]
ttl = 0

[features.recent]
entity = "customers.customer_id"
expressions = { orders_30d = "COUNT(orders.*, -30, 0, days)" }

[features.risk]
inputs = { n = "recent:orders_30d" }
requested = { amount = "float" }
expressions = { ratio = "amount / n" }

[features.clock]
expressions = { one = "1 + 1" }

[features.other]
view = "trip"
keys = { driver_id = "other_id" }

[services.fraud]
features = ["risk:*", "trip:km"]
"""


def test_a_projects_file_declares_entities_views_and_services(tmp_path):
    found = read(tmp_path, toml=TOML)
    driver = found.entities["driver"]
    assert driver == Entity("driver", ("driver_id",), None, {"trips": ("driver_id",), "shifts": ()}, driver.about)
    assert (driver.about.owner, driver.about.tags) == ("fleet", {"tier": "gold"})
    assert driver.about.place == "penstock.toml: [entities.driver]"
    assert found.entities["stock"].keys == ("shop", "item")
    plain = {name: type(view) for name, view in found.views.items()}
    assert plain == {"trip": LatestView, "count": LatestView, "recent": ExpressionView, "risk": OnDemandView,
                     "clock": OnDemandView, "other": RoleView}  # fmt: skip
    trip, count = found.views["trip"], found.views["count"]
    assert isinstance(trip, LatestView)
    assert isinstance(count, LatestView)
    assert (trip.features, trip.ttl) == ({"km": "km"}, 36 * 3_600_000_000)
    assert (count.features, count.keys, count.ttl) == ({"left": "count"}, ("shop", "item"), None)
    assert found.services["fraud"] == Service("fraud", ("risk:*", "trip:km"), found.services["fraud"].about)
    assert bind(found, GRAPH).on_demand["risk"].feature("ratio").dtype is Dtype.FLOAT


PQL = """-- owner: growth
# description: How much
-- description: they order.
-- tag tier: gold
-- tag used by: nobody

for each customers.customer_id;

orders_30d = COUNT(orders.*, -30, 0, days)   -- why
# orders_60d = COUNT(orders.*, -60, 0, days)
spent = SUM(orders.amount WHERE customers.city = '# -- (',
-90,
0)
`two lines` = 1 +
    2

größe = customers.city = "-- '"
"""


def test_a_pql_file_is_a_view_with_a_line_a_feature(tmp_path):
    view = read(tmp_path, recent_pql=PQL).views["recent"]
    assert isinstance(view, ExpressionView)
    assert view.entity == "customers.customer_id"
    assert {name: " ".join(text.split()) for name, text in view.features.items()} == {
        "orders_30d": "COUNT(orders.*, -30, 0, days)",
        "spent": "SUM(orders.amount WHERE customers.city = '# -- (', -90, 0)",
        "two lines": "1 + 2",
        "größe": 'customers.city = "-- \'"',
    }
    assert (view.about.owner, view.about.description) == ("growth", "How much they order.")
    assert view.about.tags == {"tier": "gold"}
    assert view.about.places["spent"] == "features/recent.pql, line 11"
    assert view.about.place == "features/recent.pql"


def test_a_pql_file_may_name_a_declared_entity(tmp_path):
    toml = '[entities."my driver"]\nkey = "driver_id"'
    found = read(tmp_path, toml=toml, a_pql="FOR EACH `my driver`\nn = COUNT(trips.*, -9, 0)")
    assert bind(found, GRAPH).views["a"].entity.name == "my driver"


PYTHON = '''"""Features in code."""
from datetime import timedelta
from penstock.features import calculated, entity, expressions, latest, on_demand, role, service

driver = entity("driver", "driver_id", owner="fleet")
trip = latest("trip", driver, "trips", ["km"], ttl=timedelta(hours=36))
again = trip
views = [
    expressions("shifts", driver, {"n": "COUNT(shifts.*, -30, 0, days)"}),
    role("other", trip, {"driver_id": "other_id"}),
]
long = calculated("long", {"long": "km > 9"}, inputs={"km": "trip:km"})

@on_demand({"double": "float"}, inputs={"km": "trip:km"}, requested={"amount": "float"})
def doubled(rows):
    """Twice."""
    return {"double": rows["amount"]}

fraud = service("fraud", ["doubled:double", "other:*"])
'''


def test_a_python_file_declares_the_values_it_holds(tmp_path):
    found = read(tmp_path, code_py=PYTHON)
    assert list(found.views) == ["trip", "shifts", "other", "long", "doubled"]
    doubled = found.views["doubled"]
    assert isinstance(doubled, OnDemandView)
    assert doubled.function is not None
    assert (doubled.about.description, doubled.about.place) == ("Twice.", "features/code.py, line 15")
    assert doubled.features == {"double": "float"}
    bound = bind(found, GRAPH)
    assert bound.on_demand["doubled"].used("double") == ("km", "amount")
    assert bound.views["trip"].ttl == 36 * 3_600_000_000
    assert list(bound.services) == ["fraud"]


def test_files_that_begin_with_an_underscore_are_passed_over(tmp_path):
    assert read(tmp_path, _draft_pql="nothing", _old_py="1 / 0") == Definitions()


def test_a_folder_without_features_has_none(tmp_path):
    (tmp_path / "penstock.toml").write_text("")
    assert read(tmp_path) == Definitions()


LINE = "FOR EACH customers.customer_id\n"
LATEST = "[features.x]\ncolumns = ['a']\ntable = 't'\nentity = 'e'\n"
REQUESTED = "[features.x]\nexpressions = { a = 'r' }\nrequested = { r = 'flote' }"
IMPORTED = "from penstock.features import calculated, latest\n"
MISTAKES = [
    ({"toml": "[entities.a]\nkey = 7"}, "PROJECT_VALUE", "penstock.toml: [entities.a] key is 7"),
    ({"toml": "[entities.a]\ntable = 'x'"}, "PROJECT_MISSING", "[entities.a] does not say key"),
    ({"toml": "[entities.a]\nkey = 'x'\ncolour = 1"}, "PROJECT_KEY", "[entities.a]: there is no key 'colour'"),
    ({"toml": "[features]\nx = 1"}, "PROJECT_VALUE", "[features.x] is no section"),
    ({"toml": "[features.x]\nentity = 'a'"}, "PROJECT_MISSING", "does not say what its features are"),
    ({"toml": "[features.x]\nquery = 'churn'"}, "PROJECT_KEY", "[features.x]: a query is no view"),
    ({"toml": "[features.x]\ncolumns = ['a']\ntable = 't'"}, "PROJECT_MISSING", "[features.x] does not say entity"),
    ({"toml": "[features.x]\ncolumns = 7\ntable = 't'\nentity = 'e'"}, "PROJECT_VALUE", "columns names no columns"),
    ({"toml": "[features.x]\ncolumns = ['a', 'a']\ntable = 't'\nentity = 'e'"}, "FEATURE_TWICE", "a column twice"),
    ({"toml": LATEST + "ttl = '1 fortnight'"}, "FEATURE_TTL", "[features.x] ttl: '1 fortnight'"),
    ({"toml": LATEST + "ttl = -1"}, "FEATURE_TTL", "-1 is no length"),
    ({"toml": LATEST + "ttl = 0.0000001"}, "FEATURE_TTL", "1e-07 is no length"),
    ({"toml": LATEST + "ttl = '0.0000001 seconds'"}, "FEATURE_TTL", "'0.0000001 seconds' is no length"),
    ({"toml": LATEST + "ttl = true"}, "FEATURE_TTL", "True is no length"),
    ({"toml": LATEST + "ttl = nan"}, "FEATURE_TTL", "nan is no length"),
    ({"toml": LATEST + "ttl = []"}, "PROJECT_VALUE", "no length of time"),
    ({"toml": "[features.x]\nexpressions = { a = 1 }"}, "PROJECT_VALUE", "[features.x] expressions.a is 1"),
    ({"toml": REQUESTED}, "FEATURE_DTYPE", "[features.x] requested: r cannot be 'flote'"),
    ({"toml": "[features.x]\nview = 'y'"}, "PROJECT_MISSING", "[features.x] does not say keys"),
    ({"toml": "[services.x]\n"}, "PROJECT_MISSING", "[services.x] does not say features"),
    ({"a_pql": ""}, "FEATURE_PQL", "features/a.pql, line 1: expected FOR EACH"),
    ({"a_pql": "-- only a comment\n"}, "FEATURE_PQL", "expected FOR EACH"),
    ({"a_pql": "x = 1\n"}, "FEATURE_PQL", "features/a.pql, line 1: expected FOR EACH"),
    ({"a_pql": LINE}, "FEATURE_PQL", "features/a.pql, line 1: there are no features"),
    ({"a_pql": LINE + "\nCOUNT(orders.*, -9, 0)"}, "FEATURE_PQL", "features/a.pql, line 3: expected name = expression"),
    ({"a_pql": LINE + "x = 1\n\nx = 2"}, "FEATURE_TWICE", "line 4: x is declared already (features/a.pql, line 2)"),
    ({"a_py": "x ="}, "FEATURE_PYTHON", "features/a.py, line 1: invalid syntax"),
    ({"a_py": "\n1 / 0"}, "FEATURE_PYTHON", "features/a.py, line 2: it cannot be run: ZeroDivisionError"),
    ({"a_py": "import sys\nsys.exit(3)"}, "FEATURE_PYTHON", "features/a.py, line 2: it cannot be run: SystemExit"),
    ({"a_py": IMPORTED + "latest('a', 'b', 't', ['c'], ttl='soon')"}, "FEATURE_TTL", "line 2: 'soon' is no length"),
    ({"a_py": IMPORTED + "calculated('a', {'x': 1})"}, "FEATURE_VALUE", "line 2: x in features is 1, which is no text"),
    ({"a_py": IMPORTED + "latest('a', None, 't', ['c'])"}, "FEATURE_VALUE", "features/a.py, line 2"),
    ({"a_pql": LINE + "x = 1", "a_py": IMPORTED + "x = calculated('a', {'x': '1'})"},
     "FEATURE_TWICE", "features/a.pql and features/a.py, line 2 both declare a view a"),
    ({"toml": "[features.a]\nexpressions = { x = '1' }", "a_pql": LINE + "x = 1"},
     "FEATURE_TWICE", "penstock.toml: [features.a] and features/a.pql both declare a view a"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "code", "words"), MISTAKES, ids=[f"{at}-{one[1]}" for at, one in enumerate(MISTAKES)]
)
def test_a_mistake_is_told_with_its_file(tmp_path, files, code, words):
    with pytest.raises(RequestError) as caught:
        read(tmp_path, **files)
    assert caught.value.code == code
    assert words in caught.value.message


def test_a_file_that_is_no_text_is_told(tmp_path):
    where = site(tmp_path, a_pql="")
    (tmp_path / "features" / "a.pql").write_bytes(b"FOR EACH \xff")
    with pytest.raises(RequestError, match=r"features/a.pql: byte 10 is no UTF-8 text"):
        read(tmp_path)
    assert where.file.folder == tmp_path


def test_the_line_that_is_wrong_is_underlined(tmp_path):
    with pytest.raises(RequestError) as caught:
        read(tmp_path, a_pql=LINE + "# one\nthis is nothing  # two\n")
    assert "  this is nothing\n  ~~~~~~~~~~~~~~~" in str(caught.value).replace("  # two", "")


def test_an_expression_that_does_not_fit_is_told_with_its_line(tmp_path):
    found = read(tmp_path, a_pql=LINE + "x = COUNT(orders.*,\n   -9, 0)\ny = SUM(orders.amuont, -9, 0)")
    with pytest.raises(PenstockError) as caught:
        bind(found, GRAPH).must_be_sound()
    assert caught.value.message == "features/a.pql, line 4: a:y: orders has no column 'amuont'"
    assert caught.value.suggestion == "amount"
    assert "SUM(orders.amuont, -9, 0)\n             ~~~~~~" in str(caught.value)


@pytest.mark.parametrize(
    "function",
    ["functools.partial(dict)", "lambda rows: {'x': pc.add(rows['a'], FACTOR)}", "made(FACTOR)", "textwrap.dedent"],
)
def test_a_function_that_is_not_defined_in_the_file_is_refused(tmp_path, function):
    """Its version would not rest on all that it does: on FACTOR, or on another module."""
    text = "import functools, textwrap\nimport pyarrow.compute as pc\n"
    text += "from penstock.features import on_demand\nFACTOR = 2\n"
    text += "def made(n):\n    def inner(rows):\n        return {'x': pc.add(rows['a'], n)}\n    return inner\n"
    text += f"w = on_demand({{'x': 'float'}}, requested={{'a': 'float'}}, name='w')({function})\n"
    with pytest.raises(RequestError, match="w: its function is not defined in the file") as caught:
        read(tmp_path, a_py=text)
    assert "with def" in str(caught.value)


SOUND: dict[str, tuple[str, dict[str, str]]] = {
    "entity": ("'z', 'z_id'", {"joins": "{'orders': ['a']}", "table": "'orders'"}),
    "latest": ("'z', 'customer', 'orders', ['amount']", {"keys": "['a']", "ttl": "3"}),
    "expressions": ("'z', 'customer', {'x': '1'}", {}),
    "role": ("'z', 'v', {'a': 'b'}", {}),
    "calculated": ("'z', {'x': '1'}", {"inputs": "{'a': 'v:x'}", "requested": "{'r': 'int'}"}),
    "on_demand": ("{'x': 'int'}", {"name": "'z'", "inputs": "{'a': 'v:x'}", "requested": "{'r': 'int'}"}),
    "service": ("'z', ['v:x']", {"description": "''", "owner": "''", "tags": "{'a': 'b'}"}),
}
JUNK = ["3", "1.5", "b'x'", "[3]", "{'a': 3}", "{3: 'a'}", "[['a']]", "{'a', 'b'}", "str", "lambda x: x", "object()"]


def misuses() -> Iterator[str]:
    """Every argument of every declaring function as something that it cannot be."""
    for function, (positional, keywords) in SOUND.items():
        given = [ast.unparse(one) for one in ast.parse(f"f({positional})").body[0].value.args]  # type: ignore[attr-defined]
        for at, junk in itertools.product(range(len(given)), JUNK):
            yield f"{function}({', '.join([*given[:at], junk, *given[at + 1 :]])})"
        for name, junk in itertools.product(keywords, JUNK):
            if (name, junk) != ("ttl", "3") and (name, junk) != ("ttl", "1.5"):
                yield f"{function}({positional}, {name}={junk})"


def test_every_argument_of_another_kind_is_told_and_breaks_nothing_else(tmp_path):
    """With its place and in plain words; never as what went wrong inside."""
    lines = list(misuses())
    codes = []
    for at, line in enumerate(lines):
        (tmp_path / f"m{at}.py").write_text(f"from penstock.features import *\nz = {line}\n")
    for at, line in enumerate(lines):
        path = tmp_path / f"m{at}.py"
        with pytest.raises(RequestError, match=rf": features/m{at}.py, line 2: ") as caught:
            list(python_declared(path, path.read_text(), f"features/m{at}.py"))
        codes.append(caught.value.code)
        assert caught.value.code in ("FEATURE_VALUE", "FEATURE_DTYPE", "FEATURE_TTL"), line
    assert len(codes) > 150


def test_a_service_may_list_views_that_the_file_declares(tmp_path):
    """As texts, by themselves for all that they have, or one alone."""
    file = "from penstock.features import expressions, role, service\n"
    file += "v = expressions('v', 'customer', {'x': 'customers.city'})\n"
    for listed in ("v", "[v]", "['v:*']", "(v,)"):
        found = read(tmp_path, a_py=f"{file}s = service('s', {listed})\nr = role('r', v, {{'customer_id': 'x'}})\n")
        assert found.services["s"].features == ("v:*",)
        assert found.views["r"].view == "v"


def test_what_is_taken_over_from_feast_is_read(tmp_path):
    """What the importer writes is what is read here."""
    imported = write_project(written_repo(tmp_path / "repo", {"definitions.py": DRIVERS}), tmp_path / "taken")
    found = definitions_of(Site(read_project(imported.folder), lambda: 0))
    assert found.entities["driver"].keys == ("driver_id",)
    assert {name: type(view) for name, view in found.views.items()} == {
        "hourly": LatestView, "fresh": LatestView, "with_bonus": OnDemandView
    }  # fmt: skip
    assert found.services["activity"].features[0] == "hourly:conv_rate"
    columns = {"driver_id": INT, "conv_rate": FLOAT, "trips": INT, "event_timestamp": TIME, "bonus": INT}
    driver_stats = table("driver_stats", columns, happened="event_timestamp")
    bound = bind(found, Graph((driver_stats,)))
    assert bound.on_demand["with_bonus"].feature("half").dtype is Dtype.FLOAT


def test_what_rests_on_guessed_links_is_not_settled():
    """A feature is written down only if definitions can read it."""
    orders = replace(GRAPH.table("orders"), name="bought", columns=GRAPH.table("orders").columns[:-1])
    guessed = Graph((*GRAPH.tables, orders), (*GRAPH.links, Link("bought", "order_id", "customers", "guessed")))
    texts = ["COUNT(bought.*, -30, 0, days)", "COUNT(orders.*, -30, 0, days)"]
    made = FeatureSet("customers", "customer_id", tuple(Feature(feature(one, guessed, "customers")) for one in texts))
    assert [one.name for one in fitting(made, Definitions(), GRAPH).features] == texts[1:]


def test_what_is_synthesised_is_written_down_and_read_back(tmp_path):
    """Features that were made become lines of a file, and the lines mean what they did."""
    texts = ["COUNT(orders.*, -30, 0, days)", "customers.city = '# (`'", "PAIR(customers.city, customers.city)",
             "MAX(`Order Lines`.`größe`, -INF, 0, days)", "COUNT(orders.*, -5, 0, rows) OF ALL"]  # fmt: skip
    made = [Feature(feature(text, GRAPH, "customers"), rank=at) for at, text in enumerate(texts)]
    text, count = written(FeatureSet("customers", "customer_id", tuple(made)), "PREDICT\n  x", 4)
    assert count == 4
    view = bind(read(tmp_path, made_pql=text), GRAPH).views["made"]
    assert [one.name for one in view.features] == ["f0", "f1", "f2", "f3"]
    assert [str(one.expression) for one in view.features] == [one.name for one in made[:4]]
    assert view.about.description == "Features made for: PREDICT x"
