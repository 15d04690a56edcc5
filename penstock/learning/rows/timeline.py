"""Where a question may be asked: the newest instant the data knows, and the cutoffs with complete label windows."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from penstock.errors import RefusedError
from penstock.features.survey import Survey
from penstock.language import Query
from penstock.learning.rows.dataset import when
from penstock.plan import Field, aggregates
from penstock.schema import Graph
from penstock.window import END, Instants, Unit, shift

MOST_CUTOFFS = 400


@dataclass(frozen=True)
class Timeline:
    """The span of a query's data, and its usable cutoffs, newest first (instants in microseconds).

    ``last`` is the newest row of all, be it after the instant up to which rows are looked at.
    """

    start: int
    end: int
    last: int
    cutoffs: Instants
    notes: tuple[str, ...] = ()

    @property
    def apart(self) -> int:
        """The least distance between neighbouring cutoffs, in microseconds; 0 for a single one."""
        return int(np.abs(np.diff(self.cutoffs)).min()) if len(self.cutoffs) > 1 else 0


def timeline(query: Query, survey: Survey) -> Timeline:
    """The cutoffs of a query: the newest has a complete label window, each older one lies a horizon before.

    The data ends with the newest row of the tables that the target reads; rows that claim to have happened later than
    now are left out of that, and said. A forecast steps back by one of its frames.
    """
    tables = target_tables(query)
    everything = [s for t in tables if (s := Survey(survey.rows, END).span(t)) is not None]
    spans = [s for t in tables if (s := survey.span(t)) is not None]
    if not spans and any(survey.rows.graph.table(t).happened for t in tables):
        raise _empty(tables, survey, [low for low, _ in everything])
    if not spans:
        return _timeless(query, survey)
    start, end = min(low for low, _ in spans), max(high for _, high in spans)
    last = max(high for _, high in everything)
    notes = []
    if last > now():
        notes.append(
            f"Some rows of {', '.join(tables)} claim to happen after now; the data is taken to end at {when(end)}."
        )
    elif last > end:
        notes.append(f"Nothing after {when(survey.until)} was learnt from, though there is more.")
    cutoffs = np.array([end]) if query.static else _back(query, start, end)
    return Timeline(start, end, last, cutoffs, tuple(notes))


def _empty(tables: list[str], survey: Survey, lows: list[int]) -> RefusedError:
    """The refusal of a question whose tables hold nothing (yet)."""
    named = ", ".join(tables)
    if not lows:
        hint = "Check that the right source is read, and that its times are."
        return RefusedError("DATA_EMPTY", f"no row of {named} has a time: there is nothing to learn from", hint=hint)
    first = when(min(lows))
    hint = f"Choose a cutoff after {first}, with a window's length of history before it."
    return RefusedError("DATA_EMPTY", f"no row of {named} happened by {when(survey.until)}: the first is of {first}",
                        hint=hint)  # fmt: skip


def _timeless(query: Query, survey: Survey) -> Timeline:
    spans = [s for t in query.graph if (s := survey.span(t.name)) is not None]
    today = survey.until - survey.until % Unit.DAYS.microseconds
    end = max((high for _, high in spans), default=today)
    note = f"No table of the target has a time: everything is as of {when(end)}."
    return Timeline(end, end, end, np.array([end]), (note,))


def _back(query: Query, start: int, end: int) -> Instants:
    window, period = query.horizon, query.period
    assert window is not None
    assert period is not None
    frame = period.end if query.steps is None else period.length or period.end
    newest = shift(np.array([end]), -window.end, window.unit)
    cutoffs = [int(newest[0])]
    while cutoffs[-1] > start and len(cutoffs) < MOST_CUTOFFS:
        cutoffs.append(int(shift(newest, -frame * len(cutoffs), window.unit)[0]))
    usable = [cutoff for cutoff in cutoffs if cutoff > start]
    if not usable:
        raise RefusedError(
            "DATA_TOO_SHORT",
            f"the data spans {when(start)} to {when(end)}: no window of {window.end} {window.unit} fits in it",
            hint="Ask about a shorter window, or bring more history.",
        )
    return np.array(usable, np.int64)


def target_tables(query: Query) -> list[str]:
    """The tables whose rows decide the target, each with the one its time comes from."""
    found = [a.stream for a in aggregates(query.target)]
    if not found:
        return [node.table for node in query.target.walk() if isinstance(node, Field)][:1] or [query.entity]
    return list(dict.fromkeys(_clock_of(query.graph, [s.root, *(h.table for h in s.hops)]) for s in found))


def _clock_of(graph: Graph, path: list[str]) -> str:
    return next((t for t in reversed(path) if graph.table(t).happened is not None), path[-1])


def now() -> int:
    """The present, as an instant."""
    return time.time_ns() // 1000
