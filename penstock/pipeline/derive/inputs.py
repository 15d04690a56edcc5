"""What a derived table reads, at fixed versions: current rows with the instant each was known, or new rows alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import pyarrow as pa

from penstock.lake.sql import Sql
from penstock.lake.versioned import DELETED, KNOWN, Lake, Scan, VersionedTable
from penstock.lake.versioned.scan import quoted
from penstock.pipeline.derive.derivation import UNTIL


@dataclass(frozen=True)
class ClockedScan(Scan):
    """A scan whose current rows keep ``_known``; where that is NULL, the row was known when it happened."""

    happened: str | None = None

    @property
    def known(self) -> str:
        """SQL for when a row was known; NULL where it was always."""
        own = "NULL::TIMESTAMP" if self.happened is None else f"TRY_CAST({quoted(self.happened)} AS TIMESTAMP)"
        return f"coalesce({KNOWN}, {own})"

    def current_sql(self) -> str:
        """DuckDB SQL for what is true now, with the instant at which each row was known."""
        newest = ""
        if self.key:
            key = ", ".join(map(quoted, self.key))
            newest = f"QUALIFY row_number() OVER (PARTITION BY {key} ORDER BY {KNOWN} DESC NULLS LAST) = 1"
        rows = f"SELECT * FROM ({self.log_sql()}) {newest}"
        shown = f"SELECT * EXCLUDE ({KNOWN}, {DELETED}), {self.known} AS {KNOWN}"
        return f"{shown} FROM ({rows}) WHERE NOT coalesce({DELETED}, FALSE)"


@dataclass(frozen=True)
class HistoryScan(ClockedScan):
    """A scan whose rows are all versions that were ever true: each with when it was known, and until when."""

    def current_sql(self) -> str:
        """DuckDB SQL for the versions, `UNTIL` being NULL for those that are true now."""
        key = ", ".join(map(quoted, self.key))
        next_ = f"lead({KNOWN}) OVER (PARTITION BY {key} ORDER BY {KNOWN} NULLS FIRST)" if key else "NULL::TIMESTAMP"
        rows = f"SELECT *, {next_} AS {UNTIL} FROM ({self.log_sql()})"
        shown = f"SELECT * EXCLUDE ({KNOWN}, {DELETED}, {UNTIL}), {self.known} AS {KNOWN}, {UNTIL}"
        return f"{shown} FROM ({rows}) WHERE NOT coalesce({DELETED}, FALSE)"


@dataclass(frozen=True)
class Input:
    """A table that is read, at the version that was newest when it was opened; 0 is before the first."""

    table: VersionedTable
    version: int

    @property
    def scan(self) -> Scan:
        """Its rows at that version."""
        return self.table.scan()

    @property
    def clocked(self) -> ClockedScan:
        """The same rows with the instant at which each was known."""
        return clocked(self.scan, self.table.roles.happened)


def history(one: Input) -> HistoryScan:
    """All versions of its rows."""
    scan = one.clocked
    return HistoryScan(**{field.name: getattr(scan, field.name) for field in fields(ClockedScan)})


def clocked(scan: Scan, happened: str | None) -> ClockedScan:
    """A scan whose current rows keep ``_known``."""
    given = {field.name: getattr(scan, field.name) for field in fields(Scan)}
    kind = scan.schema.field(happened).type if happened in scan.schema.names else None
    timely = kind is not None and (pa.types.is_timestamp(kind) or pa.types.is_date(kind))
    return ClockedScan(**given, happened=happened if timely else None)


def opened(lake: Lake, names: tuple[str, ...]) -> dict[str, Input]:
    """The tables as they are now. Raises ``SourceError`` for one that the lake does not have."""
    found = {}
    for name in names:
        table = lake.table(name)
        newest = table.newest()
        found[name] = Input(table, 0 if newest is None else newest.number)
    return found


def versions(inputs: Mapping[str, Input]) -> dict[str, int]:
    """Their versions by name."""
    return {name: one.version for name, one in sorted(inputs.items())}


def grown(one: Input, since: int) -> Scan | None:
    """The rows that came since a version, if nothing but new rows did: no row changed, none deleted.

    None where something else happened, or where it cannot be told (files were compacted, the version is gone).
    """
    kept = {version.number for version in one.table.versions()}
    if since not in kept and since != 0:
        return None
    now = one.scan
    before = one.table.scan(since).files if since else ()
    if not set(before) <= set(now.files):
        return None
    fresh = Scan(tuple(file for file in now.files if file not in set(before)), now.columns, now.key)
    return fresh if _only_new(Scan(before, now.columns, now.key), fresh) else None


def _only_new(before: Scan, fresh: Scan) -> bool:
    with Sql({"old": before, "fresh": fresh}, rows="log") as sql:
        if sql.arrow(f"SELECT 1 FROM fresh WHERE {DELETED} LIMIT 1").num_rows:
            return False
        if not fresh.key:
            return True
        key = ", ".join(map(quoted, fresh.key))
        same = " AND ".join(f"old.{quoted(name)} IS NOT DISTINCT FROM fresh.{quoted(name)}" for name in fresh.key)
        met = sql.arrow(f"SELECT 1 FROM fresh SEMI JOIN old ON {same} LIMIT 1").num_rows
        twice = sql.arrow(f"SELECT 1 FROM fresh GROUP BY {key} HAVING count(*) > 1 LIMIT 1").num_rows
        return not met and not twice


def latest_known(inputs: Mapping[str, Input]) -> int | None:
    """The newest instant, in microseconds since 1970, at which a row of any of them became known; None: none did."""
    with Sql({f"t{at}": one.scan for at, one in enumerate(inputs.values())}, rows="log") as sql:
        found = [
            sql.arrow(f"SELECT epoch_us(max({KNOWN})) AS at FROM t{at}")["at"][0].as_py() for at in range(len(inputs))
        ]
    return max((at for at in found if at is not None), default=None)
