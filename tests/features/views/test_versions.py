"""A version is the fingerprint of the meaning: what people say, and where it stands, is no part of it."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from penstock.features.views.declared import About, ExpressionView, LatestView, OnDemandView, RoleView
from penstock.features.views.meaning import code
from penstock.schema import Dtype, Graph, Kind, Link
from tests.features.views.town import CUSTOMER, GRAPH, read, table, town

LAST = LatestView("v", "customer", "orders", {"a": "amount", "t": "tags"}, ttl=5)
MANY = ExpressionView("v", "customer", {"n": "COUNT(orders.*, -30, 0, days)", "c": "customers.city"})
CALCULATED = OnDemandView("w", {"x": "r / 2"}, {}, {"r": Dtype.FLOAT})


CODE = """
from penstock.features import on_demand
FACTOR = 2
OTHER = 1

def kept(function):
    return function

@kept
def helped(x):
    return x

@on_demand({{"x": "float"}}, requested={{"r": "float"}})
def w(rows):
    {body}
    return {{"x": helped(rows["r"])}}
"""


def version(*declared, graph: Graph = GRAPH) -> str:
    bound = town(*declared, graph=graph)
    name = declared[-1].name
    return (bound.views.get(name) or bound.on_demand[name]).fingerprint


@pytest.mark.parametrize("view", [LAST, MANY, CALCULATED], ids=["latest", "expressions", "on demand"])
def test_what_people_say_changes_nothing(view):
    said = About("what it is", "growth", {"tier": "gold"}, "features/v.pql")
    assert version(replace(view, about=said)) == version(view)
    assert version(replace(view, name="other")) == version(view)
    assert version(replace(view, features=dict(reversed(view.features.items())))) == version(view)


@pytest.mark.parametrize(
    "other",
    [
        replace(LAST, ttl=6),
        replace(LAST, ttl=None),
        replace(LAST, features={"a": "amount"}),
        replace(LAST, features={"b": "amount", "t": "tags"}),
        replace(LAST, features={"a": "order_id", "t": "tags"}),
        MANY,
        replace(MANY, features={**MANY.features, "n": "COUNT(orders.*, -31, 0, days)"}),
    ],
)
def test_what_it_means_changes_it(other):
    assert version(other) != version(LAST)


def test_no_maximum_age_is_the_same_however_it_is_said():
    assert version(replace(LAST, ttl=0)) == version(replace(LAST, ttl=None))


def test_the_dtype_of_the_key_is_part_of_the_meaning():
    texts = tuple(
        replace(
            one, columns=tuple(replace(c, dtype=Dtype.STRING) if c.name == "customer_id" else c for c in one.columns)
        )
        for one in GRAPH.tables
    )
    assert version(MANY, graph=Graph(texts, GRAPH.links)) != version(MANY)


def test_what_was_only_guessed_from_rows_changes_nothing():
    """Kinds, reasons and counts move with the data; definitions do not."""
    guessed = tuple(
        replace(
            one, rows=9, why=("seen",), columns=tuple(replace(c, kind=Kind.NUMERICAL, why="many") for c in one.columns)
        )
        for one in GRAPH.tables
    )
    graph = Graph(guessed, tuple(replace(link, why="99% are there") for link in GRAPH.links))
    for view in (LAST, MANY):
        assert version(view, graph=graph) == version(view)
    assert town(LAST, MANY, graph=graph).graph == town(LAST, MANY).graph
    assert repr(town(LAST, graph=graph).views) == repr(town(LAST).views)


def test_a_table_that_a_feature_does_not_read_may_come_and_go():
    trips = LatestView("v", "driver", "trips", {"km": "km"})
    more = Graph((*GRAPH.tables, table("fines", {"driver_id": Dtype.INT})), GRAPH.links)
    assert version(trips, graph=more) == version(trips)
    assert town(trips, graph=more).joins != town(trips).joins


@pytest.mark.parametrize("clock", ["happened", "ends"])
@pytest.mark.parametrize(("name", "moves"), [("orders", True), ("customers", True), ("trips", False)])
def test_which_columns_are_clocks_is_part_of_the_meaning(name, moves, clock):
    """A project's file corrects them at any moment: training reads by the new one at once, a store once built anew."""
    tables = tuple(replace(one, **{clock: "other"}) if one.name == name else one for one in GRAPH.tables)
    graph = Graph(tables, GRAPH.links)
    for view in (LAST, MANY):
        assert (version(view, graph=graph) != version(view)) is moves


