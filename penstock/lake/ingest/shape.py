"""A source's columns against those that the lake has: what is added, widened or left out, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass

import pyarrow as pa

from penstock.errors import SchemaError
from penstock.lake.ingest.feeds import Feed, FeedColumn
from penstock.lake.ingest.intake import Intake
from penstock.lake.versioned import DELETED, KNOWN
from penstock.lake.versioned.roles import linking

RESERVED = (KNOWN, DELETED)
ROW, _OWN = "_penstock_row", "_penstock_"
"""The column that numbers rows while they are compared."""
_WIDER = {("int32", "int64"), ("float", "double")}


@dataclass(frozen=True)
class Shape:
    """The columns that are read, under our names and in the lake's types, in the source's order.

    ``added`` and ``widened`` are to be made in the lake first; ``absent`` are the lake's columns that the source no
    longer has.
    """

    columns: Mapping[str, FeedColumn]
    schema: pa.Schema
    key: tuple[str, ...]
    added: Mapping[str, pa.DataType]
    widened: Mapping[str, pa.DataType]
    absent: tuple[str, ...] = ()

    def column(self, name: str) -> FeedColumn:
        """The source's column under our name, in the lake's type."""
        found = self.columns[name]
        return FeedColumn(found.name, found.type, self.schema.field(name).type)


def shaped(intake: Intake, feed: Feed, lake: pa.Schema | None, allow_drops: Collection[str] = ()) -> Shape:
    """How a feed fits the lake table's columns (``lake`` None: there is no table yet).

    Raises ``SchemaError`` naming the column: ``INGEST_RESERVED_COLUMN``, ``INGEST_REPEATED_COLUMN``,
    ``INGEST_UNKNOWN_COLUMN``, ``INGEST_COLUMN_DROPPED``, ``INGEST_COLUMN_NARROWED``, ``INGEST_COLUMN_RETYPED``,
    ``INGEST_COLUMN_TYPE``, ``INGEST_TIME``.
    """
    columns = _ours(intake, feed)
    _must_be_plain(intake, columns, lake)
    key = _key(intake, columns, feed)
    _must_be_there(intake, columns, key)
    before = {} if lake is None else {f.name: f.type for f in lake if f.name not in RESERVED}
    absent = tuple(name for name in before if name not in columns)
    _must_be_allowed(intake, absent, allow_drops, [n for n in columns if n not in before])
    widened, kinds = {}, {}
    for name, column in columns.items():
        kinds[name] = _kind(intake.table, name, before.get(name), column)
        if name in before and kinds[name] != before[name]:
            widened[name] = kinds[name]
    _must_tell_times(intake, columns, kinds)
    added = {name: kinds[name] for name in columns if lake is not None and name not in before}
    return Shape(columns, pa.schema(list(kinds.items())), key, added, widened, absent)


def _ours(intake: Intake, feed: Feed) -> dict[str, FeedColumn]:
    """The source's columns under our names."""
    there = [column.name for column in feed.columns]
    theirs = {source: ours for ours, source in intake.renames.items() if source in there}
    found: dict[str, FeedColumn] = {}
    for column in feed.columns:
        name = theirs.get(column.name, column.name)
        if name in found:
            message = f"{intake.table}: the source has two columns that are called {name!r} here"
            raise SchemaError("INGEST_REPEATED_COLUMN", message, name=name, hint="Look at its renames.")
        found[name] = column
    if intake.columns is None:
        return found
    for name in intake.columns:
        if name not in found:
            raise _unknown(intake, name, found)
    return {name: column for name, column in found.items() if name in intake.columns}


def _must_be_plain(intake: Intake, columns: Mapping[str, FeedColumn], lake: pa.Schema | None) -> None:
    """Names are not the lake's own, and differ by more than capital letters."""
    held = [] if lake is None else [name for name in lake.names if name not in columns and name not in RESERVED]
    folded: dict[str, str] = {}
    for name in [*columns, *held]:
        if name.casefold() in RESERVED or name.casefold().startswith(_OWN) or not name.strip():
            message = f"{intake.table}: a column may not be called {name!r}: the lake has its own of that name"
            told = json.dumps(name, ensure_ascii=False)
            hint = f"Rename it: renames = {{ {json.dumps(f'source{name}', ensure_ascii=False)} = {told} }}"
            raise SchemaError("INGEST_RESERVED_COLUMN", message, name=name, hint=hint)
        if name.casefold() in folded:
            message = f"{intake.table}: {folded[name.casefold()]!r} and {name!r} differ only in capital letters"
            raise SchemaError("INGEST_REPEATED_COLUMN", message, name=name, hint="Rename one of them, or leave it out.")
        folded[name.casefold()] = name


