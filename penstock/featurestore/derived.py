"""Derived tables as a source gives them: their SQL run over its rows as they are now, of which few are read if few do.

What DuckDB makes of the rows here is what it makes of the lake's: the same text over columns of the same types.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import pyarrow as pa

from penstock.errors import RequestError
from penstock.lake.cursors import Cursors
from penstock.lake.rows import as_told
from penstock.lake.source import Source
from penstock.lake.sql import Sql, opened
from penstock.lake.versioned.scan import quoted
from penstock.lake.versioned.stored import stored
from penstock.lake.where import AnyOf, distinct, read_where, release
from penstock.pipeline.derive import Derivation
from penstock.pipeline.derive.narrowing import Followed, Narrowing, narrowing
from penstock.schema import Graph
from penstock.settings import Settings


@dataclass(frozen=True)
class DerivedRows:
    """Derived tables by name, made of a source's tables in the types (``schemas``) that the lake keeps them in.

    ``graph`` has the dtypes of all of them; ``versioned`` are the tables whose rows may be versions of one row.
    """

    source: Source
    derivations: Mapping[str, Derivation] = field(repr=False)
    schemas: Mapping[str, pa.Schema] = field(repr=False)
    graph: Graph = field(repr=False)
    settings: Settings = field(repr=False)
    versioned: frozenset[str] = frozenset()
    _told: dict[tuple[str, tuple[str, ...]], Narrowing | None] = field(default_factory=dict, repr=False)

    def read_where(self, name: str, columns: Sequence[str], any_of: AnyOf) -> pa.Table:
        """These columns of at least the rows that are meant. Raises ``RequestError`` (``LIVE_DERIVED``)."""
        derivation = self.derivations[name]
        self.must_be_live(name)
        tables = self._inputs(derivation, any_of)
        chosen = ", ".join(map(quoted, dict.fromkeys(columns))) or "1"
        with self._engine.one() as cursor, Sql(tables, settings=self.settings, given=cursor) as sql:
            found = sql.arrow(f"SELECT {chosen} FROM (\n{derivation.body}\n)")
        return found.select(list(columns)) if columns else found

    def must_be_live(self, name: str) -> None:
        """Raise ``RequestError`` (``LIVE_DERIVED``) for a table that cannot be made of a source's rows as they are."""
        derivation = self.derivations[name]
        why = "a Python function makes it" if derivation.kind != "sql" else None
        for read in derivation.reads:
            if read in self.versioned:
                why = f"the rows of {read}, which it reads, are versions with a clock of their own (known)"
            elif read in self.derivations:
                self.must_be_live(read)
            elif read not in self.schemas:
                why = f"no source has {read}, which it reads"
        if why is not None:
            message = f"the derived table {name} cannot be read live: {why}"
            hint = 'Keep a store, which is made from the lake: [online] store = ".penstock/online"'
            raise RequestError("LIVE_DERIVED", message, name=name, hint=hint)

    def close(self) -> None:
        """Let go of the engine, and of the source's connections."""
        self._engine.close()
        release(self.source)

    @cached_property
    def _engine(self) -> Cursors:
        return Cursors(lambda: opened(self.settings))

    # ------------------------------------------------------------ inputs

    def _narrowing(self, derivation: Derivation, columns: tuple[str, ...]) -> Narrowing | None:
        asked = derivation.name, columns
        if asked not in self._told:
            self._told[asked] = narrowing(derivation, columns)
        return self._told[asked]

    def _inputs(self, derivation: Derivation, any_of: AnyOf) -> dict[str, pa.Table]:
        """The rows of each table read that the rows meant may be made of."""
        found: dict[str, pa.Table] = {}
        told = self._narrowing(derivation, tuple(sorted({name for keys in any_of for name in keys.column_names})))
        asked = [] if told is None else [_renamed(keys, told.columns) for keys in any_of]
        if told is not None and all(keys.num_columns for keys in asked):
            found[told.table] = self._read(derivation, told.table, asked)
            for one in told.followed:
                keys = self._met(one, found[one.of])
                found[one.table] = self._read(derivation, one.table, [keys] if keys.num_columns else ())
        rest = [name for name in derivation.reads if name not in found]
        return found | {name: self._read(derivation, name, ()) for name in rest}

    def _met(self, followed: Followed, rows: pa.Table) -> pa.Table:
        """The keys of a joined table that rows say, by those of its columns that a source can be asked by."""
        said, schema = {}, self._schema(followed.table)
        for column, says in followed.equal:
            own, values = _own_name(schema.names, column), rows[_own_name(rows.column_names, says)]
            if values.type in _ASKED and schema.field(own).type == values.type:
                said[own] = values
        return distinct(pa.table(said)) if said else pa.table(said)

    def _schema(self, name: str) -> pa.Schema:
        return self.derivations[name].schema if name in self.derivations else self.schemas[name]

    def _read(self, derivation: Derivation, name: str, any_of: AnyOf) -> pa.Table:
        """The columns of a table that a definition names, in the types that the lake keeps them in."""
        schema, everything = self._schema(name), derivation.direct_uses.union(*derivation.direct.values())
        keys = {column for one in any_of for column in one.column_names}
        named = [one for one in schema.names if (name, one) in everything or one in keys]
        columns = named or schema.names[:1]
        if name in self.derivations:
            raw = self.read_where(name, columns, any_of)
        else:
            raw = read_where(self.source, name, columns, any_of)
        return pa.table({one: self._kept(name, one, raw[one], schema.field(one).type) for one in columns})

    def _kept(self, table: str, name: str, values: pa.ChunkedArray, kind: pa.DataType) -> pa.ChunkedArray:
        try:
            return stored(values, kind)
        except (pa.ArrowInvalid, pa.ArrowNotImplementedError):  # texts that stand for dates or numbers, and the like
            return stored(as_told(self.graph.table(table), name, values), kind)


_ASKED = (pa.int64(), pa.string(), pa.timestamp("us"))
"""Types of keys that a source can be asked for."""


def _renamed(keys: pa.Table, columns: Mapping[str, str]) -> pa.Table:
    """Keys of a derived table by the columns that those which are taken as they are come from."""
    told = {columns[name]: keys[name] for name in keys.column_names if name in columns}
    return distinct(pa.table(told)) if told else pa.table(told)


def _own_name(names: Sequence[str], column: str) -> str:
    """A column's own name, however a query spells it."""
    return next(name for name in names if name.casefold() == column.casefold())


__all__ = ["DerivedRows"]
