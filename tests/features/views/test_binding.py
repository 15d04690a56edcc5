"""Definitions fitted to tables: which rows are an entity's, what a feature is, and what does not fit."""

from __future__ import annotations

from dataclasses import replace

import pytest

from penstock.errors import PenstockError, RequestError
from penstock.features.views.binding import bind
from penstock.features.views.bound import Input
from penstock.features.views.declared import (
    About,
    Definitions,
    Entity,
    ExpressionView,
    LatestView,
    OnDemandView,
    RoleView,
    Service,
    View,
)
from penstock.plan import Aggregate, Field, Latest, Stream
from penstock.schema import Dtype, Graph, Link
from tests.features.views.town import CUSTOMER, GRAPH, PLACE, STOCK, table, town

ORDERED = ExpressionView("ordered", "customer", {"n": "COUNT(orders.*, -30, 0, days)", "city": "customers.city"})
LAST = LatestView("last", "customer", "orders", {"amount": "amount", "tags": "tags"}, ttl=5)


def test_expressions_are_bound_to_the_entitys_own_table():
    view = town(ORDERED).views["ordered"]
    assert view.entity.table == "customers"
    assert (view.entity.column, view.entity.exists, view.entity.virtual) == ("customer_id", "customers", False)
    assert [(one.name, one.dtype) for one in view.features] == [("n", Dtype.INT), ("city", Dtype.STRING)]
    assert isinstance(view.feature("n").expression, Aggregate)
    assert isinstance(view.feature("city").expression, Field)


@pytest.mark.parametrize(
    ("text", "dtype", "elements"),
    [
        ("SUM(orders.amount, -9, 0)", Dtype.FLOAT, None),
        ("COUNT(orders.*, -9, 0) + 1", Dtype.FLOAT, None),
        ("COUNT(orders.*, -9, 0) > 1", Dtype.BOOL, None),
        ("TIME_SINCE(customers.since)", Dtype.FLOAT, None),
        ("MONTH(CUTOFF)", Dtype.INT, None),
        ("LAST(orders.tags, -9, 0)", Dtype.LIST, Dtype.STRING),
        ("LIST_DISTINCT(orders.order_id, -9, 0)", Dtype.LIST, Dtype.INT),
        ("PAIR(customers.city, customers.city)", Dtype.STRING, None),
    ],
)
def test_the_dtype_of_what_an_engine_gives_is_known(text, dtype, elements):
    one = town(ExpressionView("v", "customer", {"f": text})).views["v"].feature("f")
    assert (one.dtype, one.list_of) == (dtype, elements)


def test_the_latest_row_of_a_table_is_reached_by_its_link_and_its_own_row_by_none():
    bound = town(LAST, LatestView("self", "customer", "customers", {"city": "city"}))
    link = Link("orders", "customer_id", "customers")
    told = bound.views["last"].feature("amount").expression
    assert told == Latest(Stream("customers", (link,)), "amount", Dtype.FLOAT, told.kind, 5)
    assert bound.views["last"].ttl == 5
    assert bound.views["last"].feature("tags").list_of is Dtype.STRING
    own = bound.views["self"].feature("city").expression
    assert isinstance(own, Latest)
    assert own.stream == Stream("customers")


def test_an_entity_without_a_table_is_a_virtual_one_that_all_tables_with_its_key_point_to():
    bound = town(LatestView("trip", "driver", "trips", {"km": "km"}))
    entity = bound.views["trip"].entity
    assert (entity.table, entity.exists, entity.virtual) == ("driver", None, True)
    assert bound.joins.virtual["driver"].joins == {"trips": ("driver_id",), "shifts": ("driver_id",)}
    assert {link.table for link in bound.graph.links_to("driver")} == {"trips", "shifts"}
    assert bound.graph.table("driver").keys == ("key",)


