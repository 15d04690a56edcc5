"""Fewer, larger files with the same rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from penstock.lake.versioned import carried, iceberg, once
from penstock.lake.versioned.catalogue import Head
from penstock.lake.versioned.commits import Handle, newest
from penstock.lake.versioned.roles import KNOWN, Roles
from penstock.lake.versioned.scan import Scan, quoted
from penstock.lake.versioned.staged import Staged, write_staged
from penstock.lake.versioned.version import summary

if TYPE_CHECKING:
    from pyiceberg.manifest import ManifestEntry

    from penstock.lake.sql import Sql


def compact(handle: Handle, target_rows: int) -> bool:
    """Replace the newest version's small files by ones of up to ``target_rows`` rows; false if nothing was changed."""
    snapshot = newest(handle.refresh().metadata)
    held = handle.entries(snapshot)
    small = [entry for entry in held if entry.data_file.record_count * 2 <= target_rows]
    if snapshot is None or len(small) < 2 or _is_done(handle, small):
        return False
    rest = [entry for entry in held if entry.data_file.record_count * 2 > target_rows]
    roles = Roles.from_properties(handle.metadata.properties)
    columns = iceberg.columns_of(handle.metadata.schema())
    small_scan, rest_scan = (
        Scan(tuple(handle.local(snapshot, entry.data_file) for entry in part), columns, roles.key)
        for part in (small, rest)
    )
    with _sql(small_scan, rest_scan) as sql:
        if roles.key:
            single = _written(handle, sql, _by_key(roles.key, single=True), target_rows)
            double = _written(handle, sql, _by_key(roles.key, single=False), target_rows)
        else:
            single, double = _written(handle, sql, "SELECT * FROM small", target_rows), Staged((), 0)
    done = _put_in_place(handle, small, single, double, closed=not rest)
    if not done:
        for file in (*single.files, *double.files):
            handle.storage.remove(handle.storage.location(handle.metadata.location, file))
    return done


def _is_done(handle: Handle, small: Sequence[ManifestEntry]) -> bool:
    """Whether these are what one compaction left: rows of keys that occur once and of others stay apart."""
    together = len({entry.sequence_number for entry in small}) == 1
    return len(small) == 2 and together and len(set(handle.several(small))) == 2


def _sql(small: Scan, rest: Scan) -> Sql:
    from penstock.lake.sql import Sql

    return Sql({"small": small, "rest": rest}, rows="log")


def _by_key(key: Sequence[str], single: bool) -> str:
    """SQL for the rows whose key occurs once (or not) in the whole table, by key and then as they became known.

    NULL is no key that occurs once: it is equal to no other where files are asked for single keys.
    """
    named = ", ".join(map(quoted, key))
    absent = " OR ".join(f"{quoted(name)} IS NULL" for name in key)
    everywhere = f"SELECT {named} FROM small UNION ALL SELECT {named} FROM rest SEMI JOIN small USING ({named})"
    counted = f"SELECT {named}, count(*) = 1 AND NOT ({absent}) AS single FROM ({everywhere}) GROUP BY {named}"
    same = " AND ".join(f"s.{quoted(name)} IS NOT DISTINCT FROM c.{quoted(name)}" for name in key)
    order = f"ORDER BY {', '.join(f's.{quoted(name)}' for name in key)}, s.{KNOWN} NULLS FIRST"
    return f"SELECT s.* FROM small s JOIN ({counted}) c ON {same} WHERE {'' if single else 'NOT '}c.single {order}"


def _written(handle: Handle, sql: Sql, query: str, target_rows: int) -> Staged:
    schema = iceberg.writing_schema(handle.metadata.schema())
    folder = handle.storage.folder(handle.metadata.location)
    staged = write_staged(folder, schema, _in(schema, sql, query), target_rows)
    for file in staged.files:
        handle.storage.keep(handle.metadata.location, file)
    return staged


def _in(schema: pa.Schema, sql: Sql, query: str) -> Iterator[pa.RecordBatch]:
    with sql.batches(query) as reader:
        for batch in reader:
            if batch.num_rows:
                yield batch.cast(schema)


def _put_in_place(handle: Handle, small: Sequence[ManifestEntry], single: Staged, double: Staged, closed: bool) -> bool:
    """Commit the new files for the old ones, unless one of these is no longer in the table."""
    leaving = {entry.data_file.file_path for entry in small}
    schema_id, key_ids = handle.metadata.current_schema_id, handle.key_ids(handle.metadata)
    again = [file.name for file in double.files]
    told = summary("compact", "", {}) | ({carried.SEVERAL: once.said(key_ids, again, closed)} if key_ids else {})

    def step(head: Head) -> iceberg.Change | None:
        metadata = head.metadata
        there = [e.data_file for e in handle.entries(newest(metadata)) if e.data_file.file_path in leaving]
        if len(there) < len(leaving) or metadata.current_schema_id != schema_id:
            return None
        files = (*single.files, *double.files)
        table = metadata.location
        added = [iceberg.data_file(metadata, handle.storage.location(table, file), file) for file in files]
        return iceberg.committed(handle.catalogue.io, metadata, "replace", added, there, told, handle.now() // 1000)

    return handle.change(step)
