from __future__ import annotations

import numpy as np
import pytest

from penstock.errors import RequestError
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.fitting.trained import Trained
from tests.learning.worlds import worlds

NEAREST = "tests.learning.own_models:Nearest"


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_class_of_one_s_own_learns_answers_and_goes_to_json(task):
    train, validation, test = worlds(task, 400)
    trained = fit(task, train, validation, options=Options(model=NEAREST))
    assert trained.model.kind == "own"
    assert trained.notes[-1].startswith(f"Model: 100% {NEAREST}, the best mixture on one window")
    assert trained.importance == ()
    back = Trained.from_json(trained.to_json())
    assert back.predict(test).equals(trained.predict(test))
    first = test.features[trained.encoding.encoders[0].feature].to_numpy()
    said = trained.output(test)
    assert set(said[first > trained.model.model.middle]) == {trained.model.model.above}
    score = trained.contributions(test).sum(axis=1)
    np.testing.assert_allclose(trained.model.answer(score), said)


def test_its_parts_and_importance_are_shown_where_it_has_them():
    train, validation, test = worlds("multiclass", 400)
    trained = fit("multiclass", train, validation, options=Options(model="tests.learning.own_models:Shares"))
    assert trained.importance == ((trained.encoding.encoders[0].feature, 1.0),)
    parts = trained.contributions(test)
    assert np.abs(parts[..., 1:]).max() == 0
    np.testing.assert_allclose(np.exp(parts.sum(axis=-1)), trained.output(test))


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ("forest", "there is no model named 'forest'"),
        ("tests.learning.nowhere:Nearest", "cannot be loaded: No module named 'tests.learning.nowhere'"),
        ("tests.learning.own_models:Farthest", "cannot be loaded: module .* has no attribute 'Farthest'"),
        ("tests.learning.own_models:Half", "lacks predict, to_dict, from_dict"),
    ],
)
def test_a_model_that_is_not_there_or_not_whole_is_refused(model, said):
    train, validation, _ = worlds("binary", 100)
    with pytest.raises(RequestError, match=f"LEARNING_MODEL: .*{said}"):
        fit("binary", train, validation, options=Options(model=model))


def test_tasks_that_it_cannot_learn_are_refused():
    train, validation, _ = worlds("multilabel", 100)
    with pytest.raises(RequestError, match="Nearest cannot learn a multilabel task"):
        fit("multilabel", train, validation, options=Options(model=NEAREST))


@pytest.mark.parametrize(("model", "kinds"), [("boosted", {"boosted"}), ("linear", {"linear"})])
def test_one_kind_of_model_can_be_asked_for(model, kinds):
    for task in ("binary", "regression", "multiclass"):
        train, validation, _ = worlds(task, 400)
        trained = fit(task, train, validation, options=Options(model=model))
        found = getattr(trained.model, "models", (trained.model,))
        assert {member.kind for member in found} == kinds
