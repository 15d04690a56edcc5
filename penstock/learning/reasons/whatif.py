"""What would change a prediction: the smallest single change to something that can be acted on, as the model sees it.

A change keeps to values that training rows have had. What is nothing but the same fact in other words moves with it:
two orders more in the last 30 days are two more in the last 90, too, and then the last order is no more than 30 days
ago. All else stays as it is. `CAVEAT` says what that is worth.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.errors import RequestError
from penstock.expression import Expr
from penstock.features.definitions import FeatureSet
from penstock.features.phrases import phrase
from penstock.learning.calibration.calibrate import Floats
from penstock.learning.calibration.finish import Amount, Classes, Labels
from penstock.learning.encoding.encoders import numbers, texts
from penstock.learning.fitting.trained import Trained
from penstock.learning.reasons.explain import family, sentence, shown, titled
from penstock.learning.reasons.importance import columns, tables
from penstock.learning.reasons.seen import Grids
from penstock.learning.rows.dataset import Rows, Samples
from penstock.plan import Age, Aggregate, Calendar
from penstock.window import Lookback, Unit

CAVEAT = (
    "What would change it is the model's view: rows like that came out differently. It is no promise that making the "
    "change would cause it."
)

FEATURES = 24
"""How many features are tried, the strongest first."""
ROWS = 200
"""How many rows are varied in one go."""
_MOVABLE = frozenset({"COUNT", "SUM", "AVG", "MIN", "MAX", "MEDIAN", "COUNT_DISTINCT"})
_ONLY_UP, _ONLY_DOWN = frozenset({"COUNT", "COUNT_DISTINCT", "MAX"}), frozenset({"MIN"})
_LEAST = 0.005
"""The least change of a probability that is worth telling."""


@dataclass(frozen=True)
class Change:
    """One feature moved, and what the model would say then.

    ``said`` and ``would`` are the answer before and after: a probability (of classes and labels, of the likeliest
    one) or a number. ``crosses`` says that the threshold lies between, or that another class becomes the likeliest.
    ``size`` is the share of values seen in training that lie between ``before`` and ``after``. ``along`` names the
    features that moved with it.
    """

    expression: str
    before: Any
    after: Any
    said: float
    would: float
    crosses: bool
    size: float
    along: tuple[str, ...]
    sentence: str

    def __str__(self) -> str:
        return self.sentence

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON (instants stay instants)."""
        return asdict(self)


# ---------------------------------------------------------------- what can be acted on


def actionable(features: FeatureSet, act_on: Sequence[str] = ()) -> dict[str, Expr]:
    """The features that can be moved, by name.

    By default numbers about the entity's own rows in windows that end at the cutoff: what happens next moves them.
    ``act_on`` names tables, columns (``table.column`` or ``column``) or whole expressions instead; then anything that
    reads them counts, but no age. Raises ``RequestError`` for a name that no feature reads.
    """
    if not act_on:
        return {name: e for name, e in features.expressions.items() if _moves(e)}
    known = {name: _names(name, e) for name, e in features.expressions.items() if not _is_time(e)}
    for wanted in act_on:
        if not any(wanted in names for names in known.values()):
            exists = sorted(
                {n for e in features.expressions.values() for n in (*tables(e), *map(".".join, columns(e)))}
            )
            hint = "Name a table, a column or a feature (penstock features --describe lists them)."
            message = f"no feature reads {wanted!r}"
            raise RequestError("REQUEST_ACT_ON", message, name=wanted, candidates=exists, hint=hint)
    return {name: features.expressions[name] for name, names in known.items() if names & set(act_on)}


def _moves(expression: Expr) -> bool:
    if not isinstance(expression, Aggregate) or expression.stream.anchor is not None:
        return False
    window = expression.window
    return expression.function in _MOVABLE and isinstance(window, Lookback) and window.end == 0


def _is_time(expression: Expr) -> bool:
    return isinstance(expression, Age | Calendar) or getattr(expression, "function", "") == "TIME_SINCE"


def _names(name: str, expression: Expr) -> set[str]:
    read = list(columns(expression))
    return {name, *tables(expression), *map(".".join, read), *(column for _, column in read)}


# ---------------------------------------------------------------- changes


@dataclass(frozen=True)
class Variants:
    """Rows with one feature moved: whose row, which of the features, to which value (a place in its grid)."""

    row: Rows
    feature: Rows
    place: Rows
    samples: Samples


