"""Tables in memory: Arrow, pandas, Polars, or whatever gives an Arrow stream."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from importlib.abc import MetaPathFinder
from typing import Any

import pyarrow as pa

from penstock.errors import SourceError
from penstock.lake.source import RawColumn, RawTable, unknown_table


@dataclass(frozen=True)
class FrameSource:
    """A mapping of names to tables; the frames themselves are never changed."""

    frames: Mapping[str, object]
    name: str = "tables in memory"
    notes: tuple[str, ...] = ()

    @cached_property
    def _arrow(self) -> dict[str, pa.Table]:
        if not self.frames:
            raise SourceError("SOURCE_EMPTY", "there are no tables: the mapping is empty")
        return {str(name): to_arrow(frame, str(name)) for name, frame in self.frames.items()}

    def tables(self) -> Mapping[str, RawTable]:
        """The tables by name."""
        return {name: _declared(name, table) for name, table in self._arrow.items()}

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows, as they are."""
        if table not in self._arrow:
            raise unknown_table(self.name, table, self.tables())
        return self._arrow[table].select(list(columns))

    def fingerprint(self) -> str:
        """A hash of all that the tables hold."""
        return content_hashes(self._arrow)


def content_hashes(tables: Mapping[str, pa.Table]) -> str:
    """A hash of all tables, whatever their order."""
    told = [f"{name} {content_hash(table)}" for name, table in sorted(tables.items())]
    return hashlib.blake2b("\n".join(told).encode(), digest_size=16).hexdigest()


def content_hash(table: pa.Table) -> str:
    """A hash of a table's names, types and values, however it is cut into chunks."""
    digest = hashlib.blake2b(digest_size=16)
    sink = pa.BufferOutputStream()
    bare = table.replace_schema_metadata().combine_chunks()
    with pa.ipc.new_stream(sink, bare.schema) as writer:
        writer.write_table(bare)
    digest.update(sink.getvalue())
    return digest.hexdigest()


class _Absent(MetaPathFinder):
    def find_spec(self, fullname: str, *_: object) -> None:
        if fullname == "pandas":
            raise ModuleNotFoundError("not yet")


def spare_pandas() -> None:
    """Keep pyarrow from loading pandas (half a second) before somebody asks for a pandas frame.

    For a process in which only Penstock runs: pyarrow looks for pandas once, when it first meets a Python object, to
    know pandas objects from others. Here it looks while there is none.
    """
    if "pandas" not in sys.modules:
        absent = _Absent()
        sys.meta_path.insert(0, absent)
        try:
            pa.array([])
        finally:
            sys.meta_path.remove(absent)


def _declared(name: str, table: pa.Table) -> RawTable:
    columns = tuple(RawColumn(f.name, str(f.type), f.nullable, f.type) for f in table.schema)
    return RawTable(name, columns, rows=table.num_rows, prunes=True)


def to_arrow(frame: Any, name: str = "table", *, index: bool = False) -> pa.Table:
    """An Arrow, pandas or Polars table (or a mapping of columns) as Arrow; without an unnamed ``index`` unless asked.

    ``name`` is what messages call it. Raises ``SourceError`` if it is none.
    """
    if isinstance(frame, pa.RecordBatch):
        frame = pa.Table.from_batches([frame])
    if isinstance(frame, Mapping):
        frame = _checked(name, lambda: pa.table(dict(frame)))
    if isinstance(frame, pa.Table):
        return _named(name, frame, index)
    if hasattr(frame, "collect") and type(frame).__module__.startswith("polars"):
        frame = frame.collect()
    if type(frame).__module__.startswith("pandas"):
        return _named(name, _from_pandas(name, frame), index)
    if hasattr(frame, "__arrow_c_stream__"):
        return _named(name, _checked(name, lambda: pa.table(frame)), index)
    if hasattr(frame, "to_arrow"):
        return _named(name, _checked(name, frame.to_arrow), index)
    raise SourceError(
        "SOURCE_NOT_A_TABLE",
        f"{name!r} is no table: {type(frame).__name__}",
        hint="Give Arrow, pandas or Polars tables, or anything with __arrow_c_stream__.",
    )


def _from_pandas(name: str, frame: Any) -> pa.Table:
    """A pandas frame; a column of objects of several types becomes text."""
    if not hasattr(frame, "columns"):
        frame = frame.to_frame()
    frame = frame.rename(columns=str)
    _check_repeated(name, list(frame.columns))
    try:
        return pa.Table.from_pandas(frame)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        told = {
            column: frame[column].map(str).mask(frame[column].isna(), None) for column in frame if _mixed(frame[column])
        }
        return _checked(name, lambda: pa.Table.from_pandas(frame.assign(**told)))


def _mixed(series: Any) -> bool:
    try:
        pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return True
    return False


def _checked(name: str, convert: Callable[[], pa.Table]) -> pa.Table:
    try:
        return convert()
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        raise SourceError("SOURCE_UNREADABLE", f"the table {name!r} cannot be read: {error}") from error


def _check_repeated(name: str, columns: Sequence[str]) -> None:
    repeated = sorted(column for column, times in Counter(columns).items() if times > 1)
    if repeated:
        raise SourceError("SOURCE_REPEATED_COLUMN", f"the table {name!r} has several columns named {repeated[0]!r}")


def _named(name: str, table: pa.Table, index: bool) -> pa.Table:
    kept = [at for at, column in enumerate(table.column_names) if index or not column.startswith("__index_level_")]
    table = table.select(kept)
    _check_repeated(name, table.column_names)
    if not table.num_columns:
        raise SourceError("SOURCE_EMPTY", f"the table {name!r} has no columns")
    return table
