"""What training rows have had: a few values of each feature, to choose from when one is to be moved."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa

from penstock.learning.matrix import numbers, texts

POINTS, CATEGORIES = 17, 12

Grids: TypeAlias = tuple[tuple[str, tuple[Any, ...]], ...]
"""Feature by feature the values, numbers rising and categories the commonest first."""


def grids(table: pa.Table, rows: int = 20_000) -> Grids:
    """For each column that can be moved, values that rows have had: numbers at quantiles, the commonest categories.

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
        chosen = np.unique(np.quantile(values, np.linspace(0, 1, POINTS), method="inverted_cdf"))
        return tuple(int(v) if pa.types.is_integer(kind) else float(v) for v in chosen.tolist())
    if pa.types.is_string(kind) or pa.types.is_dictionary(kind):
        counted = pa.table({"value": texts(column)}).drop_null().group_by("value").aggregate([([], "count_all")])
        counted = counted.sort_by([("count_all", "descending"), ("value", "ascending")])
        return tuple(counted["value"].to_pylist()[:CATEGORIES])
    return ()
