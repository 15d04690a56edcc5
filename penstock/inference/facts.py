"""What is known of a database before anything is inferred: declared constraints, and evidence in the values."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import SchemaError
from penstock.schema import Dtype

_EXACT_FLOATS = 2.0**53


@dataclass(frozen=True)
class ColumnFacts:
    """A column: what its source declares and what its values show.

    ``plain`` is the dtype that the source's own type stands for, ``dtype`` the one its values read as (a text column
    that holds dates is a timestamp). ``load`` gives the values in ``dtype``; it is called at most once. ``note`` says
    what was odd in reading them.
    """

    name: str
    dtype: Dtype
    load: Callable[[], pa.ChunkedArray] = field(repr=False, compare=False)
    plain: Dtype | None = None
    load_plain: Callable[[], pa.ChunkedArray] | None = field(default=None, repr=False, compare=False)
    declared: str = ""
    note: str = ""

    @cached_property
    def values(self) -> pa.ChunkedArray:
        """All values, NULLs included, in the order of the rows."""
        return self.load()

    @cached_property
    def plain_values(self) -> pa.ChunkedArray:
        """All values as the source's own type gives them."""
        return self.values if self.load_plain is None else self.load_plain()

    @property
    def plain_dtype(self) -> Dtype:
        """The dtype of `plain_values`."""
        return self.dtype if self.plain is None else self.plain

    @cached_property
    def distinct(self) -> pa.Array:
        """Each value once, without NULL."""
        values = self.values
        if self.dtype is Dtype.LIST:
            values = pc.list_flatten(values)
        unique = pc.unique(values)
        return unique.drop_null() if unique.null_count else unique

    @cached_property
    def nulls(self) -> int:
        """How many values are NULL."""
        return int(self.values.null_count)

    @property
    def filled(self) -> int:
        """How many values are not NULL."""
        return len(self.values) - self.nulls

    @cached_property
    def unique(self) -> bool:
        """Whether no value but NULL repeats."""
        return self.dtype is not Dtype.LIST and len(self.distinct) == self.filled

    @cached_property
    def whole(self) -> bool:
        """Whether every value is a whole number, kept as an int or as a float that loses nothing."""
        if self.dtype is Dtype.FLOAT:
            numbers = self.distinct.to_numpy(zero_copy_only=False)
            return bool(np.all((np.abs(numbers) < _EXACT_FLOATS) & (numbers == np.floor(numbers))))
        return self.dtype is Dtype.INT

    @cached_property
    def mean_length(self) -> float:
        """The mean number of characters of a text value; 0 where there is none."""
        if self.dtype is not Dtype.STRING or not len(self.distinct):
            return 0.0
        return float(pc.mean(pc.utf8_length(self.distinct)).as_py())


@dataclass(frozen=True)
class DeclaredLink:
    """A foreign key that the source declares: its columns, the table it points to, and the columns there."""

    columns: tuple[str, ...]
    to: str
    to_columns: tuple[str, ...] = ()


@dataclass(frozen=True)
class TableFacts:
    """A table: its columns, its number of rows and its declared constraints."""

    name: str
    columns: tuple[ColumnFacts, ...]
    rows: int
    key: tuple[str, ...] = ()
    unique: tuple[tuple[str, ...], ...] = ()
    links: tuple[DeclaredLink, ...] = ()

    @cached_property
    def _by_name(self) -> dict[str, ColumnFacts]:
        return {column.name: column for column in self.columns}

    def column(self, name: str) -> ColumnFacts:
        """The column called so. Raises ``SchemaError`` with the ones that exist."""
        if name not in self._by_name:
            raise SchemaError(
                "SCHEMA_UNKNOWN_COLUMN",
                f"{self.name} has no column {name!r}",
                name=name,
                candidates=self._by_name,
            )
        return self._by_name[name]

    def unique_together(self, names: tuple[str, ...]) -> bool:
        """Whether no combination of values in these columns repeats and none of them is NULL."""
        columns = [self.column(name) for name in names]
        if any(column.nulls for column in columns):
            return False
        if len(columns) == 1:
            return columns[0].unique
        possible = 1.0
        for column in columns:
            possible *= len(column.distinct)
        if possible < self.rows:
            return False
        return len(np.unique(combined([c.values for c in columns], [c.distinct for c in columns]))) == self.rows


@dataclass(frozen=True)
class Facts:
    """All tables of a source."""

    tables: tuple[TableFacts, ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def _by_name(self) -> dict[str, TableFacts]:
        return {table.name: table for table in self.tables}

    def table(self, name: str) -> TableFacts:
        """The table called so. Raises ``SchemaError`` with the ones that exist."""
        if name not in self._by_name:
            raise SchemaError(
                "SCHEMA_UNKNOWN_TABLE", f"there is no table {name!r}", name=name, candidates=self._by_name
            )
        return self._by_name[name]


def combined(
    columns: list[pa.ChunkedArray], vocabularies: list[pa.Array]
) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """One number for each row's combination of values: equal for equal combinations.

    A value that its vocabulary lacks, NULL included, makes the whole row -1.
    """
    total = np.zeros(len(columns[0]), np.int64)
    missing = np.zeros(len(columns[0]), bool)
    for values, vocabulary in zip(columns, vocabularies, strict=True):
        codes = pc.fill_null(pc.index_in(values, value_set=vocabulary), -1).to_numpy().astype(np.int64)
        missing |= codes < 0
        total = total * (len(vocabulary) + 1) + codes
        if len(vocabulary) and total.size and np.abs(total).max() > 2**62 // (len(vocabulary) + 2):
            total = np.unique(total, return_inverse=True)[1].astype(np.int64)
    total[missing] = -1
    return total
