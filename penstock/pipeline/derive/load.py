"""From a project's folder of tables to their definitions, each after those that it reads."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import pyarrow as pa

from penstock.errors import SchemaError, Span
from penstock.lake.versioned import KNOWN, Roles
from penstock.pipeline.derive.compile import Judges, compiled_python, compiled_sql
from penstock.pipeline.derive.derivation import Derivation, resolved
from penstock.pipeline.derive.directives import Directives
from penstock.pipeline.derive.kept import Compiled, Shelf
from penstock.pipeline.derive.statement import hashed
from penstock.pipeline.derive.written import PythonFile, SqlFile, python_file, sql_file

Written = SqlFile | PythonFile


def load(
    folder: str | os.PathLike[str], known: Mapping[str, pa.Schema], *, kept: Path | None = None
) -> tuple[Derivation, ...]:
    """The derived tables that a folder's ``*.sql`` and ``*.py`` files define, each after those that it reads.

    ``known`` gives the columns of the tables that nothing derives. Loading a Python file runs it. In the folder
    ``kept`` what was found of each SQL text is kept, so that it is found once. Raises ``SchemaError`` for the first
    file that cannot be right, with the place in it.
    """
    shelf = Shelf(kept)
    files = _files(Path(folder), shelf)
    _must_be_new(files, known)
    order = _ordered(files, known)
    made: dict[str, Derivation] = {}
    schemas = dict(known)
    with Judges() as judges:
        for level in order:
            judges.over({name: schemas[name] for name in _read_by(level, files, schemas)})
            for name in level:
                made[name] = _derivation(files[name], schemas, made, judges, shelf)
            schemas |= {name: made[name].schema for name in level}
    return tuple(made.values())


def _read_by(level: Sequence[str], files: Mapping[str, Written], schemas: Mapping[str, pa.Schema]) -> tuple[str, ...]:
    """The tables that some files read."""
    wanted = {mention.name for name in level for mention in files[name].mentions}
    return tuple(name for name in schemas if name.casefold() in wanted)


# ------------------------------------------------------------ files and their order


def _files(folder: Path, shelf: Shelf) -> dict[str, Written]:
    paths = sorted(
        path for path in folder.glob("*") if path.suffix in (".sql", ".py") and not path.name.startswith("_")
    )
    seen: dict[str, Path] = {}
    for path in paths:
        twin = seen.setdefault(path.stem.casefold(), path)
        if twin is not path:
            message = f"{twin.name} and {path.name} both make a table {path.stem}"
            raise SchemaError("DERIVE_TWICE", message, name=path.stem, hint="Rename one of the files.")
    return {path.stem: sql_file(path, shelf) if path.suffix == ".sql" else python_file(path) for path in paths}


def _must_be_new(files: Mapping[str, Written], known: Mapping[str, pa.Schema]) -> None:
    folded = {name.casefold(): name for name in known}
    for name, written in files.items():
        if name.casefold() in folded:
            message = f"{written.file} would make a table {folded[name.casefold()]}, which a source already fills"
            raise SchemaError("DERIVE_NAME_TAKEN", message, hint="Rename the file.")


def _ordered(files: Mapping[str, Written], known: Mapping[str, pa.Schema]) -> list[list[str]]:
    """The tables in levels: each reads only tables of the levels before it."""
    own = {name.casefold(): name for name in (*known, *files)}
    needs: dict[str, set[str]] = {}
    for name, written in files.items():
        for mention in written.mentions:
            if mention.name not in own:
                said = written.text[mention.span.start : mention.span.end].strip("\"'") or mention.name
                message = f"{written.file}: there is no table {said!r}"
                others = [one for one in own.values() if one != name]
                raise _unknown_table(message, written.text, mention.span, said, others)
        needs[name] = {own[mention.name] for mention in written.mentions} & files.keys()
    levels: list[list[str]] = []
    placed: set[str] = set()
    while len(placed) < len(files):
        level = sorted(name for name in files if name not in placed and needs[name] <= placed)
        if not level:
            _refuse_circle(files, {name: needs[name] - placed for name in needs if name not in placed})
        levels.append(level)
        placed.update(level)
    return levels


def _unknown_table(message: str, text: str, span: Span | None, name: str, there: Iterable[str]) -> SchemaError:
    return SchemaError("DERIVE_UNKNOWN_TABLE", message, text=text, span=span, name=name, candidates=sorted(there))


def _refuse_circle(files: Mapping[str, Written], needs: Mapping[str, set[str]]) -> None:
    path = [min(name for name in needs if needs[name])]
    while path[-1] not in path[:-1]:
        path.append(min(needs[path[-1]]))
    circle = path[path.index(path[-1]) :]
    first = files[circle[0]]
    span = next((one.span for one in first.mentions if one.name == circle[1].casefold()), None)
    told = " reads ".join(circle)
    hint = "A table can only read tables that are there before it: take one of these reads out."
    raise SchemaError("DERIVE_CIRCLE", f"{first.file}: {told}", text=first.text, span=span, hint=hint)


# ------------------------------------------------------------ one definition


def _derivation(
    written: Written,
    schemas: Mapping[str, pa.Schema],
    made: Mapping[str, Derivation],
    judges: Judges,
    shelf: Shelf,
) -> Derivation:
    own = {name.casefold(): name for name in schemas}
    reads = tuple(dict.fromkeys(own[mention.name] for mention in written.mentions))
    read = {name: schemas[name] for name in reads}
    wanted: Mapping[str, tuple[str, ...]] = {}
    function, end = None, None
    if isinstance(written, SqlFile):
        found = compiled_sql(written, read, judges, shelf)
        told, end = written.directives, written.outline.end
        meaning = written.outline.fingerprint
    else:
        found, wanted = compiled_python(written, read)
        told, function, meaning = _directives(written), written.function, written.fingerprint
    roles, known = _roles(told, found, written, [*schemas, written.name])
    through = resolved(found.columns, reads, made)
    return Derivation(
        written.name, "sql" if function is None else "python", written.file, written.text, roles, known, reads,
        _fingerprint(meaning, roles, known), found.schema, found.columns.values, found.columns.uses, through.values,
        through.uses, found.shape, told.incremental, told.description, found.notes, function, wanted, end,
    )  # fmt: skip


def _directives(written: PythonFile) -> Directives:
    told = written.declared
    return Directives(told.key, told.time, told.known, told.links or {}, description=told.description)


def _fingerprint(meaning: str, roles: Roles, known: str | None) -> str:
    told = [meaning, roles.key, roles.happened, sorted((roles.links or {}).items()), known]
    return hashed(json.dumps(told))


def _roles(told: Directives, found: Compiled, written: Written, tables: Sequence[str]) -> tuple[Roles, str | None]:
    def column(name: str, directive: str, *, timely: bool = False) -> str:
        return _column(name, directive, found.schema, written, told, timely=timely)

    key = tuple(column(name, "key") for name in told.key)
    happened = column(told.time, "time", timely=True) if told.time else None
    known = column(told.known, "known", timely=True) if told.known else None
    own = {name.casefold(): name for name in tables if name != KNOWN}
    links = {}
    for name, table in told.links.items():
        if table.casefold() not in own:
            message = f"{written.file}: there is no table {table!r} to link to"
            raise _unknown_table(message, written.text, told.spans.get("links"), table, own.values())
        links[column(name, "links")] = own[table.casefold()]
    return Roles(key, happened, links or None, f"tables/{written.file}"), known


def _column(name: str, directive: str, schema: pa.Schema, written: Written, told: Directives, *, timely: bool) -> str:
    """A column's own name. Raises ``SchemaError`` where the query gives none, or no time where one is needed."""
    own: dict[str, str] = {one.casefold(): one for one in schema.names}
    span = told.spans.get(directive)
    text = written.text if span else None
    if name.casefold() not in own:
        message = f"{written.file}: '{directive}' names {name!r}, which is no column of the table"
        raise SchemaError("DERIVE_UNKNOWN_COLUMN", message, text=text, span=span, name=name, candidates=schema.names)
    found = own[name.casefold()]
    kind = schema.field(found).type
    if timely and not (pa.types.is_timestamp(kind) or pa.types.is_date(kind)):
        message = f"{written.file}: '{directive}' needs a date or an instant, and {found} is {kind}"
        raise SchemaError("DERIVE_NO_TIME", message, text=text, span=span, hint=f"Cast it: CAST({found} AS TIMESTAMP).")
    return found
