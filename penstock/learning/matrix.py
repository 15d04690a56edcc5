"""From a table of features to a matrix of numbers, by an encoding fitted on training rows only.

A feature becomes one column, or a few: a number is itself; a category is a code (0 for values that training did not
see often enough, and for those it never saw); a list is its length and whether it holds each of its commonest
elements. NULL is NaN everywhere. What was dropped is kept, with the reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import RequestError
from penstock.schema import Kind

Values: TypeAlias = npt.NDArray[np.float32]
Column: TypeAlias = Any  # a pyarrow.ChunkedArray, whose stubs know less than the library

MOST_CATEGORIES = 254
MOST_ELEMENTS = 20
ROWS_PER_CATEGORY = 10
ENTITIES_PER_CATEGORY = 3
_UNREAD = (Kind.TEXT, Kind.IGNORED)
_NAMES = (Kind.CATEGORICAL, Kind.ID)
_EXACT = 2.0**24  # whole numbers beyond this are no longer exact in float32
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Number:
    """A number, moved by ``shift`` so that float32 can tell its values apart; instants are days."""

    feature: str
    shift: float = 0.0
    kind = "number"

    def encode(self, column: Column) -> Values:
        """One float32 a row; NaN for NULL and for what is not finite."""
        return narrowed(numbers(column) - self.shift if self.shift else numbers(column))


@dataclass(frozen=True)
class Category:
    """A category as a code: 1, 2, … for ``values`` (commonest first), 0 for any other."""

    feature: str
    values: tuple[str, ...]
    kind = "category"

    def encode(self, column: Column) -> Values:
        """The code of each row; NaN for NULL."""
        return _codes(texts(column), self.values)


@dataclass(frozen=True)
class Frequency:
    """A category as its share of the training rows (0 for one never seen)."""

    feature: str
    values: tuple[str, ...]
    shares: tuple[float, ...]
    kind = "frequency"

    def encode(self, column: Column) -> Values:
        """The share of each row's category; NaN for NULL."""
        codes = _codes(texts(column), self.values)
        shares = np.array((0.0, *self.shares), np.float32)
        known = ~np.isnan(codes)
        codes[known] = shares[codes[known].astype(np.int64)]
        return codes


@dataclass(frozen=True)
class Length:
    """How many elements a list has."""

    feature: str
    kind = "length"

    def encode(self, column: Column) -> Values:
        """The length of each row's list; NaN for NULL."""
        return narrowed(numbers(pc.list_value_length(column)))


@dataclass(frozen=True)
class Holds:
    """Whether a list holds an element."""

    feature: str
    element: str
    kind = "holds"

    def encode(self, column: Column) -> Values:
        """1 or 0 a row; NaN for NULL."""
        found = np.zeros(len(column), np.float32)
        whole = column.combine_chunks()
        flat, parents = texts(pa.chunked_array([pc.list_flatten(whole)])), pc.list_parent_indices(whole)
        matches = pc.fill_null(pc.equal(flat, pa.scalar(self.element)), False).combine_chunks()
        found[pc.filter(parents, matches).to_numpy(zero_copy_only=False)] = 1.0
        found[column.is_null().to_numpy()] = np.nan
        return found


Encoder: TypeAlias = Number | Category | Frequency | Length | Holds
_ENCODERS: dict[str, Any] = {c.kind: c for c in (Number, Category, Frequency, Length, Holds)}


