"""Comparison: which of two evaluations is the better one, and whether by more than noise.

Both must be of the same rows. Entities are drawn with replacement once for both (a paired bootstrap), so that what
makes a row hard for both cancels out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import RequestError
from penstock.learning.judging.bootstrap import draws
from penstock.learning.judging.difference import Difference, arrow, difference, signed
from penstock.learning.judging.evaluation import Evaluation
from penstock.learning.judging.outcomes import Outcomes, places_hit
from penstock.learning.rows.dataset import Rows


@dataclass(frozen=True)
class Comparison:
    """The first evaluation against the second, metric by metric, over the same rows. It prints itself as a table.

    A difference is the first's metric minus the second's, with its 90 % interval and the share of bootstrap replicates
    in which the first is better.
    """

    task: str
    rows: int
    entities: int
    first: dict[str, float]
    second: dict[str, float]
    differences: tuple[Difference, ...]

    @property
    def verdict(self) -> str:
        """In words: where the first is better or worse by more than noise."""
        told = {side: [d.metric for d in self.differences if d.verdict == side] for side in ("better", "worse")}
        named = [f"{side} in {', '.join(names)}" for side, names in told.items() if names]
        if not named:
            return "Neither is better by more than noise."
        return f"The first is {' and '.join(named)}, by more than noise."

    def __str__(self) -> str:
        heading = f"{self.task}: the same {self.rows:,} rows of {self.entities:,} entities"
        return "\n".join([heading, "", *self._table(), self.verdict])

    def _table(self) -> list[str]:
        lines: list[tuple[str, ...]] = [("", "first", "second", "difference", "90 % interval", "first better in")]
        for d in self.differences:
            ends = "–" if math.isnan(d.low) else f"{signed(d.low)} to {signed(d.high)}"
            better = "–" if math.isnan(d.better) else f"{d.better:.0%}"
            pair = (f"{side[d.metric]:,.3f}" for side in (self.first, self.second))
            lines.append((f"{d.metric} {arrow(d.metric)}".strip(), *pair, signed(d.value), ends, better))
        widths = [max(len(line[i]) for line in lines) for i in range(6)]
        return ["  ".join([line[0].ljust(widths[0]), *map(str.rjust, line[1:], widths[1:])]) for line in lines]

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON; what is undefined is None."""
        told = {"task": self.task, "rows": self.rows, "entities": self.entities, "verdict": self.verdict}
        return {**told, "differences": [{**d.to_dict(), "verdict": d.verdict} for d in self.differences]}


def compare(first: Evaluation, second: Evaluation, seed: int = 0) -> Comparison:
    """The first evaluation against the second, by a paired bootstrap clustered by entity.

    Raises ``RequestError`` if they are of different tasks, of different rows, or of rows with different answers.
    """
    if first.task != second.task:
        message = f"a {first.task} evaluation cannot be compared with one that is {second.task}"
        raise RequestError("COMPARE_TASK", message, hint="Compare evaluations of the same query.")
    mine, theirs = _Tested.of(first), _Tested.of(second)
    order = mine.places_in(theirs)
    mine.check(theirs, order)
    known = np.flatnonzero(mine.known)
    own, other = mine.outcomes, theirs.outcomes.take(order)
    drawn = draws(
        mine.entity.take(pa.array(known)), mine.cutoff[known], mine.step[known], seed=seed, most=own.most_rows
    )
    own, other = own.take(known), other.take(known)
    values = own.metrics(), other.metrics()
    replicates = drawn.measured(own.measure), drawn.measured(other.measure)
    found = [
        difference(name, "second", drawn, replicates[0][name], replicates[1][name], values[0][name] - values[1][name])
        for name in values[0]
        if name in values[1]
    ]
    entities = len(pc.unique(mine.entity.take(pa.array(known))))
    return Comparison(first.task, len(known), entities, *values, tuple(found))


