"""Keys that came to a table by streams and pushes, and that the source it is compared with has yet to show.

They are kept in a table beside it. A stream notes the keys of a segment there before the segment's rows become a
version; an ingestion spares them when it looks for what is gone, and forgets those that its source has shown. A kill in
between leaves a key too many there, never one too few.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import SourceError
from penstock.lake.reserved import AWAITED, COMPARED, TAIL
from penstock.lake.versioned import DELETED, KNOWN, Lake, Roles, VersionedTable

INSTANT = "instant"
"""The column that says when a row was known by its source's word, in microseconds; NULL where it keeps no corrections.

Those of the key are `names`, and ``_known`` is the number by which the last row of the segment came.
"""


def names(key: Sequence[str]) -> tuple[str, ...]:
    """The columns of a key as they are called there: by their place, whatever becomes of their names."""
    return tuple(f"key_{place}" for place in range(1, len(key) + 1))


def is_compared(table: VersionedTable) -> bool:
    """Whether the last ingestion of a table compared it with its source."""
    return table.facts().get(COMPARED) == "yes"


def is_streamed(table: VersionedTable) -> bool:
    """Whether rows ever came to a table by a stream or a push."""
    return TAIL in table.facts()


def must_have_key(table: VersionedTable) -> None:
    """Raise ``SourceError`` (``STREAM_COMPARED``) where the rows of a stream could not be told from deleted ones."""
    if is_compared(table) and not table.roles.key:
        message = f"table {table.name} has no key and is compared with its source: what streams in would be lost there"
        hint = 'Read it with mode = "incremental", or stream into a table of its own.'
        raise SourceError("STREAM_COMPARED", message, name=table.name, hint=hint)


def is_awaited(name: str, roles: Roles) -> bool:
    """Whether a lake table is one of these: of no use to anybody else.

    >>> is_awaited("orders__awaited", Roles(origin="awaited 77 1")), is_awaited("orders", Roles())
    (True, False)
    """
    return name.endswith(AWAITED) and roles.origin.startswith(_origin(""))


def _origin(identity: str) -> str:
    return f"{AWAITED.strip('_')} {identity}"


def found(lake: Lake, table: VersionedTable) -> VersionedTable | None:
    """The table of a table's awaited keys, if there is one and it is of this table and its key."""
    name = table.name + AWAITED
    there = lake.table(name) if name in lake else None
    return there if there is not None and there.roles.origin == _origin(table.identity) else None


def made(lake: Lake, table: VersionedTable) -> VersionedTable:
    """As `found`, made where it is not there, and with types as wide as those of the key are now."""
    name, kinds = table.name + AWAITED, [table.schema.field(column).type for column in table.roles.key]
    wanted = dict(zip(names(kinds), kinds, strict=True))
    there = found(lake, table)
    if there is None:
        if name in lake:  # of a table that is no more
            lake.drop(name)
        schema = pa.schema([*wanted.items(), (INSTANT, pa.int64())])
        there = lake.create(name, schema, Roles(origin=_origin(table.identity)))
    wider = {column: kind for column, kind in wanted.items() if there.schema.field(column).type != kind}
    return there.evolve(widen=wider) if wider else there


def clocks(roles: Roles) -> tuple[str, ...]:
    """The columns that say when a row was known, the source's word first, where that keeps corrections."""
    return tuple(clock for clock in (roles.known, roles.happened) if clock is not None) if roles.corrections else ()


def noted(table: VersionedTable, rows: Iterable[pa.RecordBatch], number: int) -> Iterator[pa.RecordBatch]:
    """The keys of a table's rows as they are noted, the last of which came by this number."""
    roles = table.roles
    for batch in rows:
        said = [batch.column(clock).cast(pa.timestamp("us")).cast(pa.int64()) for clock in clocks(roles)]
        instant = pc.coalesce(*said) if said else pa.nulls(len(batch), pa.int64())
        known = pa.repeat(pa.scalar(number, pa.int64()), len(batch)).cast(pa.timestamp("us"))
        arrays = [*(batch.column(column) for column in roles.key), instant, known, pa.repeat(False, len(batch))]
        yield pa.RecordBatch.from_arrays(arrays, [*names(roles.key), INSTANT, KNOWN, DELETED])
