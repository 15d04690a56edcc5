"""Sources: where tables come from, their rows in one set of dtypes, and where results go."""

from __future__ import annotations

from penstock.lake.describe import describe
from penstock.lake.frames import spare_pandas, to_arrow
from penstock.lake.rows import SourceRows
from penstock.lake.source import RawColumn, RawTable, Source
from penstock.lake.sources import open_source
from penstock.lake.write import check as check_destination
from penstock.lake.write import write

__all__ = [
    "RawColumn",
    "RawTable",
    "Source",
    "SourceRows",
    "check_destination",
    "describe",
    "open_source",
    "spare_pandas",
    "to_arrow",
    "write",
]
