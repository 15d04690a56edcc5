"""From a model's numbers to the columns of an answer, by what the calibration rows taught.

A finish is fitted once a model: it knows how to read the target, and how to turn the model's output for new rows into
columns. Yes or no: ``probability, low, high, confidence, prediction``. Numbers: ``prediction, low, high, confidence``.
Classes and labels: ``class, probability``, one row each for every row asked.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from penstock.learning.calibration import calibrate
from penstock.learning.calibration.calibrate import Floats, VennAbers
from penstock.learning.calibration.conformal import Conformal, conformal, newest
from penstock.learning.encoding.matrix import numbers
from penstock.learning.rows.dataset import Array, Rows

Answer: TypeAlias = dict[str, Any]
MOST_CLASSES = 50
MOST_LABELS = 30
_RARE = 5


class Finish(Protocol):
    """How a task's answer is read off a model's output."""

    @property
    def kind(self) -> str:
        """The name under which `from_dict` finds its class."""
        ...

    def estimates(self, output: Floats) -> Floats:
        """The answer alone: a probability or number a row, or a probability a class."""
        ...

    def columns(self, output: Floats, group: Rows | None) -> Answer:
        """The columns of the answer; rows × classes of them for classes and labels, row by row."""
        ...

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        ...


@dataclass(frozen=True)
class Chance:
    """Yes or no, with Venn-Abers bounds; ``rate`` is how often it was yes in training."""

    bounds: VennAbers
    rate: float
    kind = "chance"

    def estimates(self, output: Floats) -> Floats:
        """The calibrated probability."""
        return self.bounds.probability(output)[0]

    def columns(self, output: Floats, group: Rows | None) -> Answer:  # noqa: ARG002  the same for every task
        """probability, low, high, confidence = 1 - (high - low), and prediction: more likely than not."""
        probability, low, high = self.bounds.probability(output)
        likely = probability >= 0.5
        return {
            "probability": probability,
            "low": low,
            "high": high,
            "confidence": 1 - (high - low),
            "prediction": likely,
        }

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"kind": self.kind, "bounds": self.bounds.to_dict(), "rate": self.rate}


@dataclass(frozen=True)
class Amount:
    """A number, with conformal bounds; ``mean`` and ``median`` of the target in training."""

    bounds: Conformal
    mean: float
    median: float
    kind = "amount"

    def estimates(self, output: Floats) -> Floats:
        """The number, moved to where the target can be."""
        return self.bounds.within(output)

    def columns(self, output: Floats, group: Rows | None) -> Answer:
        """prediction, low, high, and confidence: 1 - width relative to the label's spread."""
        output = self.estimates(output)
        low, high = self.bounds.interval(output, group)
        return {"prediction": output, "low": low, "high": high, "confidence": self.bounds.confidence(low, high)}

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"kind": self.kind, "bounds": self.bounds.to_dict(), "mean": self.mean, "median": self.median}


@dataclass(frozen=True)
class Classes:
    """One of several classes: their values, their shares in training, and the power that calibrates."""

    values: tuple[Any, ...]
    shares: tuple[float, ...]
    dtype: str
    power: float = 1.0
    kind = "classes"

    @classmethod
    def of(cls, target: Array) -> Classes:
        """The classes of a training target, commonest first; those with fewer than five rows, or beyond the fiftieth,
        cannot be predicted."""
        values, counts = _counted(target)
        kept = max(2, min(MOST_CLASSES, int(np.sum(counts >= _RARE))))
        shares = counts / counts.sum()
        return cls(tuple(values[:kept]), tuple(shares[:kept].tolist()), _dtype(target))

    def codes(self, target: Array) -> Rows:
        """The place of each row's class; -1 for one that cannot be predicted."""
        return _places(target, self.values, self.dtype)

    def estimates(self, output: Floats) -> Floats:
        """Calibrated probabilities, rows × classes."""
        return calibrate.tempered(output.reshape(-1, len(self.values)), self.power)

    def columns(self, output: Floats, group: Rows | None) -> Answer:  # noqa: ARG002  the same for every task
        """class and probability, one row a class."""
        return _long(self.values, self.dtype, self.estimates(output))

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        plain = {"values": list(self.values), "shares": list(self.shares), "dtype": self.dtype, "power": self.power}
        return {"kind": self.kind, **plain}


