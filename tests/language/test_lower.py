"""Plans say in order what is done: whom, what is looked up, what is swept, what is kept, what comes out."""

from __future__ import annotations

from penstock import language
from penstock.language import lower_features, lower_labels, lower_population
from penstock.plan import Aggregate, Alive, Attach, Compute, Defined, Keep, Node, Select, Spine, Sweep, Unroll
from tests.language.shop import SHOP_GRAPH


def labels(text: str) -> Node:
    return lower_labels(language.query(text, SHOP_GRAPH))


def steps(node: Node) -> str:
    return " ".join(type(step).__name__ for step in node.chain())


def test_labels_filter_by_the_past_then_by_the_future_then_compute() -> None:
    node = labels(
        "PREDICT COUNT(orders.*, 0, 30) = 0 FOR EACH users.user_id WHERE users.age > 18 "
        "AND COUNT(orders.*, -90, 0) > 0 ASSUMING COUNT(notif.*, 0, 7) > 2"
    )
    assert steps(node) == "Spine Alive Attach Sweep Keep Sweep Keep Sweep Compute Defined Select"
    assert [step.why for step in node.chain() if isinstance(step, Keep)] == ["WHERE", "ASSUMING"]
    last = list(node.chain())[-1]
    assert isinstance(last, Select) and last.columns == ("entity", "cutoff", "target")


def test_aggregates_of_one_stream_are_swept_at_once_and_only_once() -> None:
    node = labels(
        "PREDICT COUNT(orders.*, 0, 7) > COUNT(orders.*, -7, 0) AND SUM(orders.price, 0, 7) > 5 FOR EACH users.user_id "
        "WHERE COUNT(orders.*, -7, 0) > 0"
    )
    sweeps = [step for step in node.chain() if isinstance(step, Sweep)]
    assert [[str(a) for a in sweep.aggregates] for sweep in sweeps] == [
        ["COUNT(orders.*, -7, 0, days)"],
        ["COUNT(orders.*, 0, 7, days)", "SUM(orders.price, 0, 7, days)"],
    ]


def test_a_condition_on_something_undefined_is_dropped_before_it_is_computed() -> None:
    text = "PREDICT AVG(orders.price, 0, 7) > 5 AND COUNT(orders.*, 0, 7) > 1 FOR EACH users.user_id"
    kept = [str(step.condition) for step in labels(text).chain() if isinstance(step, Keep)]
    assert kept == ["AVG(orders.price, 0, 7, days) IS NOT NULL"]
    tested = "PREDICT AVG(orders.price, 0, 7) > 5 OR AVG(orders.price, 0, 7) IS NULL FOR EACH users.user_id"
    assert not any(isinstance(step, Keep) for step in labels(tested).chain())
    ratio = "PREDICT NOT SUM(orders.price, 0, 7) / COUNT(orders.*, 0, 7) > 5 FOR EACH users.user_id"
    assert "(SUM(orders.price, 0, 7, days) / COUNT(orders.*, 0, 7, days)) IS NOT NULL" in str(labels(ratio))


def test_a_static_condition_is_learnt_where_its_columns_are_known() -> None:
    node = labels("PREDICT users.age > 40 FOR EACH users.user_id")
    assert steps(node) == "Spine Alive Attach Keep Compute Defined Select"


def test_a_forecast_is_unrolled_into_rows_before_undefined_ones_are_dropped() -> None:
    node = labels("PREDICT AVG(orders.price, 0, 7) FORECAST 3 TIMEFRAMES FOR EACH users.user_id")
    assert steps(node) == "Spine Alive Sweep Unroll Defined Select"
    unroll = next(step for step in node.chain() if isinstance(step, Unroll))
    assert unroll.columns == tuple(f"AVG(orders.price, {7 * n}, {7 * n + 7}, days)" for n in range(3))
    calculated = labels("PREDICT AVG(orders.price, 0, 7) * 2 FORECAST 2 TIMEFRAMES FOR EACH users.user_id")
    assert steps(calculated) == "Spine Alive Sweep Compute Compute Unroll Defined Select"


def test_the_longest_forecast_makes_a_plan_that_prints() -> None:
    node = labels("PREDICT SUM(orders.price, 0, 1) FORECAST 10000 TIMEFRAMES FOR EACH users.user_id")
    assert node.fingerprint and str(node)


