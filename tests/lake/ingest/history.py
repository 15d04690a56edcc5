"""What a lake table must hold after each ingestion, by plain Python: the oracle of these tests."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from penstock.lake.ingest import Ingested, Intake, ingest
from penstock.lake.versioned import Lake
from tests.plainsql import plain_sql

SCHEMA = pa.schema([("id", pa.int64()), ("at", pa.int64()), ("v", pa.string())])
Row = tuple[int, int | None, str | None]
Known = tuple[Row, int | None, bool]


def source(rows: list[Row]) -> dict[str, pa.Table]:
    return {"t": pa.table({f.name: [r[n] for r in rows] for n, f in enumerate(SCHEMA)}, schema=SCHEMA)}


def log(lake: Lake, name: str = "t") -> list[dict[str, object]]:
    """All row versions, ``_known`` in microseconds."""
    with plain_sql({"log": lake.table(name).scan()}, "log") as sql:
        return sql.arrow("SELECT * REPLACE (epoch_us(_known) AS _known) FROM log").to_pylist()


def current(lake: Lake, name: str = "t") -> list[dict[str, object]]:
    with plain_sql({"now": lake.table(name).scan()}) as sql:
        return sql.arrow("SELECT * FROM now").to_pylist()


@dataclass
class Model:
    """The log of one table: its rows with when each was known, and whether it is gone."""

    key: bool
    mode: str
    overlap: int
    log: list[Known] = field(default_factory=list)
    first: bool = True
    mark: int | None = None

    def newest(self) -> dict[int, Known]:
        found: dict[int, Known] = {}
        for entry in self.log:
            before = found.get(entry[0][0])
            if before is None or (entry[1] is not None and (before[1] is None or entry[1] > before[1])):
                found[entry[0][0]] = entry
        return found

    def take(self, rows: list[Row], now: int) -> None:
        """One ingestion of a source that holds these rows."""
        read = rows if self.mode != "incremental" or self.mark is None else [r for r in rows if self.is_new(r)]
        if self.mode == "incremental":
            self.mark = (
                max([r[1] for r in rows if r in read and r[1] is not None] + [self.mark or 0], default=0) or None
            )
        if self.first:
            self.log = [(row, None, False) for row in read]
        elif self.key:
            self.take_keyed(read, now)
        elif self.mode == "incremental":
            more = Counter(read) - Counter(row for row, _, _ in self.log)
            self.log += [(row, now, False) for row in more.elements()]
        else:
            self.replace(read, now)
        self.first = False

    def is_new(self, row: Row) -> bool:
        return row[1] is None or row[1] >= (self.mark or 0) - self.overlap

    def take_keyed(self, read: list[Row], now: int) -> None:
        newest = self.newest()
        for row in read:
            old = newest.get(row[0])
            if old is None or old[2] or old[0] != row:
                self.log.append((row, self.later(old, now), False))
        if self.mode != "incremental":
            for key, old in newest.items():
                if not old[2] and key not in {row[0] for row in read}:
                    self.log.append((old[0], self.later(old, now), True))

    @staticmethod
    def later(old: Known | None, now: int) -> int:
        return now if old is None or old[1] is None else max(now, old[1] + 1)

    def replace(self, read: list[Row], now: int) -> None:
        left = sorted(self.log, key=lambda entry: -1 if entry[1] is None else entry[1])
        found: list[Known] = []
        for row in read:
            same = next((entry for entry in left if entry[0] == row), None)
            if same is not None:
                left.remove(same)
            found.append(same or (row, now, False))
        self.log = found

    def holds(self) -> list[Row]:
        """What is true now."""
        if self.key:
            return [row for row, _, gone in self.newest().values() if not gone]
        return [row for row, _, _ in self.log]


def lake_log(lake: Lake) -> Counter[Known]:
    """The log that the lake has, as the model writes it."""
    return Counter(((r["id"], r["at"], r["v"]), r["_known"], r["_deleted"]) for r in log(lake))  # type: ignore[misc]


def intake(rows: list[Row] | dict[str, pa.Table], **how: object) -> Intake:
    given = source(rows) if isinstance(rows, list) else rows
    return Intake("t", given, **how)  # type: ignore[arg-type]


def taken(lake: Lake, rows: list[Row], now: int, quarantine: Path, **how: object) -> Ingested:
    return ingest(intake(rows, **how), lake, quarantine=quarantine, now=lambda: now)