@dataclass(frozen=True)
class Encoding:
    """How each column of the matrix is made, and what was dropped and why (feature, reason)."""

    encoders: tuple[Encoder, ...]
    dropped: tuple[tuple[str, str], ...] = field(default=(), compare=False)

    @cached_property
    def features(self) -> tuple[str, ...]:
        """The features that are used, each once, in the order of the table."""
        return tuple(dict.fromkeys(encoder.feature for encoder in self.encoders))

    @property
    def categorical(self) -> tuple[int, ...]:
        """The columns that hold codes."""
        return tuple(i for i, encoder in enumerate(self.encoders) if isinstance(encoder, Category))

    @cached_property
    def owners(self) -> npt.NDArray[np.int64]:
        """For each column of the matrix, the place of its feature in `features`."""
        place = {feature: i for i, feature in enumerate(self.features)}
        return np.array([place[encoder.feature] for encoder in self.encoders], np.int64)

    def encode(self, table: pa.Table) -> Values:
        """The matrix (rows × columns) of a table with all of `features`. Raises ``RequestError`` if it lacks one."""
        missing = [feature for feature in self.features if feature not in table.column_names]
        if missing:
            raise RequestError(
                "FEATURE_MISSING",
                f"the table lacks {len(missing)} features the model needs: {missing[0]!r}, …",
                candidates=table.column_names,
            )
        matrix = np.empty((table.num_rows, len(self.encoders)), np.float32, order="F")
        for place, encoder in enumerate(self.encoders):
            matrix[:, place] = encoder.encode(table.column(encoder.feature))
        return matrix

    def only(self, features: Sequence[str]) -> Encoding:
        """The part of the encoding that concerns these features."""
        wanted = set(features)
        return Encoding(tuple(e for e in self.encoders if e.feature in wanted))

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"encoders": [{"kind": e.kind, **asdict(e)} for e in self.encoders], "dropped": self.dropped}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Encoding:
        """The encoding that `to_dict` wrote."""
        return cls(tuple(map(_encoder, plain["encoders"])), tuple((name, why) for name, why in plain["dropped"]))


def _encoder(plain: Mapping[str, Any]) -> Encoder:
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items() if k != "kind"}
    encoder: Encoder = _ENCODERS[plain["kind"]](**values)
    return encoder


def learn(
    table: pa.Table, entity: Any | None = None, kinds: Mapping[str, Kind] | None = None
) -> tuple[Encoding, Values]:
    """The encoding of training rows, and their matrix.

    A category needs `ROWS_PER_CATEGORY` rows and, where ``entity`` says whose they are, `ENTITIES_PER_CATEGORY` of
    them; else it is "other". ``kinds`` says which numbers are categories, and what to ignore.
    Dropped: what is always NULL, never varies, equals an earlier column, or cannot be read.
    """
    owners = None if entity is None else _owners(entity)
    encoders: list[Encoder] = []
    columns: list[Values] = []
    dropped: list[tuple[str, str]] = []
    seen: dict[bytes, str] = {}
    for name in table.column_names:
        kind = (kinds or {}).get(name)
        candidates = list(_encoders(name, table.column(name), owners, kind))
        reason = "" if candidates else _why_none(table.column(name), kind)
        kept = False
        for encoder in candidates:
            values = encoder.encode(table.column(name))
            said = _redundant(values, seen, name)
            if said:
                reason = reason or said
                continue
            encoders.append(encoder)
            columns.append(values)
            kept = True
        if not kept:
            dropped.append((name, reason))
    return Encoding(tuple(encoders), tuple(dropped)), _stacked(columns, table.num_rows)


