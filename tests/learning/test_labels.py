from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from penstock.learning.fitting.labels import asked
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.fitting.trained import Trained
from penstock.learning.judging.evaluate import evaluate
from tests.learning.worlds import worlds

OPTIONS = Options(threads=2)


def with_past(seed=0):
    """Everyone has a label or two of their own, which they mostly keep."""
    rng = np.random.default_rng(seed)
    names = np.array([f"l{i}" for i in range(12)])
    parts = []
    for part in worlds("multilabel", 800):
        liked = rng.random((len(part), 12)) < 0.12
        now, before = (liked & (rng.random(liked.shape) < 0.7) for _ in range(2))
        lists = pa.array([names[row].tolist() for row in before])
        table = pa.table({"before": lists, "n0": part.features["n0"], "n1": part.features["n1"]})
        target = pa.array([names[row].tolist() for row in now])
        parts.append(replace(part, features=table, target=target, own_past=["before"], static=["n0"]))
    return parts


def test_what_the_past_held_is_learnt_for_all_labels_at_once():
    train, validation, test = with_past()
    trained = fit("multilabel", train, validation, options=OPTIONS)
    evaluation = evaluate(trained, test, train=train, validation=validation)
    assert evaluation.metrics["auroc_macro"] > evaluation.baselines["popularity"]["auroc_macro"] + 0.2
    assert evaluation.metrics["ap_macro"] > 0.95 * evaluation.baselines["own past rate"]["ap_macro"]
    assert trained.importance[0][0] == "before"


def test_labels_go_to_json_and_back():
    train, validation, test = with_past()
    trained = fit("multilabel", train, validation, options=OPTIONS)
    back = Trained.from_json(trained.to_json())
    assert back == trained
    assert back.predict(test).equals(trained.predict(test))


def test_each_row_is_asked_once_a_label():
    values = np.array([[7.0, 1.0], [8.0, 0.0]], np.float32)
    long = asked(values, (0.5, 0.25), ((1,), (-1,)))
    expected = [
        [7, 1, 0, 0.5, 1, 1],
        [7, 1, 1, 0.25, np.nan, np.nan],
        [8, 0, 0, 0.5, 0, 0],
        [8, 0, 1, 0.25, np.nan, np.nan],
    ]
    np.testing.assert_array_equal(long, np.array(expected, np.float32))


@pytest.mark.parametrize("rare", [1, 4])
def test_a_label_too_rare_to_learn_is_left_out(rare):
    train, validation, _ = worlds("multilabel", 300)
    lists = [[*row, "rare"] if i < rare else row for i, row in enumerate(train.target.to_pylist())]
    trained = fit("multilabel", replace(train, target=pa.array(lists)), validation, options=OPTIONS)
    assert set(trained.finish.values) == {"x", "y", "z"}
