"""A process that writes into a lake until it is done or killed: ``python -m tests.lake.versioned.writer LAKE NUMBER
BATCHES``.

Each batch is one row, its number also a fact of the same commit. A writer that begins again goes on after its own
newest fact, and repeats the batch before that, as one would who does not know whether it arrived. Every few batches
the table is compacted or old versions are forgotten.
"""

from __future__ import annotations

import sys
from datetime import timedelta

from penstock.lake.versioned import VersionedTable, open_lake
from tests.lake.versioned.model import KEYED, SCHEMA, Model, batches, rows_of

NAMES = Model().names
STEP = 1_000_000


def main(place: str, number: int, count: int) -> None:
    """Write the batches that are missing."""
    lake = open_lake(place)
    table = lake.create("t", SCHEMA, KEYED)
    done = int(table.facts().get(f"writer {number}", "0"))
    for batch in range(max(done, 1), count + 1):
        write(table, number, batch)
        if batch % 7 == number % 7:
            table.compact()
        if batch % 11 == number % 11:
            lake.expire(5, grace=timedelta(minutes=1))


def write(table: VersionedTable, number: int, batch: int) -> None:
    """One batch of one row."""
    rows = rows_of((number * STEP + batch, batch))
    table.commit(
        table.stage(batches(table, rows, NAMES)), batch=f"{number}/{batch}", facts={f"writer {number}": str(batch)}
    )


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
