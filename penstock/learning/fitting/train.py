"""Training: the one entry from samples to a trained model."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np

from penstock.errors import RefusedError
from penstock.learning.calibration import finish as finishes
from penstock.learning.calibration.calibrate import Floats
from penstock.learning.calibration.finish import Classes, Finish, Labels, Order, truth_of
from penstock.learning.encoding.matrix import Category, Encoding, Number, learn, usual
from penstock.learning.encoding.screen import SAMPLE, past_of, sampled, survivors
from penstock.learning.encoding.selection import chosen
from penstock.learning.encoding.steady import Lag
from penstock.learning.fitting import models
from penstock.learning.fitting.blend import Space
from penstock.learning.fitting.booster import Examples
from penstock.learning.fitting.families import chances, numbers, several
from penstock.learning.fitting.folds import Fold, folds
from penstock.learning.fitting.labels import fit_labels, past_places
from penstock.learning.fitting.learners import Data
from penstock.learning.fitting.models import Fit, Options
from penstock.learning.fitting.named import check_model
from penstock.learning.fitting.trained import STEP, Trained, with_step
from penstock.learning.ranking import rank
from penstock.learning.ranking.candidates import FEATURES
from penstock.learning.reasons.seen import grids
from penstock.learning.rows.dataset import Rows, Samples, check, drawn, known
from penstock.schema import Kind

Progress: TypeAlias = Callable[[str, float], None]

TASKS = ("binary", "multiclass", "regression", "multilabel", "forecasting", "ranking")


@dataclass(frozen=True)
class _Prepared:
    """Training and validation samples, their matrices, and the encoding between."""

    train: Samples
    validation: Samples
    encoding: Encoding
    rows: Examples
    stop: Examples


def fit(
    task: str,
    train: Samples,
    validation: Samples,
    *,
    options: Options | None = None,
    kinds: Mapping[str, Kind] | None = None,
    progress: Progress | None = None,
) -> Trained:
    """Learn a task from training samples; stop, choose and calibrate on validation samples, which come later in time.

    ``kinds`` tells which features that are numbers are in truth categories, and which to ignore. ``progress`` is told
    what is being done and how much of it is done (0 to 1). The same samples, in any order, give the same model.
    Raises ``RefusedError`` where the data cannot answer: too few rows, one class only, a target that never varies.
    """
    options = options or Options()
    check_model(options.model, task)
    said = progress or _silent
    started = time.perf_counter()
    if task == "ranking":
        return _ranking(train, validation, options, said)
    prepared = _prepare(task, known(train), known(validation), options, kinds)
    fitted, finish = _LEARNERS[task](prepared, options, lambda done: said("learning", done))
    gains = fitted.model.importance(len(prepared.encoding.encoders))
    rows = (("training", len(prepared.train)), ("validation", len(prepared.validation)))
    return Trained(
        task,
        fitted.model,
        prepared.encoding,
        finish,
        _shares(prepared.encoding, gains),
        rows,
        round(time.perf_counter() - started, 3),
        _notes(train, prepared) + fitted.notes,
        usual(prepared.encoding, prepared.rows.values),
        grids(prepared.train.features.select(_used(prepared.encoding))),
    )


def _used(encoding: Encoding) -> list[str]:
    """The features of the samples that an encoding reads."""
    return [name for name in encoding.features if name != STEP]


def _ranking(train: Samples, validation: Samples, options: Options, said: Progress) -> Trained:
    started = time.perf_counter()
    _check("ranking", train, validation)
    train, validation = (part.take(drawn(part, options.most_rows, options.seed)) for part in (train, validation))
    ranker = rank.fit(train, validation, options, lambda done: said("learning to rank", done))
    gains = ranker.importance(len(FEATURES))
    most = sorted(zip(FEATURES, (gains / max(gains.sum(), 1e-12)).round(6).tolist(), strict=True), key=lambda f: -f[1])
    rows = (("training", len(train)), ("validation", len(validation)))
    seconds = round(time.perf_counter() - started, 3)
    return Trained("ranking", ranker, Encoding(()), Order(), tuple(most), rows, seconds)


def _silent(_what: str, _done: float) -> None:
    """Progress that nobody asked for."""


def _check(task: str, train: Samples, validation: Samples) -> None:
    check(task, train)
    if not len(validation):
        raise RefusedError("DATA_TOO_FEW", "there are no validation examples", hint="Give more cutoffs or entities.")


def _prepare(
    task: str, train: Samples, validation: Samples, options: Options, kinds: Mapping[str, Kind] | None
) -> _Prepared:
    _check(task, train, validation)
    most, draw = options.most_rows, options.seed
    rows, later = drawn(train, most, draw), drawn(validation, most, draw)
    sample, some = train.take(sampled(task, train, draw)), validation.take(later[:SAMPLE])
    names, dropped = survivors(task, sample, some, options.most_features, options, kinds)
    asked = [name for name in names if name != STEP]
    train, validation = train.only(asked).take(rows), validation.only(asked).take(later)
    past = past_of(task, train, validation, options.horizon)
    encoding, values = learn(with_step(train), train.entity, kinds, past)
    stopped = encoding.encode(with_step(validation))
    encoding, values, stopped = chosen(task, encoding, (train, values), (validation, stopped), options)
    encoding = replace(encoding, dropped=(*dropped, *encoding.dropped))
    if not encoding.encoders:
        raise RefusedError(
            "DATA_NO_FEATURE",
            "no feature says anything: every one is NULL or the same for all",
            candidates=(f"{name}: {why}" for name, why in encoding.dropped),
            hint="Check that the tables link to the entity and that their times are read.",
        )
    empty = np.zeros(0)
    examples = Examples(values, empty, encoding.categorical)
    stop = Examples(stopped, empty, encoding.categorical)
    return _Prepared(train, validation, encoding, examples, stop)


def _notes(train: Samples, prepared: _Prepared) -> tuple[str, ...]:
    notes = []
    if len(prepared.train) < len(train):
        notes.append(f"Learnt from {len(prepared.train):,} of {len(train):,} training rows, all cutoffs kept.")
    reasons = Counter(re.sub(" equals .*", " equals another", why) for _, why in prepared.encoding.dropped)
    if reasons:
        told = "; ".join(f"{count} because {why}" for why, count in reasons.most_common())
        notes.append(f"Dropped {reasons.total()} features: {told}.")
    return tuple(notes)


def _shares(encoding: Encoding, gains: Floats) -> tuple[tuple[str, float], ...]:
    """Each feature's share of the gain, most first; those never used are left out."""
    summed = np.bincount(encoding.owners, gains, minlength=len(encoding.features))
    order = [int(place) for place in np.argsort(-summed, kind="stable") if summed[place] > 0]
    return tuple((encoding.features[place], round(float(summed[place] / summed.sum()), 6)) for place in order)


