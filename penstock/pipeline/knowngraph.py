"""The graph of what a lake knows of its tables, without reading a row: enough to bind queries and name dependants."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

from penstock.inference.kinds import plain_kind
from penstock.lake.canonical import declared_dtype, items_of
from penstock.lake.versioned import DELETED, KNOWN, Roles, VersionedTable
from penstock.pipeline.site import aside
from penstock.schema import Column, Dtype, Graph, Kind, Link, Table


def graph_of(tables: Mapping[str, VersionedTable]) -> Graph:
    """The graph of a lake's tables; labels and dead letters are left out. It does not move with the data."""
    return known_graph(
        {name: (table.schema, table.roles) for name, table in tables.items() if not aside(name, table.roles)}
    )


def known_graph(tables: Mapping[str, tuple[pa.Schema, Roles]]) -> Graph:
    """Tables with the keys, clocks and links of their roles; links to tables that are not there are left out."""
    links = [
        Link(name, column if "+" not in column else tuple(column.split("+")), to)
        for name, (_, roles) in tables.items()
        for column, to in (roles.links or {}).items()
        if to in tables
    ]
    pointing = {(link.table, column) for link in links for column in link.columns}
    made = tuple(
        Table(
            name,
            tuple(_column(field, field.name in roles.key or (name, field.name) in pointing) for field in schema),
            roles.key[0] if len(roles.key) == 1 else roles.key or None,
            happened=roles.happened,
            known=KNOWN,
            deleted=DELETED,
        )
        for name, (schema, roles) in tables.items()
    )
    return Graph(made, tuple(links))


def _column(field: pa.Field, identifies: bool) -> Column:
    items = items_of(field.type)
    dtype = Dtype.LIST if items else declared_dtype(field.type)
    kept = None if items is Dtype.STRING else items
    return Column(field.name, dtype, Kind.ID if identifies else plain_kind(dtype), items=kept)
