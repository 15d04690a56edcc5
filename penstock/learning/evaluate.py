"""Evaluation: how good a trained model's predictions for the test rows were, beside what one could say without it."""

from __future__ import annotations

import datetime as dt
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from penstock import lake
from penstock.errors import RefusedError
from penstock.learning import baselines, metrics, rank
from penstock.learning.calibrate import Floats
from penstock.learning.dataset import Rows, Samples, dates, joined, known
from penstock.learning.finish import Amount, Chance, Classes, Labels, Order, truth_of
from penstock.learning.models import Options
from penstock.learning.rank import Ranker
from penstock.learning.trained import TOP_K, Trained
from penstock.schema import Kind

Metrics: TypeAlias = dict[str, float]


@dataclass(frozen=True)
class Evaluation:
    """The evidence for a model: its metrics on rows that came later than all it learnt from, beside the baselines'.

    ``regime`` says what test rows could see: *seed-time*, what was known at their own cutoff, or *frozen*, nothing
    after the first test cutoff. ``predictions`` has ``entity``, ``cutoff``, (``step``,) ``target`` (beside a label or
    a ranked item: whether it came) and the answer's columns. ``cutoffs`` are instants by part; ``seconds`` is the
    training time. It prints itself as a table.
    """

    task: str
    regime: str
    metrics: Metrics
    baselines: dict[str, Metrics]
    predictions: pa.Table
    rows: dict[str, int]
    cutoffs: dict[str, tuple[int, ...]]
    features: int
    seconds: float
    notes: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return "\n".join([self._heading(), "", *self._table(), *(f"note: {note}" for note in self.notes)])

    def _heading(self) -> str:
        tests = dates(self.cutoffs["test"])
        rows = ", ".join(f"{count:,} {name}" for name, count in self.rows.items())
        return (
            f"{self.task} at {tests} ({self.regime}): {rows} rows; "
            f"{self.features} features; trained in {self.seconds:.1f} s"
        )

    def _table(self) -> list[str]:
        """The metrics, one row a predictor, and which way is better."""
        names = list(self.metrics)
        lines = [("", *(f"{name} {arrow(name)}".strip() for name in names))]
        scored = {"this model": self.metrics, **self.baselines}
        lines += [(who, *(_shown(said.get(name)) for name in names)) for who, said in scored.items()]
        widths = [max(len(line[i]) for line in lines) for i in range(len(names) + 1)]
        return [
            "  ".join(
                cell.ljust(w) if i == 0 else cell.rjust(w) for i, (cell, w) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        ]

    def write(self, destination: str) -> None:
        """Write the test predictions to ``file.parquet``, ``file.csv`` or ``url#table``."""
        keys = ("entity", "cutoff", "step", "class", "rank")
        lake.write(self.predictions, destination, [k for k in keys if k in self.predictions.column_names])

    def to_dict(self) -> dict[str, Any]:
        """All but the predictions, as plain values for JSON; what is undefined is None."""
        return {
            "task": self.task,
            "regime": self.regime,
            "metrics": _plain(self.metrics),
            "baselines": {name: _plain(said) for name, said in self.baselines.items()},
            "rows": self.rows,
            "cutoffs": {part: [_text(t) for t in instants] for part, instants in self.cutoffs.items()},
            "features": self.features,
            "seconds": self.seconds,
            "notes": list(self.notes),
        }

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any], predictions: pa.Table) -> Evaluation:
        """The evaluation that `to_dict` wrote, with its predictions, which are kept apart."""
        cutoffs = {part: tuple(map(_instant, instants)) for part, instants in plain["cutoffs"].items()}
        baselines = {name: _measured(said) for name, said in plain["baselines"].items()}
        told = {name: plain[name] for name in ("task", "regime", "rows", "features", "seconds")}
        own, notes = _measured(plain["metrics"]), tuple(plain["notes"])
        return cls(metrics=own, baselines=baselines, predictions=predictions, cutoffs=cutoffs, notes=notes, **told)


