from __future__ import annotations

import copy
import pickle
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from penstock.learning.fitting.booster import Booster, Examples, binned, train

TOLD = {"objective": "binary", "metric": "binary_logloss", "seed": 1, "num_threads": 2, "num_leaves": 7}


def examples(rows=600, seed=0):
    rng = np.random.default_rng(seed)
    values = np.asfortranarray(rng.normal(size=(rows, 4)).astype(np.float32))
    values[:, 3] = rng.integers(0, 5, rows)
    values[rng.random(rows) < 0.1, 1] = np.nan
    return Examples(values, (values[:, 0] + (values[:, 3] == 2) > 0.3).astype(float), categorical=(3,))


@pytest.fixture(scope="module")
def grown():
    return train(examples(), examples(seed=1), TOLD, rounds=60, patience=10)


def test_it_reads_as_a_booster_of_the_python_package(grown):
    lightgbm = pytest.importorskip("lightgbm")
    values = examples(seed=2).values
    theirs = lightgbm.Booster(model_str=grown.booster.text)
    np.testing.assert_array_equal(grown.booster.predict(values), theirs.predict(values))
    np.testing.assert_array_equal(grown.booster.contributions(values), theirs.predict(values, pred_contrib=True))


def test_it_stops_when_validation_stops_improving(grown):
    longer = train(examples(), examples(seed=1), TOLD, rounds=400, patience=10)
    assert longer.rounds < 400
    assert grown.rounds <= 60
    assert 0 < longer.loss <= grown.loss


def test_matrices_in_bins_serve_for_other_targets_and_objectives(grown):
    bins = binned(examples(), examples(seed=1), TOLD)
    flipped = [replace(part, target=1 - part.target) for part in (examples(), examples(seed=1))]
    squared = {**TOLD, "objective": "regression", "metric": "l2"}
    for given, told in (((examples(), examples(seed=1)), TOLD), (flipped, squared), (flipped, TOLD)):
        shared = train(*given, told, rounds=60, patience=10, bins=bins)
        assert shared == train(*given, told, rounds=60, patience=10)
    assert train(examples(), examples(seed=1), TOLD, rounds=60, patience=10, bins=bins) == grown


def test_contributions_sum_to_the_raw_score(grown):
    values = examples(seed=2).values
    raw = grown.booster.predict(values, raw=True)
    np.testing.assert_allclose(grown.booster.contributions(values).sum(axis=1), raw, atol=1e-9)


def test_the_order_of_columns_in_memory_changes_nothing(grown):
    values = examples(seed=2).values
    np.testing.assert_array_equal(
        grown.booster.predict(np.ascontiguousarray(values)), grown.booster.predict(np.asfortranarray(values))
    )
    told = examples()
    by_row = Examples(np.ascontiguousarray(told.values), told.target, told.categorical)
    assert train(by_row, None, TOLD, rounds=5).booster.text == train(told, None, TOLD, rounds=5).booster.text


def test_one_row_scores_as_it_does_among_many(grown):
    values = examples(seed=2).values
    assert grown.booster.predict(values[7:8])[0] == grown.booster.predict(values)[7]
    assert grown.booster.predict(values[:0]).shape == (0,)


def test_a_booster_is_its_text(grown):
    assert Booster(grown.booster.text) == grown.booster
    assert copy.copy(grown.booster) == grown.booster
    assert pickle.loads(pickle.dumps(grown.booster)) == grown.booster


def test_progress_is_told_up_to_the_end():
    told = []
    train(examples(), None, TOLD, rounds=4, progress=told.append)
    assert told == [0.25, 0.5, 0.75, 1.0]


def test_lightgbm_s_own_complaint_is_passed_on():
    with pytest.raises(RuntimeError, match="LightGBM: Unknown objective type name: nonsense"):
        train(examples(), None, {"objective": "nonsense"}, rounds=1)


def test_learning_and_scoring_import_no_heavy_library():
    program = (
        "import sys, numpy as np; from penstock.learning.fitting.booster import Examples, train; "
        "import penstock.learning.judging.evaluate, penstock.learning.reasons.explain; "
        "x = np.random.default_rng(0).normal(size=(100, 2)).astype('f4'); "
        "train(Examples(x, (x[:, 0] > 0).astype(float)), None, {'objective': 'binary'}, rounds=2).booster.predict(x); "
        "sys.exit(' '.join({'sklearn', 'scipy', 'pandas', 'lightgbm'} & set(sys.modules)) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
