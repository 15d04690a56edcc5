"""A landing read to its end, as Python values."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from penstock.lake.landing import LandingSettings, land

Kept = dict[str, list[object]]
Rejected = list[tuple[str, int, str, str]]


def landed_rows(
    paths: Sequence[Path] | Path, expected: pa.Schema | None = None, settings: LandingSettings | None = None
) -> tuple[Kept, Rejected, tuple[str, ...]]:
    """The kept rows by column, the rejected (file, row, reason, text) and the notes."""
    landing = land(paths, expected=expected, settings=settings)
    table = pa.Table.from_batches(landing.batches(), landing.schema)
    table.validate(full=True)
    told = [(r["file"], r["row"], r["reason"], r["text"]) for r in landing.rejected().to_pylist()]
    return table.to_pydict(), told, landing.notes
