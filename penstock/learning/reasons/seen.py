"""What training rows have had: a few values of each feature, to choose from when one is to be moved."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from penstock.learning.calibration.calibrate import Floats
from penstock.learning.encoding.encoders import numbers, texts

POINTS, CATEGORIES = 9, 12
_LOW, _HIGH = 0.05, 0.95

Grids: TypeAlias = tuple[tuple[str, tuple[Any, ...]], ...]
"""Feature by feature the values, numbers rising and categories the commonest first."""


def grids(table: pa.Table, rows: int = 20_000) -> Grids:
    """For each column that can be moved, values that rows have had: numbers at quantiles (of nine rows in
    ten, so that no outlier is among them), the commonest categories.

    At most about ``rows`` evenly spread rows are looked at. The order of rows matters only where there are more.
    """
    step = max(1, -(-table.num_rows // rows))
    some = table.take(pa.array(np.arange(0, table.num_rows, step)))
    found = ((name, _grid(some.column(name))) for name in some.column_names)
    return tuple((name, values) for name, values in found if len(values) > 1)


def _grid(column: Any) -> tuple[Any, ...]:
    kind = column.type
    if pa.types.is_boolean(kind):
        return (False, True)
    if pa.types.is_integer(kind) or pa.types.is_floating(kind):
        values = numbers(column)
        values = values[~np.isnan(values)]
        if not len(values):
            return ()
        return tuple(int(v) if pa.types.is_integer(kind) else float(v) for v in _usual(values))
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        counted = pa.table({"value": texts(column)}).drop_null().group_by("value").aggregate([([], "count_all")])
        counted = counted.sort_by([("count_all", "descending"), ("value", "ascending")])
        return tuple(counted["value"].to_pylist()[:CATEGORIES])
    return ()


def _usual(values: Floats) -> list[float]:
    """Values at quantiles, without the outermost; and likewise of the rows that do not have the commonest value, so
    that what is 0 for nearly everybody has other values, too."""
    distinct, counts = np.unique(values, return_counts=True)
    others = values[values != distinct[counts.argmax()]]
    asked = np.linspace(_LOW, _HIGH, POINTS)
    chosen = [np.quantile(some, asked, method="inverted_cdf") for some in (values, others) if len(some)]
    usual: list[float] = np.unique(np.concatenate(chosen)).tolist()
    return usual
