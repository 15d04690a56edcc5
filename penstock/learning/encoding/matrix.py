"""From a table of features to a matrix of numbers, by an encoding fitted on training rows only.

A feature becomes one column, or a few: a number is itself; a category is a code (0 for values that training did not
see often enough, and for those it never saw) and, if it has many values, how common it is and what usually came of it;
a text is its size and its themes; a list is its length and whether it holds each of its commonest elements. NULL is
NaN, but for what usually came of it. What was dropped is kept, with the reason.
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
from penstock.learning.encoding import textual
from penstock.learning.encoding.encoders import (
    Category,
    Column,
    Frequency,
    Holds,
    Length,
    Number,
    Values,
    numbers,
    texts,
)
from penstock.learning.encoding.slants import slants
from penstock.learning.encoding.targets import Past, Rate, rates
from penstock.learning.encoding.textual import Counts, Size, Theme, Words
from penstock.schema import Kind

__all__ = ["Category", "Encoding", "Frequency", "Holds", "Length", "Number", "Values", "learn", "numbers", "usual"]

MOST_CATEGORIES = 254
MOST_ELEMENTS = 20
ROWS_PER_CATEGORY = 10
ENTITIES_PER_CATEGORY = 3
FEW_CATEGORIES = 8
"""So many values are told apart by their codes alone."""
LONG_TEXT, MANY_WORDS = 20, 3
_NAMES = (Kind.CATEGORICAL, Kind.ID)
_EXACT = 2.0**24  # whole numbers beyond this are no longer exact in float32

Encoder: TypeAlias = Number | Category | Frequency | Rate | Size | Theme | Length | Holds
_ENCODERS: dict[str, Any] = {c.kind: c for c in (Number, Category, Frequency, Rate, Size, Length, Holds)}


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
        counts: dict[str, Counts] = {}
        for place, encoder in enumerate(self.encoders):
            matrix[:, place] = _encoded(encoder, table.column(encoder.feature), counts)
        return matrix

    def only(self, features: Sequence[str]) -> Encoding:
        """The part of the encoding that concerns these features."""
        wanted = set(features)
        return self.at([place for place, encoder in enumerate(self.encoders) if encoder.feature in wanted])

    def part(self, values: Values, smaller: Encoding) -> Values:
        """The columns of a matrix that a smaller encoding, made by `only`, has too."""
        wanted = set(smaller.features)
        return np.asfortranarray(values[:, [encoder.feature in wanted for encoder in self.encoders]])

    def at(self, places: Sequence[int]) -> Encoding:
        """The part of the encoding that makes these columns."""
        return Encoding(tuple(self.encoders[place] for place in places))

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; the words of a text are written once, under its feature's name."""
        known = {e.feature: e.words.to_dict() for e in self.encoders if isinstance(e, Theme)}
        return {"encoders": list(map(_plain, self.encoders)), "words": known, "dropped": self.dropped}

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> Encoding:
        """The encoding that `to_dict` wrote."""
        known = {name: Words.from_dict(name, words) for name, words in plain.get("words", {}).items()}
        encoders = tuple(_encoder(encoder, known) for encoder in plain["encoders"])
        return cls(encoders, tuple((name, why) for name, why in plain["dropped"]))


def _encoded(encoder: Encoder, column: Column, counts: dict[str, Counts]) -> Values:
    """A column; the terms of a text are counted once for all its themes."""
    if not isinstance(encoder, Theme):
        return encoder.encode(column)
    if encoder.feature not in counts:
        counts[encoder.feature] = encoder.words.count(column)
    return encoder.of(counts[encoder.feature])


def _plain(encoder: Encoder) -> dict[str, Any]:
    return {"kind": encoder.kind, **(encoder.to_dict() if isinstance(encoder, Theme) else asdict(encoder))}


def _encoder(plain: Mapping[str, Any], known: Mapping[str, Words]) -> Encoder:
    if plain["kind"] == Theme.kind:
        return Theme.from_dict(known[plain["feature"]], plain)
    values = {k: tuple(v) if isinstance(v, list) else v for k, v in plain.items() if k != "kind"}
    encoder: Encoder = _ENCODERS[plain["kind"]](**values)
    return encoder


