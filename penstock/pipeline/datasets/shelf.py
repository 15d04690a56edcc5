"""The snapshots of a project: small files beside it, and tags that keep their versions from expiring."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from penstock.errors import RequestError
from penstock.lake.kept import shown_tables
from penstock.lake.versioned import Lake, VersionedTable
from penstock.pipeline.datasets.dataset import Dataset, Pinned

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_TAG = "snapshot-"


@dataclass(frozen=True)
class Datasets:
    """Snapshots kept in ``folder``, of tables in ``lake``."""

    folder: Path
    lake: Lake

    def pin(self, name: str, *, made: int, queries: Mapping[str, str], settings: Mapping[str, object]) -> Dataset:
        """Pin every table at its newest version. The same name again is refused unless nothing has changed.

        So is ``now``, which means the newest versions wherever a snapshot is named.
        """
        if name == "now":
            message = "a snapshot cannot be called 'now', which means the newest versions"
            raise RequestError("DATASET_NAME", message, name=name, hint="Choose another name.")
        path = self._path(name)
        newest = shown_tables(self.lake)
        tables = {name: pinned(table) for name, table in newest.items() if table.newest() is not None}
        if not tables:
            raise RequestError("DATASET_EMPTY", "the lake holds no tables to pin", hint="Run: penstock run ingest")
        dataset = Dataset(name, made, tables, dict(queries), dict(settings))
        if path.exists():
            return self._same(dataset)
        for table, one in tables.items():
            newest[table].tag(_TAG + name, one.version)
        _write(path, json.dumps(dataset.to_dict(), indent=2) + "\n")
        return dataset

    def _same(self, dataset: Dataset) -> Dataset:
        there = self.named(dataset.name)
        if there.hash != dataset.hash:
            message = f"there is a snapshot {dataset.name!r} of other data"
            raise RequestError("DATASET_EXISTS", message, hint="Choose another name, or drop that one first.")
        return there

    def named(self, name: str) -> Dataset:
        """The snapshot called so. Raises ``RequestError`` with the ones that exist."""
        path = self._path(name)
        if not path.exists():
            message = f"there is no snapshot {name!r}"
            raise RequestError("DATASET_UNKNOWN", message, name=name, candidates=self.names())
        try:
            return Dataset.from_dict(json.loads(path.read_text(encoding="utf-8")))
        except (KeyError, TypeError, ValueError) as error:
            hint = "Bring the file back from version control."
            raise RequestError("DATASET_DAMAGED", f"{path.name} is damaged: {error}", hint=hint) from error

    def names(self) -> tuple[str, ...]:
        """The snapshots' names, in order."""
        return tuple(sorted(path.stem for path in self.folder.glob("*.json")))

    def drop(self, name: str) -> None:
        """Forget a snapshot; its versions may expire from now on."""
        for table in self.named(name).tables:
            if table in self.lake:
                opened = self.lake.table(table)
                if _TAG + name in opened.tags():
                    opened.untag(_TAG + name)
        self._path(name).unlink()

    def _path(self, name: str) -> Path:
        if _NAME.fullmatch(name) is None:
            hint = "Use letters, digits, '-', '_' and '.'."
            raise RequestError("DATASET_NAME", f"{name!r} cannot name a snapshot", hint=hint)
        return self.folder / f"{name}.json"


def pinned(table: VersionedTable, version: int | None = None) -> Pinned:
    """A table's version with the hash of what it holds: its files, which are named after their content, and columns."""
    found = table.version(version)
    scan = table.scan(found.number)
    told = [file.name for file in scan.files] + [f"{c.field_id} {c.name} {c.arrow}" for c in scan.columns]
    return Pinned(found.number, found.rows, blake2b("\n".join(told).encode(), digest_size=16).hexdigest())


def _write(path: Path, text: str) -> None:
    """Write beside the place and rename, so that a reader sees a whole file or none."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".draft")
    draft.write_text(text, encoding="utf-8")
    draft.replace(path)
