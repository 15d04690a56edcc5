"""DuckDB's part: which rows belong to which key, what is true of them and when, in time order.

Every table is read through a *relation*: its columns plus three instants in microseconds, ``_h`` (happened, NULL
without a clock) and ``[_from, _until)``, the time during which this row is what the database shows. A row shows from
when it has happened and is known, until a newer version of it, or its deletion, is known; a row of a table with a
clock that does not say when it happened never shows. Looking up a parent's
column keeps those intervals: the pair of rows shows while both do, and before the parent shows its columns are NULL.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import count
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.engine.compile import identifier
from penstock.errors import is_interrupt
from penstock.interrupts import busy
from penstock.plan import Rows
from penstock.schema import Dtype, Table
from penstock.settings import Settings
from penstock.window import BEGINNING, END

if TYPE_CHECKING:
    from collections.abc import Iterator

    import duckdb

TYPES = {
    Dtype.INT: "BIGINT",
    Dtype.FLOAT: "DOUBLE",
    Dtype.BOOL: "BOOLEAN",
    Dtype.STRING: "VARCHAR",
    Dtype.TIMESTAMP: "TIMESTAMP",
    Dtype.OTHER: "VARCHAR",
}
"""How DuckDB keeps each dtype."""

ARROW = {
    Dtype.INT: pa.int64(),
    Dtype.FLOAT: pa.float64(),
    Dtype.BOOL: pa.bool_(),
    Dtype.STRING: pa.string(),
    Dtype.TIMESTAMP: pa.timestamp("us"),
    Dtype.LIST: pa.list_(pa.string()),
    Dtype.OTHER: pa.string(),
}
"""How Arrow keeps each dtype."""

ROW = "number of the row"
"""A column that every table can be asked for: where its rows stand, from 0."""


def opened(settings: Settings) -> duckdb.DuckDBPyConnection:
    """A connection to a database of its own, in memory."""
    import duckdb

    config: dict[str, str | bool | int | float | list[str]] = {
        "memory_limit": f"{max(settings.memory // 2, 64 << 20)}B",
        "threads": settings.threads,
    }
    return duckdb.connect(":memory:", config=config)


@dataclass(frozen=True)
class Relational:
    """One DuckDB connection over the tables of ``rows``, with a bound on memory and threads.

    ``given`` is a connection to use that nobody else does; without one there is a database of its own.
    """

    rows: Rows
    settings: Settings
    _loaded: dict[str, pa.Table] = field(default_factory=dict, repr=False)
    _dictionaries: dict[tuple[str, str], pa.Array] = field(default_factory=dict, repr=False)
    _unique: dict[str, bool] = field(default_factory=dict, repr=False)
    _numbers: Iterator[int] = field(default_factory=count, repr=False)
    given: duckdb.DuckDBPyConnection | None = field(default=None, repr=False, compare=False)

    @cached_property
    def connection(self) -> duckdb.DuckDBPyConnection:
        """The connection, opened when first needed."""
        return opened(self.settings) if self.given is None else self.given

    def query(self, text: str) -> pa.Table:
        """The rows a query gives; an interrupt that the engine was told of is one here, too."""
        try:
            with busy(self.connection):
                return self.connection.sql(text).to_arrow_table()
        except RuntimeError as error:
            if is_interrupt(error):
                raise KeyboardInterrupt from error
            raise

    def hold(self, table: pa.Table) -> str:
        """The quoted name under which queries can read an Arrow table."""
        name = f"held_{next(self._numbers)}"
        self.connection.register(name, table)
        return identifier(name)

    def drop(self, held: str) -> None:
        """Forget a held table."""
        self.connection.unregister(held.strip('"'))

    # ------------------------------------------------------------ tables

    def source(self, table: str, columns: Iterable[str], coded: Iterable[str] = ()) -> str:
        """The quoted name of a table that holds at least these columns, and the codes of these."""
        schema = self.rows.graph.table(table)
        needed = {*columns, *schema.keys, *(c for c in (schema.happened, schema.known, schema.deleted) if c)}
        held = self._loaded.get(table)
        have = set() if held is None else set(held.column_names)
        missing = [c.name for c in schema.columns if c.name in needed and c.name not in have]
        missing += [ROW] if ROW in needed and ROW not in have else []
        uncoded = [c for c in coded if code_of(c) not in have]
        if held is None or missing or uncoded:
            held = self._extend(table, held, missing, uncoded)
        return identifier(f"table_{table}")

    def _extend(self, table: str, held: pa.Table | None, missing: list[str], uncoded: list[str]) -> pa.Table:
        if missing or held is None:
            read = self._read(table, missing)
            read = read.select(missing) if missing else read
            held = (
                read
                if held is None
                else pa.table([*held.columns, *read.columns], [*held.column_names, *read.column_names])
            )
        for column in uncoded:
            self._dictionaries[table, column], codes = encode(self.rows.read(table, [column])[column])
            held = held.append_column(code_of(column), codes)
        self._loaded[table] = held
        self.connection.register(f"table_{table}", held)
        return held

    def _read(self, table: str, columns: list[str]) -> pa.Table:
        """These columns (without any the first that there is); `ROW` numbers the rows."""
        first = [self.rows.graph.table(table).columns[0].name]
        read = self.rows.read(table, [name for name in columns if name != ROW] or first)
        return read.append_column(ROW, pa.array(np.arange(read.num_rows))) if ROW in columns else read

    def read(self, table: str, columns: Sequence[str]) -> pa.Table:
        """These columns of all rows: those that queries read, where they have all of them, or else read for this."""
        held = self._loaded.get(table)
        if held is not None and {*columns} <= {*held.column_names}:
            return held.select(columns)
        return self.rows.read(table, columns)

    def dictionary(self, table: str, column: str) -> pa.Array:
        """The distinct values of a column in order: what its codes mean."""
        self.source(table, [column], [column])
        return self._dictionaries[table, column]

    def unique(self, table: str) -> bool:
        """Whether no two rows of a table share a key (versions of one row apart, which its clock tells)."""
        schema = self.rows.graph.table(table)
        if table not in self._unique and len(schema.keys) == 1 and _rise(self.rows.read(table, schema.keys)[0]):
            self._unique[table] = True
        if table not in self._unique:
            source, keys = self.source(table, schema.keys), ", ".join(map(identifier, schema.keys))
            text = f"SELECT count(*) = (SELECT count(*) FROM (SELECT DISTINCT {keys} FROM {source})) FROM {source}"
            self._unique[table] = bool(schema.keys) and bool(self.query(text)[0][0].as_py())
        return self._unique[table]

    def keys(self, table: str, key: str) -> pa.Array:
        """The distinct values of a table's key that are not NULL, in order."""
        unique = pc.unique(self.rows.read(table, [key])[key]).drop_null()
        return unique.take(pc.array_sort_indices(unique))

    def count(self, table: str) -> int:
        """How many rows a table holds."""
        rows = self.rows.graph.table(table).rows
        if rows is None:
            self.source(table, ())
            rows = self._loaded[table].num_rows
        return rows

    # ------------------------------------------------------------ relations

    def relation(self, table: str, columns: Sequence[str], *, final: bool, coded: Sequence[str] = ()) -> str:
        """The table as a subquery with its clocks; ``final`` gives only how things turned out, shown for ever."""
        schema = self.rows.graph.table(table)
        source = self.source(table, columns, coded)
        chosen = [identifier(c) for c in dict.fromkeys([*columns, *schema.keys])] + [
            identifier(code_of(c)) for c in coded
        ]
        happened = _micros(schema.happened)
        if schema.known is None:
            kept = [f"{identifier(schema.happened)} IS NOT NULL"] if schema.happened else []
            kept += [f"NOT coalesce({identifier(schema.deleted)}, FALSE)"] if schema.deleted else []
            where = f" WHERE {' AND '.join(kept)}" if kept else ""
            shown = f"{BEGINNING}::BIGINT" if schema.happened is None else happened
            clocks = f"{happened} AS _h, {shown} AS _from, {END}::BIGINT AS _until"
            return f"(SELECT {', '.join(chosen)}, {clocks} FROM {source}{where})"
        return f"({self._versions(schema, source, chosen, final=final)})"

    def _versions(self, schema: Table, source: str, chosen: list[str], *, final: bool) -> str:
        learnt, gone, happened = _learnt(schema), _gone(schema), _micros(schema.happened)
        until = f"{END}::BIGINT"
        if schema.keys:
            self.source(schema.name, (column.name for column in schema.columns))
            until = f"CASE WHEN {_keyless(schema)} THEN {END} ELSE coalesce({_replaced(schema)}, {END}) END"
        clocks = f"{happened} AS _h, {learnt} AS _learnt, {gone} AS _gone, {until} AS _until"
        inner = f"SELECT {', '.join(chosen)}, {clocks} FROM {source}"
        shown = "greatest(_learnt, coalesce(_h, _learnt))"
        keep = f"NOT _gone AND {shown} < _until" + (f" AND _until = {END}" if final else "")
        keep += " AND _h IS NOT NULL" if schema.happened else ""
        return f"SELECT {', '.join(chosen)}, _h, {shown} AS _from, _until FROM ({inner}) WHERE {keep}"

    def superseded(self, table: str) -> pa.Table:
        """The rows of a table with a clock and a key that a newer version replaces: ``row``, and ``until`` when.

        Only keys that several rows share are put in order, for they are few as a rule.
        """
        schema = self.rows.graph.table(table)
        source = self.source(table, [ROW, *(column.name for column in schema.columns)])
        keys = ", ".join(map(identifier, schema.keys))
        many = f"SELECT {keys} FROM {source} WHERE NOT ({_keyless(schema)}) GROUP BY {keys} HAVING count(*) > 1"
        rows = (
            f"SELECT {identifier(ROW)} AS row, {_replaced(schema)} AS until FROM {source} SEMI JOIN many USING ({keys})"
        )
        return self.query(f"WITH many AS ({many}) SELECT row, until FROM ({rows}) WHERE until IS NOT NULL")

    def keyed(self, table: str, columns: Sequence[str], *, final: bool, coded: Sequence[str] = ()) -> str:
        """The relation with at most one row a key at every instant.

        Rows that share a key without a clock to tell them apart give the last of them by content.
        """
        schema = self.rows.graph.table(table)
        if schema.known is not None or self.unique(table):
            return self.relation(table, columns, final=final, coded=coded)
        everything = self.relation(table, [column.name for column in schema.columns], final=final, coded=coded)
        keys, order = ", ".join(map(identifier, schema.keys)), ", ".join(f"{c} DESC" for c in _content(schema))
        return f"(SELECT * FROM {everything} QUALIFY row_number() OVER (PARTITION BY {keys} ORDER BY {order}) = 1)"

    def lookup(self, table: str, columns: Sequence[str], *, final: bool, coded: Sequence[str] = ()) -> str:
        """The keyed relation with a row of NULLs for each key and time at which nothing shows."""
        relation = self.keyed(table, columns, final=final, coded=coded)
        schema = self.rows.graph.table(table)
        if final or (schema.happened is None and schema.known is None):
            return relation
        keys = [identifier(k) for k in schema.keys]
        chosen = [identifier(n) for n in [*dict.fromkeys([*columns, *schema.keys]), *map(code_of, coded)]]
        blank = ", ".join(c if c in keys else f"NULL AS {c}" for c in chosen)
        window = f"OVER (PARTITION BY {', '.join(keys)} ORDER BY _from)"
        return (
            f"(WITH shown AS (SELECT * FROM {relation}), "
            f"gaps AS (SELECT *, lead(_from, 1, {END}) {window} AS _next, row_number() {window} AS _nth FROM shown) "
            f"SELECT {', '.join(chosen)}, _from, _until FROM shown UNION ALL "
            f"SELECT {blank}, {BEGINNING}, _from FROM gaps WHERE _nth = 1 UNION ALL "
            f"SELECT {blank}, _until, _next FROM gaps WHERE _until < _next)"
        )