def test_which_columns_a_composed_key_is_made_of_is_part_of_the_meaning():
    one = LatestView("v", "stock", "sales", {"p": "price"})
    graph = Graph((*GRAPH.tables, table("returns", {"shop": Dtype.STRING, "item": Dtype.INT, "swap": Dtype.INT})))
    swapped = replace(one, table="returns", features={"p": "swap"}, keys=("shop", "item"))
    assert version(swapped, graph=graph) != version(replace(swapped, keys=("shop", "swap")), graph=graph)


def test_a_role_has_the_version_of_its_view_and_an_input_may_be_called_anything():
    assert version(LAST, RoleView("r", "v", {"customer_id": "x"})) == version(LAST)
    first = OnDemandView("w", {"x": "a * 2"}, {"a": "v:a"})
    second = OnDemandView("w", {"x": "`an amount` * 2"}, {"an amount": "v:a"})
    assert version(LAST, first) == version(LAST, second)
    assert version(replace(LAST, ttl=7), first) != version(LAST, first)


def test_code_is_compared_by_what_it_does(tmp_path):
    """Comments, spaces and docstrings change nothing; a constant that the function rests on does."""

    def made(body: str, *change: str) -> str:
        return version(read(tmp_path, code_py=CODE.format(body=body).replace(*change or ("", ""))).views["w"])

    plain = made('"Says so."')
    assert made('"Says other."  # why') == plain
    assert made('"Says so."', "OTHER = 1", "OTHER = 2") == plain
    assert made('"Says so."', "    return x", "    return x  # the same") == plain
    assert made("FACTOR") != plain
    assert made("FACTOR") != made("FACTOR", "FACTOR = 2", "FACTOR = 3")
    assert made('"Says so."', "    return x", "    return -x") != plain
    assert made('"Says so."', "@kept\n", "") != plain
    assert made('"Says so."', '"r": "float"}', '"r": "float"}, owner="growth"') == plain


@pytest.mark.parametrize(
    "written",
    [
        "RATE = {{}}\nRATE['eur'] = {0}",
        "RATE = []\nRATE.append({0})",
        "RATE = {{}}\nfor name in ['eur', 'usd']:\n    RATE[name] = {0}",
        "def fill():\n    RATE['eur'] = {0}\nRATE = {{}}\nfill()",
        "RATE = {{'eur': {{1, 2, {0}}}}}",
        "if True:\n    RATE = ({0}, None)",
        "import datetime as dt\nRATE = dt.timedelta({0})",
    ],
)
def test_a_constant_counts_as_it_is_when_the_file_has_run(tmp_path, written):
    def made(number: str) -> str:
        file = CODE.format(body="RATE").replace("FACTOR = 2", written.format(number))
        return version(read(tmp_path, code_py=file).views["w"])

    assert made("5") == made("2 + 3") != made("6")


def test_a_constant_that_says_where_the_project_stands_changes_nothing(tmp_path):
    """It is another one on every machine."""
    file = CODE.format(body="HERE").replace("FACTOR = 2", "import os.path\nHERE = os.path.dirname(__file__)")
    versions = set()
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        versions.add(version(read(tmp_path / name, code_py=file).views["w"]))
    assert len(versions) == 1


@pytest.mark.parametrize("declaring", ["@on_demand(", "@features.on_demand("])
def test_decorators_below_are_part_of_what_a_function_does(tmp_path, declaring):
    wrapped = """
import functools
import pyarrow.compute as pc
from penstock import features
from penstock.features import on_demand

def more(function):
    @functools.wraps(function)
    def made(rows):
        return {"x": pc.add(function(rows)["x"], 1)}
    return made

@on_demand({"x": "float"}, requested={"r": "float"})
@more
def w(rows):
    return {"x": rows["r"]}
"""
    file = wrapped.replace("@on_demand(", declaring)
    assert version(read(tmp_path, code_py=file).views["w"]) == version(read(tmp_path, code_py=wrapped).views["w"])
    for change in (('["x"], 1)', '["x"], 2)'), ("@more\n", "")):
        assert version(read(tmp_path, code_py=file.replace(*change)).views["w"]) != version(
            read(tmp_path, code_py=file).views["w"]
        )


