from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from penstock.errors import RefusedError
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.objectives import objectives
from penstock.learning.fitting.train import fit
from penstock.learning.fitting.trained import Trained
from tests.learning.worlds import DAY, TABULAR, asked, shuffled, world, worlds

OPTIONS = Options(seed=3, threads=2)
COLUMNS = {
    "binary": ["probability", "low", "high", "confidence", "prediction"],
    "regression": ["prediction", "low", "high", "confidence"],
    "forecasting": ["step", "prediction", "low", "high", "confidence"],
    "multiclass": ["class", "probability"],
    "multilabel": ["class", "probability"],
}


@pytest.fixture(scope="module")
def fitted():
    """Each task's model, trained once."""
    found = {}
    for task in TABULAR:
        train, validation, test = worlds(task)
        found[task] = fit(task, train, validation, options=OPTIONS), test
    return found


@pytest.fixture(params=TABULAR)
def learnt(request, fitted):
    return fitted[request.param]


def test_an_answer_has_the_columns_of_its_task_and_every_row(learnt):
    trained, test = learnt
    answer = trained.predict(asked(test))
    assert answer.column_names == ["entity", "cutoff", *COLUMNS[trained.task]]
    assert answer.num_rows % len(test) == 0
    assert answer["cutoff"].type == pa.timestamp("us")
    assert sum(column.null_count for column in answer.columns) == 0


def test_low_and_high_hold_the_answer(learnt):
    trained, test = learnt
    answer = trained.predict(asked(test))
    if "low" in answer.column_names:
        said = "probability" if trained.task == "binary" else "prediction"
        low, middle, high = (answer[name].to_numpy() for name in ("low", said, "high"))
        assert np.all((low <= middle) & (middle <= high))
        confidence = answer["confidence"].to_numpy()
        assert np.all((confidence >= 0) & (confidence <= 1))


def test_probabilities_of_classes_sum_to_one():
    trained, test = fit("multiclass", *worlds("multiclass")[:2], options=OPTIONS), world("multiclass", 90)
    p = trained.predict(test)["probability"].to_numpy().reshape(len(test), 3)
    np.testing.assert_allclose(p.sum(axis=1), 1.0)


def test_a_model_goes_to_json_and_back_with_equal_answers(learnt):
    trained, test = learnt
    back = Trained.from_json(trained.to_json())
    assert back == trained
    assert back.predict(test).equals(trained.predict(test))


def test_each_row_s_answer_depends_on_that_row_alone(learnt):
    trained, test = learnt
    some = np.array([5, 3, 900])
    times = trained.predict(test).num_rows // len(test)
    rows = (some[:, None] * times + np.arange(times)).ravel()
    assert trained.predict(test.take(some)).equals(trained.predict(test).take(pa.array(rows)))


@pytest.mark.parametrize("task", ["binary", "forecasting"])
def test_the_order_of_training_rows_changes_nothing(task, fitted):
    train, validation, _ = worlds(task)
    again = fit(task, shuffled(train), shuffled(validation), options=OPTIONS)
    assert replace(again, seconds=0) == replace(fitted[task][0], seconds=0)


def test_the_same_seed_gives_the_same_model_and_another_seed_another():
    train, validation, test = worlds("binary", 400)
    answers = [
        fit("binary", train, validation, options=Options(seed=seed, threads=threads)).predict(test)
        for seed, threads in ((1, 1), (1, 2), (2, 1))
    ]
    assert answers[0].equals(answers[1])
    assert not answers[0].equals(answers[2])


def test_what_it_learns_is_what_there_is_to_learn(fitted):
    importance = dict(fitted["binary"][0].importance)
    assert max(importance, key=importance.__getitem__) in ("n0", "past")
    assert sum(importance.values()) == pytest.approx(1, abs=1e-4)
    assert not {"constant", "empty", "copy"} & set(importance)


