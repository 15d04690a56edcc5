from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from penstock.errors import RefusedError, RequestError
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.judging.baselines import best_lag
from penstock.learning.judging.evaluate import Evaluation, evaluate
from tests.learning.worlds import TABULAR, shuffled, worlds

FIRST = {"binary": "auroc", "multiclass": "accuracy", "multilabel": "ap_micro"}
BASELINES = {
    "binary": ["majority", "own past rate", "one-table LightGBM"],
    "regression": ["mean", "median", "own mean", "one-table LightGBM"],
    "forecasting": ["mean", "median", "own mean", "last value", "seasonal naive", "one-table LightGBM"],
    "multiclass": ["majority", "one-table LightGBM"],
    "multilabel": ["popularity", "one-table LightGBM"],
}


def judged(task, rows=1200, **changes):
    train, validation, test = (replace(part, **changes) for part in worlds(task, rows))
    if task == "multiclass":
        train, validation, test = (replace(part, own_past=()) for part in (train, validation, test))
    trained = fit(task, train, validation, options=Options(threads=2))
    return trained, evaluate(trained, test, train=train, validation=validation, threads=2), test


@pytest.fixture(scope="module", params=TABULAR)
def evidence(request):
    return judged(request.param)


def test_the_model_beats_what_one_could_say_without_it(evidence):
    trained, evaluation, _ = evidence
    assert list(evaluation.baselines) == BASELINES[trained.task]
    if trained.task in FIRST:
        name = FIRST[trained.task]
        rest = [said[name] for who, said in evaluation.baselines.items() if who != "own past rate"]
        assert evaluation.metrics[name] > max(rest)
    else:
        rest = [said["rmse"] for said in evaluation.baselines.values()]
        assert evaluation.metrics["rmse"] < min(rest)
        assert evaluation.metrics["coverage"] == pytest.approx(0.9, abs=0.05)


def test_metrics_can_be_worked_out_again_from_the_predictions(evidence):
    trained, evaluation, test = evidence
    table = evaluation.predictions
    if trained.task == "binary":
        truth, p = table["target"].to_numpy(zero_copy_only=False), table["probability"].to_numpy()
        assert evaluation.metrics["brier"] == pytest.approx(np.mean((truth - p) ** 2))
    elif trained.task in ("regression", "forecasting"):
        off = np.abs(table["target"].to_numpy() - table["prediction"].to_numpy())
        assert evaluation.metrics["mae"] == pytest.approx(off.mean())
    elif trained.task == "multiclass":
        best = table["probability"].to_numpy().reshape(len(test), -1).argmax(axis=1)
        classes = np.array(table["class"].to_pylist()).reshape(len(test), -1)[np.arange(len(test)), best]
        assert evaluation.metrics["accuracy"] == np.mean(classes == np.array(test.target.to_pylist()))
    else:
        held = [name in row for row in test.target.to_pylist() for name in trained.finish.values]
        assert table["target"].to_pylist() == held


def test_an_evaluation_prints_itself_and_goes_to_json_and_back(evidence):
    _, evaluation, _ = evidence
    text = str(evaluation)
    assert "1970-04-01 (seed-time): 1,200 training, 1,200 validation, 1,200 test rows" in text
    assert "this model" in text
    assert "one-table LightGBM" in text
    back = Evaluation.from_dict(json.loads(json.dumps(evaluation.to_dict())), evaluation.predictions)
    assert back == evaluation
    assert str(back) == text
    assert "  90 % interval" in text
    assert f"The best baseline, {evaluation.lead.rival}, is beaten by more than noise" in text


def test_an_evaluation_goes_to_a_file_and_back(evidence, tmp_path):
    _, evaluation, _ = evidence
    evaluation.save(tmp_path / "kept.parquet")
    assert Evaluation.load(tmp_path / "kept.parquet") == evaluation
    evaluation.write(str(tmp_path / "predictions.parquet"))
    with pytest.raises(RequestError, match=r"predictions.parquet holds no evaluation"):
        Evaluation.load(tmp_path / "predictions.parquet")


