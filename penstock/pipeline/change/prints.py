"""What is noted of each column at each ingest, so that it is known again under another name."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.lake.versioned.stored import stored_type
from penstock.pipeline.change.sketch import Sketch, hashed, instants

SAMPLE = 100_000
"""Rows that are looked at, spread over all there are."""
PLACES = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)
"""Which quantiles are kept."""
_COMMON = 16
_LETTERS = {"digits": "0-9", "capitals": "A-Z", "small": "a-z", "spaces": r"\s"}
_GLANCE = 2_000
Family = Literal["number", "instant", "text", "truth", "other"]


@dataclass(frozen=True)
class ColumnPrint:
    """A column's fingerprint: what it is called, where it stands, and what its values are like.

    ``type`` is the Arrow type in which lake tables keep it, ``position`` counts from 0, ``rows`` were seen, of which
    the share ``nulls`` was NULL; ``distinct`` counts the different values among them. ``quantiles`` (at `PLACES`,
    least and greatest included) are of numbers, and of instants in microseconds since 1970. ``length`` is the mean
    length of texts and ``letters`` the shares of digits, capitals, small letters and spaces in them. ``common`` are the
    most frequent values' hashes with their shares, ``sketch`` is a sample of all values' hashes.
    """

    name: str
    type: str
    position: int
    rows: int = 0
    nulls: float = 0.0
    distinct: int = 0
    quantiles: tuple[float, ...] = ()
    length: float | None = None
    letters: tuple[float, ...] = ()
    common: tuple[tuple[str, float], ...] = ()
    sketch: Sketch = field(default_factory=Sketch)

    @property
    def filled(self) -> int:
        """Rows seen that were not NULL."""
        return round(self.rows * (1 - self.nulls))

    @property
    def least(self) -> float | None:
        """The least number or instant."""
        return self.quantiles[0] if self.quantiles else None

    @property
    def greatest(self) -> float | None:
        """The greatest number or instant."""
        return self.quantiles[-1] if self.quantiles else None

    @property
    def family(self) -> Family:
        """What kind of values it has, whatever their width."""
        return family_of(self.type)

    def __str__(self) -> str:
        told = f"{self.name} ({self.type}): {self.distinct:,} values in {self.rows:,} rows"
        nulls = f", {self.nulls:.0%} NULL" if self.nulls else ""
        spread = (
            f", {self.quantiles[0]:g} to {self.quantiles[-1]:g}" if self.family == "number" and self.quantiles else ""
        )
        return told + nulls + spread

    def to_dict(self) -> dict[str, object]:
        """The print as plain values for JSON."""
        return {**asdict(self), "sketch": self.sketch.text}

    @classmethod
    def from_dict(cls, told: Mapping[str, Any]) -> ColumnPrint:
        """The print that `to_dict` told."""
        known = {one.name: told[one.name] for one in fields(cls) if one.name in told}
        lists = {name: tuple(known.get(name, ())) for name in ("quantiles", "letters")}
        common = tuple((str(value), float(share)) for value, share in known.get("common", ()))
        return cls(**{**known, **lists, "common": common, "sketch": Sketch(known.get("sketch", ""))})


def to_text(columns: Iterable[ColumnPrint]) -> str:
    """Prints as text, about a kilobyte a column, to be kept until the next comparison."""
    return json.dumps([column.to_dict() for column in columns], separators=(",", ":"), ensure_ascii=False)


def from_text(text: str) -> tuple[ColumnPrint, ...]:
    """The prints that `to_text` wrote; none in an empty text."""
    return tuple(map(ColumnPrint.from_dict, json.loads(text or "[]")))


def family_of(kind: str) -> Family:
    """The family of an Arrow type's name.

    >>> family_of("decimal128(9, 2)"), family_of("timestamp[us]"), family_of("list<item: string>")
    ('number', 'instant', 'other')
    """
    if kind.startswith(("int", "uint", "decimal", "float", "double", "halffloat")):
        return "number"
    if kind.startswith(("timestamp", "date", "time")):
        return "instant"
    return "truth" if kind == "bool" else "text" if kind in {"string", "large_string"} else "other"


def prints(rows: pa.Table | Iterable[pa.RecordBatch], sample: int = SAMPLE) -> tuple[ColumnPrint, ...]:
    """The print of each column, from at most ``sample`` rows spread evenly; the same rows give the same prints."""
    table = rows if isinstance(rows, pa.Table) else pa.Table.from_batches(list(rows))
    if table.num_rows > sample:
        table = table.take(np.linspace(0, table.num_rows - 1, sample).astype(np.int64))
    return tuple(_print(column, at, table.column(at).combine_chunks()) for at, column in enumerate(table.schema))


def _print(column: pa.Field, position: int, values: pa.Array) -> ColumnPrint:
    if pa.types.is_dictionary(values.type):
        values = values.cast(values.type.value_type)
    kind = str(stored_type(column.type))
    filled = values.drop_null()
    blank = ColumnPrint(
        column.name, kind, position, len(values), values.null_count / len(values) if len(values) else 0.0
    )
    if not len(filled) or family_of(kind) == "other" or not _hashable(filled.type):
        return blank
    counted = filled.value_counts()
    distinct, counts = counted.field(0), np.asarray(counted.field(1))
    hashes = hashed(distinct)
    known = replace(blank, distinct=len(distinct), common=_common(hashes, counts), sketch=Sketch.of(np.unique(hashes)))
    if blank.family == "text":
        return replace(known, length=_length(filled), letters=_letters(distinct))
    return replace(known, quantiles=_quantiles(filled))


def _hashable(kind: pa.DataType) -> bool:
    return not (pa.types.is_nested(kind) or pa.types.is_null(kind) or isinstance(kind, pa.BaseExtensionType))


def _common(hashes: np.ndarray, counts: np.ndarray) -> tuple[tuple[str, float], ...]:
    order = np.lexsort((hashes, -counts))[:_COMMON]
    total = int(counts.sum())
    return tuple((f"{hashes[at]:016x}", round(int(counts[at]) / total, 6)) for at in order)


def _quantiles(values: pa.Array) -> tuple[float, ...]:
    plain = instants(values) if pa.types.is_temporal(values.type) else values
    numbers = np.asarray(pc.cast(plain, pa.float64(), safe=False))
    numbers = numbers[np.isfinite(numbers)]
    return tuple(map(float, np.quantile(numbers, PLACES))) if len(numbers) else ()


def _length(values: pa.Array) -> float:
    if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
        return float(pc.mean(pc.utf8_length(values)).as_py())
    return float(pc.mean(pc.binary_length(pc.cast(values, pa.binary()))).as_py())


def _letters(distinct: pa.Array) -> tuple[float, ...]:
    """Shares of each sort of letter in the values, those few first by their hash so that order does not matter."""
    if not (pa.types.is_string(distinct.type) or pa.types.is_large_string(distinct.type)):
        return ()
    few = pc.utf8_slice_codeunits(distinct.take(np.argsort(hashed(distinct), kind="stable")[:_GLANCE]), 0, 100)
    total = pc.sum(pc.utf8_length(few)).as_py() or 0
    counts = [pc.sum(pc.count_substring_regex(few, f"[{letters}]")).as_py() or 0 for letters in _LETTERS.values()]
    return tuple(round(count / total, 4) for count in counts) if total else ()
