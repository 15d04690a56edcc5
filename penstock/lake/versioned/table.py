"""One versioned table: its versions, its rows at any of them, and new rows committed to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from penstock.errors import RequestError, SourceError
from penstock.lake.versioned import carried, iceberg
from penstock.lake.versioned.appending import StagedFiles, is_committed, must_be_at
from penstock.lake.versioned.catalogue import Head
from penstock.lake.versioned.commits import Handle, newest
from penstock.lake.versioned.compaction import compact
from penstock.lake.versioned.differences import Differences, differences
from penstock.lake.versioned.evolution import Turn, evolved, renamed_roles
from penstock.lake.versioned.roles import ROLES, Roles
from penstock.lake.versioned.scan import Scan, ScanColumn
from penstock.lake.versioned.staged import ROWS_A_FILE, Staged, write_staged
from penstock.lake.versioned.version import Version, named, summary

if TYPE_CHECKING:
    from pyiceberg.table.metadata import TableMetadataV2
    from pyiceberg.table.snapshots import Snapshot


@dataclass(frozen=True)
class VersionedTable:
    """A lake table. Reads see the version that was newest when it was loaded; `refresh` sees what came since."""

    name: str
    _handle: Handle = field(repr=False)

    @property
    def roles(self) -> Roles:
        """Its key, event time, links and origin."""
        return Roles.from_properties(self._metadata.properties)

    @property
    def schema(self) -> pa.Schema:
        """Its columns now, the lake's own two included."""
        return pa.schema([(column.name, column.arrow) for column in self._handle.head.columns])

    @property
    def identity(self) -> str:
        """What tells the table and its key from all others, whatever they and their columns are called."""
        told = (str(self._metadata.table_uuid), *map(str, self._handle.key_ids(self._metadata)))
        return " ".join(told)

    def refresh(self) -> VersionedTable:
        """The table with what was committed since."""
        self._handle.refresh()
        return self

    @property
    def _metadata(self) -> TableMetadataV2:
        return self._handle.metadata

    # ------------------------------------------------------------ versions

    def versions(self) -> tuple[Version, ...]:
        """The versions that are kept, oldest first."""
        return carried.versions(self._metadata)

    def newest(self) -> Version | None:
        """The newest version; None before the first commit."""
        snapshot = newest(self._metadata)
        return None if snapshot is None else carried.version_of(snapshot)

    def version(self, which: int | str | datetime | None = None) -> Version:
        """A version by its number, a tag, or an instant (the newest one committed by then); None: the newest.

        Raises ``SourceError`` (``LAKE_UNKNOWN_VERSION``) with what there is.
        """
        if which is None:
            found = self.newest()
            if found is None:
                raise SourceError("LAKE_UNKNOWN_VERSION", f"{self.name} has no version yet", hint="Commit rows first.")
            return found
        return named(self.name, which, self.versions(), self.tags())

    def at(self, number: int) -> VersionedTable:
        """The table as it was at a version (0: before the first), to be read: with the columns that it had then.

        Its roles are those that a fact (`ROLES`) of its versions up to that one says, or else those of now. Raises
        ``SourceError`` (``LAKE_UNKNOWN_VERSION``) for a version that is not kept.
        """
        bare = iceberg.as_of(self._metadata, self._snapshot(self.version(number)) if number else None)
        said = {name: value for name, value in carried.facts(bare).items() if name == ROLES}
        metadata = iceberg.with_properties(bare, said).metadata
        return VersionedTable(self.name, replace(self._handle, head=Head(metadata, self._handle.head.location)))

    def committed(self, batch: str) -> Version | None:
        """The version that a batch was committed as, if it was.

        Names of expired versions' batches are known for the last `carried.BATCHES` of them.
        """
        return carried.committed(self._metadata, batch)

    def facts(self) -> Mapping[str, str]:
        """The newest value of every fact that any commit noted, those of expired versions included."""
        return carried.facts(self._metadata)

    def tags(self) -> dict[str, int]:
        """The tags, each with its version's number."""
        return _tags(self._metadata)

    def tag(self, name: str, version: int | str | datetime | None = None, *, replace: bool = False) -> None:
        """Name a version (default: the newest); it is kept as long as the tag is.

        Raises ``RequestError`` (``LAKE_TAG_TAKEN``) for a name that another version has, unless ``replace``.
        """
        if name == iceberg.MAIN or name.isdecimal() or not name.strip():
            raise RequestError("LAKE_BAD_TAG", f"{name!r} cannot be a tag", name=name, hint="Choose a word.")
        self.refresh()
        chosen = self.version(version)

        def step(head: Head) -> iceberg.Change | None:
            there = _tags(head.metadata).get(name, chosen.number)
            if there != chosen.number and not replace:
                message = f"{self.name} has a tag {name!r} on version {there}"
                hint = "Choose another name, or say that it is to be replaced."
                raise RequestError("LAKE_TAG_TAKEN", message, name=name, hint=hint)
            named(self.name, chosen.number, carried.versions(head.metadata), {})
            return iceberg.tagged(head.metadata, name, chosen.snapshot)

        self._handle.change(step)

    def untag(self, name: str) -> None:
        """Take a tag away. Raises ``SourceError`` (``LAKE_UNKNOWN_TAG``) with the ones that exist."""

        def step(head: Head) -> iceberg.Change:
            if name not in _tags(head.metadata):
                message = f"{self.name} has no tag {name!r}"
                raise SourceError("LAKE_UNKNOWN_TAG", message, name=name, candidates=_tags(head.metadata))
            return iceberg.tagged(head.metadata, name, None)

        self._handle.change(step)

    def diff(self, a: int | str | datetime | None, b: int | str | datetime | None = None) -> Differences:
        """What is true at version ``b`` (None: the newest) and was not at ``a``, and the other way round."""
        return differences(self.scan(self.version(a).number), self.scan(self.version(b).number))

    # ------------------------------------------------------------ rows

    def scan(self, version: int | str | datetime | None = None, beside: Staged | None = None) -> Scan:
        """The rows of a version (default: the newest), with staged rows as if they were committed.

        A version named by number, tag or instant has the columns that it had then; the newest those of now. Raises
        ``SourceError``: ``LAKE_UNKNOWN_VERSION``; ``LAKE_DAMAGED`` for a file that is missing or has another size.
        """
        handle, metadata = self._handle, self._metadata
        snapshot = newest(metadata) if version is None else self._snapshot(self.version(version))
        schema = metadata.schema()
        if version is not None and snapshot is not None and snapshot.schema_id is not None:
            schema = metadata.schema_by_id(snapshot.schema_id) or schema
        columns = iceberg.columns_of(schema)
        names = {column.field_id: column.name for column in columns}
        key = tuple(names[number] for number in handle.key_ids(metadata) if number in names)
        whole_key = key if len(key) == len(self.roles.key) else ()
        if beside is not None and beside.replaces:
            snapshot = None
        scan = Scan((), columns, whole_key) if snapshot is None else self._scanned(snapshot, columns, whole_key)
        return scan if beside is None else scan.with_files(beside.files)

    def added(self, versions: Sequence[int]) -> Scan:
        """The row versions that these versions added, in the columns of now.

        Raises ``SourceError`` (``LAKE_UNKNOWN_VERSION``) for a version that is not kept.
        """
        handle, chosen = self._handle, [self._snapshot(self.version(number)) for number in versions]
        files = [
            handle.local(snapshot, entry.data_file)
            for snapshot in chosen
            for entry in handle.entries(snapshot)
            if entry.sequence_number == snapshot.sequence_number
        ]
        return Scan(tuple(files), iceberg.columns_of(self._metadata.schema()))

    def brought(self, batch: str) -> Scan:
        """The row versions that batches brought whose names begin so, and those of which nobody knows any more.

        These are the ones that were compacted since, or whose version expired long ago.
        """
        snapshot, known = newest(self._metadata), carried.batches(self._metadata)
        files = [
            self._handle.local(snapshot, entry.data_file)
            for entry in self._handle.entries(snapshot)
            if snapshot is not None and known.get(entry.sequence_number or 0, batch).startswith(batch)
        ]
        return Scan(tuple(files), iceberg.columns_of(self._metadata.schema()))

    def _scanned(self, snapshot: Snapshot, columns: tuple[ScanColumn, ...], key: tuple[str, ...]) -> Scan:
        held = self._handle.entries(snapshot)
        paths = [self._handle.local(snapshot, entry.data_file) for entry in held]
        again = self._handle.several(held) if key else [False] * len(held)
        locations = {path: entry.data_file.file_path for path, entry in zip(paths, held, strict=True)}

        def explain(path: Path, reason: str) -> SourceError:
            return self._handle.explain(snapshot, locations.get(path, str(path)), reason)

        several = tuple(path for path, is_so in zip(paths, again, strict=True) if is_so)
        later = 0 < len(several) < len(paths) and self._handle.is_later(held, again)
        return Scan(tuple(paths), columns, key, several, later, explain)

    def _snapshot(self, version: Version) -> Snapshot:
        return next(s for s in self._metadata.snapshots if s.snapshot_id == version.snapshot)

    # ------------------------------------------------------------ commits

    def stage(self, batches: Iterable[pa.RecordBatch]) -> Staged:
        """Write rows (in `schema`'s columns and types, ``_known`` and ``_deleted`` included) that no version shows."""
        schema, storage = iceberg.writing_schema(self._metadata.schema()), self._handle.storage
        table = self._metadata.location
        staged = write_staged(storage.folder(table), schema, (batch.cast(schema) for batch in batches))
        for file in staged.files:
            storage.keep(table, file)
        return staged

    def commit(
        self,
        staged: Staged,
        *,
        batch: str,
        facts: Mapping[str, str] | None = None,
        after: int | None = None,
        fresh: bool = False,
        turn: Turn | None = None,
    ) -> Version:
        """Make staged rows a new version; a batch that was committed before changes nothing and gives its version.

        With ``after``, the table must still hold what it held at that version (0: nothing yet), else ``SourceError``
        (``LAKE_CONFLICT``): somebody else committed, and what was staged may rest on what is no longer so. Files that
        were compacted since are no conflict. ``fresh`` is the writer's word that every key in these rows is new to
        the table, occurs once and is not NULL: then reading need not look for newer versions of them. Without it the
        table finds out where that is cheap. ``turn`` changes columns and roles with it. Raises ``SourceError``
        (``LAKE_DAMAGED``) for staged files that are not what was written.
        """
        return self._commit("append", staged, summary("append", batch, facts or {}), batch, after, fresh, turn)

    def replace(
        self,
        staged: Staged,
        *,
        batch: str,
        facts: Mapping[str, str] | None = None,
        after: int | None = None,
        fresh: bool = False,
        turn: Turn | None = None,
    ) -> Version:
        """Make staged rows a new version that has no others; all else as in `commit`."""
        return self._commit("replace", staged, summary("replace", batch, facts or {}), batch, after, fresh, turn)

    def _commit(
        self, kind: str, staged: Staged, told: dict[str, str], batch: str, after: int | None, fresh: bool,
        turn: Turn | None,
    ) -> Version:  # fmt: skip
        handle = self._handle
        whole = StagedFiles(handle, staged, fresh)

        def step(head: Head) -> iceberg.Change | None:
            metadata = head.metadata
            if carried.committed(metadata, batch) is not None:
                return None
            must_be_at(self.name, metadata, after)
            metadata = metadata if turn is None else turn.applied(metadata)
            parent = None if kind == "replace" else newest(metadata)
            added = whole.data_files(metadata)
            old = [e.data_file for e in handle.entries(newest(metadata))] if kind == "replace" else []
            said = whole.said(metadata, added, parent)
            operation = "overwrite" if old else "append"
            change = iceberg.committed(
                handle.catalogue.io, metadata, operation, added, old, {**told, **said.facts}, handle.now() // 1000
            )
            said.remember(change.metadata.snapshots[-1])
            return change

        if handle.change(step):
            whole.are_committed()
            return self.version()
        before = self.committed(batch)
        assert before is not None
        self._discard(staged, before)
        return before

    def discard(self, staged: Staged) -> None:
        """Throw staged rows away; what was committed meanwhile stays."""
        self.refresh()
        self._discard(staged, self.newest())

    def _discard(self, staged: Staged, version: Version | None) -> None:
        """Delete staged files but those that a version has: a commit may have arrived whose answer did not."""
        storage, table = self._handle.storage, self._metadata.location
        kept = (s for s in self._metadata.snapshots if version is not None and s.snapshot_id == version.snapshot)
        needed = {entry.data_file.file_path for s in kept for entry in self._handle.entries(s)}
        for location in (storage.location(table, file) for file in staged.files if not is_committed(file)):
            if location not in needed:
                storage.remove(location)

    def compact(self, target_rows: int = ROWS_A_FILE) -> Version | None:
        """Make files of up to ``target_rows`` rows out of smaller ones: the same rows in fewer files, by key.

        Rows of keys that occur once come first, so that reading asks only the rest for newer versions. Gives the
        version that has the new files; None when there was nothing to do, or other writers replaced the small files
        meanwhile: then nothing was committed. Memory is bounded; the files' rows are sorted on disk where they must be.
        """
        return self.version() if compact(self._handle, target_rows) else None

    # ------------------------------------------------------------ columns and roles

    def evolve(
        self,
        add: Mapping[str, pa.DataType] | None = None,
        widen: Mapping[str, pa.DataType] | None = None,
        drop: Sequence[str] = (),
        rename: Mapping[str, str] | None = None,
    ) -> VersionedTable:
        """Change the columns. Old rows read under the new ones by field id; old versions keep their own names.

        ``widen``, ``drop`` and ``rename`` name columns as they are called before. Added columns are NULL in old rows.
        Key, event time and links follow a rename. Raises ``SchemaError`` for columns that do not exist or exist
        already, types that are no wider, and a key that would be dropped.
        """

        def step(head: Head) -> iceberg.Change:
            metadata = head.metadata
            schema, last = evolved(
                metadata.schema(), metadata.last_column_id, add or {}, widen or {}, drop, rename or {}
            )
            roles = renamed_roles(Roles.from_properties(metadata.properties), drop, rename or {})
            return iceberg.with_schema(metadata, schema, last, roles.to_properties())

        self._handle.change(step)
        return self

    def take(self, turn: Turn) -> VersionedTable:
        """Change columns and roles at once, without rows."""
        self._handle.change(lambda head: iceberg.Change(turn.applied(head.metadata)))
        return self

    def say(self, roles: Roles) -> VersionedTable:
        """Give the table other roles. Raises ``SourceError`` (``LAKE_UNKNOWN_COLUMN``) for columns it does not have."""

        def step(head: Head) -> iceberg.Change:
            roles.must_fit(self.name, [column.name for column in head.metadata.schema().fields])
            return iceberg.with_properties(head.metadata, roles.to_properties())

        self._handle.change(step)
        return self


def _tags(metadata: TableMetadataV2) -> dict[str, int]:
    numbers = {s.snapshot_id: s.sequence_number or 0 for s in metadata.snapshots}
    return {name: numbers[snapshot] for name, snapshot in sorted(iceberg.tags(metadata).items())}