def test_what_is_not_known_goes_to_json_and_back(evidence):
    _, evaluation, _ = evidence
    changed = replace(evaluation, intervals={"auroc": (math.nan, math.nan)}, windows=({"auroc": math.nan},), lead=None)
    plain = json.loads(json.dumps(changed.to_dict(), allow_nan=False))
    back = Evaluation.from_dict(plain, changed.predictions)
    assert math.isnan(back.intervals["auroc"][0])
    assert math.isnan(back.windows[0]["auroc"])
    assert back.to_dict() == plain


def test_intervals_hold_the_metric_they_are_about(evidence):
    _, evaluation, _ = evidence
    assert list(evaluation.intervals) == list(evaluation.metrics)
    for name, (low, high) in evaluation.intervals.items():
        assert low <= evaluation.metrics[name] <= high, name


def test_the_reliability_table_sets_what_was_said_beside_what_came(evidence):
    trained, evaluation, test = evidence
    assert 5 <= len(evaluation.reliability) <= 10
    cells = evaluation.predictions.num_rows if trained.task == "multilabel" else len(test)
    assert sum(part.rows for part in evaluation.reliability) == cells
    assert len(evaluation.reliability_text().splitlines()) == len(evaluation.reliability) + 1
    if trained.task in ("regression", "forecasting"):
        covered = sum(part.came * part.rows for part in evaluation.reliability) / len(test)
        assert covered == pytest.approx(evaluation.metrics["coverage"])
    else:
        gap = sum(abs(part.said - part.came) * part.rows for part in evaluation.reliability) / cells
        assert gap == pytest.approx(evaluation.metrics["calibration_error"], abs=0.01)


def test_the_order_of_test_rows_changes_the_predictions_order_and_nothing_else():
    trained, evaluation, test = judged("binary", 400)
    train, validation, _ = worlds("binary", 400)
    again = evaluate(trained, shuffled(test), train=train, validation=validation, threads=2)
    assert again.metrics == pytest.approx(evaluation.metrics)
    assert again.predictions.sort_by("entity").equals(evaluation.predictions.sort_by("entity"))


def test_rows_without_a_target_are_answered_and_do_not_count():
    trained, _, test = judged("binary", 400)
    train, validation, _ = worlds("binary", 400)
    half = pa.array([t if i % 2 else None for i, t in enumerate(test.target.to_pylist())])
    evaluation = evaluate(trained, replace(test, target=half), train=train, validation=validation)
    assert evaluation.rows["test"] == 200
    assert evaluation.predictions["entity"].to_pylist() == test.entity.to_pylist()
    assert evaluation.predictions["target"].null_count == 200
    with pytest.raises(RefusedError, match="DATA_NO_TEST: no test row has a target to compare with"):
        evaluate(trained, replace(test, target=None), train=train, validation=validation)


def test_the_one_table_baseline_is_absent_where_the_entity_s_row_says_nothing():
    _, evaluation, _ = judged("binary", 400, static=["constant"])
    assert list(evaluation.baselines) == ["majority", "own past rate"]


def test_the_class_an_entity_had_last_is_a_baseline():
    train, validation, test = (replace(p, own_past=["kind"], static=[]) for p in worlds("multiclass", 200))
    parts = [replace(p, target=p.features["kind"].cast(pa.string())) for p in (train, validation, test)]
    trained = fit("multiclass", parts[0], parts[1], options=Options(threads=2))
    evaluation = evaluate(trained, parts[2], train=parts[0], validation=parts[1])
    assert evaluation.baselines["own last"]["accuracy"] == 1.0


def test_the_season_is_the_past_window_that_was_closest():
    truth = np.array([1.0, 2.0, 3.0, 4.0])
    past = np.column_stack([truth + 2, truth, np.where(truth > 1, np.nan, truth)])
    assert best_lag(past, truth) == 1