def changes(
    trained: Trained,
    samples: Samples,
    features: FeatureSet,
    seen: Grids,
    *,
    act_on: Sequence[str] = (),
    threshold: float | None = None,
    most: int = 3,
    threads: int = 0,
) -> list[list[Change]]:
    """For each row the ``most`` telling single changes, one of each family of features.

    First those that move the answer across ``threshold`` (None: one half of a probability, nothing of a number; of
    classes those that make another class the likeliest), the smallest first; then those that move it furthest that
    way. ``seen`` are the values to choose from (`seen.grids` of training rows). A ranking has none.
    Costs one scoring of rows × features × values, some ten milliseconds a row.
    """
    if trained.task == "ranking":
        return [[] for _ in range(len(samples))]
    movable, asked = actionable(features, act_on), dict(seen)
    names = [n for n, _ in trained.importance if n in movable and n in asked and n in samples.features.column_names]
    if threshold is None and not isinstance(trained.finish, Amount):
        threshold = 0.5
    parts = [samples.take(np.arange(i, min(i + ROWS, len(samples)))) for i in range(0, len(samples), ROWS)]
    tolds = [_Told(trained, part, names[:FEATURES], asked, movable, features.expressions) for part in parts]
    return [mine for told in tolds for mine in told.changes(threshold, most, threads)]


def _answers(trained: Trained, samples: Samples, threads: int) -> Floats:
    """Rows × answers: one column, or one a class."""
    said = trained.estimates(samples, threads)
    return said.reshape(len(samples), -1)


@dataclass(frozen=True)
class _Judged:
    """For each variant: the answer before and after, whether it crosses, and how far it goes the wanted way."""

    said: Floats
    would: Floats
    crosses: np.ndarray[Any, Any]
    effect: Floats
    likeliest: Rows
    then: Rows

    @classmethod
    def of(
        cls, trained: Trained, before: Floats, after: Floats, variants: Variants, threshold: float | None
    ) -> _Judged:
        chosen = before.argmax(axis=1)[variants.row]
        said, would = before[variants.row, chosen], after[np.arange(len(after)), chosen]
        then = after.argmax(axis=1)
        if isinstance(trained.finish, Classes):
            return cls(said, would, then != chosen, said - would, chosen, then)
        if threshold is None:
            return cls(said, would, np.zeros(len(said), bool), np.abs(would - said), chosen, chosen)
        away = np.where(said >= threshold, said - would, would - said)
        return cls(said, would, (said >= threshold) != (would >= threshold), away, chosen, chosen)


