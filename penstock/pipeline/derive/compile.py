"""What a definition gives over tables with certain columns: its columns, their origins, its shape."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import TracebackType

import pyarrow as pa

from penstock.errors import SchemaError, SourceError
from penstock.lake.sql import Sql
from penstock.pipeline.derive.derivation import Columns, Shape
from penstock.pipeline.derive.judge import (
    described,
    empty,
    explained,
    kept,
    must_be_distinct,
    must_name_its_columns,
    must_read_no_files,
)
from penstock.pipeline.derive.kept import Compiled, Shelf, compiled_of, over
from penstock.pipeline.derive.origins import UnclearError, coarse, origins
from penstock.pipeline.derive.shape import shape_of
from penstock.pipeline.derive.statement import outline
from penstock.pipeline.derive.written import PythonFile, SqlFile, guarded
from penstock.settings import Settings


@dataclass
class Judges:
    """DuckDB over empty tables, opened when first asked: with ``_known`` in each table, or without."""

    schemas: Mapping[str, pa.Schema] = field(default_factory=dict)
    _open: dict[bool, Sql] = field(default_factory=dict)

    def over(self, schemas: Mapping[str, pa.Schema]) -> None:
        """Judge over these tables from now on."""
        self._close()
        self.schemas = dict(schemas)

    def ask(self, body: str, *, clocked: bool) -> pa.Schema:
        """The columns that a query gives. Raises ``SourceError``."""
        if clocked not in self._open:
            tables = {name: empty(schema, clocked=clocked) for name, schema in self.schemas.items()}
            one_thread = replace(Settings.from_environment(), threads=1)
            self._open[clocked] = Sql(tables, settings=one_thread)
        return described(self._open[clocked], body)

    def _close(self) -> None:
        for sql in self._open.values():
            sql.__exit__()
        self._open.clear()

    def __enter__(self) -> Judges:
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._close()


def compiled_sql(written: SqlFile, read: Mapping[str, pa.Schema], judges: Judges, shelf: Shelf) -> Compiled:
    """What a SQL file is over the tables that it reads; kept on the shelf. Raises ``SchemaError``."""
    mark = over(read)
    before = compiled_of(written.told, mark)
    if before is not None:
        return before
    found = _compiled(written, read, judges)
    shelf.keep(written.text, written.outline, mark, found)
    return found


def _compiled(written: SqlFile, read: Mapping[str, pa.Schema], judges: Judges) -> Compiled:
    text, file = written.text, written.file
    folded = {name.casefold(): {c.casefold(): c for c in _own(schema)} for name, schema in read.items()}
    owners = {name.casefold(): name for name in read}
    parsed = written.parsed or (None if written.outline.coarse else outline(text, file)[1])
    shape = Shape()
    if parsed is not None:
        must_read_no_files(parsed.tokens, text, file)
        must_be_distinct(parsed.tree, text, file)
        must_name_its_columns(parsed, text, file, {name.casefold(): schema for name, schema in read.items()})
        columns = {column for given in folded.values() for column in given}
        shape = shape_of(written.body, parsed, written.directives.incremental, columns)
    schema, shape = _judged(written, shape, read, judges)
    if parsed is None:
        why = written.outline.coarse
    else:
        try:
            return Compiled(schema, origins(parsed.tree, folded, owners, tuple(schema.names)), shape)
        except UnclearError as error:
            why = str(error)
    note = f"lineage is told by table, not by column: {why}"
    return Compiled(schema, coarse(folded, owners, tuple(schema.names)), shape, (note,))


def _own(schema: pa.Schema) -> list[str]:
    return list(empty(schema, clocked=False).column_names)


def _judged(written: SqlFile, shape: Shape, read: Mapping[str, pa.Schema], judges: Judges) -> tuple[pa.Schema, Shape]:
    """The columns that DuckDB finds; a query with the clock carried along is taken only if DuckDB takes it too."""
    if shape.carried is not None:
        try:
            return kept(judges.ask(shape.carried, clocked=True), written.file), shape
        except SourceError:
            shape = Shape()
    try:
        return kept(judges.ask(written.body, clocked=False), written.file), shape
    except SourceError as error:
        raise explained(error, written.text, written.file, read) from error


# ------------------------------------------------------------ Python


def compiled_python(
    written: PythonFile, read: Mapping[str, pa.Schema]
) -> tuple[Compiled, Mapping[str, tuple[str, ...]]]:
    """What a function gives, and the columns that it is given of each table. Raises ``SchemaError``."""
    wanted = {name: _wanted(name, schema, written) for name, schema in read.items()}
    schema = written.declared.columns
    if schema is None:
        given = {name: empty(read[name], clocked=False).select(wanted[name]) for name in read}
        schema = called(written.function, given, written.file, "it cannot make a table of empty tables").schema
    schema = kept(schema, written.file)
    everything = frozenset((name, column) for name, columns in wanted.items() for column in columns)
    columns = Columns(dict.fromkeys(schema.names, everything), everything)
    note = "lineage is told by table, not by column: a Python function makes it"
    return Compiled(schema, columns, Shape(), (note,)), wanted


def called(function: object, given: Mapping[str, pa.Table], file: str, what: str) -> pa.Table:
    """What a project's function returns of tables by folded parameter name. Raises ``SchemaError``."""
    from penstock.pipeline.derive.declare import parameters

    assert callable(function)
    folded = {name.casefold(): table for name, table in given.items()}
    try:
        with guarded(file, file, what):
            made = function(**{name: folded[name.casefold()] for name in parameters(function)})
    except SchemaError as error:
        error.hint = "Say what it returns: @penstock.table(columns=pyarrow.schema(…))." if "empty" in what else None
        raise
    if not isinstance(made, pa.Table):
        message = f"{file}: the function returns {type(made).__name__}, not a pyarrow.Table"
        raise SchemaError("DERIVE_PYTHON", message, hint="Return a pyarrow.Table.")
    return made


def _wanted(name: str, schema: pa.Schema, written: PythonFile) -> tuple[str, ...]:
    """The columns that a function is given of a table: those it declares, or all."""
    own = {column.casefold(): column for column in _own(schema)}
    told = {table.casefold(): columns for table, columns in (written.declared.reads or {}).items()}
    if name.casefold() not in told:
        return tuple(own.values())
    for column in told[name.casefold()]:
        if column.casefold() not in own:
            message = f"{written.file}: there is no column {column!r} in {name}"
            raise SchemaError("DERIVE_UNKNOWN_COLUMN", message, name=column, candidates=own.values())
    return tuple(own[column.casefold()] for column in told[name.casefold()])
