"""What comes to be known in the same moment as the answer: a match's other score, its goals, beside its score.

A question about a plain column of an event is asked at the event's own time, when all else that its row says is taken
to be known. Some of it is known only with the answer. Rows whose answer is still open show which; where there are
none, a column named like the answer but for one word, of the same kind, counts as its twin.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.inference.words import words
from penstock.language import Query
from penstock.learning.leaks.activity import watch
from penstock.learning.leaks.findings import Finding
from penstock.plan import Field, Rows
from penstock.schema import Column, Kind, Table

FEWEST_OPEN = 10
MOSTLY = 0.95
FEWEST = 100


def same_moment(query: Query, rows: Rows, until: int) -> tuple[Finding, ...]:
    """Columns of the entity's row, and rows that point to it, that are known only with the answer of a plain column.

    Looked at are rows that had happened by ``until``. Questions with a window, and those about tables that hold no
    events, have no such moment.
    """
    table = query.graph.table(query.entity)
    if not query.static or table.happened is None or not query.graph.links_from(query.entity):
        return ()
    names = dict.fromkeys(n.column for n in query.target.walk() if isinstance(n, Field) and n.table == table.name)
    if not names:
        return ()
    target = table.column(next(iter(names)))
    read = rows.read(table.name, [table.happened, *(c.name for c in table.columns if c.name != table.happened)])
    read = read.filter(pc.less_equal(read[table.happened].cast(pa.int64()), until))
    columns = [c for c in table.columns if c.name not in (*names, *table.keys, table.happened, table.ends)]
    found = [f for c in columns if c.kind is not Kind.ID and (f := _with(table, target, c, read)) is not None]
    return (*found, *_children(rows, table, target, until))


def _with(table: Table, target: Column, column: Column, read: pa.Table) -> Finding | None:
    """Whether a column of the same row comes with the target: NULL where that is, or else named as its twin."""
    missing, blank = (np.asarray(read[c.name].is_null()) for c in (target, column))
    what = f"{table.name}.{column.name}"
    if missing.sum() >= FEWEST_OPEN:
        if blank[missing].mean() < MOSTLY or blank[~missing].mean() > 1 - MOSTLY:
            return None
        evidence = (
            f"NULL in {blank[missing].mean():.0%} of the rows where {target.name} still is, and there in the others"
        )
        return Finding("same moment", what, evidence, "dropped")
    if not _twins(target, column):
        return None
    evidence = f"named like {target.name} but for a word, and in no row there without it"
    return Finding("same moment", what, evidence, "dropped")


def _twins(target: Column, column: Column) -> bool:
    """Whether two numbers are named alike but for one word.

    >>> from penstock.schema import Dtype
    >>> number = (Dtype.INT, Kind.NUMERICAL)
    >>> _twins(Column("home_score", *number), Column("away_score", *number))
    True
    >>> _twins(Column("price", *number), Column("score", *number))
    False
    """
    first, second = words(target.name), words(column.name)
    alike = sum(a != b for a, b in zip(first, second, strict=False)) == 1 and len(first) == len(second) > 1
    return alike and target.dtype is column.dtype and target.kind is column.kind is Kind.NUMERICAL


def _children(rows: Rows, table: Table, target: Column, until: int) -> Iterator[Finding]:
    """Rows that happen at the very instant of the row they point to: they may be the answer itself."""
    watched = watch(rows, table, [target], until)
    if len(watched) < FEWEST or watched.born is None:
        return
    for stream in watched.streams:
        if len(stream.when) < FEWEST or (stream.when == watched.born[stream.place]).mean() < MOSTLY:
            continue
        counts = stream.count(len(watched))
        evidence = f"they happen at the very time of their {table.name}"
        made = target.kind is Kind.NUMERICAL and _makes(counts, watched.rows[target.name])
        if made:
            evidence += f", and {target.name} never exceeds their number"
        yield Finding("same moment", f"{stream.table}.*", evidence, "dropped" if made else "asked")


def _makes(counts: Any, target: Any) -> bool:
    """Whether a number is at most the count in every row that has any, and often the count itself."""
    values = target.cast(pa.float64()).to_numpy(zero_copy_only=False)
    met = (counts > 0) & ~np.isnan(values)
    if met.sum() < FEWEST or len(np.unique(values[met])) < 4:
        return False
    return bool((values[met] <= counts[met]).mean() >= 0.99 and (values[met] == counts[met]).mean() >= 0.1)


__all__ = ["same_moment"]
