"""Features made from the graph: what a person would write by hand about an entity's past, for every path and window.

Each feature is an expression of the language. Windows follow from the query's horizon and from how far the data
reaches back; categories and columns are chosen from rows known before anything that is predicted.
"""

from __future__ import annotations

from collections.abc import Iterator

from penstock.features import below, beside, budget, columns, past
from penstock.features.definitions import Feature, FeatureSet
from penstock.features.ground import Ground
from penstock.features.lookbacks import windows
from penstock.features.survey import Survey
from penstock.features.ways import paths, pointers
from penstock.language import Query
from penstock.window import Unit


def synthesise(query: Query, survey: Survey, rows: int | None = None) -> FeatureSet:
    """The features of a query's entities that its graph offers.

    ``rows`` says how many (entity, cutoff) rows they will be computed for: the more, the fewer features there are.
    What is left out for that is said in the set's notes.
    """
    made, notes = budget.affordable(_made(_ground(query, survey)), budget.most_features(rows))
    return FeatureSet.of(query.entity, query.key, made, notes)


def _ground(query: Query, survey: Survey) -> Ground:
    spans = [s for t in query.graph if (s := survey.span(t.name)) is not None]
    end = max((high for _, high in spans), default=0)
    span = end - min((low for low, _ in spans), default=0)
    horizon = query.horizon_microseconds or _usual_gap(query, survey)
    return Ground(query, survey, windows(horizon, span), span, end)


def _usual_gap(query: Query, survey: Survey) -> int:
    """In place of a horizon: how long a parent of the entities goes without one, on the average, twice over."""
    table, longest = query.graph.table(query.entity), 0
    for field, _ in pointers(query.graph, table.name, 0):
        low, high = survey.span(table.name) or (0, 0)
        each = survey.profile(field.table, field.column).distinct / max(1, survey.count(table.name))
        longest = max(longest, int((high - low) * min(each, 1.0)))
    day = Unit.DAYS.microseconds
    return max(day, 2 * longest) if longest else 30 * day


def _made(ground: Ground) -> Iterator[Feature]:
    yield from past.own_past(ground)
    yield from columns.own_columns(ground)
    yield from columns.parents_columns(ground)
    yield from past.calendar(ground)
    for stream in below.streams(ground):
        yield from below.about_rows(ground, stream)
    yield from beside.beside(ground)


__all__ = ["paths", "synthesise", "windows"]