def test_a_composite_key_is_one_text_and_its_own_table_says_what_exists():
    bound = town(LatestView("sale", "stock", "sales", {"price": "price"}))
    entity = bound.views["sale"].entity
    assert (entity.keys, entity.dtypes, entity.exists) == (("shop", "item"), (Dtype.STRING, Dtype.INT), "stock")
    assert entity.table == "stock entity"  # a table has the entity's name
    assert entity.composed
    assert bound.graph.table("stock entity").column("key").dtype is Dtype.STRING
    assert [link.columns for link in bound.graph.links_to("stock entity")] == [
        ("key of stock entity by shop, item",)
    ] * 2


def test_a_composite_key_is_one_thing_in_whatever_order_it_is_said():
    turned = replace(STOCK, keys=("item", "shop"))
    sold = table("sold", {"what": Dtype.INT, "where": Dtype.STRING, "n": Dtype.INT})
    graph = Graph((*GRAPH.tables, sold), (*GRAPH.links, Link("sold", ("where", "what"), "stock")))
    bound = town(turned, LatestView("one", "stock", "sold", {"n": "n"}), graph=graph)
    assert bound.joins.virtual["stock entity"].joins == {
        "stock": ("item", "shop"), "sold": ("what", "where"), "sales": ("item", "shop")
    }  # fmt: skip
    assert bound.entities["stock"].dtypes == (Dtype.INT, Dtype.STRING)


def test_joins_say_which_columns_hold_the_key_and_may_leave_a_table_out():
    place = replace(PLACE, joins={"trips": ("dest",)})
    driver = Entity("driver", ("driver_id",), joins={"shifts": ()})
    bound = town(
        place,
        driver,
        LatestView("there", "place", "trips", {"km": "km"}),
        ExpressionView("v", "driver", {"n": "COUNT(trips.*, -9, 0)"}),
    )
    assert bound.joins.virtual["place"].joins == {"trips": ("dest",)}
    assert bound.joins.virtual["driver"].joins == {"trips": ("driver_id",)}


def test_two_views_may_join_one_table_by_different_columns():
    bound = town(
        LatestView("left", "place", "trips", {"km": "km"}, ("origin",)),
        LatestView("reached", "place", "trips", {"km": "km"}, ("dest",)),
    )
    links = [next(iter(bound.views[name].features)).expression.stream.hops[0] for name in ("left", "reached")]
    assert [link.column for link in links] == ["origin", "dest"]
    assert bound.views["left"].fingerprint != bound.views["reached"].fingerprint


def test_a_composite_entity_may_be_joined_twice_too():
    pair = Entity("pair", ("a", "b"))
    bound = town(
        pair,
        LatestView("to", "pair", "trips", {"km": "km"}, ("origin", "dest")),
        LatestView("fro", "pair", "trips", {"km": "km"}, ("dest", "origin")),
    )
    assert set(bound.joins.made("trips")) == {"key of pair by origin, dest", "key of pair by dest, origin"}
    links = [bound.views[name].feature("km").expression.stream.hops[0].column for name in ("to", "fro")]
    assert links == ["key of pair by origin, dest", "key of pair by dest, origin"]


def test_an_entity_need_not_be_declared_where_a_table_with_that_key_is_named():
    views = [ExpressionView(f"v{at}", entity, {"n": "COUNT(orders.*, -9, 0)"}) for at, entity in
             enumerate(["customers.customer_id", "customers"])]  # fmt: skip
    bound = town(*views)
    assert {view.entity.name for view in bound.views.values()} == {"customer"}  # the declared one has that table
    alone = town(ExpressionView("lines", "`Order Lines`.`line id`", {"size": "`Order Lines`.`größe`"}))
    assert alone.views["lines"].entity.table == "Order Lines"
    assert alone.views["lines"].entity.keys == ("line id",)


def test_a_table_without_a_link_belongs_to_an_entity_by_a_column_called_like_its_key():
    bare = Graph((*GRAPH.tables, table("vip", {"customer_id": Dtype.INT}, key="customer_id")))
    links = town(ORDERED, graph=bare).graph.links_to("customers")
    assert links == (Link("orders", "customer_id", "customers"),)  # a table's own key points nowhere
    left = replace(CUSTOMER, joins={"orders": ()})
    with pytest.raises(RequestError, match="no link leads from orders to customers"):
        town(left, ORDERED, graph=bare)


