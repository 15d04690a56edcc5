"""What a commit of staged files needs: their place in the manifests, and what can be said of their keys."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from penstock.errors import SourceError
from penstock.lake.versioned import carried, iceberg, once
from penstock.lake.versioned.commits import Handle, newest
from penstock.lake.versioned.damage import must_be_whole
from penstock.lake.versioned.remembered import Remembered
from penstock.lake.versioned.roles import Roles
from penstock.lake.versioned.staged import Staged

if TYPE_CHECKING:
    from pathlib import Path

    from pyiceberg.manifest import DataFile
    from pyiceberg.table.metadata import TableMetadataV2
    from pyiceberg.table.snapshots import Snapshot

_MOST_LOOKED_AT = 20_000_000
_COMMITTED = Remembered[bool](most=100_000)


@dataclass(frozen=True)
class Said:
    """What a commit says of its keys, and what is to be remembered of the snapshot that it makes."""

    facts: Mapping[str, str]
    remember: Callable[[Snapshot], None] = field(default=lambda _: None)


@dataclass(frozen=True)
class StagedFiles:
    """Staged files on their way into a table; what does not depend on the table's state is found out once."""

    handle: Handle
    staged: Staged
    fresh: bool
    _answers: Remembered[bool] = field(default_factory=lambda: Remembered(4))

    def data_files(self, metadata: TableMetadataV2) -> list[DataFile]:
        """What manifests say of the files. Raises ``SourceError`` (``LAKE_DAMAGED``) for files that were changed."""
        if any(map(is_committed, self.staged.files)):
            message = f"{self.handle.name}: these staged rows are committed already"
            raise SourceError("LAKE_STAGED_TWICE", message, hint="Stage them again if they are to be there twice.")
        must_be_whole(self.staged.files, self._explain)
        storage, table = self.handle.storage, metadata.location
        found = [iceberg.data_file(metadata, storage.location(table, file), file) for file in self.staged.files]
        rows = sum(file.record_count for file in found)
        if rows != self.staged.rows:
            raise SourceError("LAKE_DAMAGED", f"{self.handle.name}: {rows} rows are staged, not {self.staged.rows}")
        return found

    def are_committed(self) -> None:
        """Remember that these are no longer anybody's to commit or to throw away."""
        for file in self.staged.files:
            _COMMITTED.put(str(file), True)

    def _explain(self, path: Path, reason: str) -> SourceError:
        message = f"{self.handle.name}: the staged file {path}: {reason}"
        return SourceError("LAKE_DAMAGED", message, name=str(path), hint="Stage the rows again.")

    def said(self, metadata: TableMetadataV2, added: Sequence[DataFile], beside: Snapshot | None) -> Said:
        """What the commit says of the files' keys beside a snapshot's: nothing, unless all are new and occur once."""
        ids, schema = self.handle.key_ids(metadata), metadata.schema()
        if not ids:
            return Said({})
        there = once.range_in(schema, ids[0], beside, lambda: [e.data_file for e in self.handle.entries(beside)])
        here = once.range_of(schema, ids[0], added)
        proven = self.fresh or (here.is_apart(there) and self._distinct(metadata))
        facts = {carried.SEVERAL: once.said(ids, ())} if proven else {}
        return Said(facts, lambda made: once.remember(schema, ids[0], made.manifest_list, here | there))

    def _distinct(self, metadata: TableMetadataV2) -> bool:
        key = Roles.from_properties(metadata.properties).key
        if self.staged.rows > _MOST_LOOKED_AT:
            return False
        return self._answers.get(key, lambda: once.distinct(self.staged.files, key))


def is_committed(file: Path) -> bool:
    """Whether this process committed a staged file; names are never used again."""
    return str(file) in _COMMITTED


def must_be_at(table: str, metadata: TableMetadataV2, after: int | None) -> None:
    """Raise ``SourceError`` (``LAKE_CONFLICT``) when the table holds other rows than at a version."""
    if after is None:
        return
    at = newest(metadata)
    while at is not None and (at.sequence_number or 0) > after and carried.version_of(at).kind == "compact":
        before = at.parent_snapshot_id
        at = next((s for s in metadata.snapshots if s.snapshot_id == before), None)
        if at is None and before is not None:  # expired: what it held is not known
            at = newest(metadata)
            break
    number = 0 if at is None else at.sequence_number
    if number != after:
        message = f"{table} is at version {number}, no longer at {after}"
        raise SourceError("LAKE_CONFLICT", message, hint="Read it again and repeat.")