def _key(intake: Intake, columns: Mapping[str, FeedColumn], feed: Feed) -> tuple[str, ...]:
    """The key that is asked for, else the declared one where all its columns are read."""
    ours = {column.name: name for name, column in columns.items()}
    return intake.key or (tuple(ours[name] for name in feed.key) if all(name in ours for name in feed.key) else ())


def _must_be_there(intake: Intake, columns: Mapping[str, FeedColumn], key: tuple[str, ...]) -> None:
    for name in (*key, intake.watermark, intake.happened, intake.known, *linking(intake.links)):
        if name is not None and name not in columns:
            raise _unknown(intake, name, columns)


def _must_tell_times(intake: Intake, columns: Mapping[str, FeedColumn], kinds: Mapping[str, pa.DataType]) -> None:
    """The clocks of rows hold instants, or nothing yet."""
    for name in filter(None, (intake.happened, intake.known)):
        kind = kinds[name]
        if not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)) and columns[name].type != "null":
            message = f"{intake.table}: {name} is to say when rows happened or were known, and {kind} is no time"
            hint = f'Of a file say: types = {{ {json.dumps(name, ensure_ascii=False)} = "time" }}. Else derive a table.'
            raise SchemaError("INGEST_TIME", message, name=name, hint=hint)


def _unknown(intake: Intake, name: str, columns: Collection[str]) -> SchemaError:
    message = f"{intake.table}: the source has no column {name!r}"
    return SchemaError("INGEST_UNKNOWN_COLUMN", message, name=name, candidates=columns)


def _must_be_allowed(intake: Intake, absent: tuple[str, ...], allowed: Collection[str], new: list[str]) -> None:
    refused = [name for name in absent if name not in allowed]
    if not refused:
        return
    message = f"{intake.table}: the source no longer has the column {refused[0]!r}"
    hint = "Was it renamed? " if new else ""
    hint += f"If it is gone for good, say so: drops = [{json.dumps(refused[0], ensure_ascii=False)}]"
    raise SchemaError("INGEST_COLUMN_DROPPED", message, name=refused[0], candidates=new, hint=hint)


def _kind(table: str, name: str, before: pa.DataType | None, column: FeedColumn) -> pa.DataType:
    """The type in which a column is kept from now on."""
    now = column.kind
    if before is None or before == now or column.type == "null":
        return _kept(table, name, column) if before is None else before
    if wider(before, now):
        return now
    narrowed = wider(now, before)
    code, said = ("INGEST_COLUMN_NARROWED", "narrowed") if narrowed else ("INGEST_COLUMN_RETYPED", "changed")
    message = f"{table}: the source has {said} the column {name!r} from {before} to {now} ({column.type})"
    hint = "Cast it at the source, or ingest it under another name (renames) beside the old one."
    raise SchemaError(code, message, name=name, hint=hint)


def _kept(table: str, name: str, column: FeedColumn) -> pa.DataType:
    if pa.types.is_list(column.kind) and pa.types.is_list(column.kind.value_type):
        message = f"{table}: the column {name!r} holds lists of lists ({column.type}), which the lake does not keep"
        raise SchemaError("INGEST_COLUMN_TYPE", message, name=name, hint="Leave it out: name the others in columns.")
    return column.kind


def wider(before: pa.DataType, now: pa.DataType) -> bool:
    """Whether every value of one type has its place in another that tables can be widened to.

    >>> wider(pa.int32(), pa.int64()), wider(pa.decimal128(9, 2), pa.decimal128(12, 2)), wider(pa.int64(), pa.int32())
    (True, True, False)
    """
    if pa.types.is_decimal(before) and pa.types.is_decimal(now):
        return bool(before.scale == now.scale and before.precision < now.precision)
    return (str(before), str(now)) in _WIDER


__all__ = ["RESERVED", "ROW", "Shape", "shaped", "wider"]
