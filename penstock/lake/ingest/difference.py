"""Rows just read against those that the lake has: only what differs is written, by SQL that runs in parts.

Contents with one key are compared by a hash of 64 bits of their columns, rows without a key column by column; both
take NULL for a value like any other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from penstock.lake.ingest.shape import ROW
from penstock.lake.sql import Sql
from penstock.lake.versioned import DELETED, KNOWN
from penstock.lake.versioned.scan import Scan, quoted
from penstock.settings import Settings

WHAT, FIRST = "_penstock_what", "_penstock_first"
ADDED, CHANGED, REPEATED, VANISHED, KEPT = 1, 2, 3, 4, 5
"""What a row is, in the column `WHAT`; `FIRST` is the row that a repeated one repeats."""
_BYTES_A_ROW = 160
_UNPACKED = 6


@dataclass(frozen=True)
class Sides:
    """The lake's log, the rows just read (numbered by `ROW`), and the keys that are to be left alone.

    ``compared`` are the columns that both have; ``now`` the instant of this batch, in microseconds; ``fresh`` SQL for
    when a row was known that no row before had the key of. ``whole`` says that all rows of the source were read,
    ``distinct`` that no two of them have one key, ``unnamed`` that some were rejected whose key cannot be told.
    ``clocks`` are the columns that say when a row was known, the source's word first, where that keeps `corrections`.
    """

    lake: Scan
    draft: Scan
    spared: Scan
    key: tuple[str, ...]
    compared: tuple[str, ...]
    now: int
    fresh: str
    whole: bool = True
    distinct: bool = False
    unnamed: bool = False
    clocks: tuple[str, ...] = ()

    @property
    def once(self) -> bool:
        """Whether each key has but one row in the log."""
        return self.lake.several == ()

    @property
    def instant(self) -> str:
        """SQL for now."""
        return f"make_timestamp({self.now}::BIGINT)"


def parts_of(sides: Sides, rows: int, settings: Settings) -> int:
    """In how many parts the sides are compared, so that each fits in memory."""
    if sides.key:
        held = rows * _BYTES_A_ROW * (2 if sides.clocks else 1)
    else:
        held = _UNPACKED * sum(file.stat().st_size for file in (*sides.lake.files, *sides.draft.files))
    return 1 + held // max(settings.memory // 8, 32 << 20)


def opened(sides: Sides, settings: Settings) -> Sql:
    """The SQL that the functions below ask."""
    return Sql({"lake": sides.lake, "draft": sides.draft, "spared": sides.spared}, rows="log", settings=settings)


def differing(sql: Sql, sides: Sides, parts: int) -> Iterator[pa.RecordBatch]:
    """The rows read that the lake does not have so: added, changed, or repeating the key of another.

    With a key its newest version counts, and a row that is there twice counts once; without one a row is added as often
    as it was read more often than it is there. Columns: those of the draft, ``_known``, `WHAT`, `FIRST`.
    """
    for part in range(parts):
        yield from sql.batches(_differing_by_key(sides, part, parts) if sides.key else _missing(sides, part, parts))


def _differing_by_key(sides: Sides, part: int, parts: int) -> str:
    key = listed(sides.key)
    here = within(sides.key, part, parts)
    content = f"hash({listed(sides.compared)})"
    alike = f"OVER (PARTITION BY {key} ORDER BY {ROW})"
    first = f"{ROW} AS {FIRST}" if sides.distinct else f"first_value({ROW}) {alike} AS {FIRST}"
    same = "_penstock_hash" if sides.distinct else f"first_value(_penstock_hash) {alike}"
    lake = f"lake WHERE {here}" if sides.whole else f"lake SEMI JOIN new USING ({key})"
    return f"""
        WITH new AS MATERIALIZED (
            SELECT {ROW}, {key}, {content} AS _penstock_hash, {first}, {same} AS _penstock_first_hash
            FROM draft WHERE {here}),
        old AS ({_newest(sides, content, lake)}),
        picked AS MATERIALIZED (
            SELECT {ROW}, {FIRST}, old._penstock_last,
                CASE WHEN {ROW} <> {FIRST} THEN {REPEATED} WHEN old._penstock_hash IS NULL THEN 0
                     WHEN old._penstock_gone THEN {ADDED} ELSE {CHANGED} END AS {WHAT}
            FROM new LEFT JOIN old USING ({key})
            WHERE CASE WHEN {ROW} <> {FIRST} THEN new._penstock_hash <> _penstock_first_hash
                ELSE old._penstock_hash IS NULL OR old._penstock_gone
                    OR old._penstock_hash <> new._penstock_hash END)
        SELECT draft.*, CASE WHEN {WHAT} = 0 THEN {sides.fresh} ELSE {later(sides)} END AS {KNOWN},
            CASE WHEN {WHAT} = 0 THEN {ADDED} ELSE {WHAT} END AS {WHAT}, {FIRST}
        FROM draft JOIN picked USING ({ROW})"""


_WHEN = f"coalesce(epoch_us({KNOWN}), -9223372036854775807)"


def _newest(sides: Sides, content: str, lake: str) -> str:
    """A SELECT of each key's newest version: its content's hash, whether it is gone, and when it was known."""
    key, gone = listed(sides.key), f"coalesce({DELETED}, FALSE)"
    if sides.once:
        shown = f"{content} AS _penstock_hash, {gone} AS _penstock_gone, {KNOWN} AS _penstock_last"
        return f"SELECT {key}, {shown} FROM {lake}"
    newest = f"max_by({content}, {_WHEN}) AS _penstock_hash, max_by({gone}, {_WHEN}) AS _penstock_gone"
    return f"SELECT {key}, {newest}, max({KNOWN}) AS _penstock_last FROM {lake} GROUP BY {key}"


def later(sides: Sides) -> str:
    """SQL for now, or just after the version before if the clock went back."""
    return f"greatest({sides.instant}, coalesce(_penstock_last + INTERVAL 1 MICROSECOND, {sides.instant}))"


def vanished(sql: Sql, sides: Sides, parts: int) -> Iterator[pa.RecordBatch]:
    """The newest versions of the keys that were not read, each as it was but for ``_known`` and ``_deleted``."""
    key = listed(sides.key)
    for part in range(parts):
        yield from sql.batches(f"""
            WITH lost AS MATERIALIZED (
                SELECT {key}, _penstock_last
                FROM ({_newest(sides, "0", f"lake WHERE {within(sides.key, part, parts)}")})
                ANTI JOIN draft USING ({key}) ANTI JOIN spared USING ({key}) WHERE NOT _penstock_gone)
            SELECT lake.* EXCLUDE ({KNOWN}, {DELETED}), {later(sides)} AS {KNOWN}, TRUE AS {DELETED}
            FROM lake JOIN lost USING ({key})
            QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY lake.{KNOWN} DESC NULLS LAST) = 1""")


# ---------------------------------------------------------------- without a key


def _missing(sides: Sides, part: int, parts: int) -> str:
    names, here = listed(sides.compared), within(sides.compared, part, parts)
    return f"""
        WITH new AS MATERIALIZED (
            SELECT *, {sides.fresh} AS _penstock_said,
                row_number() OVER (PARTITION BY {names} ORDER BY {ROW}) AS _penstock_nth
            FROM draft WHERE {here}),
        old AS (
            SELECT {names}, count(*) AS _penstock_rows
            FROM lake SEMI JOIN new ON {_same(sides, "lake", "new")}
            WHERE NOT coalesce({DELETED}, FALSE) GROUP BY {names})
        SELECT new.* EXCLUDE (_penstock_nth, _penstock_said), _penstock_said AS {KNOWN}, {ADDED} AS {WHAT},
            {ROW} AS {FIRST}
        FROM new LEFT JOIN old ON {_same(sides, "new", "old")}
        WHERE _penstock_nth > coalesce(_penstock_rows, 0)"""


def matched(sql: Sql, sides: Sides, parts: int) -> Iterator[pa.RecordBatch]:
    """All rows read; those that the lake has too, one for one, with the ``_known`` they have there."""
    for part in range(parts):
        yield from sql.batches(_matched(sides, part, parts))


def unmatched(sql: Sql, sides: Sides, parts: int) -> tuple[int, int]:
    """How many rows were read that the lake lacks, and how many it has that were not read."""
    (held,) = sql.arrow(f"SELECT count(*) AS n FROM lake WHERE NOT coalesce({DELETED}, FALSE)").column("n").to_pylist()
    added = same = 0
    for part in range(parts):
        counted = f"SELECT count(*) FILTER ({WHAT} = {ADDED}) AS added, count(*) FILTER ({WHAT} = {KEPT}) AS kept"
        (row,) = sql.arrow(f"{counted} FROM ({_matched(sides, part, parts)})").to_pylist()
        added, same = added + row["added"], same + row["kept"]
    return added, held - same


def _matched(sides: Sides, part: int, parts: int) -> str:
    names, here = listed(sides.compared), within(sides.compared, part, parts)
    numbered = f"row_number() OVER (PARTITION BY {names} ORDER BY"
    return f"""
        WITH new AS (
            SELECT *, {sides.fresh} AS _penstock_said, {numbered} {ROW}) AS _penstock_nth FROM draft WHERE {here}),
        old AS (
            SELECT {names}, {KNOWN} AS _penstock_last, {numbered} {KNOWN} NULLS FIRST) AS _penstock_nth
            FROM lake WHERE NOT coalesce({DELETED}, FALSE) AND {here})
        SELECT new.* EXCLUDE (_penstock_nth, _penstock_said),
            CASE WHEN old._penstock_nth IS NULL THEN _penstock_said ELSE old._penstock_last END AS {KNOWN},
            CASE WHEN old._penstock_nth IS NULL THEN {ADDED} ELSE {KEPT} END AS {WHAT}, {ROW} AS {FIRST}
        FROM new LEFT JOIN old ON {_same(sides, "new", "old")} AND new._penstock_nth = old._penstock_nth"""


def _same(sides: Sides, one: str, other: str) -> str:
    return " AND ".join(f"{one}.{quoted(n)} IS NOT DISTINCT FROM {other}.{quoted(n)}" for n in sides.compared)


def within(names: Sequence[str], part: int, parts: int) -> str:
    """SQL for whether a row belongs to a part, by these columns."""
    return "TRUE" if parts == 1 else f"hash({listed(names)}) % {parts} = {part}"


def listed(names: Sequence[str]) -> str:
    """The columns as SQL lists them."""
    return ", ".join(map(quoted, names))


# ---------------------------------------------------------------- keys of a first load


def repeats_a_key(staged: Scan, key: Sequence[str], rows: int, settings: Settings) -> bool:
    """Whether staged rows hold a key more than once."""
    names = listed(key)
    parts = 1 + rows * _BYTES_A_ROW // max(settings.memory // 8, 32 << 20)
    with Sql({"staged": staged}, rows="log", settings=settings) as sql:
        return any(
            sql.arrow(
                f"SELECT 1 FROM staged WHERE {within(key, part, parts)} GROUP BY {names} HAVING count(*) > 1 LIMIT 1"
            ).num_rows
            for part in range(parts)
        )


def numbered(staged: Scan, names: Sequence[str], settings: Settings) -> Iterator[pa.RecordBatch]:
    """Staged rows in their order, numbered from 1."""
    with Sql({"staged": staged}, rows="log", settings=settings) as sql:
        yield from sql.batches(f"SELECT {listed(names)}, row_number() OVER () AS {ROW} FROM staged")
