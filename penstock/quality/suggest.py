"""A contract proposed from the data: what it has always held to, with room for what it has not shown yet."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import pyarrow as pa

from penstock.inference.words import says_id
from penstock.lake.sql import Sql
from penstock.lake.versioned.scan import Scan, quoted
from penstock.quality.check import Check, check
from penstock.quality.contract import Contract, with_own_names
from penstock.quality.kinds import duration
from penstock.quality.literals import is_number, is_text, is_time
from penstock.quality.profile import ColumnProfile, Profile
from penstock.quality.profiling import own_schema, profile
from penstock.quality.run import Rows, run_checks, system_now
from penstock.quality.shapes import pattern_of

ENOUGH = 30
"""Below so many values nothing is concluded from them."""
_MOST_CATEGORIES = 20
_LOOKED_AT = 2_000
_GAPS = 10_000
_HOUR = 3_600_000_000
_WIDTH = 1.5


def suggest(
    rows: Scan | pa.Table,
    name: str,
    *,
    links: Mapping[str, str] | None = None,
    tables: Mapping[str, Rows] | None = None,
    happened: str | None = None,
    now: Callable[[], int] = system_now,
) -> Contract:
    """A contract that these rows pass, for a person to read and keep.

    ``links`` maps columns to tables; such a link is proposed where the table is in ``tables`` and its rows are found
    there. ``happened`` is the column from which freshness is told. Keys, links and the presence of values are errors,
    what extrapolates from the data (ranges, patterns, categories) are warnings.
    """
    with Sql({name: rows}) as sql:
        data = _Data(rows, name, sql, profile(rows), now())
        found = [*_volume(data), *_columns(data), *_keys(data), *_links(data, links or {}, tables or {})]
        found += _freshness(data, happened)
    return _that_holds(Contract(name, with_own_names(found)), {**(tables or {}), name: rows}, now)


@dataclass(frozen=True)
class _Data:
    rows: Rows
    name: str
    sql: Sql
    profile: Profile
    now: int

    @property
    def schema(self) -> pa.Schema:
        return own_schema(self.rows)

    @property
    def key(self) -> tuple[str, ...]:
        return self.rows.key if isinstance(self.rows, Scan) else ()


def _that_holds(contract: Contract, tables: Mapping[str, Rows], now: Callable[[], int]) -> Contract:
    """The contract without checks that these very rows fail."""
    report = run_checks(contract, tables, now=now)
    return Contract(contract.table, tuple(result.check for result in report.results if result.passed))


def _volume(data: _Data) -> Iterator[Check]:
    if data.profile.rows:
        yield check("row_count", min=1)
    if data.profile.rows >= ENOUGH:
        yield check("volume", drop=0.2)


# ---------------------------------------------------------------- columns


def _columns(data: _Data) -> Iterator[Check]:
    for field in data.schema:
        column = data.profile.columns[field.name]
        values = data.profile.rows - column.nulls
        if values < ENOUGH:
            continue
        if column.nulls == 0:
            yield check("not_null", field.name)
        else:
            yield check("null_rate", field.name, severity="warn")
        if is_number(field.type):
            yield from _range(data, field.name, column)
        elif is_text(field.type):
            yield from _text(data, field.name, column, values)


def _range(data: _Data, name: str, column: ColumnProfile) -> Iterator[Check]:
    """A range with room: what is never negative stays so, a share stays one, and the rest may go half as far again."""
    if not column.quantiles or says_id(name) or name in data.key or column.distinct < 2 or column.odd:
        return
    least, most = float(str(column.least)), float(str(column.most))
    if not math.isfinite(most - least):
        return
    if least >= 0 and most <= 1:
        yield check("range", name, min=0, max=1, severity="warn")
        return
    body = column.quantiles[-1] - column.quantiles[0]
    room = (_WIDTH - 1) * max(most - least, body)
    low = 0.0 if least >= 0 else _rounded(least - room, math.floor)
    yield check("range", name, min=_whole(low), max=_whole(_rounded(most + room, math.ceil)), severity="warn")


def _rounded(value: float, way: Callable[[float], int]) -> float:
    """A number with two digits that count, away from the data.

    >>> _rounded(1234.5, math.ceil), _rounded(-0.0371, math.floor)
    (1300.0, -0.038)
    """
    if value == 0:
        return 0.0
    digits = 1 - math.floor(math.log10(abs(value)))
    if digits > 300:
        return value
    return way(value * 10.0**digits) / 10.0**digits if digits >= 0 else way(value / 10.0**-digits) * 10.0**-digits


def _whole(value: float) -> int | float:
    return int(value) if value.is_integer() and abs(value) < 1e15 else value


def _text(data: _Data, name: str, column: ColumnProfile, values: int) -> Iterator[Check]:
    few = 0 < len(column.top) <= _MOST_CATEGORIES and sum(column.top.values()) == values
    if few and len(column.top) * ENOUGH <= values and "" not in column.top:
        yield check("accepted", name, values=list(column.top), severity="warn")
        return
    shown = f"SELECT DISTINCT {quoted(name)} AS v FROM {quoted(data.name)} WHERE {quoted(name)} IS NOT NULL"
    pattern = pattern_of(data.sql.arrow(f"{shown} LIMIT {_LOOKED_AT}")["v"].to_pylist())
    if pattern is not None:
        yield check("regex", name, pattern=pattern, severity="warn")


# ---------------------------------------------------------------- keys and links


def _keys(data: _Data) -> Iterator[Check]:
    """The table's key, and columns that say that they identify and have as many values as rows."""
    if data.key and data.profile.rows:
        yield check("unique", *data.key)
    if data.profile.rows < ENOUGH:
        return
    for field in data.schema:
        column = data.profile.columns[field.name]
        simple = pa.types.is_integer(field.type) or is_text(field.type)
        if (field.name,) == data.key or not simple or column.nulls or not says_id(field.name):
            continue
        if column.distinct >= 0.9 * data.profile.rows:
            yield check("unique", field.name)


def _links(data: _Data, links: Mapping[str, str], tables: Mapping[str, Rows]) -> Iterator[Check]:
    for column, other in links.items():
        if column not in data.schema.names or other not in tables:
            continue
        key = tables[other].key if isinstance(tables[other], Scan) else ()
        to = key if len(key) == 1 else _same_name(column, own_schema(tables[other]).names)
        if len(to) == 1:
            yield check("foreign_key", column, table=other, to=list(to))


def _same_name(column: str, names: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in (column, "id") if name in names)[:1]


# ---------------------------------------------------------------- freshness


def _freshness(data: _Data, happened: str | None) -> Iterator[Check]:
    """The newest row is at most three times as old as the longest of the last gaps; nothing for data that has ended."""
    if happened is None or happened not in data.schema.names or not is_time(data.schema.field(happened).type):
        return
    column = quoted(happened)
    times = f"SELECT DISTINCT epoch_us({column}::TIMESTAMP) AS t FROM {quoted(data.name)} WHERE {column} IS NOT NULL"
    found = data.sql.arrow(f"{times} ORDER BY t DESC LIMIT {_GAPS}")["t"].to_pylist()
    if len(found) < ENOUGH:
        return
    longest = max(late - early for late, early in pairwise(found))
    limit = max(3 * longest, _HOUR)
    if 0 <= data.now - found[0] <= limit:
        yield check("freshness", happened, at_most=duration(math.ceil(limit / _HOUR) * _HOUR))