def test_notes_say_what_was_dropped_and_what_was_chosen(fitted):
    trained, _ = fitted["regression"]
    assert trained.notes[0].startswith("Dropped 3 features: 1 because it ")
    assert trained.notes[1].startswith("Model: ")
    assert "of the change in logs" in trained.notes[1]
    assert "regression model: " in str(trained)


def test_a_forecast_knows_which_step_is_asked():
    train, validation, test = worlds("forecasting")
    trained = fit("forecasting", train, validation, options=OPTIONS)
    near, far = (
        trained.predict(replace(test, step=np.full(len(test), step)))["prediction"].to_numpy() for step in (1, 3)
    )
    assert far.mean() > 1.5 * near.mean()  # the world grows with the step


def test_a_rare_class_keeps_its_rate():
    rng = np.random.default_rng(0)
    parts = []
    for cutoff in (30, 60, 90):
        part = world("binary", cutoff, 6000)
        signal = np.nan_to_num(part.features["n0"].to_numpy())
        parts.append(replace(part, target=pa.array(rng.random(6000) < 0.04 * np.exp(0.5 * signal))))
    trained = fit("binary", parts[0], parts[1], options=OPTIONS)
    said = trained.predict(parts[2])["probability"].to_numpy()
    assert said.mean() == pytest.approx(np.mean(parts[2].target.to_numpy(zero_copy_only=False)), abs=0.01)


def test_a_class_too_rare_to_learn_is_never_predicted_but_does_no_harm():
    train, validation, test = worlds("multiclass")
    odd = pa.array(["odd", *train.target.to_pylist()[1:]])
    trained = fit("multiclass", replace(train, target=odd), validation, options=OPTIONS)
    assert set(trained.predict(test)["class"].to_pylist()) == {"high", "middle", "low"}


@pytest.mark.parametrize("values", [[1, 2, 3], [1.5, 2.5, 3.5], [True, False, True], [7, 8, 9]])
def test_classes_keep_their_own_type(values):
    parts = []
    for part in worlds("multiclass", 300):
        codes = pa.array([{"high": 0, "middle": 1, "low": 2}[c] for c in part.target.to_pylist()])
        parts.append(replace(part, target=pa.array(values).take(codes)))
    trained = fit("multiclass", parts[0], parts[1], options=OPTIONS)
    answer = Trained.from_json(trained.to_json()).predict(parts[2])
    assert answer["class"].type == pa.array(values).type
    assert set(answer["class"].to_pylist()) == set(values)


def test_each_kind_of_number_has_its_objectives():
    rng = np.random.default_rng(0)
    signed = [objective.name for objective in objectives(rng.normal(size=50))]
    assert signed == ["squared error", "absolute error", "absolute error of logs"]
    counts = [objective.name for objective in objectives(rng.poisson(3.0, 50).astype(float), [(4, 0.0)])]
    assert counts == [
        *signed,
        "squared error of the change in logs",
        "absolute error of the change in logs",
        "Tweedie deviance",
    ]


def test_entities_larger_than_any_in_training_are_predicted_at_their_own_size():
    rng = np.random.default_rng(0)
    parts = []
    for part, size in zip(worlds("regression", 1500), (1.0, 1.0, 50.0), strict=True):
        past = rng.lognormal(2, 1, len(part)) * size
        table = pa.table({"past": past, "noise": part.features["n4"], "other": part.features["n5"]})
        target = pa.array(past * rng.lognormal(0.2, 0.1, len(part)))
        parts.append(replace(part, features=table, target=target))
    trained = fit("regression", parts[0], parts[1], options=OPTIONS)
    assert "change in logs" in trained.notes[0]
    said, truth = trained.predict(parts[2])["prediction"].to_numpy(), parts[2].target.to_numpy()
    assert np.abs(said / truth - 1).mean() < 0.15


