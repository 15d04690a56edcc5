"""Whom a view can be asked about: its entities' keys, column by column, and as stores know them."""

from __future__ import annotations

from functools import reduce

import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.relational import Relational
from penstock.features.views.bound import Bound, BoundView
from penstock.features.views.entities import composed
from penstock.online.keys import packed


def keys_of_view(bound: Bound, relational: Relational, view: BoundView) -> tuple[pa.Table, list[bytes]]:
    """Each entity's key columns, named as the view's requests name them, and the packed keys in the same order."""
    entity = view.entity
    if not entity.composed:
        keys = relational.keys(entity.table, entity.column)
        return pa.table({entity.keys[0]: keys}), packed(keys)
    whole = _whole(bound, relational, entity.table).rename_columns(list(entity.keys))
    return whole, packed(composed([whole[name] for name in entity.keys]))


def _whole(bound: Bound, relational: Relational, table: str) -> pa.Table:
    """The different composed keys that any table names, part by part."""
    parts = []
    for name, columns in bound.joins.virtual[table].joins.items():
        read = relational.rows.read(name, list(columns)).rename_columns([f"k{n}" for n in range(len(columns))])
        there = reduce(pc.and_, [column.is_valid() for column in read.columns])
        parts.append(read.filter(there))
    found = pa.concat_tables([part.cast(parts[0].schema) for part in parts])
    once = found.group_by(found.column_names).aggregate([])
    return once.sort_by([(name, "ascending") for name in once.column_names])
