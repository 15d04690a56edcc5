"""One Parquet file as pieces of rows, checked against what its footer promises."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.errors import SourceError
from penstock.lake.jsonlines import told
from penstock.lake.landing.piece import Piece, Texts
from penstock.lake.landing.settings import LandingSettings

_ROWS = 65_536
_FOOTER_STRING, _FOOTER_LIST = 64 << 20, 4 << 20
_BROKEN = (pa.ArrowException, OSError, ValueError, OverflowError, KeyError, TypeError, MemoryError)


@dataclass
class ParquetPart:
    """A Parquet file: its schema and its rows."""

    name: str
    path: Path
    schema: pa.Schema
    rows: int
    first_row: int = 1
    texts: Texts = "text"
    names: tuple[str, ...] = field(default=())

    def pieces(self) -> Iterator[Callable[[], Piece]]:
        """The file in order."""
        return (partial(self.read, block) for block in self.blocks())

    def declared(self) -> Mapping[str, pa.DataType]:
        """All columns' types."""
        return dict(zip(self.names, self.schema.types, strict=True))

    def notes(self) -> tuple[str, ...]:
        """Nothing is odd about a file that can be read."""
        return ()

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """The rows in order. Raises ``SourceError`` where they are not what the footer says."""
        found = 0
        try:
            with _opened(self.path) as file:
                for batch in file.iter_batches(batch_size=_ROWS):
                    batch.validate(full=True)
                    found += batch.num_rows
                    yield batch
        except _BROKEN as error:
            raise _unreadable(self.name, error) from error
        if found != self.rows:
            message = f"{self.name} holds {found} rows where its footer says {self.rows}"
            raise SourceError("SOURCE_UNREADABLE", message, hint="The file is damaged: write it again.")

    def read(self, block: pa.RecordBatch) -> Piece:
        """The rows as they are."""
        return Piece(block.rename_columns(list(self.names)), block.num_rows)

    def text(self, row: Sequence[object]) -> str:
        """A row's values as JSON."""
        return told(dict(zip(self.names, row, strict=True)))


def parquet_part(name: str, path: Path, _: LandingSettings) -> ParquetPart:
    """A Parquet file with its footer read. Raises ``SourceError`` where there is none to be trusted."""
    try:
        with _opened(path) as file:
            schema, rows = file.schema_arrow, file.metadata.num_rows
    except _BROKEN as error:
        raise _unreadable(name, error) from error
    if not len(schema):
        raise SourceError("SOURCE_EMPTY", f"{name} has no columns")
    return ParquetPart(name, path, schema, rows, names=tuple(column.strip() for column in schema.names))


def _opened(path: Path) -> pq.ParquetFile:
    return pq.ParquetFile(
        path,
        page_checksum_verification=True,
        thrift_string_size_limit=_FOOTER_STRING,
        thrift_container_size_limit=_FOOTER_LIST,
    )


def _unreadable(name: str, error: BaseException) -> SourceError:
    return SourceError("SOURCE_UNREADABLE", f"{name} cannot be read as Parquet: {error}")