def test_a_loss_of_absolute_errors_predicts_medians_and_one_of_squares_means():
    rng = np.random.default_rng(0)
    parts = [replace(p, target=pa.array(rng.lognormal(0, 1.5, len(p)))) for p in worlds("regression", 3000)]
    mean, median = (
        fit("regression", *parts[:2], options=Options(threads=2, loss=loss)).predict(parts[2])["prediction"].to_numpy()
        for loss in ("rmse", "mae")
    )
    assert mean.mean() == pytest.approx(np.exp(1.5**2 / 2), rel=0.25)
    assert median.mean() == pytest.approx(1, rel=0.25)


def test_progress_is_told():
    told = []
    fit("binary", *worlds("binary", 300)[:2], options=OPTIONS, progress=lambda what, done: told.append((what, done)))
    assert told[-1] == ("learning", 1.0)
    assert [done for _, done in told] == sorted(done for _, done in told)


def test_rows_beyond_the_cap_are_left_out_and_said():
    train, validation, _ = worlds("binary", 500)
    trained = fit("binary", train, validation, options=Options(threads=2, rows=200))
    assert dict(trained.rows) == {"training": 200, "validation": 200}
    assert "Learnt from 200 of 500 training rows, all cutoffs kept." in trained.notes


def test_features_that_all_say_nothing_are_refused():
    train, validation, _ = worlds("binary", 100)
    bare = [replace(part, features=part.features.select(["constant", "empty"])) for part in (train, validation)]
    with pytest.raises(RefusedError, match="DATA_NO_FEATURE: no feature says anything"):
        fit("binary", *bare, options=OPTIONS)


def test_no_validation_rows_are_refused():
    train, validation, _ = worlds("binary", 100)
    with pytest.raises(RefusedError, match="DATA_TOO_FEW: there are no validation examples"):
        fit("binary", train, validation.take(np.array([], np.int64)), options=OPTIONS)


def test_asking_for_nobody_gives_an_empty_answer(learnt):
    trained, test = learnt
    nobody = asked(test).take(np.array([], np.int64))
    assert trained.predict(nobody).num_rows == 0


def test_cutoffs_are_said_in_utc_microseconds(fitted):
    trained, test = fitted["binary"]
    assert trained.predict(test)["cutoff"].cast(pa.int64()).unique().to_pylist() == [90 * DAY]


def test_rows_without_a_target_are_not_learnt_from():
    train, validation, _ = worlds("regression", 300)
    gaps = pa.array([None if i % 3 == 0 else t for i, t in enumerate(train.target.to_pylist())])
    trained = fit("regression", replace(train, target=gaps), validation, options=OPTIONS)
    assert dict(trained.rows) == {"training": 200, "validation": 300}


def test_a_target_that_is_almost_always_zero_can_be_learnt():
    rng = np.random.default_rng(0)
    parts = [replace(p, target=pa.array((rng.random(len(p)) < 0.001) * 7.0)) for p in worlds("regression", 20_000)]
    trained = fit("regression", *parts[:2], options=OPTIONS)
    assert 0 <= trained.predict(parts[2])["prediction"].to_numpy().max() <= 7


def test_a_very_rare_answer_still_shows_which_features_matter():
    rng = np.random.default_rng(0)
    parts = []
    for part in worlds("binary", 30_000)[:2]:
        signal = np.nan_to_num(part.features["n4"].to_numpy())
        parts.append(replace(part, target=pa.array(rng.random(len(part)) < 0.0004 * np.exp(2 * signal))))
    trained = fit("binary", *parts, options=Options(threads=2, features=3))
    assert trained.importance[0][0] == "n4"


def test_classes_that_never_come_again_are_refused():
    train, validation, _ = worlds("multiclass", 300)
    new = pa.array([f"new {i}" for i in range(300)])
    with pytest.raises(RefusedError, match="DATA_NEW_CLASSES: no validation example has a class"):
        fit("multiclass", train, replace(validation, target=new), options=OPTIONS)
