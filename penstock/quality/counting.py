"""The one pass over a table in which everything is counted that can be."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from penstock.errors import PenstockError, SourceError
from penstock.lake.sql import Sql
from penstock.lake.versioned.scan import quoted
from penstock.quality.check import Check
from penstock.quality.looks import Look
from penstock.quality.profile import Profile
from penstock.quality.profiling import aggregates, finished

Values = Sequence[object]


@dataclass(frozen=True)
class Counted:
    """What each look's aggregates gave (or why not), the profile if one was asked for, and the seconds for each."""

    values: Mapping[Check, Values | PenstockError]
    profile: Profile | PenstockError | None
    seconds: float


def counted(sql: Sql, table: str, looks: Sequence[Look], measured: Sequence[pa.Field] | None) -> Counted:
    """Count all looks and measure the profile of columns (None: no profile at all) in one SELECT.

    Where it fails, each is asked alone, so that one bad text spoils nobody else's result.
    """
    start = time.perf_counter()
    parts = {} if measured is None else {name: part for field in measured for name, part in aggregates(field).items()}
    if not looks and measured is None:
        return Counted({}, None, 0.0)
    try:
        row = _row(sql, table, looks, parts)
        found = None if measured is None else finished(sql, table, measured, row)
    except SourceError:
        return Counted({one.check: ask(sql, table, one) for one in looks}, _profile(sql, table, measured, parts), 0.0)
    values = {one.check: _of_look(row, at, one) for at, one in enumerate(looks)}
    return Counted(values, found, (time.perf_counter() - start) / max(1, len(looks)))


def ask(sql: Sql, table: str, look: Look) -> Values | PenstockError:
    """What the aggregates of one look give, or why they cannot be had."""
    try:
        return _of_look(_row(sql, table, [look], {}), 0, look)
    except SourceError as error:
        return error


def _row(sql: Sql, table: str, looks: Sequence[Look], parts: Mapping[str, str]) -> Mapping[str, object]:
    listed = ["count(*) AS n"]
    listed += [f"{part} AS c{at}_{of}" for at, one in enumerate(looks) for of, part in enumerate(one.aggregates)]
    listed += [f"{part} AS {quoted(name)}" for name, part in parts.items()]
    found: Mapping[str, object] = sql.arrow(f"SELECT {', '.join(listed)} FROM {quoted(table)}").to_pylist()[0]
    return found


def _of_look(row: Mapping[str, object], at: int, look: Look) -> Values:
    return [row[f"c{at}_{of}"] for of in range(len(look.aggregates))]


def _profile(
    sql: Sql, table: str, measured: Sequence[pa.Field] | None, parts: Mapping[str, str]
) -> Profile | PenstockError | None:
    if measured is None:
        return None
    try:
        return finished(sql, table, measured, _row(sql, table, [], parts))
    except SourceError as error:
        return error
