"""Which files a version has: Iceberg's manifests, in tiers, so that neither commits nor reads look at many."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Literal, TypeVar

from penstock.lake.versioned.remembered import Remembered
from penstock.lake.versioned.sealed import is_sealed, opened_sealed, sealed

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile, ManifestEntry, ManifestFile, ManifestWriter
    from pyiceberg.table.metadata import TableMetadataV2
    from pyiceberg.table.snapshots import Snapshot

T = TypeVar("T")
_TIER = 12
"""So many manifests of about one size become one of the next."""
_AVRO: Literal["deflate"] = "deflate"
_MANIFESTS = Remembered["tuple[ManifestEntry, ...]"](most=1_000)
_LISTS = Remembered["tuple[ManifestFile, ...]"](most=100)
_ORDERED = Remembered["tuple[ManifestEntry, ...]"](most=20)


@dataclass(frozen=True)
class Written:
    """The manifest list of a new snapshot, and all files that were written for it."""

    manifest_list: str
    files: tuple[str, ...]


def entries(io: FileIO, snapshot: Snapshot) -> tuple[ManifestEntry, ...]:
    """The data files of a snapshot, oldest first. Raises ``ValueError`` and ``FileNotFoundError`` like `sealed`."""

    def work() -> tuple[ManifestEntry, ...]:
        found = [entry for manifest in _listed(io, snapshot.manifest_list) for entry in _entries(io, manifest)]
        return tuple(sorted(found, key=lambda e: (e.sequence_number or 0, e.data_file.file_path)))

    return _remembered(_ORDERED, snapshot.manifest_list, work)


def manifest_locations(io: FileIO, snapshot: Snapshot) -> tuple[str, ...]:
    """The files that say which data files a snapshot has, its list first."""
    return snapshot.manifest_list, *(manifest.manifest_path for manifest in _listed(io, snapshot.manifest_list))


def _listed(io: FileIO, location: str) -> tuple[ManifestFile, ...]:
    from pyiceberg.manifest import read_manifest_list

    from penstock.lake.versioned.memory import MemoryInput

    def work() -> tuple[ManifestFile, ...]:
        content = opened_sealed(io, location)
        return _decoded(lambda: tuple(read_manifest_list(MemoryInput(location, content))))

    return _remembered(_LISTS, location, work)


def _entries(io: FileIO, manifest: ManifestFile) -> tuple[ManifestEntry, ...]:
    """The living entries of a manifest."""
    return _remembered(_MANIFESTS, manifest.manifest_path, lambda: _read(io, manifest))


def _remembered(memory: Remembered[T], location: str, work: Callable[[], T]) -> T:
    """What a file says; that of sealed ones is remembered, as they never change."""
    return memory.get(location, work) if is_sealed(location) else work()


def _read(io: FileIO, manifest: ManifestFile) -> tuple[ManifestEntry, ...]:
    from penstock.lake.versioned.memory import MemoryIO

    held = MemoryIO({manifest.manifest_path: opened_sealed(io, manifest.manifest_path)})
    return _decoded(lambda: tuple(manifest.fetch_manifest_entry(held)))


def _decoded(read: Callable[[], T]) -> T:
    """What Avro's decoder reads, its many errors as one."""
    import zlib

    try:
        return read()
    except (AssertionError, AttributeError, EOFError, IndexError, KeyError, TypeError, zlib.error) as error:
        raise ValueError(f"it is no manifest: {error}") from error


# ------------------------------------------------------------------------------------------------- writing


def written(
    io: FileIO, metadata: TableMetadataV2, snapshot_id: int, added: Sequence[DataFile], removed: frozenset[str]
) -> Written:
    """The manifests of the newest snapshot with files added and others (by location) removed."""
    parent = metadata.snapshot_by_id(metadata.current_snapshot_id) if metadata.current_snapshot_id else None
    kept = _listed(io, parent.manifest_list) if parent is not None else ()
    kept = tuple(m for m in kept if m.has_added_files() or m.has_existing_files())
    writing = _Writing(io, metadata, snapshot_id)
    manifests: list[ManifestFile] = (
        [writing.manifest(lambda w: [w.add_entry(_added(snapshot_id, file)) for file in added])] if added else []
    )
    if removed:
        kept, gone = _without(writing, kept, removed)
        manifests += gone
    manifests += kept
    location = writing.list(_tiered(writing, manifests))
    return Written(location, tuple(writing.files))