@dataclass(frozen=True)
class Labels:
    """Any of several labels: their values, and their shares in training."""

    values: tuple[Any, ...]
    shares: tuple[float, ...]
    dtype: str
    kind = "labels"

    @classmethod
    def of(cls, target: Array) -> Labels:
        """The labels of a training target of lists, commonest first; those with fewer than five rows, or beyond the
        thirtieth, cannot be predicted."""
        flat = pc.list_flatten(target.combine_chunks() if isinstance(target, pa.ChunkedArray) else target)
        values, counts = _counted(flat)
        kept = max(1, min(MOST_LABELS, int(np.sum(counts >= _RARE))))
        return cls(tuple(values[:kept]), tuple((counts[:kept] / len(target)).tolist()), _dtype(flat))

    def truths(self, target: Array) -> Floats:
        """Rows × labels: 1 where the row's list has the label."""
        whole = target.combine_chunks() if isinstance(target, pa.ChunkedArray) else target
        places = _places(pc.list_flatten(whole), self.values, self.dtype)
        rows = np.asarray(pc.list_parent_indices(whole))
        truths = np.zeros((len(whole), len(self.values)))
        truths[rows[places >= 0], places[places >= 0]] = 1.0
        return truths

    def estimates(self, output: Floats) -> Floats:
        """Rows × labels: the model's own."""
        return output.reshape(-1, len(self.values))

    def columns(self, output: Floats, group: Rows | None) -> Answer:  # noqa: ARG002  the same for every task
        """class and probability, one row a label."""
        return _long(self.values, self.dtype, self.estimates(output))

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        plain = {"values": list(self.values), "shares": list(self.shares), "dtype": self.dtype}
        return {"kind": self.kind, **plain}


@dataclass(frozen=True)
class Order:
    """Items in order, by a score that is no probability."""

    kind = "order"

    def estimates(self, output: Floats) -> Floats:
        """The score itself."""
        return output

    def columns(self, output: Floats, group: Rows | None) -> Answer:  # noqa: ARG002  the same for every task
        """score."""
        return {"score": output}

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return {"kind": self.kind}


def from_dict(plain: Mapping[str, Any]) -> Chance | Amount | Classes | Labels | Order:
    """The finish that ``to_dict`` wrote."""
    if plain["kind"] == "order":
        return Order()
    if plain["kind"] == "chance":
        return Chance(VennAbers.from_dict(plain["bounds"]), plain["rate"])
    if plain["kind"] == "amount":
        return Amount(Conformal.from_dict(plain["bounds"]), plain["mean"], plain["median"])
    values, shares = tuple(plain["values"]), tuple(plain["shares"])
    if plain["kind"] == "classes":
        return Classes(values, shares, plain["dtype"], plain["power"])
    return Labels(values, shares, plain["dtype"])


def chance(held_out: Floats, truth: Floats, rate: float, cutoff: Rows | None = None) -> Chance:
    """Fit on calibration rows: what the model said, and what happened.

    Where the rows are of several windows (by ``cutoff``), the newest that are enough count.
    """
    rows = slice(None) if cutoff is None else newest(cutoff)
    return Chance(calibrate.venn_abers(held_out[rows], truth[rows]), rate)


def amount(held_out: Floats, truth: Floats, labels: Floats, group: Rows | None, cutoff: Rows | None = None) -> Amount:
    """Fit on calibration rows; ``labels`` are all targets known.

    Where the rows are of several windows (by ``cutoff``), the newest that are enough count most.
    """
    bounds = conformal(held_out, truth, labels, group, cutoff)
    return Amount(bounds, float(labels.mean()), float(np.median(labels)))


def classes(finish: Classes, held_out: Floats, truth: Rows, cutoff: Rows | None = None) -> Classes:
    """The classes with the power that fits the calibration rows, of several windows the newest that are enough."""
    rows = slice(None) if cutoff is None else newest(cutoff)
    return replace(finish, power=calibrate.temperature(held_out[rows], truth[rows]))


def truth_of(target: Array) -> Floats:
    """A target of numbers or truth values as float64."""
    return numbers(target if isinstance(target, pa.ChunkedArray) else pa.chunked_array([target]))


def _counted(values: Array) -> tuple[list[Any], npt.NDArray[np.int64]]:
    counted: Any = pc.value_counts(_decoded(values).drop_null())
    table = pa.table({"value": counted.field("values"), "count": counted.field("counts")})
    table = table.sort_by([("count", "descending"), ("value", "ascending")])
    return table["value"].to_pylist(), np.asarray(table["count"], np.int64)


def _places(values: Array, known: tuple[Any, ...], dtype: str) -> Rows:
    places: Any = pc.index_in(_decoded(values), value_set=_typed(known, dtype))
    return np.asarray(pc.fill_null(places, -1), np.int64)


def _typed(values: tuple[Any, ...], dtype: str) -> pa.Array[Any]:
    return pa.array(list(values), pa.type_for_alias(dtype))


def _dtype(values: Array) -> str:
    return str(_decoded(values).type)


def _decoded(values: Array) -> Array:
    kind = values.type
    if pa.types.is_dictionary(kind):
        return values.cast(kind.value_type)
    return values.cast(pa.string()) if pa.types.is_large_string(kind) else values


def _long(values: tuple[Any, ...], dtype: str, probabilities: Floats) -> Answer:
    repeated = _typed(values, dtype).take(pa.array(np.tile(np.arange(len(values)), len(probabilities))))
    return {"class": repeated, "probability": probabilities.ravel()}
