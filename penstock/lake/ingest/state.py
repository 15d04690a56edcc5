"""How far a table was read: kept with the commit of the rows, so that both are always of one moment."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from decimal import Decimal

import pyarrow as pa

from penstock.lake.ingest.feeds.feed import value_text
from penstock.lake.ingest.fitting import FIRST
from penstock.lake.ingest.intake import seconds
from penstock.lake.sql import Sql
from penstock.lake.versioned import VersionedTable
from penstock.lake.versioned.scan import quoted

FACT = "ingest"
"""The commit's fact that holds the state."""
SECONDS, UNITS = 900.0, 1_000.0
"""How far before the greatest watermark rows are read again, for times and for numbers."""
_DAY = 86_400_000_000


def facts_of(column: str | None, mark: pa.Scalar | None) -> Mapping[str, str]:
    """The facts of a commit after which a column's greatest value seen is ``mark``."""
    if column is None or mark is None or not mark.is_valid:
        return {FACT: json.dumps({})}
    return {FACT: json.dumps({"column": column, "mark": value_text(mark)}, ensure_ascii=False)}


def held_facts(table: VersionedTable) -> Mapping[str, str]:
    """The newest state as facts, to be kept by a commit that does not move it."""
    told = table.facts().get(FACT)
    return {} if told is None else {FACT: told}


def mark_of(table: VersionedTable, column: str, kind: pa.DataType) -> pa.Scalar | None:
    """The greatest value of a column that was seen; from the rows where no commit that is kept has noted it."""
    told = json.loads(held_facts(table).get(FACT, "{}"))
    if told.get("column") == column:
        return pa.scalar(told["mark"], pa.string()).cast(kind)
    with Sql({"log": table.scan()}, rows="log") as sql:
        (found,) = sql.arrow(f"SELECT max({quoted(column)}) AS mark FROM log").column("mark")
    return found.cast(kind) if found.is_valid else None


def lowered(mark: pa.Scalar, overlap: float | None) -> pa.Scalar:
    """The value from which rows are read again.

    >>> lowered(pa.scalar(5_000), None).as_py(), lowered(pa.scalar("b"), None).as_py()
    (4000, 'b')
    """
    kind, types = mark.type, pa.types
    if types.is_timestamp(kind):
        raw = mark.cast(pa.int64()).as_py() - seconds(SECONDS if overlap is None else overlap)
        return pa.scalar(max(raw, FIRST), kind)
    if types.is_date(kind):
        days = math.ceil(seconds(SECONDS if overlap is None else overlap) / _DAY)
        return pa.scalar(max(mark.cast(pa.int32()).as_py() - days, FIRST // _DAY), pa.int32()).cast(kind)
    less = UNITS if overlap is None else overlap
    if types.is_integer(kind):
        least = -(2 ** (kind.bit_width - 1))
        return pa.scalar(max(mark.as_py() - math.ceil(less), least), kind)
    if types.is_floating(kind):
        return pa.scalar(mark.as_py() - less, kind)
    if types.is_decimal(kind):
        least = -(Decimal(10) ** (kind.precision - kind.scale)) + Decimal(1).scaleb(-kind.scale)
        return pa.scalar(max(mark.as_py() - math.ceil(less), least), kind)
    return mark
