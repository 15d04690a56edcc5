"""Profiles measured: one pass for counts and spreads, and a second for the values of columns that have few."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pyarrow as pa

from penstock.lake.sql import Sql
from penstock.lake.versioned.roles import DELETED, KNOWN
from penstock.lake.versioned.scan import Scan, quoted
from penstock.quality.literals import is_number, is_text, is_time
from penstock.quality.profile import FEW, QUANTILES, ColumnProfile, Profile
from penstock.quality.spread import Spread

_SAMPLE = 1 << 17
_TABLE = "profiled"


def profile(rows: Scan | pa.Table, columns: Sequence[str] | None = None) -> Profile:
    """The profile of a table (of a scan: its current rows), or of some of its columns only.

    Counts, means and extremes are exact. Quantiles are those of every n-th row where there are more than 131,072, and
    ``distinct`` is an estimate within a few percent.
    """
    schema = own_schema(rows)
    wanted = [name for name in (schema.names if columns is None else columns) if name in schema.names]
    fields = [schema.field(name) for name in wanted]
    parts = {name: sql for field in fields for name, sql in aggregates(field).items()}
    with Sql({_TABLE: rows}) as sql:
        listed = "".join(f", {part} AS {quoted(name)}" for name, part in parts.items())
        found = sql.arrow(f"SELECT count(*) AS n{listed} FROM {_TABLE}").to_pylist()[0]
        return finished(sql, _TABLE, fields, found)


def own_schema(rows: Scan | pa.Table) -> pa.Schema:
    """The columns that checks see: of a lake's table those of its source."""
    if isinstance(rows, pa.Table):
        return rows.schema
    return pa.schema([field for field in rows.schema if field.name not in (KNOWN, DELETED)])


def aggregates(field: pa.Field) -> dict[str, str]:
    """The SQL aggregates that a column's profile is made from, by names that `finished` looks for."""
    name, kind = field.name, field.type
    column = quoted(name)
    found = {"nulls": f"count(*) - count({column})"}
    if pa.types.is_nested(kind):
        return {f"{name}:{part}": sql for part, sql in found.items()}
    found["distinct"] = f"approx_count_distinct({column})"
    if is_spread(kind) and not pa.types.is_floating(kind):
        found |= {part: f"{function}({_value(column, kind)})" for part, function in _ENDS.items()}
    return {f"{name}:{part}": sql for part, sql in found.items()}


_ENDS = {"least": "min", "most": "max"}


def finished(sql: Sql, table: str, fields: Sequence[pa.Field], found: Mapping[str, object]) -> Profile:
    """The profile that the values of `aggregates` tell, with the values of columns that have few counted."""
    rows = int(str(found["n"]))
    columns = {field.name: _column(field, found) for field in fields}
    for name, spread in spreads(sql, table, [field for field in fields if is_spread(field.type)], rows).items():
        columns[name] = _with_spread(columns[name], spread, rows)
    for field in fields:
        column = columns[field.name]
        if 0 < column.distinct <= FEW and not is_time(field.type):
            columns[field.name] = _with_top(column, _top(sql, table, field.name), is_text(field.type))
    return Profile(rows, columns)


def _column(field: pa.Field, found: Mapping[str, object]) -> ColumnProfile:
    told = {key.rpartition(":")[2]: value for key, value in found.items() if key.rpartition(":")[0] == field.name}
    return ColumnProfile(
        name=field.name,
        type=str(field.type),
        nulls=int(str(told["nulls"])),
        distinct=int(str(told.get("distinct", 0))),
        least=_end(told.get("least")),
        most=_end(told.get("most")),
    )


def _with_spread(column: ColumnProfile, spread: Spread, rows: int) -> ColumnProfile:
    odd = rows - column.nulls - spread.values
    if not spread.values:
        return replace(column, least=None, most=None, odd=odd)
    return replace(
        column,
        least=spread.least if column.least is None else column.least,
        most=spread.most if column.most is None else column.most,
        mean=_finite(spread.mean),
        std=_finite(math.sqrt(spread.squares / spread.values)),
        quantiles=spread.quantiles(QUANTILES),
        odd=odd,
    )


def _with_top(column: ColumnProfile, top: Mapping[str, int], text: bool) -> ColumnProfile:
    if text and top:
        column = replace(column, least=min(top), most=max(top))
    return replace(column, top=top)


def is_spread(kind: pa.DataType) -> bool:
    """Whether a type's values have a mean and quantiles."""
    return is_number(kind) or is_time(kind)


def _value(column: str, kind: pa.DataType) -> str:
    return f"epoch_us({column}::TIMESTAMP)" if is_time(kind) else column


def spreads(sql: Sql, table: str, fields: Sequence[pa.Field], rows: int) -> dict[str, Spread]:
    """How the values of columns are spread, from one pass in which every n-th row is kept for quantiles."""
    if not fields:
        return {}
    values = ", ".join(f"{_value(quoted(field.name), field.type)}::DOUBLE AS {quoted(field.name)}" for field in fields)
    found = {field.name: Spread(-(-rows // _SAMPLE) or 1) for field in fields}
    for batch in sql.batches(f"SELECT {values} FROM {quoted(table)}"):
        for name, spread in found.items():
            spread.add(batch[name].to_numpy(zero_copy_only=False))
    return found


def _end(value: object) -> int | float | str | None:
    return value if value is None or isinstance(value, int | float | str) else float(str(value))


def _finite(value: float) -> float | None:
    """A number, or None where it grew beyond what a float holds."""
    return value if math.isfinite(value) else None


def _top(sql: Sql, table: str, name: str) -> dict[str, int]:
    column = quoted(name)
    counted = f"SELECT {column}::VARCHAR AS v, count(*) AS n FROM {quoted(table)} WHERE {column} IS NOT NULL GROUP BY v"
    found = sql.arrow(f"{counted} ORDER BY n DESC, v LIMIT {2 * FEW}")
    return dict(zip(found["v"].to_pylist(), found["n"].to_pylist(), strict=True))
