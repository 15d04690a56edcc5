"""Rows that came to a compared table by streams and pushes: spared until the source has shown their keys.

Of a table that keeps corrections the source has to show a record of that instant, or a later one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pyarrow as pa

from penstock.errors import SchemaError, SourceError
from penstock.lake import awaited
from penstock.lake.ingest.corrections import NEVER, instant_sql
from penstock.lake.ingest.difference import listed
from penstock.lake.reserved import TAIL
from penstock.lake.sql import Sql
from penstock.lake.streams import positions
from penstock.lake.streams.aligning import aligned
from penstock.lake.streams.tail import segments, tail_folder
from penstock.lake.versioned import DELETED, KNOWN, Lake, VersionedTable
from penstock.lake.versioned.scan import Scan, quoted
from penstock.settings import Settings

_TRIES = 10


def prepared(lake: Lake, table: VersionedTable, *, compares: bool) -> int | None:
    """The number of the last row that came before now and is awaited; None where none is.

    To be asked before the source is opened: what comes later the source cannot have shown. Of a table that is to be
    compared, and whose streams have noted no keys so far, all keys that streams brought are noted first. Raises
    ``SchemaError`` (``INGEST_STREAMED``) where such a table has no key.
    """
    there = awaited.found(lake, table)
    if compares and awaited.is_streamed(table) and not (there and awaited.is_compared(table)):
        there = _noted(lake, table)
    if there is None or not there.newest():
        return None
    with Sql({"awaited": there.scan()}, rows="log") as sql:
        (last,) = sql.arrow(f"SELECT max(epoch_us({KNOWN})) AS last FROM awaited").column("last")
    return int(last.as_py()) if last.is_valid else None


def _noted(lake: Lake, table: VersionedTable) -> VersionedTable | None:
    """Await all keys that streams brought, or may have brought: there is no telling what the source has shown."""
    if not table.roles.key:
        if awaited.is_compared(table):
            return None  # streams are kept out since
        message = f"{table.name}: rows streamed in, and without a key they cannot be told from deleted ones"
        hint = 'Read the table with mode = "incremental", or as a table of another name.'
        raise SchemaError("INGEST_STREAMED", message, name=table.name, hint=hint)
    there, newest, streamed = awaited.made(lake, table), table.version(), positions.told(table.facts())
    columns = listed((*table.roles.key, *awaited.clocks(table.roles)))
    with Sql({"brought": table.brought(TAIL)}, rows="log") as sql:
        rows = sql.batches(f"SELECT DISTINCT {columns} FROM brought")
        staged = there.stage(awaited.noted(table, rows, streamed[2][positions.KNOWN] if streamed else 0))
    there.commit(staged, batch=f"until-{newest.number}")
    return there


def spared(lake: Lake, table: VersionedTable, key: pa.Schema) -> Iterator[pa.RecordBatch]:
    """The keys that are not gone though the source does not show them: those awaited, and those still in the tail.

    The tail comes first: what leaves it meanwhile is noted by then.
    """
    for rows in _in_tail(lake, table.name):
        yield aligned(rows.select(key.names), key)
    there = awaited.found(lake, table)
    if there is not None and there.newest():
        columns = zip(awaited.names(key.names), key.names, strict=True)
        with Sql({"awaited": there.scan()}, rows="log") as sql:
            yield from sql.batches(
                f"SELECT DISTINCT {', '.join(f'{n} AS {quoted(c)}' for n, c in columns)} FROM awaited"
            )


def _in_tail(lake: Lake, name: str) -> Iterator[pa.RecordBatch]:
    """The rows in a table's tail, where that is on this machine."""
    try:
        found = segments(tail_folder(lake, name))
    except SourceError:
        return
    for segment in found:
        try:
            entries = list(segment.entries())
        except FileNotFoundError:
            continue
        yield from (entry.rows for entry in entries if entry.rows is not None)


def settle(
    lake: Lake, table: VersionedTable, shown: Scan, last: int, clocks: Sequence[str], settings: Settings
) -> None:
    """Await no longer the keys that the source has shown, of rows that came up to the number ``last``.

    Where others note keys again and again meanwhile, it is left to the next time.
    """
    for _ in range(_TRIES):
        there = awaited.found(lake, table)
        version = None if there is None else there.newest()
        if there is None or version is None or not version.rows:
            return
        with Sql({"awaited": there.scan(), "shown": shown}, rows="log", settings=settings) as sql:
            if not sql.arrow(_waiting(table.roles.key, last, clocks, done=True) + " LIMIT 1").num_rows:
                return
            staged = there.stage(sql.batches(_waiting(table.roles.key, last, clocks, done=False)))
        try:
            there.replace(staged, batch=f"after-{version.number}", after=version.number)
        except SourceError as error:
            there.discard(staged)
            if error.code != "LAKE_CONFLICT":
                raise
        else:
            return


def _waiting(key: Sequence[str], last: int, clocks: Sequence[str], *, done: bool) -> str:
    """A SELECT of the keys that the source has shown (``done``), or of those that it has not, each once."""
    mine, instant = awaited.names(key), instant_sql(clocks) if clocks else "0"
    same = " AND ".join(f"awaited.{name} = seen.{quoted(column)}" for name, column in zip(mine, key, strict=True))
    came = f"coalesce(awaited.{awaited.INSTANT}, {NEVER})" if clocks else "0"
    return f"""
        WITH seen AS (
            SELECT {listed(key)}, max({instant}) AS _penstock_at FROM shown
            WHERE ({listed(key)}) IN (SELECT ({", ".join(mine)}) FROM awaited) GROUP BY {listed(key)})
        SELECT {", ".join(mine)}, awaited.{awaited.INSTANT}, max(awaited.{KNOWN}) AS {KNOWN}, FALSE AS {DELETED}
        FROM awaited LEFT JOIN seen ON {same}
        WHERE {"" if done else "NOT "}(epoch_us(awaited.{KNOWN}) <= {last} AND coalesce(_penstock_at >= {came}, FALSE))
        GROUP BY ALL"""


__all__ = ["prepared", "settle", "spared"]
