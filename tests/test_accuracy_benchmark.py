"""The accuracy benchmark measures what it says: its pieces on small data, and the poison law on small tasks."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pyarrow as pa
import pytest

import penstock
from benchmarks.accuracy import asked as asking
from benchmarks.accuracy import dfs, keep, page, peers, poison, ranking, rfm, table, tasks
from benchmarks.accuracy import judge as judging
from benchmarks.accuracy.__main__ import compared, noted, read
from benchmarks.accuracy.judge import Judge
from benchmarks.accuracy.result import BY_HAND, OURS, Result
from penstock.engine.execute import quiet
from penstock.learning import ask
from penstock.learning.fitting.models import Options
from penstock.learning.rows.dataset import Samples
from tests.small import DAY, QUIET, START, shop

ORDERS = {"orders": "SELECT user_id AS entity, placed_at AS happened, amount AS money FROM orders"}
QUICK = Options(threads=1, model="boosted", rows=400, features=20)
QUESTIONS = {
    "binary": QUIET,
    "regression": "PREDICT SUM(orders.amount, 0, 30, days) FOR EACH users.user_id",
    "forecasting": "PREDICT COUNT(orders.*, 0, 10, days) FORECAST 2 TIMEFRAMES FOR EACH users.user_id",
    "multiclass": "PREDICT FIRST(orders.state, 0, 30, days) FOR EACH users.user_id",
    "multilabel": "PREDICT LIST_DISTINCT(orders.state, 0, 30, days) CLASSIFY FOR EACH users.user_id",
    "ranking": "PREDICT LIST_DISTINCT(orders.item_id, 0, 30, days) RANK TOP 5 FOR EACH users.user_id",
}


def asked_of(kind: str) -> asking.Asked:
    db = penstock.connect(shop(users=50, days=170))
    task = tasks.Task(f"shop-{kind}", "shop", QUESTIONS[kind], ORDERS)
    query, how = db.query(task.query), ask.How(Options(threads=1))
    return asking.Asked(task, db, query, ask.gather(query, db.relational, ask.Given(), how, quiet), how, 0.0)


@pytest.fixture(scope="module", params=list(QUESTIONS))
def answered(request: pytest.FixtureRequest) -> tuple[asking.Asked, asking.Said]:
    asked = asked_of(request.param)
    return asked, quickly(asked)


def quickly(asked: asking.Asked) -> asking.Said:
    """An answer of a small model."""
    trained = asking.learnt(asked, QUICK)
    tables = [asking.told(asked, trained, asked.test)]
    return asking.Said((trained,), tuple(tables), asking.shaped(asked, tables), 0.0)


# ---------------------------------------------------------------- tasks


def test_there_are_tasks_of_every_type_and_twins_with_the_leaks_kept(shared):
    kinds = {tasks.opened(task).query(task.query).task.value for task in tasks.ASKED if task.database == "football"}
    assert kinds == {"binary", "regression", "multiclass", "multilabel", "ranking"}
    assert len(tasks.TASKS) >= 18
    assert {task.database for task in tasks.TASKS if task.kept} == {"retail", "stats_se", "football"}
    assert len({task.name for task in tasks.TASKS}) == len(tasks.TASKS)


def test_hidden_columns_are_hidden_from_penstock_and_from_its_peers(shared):
    task = next(task for task in tasks.ASKED if task.database == "stats_se")
    db = tasks.opened(task)
    hidden = {f"{t.name}.{c.name}" for t in db.graph for c in t.columns if c.kind is penstock.schema.Kind.IGNORED}
    assert hidden == set(tasks.LEAKING["stats_se"])
    assert not hidden & {
        f"{name}.{c}" for name, rows in tasks.tables(db, task.leaking).items() for c in rows.column_names
    }


def test_a_database_that_is_not_there_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(tasks, "DATA", tmp_path)
    reasons = {task.database: tasks.absent(task) for task in tasks.TASKS}
    assert reasons.pop("demo") is None
    assert all(reason is not None and "is not beside the repository" in reason for reason in reasons.values())


# ---------------------------------------------------------------- by hand


def test_recency_frequency_and_money_are_what_a_loop_finds():
    database = shop(users=20, days=150, seed=3)
    cutoffs = np.repeat([START + 60 * DAY, START + 140 * DAY], 21)
    entity = np.tile(np.arange(1, 22), 2)
    spine = pa.table({"row": np.arange(42), "entity": entity, "cutoff": pa.array(cutoffs).cast(pa.timestamp("us"))})
    made = rfm.by_hand(ORDERS, database, spine).to_pydict()
    rows = list(
        zip(
            database["orders"]["user_id"].to_pylist(),
            database["orders"]["placed_at"].cast(pa.int64()).to_pylist(),
            database["orders"]["amount"].to_pylist(),
            strict=True,
        )
    )
    for place, (who, cutoff) in enumerate(zip(entity.tolist(), cutoffs.tolist(), strict=True)):
        past = [(at, money) for user, at, money in rows if user == who and at <= cutoff]
        recent = [money for at, money in past if at > cutoff - 30 * DAY]
        assert made["orders ever"][place] == len(past)
        assert made["orders count_30"][place] == len(recent)
        if past:
            assert made["orders recency"][place] == pytest.approx((cutoff - max(past)[0]) / DAY)
            assert made["orders tenure"][place] == pytest.approx((cutoff - min(past)[0]) / DAY)
            assert made["orders sum_ever"][place] == pytest.approx(sum(money for _, money in past))
        if recent:
            assert made["orders mean_30"][place] == pytest.approx(np.mean(recent))


def test_an_event_at_the_cutoff_is_past():
    database = {
        "orders": pa.table({"user_id": [1], "placed_at": pa.array([START], pa.timestamp("us")), "amount": [2.0]})
    }
    cutoffs = pa.array([START - 1, START, START]).cast(pa.timestamp("us"))
    spine = pa.table({"row": [0, 1, 2], "entity": [1, 1, 2], "cutoff": cutoffs})
    assert rfm.by_hand(ORDERS, database, spine)["orders ever"].to_pylist() == [0, 1, 0]


def test_matrices_know_the_categories_of_training_alone():
    train = pa.table({"a": [1.5, None], "b": ["x", "y"], "c": [[1], [2]]})
    test = pa.table({"a": [2.0, 3.0], "b": ["z", None], "c": [[1], [2]]})
    one, other = peers.matrices([train, test])
    assert one.categorical == (1,)
    np.testing.assert_array_equal(one.values, [[1.5, 0], [np.nan, 1]])
    np.testing.assert_array_equal(other.values, [[2.0, 2], [3.0, np.nan]])


# ---------------------------------------------------------------- everybody on one task


def test_everybody_answers_every_test_row(answered):
    asked, said = answered
    seat = asking.judge(asked, said)
    answers = {OURS: said.prediction, **peers.trivial(asked, said)}
    parts = peers.rows(asked, 500)
    if asked.kind == "ranking":
        answers[BY_HAND] = ranking.boosted(asked, parts)
    else:
        answers[BY_HAND] = peers.boosted(asked, said, parts, rfm.features(asked, parts))
    result = compared(asked, said, seat, answers)
    assert all(len(prediction) == len(asked.test) for prediction in answers.values())
    assert all(math.isfinite(value) for value in result.ours.values())
    assert result.best in answers
    assert result.lead_interval[0] <= result.lead_interval[1]
    assert result.interval[0] <= result.ours[result.primary] <= result.interval[1]


def test_the_answer_and_its_measures_are_those_of_an_evaluation():
    asked = asked_of("binary")
    said = asking.answer(asked)
    told = asked.db.evaluate(asked.query)
    assert {**told.metrics, **asking.judge(asked, said).measure(said.prediction)} == told.metrics
    assert said.prediction.tolist() == told.predictions["probability"].to_pylist()


def test_nothing_after_a_test_cutoff_changes_a_test_prediction(answered):
    asked, said = answered
    verdict = poison.tried(asked, said.trained[0])
    assert str(verdict) == "held"
    assert verdict.rewritten > 50
    assert verdict.compared >= len(asked.test)


# ---------------------------------------------------------------- poison


def test_poison_rewrites_every_later_row_and_no_earlier_one():
    db = penstock.connect(shop())
    clean, cutoff = tasks.tables(db), START + 200 * DAY
    after = poison.later(db.graph, clean, cutoff)
    dirty = poison.poisoned(db.graph, clean, after, cutoff, seed=1)
    assert {name: int(mask.sum()) > 0 for name, mask in after.items()} == {
        "users": False,
        "orders": True,
        "items": False,
    }
    assert dirty["users"].equals(clean["users"])
    again = poison.later(db.graph, dirty, cutoff)["orders"]
    assert dirty["orders"].filter(pa.array(~again)).equals(clean["orders"].filter(pa.array(~after["orders"])))
    assert again.sum() >= after["orders"].sum()
    assert len(dirty["orders"]["order_id"].unique()) == dirty["orders"].num_rows


def test_rows_without_a_clock_are_later_if_what_they_point_to_is():
    orders = pa.table({"order_id": [1, 2], "placed_at": pa.array([START, START + DAY], pa.timestamp("us"))})
    db = penstock.connect({"orders": orders, "lines": pa.table({"line_id": [5, 6, 7], "order_id": [1, 2, 2]})})
    clean = tasks.tables(db)
    after = poison.later(db.graph, clean, START)
    assert after["lines"].tolist() == [False, True, True]
    dirty = poison.poisoned(db.graph, clean, after, START, seed=0)["lines"]
    assert dirty["order_id"].to_pylist().count(1) == 1
    assert dirty.num_rows > 3


def test_a_single_changed_bit_is_seen():
    one = pa.table({"a": [1.0, None, float("nan")], "b": [["x"], None, []]})
    assert poison.same(one, pa.table({"a": [1.0, None, float("nan")], "b": [["x"], None, []]}))
    assert not poison.same(
        one, pa.table({"a": [float(np.nextafter(1.0, 2.0)), None, float("nan")], "b": [["x"], None, []]})
    )
    assert not poison.same(one, pa.table({"a": [1.0, 0.0, float("nan")], "b": [["x"], None, []]}))


def test_a_model_that_sees_the_future_is_caught():
    asked = asked_of("binary")
    gathered, graph = asked.gathered, asked.db.graph
    trained = asking.learnt(asked, QUICK)
    future = asked.test.cutoff.max() + 30 * DAY  # features of a month later, sold as those of the cutoff
    late = ask.examples.samples(
        asked.query, gathered.features, poison.spine(_at(asked.test, int(future))), asked.db.relational
    )
    guilty = asking.Asked(asked.task, asked.db, asked.query, _with(gathered, late, asked.test), asked.how, 0.0)
    assert "features changed" in str(poison.tried(guilty, trained))
    assert graph is asked.db.graph


def _at(samples: Samples, cutoff: int) -> Samples:
    return Samples(samples.entity, np.full(len(samples), cutoff), samples.features, samples.target)


def _with(gathered: ask.Gathered, late: Samples, test: Samples) -> ask.Gathered:
    sold = Samples(test.entity, test.cutoff, late.features, test.target, None, late.own_past, late.static, late.log)
    return ask.Gathered(gathered.train, gathered.validation, sold, gathered.features, gathered.notes)


# ---------------------------------------------------------------- judging


def test_draws_keep_an_entity_together_and_are_the_same_each_time():
    seat = Judge("binary", np.zeros(5), np.array([0, 1, 0, 2, 1]))
    for rows in seat.draws(times=20):
        counts = np.bincount(rows, minlength=5)
        assert counts[0] == counts[2]
        assert counts[1] == counts[4]
        assert counts[[0, 1, 3]].sum() == 3
    assert all(np.array_equal(a, b) for a, b in zip(seat.draws(times=5), seat.draws(times=5), strict=True))


def test_who_is_worse_by_more_than_noise_is_below():
    rng = np.random.default_rng(0)
    truth = rng.random(2_000)
    seat = Judge("regression", truth, np.arange(2_000))
    good, bad = (peers.twice(truth + rng.normal(0, spread, 2_000)) for spread in (0.1, 0.2))
    low, high = seat.interval(bad, "mae", good)
    assert high < 0
    assert low < judging.better("mae", seat.one(bad, "mae"), seat.one(good, "mae")) < high


def test_numbers_may_say_a_median_and_a_mean():
    truth = np.array([0.0, 0.0, 9.0])
    said = Judge("regression", truth, np.arange(3)).measure(np.tile([0.0, 3.0], (3, 1)))
    assert said == {"mae": 3.0, "rmse": pytest.approx(math.sqrt(18))}


@pytest.mark.parametrize("module", [judging, table])
def test_examples_in_docstrings_hold(module):
    assert doctest.testmod(module).failed == 0


# ---------------------------------------------------------------- featuretools, keeping, printing


def test_featuretools_is_asked_about_each_entity_and_cutoff_once():
    cutoff = pa.array([5, 5, 3, 5]).cast(pa.timestamp("us"))
    rows = pa.table({"row": np.arange(4), "entity": ["b", "b", "b", "a"], "cutoff": cutoff})
    once, place = dfs.distinct(rows)
    assert once["row"].to_pylist() == [0, 1, 2]
    assert once.drop_columns(["row"]).take(pa.array(place)).equals(rows.drop_columns(["row"]))


def test_featuretools_gets_keys_and_links_as_the_text_of_their_numbers():
    told = dfs.named(
        pa.table({"order_id": [1, 2], "user_id": [7, None], "amount": [1.5, None]}), {"order_id", "user_id"}
    )
    assert told.to_pydict() == {"order_id": ["1", "2"], "user_id": ["7", None], "amount": [1.5, None]}


def test_featuretools_does_not_see_the_column_that_is_to_be_filled_in():
    db = penstock.connect(shop())
    how = ask.How(Options(threads=1))
    task = tasks.Task("shop-fill", "shop", "PREDICT users.height FOR EACH users.user_id", ORDERS)
    query = db.query(task.query)
    gathered = ask.gather(query, db.relational, ask.Given(), how, quiet)
    assert dfs.hidden(asking.Asked(task, db, query, gathered, how, 0.0)) == ("users.height",)
    assert dfs.hidden(asked_of("binary")) == ()


def test_what_is_kept_is_made_once(monkeypatch, tmp_path):
    monkeypatch.setenv("PENSTOCK_CACHE", str(tmp_path))
    made = []
    for _ in range(2):
        got = keep.kept("some", lambda: np.arange(3.0) + len(made) + (made.append(1) or 0))
        assert got.tolist() == [0.0, 1.0, 2.0]
    assert len(made) == 1
    assert keep.fingerprint(np.arange(3)) != keep.fingerprint(np.arange(3.0))
    assert keep.fingerprint("ab", "c") != keep.fingerprint("a", "bc")


RESULT = Result(
    "chinook-buys-60", "binary", {"training": 9, "validation": 3, "test": 2_500}, 3, "auroc",
    {OURS: {"auroc": 0.7, "calibration_error": 0.05}, "majority": {"auroc": 0.5}, BY_HAND: {"auroc": 0.75}},
    (0.6, 0.8), BY_HAND, -0.05, (-0.07, -0.01), None, 1.5, 12, {"featuretools default": "> 5 s"},
    {"best reachable": 0.73, "mean in training": 0.2, "mean in test": 0.3},
)  # fmt: skip


def test_results_go_to_a_file_and_come_back(tmp_path):
    assert read(tmp_path / "none") == {}
    noted(RESULT, tmp_path / "results")
    assert read(tmp_path / "results") == {RESULT.name: RESULT}


def test_the_page_says_where_it_falls_short():
    told = dict.fromkeys(("arguments", "machine", "effort", "featuretools", "auto", "loss", "most", "poison"), "")
    written = page.page([RESULT], {"retail-churn-90": "it is absent"}, told, {"chinook-buys-60": "Few rows."})
    assert (
        "- chinook-buys-60: below by hand by more than noise, -0.050 (-0.070 to -0.010) by hand ✗ in auroc" in written
    )
    assert (
        ", and calibration error 0.050, and 0.030 below the best reachable; the mean of the target was 0.200" in written
    )
    assert " 0.200 in training, 0.300 in test. Few rows." in written
    assert "- retail-churn-90 was left out: it is absent" in written
    assert "PREDICT COUNT(Invoice.*, 0, 60, days) > 0 FOR EACH Customer.CustomerId" in written
    assert "chinook-buys-60" in page.text([RESULT], {})
