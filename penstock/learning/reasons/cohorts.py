"""Cohorts: the test rows in bins of one feature, and for each bin what came and what was said.

Numbers and instants are cut at quantiles, so that bins hold about as many rows each; a value that many rows share is
never cut. Categories are the commonest and the rest. NULL is a bin of its own.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from penstock.learning.calibration.calibrate import Floats
from penstock.learning.calibration.finish import Classes, Labels, truth_of
from penstock.learning.encoding.encoders import numbers, texts
from penstock.learning.fitting.trained import Trained, with_step
from penstock.learning.reasons.explain import Phrase, family, shown, titled
from penstock.learning.rows.dataset import Rows, Samples, known

BINS = 6
CATEGORIES = 7
NULL, REST = "not known", "any other"
_DAY = 86_400_000_000


@dataclass(frozen=True)
class Cohort:
    """Test rows with like values of one feature.

    ``share`` is of all test rows. ``outcome`` is the mean of what came, ``prediction`` of what was said: of yes or no
    the share and the probability of yes, of numbers the number, of classes how often the likeliest came and how
    likely it was called, of labels how many came to a row. ``low`` and ``high`` are the smallest and largest value
    there (None for categories and NULL; instants are days since 1970); ``commonest`` is the class that came most.
    """

    name: str
    rows: int
    share: float
    outcome: float
    prediction: float
    low: float | None = None
    high: float | None = None
    commonest: str | None = None


@dataclass(frozen=True)
class View:
    """One feature's cohorts, in the order of its values, with the feature in words and its share of the gain."""

    feature: str
    phrase: str
    gain: float
    cohorts: tuple[Cohort, ...]

    def to_dict(self) -> dict[str, Any]:
        """As plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, plain: Mapping[str, Any]) -> View:
        """What `to_dict` wrote."""
        cohorts = tuple(Cohort(**cohort) for cohort in plain["cohorts"])
        return cls(plain["feature"], plain["phrase"], plain["gain"], cohorts)


@dataclass(frozen=True)
class _Measured:
    """What came of each test row, what was said of it, and (of classes) which class it was."""

    outcome: Floats
    prediction: Floats
    classes: pa.Array | None = None


def views(
    trained: Trained,
    test: Samples,
    phrases: Mapping[str, Phrase] | None = None,
    *,
    most: int = 6,
    said: Floats | None = None,
) -> tuple[View, ...]:
    """The cohorts of the ``most`` strongest features, one a family (`penstock.learning.reasons.explain.family`).

    ``said`` is what `Trained.estimates` gives for the test rows, if that is known already. Rows without a target do
    not count. A ranking has no such features, and so no cohorts.
    """
    if trained.task == "ranking" or test.target is None or len(test) == test.target.null_count:
        return ()
    there = np.asarray(test.target.is_valid())
    said = trained.estimates(test) if said is None else said
    test, said = known(test), said[there]
    table, measured = with_step(test), _measured(trained, test, said)
    chosen: dict[str, tuple[str, float]] = {}
    for name, gain in trained.importance:
        if name in table.column_names and len(chosen) < most:
            chosen.setdefault(family(name), (name, gain))
    told = phrases or {}
    return tuple(
        View(name, _noun(told.get(name), name), gain, cohorts(table.column(name), measured))
        for name, gain in chosen.values()
    )


def _noun(phrase: Phrase | None, name: str) -> str:
    return titled(phrase) if isinstance(phrase, str) and "{value}" not in phrase else name


def said(trained: Trained, predictions: pa.Table) -> Floats:
    """What `Trained.estimates` gave, read off an answer's table."""
    name = "probability" if "probability" in predictions.column_names else "prediction"
    told = np.asarray(predictions[name], np.float64)
    return told.reshape(-1, len(trained.finish.values)) if isinstance(trained.finish, Classes | Labels) else told


def _measured(trained: Trained, test: Samples, said: Floats) -> _Measured:
    if isinstance(trained.finish, Classes):
        truth, likeliest = trained.finish.codes(test.target), said.argmax(axis=1)
        return _Measured((truth == likeliest).astype(float), said.max(axis=1), texts(_whole(test.target)))
    if isinstance(trained.finish, Labels):
        return _Measured(trained.finish.truths(test.target).sum(axis=1), said.sum(axis=1))
    return _Measured(truth_of(test.target), said)


def cohorts(column: Any, measured: _Measured) -> tuple[Cohort, ...]:
    """The cohorts of one column, in the order of its values, NULL last."""
    bins = binned(column)
    found = [np.flatnonzero(bins.code == place) for place in range(len(bins.names))]
    return tuple(_cohort(bins, place, rows, measured) for place, rows in enumerate(found) if len(rows))


