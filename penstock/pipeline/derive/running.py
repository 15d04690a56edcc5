"""A definition run over the rows of its inputs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import pyarrow as pa

from penstock.errors import SchemaError, SourceError
from penstock.lake.sql import Sql
from penstock.lake.versioned import KNOWN, Scan
from penstock.lake.versioned.scan import quoted
from penstock.lake.versioned.stored import stored
from penstock.pipeline.derive.compile import called
from penstock.pipeline.derive.derivation import Derivation
from penstock.pipeline.derive.inputs import Input, clocked
from penstock.pipeline.derive.judge import explained

_BATCH = 122_880


def results(
    derivation: Derivation, inputs: Mapping[str, Input], now: int, instead: Mapping[str, Scan] | None = None
) -> Iterator[pa.RecordBatch]:
    """The definition's rows: its columns in the types they are kept in, then ``_known``.

    ``instead`` gives other rows for some inputs. Raises ``SchemaError`` where DuckDB refuses, or the columns are not
    those that the definition was loaded with.
    """
    if derivation.kind == "python":
        yield from _of_function(derivation, inputs, now)
        return
    tables: dict[str, Scan] = {name: one.scan for name, one in inputs.items()} | dict(instead or {})
    body = derivation.shape.carried if derivation.transparent else derivation.body
    assert body is not None
    if derivation.transparent:
        tables = {name: clocked(scan, inputs[name].table.roles.happened) for name, scan in tables.items()}
    with Sql(tables) as sql:
        try:
            yield from _fitted(derivation, sql.batches(_with_known(derivation, body, now), _BATCH))
        except SourceError as error:
            if error.code != "SQL_FAILED":
                raise
            read = {name: one.table.schema for name, one in inputs.items()}
            raise explained(error, derivation.text, derivation.file, read) from error


def _with_known(derivation: Derivation, body: str, now: int) -> str:
    """The SELECT with the instant at which each row was known."""
    columns = ", ".join(quoted(name) for name in derivation.schema.names)
    return f"SELECT {columns}, {_known(derivation, now)} AS {KNOWN} FROM (\n{body}\n)"


def _known(derivation: Derivation, now: int) -> str:
    if derivation.known is not None:
        return f"CAST({quoted(derivation.known)} AS TIMESTAMP)"
    if not derivation.transparent:
        return f"make_timestamp({now}::BIGINT)"
    happened = derivation.roles.happened
    if happened is None:
        return quoted(KNOWN)
    return f"CASE WHEN {KNOWN} <= TRY_CAST({quoted(happened)} AS TIMESTAMP) THEN NULL ELSE {KNOWN} END"


def _of_function(derivation: Derivation, inputs: Mapping[str, Input], now: int) -> Iterator[pa.RecordBatch]:
    with Sql({name: one.scan for name, one in inputs.items()}) as sql:
        given = {
            name: sql.arrow(f"SELECT {', '.join(map(quoted, derivation.wanted[name]))} FROM {quoted(name)}")
            for name in inputs
        }
    made = called(derivation.function, given, derivation.file, "it failed")
    missing = [name for name in derivation.schema.names if name not in made.column_names]
    more = [name for name in made.column_names if name not in derivation.schema.names]
    if missing or more:
        message = f"{derivation.file}: the function returns columns {', '.join(made.column_names)}"
        hint = f"It said, or showed on empty tables, that it returns {', '.join(derivation.schema.names)}."
        raise SchemaError("DERIVE_COLUMNS", message, name=(missing or more)[0], hint=hint)
    with Sql({"made": made}) as sql:
        yield from _fitted(derivation, sql.batches(_with_known(derivation, "SELECT * FROM made", now), _BATCH))


def _fitted(derivation: Derivation, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    """The rows in the types that they are kept in."""
    for batch in batches:
        yield fitted(derivation, batch, (KNOWN,))


def fitted(derivation: Derivation, batch: pa.RecordBatch, also: Sequence[str]) -> pa.RecordBatch:
    """The definition's columns in the types that they are kept in, then others of the batch."""
    kinds = {KNOWN: pa.timestamp("us")} | {field.name: field.type for field in derivation.schema}
    names = [*derivation.schema.names, *also]
    arrays = [
        _cast(derivation, name, batch.column(at), kinds.get(name, batch.schema.field(at).type))
        for at, name in enumerate(names)
    ]
    return pa.record_batch(arrays, names=names)


def _cast(derivation: Derivation, name: str, values: pa.Array, kind: pa.DataType) -> pa.Array:
    try:
        made = stored(pa.chunked_array([values]), kind).combine_chunks()
    except pa.ArrowInvalid as error:
        message = f"{derivation.file}: column {name} holds values that do not fit {kind}: {error}"
        raise SchemaError(
            "DERIVE_TYPE", message, name=name, hint="Cast the column to a type that holds them."
        ) from error
    return made.combine_chunks() if isinstance(made, pa.ChunkedArray) else made
