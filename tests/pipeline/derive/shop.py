"""A small lake to derive from, and the files that say how."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from penstock.lake.versioned import Lake, Roles, VersionedTable, open_lake
from penstock.pipeline.derive import Derivation, Derived, derive, load
from tests.plainsql import plain_sql

SECOND = 1_000_000
ORDERS = pa.schema(
    [
        ("order_id", pa.int64()),
        ("customer_id", pa.int64()),
        ("amount", pa.float64()),
        ("status", pa.string()),
        ("placed_at", pa.timestamp("us")),
    ]
)
CUSTOMERS = pa.schema([("customer_id", pa.int64()), ("name", pa.string()), ("city", pa.string())])
KNOWN = {"orders": ORDERS, "customers": CUSTOMERS}


def written(folder: Path, files: Mapping[str, str]) -> Path:
    """A folder with these files."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def loaded(folder: Path, **files: str) -> dict[str, Derivation]:
    """The derivations of SQL texts by table name."""
    where = written(folder, {f"{name}.sql": text for name, text in files.items()})
    return {one.name: one for one in load(where, KNOWN)}


@dataclass
class Shop:
    """A lake with ``orders`` (keyed, timed) and ``customers`` (keyed), and a folder of definitions."""

    place: Path
    batches: int = 0
    clock: int = 1_000
    lake: Lake = field(init=False)

    def __post_init__(self) -> None:
        self.lake = open_lake(self.place / "lake")
        self.lake.create("orders", ORDERS, Roles(("order_id",), "placed_at"))
        self.lake.create("customers", CUSTOMERS, Roles(("customer_id",)))

    def put(self, table: str, *rows: Sequence[Any], known: int | None = None, deleted: bool = False) -> None:
        """Commit rows as one batch, known at a second (None: when they happened)."""
        target = self.lake.table(table)
        names = [name for name in target.schema.names if not name.startswith("_")]
        own = {"_known": None if known is None else known * SECOND, "_deleted": deleted}
        data = [{**dict(zip(names, row, strict=True)), **own} for row in rows]
        self.batches += 1
        staged = target.stage(pa.Table.from_pylist(data, schema=target.schema).to_batches())
        target.commit(staged, batch=f"put-{self.batches}")

    def write(self, **files: str) -> None:
        """Definitions as SQL texts by table name."""
        written(self.place / "tables", {f"{name}.sql": text for name, text in files.items()})

    def loaded(self) -> tuple[Derivation, ...]:
        """The definitions as they are written now."""
        known = {name: self.lake.table(name).schema for name in ("orders", "customers")}
        return load(self.place / "tables", known, kept=self.place / "kept")

    def derive(self, at: int | None = None, **options: Any) -> dict[str, Derived]:
        """Bring all derived tables up to date, at a second of their own."""
        self.clock += 1
        now = (self.clock if at is None else at) * SECOND
        quarantine = self.place / "quarantine"
        return {
            one.name: derive(one, self.lake, quarantine=quarantine, now=lambda: now, **options) for one in self.loaded()
        }

    def table(self, name: str) -> VersionedTable:
        return self.lake.table(name)

    def current(self, name: str, version: int | None = None) -> list[tuple[Any, ...]]:
        """What is true now (or at a version), in order."""
        return self.ask(f'SELECT * FROM "{name}"', name, version=version)

    def log(self, name: str) -> list[dict[str, Any]]:
        """All row versions, oldest known first; instants as seconds."""
        table = self.table(name)
        order = ", ".join(f'"{key}"' for key in table.roles.key) or "1, 2"
        with plain_sql({name: table.scan()}, "log") as sql:
            shown = "* REPLACE (epoch_us(_known) / 1e6 AS _known)"
            found = sql.arrow(f'SELECT {shown} FROM "{name}" ORDER BY {order}, _known NULLS FIRST')
        return found.to_pylist()

    def ask(self, query: str, *tables: str, version: int | None = None) -> list[tuple[Any, ...]]:
        """A query's rows over current rows, in order."""
        with plain_sql({name: self.table(name).scan(version) for name in tables}) as sql:
            return ordered(sql.arrow(query))


def ordered(table: pa.Table) -> list[tuple[Any, ...]]:
    """A table's rows in an order of their own."""
    rows = zip(*(column.to_pylist() for column in table.columns), strict=True) if table.num_columns else ()
    return sorted((tuple(row) for row in rows), key=repr)
