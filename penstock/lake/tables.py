"""Writes Arrow tables as one DuckDB file whose keys and links are declared."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from graphlib import TopologicalSorter
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, TypeAlias

import pyarrow as pa

from penstock.errors import SourceError

if TYPE_CHECKING:
    import duckdb

ForeignKey: TypeAlias = tuple[str, str, str]
"""A table, its column, and the table whose key that column holds."""


def write_duckdb(
    path: str | os.PathLike[str],
    tables: Mapping[str, pa.Table],
    keys: Mapping[str, str] | None = None,
    links: Iterable[ForeignKey] = (),
) -> Path:
    """Write the tables to a DuckDB file at ``path`` and return it; a file already there is replaced as a whole.

    ``keys`` names each table's primary key, ``links`` the foreign keys; both are declared, so DuckDB checks them
    (but for a link of a table to itself: DuckDB would refuse a row that comes together with its parent).
    The file appears complete or not at all: it is written beside its place and then renamed. Raises
    ``SourceError`` when the rows break a declared key or link, or the place cannot be written.
    """
    import duckdb

    target, declared = Path(path), tuple(links)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as folder:
            draft = Path(folder) / "draft.duckdb"
            with duckdb.connect(draft) as connection:
                for name in _parents_first(tables, declared):
                    _write_table(connection, name, tables[name], _constraints(name, keys or {}, declared))
            draft.replace(target)
    except duckdb.ConstraintException as error:
        raise SourceError("TABLES_BREAK_A_KEY", f"the rows break a declared key or link: {error}") from error
    except (OSError, duckdb.IOException) as error:
        hint = "Name a file in a folder that you may write to."
        raise SourceError("CANNOT_WRITE", f"cannot write {target}: {error}", hint=hint) from error
    return target


def _parents_first(tables: Mapping[str, pa.Table], links: tuple[ForeignKey, ...]) -> list[str]:
    order = TopologicalSorter({name: {to for table, _, to in links if table == name} - {name} for name in tables})
    return list(order.static_order())


def _constraints(name: str, keys: Mapping[str, str], links: tuple[ForeignKey, ...]) -> list[str]:
    key = [f"PRIMARY KEY ({_quoted(keys[name])})"] if name in keys else []
    return key + [
        f"FOREIGN KEY ({_quoted(column)}) REFERENCES {_quoted(to)} ({_quoted(keys[to])})"
        for table, column, to in links
        if table == name != to
    ]


def _write_table(connection: duckdb.DuckDBPyConnection, name: str, rows: pa.Table, constraints: list[str]) -> None:
    connection.register("incoming", rows)
    described = connection.execute("DESCRIBE SELECT * FROM incoming").fetchall()
    columns = [f"{_quoted(column)} {kind}" for column, kind, *_ in described]
    connection.execute(f"CREATE TABLE {_quoted(name)} ({', '.join(columns + constraints)})")
    connection.execute(f"INSERT INTO {_quoted(name)} SELECT * FROM incoming")
    connection.unregister("incoming")


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