def test_a_link_that_is_not_in_the_graph_is_made_for_a_view_that_needs_it():
    bound = town(LAST, graph=Graph(GRAPH.tables))
    assert Link("orders", "customer_id", "customers") in bound.graph.links
    said = LatestView("line", "customer", "Order Lines", {"größe": "größe"}, ("order",))
    assert Link("Order Lines", "order", "customers") in town(said).graph.links


def test_a_role_has_the_features_of_its_view_and_other_keys():
    bound = town(LatestView("at_place", "place", "trips", {"km": "km"}, ("origin",)),
                 RoleView("origin", "at_place", {"place_id": "origin_id"}))  # fmt: skip
    base, role = bound.views["at_place"], bound.views["origin"]
    assert (role.features, role.kept, role.fingerprint) == (base.features, "at_place", base.fingerprint)
    assert (base.entity.keys, role.entity.keys) == (("place_id",), ("origin_id",))


def test_on_demand_features_calculate_with_inputs_and_the_request():
    risk = OnDemandView("risk", {"share": "amount / last", "big": "amount > 5 AND n >= 1"},
                        {"last": "last:amount", "n": "ordered:n"}, {"amount": Dtype.FLOAT})  # fmt: skip
    bound = town(LAST, ORDERED, risk, OnDemandView("more", {"twice": "share * 2"}, {"share": "risk:share"}))
    one = bound.on_demand["risk"]
    assert [feature.dtype for feature in one.features] == [Dtype.FLOAT, Dtype.BOOL]
    assert one.inputs == {"last": ("last", "amount"), "n": ("ordered", "n")}
    assert one.used("share") == ("last", "amount")
    assert Input("last", Dtype.FLOAT) in one.feature("share").expression.walk()
    assert bound.on_demand["more"].inputs == {"share": ("risk", "share")}


def of(text: str) -> ExpressionView:
    return ExpressionView("v", "customer", {"f": text}, About(places={"f": "features/v.pql, line 3"}))