def _cohort(bins: Bins, place: int, rows: Rows, measured: _Measured) -> Cohort:
    low, high = bins.ranges[place]
    return Cohort(
        bins.names[place],
        len(rows),
        len(rows) / len(bins.code),
        float(measured.outcome[rows].mean()),
        float(measured.prediction[rows].mean()),
        low,
        high,
        None if measured.classes is None else _commonest(measured.classes.take(pa.array(rows))),
    )


def _commonest(classes: Any) -> str | None:
    counted = pa.table({"class": classes}).group_by("class").aggregate([([], "count_all")])
    ordered = counted.sort_by([("count_all", "descending"), ("class", "ascending")])
    commonest: str | None = ordered["class"][0].as_py()
    return commonest


# ---------------------------------------------------------------- bins


@dataclass(frozen=True)
class Bins:
    """The bin of each row, and the bins' names and ranges (None where a bin has none)."""

    code: Rows
    names: tuple[str, ...]
    ranges: tuple[tuple[float | None, float | None], ...]


_Name: TypeAlias = Callable[[float], str]


def binned(column: Any) -> Bins:
    """A column's rows in bins: truth values and categories by value, lists by their length, else by quantiles."""
    column = column if isinstance(column, pa.ChunkedArray) else pa.chunked_array([column])
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return _by_quantile(numbers(pc.list_value_length(column)), lambda n: f"{shown(n)} of them")
    if pa.types.is_boolean(kind) or pa.types.is_dictionary(kind) or _is_text(kind):
        return _by_category(column)
    return _by_quantile(numbers(column), _day if pa.types.is_temporal(kind) else shown)


def _is_text(kind: pa.DataType) -> bool:
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _day(days: float) -> str:
    return (dt.datetime(1970, 1, 1, tzinfo=dt.UTC) + dt.timedelta(days=float(days))).date().isoformat()


def _by_quantile(values: Floats, name: _Name) -> Bins:
    there = ~np.isnan(values)
    some = values[there]
    if not len(some):
        return Bins(np.zeros(len(values), np.int64), (NULL,), ((None, None),))
    code = np.empty(len(values), np.int64)
    code[there] = np.searchsorted(_edges(some), some)  # a bin holds its upper edge
    places = np.unique(code[there])
    code[there] = np.searchsorted(places, code[there])
    code[~there] = len(places)
    ranges = [(float(v.min()), float(v.max())) for v in (values[code == place] for place in range(len(places)))]
    names = [_range(low, high, name) for low, high in ranges]
    return Bins(code, (*names, NULL), (*ranges, (None, None)))


def _edges(values: Floats) -> Floats:
    """The upper edges of bins of about one size, each a value that is there; a value that would fill a bin by itself
    is not put into one with smaller ones."""
    distinct, counts = np.unique(values, return_counts=True)
    upto, edges, done = np.cumsum(counts), [], 0
    for left in range(BINS, 1, -1):
        fair = (len(values) - done) / left
        last = int(np.searchsorted(upto, done + fair))
        smaller = last > 0 and upto[last - 1] > done
        last -= bool(smaller and counts[last] >= fair)
        edges.append(distinct[last])
        done = int(upto[last])
        if done == len(values):
            break
    return np.array(edges, np.float64)


def _range(low: float, high: float, name: _Name) -> str:
    first, last = name(low), name(high)
    return first if first == last else f"{first} to {last}"


def _by_category(column: Any) -> Bins:
    if pa.types.is_boolean(column.type):
        column = pc.if_else(column, pa.scalar("yes"), pa.scalar("no"))
    column = texts(column).combine_chunks()
    counted = pa.table({"value": column}).drop_null().group_by("value").aggregate([([], "count_all")])
    counted = counted.sort_by([("count_all", "descending"), ("value", "ascending")])
    names: list[str] = counted["value"].to_pylist()
    kept = names if len(names) <= CATEGORIES + 1 else names[:CATEGORIES]
    place: Any = pc.index_in(column, value_set=pa.array(kept, pa.string()))
    code = np.array(pc.fill_null(place, len(kept)), np.int64)
    code[np.asarray(column.is_null())] = len(kept) + 1
    return Bins(code, (*kept, REST, NULL), ((None, None),) * (len(kept) + 2))


def _whole(target: Any) -> pa.ChunkedArray[Any]:
    return target if isinstance(target, pa.ChunkedArray) else pa.chunked_array([target])


__all__ = ["Bins", "Cohort", "View", "binned", "cohorts", "said", "views"]
