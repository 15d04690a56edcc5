"""Evaluate: predict the test rows of a trained model, and measure, beside what one could say without it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from penstock.errors import RefusedError
from penstock.learning.calibration.calibrate import Floats
from penstock.learning.calibration.finish import Amount, Chance, Classes, Labels, Order, truth_of
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.trained import TOP_K, Trained
from penstock.learning.judging import baselines
from penstock.learning.judging.bootstrap import Draws, draws
from penstock.learning.judging.difference import Difference, better_is, difference
from penstock.learning.judging.evaluation import Evaluation, Interval
from penstock.learning.judging.metrics import Array
from penstock.learning.judging.outcomes import Outcomes, places_hit
from penstock.learning.judging.weighted import Measured
from penstock.learning.ranking import rank
from penstock.learning.ranking.rank import Ranker
from penstock.learning.rows.dataset import Samples, joined, known
from penstock.schema import Kind


@dataclass(frozen=True)
class Parts:
    """The samples of an evaluation, test rows with a target only."""

    train: Samples
    validation: Samples
    test: Samples

    @property
    def known(self) -> Samples:
        """All that the model could learn from."""
        return joined(self.train, self.validation)


@dataclass(frozen=True)
class Asked:
    """What an evaluation was asked for."""

    parts: Parts
    options: Options
    kinds: Mapping[str, Kind] | None
    top_k: int


def evaluate(
    trained: Trained,
    test: Samples,
    *,
    train: Samples,
    validation: Samples,
    top_k: int | None = None,
    threads: int = 0,
    options: Options | None = None,
    kinds: Mapping[str, Kind] | None = None,
    regime: str = "seed-time",
    notes: tuple[str, ...] = (),
) -> Evaluation:
    """Predict the test rows and measure, beside baselines learnt from the same training and validation rows.

    ``top_k`` is how many items of a ranking count. Test rows without a target do not count.
    Raises ``RefusedError`` if none is left.
    """
    parts = Parts(train, validation, _with_target(test))
    asked = Asked(parts, options or Options(threads=threads), kinds, top_k or TOP_K)
    ranking = trained.task == "ranking"
    predictions = trained.ranked(parts.test, asked.top_k, threads) if ranking else trained.predict(parts.test, threads)
    own, others = _OUTCOMES[trained.task](trained, asked, predictions)
    rows = {"training": len(train), "validation": len(validation), "test": len(parts.test)}
    if len(parts.test) < len(test):  # who asks about rows gets an answer for each of them, scored or not
        predictions = trained.ranked(test, asked.top_k, threads) if ranking else trained.predict(test, threads)
    noise = _noise(own, others, parts.test, asked.options.seed)
    return Evaluation(
        trained.task,
        regime,
        own.metrics(),
        {name: other.metrics() for name, other in others.items()},
        _beside(predictions, trained, test),
        rows,
        {name: _instants(getattr(parts, name)) for name in ("train", "validation", "test")},
        len(trained.features) or len(trained.importance),
        trained.seconds,
        (*trained.notes, *notes, *own.remarks(), *noise.notes),
        trained.importance,
        own.bins(),
        noise.intervals,
        noise.lead,
    )


@dataclass(frozen=True)
class _Noise:
    """How sure the metrics are, and how far ahead of the best baseline the model is."""

    intervals: dict[str, Interval]
    lead: Difference | None
    notes: tuple[str, ...]


def _noise(own: Outcomes, others: Mapping[str, Outcomes], test: Samples, seed: int) -> _Noise:
    drawn = draws(test.entity, test.cutoff, test.step, seed=seed, most=own.most_rows)
    found = drawn.measured(own.measure)
    used = drawn.counts.shape[1]
    told = f"The 90 % intervals rest on {used:,} test entities drawn by lot, and are scaled to all."
    notes = (told,) if drawn.shrink < 1 else ()
    return _Noise(drawn.intervals(found, own.metrics()), _lead(own, others, drawn, found), notes)


def _lead(own: Outcomes, others: Mapping[str, Outcomes], drawn: Draws, found: Measured) -> Difference | None:
    """The difference from the best baseline in the task's first metric, on the same draws; None without a baseline."""
    name = own.primary
    scores = {who: other.metrics()[name] for who, other in others.items()}
    known = {who: score * better_is(name) for who, score in scores.items() if not math.isnan(score)}
    if not known:
        return None
    rival = max(known, key=lambda who: known[who])
    theirs = drawn.measured(lambda rows, weights: {name: others[rival].measure(rows, weights)[name]})
    return difference(name, rival, drawn, found[name], theirs[name], own.metrics()[name] - scores[rival])


def _with_target(test: Samples) -> Samples:
    if test.target is None or len(test.target) == test.target.null_count:
        raise RefusedError(
            "DATA_NO_TEST", "no test row has a target to compare with", hint="Choose a cutoff whose window is complete."
        )
    return known(test)