def learn(
    table: pa.Table, entity: Any | None = None, kinds: Mapping[str, Kind] | None = None, past: Past | None = None
) -> tuple[Encoding, Values]:
    """The encoding of training rows, and their matrix.

    A category needs `ROWS_PER_CATEGORY` rows and, where ``entity`` says whose they are, `ENTITIES_PER_CATEGORY` of
    them; else it is "other". ``kinds`` says which numbers are categories, which texts are to be read, and what to
    ignore. With a ``past``, categories of many values are also encoded by what came of them: in the matrix each row
    has what was known at its own cutoff, which is not what the encoding gives for the same row later.
    Dropped: what is always NULL, never varies, equals an earlier column, or cannot be read.
    """
    owners = None if entity is None else _owners(entity)
    encoders: list[Encoder] = []
    columns: list[Values] = []
    dropped: list[tuple[str, str]] = []
    seen: dict[bytes, str] = {}
    for name in table.column_names:
        kind, reason, kept = (kinds or {}).get(name), "", False
        for encoder, values in _candidates(name, table.column(name), owners, kind, past):
            said = _redundant(values, seen, name)
            reason, kept = reason or said, kept or not said
            if not said:
                encoders.append(encoder)
                columns.append(values)
        if not kept:
            dropped.append((name, reason or _why_none(table.column(name), kind)))
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
    if meaning is Kind.IGNORED:
        return f"it is {meaning}"
    if column.null_count == len(column):
        return "it is always NULL"
    if pa.types.is_string(_plain_type(column.type)) or meaning in _NAMES:
        return "no value occurs often enough"
    return f"its type cannot be learnt from: {column.type}"


def _candidates(
    name: str, column: Column, owners: Column | None, meaning: Kind | None, past: Past | None
) -> Iterator[tuple[Encoder, Values]]:
    """Every column that could be made of a feature: its encoder, and what training rows have of it."""
    kind = _plain_type(column.type)
    if column.null_count == len(column) or meaning is Kind.IGNORED:
        return
    if pa.types.is_integer(kind) and meaning in _NAMES:
        kind = pa.string()
    if pa.types.is_string(kind):
        yield from _categories(name, column, owners, past)
        if meaning is Kind.TEXT or (meaning is None and _reads_as_text(column)):
            yield from _readings(name, column, past)
        return
    simple: list[Encoder] = []
    if pa.types.is_list(kind):
        simple = [Length(name), *(Holds(name, element) for element in _elements(column))]
    elif _is_number(kind):
        simple = [Number(name, _shift(numbers(column)))]
    yield from ((encoder, encoder.encode(column)) for encoder in simple)


def _categories(
    name: str, column: Column, owners: Column | None, past: Past | None
) -> Iterator[tuple[Encoder, Values]]:
    values, counts, entities = _counted(texts(column), owners)
    frequent = (counts >= min(ROWS_PER_CATEGORY, max(1, len(column) // 20))) & (entities >= ENTITIES_PER_CATEGORY)
    common = [value for value, often in zip(values, frequent, strict=True) if often]
    if common:
        code = Category(name, tuple(common[:MOST_CATEGORIES]))
        yield code, code.encode(column)
    if common and len(values) > MOST_CATEGORIES:
        shares = np.round(counts / max(1, int(counts.sum())), 9)
        frequency = Frequency(name, tuple(common), tuple(shares[frequent].tolist()))
        yield frequency, frequency.encode(column)
    shared = [value for value, owned in zip(values, (counts > 1) & (entities > 1), strict=True) if owned]
    if past is not None and len(shared) > FEW_CATEGORIES:
        yield from _borne_out(past, rates(name, column, shared, past))


def _borne_out(past: Past, told: Iterator[tuple[Rate | Theme, Values]]) -> Iterator[tuple[Encoder, Values]]:
    """Those that what came of the training rows bears out."""
    yield from ((encoder, values) for encoder, values in told if past.bears_out(encoder.outcome, values))


def _reads_as_text(column: Column) -> bool:
    """Whether texts of unknown meaning are long and mostly differ."""
    distinct = pc.unique(texts(column).drop_null())
    often = len(column) - column.null_count
    if 2 * len(distinct) < often or not len(distinct):
        return False
    words = np.mean([len(textual.words_of(text)) for text in distinct[:1000].to_pylist()])
    return bool(pc.mean(pc.utf8_length(distinct)).as_py() >= LONG_TEXT and words >= MANY_WORDS)


def _readings(name: str, column: Column, past: Past | None) -> Iterator[tuple[Encoder, Values]]:
    """The size of a text, its themes, and which way it leans."""
    for unit in ("characters", "words"):
        size = Size(name, unit)
        yield size, size.encode(column)
    known = textual.words(name, column)
    if known is not None:
        counts = known.count(column)
        yield from ((theme, theme.of(counts)) for theme in textual.themes(known, column))
    if known is not None and past is not None:
        yield from _borne_out(past, slants(known, column, past))


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
