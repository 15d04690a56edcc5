"""The leakage audit of a question: what its features read that may know the future or the answer, and what was done.

Columns and undated rows are judged on rows that had happened by the first test cutoff (`leakage`), columns that come
with the answer on the entity's own table (`moment`), and what tells the answer alone on the training rows. What is
plain is left out before anything is learnt; what is not is kept, and said.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import pyarrow.compute as pc

from penstock.engine.relational import Relational
from penstock.expression import Expr
from penstock.features.definitions import FeatureSet
from penstock.features.survey import Survey
from penstock.features.synthesis import synthesise
from penstock.language import Query
from penstock.learning.fitting.trained import Trained
from penstock.learning.leaks.findings import Finding
from penstock.learning.leaks.leakage import inspect, undated
from penstock.learning.leaks.moment import same_moment
from penstock.learning.leaks.telling import telling
from penstock.learning.rows.dataset import Samples, known
from penstock.plan import Age, Aggregate, Field, Rows, Stream
from penstock.schema import Graph, Link

FEWEST_ASKED = 5
"""Rows whose answer is not known, to tell what is known of them."""


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
        gone = _answers(query) | frozenset(f.what for f in found if f.action == "dropped" and not keep)
        left_out = frozenset(place for place in seen.places if ".".join(place) in gone)
        features = without(synthesise(query, replace(survey, left_out=left_out), rows), gone)
        fresh = _read_by(query.graph, features).beyond(seen)
        if not fresh.places and not fresh.links:
            return features, kept(found) if keep else (*found, *_of_past(features, gone))
        found += inspect(relational.rows, fresh.places, fresh.links, until)
        seen = seen.also(fresh)


def _answers(query: Query) -> frozenset[str]:
    """What a question about a column of another table asks for: the column, and whether that table has a row."""
    leaves = query.target.walk() if query.static else ()
    asked = [node for node in leaves if isinstance(node, Field) and node.table != query.entity]
    return frozenset(what for node in asked for what in (f"{node.table}.{node.column}", f"{node.table}.*"))


def _of_past(features: FeatureSet, gone: frozenset[str]) -> tuple[Finding, ...]:
    """What the target's own past reads although it was left out elsewhere."""
    read = sorted({what for f in features.features if f.past for what in _touched(f.expression) & gone})
    if not read:
        return ()
    evidence = f"it reads {', '.join(read)}, as the question does: what was counted later is in its earlier values, too"
    return (Finding("snapshot", "the target's own past", evidence, "asked"),)


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
    asked = [feature.expression for feature in features.features]
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


def revealing(query: Query, features: FeatureSet, samples: Samples, rows: Rows) -> tuple[Finding, ...]:
    """Features that tell the training rows' answers by themselves and count no dated rows: to be left out.

    A feature that is too good but counts what had happened by the cutoff is no leak, nor is the row's own age. Where
    a column is filled in, another that is known where that one is not stays, and is asked about: it may be just what
    is hoped for.
    """
    suspects = [f.name for f in features.features if not f.past and _raw(query.graph, f.expression)]
    told = telling(query.task.value, samples, suspects)
    helpful = {name for name in told if query.static and _known_where_asked(query, rows, features.expressions[name])}
    return tuple(
        Finding("too good", name, evidence, "asked" if name in helpful else "dropped")
        for name, evidence in told.items()
    )


def _known_where_asked(query: Query, rows: Rows, expression: Expr) -> bool:
    """Whether a column of the entity's own row is mostly known in rows whose answer is not, of which there are some."""
    target = [node for node in query.target.walk() if isinstance(node, Field)]
    if not isinstance(expression, Field) or expression.hops or not target:
        return False
    read = rows.read(query.entity, list(dict.fromkeys([expression.column, *(field.column for field in target)])))
    unknown = read.filter(pc.is_null(read[target[0].column]))[expression.column]
    return len(unknown) >= FEWEST_ASKED and unknown.null_count < len(unknown) / 2


def _raw(graph: Graph, expression: Expr) -> bool:
    """Whether a feature is a column, of the entity or a parent, or counts rows that have no time."""
    if isinstance(expression, Age):
        return expression.field.column != graph.table(expression.field.table).happened
    return isinstance(expression, Field) or (isinstance(expression, Aggregate) and expression.window is None)


def audit(trained: Trained, test: Samples, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """What tells the test rows' answers by itself, though it did not the training rows': kept, and asked about.

    Looked at are the entity's own columns, used or not, and the feature the model leans on most. The answers of test
    rows leave nothing out: they only warn.
    """
    said = {finding.what for finding in findings}
    looked = dict.fromkeys([*test.static, *(name for name, _ in trained.importance[:1])])
    there = set(test.features.column_names) - said - set(test.own_past)
    told = telling(trained.task, known(test), [name for name in looked if name in there])
    hint = "check that it is known at the cutoff, and not made from the answer"
    return tuple(
        Finding("too good", name, f"{evidence}, of the test rows; {hint}", "asked") for name, evidence in told.items()
    )


__all__ = ["audit", "audited", "kept", "narrowed", "revealing", "without"]
