"""Rows written to files that no version names yet: they can be checked, then committed or thrown away."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pyarrow as pa
import pyarrow.parquet as pq

from penstock.lake.versioned.damage import checksum, found_whole
from penstock.lake.versioned.writers import this_writer

ROWS_A_FILE = 4_000_000
_GROUP = 122_880


@dataclass(frozen=True)
class Staged:
    """Complete files in a table's folder, each named after its content's hash, and how many rows they hold.

    With ``replaces`` they are to take the place of all rows that the table has, not to come to them.
    """

    files: tuple[Path, ...]
    rows: int
    replaces: bool = False


def write_staged(
    folder: Path, schema: pa.Schema, batches: Iterable[pa.RecordBatch], rows_a_file: int = ROWS_A_FILE
) -> Staged:
    """Write batches of rows (with ``schema``, field ids included) to files below ``folder``; memory stays bounded."""
    folder.mkdir(parents=True, exist_ok=True)
    own, files, rows = this_writer(folder), list[Path](), 0
    writer: pq.ParquetWriter | None = None
    draft, held = folder, 0
    try:
        for batch in batches:
            if writer is None:
                draft = folder / f".{own}{uuid4().hex[:8]}.draft"
                writer = pq.ParquetWriter(
                    draft, schema, compression="zstd", compression_level=1, write_statistics=_told(schema)
                )
            writer.write_batch(batch, row_group_size=_GROUP)
            held, rows = held + batch.num_rows, rows + batch.num_rows
            if held >= rows_a_file:
                writer.close()
                files.append(_named(draft, own))
                writer, held = None, 0
        if writer is not None:
            writer.close()
            files.append(_named(draft, own))
            writer = None
    except BaseException:
        for file in files:
            file.unlink(missing_ok=True)
        raise
    finally:
        if writer is not None:
            writer.close()
            draft.unlink(missing_ok=True)
    return Staged(tuple(files), rows)


def _told(schema: pa.Schema) -> list[str]:
    """The columns whose extremes are written down: not floats, whose extremes leave NaN out and would be believed."""
    return [field.name for field in schema if not pa.types.is_floating(field.type)]


def _named(draft: Path, own: str) -> Path:
    """The finished file: content's hash, its writer's word, and one of its own, so that equal contents stay two."""
    file = draft.rename(draft.with_name(f"{checksum(draft)}-{own}{uuid4().hex[:8]}.parquet"))
    found_whole(file)
    return file
