"""What outlives a table's expired versions: batch names, the newest facts, and which files hold keys once.

A version says these of itself as long as it is kept; when it expires they move to the table's properties, in the
same commit.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import astuple
from typing import TYPE_CHECKING

from penstock.lake.versioned.remembered import Remembered
from penstock.lake.versioned.version import Version

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadataV2
    from pyiceberg.table.snapshots import Snapshot

BATCHES = 1_000
"""So many batch names of expired versions are known, the newest; those of kept versions all are."""
SEVERAL = "penstock.several"
_BATCHES, _FACTS, _SEVERAL = "penstock.batches", "penstock.facts", "penstock.several-of"
_VERSIONS = Remembered[Version](most=20_000)


def version_of(snapshot: Snapshot) -> Version:
    """The version that a snapshot is."""
    return _VERSIONS.get((snapshot.snapshot_id, snapshot.manifest_list), lambda: Version.of(snapshot))


def versions(metadata: TableMetadataV2) -> tuple[Version, ...]:
    """The versions that are kept, oldest first."""
    return tuple(sorted(map(version_of, metadata.snapshots), key=lambda v: v.number))


def committed(metadata: TableMetadataV2, batch: str) -> Version | None:
    """The version that a batch was committed as: kept, or one of the last that expired."""
    if not batch:
        return None
    for snapshot in reversed(metadata.snapshots):
        version = version_of(snapshot)
        if version.batch == batch:
            return version
    for told in reversed(json.loads(metadata.properties.get(_BATCHES, "[]"))):
        if told[5] == batch:
            return Version(*told)
    return None


def batches(metadata: TableMetadataV2) -> dict[int, str]:
    """The batch names of versions that have one, by number: of those that are kept, and of the last that expired."""
    told = [(of[0], of[5]) for of in json.loads(metadata.properties.get(_BATCHES, "[]"))]
    return dict([*told, *((version.number, version.batch) for version in versions(metadata) if version.batch)])


def facts(metadata: TableMetadataV2) -> dict[str, str]:
    """The newest value of every fact that any commit noted."""
    return {name: value for name, (_, value) in sorted(_newest(metadata, versions(metadata)).items())}


def _newest(metadata: TableMetadataV2, told: Sequence[Version]) -> dict[str, tuple[int, str]]:
    """The newest value of every fact, with its version's number, out of what was carried and these versions."""
    known = {
        name: (number, value) for name, (number, value) in json.loads(metadata.properties.get(_FACTS, "{}")).items()
    }
    for version in told:
        for name, value in version.facts.items():
            if known.get(name, (0, ""))[0] < version.number:
                known[name] = version.number, value
    return known


def several(metadata: TableMetadataV2) -> dict[int, str]:
    """By version number, what a commit said of the files that it added: see `penstock.lake.versioned.once`."""
    known = {int(number): said for number, said in json.loads(metadata.properties.get(_SEVERAL, "{}")).items()}
    for snapshot in metadata.snapshots:
        said = None if snapshot.summary is None else snapshot.summary.additional_properties.get(SEVERAL)
        if said is not None:
            known[snapshot.sequence_number or 0] = said
    return known


def carried(metadata: TableMetadataV2, leaving: Sequence[Snapshot], living: Collection[int]) -> Mapping[str, str]:
    """The properties that keep what leaving snapshots say; ``living``: the numbers that kept files were added with."""
    gone = sorted(map(version_of, leaving), key=lambda v: v.number)
    batches = json.loads(metadata.properties.get(_BATCHES, "[]"))
    batches += [(*astuple(v)[:6], {}, v.snapshot) for v in gone if v.batch]
    flags = {str(number): said for number, said in several(metadata).items() if number in living}
    return {
        _BATCHES: json.dumps(batches[-BATCHES:]),
        _FACTS: json.dumps(_newest(metadata, gone)),
        _SEVERAL: json.dumps(flags),
    }