MISTAKES: list[tuple[list[Entity | View | Service], str, str]] = [
    ([replace(LAST, table="order")], "FEATURE_TABLE", "no table 'order'"),
    ([replace(LAST, features={"a": "amuont"})], "FEATURE_COLUMN", "last:a: orders has no column 'amuont'"),
    ([replace(LAST, features={"a": "odd"})], "FEATURE_DTYPE", "unknown type"),
    ([replace(LAST, entity="custommer")], "FEATURE_ENTITY", "no entity 'custommer'"),
    ([replace(LAST, entity="customers.city")], "FEATURE_ENTITY", "not the key of customers, which is customer_id"),
    ([replace(LAST, table="trips")], "FEATURE_LINK", "trips has no link to customer and no customer_id"),
    ([replace(LAST, keys=("costumer",))], "FEATURE_COLUMN", "orders has no column 'costumer'"),
    ([replace(LAST, keys=("order_id", "customer_id"))], "FEATURE_ENTITY_KEY", "orders joins by order_id and"),
    ([replace(LAST, keys=("at",))], "FEATURE_KEY_DTYPE", "customers.customer_id is int, and orders.at is timestamp"),
    ([replace(LAST, features={})], "FEATURE_NONE", "last has no features"),
    ([replace(LAST, name="a:b")], "FEATURE_NAME", "'a:b' can be no name"),
    ([replace(LAST, features={" x": "amount"})], "FEATURE_NAME", "' x' can be no name"),
    ([replace(LAST, features={"*": "amount"})], "FEATURE_NAME", "'*' can be no name"),
    ([replace(LAST, features={"a\nb": "amount"})], "FEATURE_NAME", "can be no name"),
    ([LAST, Service("last:x", ("last:*",))], "FEATURE_NAME", "'last:x' can be no name"),
    ([Entity("", ("driver_id",))], "FEATURE_NAME", "'' can be no name"),
    ([Entity("x", ())], "FEATURE_ENTITY_KEY", "entity x: its key cannot be []"),
    ([Entity("x", ("shop", "shop"))], "FEATURE_ENTITY_KEY", "its key cannot be ['shop', 'shop']"),
    ([LatestView("o", "customers", "Order Lines", {"s": "größe"}, ("order",), ttl=1)], "FEATURE_NO_TIME", "no time"),
    ([Entity("x", ("a", "b"), "customers")], "FEATURE_ENTITY_KEY", "its key is a and b, and that of customers is"),
    ([Entity("x", ("a",), "trips")], "FEATURE_ENTITY_KEY", "table trips has no key"),
    ([Entity("x", ("a",), "nowhere")], "FEATURE_TABLE", "no table 'nowhere'"),
    ([Entity("x", ("nothing",))], "FEATURE_ENTITY_ROWS", "no table has nothing"),
    ([Entity("x", ("at",), joins={"sales": ("shop",)})], "FEATURE_KEY_DTYPE", "is timestamp"),
    ([Entity("x", ("x",), joins={"nowhere": ("a",)})], "FEATURE_TABLE", "no table 'nowhere'"),
    ([Entity("x", ("tags",))], "FEATURE_KEY_DTYPE", "orders.tags is list, which can be no key"),
    ([of("COUNT(order.*, -30, 0)")], "PQL_SCHEMA_UNKNOWN_TABLE", "features/v.pql, line 3: v:f: there is no table"),
    ([of("COUNT(orders.*, 0, 30)")], "PQL_TIME_FUTURE_NOT_ALLOWED", "line 3"),
    ([of("COUNT(orders.*, -30, 0")], "PQL_PARSE_SYNTAX", "line 3"),
    ([of("COUNT(trips.*, -30, 0)")], "PQL_JOIN_MISSING_FOREIGN_KEY", "line 3"),
    ([LAST, RoleView("r", "lost", {})], "FEATURE_ROLE", "'lost' is no stored view"),
    ([LAST, RoleView("r", "last", {"id": "x"})], "FEATURE_ROLE", "'id' is no key of customer"),
    ([LAST, RoleView("r", "last", {}), RoleView("s", "r", {})], "FEATURE_ROLE", "'r' is a role itself, of last"),
    ([OnDemandView("d", {"x": "1 + a"}, {}, {"a": Dtype.INT}), RoleView("r", "d", {})], "FEATURE_ROLE", "on demand"),
    ([OnDemandView("d", {"x": "a + b"}, {}, {"a": Dtype.INT})], "PQL_INPUT_UNKNOWN", "d:x: b is no input"),
    ([OnDemandView("d", {"x": "orders.amount"}, {}, {"a": Dtype.INT})], "PQL_INPUT_UNKNOWN", "orders.amount is no"),
    ([OnDemandView("d", {"x": "a * 2"}, {}, {"a": Dtype.STRING})], "PQL_TYPE_ARITHMETIC_NEEDS_NUMERIC", "a is a text"),
    ([OnDemandView("d", {"x": "a"}, {"a": "last"})], "FEATURE_UNKNOWN", "input a is 'last'"),
    ([OnDemandView("d", {"x": "a"}, {"a": "lost:n"})], "FEATURE_UNKNOWN", "no such view"),
    ([LAST, OnDemandView("d", {"x": "a"}, {"a": "last:n"})], "FEATURE_UNKNOWN", "last has no feature 'n'"),
    ([OnDemandView("d", {"x": "a"}, {"a": "d:x"})], "FEATURE_CIRCLE", "d needs d"),
    (
        [OnDemandView("d", {"x": "a"}, {"a": "e:y"}), OnDemandView("e", {"y": "b"}, {"b": "d:x"})],
        "FEATURE_CIRCLE", "d needs e needs d",
    ),
    ([LAST, OnDemandView("d", {"x": "a"}, {"a": "last:amount"}, {"a": Dtype.INT})], "FEATURE_TWICE", "comes with the"),
    ([OnDemandView("d", {"x": "flote"}, function=lambda rows: {}, source="f = 1")], "FEATURE_DTYPE", "'flote'"),
    ([LAST, Service("s", ())], "FEATURE_NONE", "service s has no features"),
    ([LAST, Service("s", ("last:lost",))], "FEATURE_UNKNOWN", "service s: last has no feature 'lost'"),
    ([LAST, Service("s", ("lost:*",))], "FEATURE_UNKNOWN", "service s: there is no view 'lost'"),
    ([LAST, Service("a", ("last:*",)), Service("s", ("a",))], "FEATURE_UNKNOWN", "no feature or service 'a'"),
]  # fmt: skip


