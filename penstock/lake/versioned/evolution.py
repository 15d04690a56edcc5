"""How a table's columns change: by field id, so that history before and after reads as one column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pyarrow as pa

from penstock.errors import SchemaError
from penstock.lake.versioned import iceberg
from penstock.lake.versioned.roles import DELETED, KNOWN, Roles, linking
from penstock.lake.versioned.stored import stored_type

if TYPE_CHECKING:
    from pyiceberg.schema import Schema
    from pyiceberg.table.metadata import TableMetadataV2
    from pyiceberg.types import IcebergType, NestedField

_OWN = frozenset({KNOWN, DELETED})


@dataclass(frozen=True)
class Turn:
    """What becomes of a table's columns and roles together with the rows of a commit: no reader sees one without the
    other.

    ``drop`` and the keys of ``rename`` are names of before.
    """

    roles: Roles
    drop: Sequence[str] = ()
    rename: Mapping[str, str] = field(default_factory=dict)

    def applied(self, metadata: TableMetadataV2) -> TableMetadataV2:
        """The metadata with these columns and roles."""
        schema, last = evolved(metadata.schema(), metadata.last_column_id, {}, {}, self.drop, self.rename)
        return iceberg.with_schema(metadata, schema, last, self.roles.to_properties()).metadata


def evolved(
    schema: Schema,
    last_id: int,
    add: Mapping[str, pa.DataType],
    widen: Mapping[str, pa.DataType],
    drop: Sequence[str],
    rename: Mapping[str, str],
) -> tuple[Schema, int]:
    """The columns after a change, and the last field id given out.

    Names in ``widen``, ``drop`` and ``rename`` are those of before. Raises ``SchemaError``: ``LAKE_UNKNOWN_COLUMN``,
    ``LAKE_COLUMN_EXISTS``, and ``LAKE_NARROWING`` for a type that cannot hold all values of the old one.
    """
    from pyiceberg.schema import Schema

    fields = {field.name: field for field in schema.fields}
    _must_exist(fields, [*widen, *drop, *rename])
    kept = [
        field.model_copy(
            update={"name": rename.get(name, name), "field_type": _widened(field, widen[name])}
            if name in widen
            else {"name": rename.get(name, name)}
        )
        for name, field in fields.items()
        if name not in drop
    ]
    added, last = _added(add, last_id)
    own = [field for field in kept if field.name in _OWN]
    whole = [*(field for field in kept if field.name not in _OWN), *added, *own]
    names = [field.name for field in whole]
    for name in names:
        if names.count(name) > 1:
            raise SchemaError("LAKE_COLUMN_EXISTS", f"there would be two columns called {name!r}", name=name)
    return Schema(*whole), last


def renamed_roles(roles: Roles, drop: Sequence[str], rename: Mapping[str, str]) -> Roles:
    """The roles under the new names. Raises ``SchemaError`` (``LAKE_COLUMN_IN_USE``) where the key would be dropped."""
    lost = [name for name in roles.key if name in drop]
    if lost:
        message = f"{lost[0]!r} is part of the table's key and cannot be dropped"
        raise SchemaError("LAKE_COLUMN_IN_USE", message, name=lost[0], hint="Give the table another key first.")
    links = {
        "+".join(rename.get(part, part) for part in linking([columns])): to
        for columns, to in (roles.links or {}).items()
        if not set(linking([columns])) & set(drop)
    }
    happened, known = (
        None if name is None or name in drop else rename.get(name, name) for name in (roles.happened, roles.known)
    )
    key = tuple(rename.get(k, k) for k in roles.key)
    return replace(roles, key=key, happened=happened, known=known, links=links or None)


def _must_exist(fields: Mapping[str, NestedField], names: Sequence[str]) -> None:
    for name in names:
        if name not in fields or name in _OWN:
            there = [known for known in fields if known not in _OWN]
            raise SchemaError("LAKE_UNKNOWN_COLUMN", f"there is no column {name!r}", name=name, candidates=there)


def _widened(field: NestedField, wanted: pa.DataType) -> IcebergType:
    kind, _ = iceberg_type(stored_type(wanted), 0)
    if not _holds(kind, field.field_type):
        message = f"{field.name!r} is {field.field_type} and cannot become {kind}: not every value would fit"
        hint = "Wider is int to long, float to double, and more digits of a decimal. Else add a column beside it."
        raise SchemaError("LAKE_NARROWING", message, name=field.name, hint=hint)
    return kind


def _holds(wide: IcebergType, narrow: IcebergType) -> bool:
    """Whether a type holds all values of another, by Iceberg's rules of promotion."""
    from pyiceberg.types import DecimalType

    if isinstance(wide, DecimalType) and isinstance(narrow, DecimalType):
        return wide.scale == narrow.scale and wide.precision >= narrow.precision
    return wide == narrow or (str(narrow), str(wide)) in {("int", "long"), ("float", "double")}


def _added(add: Mapping[str, pa.DataType], last_id: int) -> tuple[list[NestedField], int]:
    from pyiceberg.types import NestedField

    fields = []
    for name, wanted in add.items():
        number = last_id + 1
        kind, last_id = iceberg_type(stored_type(wanted), number)
        fields.append(NestedField(field_id=number, name=name, field_type=kind, required=False))
    return fields, last_id


def iceberg_type(kind: pa.DataType, last_id: int) -> tuple[IcebergType, int]:
    """Iceberg's type for one that tables keep, and the last field id given out to its parts."""
    from pyiceberg import types as t

    if pa.types.is_list(kind):
        number = last_id + 1
        element, last_id = iceberg_type(kind.value_type, number)
        return t.ListType(element_id=number, element_type=element, element_required=False), last_id
    if pa.types.is_decimal(kind):
        return t.DecimalType(kind.precision, kind.scale), last_id
    plain: dict[str, IcebergType] = {
        "bool": t.BooleanType(), "int32": t.IntegerType(), "int64": t.LongType(), "float": t.FloatType(),
        "double": t.DoubleType(), "string": t.StringType(), "binary": t.BinaryType(), "date32[day]": t.DateType(),
        "time64[us]": t.TimeType(), "timestamp[us]": t.TimestampType(),
    }  # fmt: skip
    return plain[str(kind)], last_id