@dataclass(frozen=True)
class _Told:
    """All that is needed to find the changes of some rows, and to say them in words."""

    trained: Trained
    samples: Samples
    names: Sequence[str]
    grids: Mapping[str, tuple[Any, ...]]
    movable: Mapping[str, Expr]
    features: Mapping[str, Expr]

    def changes(self, threshold: float | None, most: int, threads: int) -> list[list[Change]]:
        """The changes of every row."""
        used = self.trained.features
        variants = _varied(self.samples, self.names, self.grids, self.movable, used, self.features)
        if not len(variants.row):
            return [[] for _ in range(len(self.samples))]
        before = _answers(self.trained, self.samples, threads)
        after = _answers(self.trained, variants.samples, threads)
        judged = _Judged.of(self.trained, before, after, variants, threshold)
        return [self.of(row, judged, variants, most) for row in range(len(self.samples))]

    def of(self, row: int, judged: _Judged, variants: Variants, most: int) -> list[Change]:
        """The changes of one row."""
        mine = np.flatnonzero(variants.row == row)
        least = 0.0 if isinstance(self.trained.finish, Amount) else _LEAST
        mine = mine[judged.effect[mine] > least]
        sized = [(int(v), self._size(row, variants, int(v))) for v in mine]
        ordered = sorted(sized, key=lambda pair: _order(judged, *pair))
        chosen: dict[str, Change] = {}
        for variant, size in ordered:
            name = self.names[variants.feature[variant]]
            if len(chosen) < most and family(name) not in chosen:
                chosen[family(name)] = self._change(row, variant, size, judged, variants)
        return list(chosen.values())

    def _size(self, row: int, variants: Variants, variant: int) -> float:
        """The share of the values seen that lie between what is and what would be."""
        name = self.names[variants.feature[variant]]
        values, before = self.grids[name], _value(self.samples, name, row)
        if isinstance(before, bool | str) or before is None or isinstance(values[0], str | bool):
            return 1.0 if before is not None else 0.5
        low, high = sorted((float(before), float(values[variants.place[variant]])))
        return sum(1 for value in values if low < value <= high) / len(values)

    def _change(self, row: int, variant: int, size: float, judged: _Judged, variants: Variants) -> Change:
        name = self.names[variants.feature[variant]]
        before, after = _value(self.samples, name, row), self.grids[name][variants.place[variant]]
        said, would = float(judged.said[variant]), float(judged.would[variant])
        along = tuple(other for other, _ in _together(self.movable[name], self.features, self.trained.features))
        words = f"{self._moved(name, before, after)} {self._answer(variant, judged)}"
        return Change(name, before, after, said, would, bool(judged.crosses[variant]), size, along, words)

    def _moved(self, name: str, before: Any, after: Any) -> str:
        expression = self.movable[name]
        told = phrase(expression)
        if getattr(expression, "function", "") == "COUNT":
            return f"with {sentence(told, after, counted=True)} instead of {shown(before or 0)}"
        link = "at" if isinstance(after, int | float) and not isinstance(after, bool) else "being"
        return f"with {titled(told)} {link} {shown(after)} instead of {shown(before)}"

    def _answer(self, variant: int, judged: _Judged) -> str:
        said, would = judged.said[variant], judged.would[variant]
        moves = "falls" if would < said else "rises"
        finish = self.trained.finish
        if isinstance(finish, Amount):
            return f"the prediction {moves} from {shown(float(said))} to {shown(float(would))}"
        of, more = "", ""
        if isinstance(finish, Classes | Labels):
            of = f" of {finish.values[judged.likeliest[variant]]}"
        if isinstance(finish, Classes) and judged.crosses[variant]:
            more = f", and {finish.values[judged.then[variant]]} becomes the likeliest"
        return f"the probability{of} {moves} from {said:.2f} to {would:.2f}{more}"


def _order(judged: _Judged, variant: int, size: float) -> tuple[Any, ...]:
    """Crossing changes first, the smallest first; then the ones that go furthest."""
    crosses = bool(judged.crosses[variant])
    return (not crosses, round(size, 9) if crosses else 0.0, -round(float(judged.effect[variant]), 9), variant)


def _value(samples: Samples, name: str, row: int) -> Any:
    value = samples.features.column(name)[row].as_py()
    return None if isinstance(value, float) and math.isnan(value) else value


# ---------------------------------------------------------------- rows with something moved


def _varied(
    samples: Samples,
    names: Sequence[str],
    seen: Mapping[str, tuple[Any, ...]],
    movable: Mapping[str, Expr],
    used: Sequence[str],
    features: Mapping[str, Expr],
) -> Variants:
    """Every row with every feature at every value of its grid that it may go to, feature after feature."""
    parts = [_moves_of(samples, name, seen[name], movable[name]) for name in names]
    row = np.concatenate([part[0] for part in parts]) if parts else np.zeros(0, np.int64)
    place = np.concatenate([part[1] for part in parts]) if parts else np.zeros(0, np.int64)
    feature = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    moved = samples.take(row)
    starts = np.cumsum([0, *(len(part[0]) for part in parts)]).tolist()
    replaced: dict[str, list[tuple[int, Any]]] = {}
    for name, start, stop in zip(names, starts, starts[1:], strict=False):
        for other, values in _columns_moved(moved, name, seen[name], place, start, stop, movable, used, features):
            replaced.setdefault(other, []).append((start, values))
    table = moved.features
    for name, blocks in replaced.items():
        table = table.set_column(table.column_names.index(name), name, _patched(table.column(name), blocks))
    return Variants(row, feature, place, replace(moved, features=table))


def _moves_of(samples: Samples, name: str, grid: Sequence[Any], expression: Expr) -> tuple[Rows, Rows]:
    """(row, place in the grid) of each move of one feature: to another value, in a direction that it can go."""
    rows, places = np.meshgrid(np.arange(len(samples)), np.arange(len(grid)), indexing="ij")
    column = samples.features.column(name)
    if isinstance(grid[0], str):
        now: Any = pc.fill_null(texts(column), "").to_numpy(zero_copy_only=False).astype(object)
        allowed = now[:, None] != np.array(grid, object)[None, :]
    else:
        values, target = numbers(column)[:, None], np.array(grid, np.float64)[None, :]
        allowed = ~(values == target) & _direction(values, target, expression)
    return rows[allowed], places[allowed]


