from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from penstock.learning.encoding.encoders import Category, Frequency, Number
from penstock.learning.encoding.matrix import learn
from penstock.learning.encoding.screen import past_of
from penstock.learning.encoding.selection import chosen
from penstock.learning.encoding.targets import Rate
from penstock.learning.encoding.textual import Size, Theme
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.rows.dataset import Samples
from penstock.schema import Kind

DAY = 86_400_000_000
OPTIONS = Options(threads=1)
WORDS = "red green blue round flat heavy light old new large small soft".split()  # noqa: SIM905
KINDS = {"team": Kind.CATEGORICAL, "remark": Kind.TEXT}


def world(seed: int, days: range, *, team: float = 0.0, word: float = 0.0, teams: int = 300) -> Samples:
    """Rows of some days: a number matters, and as said the team and whether the remark says "heavy"."""
    rng = np.random.default_rng(seed)
    rows, strengths = 400 * len(days), np.random.default_rng(7).normal(size=teams)
    mine = rng.integers(0, teams, rows)
    x = rng.normal(size=rows)
    remarks = [" ".join(rng.choice(WORDS, 6)) for _ in range(rows)]
    score = x + team * strengths[mine] + word * np.array(["heavy" in remark for remark in remarks]) - word / 2
    columns: dict[str, Any] = {"x": x, "team": [f"team {t}" for t in mine], "remark": remarks}
    target = pa.array(rng.random(rows) < 1 / (1 + np.exp(-2 * score)))
    return Samples(pa.array(np.arange(rows)), np.repeat(np.array(days) * DAY, 400), pa.table(columns), target)


def kept(train: Samples, validation: Samples, features: list[str]) -> tuple[set[type], Any]:
    train, validation = train.only(features), validation.only(features)
    past = past_of("binary", train, validation, DAY)
    encoding, values = learn(train.features, train.entity, KINDS, past)
    later = encoding.encode(validation.features)
    part, mine, theirs = chosen("binary", encoding, (train, values), (validation, later), OPTIONS)
    np.testing.assert_array_equal(part.encode(validation.features), theirs)
    assert mine.shape == (len(train), len(part.encoders))
    return {type(e) for e in part.encoders}, part


def test_rates_are_kept_where_they_help():
    found, _ = kept(world(0, range(8), team=1.5), world(1, range(9, 12), team=1.5), ["x", "team"])
    assert Rate in found


def test_what_says_nothing_is_left_out_and_said():
    found, part = kept(world(0, range(8)), world(1, range(9, 12)), ["x", "team", "remark"])
    assert found <= {Number, Category, Frequency, Rate}
    assert ("remark", "it does not help to predict later rows") in part.dropped


def test_texts_are_read_where_they_help():
    found, _ = kept(world(0, range(8), word=4.0), world(1, range(9, 12), word=4.0), ["x", "remark"])
    assert Theme in found


def test_nothing_is_tried_where_there_is_nothing_to_choose():
    train, validation = world(0, range(8)).only(["x"]), world(1, range(9, 12)).only(["x"])
    encoding, values = learn(train.features, train.entity)
    later = encoding.encode(validation.features)
    same, mine, theirs = chosen("binary", encoding, (train, values), (validation, later), OPTIONS)
    assert same is encoding
    assert mine is values
    assert theirs is later


@pytest.mark.parametrize("feature", ["team", "remark"])
def test_a_lone_feature_is_kept_whatever_it_says(feature):
    found, _ = kept(world(0, range(4)), world(1, range(5, 7)), [feature])
    assert found & {Category, Rate, Theme, Size}


def test_a_model_with_rates_and_themes_predicts_and_comes_back_from_json():
    train, validation, test = (
        world(s, d, team=1.5, word=4.0) for s, d in enumerate((range(8), range(9, 11), range(12, 14)))
    )
    trained = fit("binary", train, validation, options=Options(threads=1, horizon=DAY), kinds=KINDS)
    assert {Rate, Theme} <= {type(e) for e in trained.encoding.encoders}
    plain = fit("binary", *(part.only(["x"]) for part in (train, validation)), options=OPTIONS)
    truth = np.asarray(test.target).astype(float)
    errors = [np.mean((model.estimates(test) - truth) ** 2) for model in (trained, plain)]
    assert errors[0] < 0.9 * errors[1]
    back = type(trained).from_json(trained.to_json())
    np.testing.assert_array_equal(back.estimates(test), trained.estimates(test))