def encode(column: pa.ChunkedArray) -> tuple[pa.Array, pa.Array]:
    """A column's distinct values in order, and for each row the place of its value there (-1 for NULL)."""
    encoded = column.combine_chunks().dictionary_encode()
    if isinstance(encoded, pa.ChunkedArray):
        encoded = pa.concat_arrays(encoded.chunks)
    order = pc.array_sort_indices(encoded.dictionary)
    rank = np.empty(len(order), np.int32)
    rank[order.to_numpy()] = np.arange(len(order), dtype=np.int32)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    placed = np.where(codes >= 0, rank[codes] if len(rank) else -1, -1).astype(np.int32)
    return encoded.dictionary.take(order), pa.array(placed)


def _content(schema: Table) -> list[str]:
    """Everything a row says, to order rows that nothing else orders."""
    return [*([identifier(schema.happened)] if schema.happened else []), *(identifier(c.name) for c in schema.columns)]


def _learnt(schema: Table) -> str:
    """When a row became known: at the latest when it happened, and before everything where nothing says so."""
    return f"coalesce({_micros(schema.known)}, {_micros(schema.happened)}, {BEGINNING})"


def _gone(schema: Table) -> str:
    return f"coalesce({identifier(schema.deleted)}, FALSE)" if schema.deleted else "FALSE"


def _keyless(schema: Table) -> str:
    return " OR ".join(f"{identifier(key)} IS NULL" for key in schema.keys)


def _replaced(schema: Table) -> str:
    """When the next version of a row became known; NULL without one."""
    keys, learnt = ", ".join(map(identifier, schema.keys)), _learnt(schema)
    order = ", ".join([learnt, _gone(schema), *_content(schema)])
    return f"lead({learnt}) OVER (PARTITION BY {keys} ORDER BY {order})"


def _rise(column: pa.ChunkedArray) -> bool:
    """Whether whole numbers only rise, so that no two of them are the same."""
    if not pa.types.is_integer(column.type) or column.null_count:
        return False
    numbers = column.to_numpy()
    return bool((numbers[1:] > numbers[:-1]).all())


def code_of(column: str) -> str:
    """The name of the column that holds a column's codes."""
    return f"code of {column}"


def _micros(column: str | None) -> str:
    return "NULL::BIGINT" if column is None else f"epoch_us({identifier(column)})"