def _beside(predictions: pa.Table, trained: Trained, test: Samples) -> pa.Table:
    """The predictions with the target after the columns that say whose they are.

    Beside a label or a ranked item it is whether it came (and, beside an item, how many items came: ``relevant``).
    NULL where the target is undefined.
    """
    target: Any = test.target
    unknown = ~np.asarray(target.is_valid())
    if isinstance(trained.finish, Labels):
        width = len(trained.finish.values)
        target = pa.array(trained.finish.truths(target).ravel() > 0, mask=np.repeat(unknown, width))
    elif isinstance(trained.finish, Classes):
        target = target.take(pa.array(np.repeat(np.arange(len(test)), len(trained.finish.values))))
    elif isinstance(trained.finish, Order):
        row = np.asarray(predictions["row"])
        hit, relevant = rank.hits(predictions, test)
        target = pa.array(hit, mask=unknown[row])
        predictions = predictions.drop_columns(["row"]).add_column(2, "relevant", pa.array(relevant[row]))
    place = sum(name in ("entity", "cutoff", "step") for name in predictions.column_names)
    return predictions.add_column(place, "target", target)


def _instants(samples: Samples) -> tuple[int, ...]:
    return tuple(np.unique(samples.cutoff).tolist())


Scored: TypeAlias = tuple[Outcomes, dict[str, Outcomes]]
"""The outcomes of the model, and of each baseline."""


def _chances(trained: Trained, asked: Asked, predictions: pa.Table) -> Scored:
    assert isinstance(trained.finish, Chance)
    truth = truth_of(asked.parts.test.target)
    others = baselines.chances(trained.finish, asked.parts.test) | _one_table(trained, asked)
    return _alike("binary", truth, predictions["probability"].to_numpy(), others)


def _amounts(trained: Trained, asked: Asked, predictions: pa.Table) -> Scored:
    assert isinstance(trained.finish, Amount)
    truth = truth_of(asked.parts.test.target)
    others = baselines.amounts(trained.finish, asked.parts.known, asked.parts.test) | _one_table(trained, asked)
    own, theirs = _alike(trained.task, truth, predictions["prediction"].to_numpy(), others)
    inside = (truth >= predictions["low"].to_numpy()) & (truth <= predictions["high"].to_numpy())
    return replace(own, inside=inside), theirs


def _classes(trained: Trained, asked: Asked, predictions: pa.Table) -> Scored:
    assert isinstance(trained.finish, Classes)
    truth = trained.finish.codes(asked.parts.test.target)
    others = baselines.classes(trained.finish, asked.parts.test) | _one_table(trained, asked)
    return _alike("multiclass", truth, _wide(predictions, asked), others)


def _labels(trained: Trained, asked: Asked, predictions: pa.Table) -> Scored:
    assert isinstance(trained.finish, Labels)
    truth = trained.finish.truths(asked.parts.test.target)
    others = baselines.labels(trained.finish, asked.parts.test) | _one_table(trained, asked)
    return _alike("multilabel", truth, _wide(predictions, asked), others)


def _ranks(trained: Trained, asked: Asked, predictions: pa.Table) -> Scored:
    assert isinstance(trained.model, Ranker)
    test = asked.parts.test
    others = rank.baselines(test, trained.model.horizon, asked.top_k)
    own, *theirs = (_order(said, test, asked.top_k) for said in (predictions, *others.values()))
    return own, dict(zip(others, theirs, strict=True))


def _alike(task: str, truth: Array, said: Floats, others: Mapping[str, Floats]) -> Scored:
    return Outcomes(task, truth, said), {name: Outcomes(task, truth, other) for name, other in others.items()}


def _order(ranked: pa.Table, test: Samples, top_k: int) -> Outcomes:
    hit, relevant = rank.hits(ranked, test)
    return Outcomes(
        "ranking", relevant, places_hit(hit, ranked["row"].to_numpy(), ranked["rank"].to_numpy(), relevant, top_k)
    )


def _wide(predictions: pa.Table, asked: Asked) -> Floats:
    wide: Floats = predictions["probability"].to_numpy().reshape(len(asked.parts.test), -1)
    return wide


def _one_table(trained: Trained, asked: Asked) -> dict[str, Floats]:
    parts = (asked.parts.train, asked.parts.validation, asked.parts.test)
    said = baselines.one_table(trained.task, *parts, asked.options, asked.kinds)
    return {} if said is None else {baselines.ONE_TABLE: said}


_OUTCOMES: Mapping[str, Callable[[Trained, Asked, pa.Table], Scored]] = {
    "binary": _chances,
    "regression": _amounts,
    "forecasting": _amounts,
    "multiclass": _classes,
    "multilabel": _labels,
    "ranking": _ranks,
}


__all__ = ["Asked", "Evaluation", "Parts", "evaluate"]
