"""What a versioned table should hold, kept in plain lists, and short ways to write rows into one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import pyarrow as pa

from penstock.lake.sql import Rows
from penstock.lake.versioned import DELETED, KNOWN, Roles, Scan, VersionedTable
from tests.plainsql import plain_sql

KEY, AMOUNT = 1, 2
"""Field ids: rows of the model are kept by these, as the table's files are."""
SCHEMA = pa.schema([("id", pa.int64()), ("amount", pa.int32())])
KEYED = Roles(key=("id",))
EPOCH = datetime(2024, 1, 1)  # noqa: DTZ001  (lake tables keep UTC without saying so)


@dataclass(frozen=True)
class Row:
    """One row of the log: values by field id, the minute in which it was known (None: when it happened)."""

    values: Mapping[int, object]
    known: int | None = None
    deleted: bool | None = None


@dataclass(frozen=True)
class Kept:
    """A version of the model: its log, and the names of its columns by field id."""

    log: tuple[Row, ...]
    names: Mapping[int, str]
    kind: str
    batch: str


@dataclass
class Model:
    """A table as plain lists."""

    names: dict[int, str] = field(default_factory=lambda: {KEY: "id", AMOUNT: "amount"})
    versions: dict[int, Kept] = field(default_factory=dict)
    batches: dict[str, int] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    tags: dict[str, int] = field(default_factory=dict)
    last: int = 0

    @property
    def log(self) -> tuple[Row, ...]:
        """The newest version's rows."""
        return self.versions[self.last].log if self.last else ()

    def commit(self, kind: str, rows: Sequence[Row], batch: str, facts: Mapping[str, str]) -> int:
        """A new version, unless its batch is known."""
        if batch in self.batches:
            return self.batches[batch]
        log = (*(() if kind == "replace" else self.log), *rows)
        self.last += 1
        self.versions[self.last] = Kept(log, dict(self.names), kind, batch)
        if batch:
            self.batches[batch] = self.last
        self.facts |= facts
        return self.last


def seen(row: Row, names: Mapping[int, str]) -> tuple[object, ...]:
    """A row as a version with these columns shows it."""
    return tuple(row.values.get(number) for number in names)


def log_of(rows: Iterable[Row], names: Mapping[int, str]) -> Counter[tuple[object, ...]]:
    """The bag of row versions that a version should show."""
    return Counter((*seen(row, names), row.known, row.deleted) for row in rows)


def current_of(rows: Sequence[Row], names: Mapping[int, str]) -> Counter[tuple[object, ...]]:
    """The bag of rows that are true, by a double loop."""
    newest = [row for row in rows if not any(_newer(other, row) for other in rows)]
    return Counter(seen(row, names) for row in newest if not row.deleted)


def _newer(other: Row, row: Row) -> bool:
    if other.values.get(KEY) != row.values.get(KEY):
        return False
    return (other.known is not None, other.known or 0) > (row.known is not None, row.known or 0)


# ------------------------------------------------------------------------------------------------- the real table


def batches(table: VersionedTable, rows: Sequence[Row], names: Mapping[int, str]) -> list[pa.RecordBatch]:
    """Rows as a table is given them."""
    told = [
        {name: row.values.get(number) for number, name in names.items()}
        | {KNOWN: None if row.known is None else EPOCH + timedelta(minutes=row.known), DELETED: row.deleted}
        for row in rows
    ]
    return [pa.RecordBatch.from_pylist(told, schema=table.schema)] if told else []


def read(scan: Scan, rows: Rows, names: Mapping[int, str]) -> Counter[tuple[object, ...]]:
    """The bag of rows that a scan gives, in the order of the model's columns."""
    return read_both(scan, names)[rows]


def read_both(scan: Scan, names: Mapping[int, str]) -> dict[Rows, Counter[tuple[object, ...]]]:
    """The bags of rows of the log, and of what is true."""
    with plain_sql({"t": scan}, "log") as sql:
        log, current = sql.arrow("FROM t"), sql.arrow(scan.current_sql())
    columns = [log[name].to_pylist() for name in names.values()]
    known = [None if k is None else (k - EPOCH) // timedelta(minutes=1) for k in log[KNOWN].to_pylist()]
    assert set(current.column_names) == set(names.values())
    return {
        "log": Counter(zip(*columns, known, log[DELETED].to_pylist(), strict=True)),
        "current": Counter(zip(*(current[name].to_pylist() for name in names.values()), strict=True)),
    }


def rows_of(*pairs: tuple[int | None, int | None], known: int | None = None, deleted: bool | None = None) -> list[Row]:
    """Rows of keys and amounts."""
    return [Row({KEY: key, AMOUNT: amount}, known, deleted) for key, amount in pairs]
