"""How a table changes: each step is tried on its newest metadata until nobody else came between."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.errors import SourceError
from penstock.lake.versioned import carried, once
from penstock.lake.versioned.catalogue import Catalogue, Head
from penstock.lake.versioned.iceberg import Change, columns_of
from penstock.lake.versioned.roles import KNOWN, Roles
from penstock.lake.versioned.sealed import damaged
from penstock.lake.versioned.storage import Storage

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile, ManifestEntry
    from pyiceberg.table.metadata import TableMetadataV2
    from pyiceberg.table.snapshots import Snapshot

_PATIENCE = 120.0
_FIRST_WAIT, _LONGEST_WAIT = 0.005, 0.5


@dataclass
class Handle:
    """A table's metadata as this process saw it last, and its files."""

    catalogue: Catalogue
    name: str
    head: Head
    storage: Storage
    now: Callable[[], int]

    @property
    def metadata(self) -> TableMetadataV2:
        """The metadata as it was seen last."""
        return self.head.metadata

    def refresh(self) -> Head:
        """The newest metadata. Raises ``SourceError`` (``LAKE_UNKNOWN_TABLE``) once the table is dropped."""
        found = self.catalogue.head(self.name)
        if found is None:
            raise SourceError("LAKE_UNKNOWN_TABLE", f"the table {self.name!r} was dropped", name=self.name)
        self.head = found
        return found

    def change(self, step: Callable[[Head], Change | None]) -> bool:
        """Take a step from the newest metadata; false when the step finds (by None) that nothing is to be done.

        A step is tried again when another writer came first, after a random wait that grows. What it wrote for the
        try that failed is deleted. Raises ``SourceError`` (``LAKE_BUSY``) when that went on for two minutes.
        """
        deadline, tries = time.monotonic() + _PATIENCE, 0
        while True:
            head = self.refresh()
            change = step(head)
            if change is None:
                return False
            done = self.catalogue.swap(self.name, head, change.metadata)
            if done is not None:
                self.head = done
                return True
            for file in change.files:
                self.catalogue.io.delete(file)
            if time.monotonic() > deadline:
                message = f"{self.name}: other writers came first {tries} times"
                raise SourceError("LAKE_BUSY", message, hint="Try again, or let fewer write at once.")
            time.sleep(random.uniform(0, min(_FIRST_WAIT * 2**tries, _LONGEST_WAIT)))
            tries += 1

    # ------------------------------------------------------------ files

    def entries(self, snapshot: Snapshot | None) -> tuple[ManifestEntry, ...]:
        """The data files of a snapshot, oldest first. Raises ``SourceError`` (``LAKE_DAMAGED``) for torn manifests."""
        from penstock.lake.versioned.manifests import entries

        if snapshot is None:
            return ()
        try:
            return entries(self.catalogue.io, snapshot)
        except (FileNotFoundError, ValueError) as error:
            reason = f"the list of files of version {snapshot.sequence_number}: {error}"
            raise damaged(self.name, snapshot.manifest_list, reason, self._whole_instead(snapshot, None)) from error

    def local(self, snapshot: Snapshot, file: DataFile) -> Path:
        """A data file of this machine. Raises ``SourceError`` (``LAKE_DAMAGED``) when it is missing or of another
        size."""
        try:
            return self.storage.local(self.metadata.location, file.file_path, file.file_size_in_bytes)
        except FileNotFoundError as error:
            raise self.explain(snapshot, file.file_path, "it is missing") from error
        except ValueError as error:
            raise self.explain(snapshot, file.file_path, str(error)) from error

    def explain(self, snapshot: Snapshot, location: str, reason: str) -> SourceError:
        """The error for a data file of a snapshot that is not whole, with what can be read instead."""
        if self._has_expired(snapshot):
            message = f"version {snapshot.sequence_number} of {self.name} expired while it was read"
            return SourceError("LAKE_UNKNOWN_VERSION", message, hint="Read a version that is kept, or tag it first.")
        return damaged(self.name, location, reason, self._whole_instead(snapshot, location))

    def _has_expired(self, snapshot: Snapshot) -> bool:
        known = self.refresh().metadata
        return all(kept.snapshot_id != snapshot.snapshot_id for kept in known.snapshots)

    def _whole_instead(self, snapshot: Snapshot, location: str | None) -> str:
        """What to do, with the newest older version that can be read."""
        for older in sorted(self.metadata.snapshots, key=lambda s: -(s.sequence_number or 0)):
            if (older.sequence_number or 0) < (snapshot.sequence_number or 0) and self._is_whole(older, location):
                return f"Version {older.sequence_number} is whole: read that, or restore the file from a backup."
        return "Restore the file from a backup; no older version is whole."

    def _is_whole(self, snapshot: Snapshot, location: str | None) -> bool:
        from penstock.lake.versioned.manifests import entries

        try:
            files = [entry.data_file for entry in entries(self.catalogue.io, snapshot)]
            for file in files:
                self.storage.local(self.metadata.location, file.file_path, file.file_size_in_bytes)
        except (FileNotFoundError, ValueError):
            return False
        return all(file.file_path != location for file in files)

    def key_ids(self, metadata: TableMetadataV2) -> tuple[int, ...]:
        """The field ids of the table's key."""
        ids = {column.name: column.field_id for column in columns_of(metadata.schema())}
        return tuple(ids[name] for name in Roles.from_properties(metadata.properties).key)

    def several(self, held: Sequence[ManifestEntry]) -> list[bool]:
        """For each data file, whether it may hold a further row of a key."""
        flags, ids = carried.several(self.metadata), self.key_ids(self.metadata)
        return [once.is_several(entry, flags, ids) for entry in held]

    def is_later(self, held: Sequence[ManifestEntry], again: Sequence[bool]) -> bool:
        """Whether no row of the other files can be the newest of a key that the files with further rows have.

        So it is where these became known after all the others, and where they hold all rows of their keys.
        """
        schema, flags, ids = self.metadata.schema(), carried.several(self.metadata), self.key_ids(self.metadata)
        files: tuple[list[DataFile], list[DataFile]] = ([], [])
        for entry, is_so in zip(held, again, strict=True):
            if not (is_so and once.is_closed(entry, flags, ids)):
                files[is_so].append(entry.data_file)
        return once.is_later(schema, schema.find_field(KNOWN).field_id, files[True], files[False])


def newest(metadata: TableMetadataV2) -> Snapshot | None:
    """The newest snapshot; None before the first commit."""
    number = metadata.current_snapshot_id
    return next((s for s in reversed(metadata.snapshots) if s.snapshot_id == number), None) if number else None
