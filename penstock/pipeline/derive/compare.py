"""A result against what the derived table holds: which rows are new, which differ, which are gone, since when."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from penstock.errors import RefusedError
from penstock.lake.sql import Sql
from penstock.lake.versioned import DELETED, KNOWN, Scan
from penstock.lake.versioned.scan import quoted

WHAT = "_penstock_what"
KEPT, ADDED, CHANGED, VANISHED = 0, 1, 2, 3
_BYTES_A_ROW = 160
_EARLIEST = "TIMESTAMP '0001-01-01 00:00:00'"


@dataclass(frozen=True)
class Sides:
    """The result (`draft`), what the table holds (`log`), and the columns by which rows are the same.

    ``gone`` is SQL for the instant at which a vanished row was known to be gone; whatever it says, a version comes
    after the one before it. ``rounded`` are columns of numbers whose last digits may differ from run to run.
    """

    draft: Scan
    log: Scan
    key: tuple[str, ...]
    columns: tuple[str, ...]
    happened: str | None
    gone: str
    rounded: frozenset[str] = frozenset()
    parts: int = 1

    def opened(self) -> Sql:
        """The SQL that the functions below ask."""
        return Sql({"draft": self.draft, "log": self.log}, rows="log")


def parts_of(rows: int, memory: int) -> int:
    """In how many parts rows are compared, so that each fits in memory."""
    return 1 + rows * _BYTES_A_ROW // max(memory // 8, 32 << 20)


def must_have_keys(scan: Scan, key: Sequence[str], name: str, file: str) -> None:
    """Raise ``RefusedError`` where a row of a result has no key, or two have the same."""
    listed = _listed(key)
    with Sql({"draft": scan}, rows="log") as sql:
        missing = " OR ".join(f"{quoted(one)} IS NULL" for one in key)
        if sql.arrow(f"SELECT 1 FROM draft WHERE {missing} LIMIT 1").num_rows:
            message = f"{name}: a row has no {', '.join(key)}, which {file} says is the key"
            raise RefusedError("DERIVE_NO_KEY", message, hint="Leave such rows out, or name another key.")
        twice = f"SELECT {listed}, count(*) AS _penstock_rows FROM draft GROUP BY {listed} HAVING count(*) > 1"
        found = sql.arrow(f"{twice} ORDER BY ALL LIMIT 1").to_pylist()
    if found:
        said = ", ".join(f"{one} = {found[0][one]}" for one in key)
        message = f"{name}: {found[0]['_penstock_rows']} rows have {said}, which {file} says is the key"
        hint = "Make the SELECT give one row a key (GROUP BY, or QUALIFY row_number() … = 1), or name another key."
        raise RefusedError("DERIVE_DUPLICATE_KEY", message, hint=hint)


def meets(draft: Scan, log: Scan, key: Sequence[str]) -> bool:
    """Whether a row of the result has a key that the table has held."""
    with Sql({"draft": draft, "log": log}, rows="log") as sql:
        return bool(sql.arrow(f"SELECT 1 FROM draft SEMI JOIN log ON {_same(key, 'draft', 'log')} LIMIT 1").num_rows)


# ------------------------------------------------------------ with a key


def differing(sql: Sql, sides: Sides) -> Iterator[pa.RecordBatch]:
    """The row versions that make the table hold the result: with the draft's columns and `WHAT`."""
    for part in range(sides.parts):
        yield from sql.batches(_differing(sides, f"hash({_listed(sides.key)}) % {sides.parts} = {part}"))


