"""Rows that came as a holding has them: by key, in order, with both clocks.

`penstock.online.build.built` says what that is. Where a holding takes columns as they are and filters nothing, the same
comes of sorting alone, without a database: a few rows are laid in a millisecond.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.relational import ARROW
from penstock.online.build import KeyRows, asked_later, built
from penstock.online.feeding.arrivals import Arrivals
from penstock.online.holdings import Holding
from penstock.schema import Dtype
from penstock.window import BEGINNING, END

_PLAIN = (Dtype.INT, Dtype.FLOAT, Dtype.BOOL, Dtype.STRING, Dtype.TIMESTAMP)


def laid(holding: Holding, came: Arrivals, at: int) -> KeyRows:
    """The rows of a holding that rests on single rows: those that may be asked for at ``at`` or later."""
    if not is_plain(holding, came):
        return built(holding, came.relational, at=at)
    return asked_later(holding, _sorted(holding, came), at)


def is_plain(holding: Holding, came: Arrivals) -> bool:
    """Whether a holding takes columns of a table with a key as they are, and the column that names its keys, too."""
    stream, table = holding.stream, came.bound.graph.table(came.table)
    filtered = stream.where is not None or any(one.where is not None or one.field is None for one in holding.columns)
    if filtered or not table.keys or holding.order_by:
        return False
    same = table.column(_key_column(holding, came)).dtype is holding.key
    return same and all(dtype in _PLAIN for dtype in holding.dtypes)


def _key_column(holding: Holding, came: Arrivals) -> str:
    hops = holding.stream.hops
    return hops[0].columns[0] if hops else came.bound.graph.table(came.table).keys[0]


def _sorted(holding: Holding, came: Arrivals) -> KeyRows:
    table = came.bound.graph.table(came.table)
    name, when = _key_column(holding, came), table.happened
    fields = [one.field.column for one in holding.columns if one.field is not None]
    asked = dict.fromkeys([name, *table.keys, *([when] if when else []), *fields])
    read = came.entities.read(came.table, list(asked))
    keys = pc.unique(read[name]).drop_null().cast(ARROW[holding.key])
    keys = keys.take(pc.array_sort_indices(keys))
    code = pc.fill_null(pc.index_in(read[name], value_set=keys), -1).cast(pa.int64()).to_numpy()
    happened, shown = _clocks(read[when] if when else None, came.known)
    order = _ordered(code, happened, [*read.select(list(table.keys)).columns, pa.array(came.known)])
    order = order[(code[order] >= 0) & (happened[order] > BEGINNING)]
    starts = np.searchsorted(code[order], np.arange(len(keys) + 1)).astype(np.int64)
    columns = tuple(read[column].take(pa.array(order)) for column in fields)
    until = np.full(len(order), END)
    return KeyRows(keys, starts, happened[order], shown[order], until, columns)


def _clocks(when: pa.ChunkedArray | None, known: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """When rows happened (`BEGINNING`: never), and from when on they show."""
    if when is None:
        return np.full(len(known), BEGINNING + 1), known
    happened = pc.fill_null(when.cast(pa.int64()), BEGINNING).to_numpy()
    return happened, np.maximum(known, happened)


def _ordered(code: np.ndarray, happened: np.ndarray, ties: Sequence[pa.Array | pa.ChunkedArray]) -> np.ndarray:
    """Rows by key, then by when they happened, then by the keys of rows and when they were known."""
    order: np.ndarray = np.lexsort((happened, code))
    same = (code[order][1:] == code[order][:-1]) & (happened[order][1:] == happened[order][:-1])
    if not same.any():
        return order
    columns = [pa.array(code), pa.array(happened), *ties]
    whole = pa.table(columns, [f"c{n}" for n in range(len(columns))])
    found = pc.sort_indices(whole, sort_keys=[(name, "ascending") for name in whole.column_names])
    return np.asarray(found, np.int64)
