"""Recency, frequency, money: what a person would compute by hand from the main event tables, in plain SQL.

For each stream of events and each row (entity, cutoff): days since the last event and since the first, events in the
last 7, 30, 90 and 365 days and ever, the sum and mean of the amount in the same windows, and the mean gap between
events. Only events at or before the cutoff count. The entity's own columns stand beside them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from benchmarks.accuracy.asked import Asked
from benchmarks.accuracy.tasks import tables
from penstock.learning.rows.dataset import Samples

WINDOWS = (7, 30, 90, 365)

_STREAM = """
WITH asked AS (SELECT DISTINCT entity, cutoff FROM spine),
     met AS (SELECT a.entity, a.cutoff, e.happened, TRY_CAST(e.money AS DOUBLE) AS money
             FROM asked a JOIN ({events}) e ON e.entity = a.entity AND e.happened <= a.cutoff),
     made AS (SELECT entity, cutoff,
                     epoch(cutoff - max(happened)) / 86400 AS recency,
                     epoch(cutoff - min(happened)) / 86400 AS tenure,
                     epoch(max(happened) - min(happened)) / 86400 / nullif(count(*) - 1, 0) AS gap,
                     count(*) AS ever, sum(money) AS sum_ever, avg(money) AS mean_ever,
                     {windows}
              FROM met GROUP BY entity, cutoff)
SELECT {columns} FROM spine s LEFT JOIN made m ON m.entity = s.entity AND m.cutoff = s.cutoff ORDER BY s.row
"""
_WINDOW = """count(*) FILTER (happened > cutoff - INTERVAL {days} DAY) AS count_{days},
             sum(money) FILTER (happened > cutoff - INTERVAL {days} DAY) AS sum_{days},
             avg(money) FILTER (happened > cutoff - INTERVAL {days} DAY) AS mean_{days}"""
_PLAIN = ("recency", "tenure", "gap", "ever", "sum_ever", "mean_ever")
_BY_WINDOW = tuple(f"{what}_{days}" for days in WINDOWS for what in ("count", "sum", "mean"))


def features(asked: Asked, parts: tuple[Samples, ...]) -> list[pa.Table]:
    """The hand-made features of each part's rows, in order."""
    streams = by_hand(asked.task.events, tables(asked.db, asked.task.leaking), spine(parts))
    whole = own_columns(parts)
    for name in streams.column_names:
        whole = whole.append_column(name, streams[name])
    starts = np.cumsum([0, *map(len, parts)]).tolist()
    return [whole.slice(start, len(part)) for start, part in zip(starts, parts, strict=False)]


def spine(parts: tuple[Samples, ...]) -> pa.Table:
    """Every part's rows, one after the other: ``row``, ``entity``, ``cutoff``."""
    entity = pa.concat_arrays([chunk for part in parts for chunk in _chunks(part.entity)])
    cutoff = pa.array(np.concatenate([part.cutoff for part in parts])).cast(pa.timestamp("us"))
    return pa.table({"row": np.arange(len(entity)), "entity": entity, "cutoff": cutoff})


def own_columns(parts: tuple[Samples, ...]) -> pa.Table:
    """The columns of the entity's own row, and the step ahead of a forecast."""
    names = list(parts[0].static)
    own = pa.concat_tables([part.features.select(names) for part in parts]) if names else None
    rows = sum(map(len, parts))
    table = own if own is not None else pa.table({"nothing": pa.nulls(rows)})
    if parts[0].step is not None:
        table = table.append_column("step", pa.array(np.concatenate([part.step for part in parts])))  # type: ignore[arg-type]
    return table


def by_hand(events: Mapping[str, str], database: Mapping[str, pa.Table], rows: pa.Table) -> pa.Table:
    """The features of every stream for the rows of a spine (``row``, ``entity``, ``cutoff``), in order."""
    import duckdb

    with duckdb.connect() as connection:
        for name, table in database.items():
            connection.register(name, table)
        connection.register("spine", rows)
        found = [connection.sql(_sql(sql)).to_arrow_table() for sql in events.values()]
    made: dict[str, pa.ChunkedArray] = {}
    for stream, table in zip(events, found, strict=True):
        made |= {f"{stream} {name}": table[name] for name in table.column_names if _said(table[name])}
    return pa.table(made)


def _sql(events: str) -> str:
    columns = ", ".join(f"m.{name}" for name in (*_PLAIN, *_BY_WINDOW))
    windows = ", ".join(_WINDOW.format(days=days) for days in WINDOWS)
    zero = columns
    for name in ("m.ever", *(f"m.count_{days}" for days in WINDOWS)):
        zero = zero.replace(f"{name},", f"coalesce({name}, 0) AS {name.removeprefix('m.')},")
    return _STREAM.format(events=events, windows=windows, columns=zero)


def _said(column: pa.ChunkedArray) -> bool:
    return column.null_count < len(column) and pc.count_distinct(column).as_py() > 1


def _chunks(array: pa.Array | pa.ChunkedArray) -> list[pa.Array]:
    return list(array.chunks) if isinstance(array, pa.ChunkedArray) else [array]