@dataclass(frozen=True)
class _Tested:
    """The test rows of an evaluation, one each: whose, when, which step; what was said and came; and the answer."""

    entity: pa.Array
    cutoff: Rows
    step: Rows
    known: np.ndarray
    answers: list[Any]
    outcomes: Outcomes

    @classmethod
    def of(cls, evaluation: Evaluation) -> _Tested:
        """From the predictions, which hold a row for each class, label or item."""
        table = evaluation.predictions
        starts = _starts(table)
        heads = table.take(pa.array(starts))
        step = heads["step"].to_numpy() if "step" in table.column_names else np.zeros(len(starts), np.int64)
        cutoff = heads["cutoff"].cast(pa.int64()).to_numpy()
        answers = _answers(evaluation.task, table, starts)
        known = np.array([answer is not None for answer in answers], bool)
        outcomes = _outcomes(evaluation, table, starts)
        return cls(heads["entity"].combine_chunks(), cutoff, step, known, answers, outcomes)

    def keys(self) -> Iterator[tuple[Any, ...]]:
        """Entity, cutoff and step of each row, and for the how-many-eth time they come."""
        seen: dict[tuple[Any, ...], int] = {}
        for key in zip(self.entity.to_pylist(), self.cutoff.tolist(), self.step.tolist(), strict=True):
            seen[key] = seen.get(key, 0) + 1
            yield (*key, seen[key])

    def places_in(self, other: _Tested) -> Rows:
        """Where the other has each row; ``RequestError`` unless both have the same rows."""
        places = {key: place for place, key in enumerate(other.keys())}
        found = [places.get(key) for key in self.keys()]
        both = sum(place is not None for place in found)
        if both < max(len(found), len(places)):
            message = (
                f"the evaluations are of different rows: {both:,} of {len(found):,} and {len(places):,} are the same"
            )
            hint = "Evaluate both on the same test rows: with the same data, query and seed, or with one test spine."
            raise RequestError("COMPARE_ROWS", message, hint=hint)
        return np.array(found, np.int64)

    def check(self, other: _Tested, order: Rows) -> None:
        """Refuse rows whose answers differ."""
        theirs = [other.answers[place] for place in order.tolist()]
        off = sum(a != b for a, b in zip(self.answers, theirs, strict=True))
        if off:
            message = f"the answers of {off:,} of {len(theirs):,} rows differ: these are different questions"
            raise RequestError("COMPARE_TARGETS", message, hint="Compare evaluations of the same query and data.")


def _starts(table: pa.Table) -> Rows:
    """Where each test row begins in the predictions."""
    if "class" in table.column_names:
        return np.arange(0, table.num_rows, max(1, len(pc.unique(table["class"]))))
    if "rank" in table.column_names:
        return np.flatnonzero(table["rank"].to_numpy() == 1)
    return np.arange(table.num_rows)


def _answers(task: str, table: pa.Table, starts: Rows) -> list[Any]:
    """What came for each row, in a form that can be compared; None where it is not known."""
    target = table["target"].to_pylist()
    if task == "multilabel":
        named = zip(table["class"].to_pylist(), target, strict=True)
        return [_came(list(rows)) for rows in _blocks(list(named), starts)]
    if task == "ranking":
        relevant = table["relevant"].to_pylist()
        return [None if target[start] is None else relevant[start] for start in starts.tolist()]
    return [target[start] for start in starts.tolist()]


def _came(block: list[tuple[Any, Any]]) -> frozenset[Any] | None:
    return None if block[0][1] is None else frozenset(label for label, came in block if came)


def _blocks(rows: list[Any], starts: Rows) -> list[list[Any]]:
    ends = [*starts.tolist()[1:], len(rows)]
    return [rows[start:end] for start, end in zip(starts.tolist(), ends, strict=True)]


def _outcomes(evaluation: Evaluation, table: pa.Table, starts: Rows) -> Outcomes:
    """What was said and came; where it is not known, anything."""
    return _READERS[evaluation.task](evaluation, table, starts)


def _chances(_evaluation: Evaluation, table: pa.Table, _starts: Rows) -> Outcomes:
    return Outcomes("binary", _numbers(table["target"]), table["probability"].to_numpy())


def _amounts(evaluation: Evaluation, table: pa.Table, _starts: Rows) -> Outcomes:
    truth, low, high = (_numbers(table[name]) for name in ("target", "low", "high"))
    return Outcomes(evaluation.task, truth, table["prediction"].to_numpy(), (truth >= low) & (truth <= high))


def _classes(_evaluation: Evaluation, table: pa.Table, starts: Rows) -> Outcomes:
    wide = table["probability"].to_numpy().reshape(len(starts), -1)
    classes = table["class"].slice(0, wide.shape[1]).combine_chunks()
    target = table["target"].take(pa.array(starts)).combine_chunks()
    classes = _plain(classes)
    codes = pc.fill_null(pc.index_in(_plain(target).cast(classes.type), value_set=classes), -1)
    return Outcomes("multiclass", np.asarray(codes, np.int64), wide)


def _labels(_evaluation: Evaluation, table: pa.Table, starts: Rows) -> Outcomes:
    shape = (len(starts), -1)
    return Outcomes(
        "multilabel", _numbers(table["target"]).reshape(shape), table["probability"].to_numpy().reshape(shape)
    )


def _order(evaluation: Evaluation, table: pa.Table, starts: Rows) -> Outcomes:
    row = np.searchsorted(starts, np.arange(table.num_rows), "right") - 1
    places = max(int(name.partition("@")[2]) for name in evaluation.metrics if "@" in name)
    relevant = table["relevant"].to_numpy()[starts]
    hit = _numbers(table["target"]) > 0
    return Outcomes("ranking", relevant, places_hit(hit, row, table["rank"].to_numpy(), relevant, places))


_READERS = {
    "binary": _chances,
    "regression": _amounts,
    "forecasting": _amounts,
    "multiclass": _classes,
    "multilabel": _labels,
    "ranking": _order,
}


def _plain(values: Any) -> Any:
    return values.cast(values.type.value_type) if pa.types.is_dictionary(values.type) else values


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """As float64, 0 where NULL."""
    return np.asarray(pc.fill_null(column.cast(pa.float64()), 0.0))
