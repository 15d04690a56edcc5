"""Sources that keep corrections, by plain Python: what shows of a table's log, and what must."""

from __future__ import annotations

from collections.abc import Iterable

import hypothesis.strategies as st
import pyarrow as pa

from penstock.lake.versioned import Lake
from tests.lake.ingest.history import log

Record = tuple[int, int, int | None, str | None]
"""A driver, when it happened, when it was known (None: then), and a value."""
NOW = 1_000
CUTOFFS = (0, 5, 9, 10, 12, 15, 19, 20, 24, 25, 30, 35, 40, 45, 50, NOW, 10 * NOW)
RECORDS = st.lists(
    st.tuples(st.integers(1, 3), st.sampled_from([10, 20]), st.sampled_from([None, 5, 15, 25, 35, 45]),
              st.sampled_from([None, "a", "b"])),
    max_size=12, unique_by=lambda row: (row[0], row[1], row[1] if row[2] is None else row[2]),
)  # fmt: skip


def seen(lake: Lake, cutoff: int) -> dict[tuple[int, int], str | None]:
    """What shows of each key at a cutoff, by its log alone."""
    newest: dict[tuple[int, int], dict[str, object]] = {}
    for row in log(lake):
        key, known = (row["id"], _micros(row["at"])), _known(row)
        if known <= cutoff and (key not in newest or _known(newest[key]) < known):
            newest[key] = row
    # a column of which nothing but NULL came is not there yet
    return {key: row.get("v") for key, row in newest.items() if not row["_deleted"]}  # type: ignore[misc]


def _known(row: dict[str, object]) -> int:
    return _micros(row["at"]) if row["_known"] is None else row["_known"]  # type: ignore[return-value]


def _micros(value: object) -> int:
    return pa.scalar(value, pa.timestamp("us")).cast(pa.int64()).as_py()  # type: ignore[no-any-return]


def told(rows: Iterable[Record], cutoff: int) -> dict[tuple[int, int], str | None]:
    """What a source that keeps corrections says was known at a cutoff."""
    newest: dict[tuple[int, int], tuple[int, str | None]] = {}
    for id_, at, created, value in rows:
        known = at if created is None else created
        if known <= cutoff and ((id_, at) not in newest or newest[id_, at][0] < known):
            newest[id_, at] = (known, value)
    return {key: value for key, (_, value) in newest.items()}