def _added(snapshot_id: int, file: DataFile) -> ManifestEntry:
    from pyiceberg.manifest import ManifestEntry, ManifestEntryStatus

    return ManifestEntry.from_args(
        status=ManifestEntryStatus.ADDED,
        snapshot_id=snapshot_id,
        sequence_number=None,
        file_sequence_number=None,
        data_file=file,
    )


def _without(
    writing: _Writing, manifests: Iterable[ManifestFile], removed: frozenset[str]
) -> tuple[tuple[ManifestFile, ...], list[ManifestFile]]:
    """The manifests without these files, and one that says that they were removed."""
    kept, gone = [], []
    for manifest in manifests:
        held = _entries(writing.io, manifest)
        leaving = [e for e in held if e.data_file.file_path in removed]
        staying = [e for e in held if e.data_file.file_path not in removed]
        gone += leaving
        if not leaving:
            kept.append(manifest)
        elif staying:
            kept.append(writing.existing(staying))
    if len(gone) != len(removed):
        raise LookupError("files to be removed are not in the table")
    return tuple(kept), [writing.manifest(lambda w: [w.delete(entry) for entry in gone])] if gone else []


def _tiered(writing: _Writing, manifests: Sequence[ManifestFile]) -> list[ManifestFile]:
    """Neighbours of about one size as one, once there are many; each file is rewritten once a tier."""
    result: list[ManifestFile] = []
    own = [m for m in manifests if m.added_snapshot_id == writing.snapshot_id]
    rest = [m for m in manifests if m.added_snapshot_id != writing.snapshot_id]
    for _, tier in groupby(sorted(rest, key=_tier), key=_tier):
        alike = list(tier)
        if len(alike) < _TIER:
            result += alike
        else:
            result.append(writing.existing([entry for manifest in alike for entry in _entries(writing.io, manifest)]))
    return own + result


def _tier(manifest: ManifestFile) -> int:
    files = (manifest.added_files_count or 0) + (manifest.existing_files_count or 0)
    tier = 0
    while files >= _TIER:
        files, tier = files // _TIER, tier + 1
    return tier


class _Writing:
    """The files that are written for one snapshot."""

    def __init__(self, io: FileIO, metadata: TableMetadataV2, snapshot_id: int) -> None:
        self.io, self.metadata, self.snapshot_id = io, metadata, snapshot_id
        self.files: list[str] = []

    def manifest(self, fill: Callable[[ManifestWriter], object]) -> ManifestFile:
        """A manifest with the entries that ``fill`` writes."""
        from pyiceberg.manifest import write_manifest

        from penstock.lake.versioned.memory import MemoryOutput

        output, metadata = MemoryOutput(), self.metadata
        with write_manifest(2, metadata.spec(), metadata.schema(), output, self.snapshot_id, _AVRO) as writer:
            fill(writer)
        output.location = self._kept(f"{self.snapshot_id}-{len(self.files)}-{{}}-m.avro", output.stream.content)
        return writer.to_manifest_file()

    def existing(self, held: Iterable[ManifestEntry]) -> ManifestFile:
        """A manifest of files that the table had before."""
        return self.manifest(lambda writer: [writer.existing(entry) for entry in held])

    def list(self, manifests: Sequence[ManifestFile]) -> str:
        """The list of a snapshot's manifests."""
        from pyiceberg.manifest import write_manifest_list

        from penstock.lake.versioned.memory import MemoryOutput

        output, number = MemoryOutput(), self.metadata.last_sequence_number + 1
        parent = self.metadata.current_snapshot_id
        with write_manifest_list(2, output, self.snapshot_id, parent, number, _AVRO) as writer:
            writer.add_manifests(list(manifests))
        return self._kept(f"snap-{self.snapshot_id}-{{}}.avro", output.stream.content)

    def _kept(self, name: str, content: bytes) -> str:
        self.files.append(sealed(self.io, f"{self.metadata.location}/metadata/{name}", content))
        return self.files[-1]
