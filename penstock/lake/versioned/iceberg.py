"""Iceberg's metadata as a value: pure steps from one state of a table to the next."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from penstock.lake.versioned.scan import ScanColumn

if TYPE_CHECKING:
    from pyiceberg.io import FileIO
    from pyiceberg.manifest import DataFile
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import TableMetadataV2
    from pyiceberg.table.refs import SnapshotRef
    from pyiceberg.table.snapshots import Snapshot

MAIN = "main"


@dataclass(frozen=True)
class Change:
    """A table's next metadata, and the files written for it: to be deleted should somebody else come first."""

    metadata: TableMetadataV2
    files: tuple[str, ...] = ()


# ------------------------------------------------------------------------------------------------- columns


def columns_of(schema: Schema) -> tuple[ScanColumn, ...]:
    """The columns of an Iceberg schema with their field ids."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    arrow = schema_to_pyarrow(schema)
    return tuple(
        ScanColumn(field.field_id, field.name, _plain(arrow.field(at).type)) for at, field in enumerate(schema.fields)
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type without the large offsets that Iceberg's reader prefers."""
    if pa.types.is_large_string(kind):
        return pa.string()
    if pa.types.is_large_binary(kind):
        return pa.binary()
    if pa.types.is_large_list(kind) or pa.types.is_list(kind):
        return pa.list_(_plain(kind.value_type))
    return kind


def writing_schema(schema: Schema) -> pa.Schema:
    """The Arrow schema that data files are written with: its fields carry their ids."""
    from pyiceberg.io.pyarrow import schema_to_pyarrow

    return schema_to_pyarrow(schema)


# ------------------------------------------------------------------------------------------------- snapshots


def data_file(metadata: TableMetadataV2, location: str, local: Path) -> DataFile:
    """What manifests say of a Parquet file: rows, size, and the ranges of its columns."""
    import pyarrow.parquet as pq
    from pyiceberg.io.pyarrow import (
        compute_statistics_plan,
        data_file_statistics_from_parquet_metadata,
        parquet_path_to_id_mapping,
    )
    from pyiceberg.manifest import DataFile, DataFileContent, FileFormat
    from pyiceberg.typedef import Record

    logging.getLogger("pyiceberg.io.pyarrow").setLevel(logging.ERROR)  # it warns of columns without extremes: meant
    footer = pq.read_metadata(local)
    schema = _schema_of(metadata, footer.schema.to_arrow_schema())
    told = data_file_statistics_from_parquet_metadata(
        footer,
        compute_statistics_plan(schema, metadata.properties),
        parquet_path_to_id_mapping(schema),
    )
    return DataFile.from_args(
        content=DataFileContent.DATA,
        file_path=location,
        file_format=FileFormat.PARQUET,
        partition=Record(),
        file_size_in_bytes=local.stat().st_size,
        sort_order_id=None,
        spec_id=metadata.default_spec_id,
        equality_ids=None,
        key_metadata=None,
        **told.to_serialized_dict(),
    )


def _schema_of(metadata: TableMetadataV2, arrow: pa.Schema) -> Schema:
    """The schema that a file was written under: perhaps not the newest, if the table changed since it was staged."""
    ids = {field.name: int((field.metadata or {}).get(b"PARQUET:field_id", -1)) for field in arrow}
    for schema in reversed(metadata.schemas):
        if ids == {field.name: field.field_id for field in schema.fields}:
            return schema
    return metadata.schema()


def committed(
    io: FileIO,
    metadata: TableMetadataV2,
    operation: str,
    added: Sequence[DataFile],
    removed: Sequence[DataFile],
    summary: Mapping[str, str],
    instant: int,
) -> Change:
    """A new snapshot with files added and others removed, at an instant in milliseconds (later than the last one)."""
    from pyiceberg.table.snapshots import Operation, Snapshot, SnapshotLogEntry, Summary

    from penstock.lake.versioned import manifests

    number = metadata.new_snapshot_id()
    parent = metadata.snapshot_by_id(metadata.current_snapshot_id) if metadata.current_snapshot_id else None
    gone = frozenset(file.file_path for file in removed)
    written = manifests.written(io, metadata, number, added, gone)
    instant = max(instant, metadata.last_updated_ms + 1)
    told = {
        "snapshot-id": number,
        "parent-snapshot-id": metadata.current_snapshot_id,
        "sequence-number": metadata.last_sequence_number + 1,
        "timestamp-ms": instant,
        "manifest-list": written.manifest_list,
        "summary": Summary(Operation(operation), **_totals(parent, added, removed), **summary),
        "schema-id": metadata.current_schema_id,
    }
    logged = SnapshotLogEntry.model_validate({"snapshot-id": number, "timestamp-ms": instant})
    changes = {
        "last_sequence_number": metadata.last_sequence_number + 1,
        "last_updated_ms": instant,
        "current_snapshot_id": number,
        "snapshots": [*metadata.snapshots, Snapshot.model_validate(told)],
        "snapshot_log": [*metadata.snapshot_log, logged],
        "refs": {**metadata.refs, MAIN: _reference(number, "branch")},
    }
    return Change(metadata.model_copy(update=changes), written.files)


