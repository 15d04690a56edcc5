"""What one could say without a model: predictions that a model must beat to be worth its keep.

All are learnt from training and validation rows, never from the rows they predict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from penstock.errors import RefusedError
from penstock.learning.calibration.calibrate import Floats
from penstock.learning.calibration.finish import Amount, Chance, Classes, Labels, truth_of
from penstock.learning.encoding.matrix import numbers
from penstock.learning.fitting.models import Options
from penstock.learning.fitting.train import fit
from penstock.learning.rows.dataset import Samples
from penstock.schema import Kind

Predictions: TypeAlias = dict[str, Floats]

ONE_TABLE = "one-table LightGBM"


def chances(finish: Chance, test: Samples) -> Predictions:
    """The training rate for everyone; and the entity's own past rate, where it has one."""
    found = {"majority": np.full(len(test), finish.rate)}
    past = own_past(test)
    if past.shape[1]:
        found["own past rate"] = _mean_known(past, finish.rate)
    return found


def amounts(finish: Amount, known: Samples, test: Samples) -> Predictions:
    """The training mean and median; the entity's own mean; for a forecast its last value and the same season's."""
    found = {"mean": np.full(len(test), finish.mean), "median": np.full(len(test), finish.median)}
    past = own_past(test)
    if not past.shape[1]:
        return found
    found["own mean"] = _mean_known(past, finish.mean)
    if test.step is not None:
        found["last value"] = _or(past[:, 0], finish.median)
        found["seasonal naive"] = _or(past[:, best_lag(own_past(known), truth_of(known.target))], finish.median)
    return found


def classes(finish: Classes, test: Samples) -> Predictions:
    """Rows × classes: the training shares; and the class the entity had last, with a share of one half."""
    shares = np.tile(finish.shares, (len(test), 1))
    found = {"majority": shares}
    if test.own_past:
        codes = finish.codes(test.features.column(test.own_past[0]))
        last = shares.copy()
        known = np.flatnonzero(codes >= 0)
        last[known] /= 2
        last[known, codes[known]] += 0.5
        found["own last"] = last
    return found


def labels(finish: Labels, test: Samples) -> Predictions:
    """Rows × labels: the training shares; and the share of the entity's own past windows that had the label."""
    found = {"popularity": np.tile(finish.shares, (len(test), 1))}
    lists = [test.features.column(name) for name in test.own_past if pa.types.is_list(test.features.column(name).type)]
    if lists:
        found["own past rate"] = np.mean([finish.truths(column) for column in lists], axis=0)
    return found


def own_past(samples: Samples) -> Floats:
    """The target in the windows before, nearest first: rows × windows, NaN where there is none."""
    columns = [numbers(samples.features.column(name)) for name in samples.own_past if _numeric(samples, name)]
    return np.column_stack(columns) if columns else np.zeros((len(samples), 0))


def best_lag(past: Floats, truth: Floats) -> int:
    """The past window that was closest to what came: the season, if there is one. The nearest on a tie."""
    errors = np.abs(past - truth[:, None])
    counted = np.maximum(np.sum(~np.isnan(errors), axis=0), 1)
    means = np.nansum(errors, axis=0) / counted
    means[np.sum(~np.isnan(errors), axis=0) < len(truth) / 2] = np.inf
    return int(np.argmin(means))


def one_table(
    task: str, train: Samples, validation: Samples, test: Samples, options: Options, kinds: Mapping[str, Kind] | None
) -> Floats | None:
    """What a model says that may see nothing but the entity's own row; None where that row says nothing."""
    if not train.static:
        return None
    parts = [
        replace(samples, features=samples.features.select(list(train.static)), own_past=())
        for samples in (train, validation, test)
    ]
    plain = replace(options, effort="fast", model="boosted")
    try:
        return fit(task, parts[0], parts[1], options=plain, kinds=kinds).estimates(parts[2])
    except RefusedError:
        return None


def _numeric(samples: Samples, name: str) -> bool:
    kind: pa.DataType = samples.features.column(name).type
    return any(test(kind) for test in (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean))


def _mean_known(past: Floats, otherwise: float) -> Floats:
    known = ~np.isnan(past)
    counts = known.sum(axis=1)
    return np.where(counts > 0, np.nansum(past, axis=1) / np.maximum(counts, 1), otherwise)


def _or(values: Floats, otherwise: float) -> Floats:
    return np.where(np.isnan(values), otherwise, values)
