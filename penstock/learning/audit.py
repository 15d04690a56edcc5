"""The leakage audit of a question: what its features read that may know the future or the answer, and what was done.

Columns and undated rows are judged on rows that had happened by the first test cutoff (`leakage`), columns that come
with the answer on the entity's own table (`moment`), and what tells the answer alone on the training rows. What is
plain is left out before anything is learnt; what is not is kept, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from penstock.engine.relational import Relational
from penstock.expression import Expr
from penstock.features.definitions import Feature, FeatureSet
from penstock.features.survey import Survey
from penstock.features.synthesis import synthesise
from penstock.language import Query
from penstock.learning.calibrate import Floats
from penstock.learning.dataset import Samples, drawn, known
from penstock.learning.evidence import rank_correlation
from penstock.learning.findings import Finding
from penstock.learning.finish import truth_of
from penstock.learning.leakage import inspect, undated
from penstock.learning.matrix import numbers
from penstock.learning.metrics import auroc
from penstock.learning.moment import same_moment
from penstock.learning.trained import Trained
from penstock.plan import Age, Aggregate, Field, Stream
from penstock.schema import Graph, Link

TOO_GOOD = 0.99
SAMPLE = 20_000
FEWEST = 10
"""Of either answer: with fewer, a feature may tell them apart by luck."""


def audited(
    query: Query, relational: Relational, until: int, rows: int | None = None, *, keep: bool = False
) -> tuple[FeatureSet, tuple[Finding, ...]]:
    """The features of a query, made without what plainly knows the future (unless told to keep it), and the findings.

    ``rows`` is how many rows they are for. Only rows of the database that had happened by ``until`` are looked at.
    What is left out may make room for features that read other columns: those are looked at, too.
    """
    survey, seen = Survey(relational.rows, until), _Seen()
    found = same_moment(query, relational.rows, until)
    while True:
        gone = frozenset(f.what for f in found if f.action == "dropped" and not keep)
        left_out = frozenset(place for place in seen.places if ".".join(place) in gone)
        features = without(synthesise(query, replace(survey, left_out=left_out), rows), gone)
        fresh = _read_by(query.graph, features).beyond(seen)
        if not fresh.places and not fresh.links:
            return features, kept(found) if keep else found
        found += inspect(relational.rows, fresh.places, fresh.links, until)
        seen = seen.also(fresh)


def narrowed(samples: Samples, features: FeatureSet) -> Samples:
    """The samples with these features alone."""
    left = features.names(lambda _: True)
    own_past, static = ([n for n in names if n in set(left)] for names in (samples.own_past, samples.static))
    return replace(samples.only(left), own_past=own_past, static=static)


@dataclass(frozen=True)
class _Seen:
    """Columns (table, name) that features read, and links whose rows they count without a time."""

    places: frozenset[tuple[str, str]] = frozenset()
    links: frozenset[Link] = frozenset()

    def beyond(self, other: _Seen) -> _Seen:
        return _Seen(self.places - other.places, self.links - other.links)

    def also(self, other: _Seen) -> _Seen:
        return _Seen(self.places | other.places, self.links | other.links)


def kept(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The findings with nothing left out."""
    return tuple(replace(f, action="kept") if f.action == "dropped" else f for f in findings)


def without(features: FeatureSet, gone: frozenset[str]) -> FeatureSet:
    """The features that are none of these, read none of these columns, and no rows of these tables (``table.*``).

    The target's own past stays, whatever it reads: it is what was asked about.
    """
    return features.only(f.name for f in features.features if f.past or not gone & {f.name, *_touched(f.expression)})


def _read_by(graph: Graph, features: FeatureSet) -> _Seen:
    asked = [feature.expression for feature in features.features if not feature.past]
    hops = [stream.hops for expression in asked for stream in _streams(expression)]
    links = {way[0] for way in hops if way and undated(graph, way) and len(way[0].columns) == 1}
    return _Seen(frozenset((f.table, f.column) for e in asked for f in _fields(e)), frozenset(links))