def _totals(parent: Snapshot | None, added: Sequence[DataFile], removed: Sequence[DataFile]) -> dict[str, str]:
    """The counts that Iceberg keeps with a snapshot."""
    before = parent.summary.additional_properties if parent is not None and parent.summary is not None else {}
    measures = {
        "data-files": (len(added), len(removed)),
        "records": (sum(f.record_count for f in added), sum(f.record_count for f in removed)),
        "files-size": (sum(f.file_size_in_bytes for f in added), sum(f.file_size_in_bytes for f in removed)),
    }
    told: dict[str, str] = {}
    for name, (more, fewer) in measures.items():
        told |= {f"added-{name}": str(more)} if more else {}
        told |= {("removed-" if name == "files-size" else "deleted-") + name: str(fewer)} if fewer else {}
        told[f"total-{name}"] = str(int(before.get(f"total-{name}", 0)) + more - fewer)
    return {**told, "total-delete-files": "0", "total-position-deletes": "0", "total-equality-deletes": "0"}


def _reference(snapshot_id: int, kind: str) -> SnapshotRef:
    from pyiceberg.table.refs import SnapshotRef

    return SnapshotRef.model_validate({"snapshot-id": snapshot_id, "type": kind})


# ------------------------------------------------------------------------------------------------- other steps


def tags(metadata: TableMetadataV2) -> dict[str, int]:
    """The tagged snapshots' ids by tag."""
    return {name: r.snapshot_id for name, r in metadata.refs.items() if str(r.snapshot_ref_type) == "tag"}


def tagged(metadata: TableMetadataV2, name: str, snapshot_id: int | None) -> Change:
    """With a tag; without it for None."""
    refs = {other: reference for other, reference in metadata.refs.items() if other != name}
    if snapshot_id is not None:
        refs[name] = _reference(snapshot_id, "tag")
    return Change(metadata.model_copy(update={"refs": refs}))


def with_properties(metadata: TableMetadataV2, properties: Mapping[str, str]) -> Change:
    """With table properties added or replaced."""
    return Change(metadata.model_copy(update={"properties": {**metadata.properties, **properties}}))


def as_of(metadata: TableMetadataV2, snapshot: Snapshot | None) -> TableMetadataV2:
    """As it was when a snapshot was the newest (None: before the first), with the properties of now."""
    number = 0 if snapshot is None else snapshot.sequence_number or 0
    schema = None if snapshot is None else snapshot.schema_id
    changes = {
        "snapshots": [s for s in metadata.snapshots if (s.sequence_number or 0) <= number],
        "current_snapshot_id": None if snapshot is None else snapshot.snapshot_id,
        "current_schema_id": metadata.current_schema_id if schema is None else schema,
    }
    return metadata.model_copy(update=changes)


def with_schema(metadata: TableMetadataV2, schema: Schema, last_id: int, properties: Mapping[str, str]) -> Change:
    """With another current schema; the ones before stay for the versions that were written under them."""
    number = max(known.schema_id for known in metadata.schemas) + 1
    named = schema.model_copy(update={"schema_id": number})
    changes = {
        "schemas": [*metadata.schemas, named],
        "current_schema_id": number,
        "last_column_id": max(last_id, metadata.last_column_id),
        "properties": {**metadata.properties, **properties},
    }
    return Change(metadata.model_copy(update=changes))


def without_snapshots(metadata: TableMetadataV2, gone: Iterable[int], properties: Mapping[str, str]) -> Change:
    """Without these snapshots."""
    leaving = frozenset(gone)
    log = metadata.snapshot_log
    last = max((at for at, entry in enumerate(log) if entry.snapshot_id in leaving), default=-1)
    changes = {
        "snapshots": [s for s in metadata.snapshots if s.snapshot_id not in leaving],
        "snapshot_log": log[last + 1 :],
        "properties": {**metadata.properties, **properties},
    }
    return Change(metadata.model_copy(update=changes))
