"""A streamed table's columns: taken from the table, from a declared schema, or made as the first messages need them."""

from __future__ import annotations

from dataclasses import replace

import pyarrow as pa

from penstock.errors import SchemaError
from penstock.lake.awaited import must_have_key
from penstock.lake.source import printable
from penstock.lake.streams.fitting import Columns
from penstock.lake.streams.stream import Stream
from penstock.lake.versioned import OWN_COLUMNS, Lake, Roles, VersionedTable
from penstock.lake.versioned.stored import stored_schema

_OWN = frozenset(field.name for field in OWN_COLUMNS)


def columns_for(lake: Lake, stream: Stream) -> Columns:
    """The columns to begin with.

    Raises ``SchemaError`` (``STREAM_KEY``) where the table has another key, ``SourceError`` (``STREAM_COMPARED``) where
    it has none and is compared with a source.
    """
    declared = Columns(
        {}, stream.key, stream.happened, tuple(stream.links or ()), stream.limits.columns, known=stream.known
    )
    if stream.table in lake:
        table = lake.table(stream.table)
        must_have_key(table)
        if stream.key and table.roles.key != stream.key:
            message = f"table {stream.table} has the key {_spoken(table.roles.key)}, not {_spoken(stream.key)}"
            raise SchemaError("STREAM_KEY", message, hint="Declare the same key, or stream into another table.")
        roles = table.roles
        happened, known = roles.happened or stream.happened, roles.known or stream.known
        return replace(declared, types=_types(table), key=roles.key, happened=happened, known=known)
    if stream.schema is None:
        return declared
    begun = replace(declared, types={f.name: f.type for f in stored_schema(stream.schema) if f.name not in _OWN})
    return replace(begun, types=_types(_created(lake, stream, begun))) if set(stream.key) <= set(begun.types) else begun


def grown(lake: Lake, stream: Stream, now: Columns, wanted: Columns) -> Columns:
    """The columns with what is wanted of the table; what it refuses is fixed from now on."""
    if stream.table not in lake:
        return replace(now, types=_types(_created(lake, stream, wanted)))
    table = lake.table(stream.table)
    there = _types(table)
    missing = {name: kind for name, kind in wanted.types.items() if name not in there}
    try:
        table = table.evolve(add=missing) if missing else table
    except SchemaError:
        table = table.refresh()
    refused = set(missing) - set(table.schema.names)
    wider = {name: kind for name, kind in wanted.types.items() if there.get(name, kind) != kind}
    refused |= {name for name, kind in wider.items() if not _widened(table, name, there[name], kind)}
    return replace(now, types=_types(table), fixed=now.fixed | refused)


def _widened(table: VersionedTable, name: str, old: pa.DataType, new: pa.DataType) -> bool:
    """Whether a column could be made wider: as wide as is wanted, or at least a step."""
    for kind in dict.fromkeys([new, *([pa.int64()] if old == pa.int32() else [])]):
        try:
            table.evolve(widen={name: kind})
        except SchemaError:
            continue
        return True
    return False


def _created(lake: Lake, stream: Stream, columns: Columns) -> VersionedTable:
    """The table, made with these columns and those that say when."""
    types = dict(columns.types)
    for clock in (stream.happened, stream.known):
        if clock is not None:
            types.setdefault(clock, pa.timestamp("us"))
    roles = Roles(stream.key, stream.happened, stream.links, printable(stream.url), stream.known)
    return lake.create(stream.table, pa.schema(list(types.items())), roles)


def _types(table: VersionedTable) -> dict[str, pa.DataType]:
    return {field.name: field.type for field in table.schema if field.name not in _OWN}


def _spoken(key: tuple[str, ...]) -> str:
    return ", ".join(key) or "(none)"
