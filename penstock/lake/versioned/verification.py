"""Reading everything once to say what is whole and what is not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pyarrow as pa

from penstock.lake.versioned.commits import Handle
from penstock.lake.versioned.damage import Damage, what_is_wrong
from penstock.lake.versioned.manifests import entries, manifest_locations
from penstock.lake.versioned.sealed import opened_sealed

if TYPE_CHECKING:
    from pyiceberg.manifest import DataFile
    from pyiceberg.table.snapshots import Snapshot


def verified(handle: Handle) -> tuple[Damage, ...]:
    """Every file of every kept version that is torn, changed or missing, with the oldest version that needs it."""
    return tuple(_damages(handle))


def _damages(handle: Handle) -> Iterator[Damage]:
    seen: set[str] = set()
    for snapshot in sorted(handle.metadata.snapshots, key=lambda s: s.sequence_number or 0):
        number = snapshot.sequence_number or 0
        for location, reason in _of_lists(handle, snapshot, seen):
            yield Damage(handle.name, location, number, reason)
        try:
            files = [entry.data_file for entry in entries(handle.catalogue.io, snapshot)]
        except (FileNotFoundError, ValueError):
            continue  # its list was named above
        for file in files:
            if file.file_path not in seen:
                seen.add(file.file_path)
                wrong = _of_file(handle, file)
                if wrong is not None:
                    yield Damage(handle.name, file.file_path, number, wrong)


def _of_lists(handle: Handle, snapshot: Snapshot, seen: set[str]) -> Iterator[tuple[str, str]]:
    """What is wrong with the files that list a snapshot's data files."""
    location = snapshot.manifest_list
    try:
        for location in manifest_locations(handle.catalogue.io, snapshot):
            if location not in seen:
                seen.add(location)
                opened_sealed(handle.catalogue.io, location)
    except FileNotFoundError:
        yield location, "it is missing"
    except ValueError as error:
        yield location, str(error)


def _of_file(handle: Handle, file: DataFile) -> str | None:
    import pyarrow.parquet as pq

    handle.storage.forget(handle.metadata.location, file.file_path)
    try:
        path = handle.storage.local(handle.metadata.location, file.file_path, file.file_size_in_bytes)
        wrong = what_is_wrong(path, again=True)
        rows = pq.read_metadata(path).num_rows if wrong is None else file.record_count
    except FileNotFoundError:
        return "it is missing"
    except (ValueError, pa.ArrowInvalid) as error:
        return str(error)
    return wrong if rows == file.record_count else f"its footer says {rows} rows, not {file.record_count}"
