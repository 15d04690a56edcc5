from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from penstock.errors import RequestError
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.judging.compare import compare
from penstock.learning.judging.evaluate import evaluate
from penstock.learning.judging.evaluation import Evaluation
from tests.learning.worlds import DAY, TABULAR, basket, shop, worlds


@pytest.fixture(scope="module", params=TABULAR)
def pair(request):
    """Evaluations of one task with all features, and with one that says nothing of the target."""
    parts = [replace(part, own_past=()) for part in worlds(request.param, 500)]
    poor = [part.only(["n5", "kind", "n3"]) for part in parts]
    return [_judged(request.param, some) for some in (parts, poor)]


def _judged(task, parts):
    train, validation, test = parts
    trained = fit(task, train, validation, options=Options(threads=2))
    return evaluate(trained, test, train=train, validation=validation, threads=2)


def test_the_better_one_is_found_and_the_other_way_round(pair):
    rich, poor = pair
    name = rich.lead.metric
    found = {d.metric: d for d in compare(rich, poor).differences}
    back = {d.metric: d for d in compare(poor, rich).differences}
    assert list(found) == list(rich.metrics)
    for metric, d in found.items():
        assert d.value == pytest.approx(rich.metrics[metric] - poor.metrics[metric])
        assert d.value == pytest.approx(-back[metric].value)
        np.testing.assert_allclose([d.low, d.high], [-back[metric].high, -back[metric].low], atol=1e-9)
    assert (found[name].verdict, back[name].verdict) == ("better", "worse")
    assert found[name].better > 0.95


def test_an_evaluation_is_as_good_as_itself(pair):
    rich, _ = pair
    told = compare(rich, rich)
    assert told.verdict == "Neither is better by more than noise."
    assert {(d.value, d.low, d.high) for d in told.differences} == {(0.0, 0.0, 0.0)}
    assert {d.better for d in told.differences if d.metric != "coverage"} == {0.5}


def test_evaluations_read_back_from_files_in_another_order_compare_the_same(pair, tmp_path):
    rich, poor = pair
    told = compare(rich, poor)
    for name, evaluation in (("rich", rich), ("poor", poor)):
        evaluation.save(tmp_path / f"{name}.parquet")
    width = poor.predictions.num_rows // poor.rows["test"]
    turned = np.arange(poor.predictions.num_rows).reshape(-1, width)[::-1].ravel()
    read = [Evaluation.load(tmp_path / f"{name}.parquet") for name in ("rich", "poor")]
    mixed = replace(read[1], predictions=read[1].predictions.take(pa.array(turned)))
    again = compare(read[0], mixed)
    assert (again.rows, again.entities) == (500, 500)
    for first, second in zip(told.differences, again.differences, strict=True):
        assert (second.value, second.low) == (pytest.approx(first.value), pytest.approx(first.low))


def test_a_comparison_prints_itself_and_goes_to_json(pair):
    rich, poor = pair
    told = compare(rich, poor)
    lines = str(told).splitlines()
    assert lines[0] == f"{rich.task}: the same 500 rows of 500 entities"
    assert lines[2].split("  ")[-1] == "first better in"
    assert len(lines) == 4 + len(rich.metrics)
    assert lines[-1].startswith("The first is better in ")
    assert lines[-1].endswith(", by more than noise.")
    plain = told.to_dict()
    assert [d["verdict"] for d in plain["differences"]] == [d.verdict for d in told.differences]


def test_rankings_are_compared_by_their_hits():
    log = shop(entities=120)
    train, validation, test = (basket(log, day * DAY, 15 * DAY) for day in (60, 75, 90))
    first, second = (
        evaluate(
            fit("ranking", train, validation, options=Options(threads=2, seed=seed)),
            test, train=train, validation=validation, top_k=5, threads=2,
        )
        for seed in (0, 1)
    )  # fmt: skip
    told = compare(first, second)
    assert list(told.first) == ["map@5", "ndcg@5", "recall@5"]
    for name, value in told.first.items():
        assert value == pytest.approx(first.metrics[name])
    assert "note: A score puts the items of one row in order; it is no probability." in str(first)


def test_what_cannot_be_compared_is_refused(pair):
    rich, poor = pair
    with pytest.raises(RequestError, match="COMPARE_TASK: a ranking evaluation cannot be compared with one that is "):
        compare(replace(rich, task="ranking"), poor)
    width = poor.predictions.num_rows // 500
    part = replace(poor, predictions=poor.predictions.slice(0, 400 * width))
    message = "COMPARE_ROWS: the evaluations are of different rows: 400 of 500 and 400 are the same"
    with pytest.raises(RequestError, match=message):
        compare(rich, part)
    other = [replace(part, own_past=()) for part in worlds(rich.task, 500, seed=1)]
    came = _judged(rich.task, other).predictions["target"]
    changed = poor.predictions.set_column(poor.predictions.column_names.index("target"), "target", came)
    with pytest.raises(RequestError, match=r"COMPARE_TARGETS: the answers of \d+ of 500 rows differ"):
        compare(rich, replace(poor, predictions=changed))