def _differing(sides: Sides, within: str) -> str:
    columns, key = _listed(sides.columns), _listed(sides.key)
    later = f"coalesce(old.{KNOWN}, {_happened('old', sides)}, {_EARLIEST}) + INTERVAL 1 MICROSECOND"
    known = f"coalesce(new.{KNOWN}, {_happened('new', sides)})"  # of a change NULL would say: before what it changes
    differs = " OR ".join(_differs(name, sides) for name in sides.columns if name not in sides.key) or "FALSE"
    new = ", ".join(f"new.{quoted(name)}" for name in sides.columns)
    gone = ", ".join(f"old.{quoted(name)}" for name in sides.columns)
    there = f"old.{DELETED} IS NOT NULL"
    return f"""
        WITH new AS MATERIALIZED (SELECT {columns}, {KNOWN} FROM draft WHERE {within}),
        old AS MATERIALIZED (
            SELECT {columns}, {KNOWN}, coalesce({DELETED}, FALSE) AS {DELETED} FROM log WHERE {within}
            QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {KNOWN} DESC NULLS LAST) = 1)
        SELECT {new}, CASE WHEN {there} THEN greatest({known}, {later}) ELSE new.{KNOWN} END AS {KNOWN},
            FALSE AS {DELETED}, CASE WHEN {there} AND NOT old.{DELETED} THEN {CHANGED} ELSE {ADDED} END AS {WHAT}
        FROM new LEFT JOIN old ON {_same(sides.key, "new", "old")}
        WHERE NOT ({there}) OR old.{DELETED} OR {differs}
        UNION ALL
        SELECT {gone}, greatest({sides.gone}, {later}) AS {KNOWN}, TRUE AS {DELETED}, {VANISHED} AS {WHAT}
        FROM old ANTI JOIN new ON {_same(sides.key, "new", "old")} WHERE NOT old.{DELETED}"""


def _happened(side: str, sides: Sides) -> str:
    return f"TRY_CAST({side}.{quoted(sides.happened)} AS TIMESTAMP)" if sides.happened else "NULL::TIMESTAMP"


def _differs(name: str, sides: Sides) -> str:
    new, old = f"new.{quoted(name)}", f"old.{quoted(name)}"
    differs = f"{new} IS DISTINCT FROM {old}"
    if name not in sides.rounded:
        return differs
    close = f"abs({new} - {old}) <= 1e-12 * greatest(abs({new}), abs({old}))"
    return f"({differs} AND NOT coalesce({close}, FALSE))"


# ------------------------------------------------------------ without a key


def matched(sql: Sql, sides: Sides, only: str = "TRUE") -> Iterator[pa.RecordBatch]:
    """The rows of the result; those that the table has too, one for one, with the ``_known`` they have there."""
    for part in range(sides.parts):
        within = f"hash({_listed(sides.columns)}) % {sides.parts} = {part}"
        yield from sql.batches(f"SELECT * FROM ({_matched(sides, within)}) WHERE {only}")


def changes(sql: Sql, sides: Sides) -> tuple[int, int]:
    """How many rows of the result the table lacks, and how many it holds that the result does not."""
    added = kept = 0
    for part in range(sides.parts):
        within = f"hash({_listed(sides.columns)}) % {sides.parts} = {part}"
        counted = f"SELECT count(*) FILTER ({WHAT} = {ADDED}) AS added, count(*) FILTER ({WHAT} = {KEPT}) AS kept"
        (row,) = sql.arrow(f"{counted} FROM ({_matched(sides, within)})").to_pylist()
        added, kept = added + row["added"], kept + row["kept"]
    held = sql.arrow(f"SELECT count(*) AS n FROM log WHERE NOT coalesce({DELETED}, FALSE)")["n"][0].as_py()
    return added, held - kept


def _matched(sides: Sides, within: str) -> str:
    columns = _listed(sides.columns)
    numbered = f"row_number() OVER (PARTITION BY {columns} ORDER BY {KNOWN} NULLS FIRST) AS _penstock_nth"
    new = ", ".join(f"new.{quoted(name)}" for name in sides.columns)
    met = f"{_same(sides.columns, 'new', 'old')} AND new._penstock_nth = old._penstock_nth"
    found = "old._penstock_nth IS NOT NULL"
    return f"""
        WITH new AS (SELECT {columns}, {KNOWN}, {numbered} FROM draft WHERE {within}),
        old AS (
            SELECT {columns}, {KNOWN}, {numbered} FROM log WHERE NOT coalesce({DELETED}, FALSE) AND {within})
        SELECT {new}, CASE WHEN {found} THEN old.{KNOWN} ELSE new.{KNOWN} END AS {KNOWN}, FALSE AS {DELETED},
            CASE WHEN {found} THEN {KEPT} ELSE {ADDED} END AS {WHAT}
        FROM new LEFT JOIN old ON {met}"""


def _same(names: Sequence[str], one: str, other: str) -> str:
    return " AND ".join(f"{one}.{quoted(name)} IS NOT DISTINCT FROM {other}.{quoted(name)}" for name in names)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(quoted, names))
