"""Rows of a table whose source keeps corrections: several rows of one key, each with the instant it was known at.

Such a row is a *record*, told by its key and that instant. A record that the lake lacks becomes a version known since
then, whenever it comes, so the order of arrival decides nothing. What is true now of a key is its latest record: where
the lake's newest version says otherwise (the record was changed in place, or later ones were withdrawn), it is written
again as known now. Older records that were changed in place change nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from penstock.lake.ingest.difference import ADDED, CHANGED, FIRST, KEPT, REPEATED, WHAT, Sides, later, listed, within
from penstock.lake.ingest.shape import ROW
from penstock.lake.sql import Sql
from penstock.lake.versioned import DELETED, KNOWN
from penstock.lake.versioned.scan import quoted

NEVER = "-9223372036854775807"
"""SQL for an instant before all others."""


def differing_records(sql: Sql, sides: Sides, parts: int) -> Iterator[pa.RecordBatch]:
    """The rows to be written, as `difference.differing` gives them; one that is written twice is KEPT the first time.

    Of records that are there twice with other values the later ones are REPEATED; the same ones count once.
    """
    for part in range(parts):
        yield from sql.batches(_differing(sides, part, parts))


def _differing(sides: Sides, part: int, parts: int) -> str:
    key = listed(sides.key)
    return f"""
        WITH {_read(sides, part, parts)}, {_held(sides, part, parts)},
        judged AS MATERIALIZED (
            SELECT once.*, state._penstock_last, state._penstock_when, state._penstock_gone,
                state._penstock_when IS NULL AS _penstock_new,
                records._penstock_at IS NULL AS _penstock_fresh,
                state._penstock_hash <> once._penstock_hash OR state._penstock_gone AS _penstock_other,
                _penstock_latest AND ({_all_read(sides)} OR coalesce(once._penstock_at >= state._penstock_top, TRUE))
                    AS _penstock_true
            FROM once LEFT JOIN state USING ({key})
            LEFT JOIN records ON {_same_record(sides, "records", "once")}),
        picked AS (
            SELECT {ROW}, {ROW} AS {FIRST}, TRUE AS _penstock_since, NULL::TIMESTAMP AS _penstock_known,
                CASE WHEN {_NOW} THEN {KEPT} WHEN {_ADDS} THEN {ADDED} ELSE {CHANGED} END AS {WHAT}
            FROM judged WHERE _penstock_fresh
            UNION ALL
            SELECT {ROW}, {ROW}, FALSE, {later(sides)}, CASE WHEN {_ADDS} THEN {ADDED} ELSE {CHANGED} END
            FROM judged WHERE {_NOW}
            UNION ALL
            SELECT {ROW}, {FIRST}, FALSE, NULL, {REPEATED} FROM new
            WHERE {ROW} <> {FIRST} AND _penstock_hash <> _penstock_first_hash)
        SELECT draft.*, CASE WHEN _penstock_since THEN {sides.fresh} ELSE _penstock_known END AS {KNOWN},
            {WHAT}, {FIRST}
        FROM draft JOIN picked USING ({ROW})"""


_NOW = """(NOT _penstock_new AND _penstock_true AND _penstock_other
    AND NOT (_penstock_fresh AND _penstock_at > _penstock_when))"""
"""Whether what is true of a key would not show unless it was said again."""
_ADDS = "(_penstock_new OR _penstock_gone)"


def _read(sides: Sides, part: int, parts: int) -> str:
    """The rows read, each record once, the latest of each key marked; ``_penstock_at`` is its instant."""
    key = listed(sides.key)
    return f"""
        new AS MATERIALIZED (
            SELECT {ROW}, {key}, {instant_sql(sides.clocks)} AS _penstock_at,
                hash({listed(sides.compared)}) AS _penstock_hash,
                first_value({ROW}) OVER record AS {FIRST},
                first_value(_penstock_hash) OVER record AS _penstock_first_hash
            FROM draft WHERE {within(sides.key, part, parts)}
            WINDOW record AS (PARTITION BY {key}, _penstock_at ORDER BY {ROW})),
        once AS (
            SELECT *, row_number() OVER (PARTITION BY {key} ORDER BY _penstock_at DESC) = 1 AS _penstock_latest
            FROM new WHERE {ROW} = {FIRST})"""


def _held(sides: Sides, part: int, parts: int) -> str:
    """What the lake has of the keys read: its records, and of each key the newest version and the latest record."""
    key = listed(sides.key)
    found = f"lake WHERE {within(sides.key, part, parts)}" if sides.whole else f"lake SEMI JOIN new USING ({key})"
    gone = f"coalesce({DELETED}, FALSE)"
    return f"""
        old AS MATERIALIZED (
            SELECT {key}, {instant_sql(sides.clocks)} AS _penstock_at,
                hash({listed(sides.compared)}) AS _penstock_hash,
                {gone} AS _penstock_gone, {KNOWN} AS _penstock_last, {_when(sides)} AS _penstock_when
            FROM {found}),
        records AS (SELECT DISTINCT {key}, _penstock_at FROM old WHERE NOT _penstock_gone),
        state AS (
            SELECT {key}, max_by(_penstock_hash, _penstock_when) AS _penstock_hash,
                max_by(_penstock_gone, _penstock_when) AS _penstock_gone, max(_penstock_last) AS _penstock_last,
                max(_penstock_when) AS _penstock_when,
                max(_penstock_at) FILTER (NOT _penstock_gone) AS _penstock_top
            FROM old GROUP BY {key})"""


def instant_sql(clocks: Sequence[str]) -> str:
    """SQL for when a row's record was known, in microseconds: as its source says, else when it happened."""
    return f"coalesce({', '.join([*map(_micros, clocks), NEVER])})"


def _when(sides: Sides) -> str:
    """SQL for when a version of the lake was known, in microseconds."""
    return f"coalesce({', '.join([f'epoch_us({KNOWN})', *map(_micros, sides.clocks[1:]), NEVER])})"


def _micros(column: str) -> str:
    return f"epoch_us({quoted(column)}::TIMESTAMP)"


def _all_read(sides: Sides) -> str:
    """Whether every record that the source has of a key was read, so that others were withdrawn."""
    if not sides.whole or sides.unnamed:
        return "FALSE"
    return f"NOT EXISTS (SELECT 1 FROM spared WHERE {_same(sides, 'spared', 'once')})"


def _same_record(sides: Sides, one: str, other: str) -> str:
    return f"{_same(sides, one, other)} AND {one}._penstock_at = {other}._penstock_at"


def _same(sides: Sides, one: str, other: str) -> str:
    return " AND ".join(f"{one}.{quoted(name)} = {other}.{quoted(name)}" for name in sides.key)


__all__ = ["NEVER", "differing_records", "instant_sql"]
