"""Spines from outside: any table or file with the columns ``entity`` and ``cutoff``, as Arrow."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.relational import ARROW
from penstock.errors import RequestError
from penstock.features.historical.spine import cutoffs, plain, to_table
from penstock.language import Query, Task
from penstock.plan import Aggregate
from penstock.schema import Table


@dataclass(frozen=True)
class Given:
    """Spines from outside, with or without a ``target``; None where there is none. ``notes`` say how they were read."""

    train: pa.Table | None = None
    validation: pa.Table | None = None
    test: pa.Table | None = None
    notes: tuple[str, ...] = ()

    @property
    def any(self) -> bool:
        """Whether any spine was given."""
        return any(spine is not None for spine in (self.train, self.validation, self.test))


def read_spine(spine: object, query: Query | None = None) -> pa.Table:
    """A spine as Arrow: cutoffs as instants in UTC, NULLs refused. Rows, order and other columns stay.

    Takes Arrow, pandas or Polars tables, a dict of columns, a list of dicts, or the path of a Parquet or CSV file.
    With a query, the columns of a public benchmark's tables are known by what they hold (`renaming`).
    """
    table = to_table(spine)
    if query is not None:
        names = renaming(table, query)
        table = table.rename_columns([names.get(name, name) for name in table.column_names])
    for name in ("entity", "cutoff"):
        if name not in table.column_names:
            raise RequestError(
                "SPINE_COLUMN",
                f"the spine has no column {name!r}",
                name=name,
                candidates=table.column_names,
                hint="A spine has the columns entity and cutoff, and target where it is known.",
            )
        if table[name].null_count:
            raise RequestError("SPINE_NULL", f"{table[name].null_count} rows of the spine have no {name}")
    return table.set_column(
        table.column_names.index("cutoff"), "cutoff", cutoffs(table, "cutoff").cast(pa.timestamp("us"))
    )


def given(query: Query, train: object, validation: object, test: object) -> Given:
    """The spines of an evaluation, read; None where there is none. Columns known by what they hold are noted."""
    table, notes = query.graph.table(query.entity), list[str]()
    read: list[pa.Table | None] = []
    for spine in (train, validation, test):
        if spine is None:
            read.append(None)
            continue
        raw = to_table(spine)
        if names := renaming(raw, query):
            told = ", ".join(f"{name} as {meant}" for name, meant in names.items())
            notes.append(f"Of the given spines, these columns were read: {told}.")
        read.append(about(read_spine(raw, query), table))
    return Given(read[0], read[1], read[2], tuple(dict.fromkeys(notes)))


def renaming(table: pa.Table, query: Query) -> dict[str, str]:
    """Which columns of a table are meant by ``entity``, ``cutoff`` and ``target``, where none is called so.

    The entity's column is called as its key, or as a foreign key that links to it; the cutoff is the one column of
    times; the target is the one column that is left, if the other two had to be looked for as well.
    """
    found: dict[str, str] = {}
    left = [name for name in table.column_names if name not in ("entity", "cutoff", "target", "step")]
    keys = [query.key, *(link.columns[0] for link in query.graph.links_to(query.entity) if len(link.columns) == 1)]
    named = [name for key in dict.fromkeys(keys) for name in left if name.lower() == key.lower()]
    times = [name for name in left if pa.types.is_temporal(table.schema.field(name).type)]
    if "entity" not in table.column_names and named:
        found[named[0]] = "entity"
    if "cutoff" not in table.column_names and len(times) == 1:
        found[times[0]] = "cutoff"
    rest = [name for name in left if name not in found]
    if len(found) == 2 and len(rest) == 1 and "target" not in table.column_names:
        found[rest[0]] = "target"
    return found


def about(spine: pa.Table, table: Table) -> pa.Table:
    """The spine with its entities as the table's key is kept. Raises ``RequestError`` where one cannot be a key."""
    key = table.column(table.keys[0])
    entity = spine["entity"]
    try:
        return spine.set_column(spine.column_names.index("entity"), "entity", plain(entity).cast(ARROW[key.dtype]))
    except pa.ArrowException as error:
        message = f"an entity of the spine cannot be a {table.name}.{key.name}, which is {key.dtype.value}: {error}"
        raise RequestError("SPINE_ENTITY", message) from error


def target_type(query: Query) -> pa.DataType:
    """How a query's targets are kept."""
    if query.task is Task.BINARY:
        return pa.bool_()
    if query.task in (Task.REGRESSION, Task.FORECASTING):
        return pa.float64()
    if query.task in (Task.MULTILABEL, Task.RANKING) and isinstance(query.target, Aggregate) and query.target.value:
        return pa.list_(ARROW[query.target.value.dtype])
    return ARROW[query.label.dtype]


def with_target(spine: pa.Table, kind: pa.DataType) -> pa.Table:
    """The spine with its targets as this type. Raises ``RequestError`` where one cannot be."""
    target = spine["target"]
    try:
        told = plain(target)
        if pa.types.is_floating(told.type):
            told = pc.if_else(pc.is_nan(told), pa.scalar(None, told.type), told)
        return spine.set_column(spine.column_names.index("target"), "target", told.cast(kind))
    except pa.ArrowException as error:
        message = f"a target of the spine does not fit the query, whose targets are {kind}: {error}"
        raise RequestError("SPINE_TARGET", message, hint="Leave target out to have it computed.") from error