def _touched(expression: Expr) -> set[str]:
    columns = {f"{field.table}.{field.column}" for field in _fields(expression)}
    return columns | {f"{hop.table}.*" for stream in _streams(expression) for hop in stream.hops}


def _streams(expression: Expr) -> Iterator[Stream]:
    yield from (node.stream for node in expression.walk() if isinstance(node, Aggregate))


def _fields(expression: Expr) -> Iterator[Field]:
    """Every column that an expression reads, filters and anchors included; keys that merely point are not read."""
    for node in expression.walk():
        if isinstance(node, Field):
            yield node
        elif isinstance(node, Aggregate):
            inside = (node.value, node.stream.where, node.stream.anchor)
            yield from (f for inner in inside if inner is not None for f in _fields(inner))


# ---------------------------------------------------------------- what tells the answer alone


def revealing(task: str, features: FeatureSet, samples: Samples) -> tuple[Finding, ...]:
    """Features that tell the training rows' answers by themselves and are no counts of dated rows: to be left out."""
    suspects = [f for f in features.features if not f.past and _raw(f)]
    told = _tell(task, samples, [f.name for f in suspects])
    return tuple(Finding("too good", name, evidence, "dropped") for name, evidence in told.items())


def _raw(feature: Feature) -> bool:
    """Whether a feature is a column, of the entity or a parent, or counts rows that have no time."""
    expression = feature.expression
    if isinstance(expression, Aggregate):
        return expression.window is None
    return isinstance(expression, Field | Age)


def audit(trained: Trained, test: Samples, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What tells the test rows' answers by itself, though it did not the training rows': kept, and asked about.

    Looked at are the columns the model uses and the feature it leans on most. The answers of test rows leave nothing
    out: they only warn.
    """
    said = {finding.what for finding in findings}
    used = dict.fromkeys([*(f for f in trained.features if f in test.static), *(n for n, _ in trained.importance[:1])])
    asked = [name for name in used if name not in said and name not in test.own_past]
    told = _tell(trained.task, known(test), [name for name in asked if name in test.features.column_names])
    hint = "check that it is known at the cutoff, and not made from the answer"
    return tuple(
        Finding("too good", name, f"{evidence}, of the test rows; {hint}", "asked") for name, evidence in told.items()
    )


def _tell(task: str, samples: Samples, names: list[str]) -> dict[str, str]:
    """Of these features the ones that alone order the rows as the answer does, with how well."""
    if task not in ("binary", "regression") or not len(samples) or not names:
        return {}
    some = samples.take(drawn(samples, SAMPLE))
    truth = truth_of(some.target)
    strengths = {name: _strength(task, truth, some, name) for name in names}
    measure = "AUROC" if task == "binary" else "rank correlation"
    return {
        name: f"alone it reaches {measure} {strength:.3f}, which is too good to be true"
        for name, strength in strengths.items()
        if strength > TOO_GOOD
    }


def _strength(task: str, truth: Floats, samples: Samples, name: str) -> float:
    """How well the feature alone orders the rows: 0.5 (AUROC) or 0 (correlation) is not at all, 1 perfectly."""
    column = samples.features.column(name)
    if not any(word in str(column.type) for word in ("int", "double", "float", "bool")):
        return 0.0
    values = numbers(column)
    if task == "binary":
        if min(truth.sum(), len(truth) - truth.sum()) < FEWEST:
            return 0.0
        filled = np.where(np.isnan(values), np.nanmin(values, initial=0.0) - 1, values)
        area = auroc(truth, filled)
        return 0.0 if np.isnan(area) else max(area, 1 - area)
    there = ~np.isnan(values)
    if there.sum() < 20 or there.mean() < 0.5 or len(np.unique(truth[there])) < 10:
        return 0.0
    return abs(rank_correlation(values[there], truth[there]))


__all__ = ["audit", "audited", "kept", "narrowed", "revealing", "without"]