def test_code_that_differs_differs():
    assert code("def f(a): return a") != code("def f(a): return a + 1")


# ------------------------------------------------------------ the same in every file

EXPRESSIONS = st.sampled_from(
    [
        "COUNT(orders.*, -30, 0, days)",
        "SUM(orders.amount WHERE orders.amount > 1.5, -90, 0, days)",
        "customers.city = 'a # b -- \\' c'",
        "customers.city",
        "MAX(`Order Lines`.`größe`, -INF, 0, days)",
        "COUNT(orders.*, -7, 0) / COUNT(orders.*, -30, 0)",
        "MONTH(CUTOFF)",
        "TIME_SINCE(customers.since)",
        'customers.city IN ("x", "y(")',
    ]
)
PRINTABLE = st.characters(exclude_characters="`:*", exclude_categories=("C", "Z"))
NAMES = st.one_of(
    st.sampled_from(
        ["orders", "COUNT", "for each", "WHERE", "a b", "größe", "f'", '"', "#x", "--", "=", "日本", "a.b"]
    ),
    st.text(PRINTABLE, min_size=1, max_size=12),
).filter(lambda name: name.isprintable() and name == name.strip())
FEATURES = st.dictionaries(NAMES, EXPRESSIONS, min_size=1, max_size=4)


def toml(features: dict[str, str]) -> str:
    lines = [f"{_text(name)} = {_text(text)}" for name, text in features.items()]
    return "\n".join(['[features.v]\nentity = "customers.customer_id"', "[features.v.expressions]", *lines])


def _text(value: str) -> str:
    return json.dumps(value, ensure_ascii=False)


def pql(features: dict[str, str]) -> str:
    lines = [
        f"`{name}` = {text.replace(', ', ',  # on and on' + chr(10) + '  ', 1)}" for name, text in features.items()
    ]
    return "\n".join(["# a file", "-- owner: growth", "FOR EACH customers.customer_id", "", *lines])


def python(features: dict[str, str]) -> str:
    return f"from penstock.features import expressions\nv = expressions('v', 'customers.customer_id', {features!r})\n"


@given(FEATURES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_the_same_meaning_has_the_same_version_wherever_it_stands(tmp_path, features):
    """In TOML, PQL and Python, with comments and line breaks, features are the same."""
    versions = set()
    for file in ({"toml": toml(features)}, {"v_pql": pql(features)}, {"v_py": python(features)}):
        for old in (tmp_path / "features").glob("v.*"):
            old.unlink()
        declared = read(tmp_path, **file).views["v"]
        assert list(declared.features) == list(features)
        versions.add(version(declared))
    assert len(versions) == 1


@given(st.sampled_from([1, 60, 86_400, 1.5, 0]), st.booleans())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=10)
def test_the_same_latest_values_have_the_same_version_wherever_they_stand(tmp_path, seconds, renamed):
    columns = {"money": "amount"} if renamed else ["amount", "at"]
    told = '{ money = "amount" }' if renamed else '["amount", "at"]'
    ttl = f'"{seconds} seconds"' if seconds else "0"
    section = f'[features.v]\nentity = "customer"\ntable = "orders"\ncolumns = {told}\nttl = {ttl}\nowner = "x"'
    file = f"from penstock.features import latest\nv = [latest('v', 'customer', 'orders', {columns!r}, ttl={seconds})]"
    versions = set()
    for files in ({"toml": section}, {"v_py": file}):
        for old in (tmp_path / "features").glob("v.*"):
            old.unlink()
        versions.add(version(read(tmp_path, **files).views["v"]))
    assert len(versions) == 1


def test_the_same_entity_may_be_declared_or_implied():
    declared, implied = (replace(MANY, entity=entity) for entity in ("customer", "customers.customer_id"))
    assert version(declared) == version(implied)
    assert CUSTOMER.table == "customers"


def test_links_and_tables_that_are_added_leave_versions_alone():
    links = (*GRAPH.links, Link("notes", "customer_id", "customers"))
    more = Graph((*GRAPH.tables, table("notes", {"customer_id": Dtype.INT})), links)
    assert version(MANY, graph=more) == version(MANY)
