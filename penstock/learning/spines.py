"""Spines from outside: any table or file with the columns ``entity`` and ``cutoff``, as Arrow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from penstock import lake
from penstock.errors import RequestError


def read_spine(spine: object) -> pa.Table:
    """A spine as Arrow: cutoffs as instants in UTC, NULLs refused. Rows, order and other columns stay.

    Takes Arrow, pandas or Polars tables, a dict of columns, a list of dicts, or the path of a Parquet or CSV file.
    """
    table = _table(spine)
    for name in ("entity", "cutoff"):
        if name not in table.column_names:
            raise RequestError(
                "SPINE_COLUMN",
                f"the spine has no column {name!r}",
                name=name,
                candidates=table.column_names,
                hint="A spine has the columns entity and cutoff, and target where it is known.",
            )
        if table[name].null_count:
            raise RequestError("SPINE_NULL", f"{table[name].null_count} rows of the spine have no {name}")
    return table.set_column(table.column_names.index("cutoff"), "cutoff", _instants(table["cutoff"]))


def _table(spine: Any) -> pa.Table:
    if isinstance(spine, pa.Table):
        return spine
    if isinstance(spine, str | Path):
        opened = lake.SourceRows.of(spine)
        name = opened.graph.tables[0].name
        return opened.read(name, [column.name for column in opened.graph.tables[0].columns])
    if isinstance(spine, dict):
        return pa.table(spine)
    if isinstance(spine, list):
        return pa.Table.from_pylist(spine)
    return lake.to_arrow(spine)


def _instants(column: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            column = pc.cast(column, pa.timestamp("us"))
        if pa.types.is_timestamp(column.type) and column.type.tz is not None:
            column = column.cast(pa.timestamp("us", "UTC"))
        return column.cast(pa.timestamp("us"))
    except pa.ArrowInvalid as error:
        hint = "Write cutoffs as timestamps, or as text like 2024-01-31 12:00:00."
        raise RequestError("SPINE_CUTOFF", f"a cutoff is no time: {error}", hint=hint) from error
