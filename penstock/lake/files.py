"""A folder of CSV, Parquet and JSON-lines files, or one such file: each file, or folder of parts, is a table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.errors import SourceError
from penstock.lake.delimited import Dialect, check_distinct, read_csv, sniff, tidy_names
from penstock.lake.jsonlines import read_jsonl
from penstock.lake.source import RawColumn, RawTable, file_state, unknown_table

FORMATS = {
    ".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".ndjson": "json",
}  # fmt: skip
"""What each ending of a file's name means; ``.gz``, ``.bz2``, ``.zst`` and ``.lz4`` may follow those of texts."""
_T = TypeVar("_T")
_PACKED = {".gz", ".bz2", ".zst", ".lz4"}


@dataclass(frozen=True)
class FileTable:
    """A table in files: its name, format and parts in order."""

    name: str
    format: str
    parts: tuple[Path, ...]


@dataclass(frozen=True)
class FileSource:
    """Tables in files below ``path``, or the one table that the file at ``path`` holds."""

    path: Path

    @property
    def name(self) -> str:
        """The path."""
        return str(self.path)

    @cached_property
    def found(self) -> dict[str, FileTable]:
        """The tables by name. Raises ``SourceError`` where there are none, or two with one name."""
        paths = [self.path] if self.path.is_file() else sorted(self.path.iterdir())
        tables: dict[str, FileTable] = {}
        for table in filter(None, map(_table_at, paths)):
            if table.name in tables:
                both = f"{tables[table.name].parts[0].name} and {table.parts[0].name}"
                raise SourceError("SOURCE_REPEATED_TABLE", f"{both} would both be the table {table.name!r}")
            tables[table.name] = table
        if not tables:
            raise _nothing_in(self.path)
        return tables

    @cached_property
    def _dialects(self) -> dict[Path, Dialect]:
        return {part: sniff(part) for table in self.found.values() if table.format == "csv" for part in table.parts}

    @property
    def notes(self) -> tuple[str, ...]:
        """What was odd about the files."""
        odd = [dialect.note for dialect in self._dialects.values() if dialect.note]
        folders = [path for path in self.path.iterdir() if _of_several_formats(path)] if self.path.is_dir() else []
        return (*odd, *(f"the folder {path.name} holds files of several formats: passed over" for path in folders))

    @cached_property
    def _declared(self) -> dict[str, RawTable]:
        return {name: self._declare(table) for name, table in self.found.items()}

    def tables(self) -> Mapping[str, RawTable]:
        """The tables by name."""
        return self._declared

    def _declare(self, table: FileTable) -> RawTable:
        if table.format == "parquet":
            return _declared_parquet(table)
        if table.format == "csv":
            names = tidy_names(self._dialects[table.parts[0]].names)
            return RawTable(table.name, tuple(RawColumn(name, "text", textual=True) for name in names))
        whole = self._json(table)
        check_distinct(table.parts[0].name, whole.column_names)
        return RawTable(table.name, tuple(RawColumn(f.name, str(f.type), True, f.type) for f in whole.schema))

    def _json(self, table: FileTable) -> pa.Table:
        return _joined(table, [read_jsonl(part) for part in table.parts])

    @cached_property
    def _opened_at(self) -> str:
        return self._stat()

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows: as typed in Parquet and JSON-lines, as text in CSV."""
        if table not in self.found:
            raise unknown_table(self.name, table, self.tables())
        found = self.found[table]
        self.fingerprint()
        if found.format == "parquet":
            return _joined(found, [_read_parquet(part, columns) for part in found.parts])
        if found.format == "csv":
            return _joined(found, [read_csv(part, self._dialects[part]) for part in found.parts]).select(list(columns))
        return self._json(found).select(list(columns))

    def fingerprint(self) -> str:
        """From the files' names, sizes and times. Raises ``SourceError`` once they are not those first opened."""
        if self._opened_at != self._stat():
            raise SourceError("SOURCE_CHANGED", f"{self.name} changed while it was being read", hint="Connect again.")
        return self._opened_at

    def _stat(self) -> str:
        parts = [part for table in self.found.values() for part in table.parts]
        return file_state(*parts)


def format_of(path: Path) -> str | None:
    """The format that a file's name stands for.

    >>> format_of(Path("orders.csv.gz")), format_of(Path("notes.txt"))
    ('csv', None)
    """
    endings = [ending.lower() for ending in path.suffixes]
    if endings and endings[-1] in _PACKED:
        endings.pop()
    return FORMATS.get(endings[-1]) if endings else None


def _parts_in(folder: Path) -> tuple[Path, ...]:
    found = (p for p in folder.rglob("*") if p.is_file() and format_of(p) and not p.name.startswith((".", "_")))
    return tuple(sorted(found))


def _of_several_formats(path: Path) -> bool:
    hidden = path.name.startswith((".", "_")) or not path.is_dir()
    return not hidden and len({format_of(part) for part in _parts_in(path)}) > 1


def _table_at(path: Path) -> FileTable | None:
    if path.name.startswith((".", "_")):
        return None
    if path.is_dir():
        parts = _parts_in(path)
        formats = {format_of(part) for part in parts}
        return FileTable(path.name, formats.pop() or "", parts) if len(formats) == 1 else None
    found = format_of(path)
    return FileTable(_stem(path), found, (path,)) if found else None


def _stem(path: Path) -> str:
    name = path.name
    while Path(name).suffix.lower() in FORMATS or Path(name).suffix.lower() in _PACKED:
        name = name[: -len(Path(name).suffix)]
    return name


def _nothing_in(path: Path) -> SourceError:
    kinds = ", ".join(f"*{ending}" for ending in FORMATS)
    if path.is_file():
        return SourceError("SOURCE_FORMAT", f"{path.name} is no file that can be read as a table", candidates=FORMATS)
    hint = f"A table is a file {kinds}; a project has a penstock.toml."
    return SourceError("SOURCE_EMPTY", f"the folder {path} holds no tables", hint=hint)


def _declared_parquet(table: FileTable) -> RawTable:
    first = _guarded(table.parts[0], lambda: pq.ParquetFile(table.parts[0]).schema_arrow)
    check_distinct(table.parts[0].name, first.names)
    rows = sum(map(_count_parquet, table.parts))
    columns = tuple(RawColumn(f.name, str(f.type), f.nullable, f.type) for f in first)
    return RawTable(table.name, columns, rows=rows, prunes=True)


def _count_parquet(part: Path) -> int:
    return int(_guarded(part, lambda: pq.ParquetFile(part).metadata.num_rows))


def _read_parquet(part: Path, columns: Sequence[str]) -> pa.Table:
    found: pa.Table = _guarded(part, lambda: pq.ParquetFile(part, memory_map=True).read(list(columns)))
    return found


def _guarded(part: Path, read: Callable[[], _T]) -> _T:
    try:
        return read()
    except (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError) as error:
        raise SourceError("SOURCE_UNREADABLE", f"{part.name} cannot be read as Parquet: {error}") from error


def _joined(table: FileTable, parts: list[pa.Table]) -> pa.Table:
    if len(parts) == 1:
        return parts[0]
    try:
        return pa.concat_tables(parts, promote_options="permissive")
    except pa.ArrowException as error:
        raise SourceError("SOURCE_UNREADABLE", f"the parts of {table.name} do not fit together: {error}") from error
