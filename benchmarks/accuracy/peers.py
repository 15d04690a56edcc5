"""Who we are compared with: what one could say without a model, and LightGBM on other people's features.

LightGBM is set as a careful person would: 31 leaves, a rate of 0.05 (0.15 for more than ten classes), 80 per cent of
rows and columns a tree, up to 1,000 rounds, stopped on the validation rows when 30 rounds brought nothing, then grown
once more with that many rounds on training and validation rows together. Numbers are learnt twice, by absolute and by
squared error. A label is a model of its own. Rankings are learnt by LambdaRank (see `ranking`).
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.accuracy.asked import NUMBERS, Asked, Said, grid
from benchmarks.accuracy.judge import Array
from benchmarks.accuracy.keep import fingerprint, kept
from penstock.learning import ask
from penstock.learning.calibration.finish import Amount, Chance, Classes, Labels, truth_of
from penstock.learning.fitting.models import Options
from penstock.learning.judging import baselines
from penstock.learning.ranking import rank
from penstock.learning.rows.dataset import Samples, drawn, joined, known

MOST_ROWS = 100_000
"""Rows of training, and of validation, that a peer's LightGBM learns from; drawn by lot, all cutoffs kept."""
MOST_CATEGORIES = 254
ROUNDS, PATIENCE = 1_000, 30
FEW_CLASSES = 10
SETTINGS: Mapping[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "feature_fraction": 0.8,
    "bagging_fraction": 0.8,
    "bagging_freq": 1,
    "min_data_in_leaf": 20,
    "seed": 0,
    "deterministic": True,
    "force_row_wise": True,
    "verbosity": -1,
}


def trivial(asked: Asked, said: Said) -> dict[str, Array]:
    """What one could say without a model, learnt from training and validation rows."""
    finish, test = said.trained[0].finish, asked.test
    if isinstance(finish, Chance):
        return baselines.chances(finish, test)
    if isinstance(finish, Classes):
        return baselines.classes(finish, test)
    if isinstance(finish, Labels):
        return baselines.labels(finish, test)
    if isinstance(finish, Amount):
        learnt = known(joined(asked.gathered.train, asked.gathered.validation))
        return {name: twice(value) for name, value in baselines.amounts(finish, learnt, test).items()}
    model: Any = said.trained[0].model
    ranked = rank.baselines(test, model.horizon, asked.top_k)
    return {name: grid(table, test, asked.top_k)[0] for name, table in ranked.items()}


def twice(numbers: Array) -> Array:
    """A number that is said whatever it is judged by."""
    return np.column_stack([numbers, numbers])


def one_table(asked: Asked) -> Array | None:
    """What Penstock's own learner says that may see nothing but the entity's own row; None where that says nothing."""
    gathered, options = asked.gathered, Options(threads=asked.db.settings.threads)
    parts = known(gathered.train), known(gathered.validation), asked.test
    if asked.kind == "ranking":
        return None
    said = baselines.one_table(asked.kind, *parts, options, ask.kinds(gathered.features))
    return twice(said) if said is not None and asked.kind in NUMBERS else said


# ---------------------------------------------------------------- rows and matrices


def rows(asked: Asked, most: int = MOST_ROWS) -> tuple[Samples, Samples, Samples]:
    """The rows a peer learns from, stops on and is judged on."""
    train, validation = known(asked.gathered.train), known(asked.gathered.validation)
    kept = [part if len(part) <= most else part.take(np.sort(drawn(part, most))) for part in (train, validation)]
    return kept[0], kept[1], asked.test


@dataclass(frozen=True)
class Matrix:
    """Features as float32, NaN for NULL, and which columns are codes of categories."""

    values: Array
    categorical: tuple[int, ...]


def matrices(parts: Sequence[pa.Table]) -> list[Matrix]:
    """Tables of features as matrices; the commonest categories of the first are the ones that are known."""
    names = [name for name in parts[0].column_names if _usable(parts[0][name].type)]
    columns: list[list[Array]] = [[] for _ in parts]
    categorical = []
    for place, name in enumerate(names):
        told = parts[0][name]
        if _texts(told.type):
            categorical.append(place)
            known_ones = _commonest(told)
            encode: Callable[[Any], Array] = lambda column, those=known_ones: _codes(column, those)  # noqa: E731
        else:
            encode = _number
        for column, part in zip(columns, parts, strict=True):
            column.append(encode(part[name]))
    return [Matrix(np.column_stack(part).astype(np.float32), tuple(categorical)) for part in columns]


def _texts(kind: pa.DataType) -> bool:
    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_dictionary(kind)