def usual(encoding: Encoding, values: Values, rows: int = 10_000) -> tuple[tuple[str, float], ...]:
    """The median of each feature that is a number, from at most about so many evenly spread rows."""
    some = values[:: -(-len(values) // rows)]
    numeric = [(i, e) for i, e in enumerate(encoding.encoders) if isinstance(e, Number)]
    known = [(e, some[:, i][~np.isnan(some[:, i])]) for i, e in numeric]
    return tuple((e.feature, round(float(np.median(v)) + e.shift, 6)) for e, v in known if len(v))


def _owners(entity: Any) -> Any:
    whole = entity.combine_chunks() if isinstance(entity, pa.ChunkedArray) else entity
    return pc.dictionary_encode(whole).indices


def _stacked(columns: list[Values], rows: int) -> Values:
    matrix = np.empty((rows, len(columns)), np.float32, order="F")
    for place, column in enumerate(columns):
        matrix[:, place] = column
    return matrix


def _redundant(values: Values, seen: dict[bytes, str], name: str) -> str:
    known = values[~np.isnan(values)]
    if len(known) == 0:
        return "it is always NULL"
    if len(known) == len(values) and known.min() == known.max():
        return "it never varies"
    digest = hashlib.blake2b((values + np.float32(0)).tobytes(), digest_size=16).digest()
    if digest in seen:
        return f"it equals {seen[digest]}"
    seen[digest] = name
    return ""


def _why_none(column: Column, meaning: Kind | None) -> str:
    if meaning in _UNREAD:
        return f"it is {meaning}"
    if column.null_count == len(column):
        return "it is always NULL"
    if pa.types.is_string(_plain_type(column.type)):
        return "no value occurs often enough"
    return f"its type cannot be learnt from: {column.type}"


def _encoders(name: str, column: Column, owners: Column | None, meaning: Kind | None) -> Iterator[Encoder]:
    kind = _plain_type(column.type)
    if column.null_count == len(column) or meaning in _UNREAD:
        return
    if pa.types.is_integer(kind) and meaning in _NAMES:
        kind = pa.string()
    if pa.types.is_list(kind):
        yield Length(name)
        yield from (Holds(name, element) for element in _elements(column))
    elif pa.types.is_string(kind):
        yield from _category(name, column, owners)
    elif _is_number(kind):
        yield Number(name, _shift(numbers(column)))


def _category(name: str, column: Column, owners: Column | None) -> Iterator[Encoder]:
    values, counts, entities = _counted(texts(column), owners)
    frequent = (counts >= min(ROWS_PER_CATEGORY, max(1, len(column) // 20))) & (entities >= ENTITIES_PER_CATEGORY)
    common = [value for value, often in zip(values, frequent, strict=True) if often]
    if not common:
        return
    yield Category(name, tuple(common[:MOST_CATEGORIES]))
    if len(values) > MOST_CATEGORIES:
        shares = np.round(counts / max(1, counts.sum()), 9)
        yield Frequency(name, tuple(common), tuple(shares[frequent].tolist()))


def _counted(column: Column, owners: Column | None) -> tuple[list[str], npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The values, how many rows and how many entities have each; most rows first, then by name."""
    mine: Any = pa.array(np.arange(len(column))) if owners is None else owners
    grouped = pa.table({"value": column, "owner": mine}).drop_null()
    counted = grouped.group_by("value").aggregate([("owner", "count"), ("owner", "count_distinct")])
    counted = counted.sort_by([("owner_count", "descending"), ("value", "ascending")])
    rows, entities = counted["owner_count"].to_numpy(), counted["owner_count_distinct"].to_numpy()
    values: list[Any] = counted["value"].to_pylist()
    return values, rows, entities if owners is not None else np.full(len(rows), 1 << 30)


def _elements(column: Column) -> list[str]:
    flat = texts(pa.chunked_array([pc.list_flatten(column.combine_chunks())]))
    values, counts, _ = _counted(flat, None)
    return [v for v, n in zip(values, counts, strict=True) if n >= ROWS_PER_CATEGORY][:MOST_ELEMENTS]


def _shift(values: npt.NDArray[np.float64]) -> float:
    """What to take off so that float32 keeps apart what float64 tells apart."""
    known = values[np.isfinite(values)]
    if len(known) == 0 or np.abs(known).max() < _EXACT:
        return 0.0
    return float(np.median(known))


def _codes(column: Column, values: tuple[str, ...]) -> Values:
    places: Any = pc.index_in(column, value_set=pa.array(values, pa.string()))
    codes: Values = (pc.fill_null(places, -1).to_numpy() + 1).astype(np.float32)
    codes[column.is_null().to_numpy()] = np.nan
    return codes


def numbers(column: Column) -> npt.NDArray[np.float64]:
    """Numbers, truth values and instants (days) as float64; NaN for NULL and for what is not finite."""
    kind = column.type
    if pa.types.is_dictionary(kind):
        column = column.cast(kind.value_type)
    if pa.types.is_temporal(kind):
        column = column.cast(pa.timestamp("us")).cast(pa.int64())
    if pa.types.is_boolean(column.type):
        column = column.cast(pa.int8())
    values = np.array(column.cast(pa.float64(), safe=False).to_numpy(), np.float64)
    values[~np.isfinite(values)] = np.nan
    return values / _DAY if pa.types.is_temporal(kind) else values


def texts(column: Column) -> Column:
    """Categories as texts, whatever type they were kept in."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    return column.cast(pa.string())


def narrowed(values: npt.NDArray[np.float64]) -> Values:
    """As float32, without overflow to infinity."""
    limit = float(np.finfo(np.float32).max)
    return np.clip(values, -limit, limit).astype(np.float32)


def _is_number(kind: pa.DataType) -> bool:
    types = pa.types
    tests = (types.is_integer, types.is_floating, types.is_boolean, types.is_decimal, types.is_timestamp, types.is_date)
    return any(test(kind) for test in tests)


def _plain_type(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_dictionary(kind):
        return pa.string()
    if pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return pa.string()
    if pa.types.is_large_list(kind):
        return pa.list_(kind.value_type)
    return kind