@pytest.mark.parametrize(("declared", "code", "words"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_with_its_place(declared, code, words):
    with pytest.raises(PenstockError) as caught:
        town(*declared)
    assert caught.value.code == code
    assert words in caught.value.message
    assert isinstance(caught.value, RequestError)


def test_a_role_of_a_role_is_told_which_role_it_is():
    place = LatestView("at_place", "place", "trips", {"km": "km"}, ("origin",))
    first = RoleView("origin", "at_place", {"place_id": "origin_id"})
    with pytest.raises(RequestError, match=r'view = "at_place", keys = { place_id = "home_id" }'):
        town(place, first, RoleView("home", "origin", {"origin_id": "home_id"}))
    with pytest.raises(RequestError, match=r'view = "at_place", keys = { place_id = "home_id" }'):
        town(place, first, RoleView("home", "origin", {"place_id": "home_id"}))
    assert town(place, first, RoleView("home", "at_place", {"place_id": "home_id"})).views["home"].kept == "at_place"


def test_a_service_in_a_service_and_an_entity_without_tables_are_told_what_to_do():
    with pytest.raises(RequestError, match="lists features, and no other services"):
        town(LAST, Service("a", ("last:*",)), Service("s", ("a",)))
    with pytest.raises(RequestError, match="no table has been brought in yet"):
        town(replace(LAST, entity="customers.customer_id"), graph=Graph(()))
    with pytest.raises(RequestError, match=r"Say customers\.customer_id, or"):
        town(replace(LAST, entity="customers.city"))


def test_two_ways_between_a_table_and_an_entity_are_told():
    graph = Graph(GRAPH.tables, (*GRAPH.links, Link("orders", "order_id", "customers")))
    with pytest.raises(RequestError, match="orders points to customer by 2 links") as caught:
        town(LAST, graph=graph)
    assert caught.value.candidates == ("orders.customer_id", "orders.order_id")
    assert town(replace(LAST, keys=("customer_id",)), graph=graph).views["last"].features


def test_tables_that_disagree_about_an_entitys_key_are_told_and_can_be_left_out():
    other = replace(GRAPH.table("shifts"), columns=(replace(GRAPH.table("shifts").columns[0], dtype=Dtype.STRING),))
    graph = Graph((*(one for one in GRAPH.tables if one.name != "shifts"), other), GRAPH.links)
    view = LatestView("trip", "driver", "trips", {"km": "km"})
    with pytest.raises(RequestError, match=r"trips.driver_id is int, and shifts.driver_id is string") as caught:
        town(view, graph=graph)
    assert caught.value.hint is not None
    assert "joins = { shifts = [] }" in caught.value.hint
    town(Entity("driver", ("driver_id",), joins={"shifts": ()}), view, graph=graph)


def test_an_undeclared_entity_whose_name_is_taken_by_another_is_told():
    taken = Entity("customers", ("driver_id",))
    with pytest.raises(RequestError, match="the entity customers is something else"):
        town(
            taken,
            replace(CUSTOMER, table=None, joins={}),
            ExpressionView("v", "customers.customer_id", {"n": "customers.city"}),
        )


def test_a_project_that_nothing_was_brought_into_yet_is_told():
    bound = bind(Definitions({"customer": CUSTOMER}, {"last": LAST}), Graph(()))
    assert {str(one): one.waits for one in bound.broken} == {"entity customer": True, "view last": True}
    with pytest.raises(RequestError, match="no table has been brought in yet\n  Bring them in: penstock run"):
        bound.must_be_sound()


def test_a_service_may_name_a_view_like_a_table_and_an_entity():
    bound = town(LatestView("orders", "customer", "orders", {"amount": "amount"}), Service("customer", ("orders:*",)))
    assert bound.services["customer"].features == ("orders:*",)
