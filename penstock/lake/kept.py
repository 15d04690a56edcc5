"""A lake's tables, each at one version, as a source: what a database of a project reads."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import blake2b

import pyarrow as pa

from penstock.errors import RequestError, SourceError
from penstock.inference.facts import DeclaredLink
from penstock.lake.awaited import is_awaited
from penstock.lake.source import RawColumn, RawTable, unknown_table
from penstock.lake.sql import Sql
from penstock.lake.versioned import Lake, VersionedTable
from penstock.lake.versioned.scan import quoted
from penstock.settings import Settings
from penstock.window import instant


@dataclass(frozen=True)
class LakeSource:
    """The tables of a lake at fixed versions, all their row versions included.

    ``at`` maps names to version numbers, in the order in which they are shown.
    """

    lake: Lake
    at: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """Where the lake is."""
        return self.lake.place

    @cached_property
    def opened(self) -> Mapping[str, VersionedTable]:
        """The tables by name."""
        return {name: self.lake.table(name) for name in self.at}

    @cached_property
    def _declared(self) -> dict[str, RawTable]:
        return {name: _declared(table, self.at[name], self.opened) for name, table in self.opened.items()}

    def tables(self) -> Mapping[str, RawTable]:
        """The tables by name."""
        return self._declared

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all row versions."""
        if table not in self.at:
            raise unknown_table(self.name, table, self._declared)
        with Sql({table: self.opened[table].scan(self.at[table])}, "log", Settings.from_environment()) as sql:
            return sql.arrow(f"SELECT {', '.join(map(quoted, columns))} FROM {quoted(table)}")

    def fingerprint(self) -> str:
        """From the tables' versions; compacting a table does not change it."""
        told = [f"{name} {content_of(self.opened[name], number)}" for name, number in sorted(self.at.items())]
        return blake2b("\n".join(told).encode(), digest_size=16).hexdigest()


def shown_tables(lake: Lake) -> dict[str, VersionedTable]:
    """The lake's tables by name, without those that only say which keys are awaited: nobody asks for these."""
    return {name: table for name, table in lake.tables().items() if not is_awaited(name, table.roles)}


def newest_versions(lake: Lake) -> dict[str, int]:
    """Each table's newest version; tables that have none are left out."""
    found = {name: table.newest() for name, table in shown_tables(lake).items()}
    return {name: version.number for name, version in found.items() if version is not None}


def at_versions(lake: Lake, versions: Mapping[str, int]) -> LakeSource:
    """The lake with its tables at these versions."""
    if not versions:
        hint = "Bring tables in: penstock run"
        raise SourceError("LAKE_EMPTY", f"the lake at {lake.place} holds no tables", hint=hint)
    return LakeSource(lake, dict(versions))


def versions_at(lake: Lake, when: str, snapshots: Iterable[str] = ()) -> dict[str, int]:
    """Each table's version at an instant (ISO text): the newest that was committed by then; later tables are left out.

    Raises ``SourceError`` for a text that is no instant, with the names that it might have been.
    """
    try:
        at = instant(when)
    except RequestError as error:
        message = f"{when!r} is neither a snapshot nor an instant"
        raise SourceError("LAKE_NO_INSTANT", message, name=when, candidates=snapshots, hint=error.hint) from None
    upto = {name: [v for v in table.versions() if v.instant <= at] for name, table in shown_tables(lake).items()}
    return {name: versions[-1].number for name, versions in upto.items() if versions}


def content_of(table: VersionedTable, version: int | None = None) -> int:
    """The snapshot that last changed rows, up to a version: compacting a table does not change it. 0 without one."""
    upto = [v for v in table.versions() if version is None or v.number <= version]
    found = [v.snapshot for v in upto if v.kind != "compact"] or [v.snapshot for v in upto]
    return found[-1] if found else 0


def _declared(table: VersionedTable, version: int, there: Mapping[str, VersionedTable]) -> RawTable:
    roles, scan = table.roles, table.scan(version)
    columns = tuple(RawColumn(c.name, str(c.arrow), c.name not in roles.key, c.arrow) for c in scan.columns)
    links = tuple(
        DeclaredLink(tuple(column.split("+")), to, there[to].roles.key)
        for column, to in (roles.links or {}).items()
        if to in there
    )
    rows = next(v.rows for v in table.versions() if v.number == version)
    return RawTable(table.name, columns, roles.key, links=links, rows=rows, prunes=True)