def _text(instant: int) -> str:
    moment = dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=instant)
    return moment.replace(tzinfo=None).isoformat(" ")


def _instant(text: str) -> int:
    moment = dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)
    return (moment - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)) // dt.timedelta(microseconds=1)


_UP = {"auroc", "ap", "accuracy", "macro_f1", "r2", "map", "ndcg", "recall", "f1_micro"}
_DOWN = {"log_loss", "calibration_error", "brier", "mae", "rmse"}


def arrow(name: str) -> str:
    """↑ where more is better, ↓ where less is, nothing where neither.

    >>> arrow("auroc_micro"), arrow("map@10"), arrow("mae"), arrow("coverage")
    ('↑', '↑', '↓', '')
    """
    stem = name.partition("@")[0]
    known = {stem, stem.removesuffix("_micro").removesuffix("_macro")}
    return "↑" if known & _UP else "↓" if known & _DOWN else ""


def _shown(value: float | None) -> str:
    if value is None or math.isnan(value):
        return "–"
    return f"{value:,.3f}" if abs(value) < 1000 else f"{value:,.0f}"


def _plain(said: Metrics) -> dict[str, float | None]:
    return {name: None if math.isnan(value) else value for name, value in said.items()}


def _measured(plain: Mapping[str, float | None]) -> Metrics:
    return {name: math.nan if value is None else value for name, value in plain.items()}


# ---------------------------------------------------------------- scoring


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
    own, others = _SCORERS[trained.task](trained, asked, predictions)
    rows = {"training": len(train), "validation": len(validation), "test": len(parts.test)}
    if len(parts.test) < len(test):  # who asks about rows gets an answer for each of them, scored or not
        predictions = trained.ranked(test, asked.top_k, threads) if ranking else trained.predict(test, threads)
    return Evaluation(
        trained.task,
        regime,
        own,
        others,
        _beside(predictions, trained, test),
        rows,
        {name: _instants(getattr(parts, name)) for name in ("train", "validation", "test")},
        len(trained.features) or len(trained.importance),
        trained.seconds,
        trained.notes + notes,
    )


def _with_target(test: Samples) -> Samples:
    if test.target is None or len(test.target) == test.target.null_count:
        raise RefusedError(
            "DATA_NO_TEST", "no test row has a target to compare with", hint="Choose a cutoff whose window is complete."
        )
    return known(test)


def _beside(predictions: pa.Table, trained: Trained, test: Samples) -> pa.Table:
    """The predictions with the target after the columns that say whose they are.

    Beside a label or a ranked item it is whether it came. NULL where the target is undefined.
    """
    target: Any = test.target
    unknown = ~np.asarray(target.is_valid())
    if isinstance(trained.finish, Labels):
        width = len(trained.finish.values)
        target = pa.array(trained.finish.truths(target).ravel() > 0, mask=np.repeat(unknown, width))
    elif isinstance(trained.finish, Classes):
        target = target.take(pa.array(np.repeat(np.arange(len(test)), len(trained.finish.values))))
    elif isinstance(trained.finish, Order):
        target = pa.array(rank.hits(predictions, test)[0], mask=unknown[np.asarray(predictions["row"])])
        predictions = predictions.drop_columns(["row"])
    place = sum(name in ("entity", "cutoff", "step") for name in predictions.column_names)
    return predictions.add_column(place, "target", target)


def _instants(samples: Samples) -> tuple[int, ...]:
    return tuple(np.unique(samples.cutoff).tolist())


Scores: TypeAlias = tuple[Metrics, dict[str, Metrics]]


def _chances(trained: Trained, asked: Asked, predictions: pa.Table) -> Scores:
    assert isinstance(trained.finish, Chance)
    truth = truth_of(asked.parts.test.target)
    others = baselines.chances(trained.finish, asked.parts.test)
    others |= _one_table(trained, asked)
    own = chance_metrics(truth, predictions["probability"].to_numpy())
    return own, {name: chance_metrics(truth, said) for name, said in others.items()}


