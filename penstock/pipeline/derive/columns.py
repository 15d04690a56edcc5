"""A derived table's columns when its definition changes: what is added before rows are written, what ends after."""

from __future__ import annotations

import pyarrow as pa

from penstock.errors import SchemaError
from penstock.lake.versioned import KNOWN, OWN_COLUMNS, Turn, VersionedTable
from penstock.pipeline.derive.derivation import Derivation

_NEXT = " (next)"
_OWN = frozenset(field.name for field in OWN_COLUMNS)


def prepared(derivation: Derivation, table: VersionedTable) -> None:
    """Give the table the columns that the definition needs: added, widened, or beside one of a type that differs.

    None of this changes what readers see: columns that end, or are replaced, do so once rows were committed.
    """
    there = {field.name: field.type for field in table.schema}
    add: dict[str, pa.DataType] = {}
    widen: dict[str, pa.DataType] = {}
    for field in derivation.schema:
        if field.name not in there:
            add[field.name] = field.type
        elif there[field.name] != field.type:
            if _widens(there[field.name], field.type):
                widen[field.name] = field.type
            elif field.name in derivation.roles.key:
                message = f"{derivation.file}: the key {field.name} was {there[field.name]} and would be {field.type}"
                hint = "Give the column or the file another name: versions of one row could not be told apart."
                raise SchemaError("DERIVE_KEY_TYPE", message, name=field.name, hint=hint)
            elif there.get(field.name + _NEXT) != field.type:
                add[field.name + _NEXT] = field.type
    stale = [name for name in add if name.endswith(_NEXT) and name in there]
    if stale:
        table.evolve(drop=stale)
    if add or widen:
        table.evolve(add=add, widen=widen)


def _widens(old: pa.DataType, new: pa.DataType) -> bool:
    """Whether Iceberg reads the old type's values as the new one's."""
    types = pa.types
    if types.is_decimal(old) and types.is_decimal(new):
        return bool(new.scale == old.scale and new.precision >= old.precision)
    return (old, new) in {(pa.int32(), pa.int64()), (pa.float32(), pa.float64())}


def settled(derivation: Derivation, table: VersionedTable) -> None:
    """Give the table the definition's columns and roles; nothing where all is so."""
    turn = turn_of(derivation, table)
    if turn is not None:
        table.take(turn)


def turn_of(derivation: Derivation, table: VersionedTable) -> Turn | None:
    """What becomes of the table's columns and roles when its rows are the definition's; None where nothing does."""
    there = {field.name: field.type for field in table.schema}
    replaced = [
        field.name for field in derivation.schema if there.get(field.name) != field.type and field.name + _NEXT in there
    ]
    ended = [name for name in there if name not in _OWN and name not in derivation.schema.names]
    ended = [name for name in ended if name.removesuffix(_NEXT) not in replaced]
    if not ended and not replaced and table.roles == derivation.roles:
        return None
    return Turn(derivation.roles, (*ended, *replaced), {name + _NEXT: name for name in replaced})


def kept_names(derivation: Derivation, table: VersionedTable) -> tuple[str, ...]:
    """What the definition's columns are called in the table while it is being written."""
    there = {field.name: field.type for field in table.schema}
    return tuple(one.name if there.get(one.name) == one.type else one.name + _NEXT for one in derivation.schema)


def with_ids(derivation: Derivation, table: VersionedTable) -> pa.Schema:
    """The schema of a draft: the definition's columns and ``_known``, with the ids that the table gave them."""
    ids = {column.name: column for column in table.scan().columns}
    names = (*kept_names(derivation, table), KNOWN)
    return pa.schema(
        [pa.field(name, ids[name].arrow, metadata={b"PARQUET:field_id": str(ids[name].field_id)}) for name in names]
    )
