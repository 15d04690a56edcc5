"""What would change a prediction: true of the model, within what was seen, the least that does it, and plainly said."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
import pytest

import penstock as ps
from penstock.engine.execute import quiet
from penstock.errors import RequestError
from penstock.expression import Compare, Constant
from penstock.features.definitions import Feature, FeatureSet
from penstock.learning.ask import AS_USUAL, gather, learn
from penstock.learning.encoding.matrix import Category, Encoding, Number
from penstock.learning.fitting.trained import Trained
from penstock.learning.reasons.explain import family
from penstock.learning.reasons.seen import grids
from penstock.learning.reasons.whatif import CAVEAT, _varied, actionable, changes
from penstock.learning.rows.dataset import Samples
from penstock.learning.rows.spines import Given
from penstock.plan import Age, Aggregate, Field, Stream
from penstock.schema import Dtype, Kind, Link
from penstock.window import Lookback
from tests.small import QUIET, shop

QUESTIONS = {
    "binary": QUIET,
    "regression": "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH users.user_id",
    "multiclass": "PREDICT FIRST(orders.state, 0, 30, days) FOR EACH users.user_id",
    "multilabel": "PREDICT LIST_DISTINCT(orders.state, 0, 30, days) CLASSIFY FOR EACH users.user_id",
}


@pytest.fixture(scope="module", params=QUESTIONS)
def learnt(request):
    """A model of each task, its features, test rows, and what training rows had."""
    db = ps.connect(shop())
    query = db.query(QUESTIONS[request.param])
    made = gather(query, db.relational, Given(), AS_USUAL, quiet)
    trained = learn(query, made.train, made.validation, made.features, db.relational, AS_USUAL, quiet)
    return trained, made.features, made.test.take(np.arange(12)), grids(made.train.features)


def moved(samples, row, changed):
    """One row with some of its columns replaced, made the slow way."""
    one = samples.take(np.array([row]))
    table = one.features
    for name, value in changed.items():
        place, kind = table.column_names.index(name), table.column(name).type
        plain = kind.value_type if pa.types.is_dictionary(kind) else kind
        column = pa.array([value], plain)
        table = table.set_column(place, name, column.dictionary_encode() if pa.types.is_dictionary(kind) else column)
    return replace(one, features=table)


def test_what_would_be_said_is_what_the_model_says_of_such_a_row(learnt):
    trained, features, rows, seen = learnt
    found = changes(trained, rows, features, seen)
    assert any(found)
    for row, mine in enumerate(found):
        before = trained.estimates(rows.take(np.array([row]))).reshape(-1)
        for change in mine:
            assert change.said == pytest.approx(before.max() if trained.task != "regression" else before[0])
            if not change.along:
                after = trained.estimates(moved(rows, row, {change.expression: change.after})).reshape(-1)
                likeliest = before.argmax()
                assert change.would == pytest.approx(after[likeliest], abs=1e-9)
                assert change.crosses == _crosses(trained.task, before, after)


def _crosses(task, before, after):
    if task == "multiclass":
        return before.argmax() != after.argmax()
    best = before.argmax()
    return task != "regression" and (before[best] >= 0.5) != (after[best] >= 0.5)


def test_values_are_ones_that_training_rows_have_had(learnt):
    trained, features, rows, seen = learnt
    for mine in changes(trained, rows, features, seen):
        for change in mine:
            assert change.after in dict(seen)[change.expression]
            assert change.after != change.before
            assert 0 <= change.size <= 1


def test_each_family_comes_once_and_crossing_changes_come_first_the_smallest_first(learnt):
    trained, features, rows, seen = learnt
    for mine in changes(trained, rows, features, seen, most=5):
        assert len({family(change.expression) for change in mine}) == len(mine)
        crossing = [change.size for change in mine if change.crosses]
        assert [change.crosses for change in mine] == [True] * len(crossing) + [False] * (len(mine) - len(crossing))
        assert crossing == sorted(crossing)


def test_what_was_counted_over_all_time_is_not_undone(learnt):
    trained, features, rows, seen = learnt
    ever = [name for name, e in features.expressions.items() if _counts_ever(e)]
    assert ever
    for mine in changes(trained, rows, features, seen, act_on=ever[:20]):
        assert all(change.before is None or change.after > change.before for change in mine)


def _counts_ever(expression):
    return isinstance(expression, Aggregate) and expression.function == "COUNT" and expression.window.start is None


def test_changes_are_said_in_words_and_go_to_json(learnt):
    trained, features, rows, seen = learnt
    for mine in changes(trained, rows, features, seen):
        for change in mine:
            assert change.sentence.startswith("with ")
            assert (" falls from " if change.would < change.said else " rises from ") in change.sentence
            assert json.loads(json.dumps(change.to_dict()))["sentence"] == str(change)


def test_rows_are_judged_alike_alone_and_together(learnt):
    trained, features, rows, seen = learnt
    together = changes(trained, rows, features, seen)
    for row in (0, 7):
        assert changes(trained, rows.take(np.array([row])), features, seen) == [together[row]]


def test_who_names_what_cannot_be_acted_on_is_told_what_exists(learnt):
    trained, features, rows, seen = learnt
    with pytest.raises(RequestError, match="no feature reads 'prize'") as caught:
        changes(trained, rows, features, seen, act_on=["prize"])
    assert {"orders", "orders.amount", "users.city"} <= set(caught.value.candidates)


def test_the_caveat_says_that_it_is_no_promise():
    assert "model's view" in CAVEAT
    assert "no promise" in CAVEAT


# ---------------------------------------------------------------- a model made by hand


ORDERS = Stream("users", (Link("orders", "user_id", "users"),))
MONTH = Aggregate("COUNT", ORDERS, None, Lookback(-30, 0))
WEEK = Aggregate("COUNT", ORDERS, None, Lookback(-7, 0))
EVER = Aggregate("COUNT", ORDERS, None, Lookback(None, 0))
SINCE = Aggregate("TIME_SINCE", ORDERS, None, Lookback(None, 0))
LAST_MONTH = Aggregate("COUNT", ORDERS, None, Lookback(-60, -30))
CITY = Field("users", "city", Dtype.STRING, Kind.CATEGORICAL)
SET = FeatureSet.of("users", "user_id", map(Feature, (MONTH, WEEK, EVER, SINCE, LAST_MONTH, CITY)))


NAMES = tuple(feature.name for feature in SET.features)


@dataclass(frozen=True)
class ByHand:
    """A model that reads its answer off one feature: ``start`` and ``slope`` times its value."""

    feature: Aggregate
    start: float
    slope: float
    kind = "by hand"

    def predict(self, values, *, threads=0):
        return self.start + self.slope * values[:, NAMES.index(str(self.feature))].astype(float)

    def estimates(self, output):
        return output


def reads(feature, start, slope):
    model = ByHand(feature, start, slope)
    encoding = Encoding((*map(Number, NAMES[:-1]), Category(NAMES[-1], ("Oslo",))))
    return Trained("binary", model, encoding, model, tuple((name, 0.1) for name in NAMES), (), 0.0)


def one_row(month, week, ever, since):
    values = {MONTH: month, WEEK: week, EVER: ever, SINCE: since, LAST_MONTH: 1}
    columns = {str(e): pa.array([v], pa.float64() if e == SINCE else pa.int64()) for e, v in values.items()}
    return Samples(pa.array([1]), np.array([0]), pa.table({**columns, str(CITY): pa.array(["Oslo"])}))


SEEN = ((str(MONTH), (0, 1, 2, 3)), (str(LAST_MONTH), (0, 1)), (str(CITY), ("Oslo", "Rome")))


def test_the_smallest_change_that_crosses_is_found_and_said():
    (mine,) = changes(reads(MONTH, 0.8, -0.2), one_row(0, 0, 4, 41.0), SET, SEEN)
    assert [str(change) for change in mine] == [
        "with 2 orders in the last 30 days instead of 0 the probability falls from 0.80 to 0.40"
    ]
    assert mine[0].crosses
    assert mine[0].size == 0.5
    assert mine[0].along == (str(WEEK), str(EVER), str(SINCE))


def test_where_nothing_crosses_the_furthest_step_that_way_is_told():
    (mine,) = changes(reads(MONTH, 0.9, -0.1), one_row(1, 0, 4, 3.0), SET, SEEN)
    assert [(change.after, change.crosses) for change in mine] == [(3, False)]
    assert changes(reads(MONTH, 0.9, -0.1), one_row(3, 0, 4, 3.0), SET, SEEN) == [[]]


@pytest.mark.parametrize(
    ("read", "row", "after", "value"),
    [
        (EVER, (0, 0, 4, 41.0), 3, 7),  # three more in the last 30 days are three more ever
        (SINCE, (0, 0, 4, 41.0), 1, 30.0),  # one in the last 30 days is no older than that
        (SINCE, (2, 0, 4, 9.0), 0, 30.0),  # and with none the last one is older
        (WEEK, (3, 2, 4, 1.0), 0, 0),  # none in the last 30 days is none in the last 7
        (WEEK, (3, 1, 4, 1.0), 2, 1),
    ],
)
def test_the_same_fact_in_other_words_moves_along(read, row, after, value):
    only = ((str(MONTH), (row[0], after)),)
    trained = reads(read, 0.2, 0.001)
    for threshold in (0.0, 1.0):  # whichever way is the wanted one
        for mine in changes(trained, one_row(*row), SET, only, threshold=threshold):
            for change in mine:
                assert change.would == pytest.approx(0.2 + 0.001 * value)
    varied = _varied(one_row(*row), [str(MONTH)], dict(only), actionable(SET), NAMES, SET.expressions)
    assert varied.samples.features[str(MONTH)].to_pylist() == [after]
    assert varied.samples.features[str(read)].to_pylist() == [value]


def test_by_default_only_what_comes_next_can_be_acted_on():
    assert list(actionable(SET)) == [str(MONTH), str(WEEK), str(EVER)]
    assert list(actionable(SET, ["users"])) == [str(CITY)]
    assert list(actionable(SET, ["city"])) == list(actionable(SET, ["users.city"])) == [str(CITY)]
    assert str(SINCE) not in actionable(SET, ["orders"])
    assert str(LAST_MONTH) in actionable(SET, ["orders"])
    age = FeatureSet.of("users", "user_id", [Feature(Age(replace(CITY, column="born"))), Feature(EVER)])
    assert list(actionable(age)) == [str(EVER)]
    quiet_ = Feature(Compare("=", MONTH, Constant(0)))
    assert actionable(FeatureSet.of("users", "user_id", [quiet_])) == {}


def test_grids_hold_values_that_are_there():
    table = pa.table(
        {
            "n": pa.array([1, 5, None, 9]), "x": [0.5, math.nan, 2.0, 2.0], "b": [True, False, True, None],
            "c": pa.array(["b", "a", "b", None]).dictionary_encode(), "same": [1, 1, 1, 1], "l": [["a"], [], [], None],
        }
    )  # fmt: skip
    found = dict(grids(table))
    assert found == {"n": (1, 5, 9), "x": (0.5, 2.0), "b": (False, True), "c": ("b", "a")}