def test_the_population_takes_assumptions_as_true() -> None:
    text = (
        "PREDICT COUNT(orders.*, 0, 30) FOR EACH users.user_id WHERE users.age > 18 ASSUMING COUNT(notif.*, 0, 7) > 2"
    )
    node = lower_population(language.query(text, SHOP_GRAPH))
    assert steps(node) == "Spine Alive Attach Keep Select"


def test_features_drop_no_row_and_come_in_their_order() -> None:
    texts = {
        "b": "COUNT(orders.*, -7, 0) / COUNT(orders.*, -30, 0)",
        "a": "users.country",
        "c": "AVG(orders.price, -7, 0)",
    }
    features = {name: language.feature(text, SHOP_GRAPH, "users") for name, text in texts.items()}
    node = lower_features(features, "users", "user_id")
    assert not any(isinstance(step, Alive | Keep | Defined) for step in node.chain())
    assert [step.columns for step in node.chain() if isinstance(step, Select)] == [("entity", "cutoff", "b", "a", "c")]
    assert len([step for step in node.chain() if isinstance(step, Sweep)]) == 1
    assert isinstance(next(iter(node.chain())), Spine)


def test_a_feature_named_by_its_own_text_is_not_computed_again() -> None:
    feature = language.feature("users.country", SHOP_GRAPH, "users")
    node = lower_features({"users.country": feature}, "users", "user_id")
    assert not any(isinstance(step, Compute) for step in node.chain())
    assert any(isinstance(step, Attach) for step in node.chain())


def test_what_names_the_rows_is_swept_before_the_rows() -> None:
    feature = language.feature("AVG(orders.price, -30, 0) OF LAST(orders.item_id)", SHOP_GRAPH, "users")
    node = lower_features({"x": feature}, "users", "user_id")
    first, second = (step for step in node.chain() if isinstance(step, Sweep))
    assert str(first.aggregates[0]) == "LAST(orders.item_id, -INF, 0, days)"
    assert second.stream.root == "items" and second.stream.anchor == first.aggregates[0]


def test_what_the_entity_or_its_parent_points_to_is_looked_up_before_its_rows_are_swept() -> None:
    texts = {
        "COUNT(orders.*, -30, 0, days) OF orders.user_id": "users",
        "COUNT(orders.*, -30, 0, days) OF ALL": "orders",
    }
    features = {text: language.feature(text, SHOP_GRAPH, "orders") for text in texts}
    node = lower_features(features, "orders", "order_id")
    (attach,) = (step for step in node.chain() if isinstance(step, Attach))
    assert list(map(str, attach.leaves)) == ["orders.user_id"]
    assert [step.stream.root for step in node.chain() if isinstance(step, Sweep)] == list(texts.values())


def test_peers_are_rows_of_the_entitys_own_table_or_below_it() -> None:
    own = language.feature("AVG(orders.price, -30, 0) OF SAME orders.status", SHOP_GRAPH, "orders")
    below = language.feature("AVG(orders.price, -30, 0) OF SAME users.country", SHOP_GRAPH, "users")
    assert isinstance(own, Aggregate) and own.stream.root == "orders" and own.stream.hops == ()
    assert isinstance(below, Aggregate) and below.stream.root == "users" and len(below.stream.hops) == 1
    assert str(below) == "AVG(orders.price, -30, 0, days) OF SAME users.country"


def test_a_feature_round_trips_through_its_text() -> None:
    for text in (
        "COUNT(orders.* WHERE items.cat = 'x', -30, 0)",
        "MODE(items.cat VIA orders.item_id, -90, 0)",
        "LAST_N(orders.status, 3, -INF, 0)",
        "TIME_SINCE(users.signup)",
        "WEEKDAY(CUTOFF)",
        "COUNT(orders.*, -30, 0) OF LAST(orders.item_id, -90, 0)",
        "COUNT(orders.*, -30, 0) OF MODE(orders.item_id, -90, 0)",
        "AVG(orders.price, -30, 0) OF SAME users.country",
        "COUNT(orders.*, -30, 0) / COUNT(orders.*, -30, 0) OF ALL",
        "COUNT(users.* WHERE users.age > 30, -INF, 0) OF SAME users.country",
        "-users.age * 2",
        "LAST(orders.ts, -30, 0) > 2024-01-31",
    ):
        feature = language.feature(text, SHOP_GRAPH, "users")
        assert language.feature(str(feature), SHOP_GRAPH, "users") == feature
        assert language.feature(feature, SHOP_GRAPH, "users") == feature
        assert all(isinstance(node, Aggregate) is False or node.window is not None for node in feature.walk())
