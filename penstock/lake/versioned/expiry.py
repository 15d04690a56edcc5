"""Forgetting old versions: what no kept version needs is deleted, and what writers that died left behind."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from penstock.lake.versioned import carried, iceberg
from penstock.lake.versioned.catalogue import Head
from penstock.lake.versioned.commits import Handle
from penstock.lake.versioned.manifests import manifest_locations
from penstock.lake.versioned.once import name_of
from penstock.lake.versioned.storage import Storage, Stored, local_path
from penstock.lake.versioned.writers import is_dead_lock, is_living

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadataV2
    from pyiceberg.table.snapshots import Snapshot

_LEAST_GRACE = timedelta(minutes=10)
"""Metadata of a commit under way is not named after its writer; no commit takes so long."""


@dataclass(frozen=True)
class Expired:
    """What was forgotten: how many versions, files of theirs, and files that no version ever named."""

    versions: int
    files: int
    orphans: int

    def __add__(self, other: Expired) -> Expired:
        return Expired(self.versions + other.versions, self.files + other.files, self.orphans + other.orphans)


def expire(handle: Handle, keep: timedelta | int, pinned: Collection[int], grace: timedelta) -> Expired:
    """Forget a table's versions that are too old, neither tagged nor pinned, and delete what nothing needs."""
    leaving: list[Snapshot] = []

    def step(head: Head) -> iceberg.Change | None:
        metadata = head.metadata
        leaving[:] = _leaving(metadata, keep, pinned, handle.now())
        if not leaving:
            return None
        gone = {s.snapshot_id for s in leaving}
        living = {
            entry.sequence_number or 0
            for snapshot in metadata.snapshots
            if snapshot.snapshot_id not in gone
            for entry in handle.entries(snapshot)
        }
        return iceberg.without_snapshots(metadata, gone, carried.carried(metadata, leaving, living))

    files = 0
    if handle.change(step):
        unneeded = _files(handle, leaving) - _files(handle, handle.metadata.snapshots)
        for location in sorted(unneeded):
            handle.storage.remove(location)
        files = len(unneeded)
    return Expired(len(leaving), files, _swept(handle, grace))


def _leaving(metadata: TableMetadataV2, keep: timedelta | int, pinned: Collection[int], now: int) -> list[Snapshot]:
    """The snapshots to forget; what was newest when the time to keep began stays, as it was true then."""
    by_age = sorted(metadata.snapshots, key=lambda s: s.sequence_number or 0)
    if isinstance(keep, int):
        old = by_age[: -max(keep, 1)]
    else:
        since = (now - keep // timedelta(microseconds=1)) // 1000
        old = [s for s in by_age if s.timestamp_ms <= since][:-1]
    held = {reference.snapshot_id for reference in metadata.refs.values()}
    return [s for s in old if s.snapshot_id not in held and s.sequence_number not in pinned]


def _files(handle: Handle, snapshots: Iterable[Snapshot]) -> set[str]:
    """All files that snapshots need."""
    found: set[str] = set()
    for snapshot in snapshots:
        found.update(manifest_locations(handle.catalogue.io, snapshot))
        found.update(entry.data_file.file_path for entry in handle.entries(snapshot))
    return found


def _swept(handle: Handle, grace: timedelta) -> int:
    """Delete files that nothing names and no living writer works on, once they are older than the grace."""
    stored = list(handle.storage.listed(handle.metadata.location))
    head = handle.refresh()  # after the listing: what was committed meanwhile is named
    needed = _files(handle, head.metadata.snapshots) | {head.location}
    needed |= {entry.metadata_file for entry in head.metadata.metadata_log}
    folder = handle.storage.folder(head.metadata.location)
    now = handle.now()
    orphans = [file.location for file in stored if file.location not in needed and _is_orphan(file, folder, now, grace)]
    for location in orphans:
        handle.storage.remove(location)
    return len(orphans)


def sweep_dropped(storage: Storage, location: str, now: int, grace: timedelta) -> int:
    """Delete what a dropped table left below its location; nobody can commit to it any more."""
    old = now - _micros(max(grace, _LEAST_GRACE))
    orphans = [file.location for file in storage.listed(location) if file.written < old]
    for orphan in orphans:
        storage.remove(orphan)
    return len(orphans)


def _is_orphan(file: Stored, folder: Path, now: int, grace: timedelta) -> bool:
    """Whether a file that nothing names was left behind."""
    name = name_of(file.location)
    if name.startswith(".writer-"):
        return is_dead_lock(local_path(file.location)) and file.written < now - _micros(max(grace, _LEAST_GRACE))
    if name.endswith((".avro", ".json")):
        grace = max(grace, _LEAST_GRACE)
    return file.written < now - _micros(grace) and not is_living(folder, name)


def _micros(span: timedelta) -> int:
    return span // timedelta(microseconds=1)
