from __future__ import annotations

import numpy as np
import pytest

from penstock.learning.calibration.calibrate import sigmoid
from penstock.learning.fitting.models import Options, softmax
from penstock.learning.fitting.train import fit
from penstock.learning.fitting.trained import Trained, with_step
from penstock.learning.reasons.explain import family, reasons, sentence
from tests.learning.worlds import TABULAR, worlds

PHRASES = {"n0": "first number", "kind": "kind is {value}", "n1": lambda value: f"second number of {value}"}


@pytest.fixture(scope="module", params=TABULAR)
def learnt(request):
    train, validation, test = worlds(request.param, 600)
    return fit(request.param, train, validation, options=Options(threads=2)), test.take(np.arange(20))


def test_each_row_has_its_strongest_reasons_strongest_first(learnt):
    trained, rows = learnt
    for told in reasons(trained, rows, PHRASES, most=3):
        strength = [abs(reason.contribution) for reason in told]
        assert len(told) == 3
        assert strength == sorted(strength, reverse=True)


def test_the_parts_of_all_features_sum_to_the_score(learnt):
    trained, rows = learnt
    parts = trained.contributions(rows)
    score = parts.sum(axis=-1)
    answer = trained.model.predict(trained.encoding.encode(with_step(rows)))
    said = {"binary": sigmoid, "multilabel": sigmoid, "multiclass": softmax}.get(trained.task, trained.model.answer)
    np.testing.assert_allclose(said(score), answer, atol=1e-6, rtol=1e-6)


def test_values_are_those_of_the_table(learnt):
    trained, rows = learnt
    for number, told in enumerate(reasons(trained, rows, PHRASES)):
        for reason in told:
            if reason.expression != "STEP":
                assert reason.value == rows.features[reason.expression][number].as_py()


def test_reasons_survive_json(learnt):
    trained, rows = learnt
    assert reasons(Trained.from_json(trained.to_json()), rows) == reasons(trained, rows)


def test_a_reason_says_its_direction_and_size(learnt):
    trained, rows = learnt
    first = reasons(trained, rows, PHRASES)[0][0]
    assert str(first)[0] == ("↑" if first.contribution > 0 else "↓")
    assert f"({first.contribution:+.2f})" in str(first)


def test_expressions_that_differ_only_in_their_window_are_one_family():
    assert family("SUM(a.x, -30, 0, days)") == family("SUM(a.x, -INF, 0, days)") == family("SUM(a.x, -3, -1, weeks)")
    assert family("SUM(a.x, -30, 0, days)") != family("SUM(a.y, -30, 0, days)")
    assert family("SUM(a.x WHERE a.k = '3', -30, 0, days)") != family("SUM(a.x WHERE a.k = '4', -30, 0, days)")
    assert family("LAST_N(a.x, 2, -INF, 0, days)") == family("LAST_N(a.x, 3, -INF, 0, days)")


@pytest.mark.parametrize(
    ("phrase", "value", "counted", "said"),
    [
        ("support entries with kind complaint so far", 1, True, "1 support entry with kind complaint so far"),
        ("orders in the last 30 days", None, True, "no orders in the last 30 days"),
        ("orders in the last 30 days", 1234.0, True, "1,234 orders in the last 30 days"),
        ("days since the last orders", 1, True, "1 day since the last order"),
        ("days since the last orders in the last 90 days", None, True, "no orders in the last 90 days"),
        ("days since birth", 3.14159, False, "days since birth is 3.14"),
        ("average price of orders so far", float("nan"), False, "average price of orders so far is not known"),
        ("vip", True, False, "vip"),
        ("vip", False, False, "not: vip"),
        ("tags", ["a", "b"], False, "tags is a, b"),
        ("tags", [], False, "tags is empty"),
    ],
)
def test_values_are_said_in_plain_words(phrase, value, counted, said):
    assert sentence(phrase, value, counted=counted) == said