def _amounts(trained: Trained, asked: Asked, predictions: pa.Table) -> Scores:
    assert isinstance(trained.finish, Amount)
    truth = truth_of(asked.parts.test.target)
    others = baselines.amounts(trained.finish, asked.parts.known, asked.parts.test)
    others |= _one_table(trained, asked)
    own = amount_metrics(truth, predictions["prediction"].to_numpy())
    own["coverage"] = metrics.coverage(truth, predictions["low"].to_numpy(), predictions["high"].to_numpy())
    return own, {name: amount_metrics(truth, said) for name, said in others.items()}


def _classes(trained: Trained, asked: Asked, predictions: pa.Table) -> Scores:
    assert isinstance(trained.finish, Classes)
    truth = trained.finish.codes(asked.parts.test.target)
    others = baselines.classes(trained.finish, asked.parts.test)
    others |= _one_table(trained, asked)
    own = class_metrics(truth, _wide(predictions, asked))
    return own, {name: class_metrics(truth, said) for name, said in others.items()}


def _labels(trained: Trained, asked: Asked, predictions: pa.Table) -> Scores:
    assert isinstance(trained.finish, Labels)
    truth = trained.finish.truths(asked.parts.test.target)
    others = baselines.labels(trained.finish, asked.parts.test)
    others |= _one_table(trained, asked)
    own = metrics.multilabel(truth, _wide(predictions, asked))
    return own, {name: metrics.multilabel(truth, said) for name, said in others.items()}


def _ranks(trained: Trained, asked: Asked, predictions: pa.Table) -> Scores:
    assert isinstance(trained.model, Ranker)
    test = asked.parts.test
    others = rank.baselines(test, trained.model.horizon, asked.top_k)
    own = rank.measures(predictions, test, asked.top_k)
    return own, {name: rank.measures(said, test, asked.top_k) for name, said in others.items()}


def _wide(predictions: pa.Table, asked: Asked) -> Floats:
    wide: Floats = predictions["probability"].to_numpy().reshape(len(asked.parts.test), -1)
    return wide


def _one_table(trained: Trained, asked: Asked) -> dict[str, Floats]:
    parts = (asked.parts.train, asked.parts.validation, asked.parts.test)
    said = baselines.one_table(trained.task, *parts, asked.options, asked.kinds)
    return {} if said is None else {baselines.ONE_TABLE: said}


_SCORERS: Mapping[str, Callable[[Trained, Asked, pa.Table], Scores]] = {
    "binary": _chances,
    "regression": _amounts,
    "forecasting": _amounts,
    "multiclass": _classes,
    "multilabel": _labels,
    "ranking": _ranks,
}


def chance_metrics(truth: Floats, probability: Floats) -> Metrics:
    """Of yes or no."""
    return {
        "auroc": metrics.auroc(truth, probability),
        "ap": metrics.average_precision(truth, probability),
        "log_loss": metrics.log_loss(truth, probability),
        "calibration_error": metrics.calibration_error(truth, probability),
        "brier": metrics.brier(truth, probability),
    }


def amount_metrics(truth: Floats, prediction: Floats) -> Metrics:
    """Of numbers."""
    return {
        "mae": metrics.mae(truth, prediction),
        "rmse": metrics.rmse(truth, prediction),
        "r2": metrics.r2(truth, prediction),
    }


def class_metrics(truth: Rows, probabilities: Floats) -> Metrics:
    """Of one of several classes: the likeliest is the prediction; a class never trained on counts as missed."""
    likeliest = probabilities.argmax(axis=1)
    return {
        "accuracy": metrics.accuracy(truth, likeliest),
        "macro_f1": metrics.macro_f1(truth, likeliest),
        "log_loss": metrics.multiclass_log_loss(truth, probabilities),
    }