def _direction(now: Floats, then: Floats, expression: Expr) -> np.ndarray[Any, Any]:
    """What has been counted over all time cannot be undone."""
    endless = isinstance(expression, Aggregate) and expression.window is not None and expression.window.start is None
    function = getattr(expression, "function", "")
    if endless and function in _ONLY_UP:
        return ~(then < now)
    if endless and function in _ONLY_DOWN:
        return ~(then > now)
    return np.ones(np.broadcast(now, then).shape, bool)


def _columns_moved(
    moved: Samples,
    name: str,
    grid: Sequence[Any],
    place: Rows,
    start: int,
    stop: int,
    movable: Mapping[str, Expr],
    used: Sequence[str],
    features: Mapping[str, Expr],
) -> Iterator[tuple[str, Any]]:
    """The new values of a feature, and of those that move with it, in the variants from ``start`` to ``stop``."""
    block = moved.features.slice(start, stop - start)
    target = [grid[p] for p in place[start:stop].tolist()]
    yield name, target
    if not target or isinstance(target[0], str | bool):
        return
    now, then = numbers(block.column(name)), np.array(target, np.float64)
    for other, rule in _together(movable[name], features, used):
        if other in block.column_names:
            yield other, rule(np.nan_to_num(now), then, numbers(block.column(other))).tolist()


def _patched(column: Any, blocks: Sequence[tuple[int, Sequence[Any]]]) -> Any:
    """The column with some stretches of rows replaced, NaN as NULL."""
    pieces, done = [], 0
    for start, values in sorted(blocks, key=lambda block: block[0]):
        pieces += [*column.slice(done, start - done).chunks, _typed(values, column.type)]
        done = start + len(values)
    return pa.chunked_array([*pieces, *column.slice(done).chunks], column.type)


def _typed(values: Sequence[Any], kind: pa.DataType) -> Any:
    known = [None if isinstance(v, float) and math.isnan(v) else v for v in values]
    if pa.types.is_dictionary(kind):
        return pa.array(known, kind.value_type).dictionary_encode().cast(kind)
    if pa.types.is_integer(kind):
        known = [None if v is None else round(v) for v in known]
    return pa.array(known, kind)


# ---------------------------------------------------------------- what moves together


def _together(expression: Expr, features: Mapping[str, Expr], used: Sequence[str]) -> Iterator[tuple[str, Any]]:
    """The features that say the same fact in other words, each with how it moves: (old, new, its own) → its new."""
    if not isinstance(expression, Aggregate) or expression.function not in ("COUNT", "SUM"):
        return
    mine = _span(expression)
    for name in used:
        other = features.get(name)
        if not isinstance(other, Aggregate) or other == expression or not _same_rows(expression, other):
            continue
        if other.function == expression.function and other.value == expression.value:
            if _span(other) >= mine:
                yield name, _shifted
            elif expression.function == "COUNT":
                yield name, _capped
        elif other.function == "TIME_SINCE" and expression.function == "COUNT" and expression.value is None:
            yield name, _since(mine / _unit(other), _span(other) > mine)


def _same_rows(first: Aggregate, second: Aggregate) -> bool:
    ends = (first.window, second.window)
    return first.stream == second.stream and all(isinstance(w, Lookback) and w.end == 0 for w in ends)


def _span(aggregate: Aggregate) -> float:
    window = aggregate.window
    return math.inf if window is None or window.microseconds is None else float(window.microseconds)


def _unit(aggregate: Aggregate) -> float:
    return float((aggregate.window.unit if aggregate.window is not None else Unit.DAYS).microseconds)


def _shifted(old: Floats, new: Floats, own: Floats) -> Floats:
    """A wider window has as many more."""
    return np.nan_to_num(own) + new - old


def _capped(old: Floats, new: Floats, own: Floats) -> Floats:  # noqa: ARG001  all rules are asked alike
    """A narrower window has no more than the wider one."""
    return np.minimum(own, new)


def _since(length: float, reaches: bool) -> Any:
    """The last row lies inside the window where it has any, and before it where it has none."""

    def moved(old: Floats, new: Floats, own: Floats) -> Floats:
        inside = np.where(np.isnan(own), length, np.minimum(own, length))
        outside = np.maximum(own, length) if reaches else np.full_like(own, np.nan)
        return np.where(new > 0, np.where(old > 0, own, inside), outside)

    return moved