# ---------------------------------------------------------------- learners


def _data(prepared: _Prepared, options: Options, space: Space, targets: tuple[Floats, Floats], **told: Any) -> Data:
    """All rows whose target is known (not NaN), and the folds that judge."""
    kept = [np.flatnonzero(~np.isnan(target)) for target in targets]
    times = [part.cutoff[rows] for part, rows in zip((prepared.train, prepared.validation), kept, strict=True)]
    parts = [_with(examples, target, rows)
             for examples, target, rows in zip((prepared.rows, prepared.stop), targets, kept, strict=True)]  # fmt: skip
    examples = models.both(*parts)
    found = folds(times[0], times[1], options.horizon, options.most_folds)
    varied = [fold for fold in found[:-1] if _varies(examples.target, fold)]
    return Data(space, examples, np.concatenate(times), (*varied, found[-1]), options, **told)


def _with(examples: Examples, target: Floats, rows: Rows) -> Examples:
    values = examples.values if len(rows) == len(target) else examples.values[rows]
    return Examples(values, target[rows], examples.categorical)


def _varies(target: Floats, fold: Fold) -> bool:
    """Whether there is something to learn, and to be judged by."""
    return all(np.ptp(target[rows]) > 0 for rows in (fold.rows, fold.later))


def _chance(prepared: _Prepared, options: Options, progress: models.Progress) -> tuple[Fit, Finish]:
    targets = truth_of(prepared.train.target), truth_of(prepared.validation.target)
    data = _data(prepared, options, "chance", targets, past=_past(prepared))
    fitted = chances(data, progress)
    truth = data.examples.target[fitted.rows]
    return fitted, finishes.chance(fitted.held_out, truth, float(targets[0].mean()))


