"""A table as a stream of record batches from one moment of its source."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

REJECTED = pa.schema([("file", pa.string()), ("row", pa.int64()), ("reason", pa.string()), ("raw", pa.string())])
"""Rows that were refused: the file and row (from 1) they came from where there is one, why, and what they held."""


@dataclass(frozen=True, slots=True)
class FeedColumn:
    """A column of a source: its own name of the type, and the type in which the lake keeps the values."""

    name: str
    type: str
    kind: pa.DataType


@dataclass(frozen=True, slots=True)
class Bound:
    """Rows whose ``column`` is in ``[low, high)`` (None: no end); with ``nulls``, those where it is NULL, too."""

    column: FeedColumn
    low: pa.Scalar | None = None
    high: pa.Scalar | None = None
    nulls: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is read: columns in this order, of the rows in a bound, by growing ``order`` from ``after`` on."""

    columns: tuple[FeedColumn, ...]
    bound: Bound | None = None
    order: tuple[FeedColumn, ...] = ()
    after: tuple[pa.Scalar, ...] = ()


@dataclass(frozen=True)
class Feed:
    """A source's table, opened: every reading of it sees the same moment.

    ``batches`` gives the wanted columns in the source's own Arrow types; once all were taken, ``rejected`` gives what
    it could not even give as rows, and ``found`` what was odd. ``snapshot`` names the moment. ``key`` is the declared
    primary key, ``rows`` an estimate. ``orders`` says that rows can be asked for by growing key.
    """

    name: str
    snapshot: str
    columns: tuple[FeedColumn, ...]
    batches: Callable[[Wanted], Iterator[pa.RecordBatch]]
    key: tuple[str, ...] = ()
    rows: int | None = None
    orders: bool = False
    rejected: Callable[[], pa.Table] = REJECTED.empty_table
    notes: tuple[str, ...] = ()
    found: Callable[[], tuple[str, ...]] = tuple


@dataclass(frozen=True, slots=True)
class Speech:
    """How a database writes names, values of a column's type, and a column to be compared byte by byte."""

    quoted: Callable[[str], str]
    value: Callable[[FeedColumn, pa.Scalar], str]
    compared: Callable[[FeedColumn], str]


def condition(wanted: Wanted, speech: Speech) -> str:
    """The WHERE and ORDER BY of what is wanted; empty for all rows in any order."""
    parts = [_bounded(wanted.bound, speech)] if wanted.bound else []
    if wanted.after:
        pairs = list(zip(wanted.order, wanted.after, strict=True))
        names = ", ".join(speech.compared(column) for column, _ in pairs)
        values = ", ".join(speech.value(column, value) for column, value in pairs)
        parts.append(f"({names}) > ({values})")
    where = f" WHERE {' AND '.join(parts)}" if parts else ""
    order = ", ".join(speech.compared(column) for column in wanted.order)
    return f"{where} ORDER BY {order}" if order else where


def _bounded(bound: Bound, speech: Speech) -> str:
    name = speech.compared(bound.column)
    parts = [f"{name} >= {speech.value(bound.column, bound.low)}"] if bound.low is not None else []
    parts += [f"{name} < {speech.value(bound.column, bound.high)}"] if bound.high is not None else []
    within = " AND ".join(parts) or "1 = 1"
    return f"({within} OR {speech.quoted(bound.column.name)} IS NULL)" if bound.nulls else f"({within})"


def value_text(value: pa.Scalar) -> str:
    """A value as text: instants as ``2026-01-31 10:00:00.000000``.

    >>> value_text(pa.scalar(0, pa.timestamp("us"))), value_text(pa.scalar(7))
    ('1970-01-01 00:00:00.000000', '7')
    """
    if pa.types.is_timestamp(value.type):
        return str(value.as_py().isoformat(" ", "microseconds"))
    return str(value.as_py())


def single_quoted(value: str) -> str:
    """A text as standard SQL quotes it."""
    return "'" + value.replace("'", "''") + "'"


def named(columns: Sequence[FeedColumn]) -> tuple[str, ...]:
    """The columns' names."""
    return tuple(column.name for column in columns)
