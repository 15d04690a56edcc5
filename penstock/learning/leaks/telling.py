"""What tells the answer alone: one feature that orders or parts the rows as the answer does, all but perfectly."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.learning.calibration.calibrate import Floats
from penstock.learning.calibration.finish import truth_of
from penstock.learning.encoding.matrix import numbers
from penstock.learning.judging.metrics import auroc
from penstock.learning.leaks.evidence import rank_correlation
from penstock.learning.rows.dataset import Rows, Samples, drawn

TOO_GOOD = 0.99
SAMPLE = 20_000
FEWEST = 10
"""Of either answer: with fewer, a feature may tell them apart by luck."""
OFTEN = 10
"""How often, on the average, each value must come for what goes with it to be no luck."""


def telling(task: str, samples: Samples, names: Iterable[str]) -> dict[str, str]:
    """Of these features the ones that alone tell the answer of the rows, with how well; all rows have an answer.

    Numbers are measured by AUROC (binary) or rank correlation (regression), categories (binary, multiclass) by the
    share of rows that have the usual answer of their value. Tasks whose answer is a list have none.
    """
    if task not in ("binary", "regression", "multiclass") or not len(samples):
        return {}
    some = samples.take(drawn(samples, SAMPLE))
    found = {name: _told(task, some.target, some.features.column(name)) for name in names}
    return {name: f"alone {told}, which is too good to be true" for name, told in found.items() if told}


def _told(task: str, target: Any, values: Any) -> str:
    """How well a column tells the answer, in words; empty if not too well."""
    if task != "multiclass" and _ordered(values.type):
        strength = _strength(task, truth_of(target), numbers(values))
        if strength > TOO_GOOD:
            return f"it reaches {'AUROC' if task == 'binary' else 'rank correlation'} {strength:.3f}"
    share = 0.0 if task == "regression" else _agreement(target, values)
    return f"it gives the answer of {share:.1%} of the rows" if share > TOO_GOOD else ""


def _ordered(dtype: pa.DataType) -> bool:
    return bool(pa.types.is_integer(dtype) or pa.types.is_floating(dtype) or pa.types.is_boolean(dtype))


def _agreement(target: Any, values: Any) -> float:
    """The share of rows whose answer is the usual one of their value.

    0 where values come too rarely, where answers other than the commonest are few, or more than a tenth of them missed.
    """
    if pa.types.is_nested(values.type) or pa.types.is_nested(target.type):
        return 0.0
    value, answer = _codes(values), _codes(target)
    answers = np.bincount(answer)
    if len(value) < OFTEN * (value.max() + 1) or len(answers) > 1000 or len(answer) - answers.max() < FEWEST:
        return 0.0
    counts = np.bincount(value * len(answers) + answer, minlength=(value.max() + 1) * len(answers))
    share = float(counts.reshape(-1, len(answers)).max(axis=1).sum() / len(answer))
    return share if 1 - share <= 0.1 * (1 - answers.max() / len(answer)) else 0.0


def _codes(values: Any) -> Rows:
    """A number for each distinct value, NULL among them."""
    whole = values.combine_chunks() if isinstance(values, pa.ChunkedArray) else values
    plain = whole.dictionary_decode() if pa.types.is_dictionary(whole.type) else whole
    coded: Any = pc.dictionary_encode(plain, "encode")
    return np.asarray(coded.indices).astype(np.int64)


def _strength(task: str, truth: Floats, values: Floats) -> float:
    """How well numbers order the rows: 0.5 (AUROC) or 0 (correlation) is not at all, 1 perfectly."""
    if task == "binary":
        if min(truth.sum(), len(truth) - truth.sum()) < FEWEST:
            return 0.0
        filled = np.where(np.isnan(values), np.nanmin(values, initial=0.0) - 1, values)
        area = auroc(truth, filled)
        return 0.0 if np.isnan(area) else max(area, 1 - area)
    there = ~np.isnan(values)
    if there.sum() < 2 * FEWEST or there.mean() < 0.5 or len(np.unique(truth[there])) < FEWEST:
        return 0.0
    return abs(rank_correlation(values[there], truth[there]))


__all__ = ["TOO_GOOD", "telling"]