def _amount(prepared: _Prepared, options: Options, progress: models.Progress) -> tuple[Fit, Finish]:
    targets = truth_of(prepared.train.target), truth_of(prepared.validation.target)
    data = _data(prepared, options, "number", targets, past=_past(prepared))
    fitted = numbers(data, progress)
    steps = (prepared.train.step, prepared.validation.step)
    group = None if steps[0] is None or steps[1] is None else np.concatenate([steps[0], steps[1]])[fitted.rows] - 1
    truth, cutoff = data.examples.target, data.cutoff[fitted.rows]
    return fitted, finishes.amount(fitted.held_out, truth[fitted.rows], truth, group, cutoff)


def _past(prepared: _Prepared) -> tuple[tuple[int, float], ...]:
    return tuple(past_columns(prepared.encoding, prepared.train.own_past))


def past_columns(encoding: Encoding, own_past: Sequence[str]) -> list[tuple[int, float]]:
    """The columns that hold the target of earlier windows, and what to add to each."""
    return [(i, e.shift) for i, e in enumerate(encoding.encoders) if isinstance(e, Number) and e.feature in own_past]


def _classes(prepared: _Prepared, options: Options, progress: models.Progress) -> tuple[Fit, Finish]:
    finish = Classes.of(prepared.train.target)
    codes = [finish.codes(part.target) for part in (prepared.train, prepared.validation)]
    targets = np.where(codes[0] >= 0, codes[0], np.nan), np.where(codes[1] >= 0, codes[1], np.nan)
    if np.isnan(targets[1]).all():
        raise RefusedError(
            "DATA_NEW_CLASSES",
            "no validation example has a class that training examples have",
            candidates=map(str, finish.values),
            hint="Predict something that comes again: a category, not a key.",
        )
    lags = past_classes(prepared.encoding, prepared.train.own_past, finish.values)
    data = _data(prepared, options, "classes", targets, lags=lags, classes=len(finish.values))
    fitted = several(data, progress)
    truth, cutoff = data.examples.target[fitted.rows].astype(np.int64), data.cutoff[fitted.rows]
    return fitted, finishes.classes(finish, fitted.held_out, truth, cutoff)


def past_classes(encoding: Encoding, own_past: Sequence[str], values: Sequence[Any]) -> tuple[Lag, ...]:
    """The columns that hold the class of earlier windows, nearest first, and which of their values is which class."""
    place = {str(value): answer for answer, value in enumerate(values)}
    found = {}
    for column, encoder in enumerate(encoding.encoders):
        if encoder.feature not in own_past:
            continue
        if isinstance(encoder, Category):
            known = [(float(code), place[v]) for code, v in enumerate(encoder.values, 1) if v in place]
        elif isinstance(encoder, Number):
            known = [(float(v) - encoder.shift, a) for a, v in enumerate(values) if isinstance(v, int | float)]
        else:
            continue
        found[encoder.feature] = (column, tuple(known))
    return tuple(found[name] for name in own_past if name in found)


def _labels(prepared: _Prepared, options: Options, progress: models.Progress) -> tuple[Fit, Finish]:
    finish = Labels.of(prepared.train.target)
    truths = finish.truths(prepared.train.target), finish.truths(prepared.validation.target)
    own = past_places(prepared.encoding, prepared.train.own_past, finish.values)
    return fit_labels(prepared.rows, prepared.stop, truths, finish.shares, own, options, progress), finish


_LEARNERS: Mapping[str, Callable[[_Prepared, Options, models.Progress], tuple[Fit, Finish]]] = {
    "binary": _chance,
    "regression": _amount,
    "forecasting": _amount,
    "multiclass": _classes,
    "multilabel": _labels,
}
