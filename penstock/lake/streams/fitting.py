"""Rows as a table's columns hold them: new fields become columns, whole numbers widen, what does not fit is told."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from penstock.lake.streams.parsing import Row
from penstock.lake.streams.values import MisfitError, WiderError, fitting, json_type_for, storage, type_for
from penstock.lake.versioned import DELETED, KNOWN

Fitted = dict[str, object]
"""A row's values that are not NULL, as `storage` has them; ``_deleted`` only where it is true."""


@dataclass(frozen=True)
class Columns:
    """A table's columns (without the lake's own two), its key, which say when and since when, which cannot change."""

    types: Mapping[str, pa.DataType]
    key: tuple[str, ...] = ()
    happened: str | None = None
    links: tuple[str, ...] = ()
    most: int = 1_000
    fixed: frozenset[str] = frozenset()
    known: str | None = None

    def draft(self) -> Draft:
        """These columns, to be fitted to rows."""
        return Draft(self)

    def batch(self, rows: Sequence[Fitted], known: Sequence[int]) -> pa.RecordBatch:
        """Fitted rows as Arrow, each with the instant at which it became known."""
        arrays = {name: _array([row.get(name) for row in rows], kind) for name, kind in self.types.items()}
        arrays[KNOWN] = _array(known, pa.timestamp("us"))
        arrays[DELETED] = pa.array([DELETED in row for row in rows], pa.bool_())
        return pa.RecordBatch.from_arrays(list(arrays.values()), list(arrays))

    @property
    def schema(self) -> pa.Schema:
        """Names and types."""
        return pa.schema(list(self.types.items()))


def _array(values: Sequence[object], kind: pa.DataType) -> pa.Array:
    """Fitted values in their column's type; a whole number fitted before its column widened is a number."""
    kept = storage(kind)
    made = pa.array(values, kept)
    return made if kept is kind else made.cast(kind)


class Draft:
    """Columns while rows are fitted: a row that does not fit leaves them as they were."""

    def __init__(self, columns: Columns) -> None:
        self._columns = columns
        self.types = dict(columns.types)
        self._fitting = {name: fitting(kind) for name, kind in self.types.items()}
        self._folded = {name.casefold() for name in self.types}

    def columns(self) -> Columns:
        """The columns as the rows so far need them."""
        return replace(self._columns, types=self.types)

    def fit(self, row: Row, *, typed: bool = False) -> Fitted:
        """A row's values; ``typed`` where its source has types of its own. Raises `MisfitError` with the reason."""
        fitted, changed = self._values(row, typed=typed)
        for name in self._columns.key:
            if name not in fitted:
                raise MisfitError(f"the key column {name!r} is missing")
        for name, kind in changed.items():
            self.types[name], self._fitting[name] = kind, fitting(kind)
            self._folded.add(name.casefold())
        return fitted

    def _values(self, row: Row, *, typed: bool) -> tuple[Fitted, dict[str, pa.DataType]]:
        fitted: Fitted = {}
        changed: dict[str, pa.DataType] = {}
        for name, value in row.items():
            if value is None:
                continue
            try:
                fit = self._fitting.get(name)
                if fit is not None:
                    fitted[name] = fit(value)
                elif name == DELETED and isinstance(value, bool):
                    fitted |= {DELETED: True} if value else {}
                else:
                    changed[name] = self._new(name, value, changed, typed=typed)
                    fitted[name] = fitting(changed[name])(value)
            except WiderError as wider:
                if name in self._columns.fixed or name in self._columns.key:
                    raise MisfitError(f"column {name!r}: {wider}") from None
                changed[name] = wider.kind
                fitted[name] = fitting(wider.kind)(value)
            except MisfitError as misfit:
                raise MisfitError(f"column {name!r}: {misfit}") from None
        return fitted, changed

    def _new(self, name: str, value: object, others: Mapping[str, pa.DataType], *, typed: bool) -> pa.DataType:
        if name in (KNOWN, DELETED):
            raise MisfitError("this name is the lake's own")
        if not name.strip() or not name.isprintable():
            raise MisfitError("this is no name for a column")
        if name in self._columns.fixed:
            raise MisfitError("the table has no such column, and it cannot be added")
        if name.casefold() in self._folded | {other.casefold() for other in others}:
            raise MisfitError("another column's name differs from this one only in case")
        if len(self.types) + len(others) >= self._columns.most:
            raise MisfitError(f"the table would have more than {self._columns.most} columns")
        if name in (self._columns.happened, self._columns.known):
            return pa.timestamp("us")
        whole = name in self._columns.key or name in self._columns.links
        return (type_for(value) if typed else json_type_for(name, value, whole=whole)) or pa.string()