def _usable(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_null(kind))


def _number(column: pa.ChunkedArray) -> Array:
    kind = column.type
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        column = pc.divide(pc.cast(column.cast(pa.timestamp("us")), pa.int64()).cast(pa.float64()), 86_400_000_000.0)
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def _commonest(column: pa.ChunkedArray) -> pa.Array:
    counted = pc.value_counts(column.cast(pa.string()).drop_null())
    order = sorted(counted.to_pylist(), key=lambda c: (-c["counts"], c["values"]))[:MOST_CATEGORIES]
    return pa.array([c["values"] for c in order], pa.string())


def _codes(column: pa.ChunkedArray, known_ones: pa.Array) -> Array:
    text = column.cast(pa.string())
    found = pc.fill_null(pc.index_in(text, known_ones), len(known_ones)).cast(pa.float64())
    return np.where(np.asarray(text.is_null()), np.nan, np.asarray(found))


# ---------------------------------------------------------------- LightGBM


def boosted(asked: Asked, said: Said, parts: Sequence[Samples], features: Sequence[pa.Table]) -> Array:
    """What LightGBM says of the test rows, having learnt from these features of the training and validation rows."""
    train, stop, test = matrices(features)
    finish = said.trained[0].finish
    if isinstance(finish, Classes):
        return _classes(asked, finish, parts, (train, stop, test))
    if isinstance(finish, Labels):
        truths = [finish.truths(part.target) for part in parts[:2]]
        return np.column_stack([_label(asked, (train, stop, test), [t[:, j] for t in truths]) for j in _width(truths)])
    targets = [truth_of(part.target) for part in parts[:2]]
    if isinstance(finish, Chance):
        return grown(asked, {"objective": "binary", "metric": "binary_logloss"}, (train, stop, test), targets)
    losses = ({"objective": "l1", "metric": "l1"}, {"objective": "l2", "metric": "l2"})
    return np.column_stack([grown(asked, told, (train, stop, test), targets) for told in losses])


def _width(truths: Sequence[Array]) -> range:
    return range(truths[0].shape[1])


def _label(asked: Asked, sets: Sequence[Matrix], targets: Sequence[Array]) -> Array:
    if not 0 < targets[0].mean() < 1:
        return np.full(len(sets[2].values), float(targets[0].mean()))
    return grown(asked, {"objective": "binary", "metric": "binary_logloss"}, sets, targets)


def _classes(asked: Asked, finish: Classes, parts: Sequence[Samples], sets: Sequence[Matrix]) -> Array:
    codes = [finish.codes(part.target) for part in parts[:2]]
    kept = [np.flatnonzero(code >= 0) for code in codes]
    fewer = [Matrix(m.values[rows], m.categorical) for m, rows in zip(sets, kept, strict=False)]
    told: dict[str, Any] = {"objective": "multiclass", "metric": "multi_logloss", "num_class": len(finish.values)}
    if len(finish.values) > FEW_CLASSES:  # a round grows a tree a class
        told["learning_rate"] = 0.15
    return grown(asked, told, (*fewer, sets[2]), [c[rows].astype(float) for c, rows in zip(codes, kept, strict=True)])


def grown(asked: Asked, told: Mapping[str, Any], sets: Sequence[Matrix], targets: Sequence[Array]) -> Array:
    """What LightGBM says of the last set; kept, since the same rows and features give the same answer."""
    settings = {**SETTINGS, **told}
    made_of = (*(m.values for m in sets), *targets, repr((settings, sets[0].categorical, ROUNDS, PATIENCE)))
    threads = asked.db.settings.threads
    return kept(fingerprint(*made_of), lambda: _grown({**settings, "num_threads": threads}, sets, targets))


def _grown(settings: Mapping[str, Any], sets: Sequence[Matrix], targets: Sequence[Array]) -> Array:
    """Early stopping on the validation rows, then once more on all."""
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    import lightgbm as lgb

    categorical = list(sets[0].categorical)
    data = [lgb.Dataset(m.values, t, categorical_feature=categorical) for m, t in zip(sets, targets, strict=False)]
    stop = lgb.early_stopping(PATIENCE, verbose=False)
    first = lgb.train(dict(settings), data[0], ROUNDS, valid_sets=[data[1]], callbacks=[stop])
    values = np.concatenate([sets[0].values, sets[1].values])
    whole = lgb.Dataset(values, np.concatenate(targets), categorical_feature=categorical)
    final = lgb.train(dict(settings), whole, max(1, first.best_iteration))
    return np.asarray(final.predict(sets[2].values))
